//! A bank as bytes, for the journal's snapshots: all that recovery needs.
//! A view of the bank as of one record is written while the bank goes on. Outcomes that the
//! journal's index finds, and the past that only cuts need, are left out. The data that a later
//! version added follows the bytes of the first version, so snapshots of all versions can be read.

use crate::bank::Identity;
use crate::bank::history::FrozenHistory;
use crate::bank::io::{KnownVote, Seq};
use crate::bank::known::{HistoryEntry, Prepared, Provenance};
use crate::bank::state::Bank;
use crate::commit::founding::FoundingId;
use crate::ids::{BankId, Time, TxId};
use crate::ledger::{FrozenLedger, RegistersKnown, StoredLedger};
use crate::pieces::{PieceSink, PieceWriter};
use crate::rows::SharedRows;
use crate::wire::token::KeyId;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

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
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct WithKey {
    key: Option<KeyId>,
    peers_votes: [Option<KnownVote>; 16],
}

/// The data that version 4 added.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct WithFounding {
    founding: Option<FoundingId>,
    introduced: bool,
    met: [Option<FoundingId>; 16],
}

/// The data of the first version, before the ledger and behind it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Head {
    version: u32,
    consortium: Option<(BankId, Vec<String>)>,
    seq: Seq,
    clock: Time,
    known_votes: [Time; 16],
}

#[derive(Deserialize)]
struct StoredBody {
    undecided: Vec<(TxId, Prepared)>,
    history: Vec<HistoryEntry>,
    counts: Counts,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Counts {
    committed: u64,
    aborted: u64,
    stopped: Option<String>,
}

/// The durable state of a bank as of one record; later records don't change it.
#[derive(Debug, Clone)]
pub struct FrozenBank {
    head: Head,
    ledger: FrozenLedger,
    undecided: SharedRows<Option<(TxId, Prepared)>>,
    history: FrozenHistory,
    counts: Counts,
    with_key: WithKey,
    known: RegistersKnown,
    with_founding: WithFounding,
}

impl FrozenBank {
    /// The state of `bank` now. Copies what has a fixed bound, and shares the rest.
    pub(super) fn of(bank: &Bank) -> FrozenBank {
        FrozenBank {
            head: Head {
                version: VERSION,
                consortium: bank.consortium.clone(),
                seq: bank.seq,
                clock: bank.clock,
                known_votes: bank.known_votes,
            },
            ledger: bank.ledger.freeze(),
            undecided: bank.undecided.rows().clone(),
            history: bank.history.freeze(),
            counts: Counts {
                committed: bank.committed,
                aborted: bank.aborted,
                stopped: bank.stopped.clone(),
            },
            with_key: WithKey { key: bank.key, peers_votes: bank.peers_votes.clone() },
            known: bank.ledger.registers_known(),
            with_founding: WithFounding {
                founding: bank.founding,
                introduced: bank.introduced,
                met: bank.met,
            },
        }
    }

    /// The number of the last record in it.
    pub fn seq(&self) -> Seq {
        self.head.seq
    }

    /// Passes on the snapshot in pieces, until `sink` breaks. Shared memory is given back as soon
    /// as its part is made.
    pub fn write(self, sink: &mut PieceSink<'_>) -> ControlFlow<()> {
        let mut out = PieceWriter::new(sink);
        out.put(&self.head)?;
        self.ledger.write(&mut out)?;
        let mut undecided: Vec<&(TxId, Prepared)> = self.undecided.iter().flatten().collect();
        undecided.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        out.count(undecided.len())?;
        undecided.into_iter().try_for_each(|row| out.put(row))?;
        drop(self.undecided);
        let entries = self.history.iter().count();
        out.count(entries)?;
        self.history.iter().try_for_each(|entry| out.put(entry))?;
        out.put(&self.counts)?;
        out.count(entries)?;
        self.history.iter().try_for_each(|entry| out.put(&entry.provenance))?;
        out.put(&(&self.with_key, self.known, &self.with_founding))?;
        out.flush()
    }
}

/// Restores a bank from the bytes of a snapshot.
pub(crate) fn read(identity: Identity, bytes: &[u8]) -> Result<Bank, String> {
    let (version, _) =
        postcard::take_from_bytes::<u32>(bytes).map_err(|error| error.to_string())?;
    if !(1..=VERSION).contains(&version) {
        return Err(format!("snapshot version {version}, this program reads up to {VERSION}"));
    }
    let mut rest = bytes;
    let head: Head = take(&mut rest)?;
    let ledger: StoredLedger = take(&mut rest)?;
    let ledger = ledger.into_ledger(identity.seal.hash_seed())?;
    let mut snapshot: StoredBody = take(&mut rest)?;
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
    bank.consortium = head.consortium;
    bank.seq = head.seq;
    bank.clock = head.clock;
    bank.known_votes = head.known_votes;
    bank.ledger = ledger;
    bank.ledger.set_registers_known(known);
    // Cuts before this time are not possible: the snapshot holds only the balances as of now.
    bank.ledger.begin_cuts_at(head.clock);
    for (tx, prepared) in snapshot.undecided {
        bank.insert_undecided(tx, prepared);
    }
    bank.restore_history(snapshot.history);
    bank.committed = snapshot.counts.committed;
    bank.aborted = snapshot.counts.aborted;
    bank.stopped = snapshot.counts.stopped;
    Ok(bank)
}

fn take<'a, T: Deserialize<'a>>(rest: &mut &'a [u8]) -> Result<T, String> {
    let (value, behind) = postcard::take_from_bytes(rest).map_err(|error| error.to_string())?;
    *rest = behind;
    Ok(value)
}
