//! A bank as bytes, for the journal's snapshots: all that recovery needs. Outcomes that the
//! journal's index finds, and the past that only cuts need, are left out. The data that a later
//! version added follows the bytes of the first version, so snapshots of all versions can be read.

use crate::bank::Identity;
use crate::bank::io::{KnownVote, Seq};
use crate::bank::known::{HistoryEntry, Prepared, Provenance};
use crate::bank::state::Bank;
use crate::commit::founding::FoundingId;
use crate::ids::{BankId, Time, TxId};
use crate::ledger::{Ledger, RegistersKnown};
use crate::wire::token::KeyId;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The version that this program writes, the first number of every snapshot.
const VERSION: u32 = 4;
/// The first version with the provenance of each entry of the history.
const VERSION_WITH_PROVENANCE: u32 = 2;
/// The first version with the key's id and the known votes of the other banks.
const VERSION_WITH_KEY: u32 = 3;
/// The first version that records whether the bank knows its registers.
const VERSION_WITH_REGISTERS: u32 = 4;
/// The first version with this journal's founding id and those of the other banks.
const VERSION_WITH_FOUNDING: u32 = 4;

/// The data that version 3 added.
#[derive(Debug, Default, Serialize, Deserialize)]
struct WithKey {
    key: Option<KeyId>,
    peers_votes: [Option<KnownVote>; 16],
}

/// The data that version 4 added.
#[derive(Debug, Serialize, Deserialize)]
struct WithFounding {
    founding: Option<FoundingId>,
    introduced: bool,
    met: [Option<FoundingId>; 16],
}

#[derive(Serialize, Deserialize)]
struct Snapshot<'a> {
    version: u32,
    consortium: Option<(BankId, Vec<String>)>,
    seq: Seq,
    clock: Time,
    known_votes: [Time; 16],
    ledger: Cow<'a, Ledger>,
    undecided: Vec<(TxId, Prepared)>,
    history: Vec<HistoryEntry>,
    committed: u64,
    aborted: u64,
    stopped: Option<String>,
}

/// Serializes the durable state of `bank`.
pub(crate) fn write(bank: &Bank) -> Vec<u8> {
    let snapshot = Snapshot {
        version: VERSION,
        consortium: bank.consortium.clone(),
        seq: bank.seq,
        clock: bank.clock,
        known_votes: bank.known_votes,
        ledger: Cow::Borrowed(&bank.ledger),
        undecided: bank
            .undecided
            .iter()
            .map(|(tx, prepared)| (tx.clone(), prepared.clone()))
            .collect(),
        history: bank.history.iter().cloned().collect(),
        committed: bank.committed,
        aborted: bank.aborted,
        stopped: bank.stopped.clone(),
    };
    let provenance: Vec<&Provenance> = bank.history.iter().map(|event| &event.provenance).collect();
    let with_key = WithKey { key: bank.key, peers_votes: bank.peers_votes.clone() };
    let with_founding =
        WithFounding { founding: bank.founding, introduced: bank.introduced, met: bank.met };
    postcard::to_stdvec(&(
        snapshot,
        provenance,
        with_key,
        bank.ledger.registers_known(),
        with_founding,
    ))
    .expect("a bank's parts all have a length, so postcard can write them")
}

/// Restores a bank from the bytes of a snapshot.
pub(crate) fn read(identity: Identity, bytes: &[u8]) -> Result<Bank, String> {
    let (version, _) =
        postcard::take_from_bytes::<u32>(bytes).map_err(|error| error.to_string())?;
    if !(1..=VERSION).contains(&version) {
        return Err(format!("snapshot version {version}, this program reads up to {VERSION}"));
    }
    let (mut snapshot, mut rest): (Snapshot<'_>, _) =
        postcard::take_from_bytes(bytes).map_err(|error| error.to_string())?;
    if version >= VERSION_WITH_PROVENANCE {
        let provenance: Vec<Provenance> = take(&mut rest)?;
        if provenance.len() != snapshot.history.len() {
            return Err("its history has another length than the provenance of it".to_owned());
        }
        snapshot
            .history
            .iter_mut()
            .zip(provenance)
            .for_each(|(event, provenance)| event.provenance = provenance);
    }
    let with_key = if version >= VERSION_WITH_KEY { take(&mut rest)? } else { WithKey::default() };
    let known =
        if version >= VERSION_WITH_REGISTERS { take(&mut rest)? } else { RegistersKnown::Always };
    let with_founding: Option<WithFounding> =
        if version >= VERSION_WITH_FOUNDING { Some(take(&mut rest)?) } else { None };
    let mut bank = Bank::new(identity);
    bank.key = with_key.key;
    bank.peers_votes = with_key.peers_votes;
    if let Some(with_founding) = with_founding {
        bank.founding = with_founding.founding;
        bank.introduced = with_founding.introduced;
        bank.met = with_founding.met;
    }
    bank.consortium = snapshot.consortium;
    bank.seq = snapshot.seq;
    bank.clock = snapshot.clock;
    bank.known_votes = snapshot.known_votes;
    bank.ledger = snapshot.ledger.into_owned();
    bank.ledger.set_registers_known(known);
    // Cuts before this time are not possible: the snapshot holds only the balances as of now.
    bank.ledger.begin_cuts_at(snapshot.clock);
    for (tx, prepared) in snapshot.undecided {
        bank.insert_undecided(tx, prepared);
    }
    bank.restore_history(snapshot.history);
    bank.committed = snapshot.committed;
    bank.aborted = snapshot.aborted;
    bank.stopped = snapshot.stopped;
    Ok(bank)
}

fn take<'a, T: Deserialize<'a>>(rest: &mut &'a [u8]) -> Result<T, String> {
    let (value, behind) = postcard::take_from_bytes(rest).map_err(|error| error.to_string())?;
    *rest = behind;
    Ok(value)
}
