//! Opens a journal and recovers its bank; checks that consortium and key are those of the journal.

use crate::key::ConsortiumKey;
use anyhow::{Context, anyhow, bail};
use consorcio_core::bank::record::Record;
use consorcio_core::bank::{Core, Identity};
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::ids::BankId;
use consorcio_journal::{self, Appender, BankReplica, FileDisk, JournalReader, Recovered};
use consorcio_system::config::{Consortium, LEFT, follows};
use consorcio_system::crash::{self, Step};
use std::path::Path;
use std::sync::Arc;

/// A recovered bank and its journal.
pub(crate) struct OpenedBank {
    /// The bank, whose records are all durable.
    pub core: Core,
    /// Appends to the journal's last segment.
    pub appender: Appender,
    /// Looks up transactions in the journal.
    pub reader: JournalReader,
    /// The report of the recovery.
    pub recovered: Recovered,
}

/// Checks that no undecided transaction names a bank that leaves: its votes leave with it.
fn may_leave(core: &Core, old: &[String], new: &[String]) -> anyhow::Result<()> {
    let leave =
        old.iter().zip(new).enumerate().filter(|(_, (was, is))| *was != LEFT && *is == LEFT);
    for bank in leave.filter_map(|(position, _)| BankId::new(position)) {
        if let Some(tx) = core.undecided_naming(bank) {
            bail!(
                "the list marks bank {bank} as left, and transaction {tx}, which names it, is \
                 undecided here: start \
                 with the old list until it is decided"
            );
        }
    }
    Ok(())
}

fn new_founding() -> anyhow::Result<FoundingId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
    Ok(FoundingId::new(bytes))
}

/// Opens or creates the journal of the bank `identity` in `folder`. `moved` allows that all banks
/// have other addresses than in the journal.
///
/// # Errors
/// When another process uses it, it is damaged, or it belongs to another bank or consortium; or
/// when the core has stopped this bank for good.
pub(crate) fn open(
    folder: &Path,
    identity: &Identity,
    consortium: &Consortium,
    key: &ConsortiumKey,
    moved: bool,
    notice: consorcio_journal::NoticeSink,
) -> anyhow::Result<OpenedBank> {
    let disk = Arc::new(FileDisk::open(folder)?);
    let options = consorcio_journal::JournalOptions {
        bank: Some(identity.bank),
        notice,
        ..consorcio_journal::JournalOptions::default()
    };
    let mut replica = BankReplica::new(identity.clone());
    crash::step(Step::RecoveryBegun);
    let (mut appender, reader, recovered) = consorcio_journal::open(disk, options, &mut replica)?;
    crash::step(Step::RecoveryRead);
    let mut core = replica.core;
    if let Some(why) = core.stopped() {
        bail!("this bank must not work any more: {why}");
    }
    let changed = match core.consortium() {
        Some((bank, places)) => {
            let changed =
                follows(identity.bank, consortium, bank, places, moved).with_context(|| {
                    format!("the data in {} does not fit the consortium", folder.display())
                })?;
            may_leave(&core, places, &identity.places)?;
            changed
        }
        None => true,
    };
    let mut records = Vec::new();
    if changed {
        records.push(Record::Consortium { bank: identity.bank, places: identity.places.clone() });
    }
    if key.follows(core.key())? {
        records.push(Record::KeyKnown { key: identity.seal.key_id() });
    }
    if core.founding().is_none() {
        // A journal without votes is new, whatever created it.
        records.push(Record::Founded { founding: new_founding()?, introduced: !core.is_blank() });
    }
    if !records.is_empty() {
        let mut batch = reader.batch();
        for record in records {
            batch.push(core.seq() + 1, &record);
            core.apply(&record);
        }
        appender.append(&mut batch)?;
    }
    Ok(OpenedBank { core, appender, reader, recovered })
}
