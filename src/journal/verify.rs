//! Verifies snapshots: the whole journal is replayed, and each snapshot is compared with the bank
//! as of its last record. A running bank makes them from views of its state, not by a replay.

use super::disk::Disk;
use super::format::{JournalId, snapshot_name};
use super::scan::{JournalScan, Scanned};
use super::segment::open_of_any_size;
use super::{JournalError, io_error, snapshot};
use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use consorcio_core::bank::{Change, Core, Identity};
use consorcio_core::limits::OUTCOMES_IN_MEMORY_MIN;
use consorcio_core::wire::token::Seal;
use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;

/// After so many records outcomes and the history for cuts are dropped from memory.
const TIDY_EVERY: Seq = 4_096;

/// The result of verifying a journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many records were replayed.
    pub records: u64,
    /// Each snapshot by name, with what the comparison showed.
    pub snapshots: Vec<(String, SnapshotCheck)>,
    /// What is damaged or impossible in the journal, each with its place.
    pub faults: Vec<String>,
    /// The last batch, if it is incomplete: its bank is writing it, or stopped while it did.
    pub torn: Option<String>,
}

/// How a snapshot compares with the replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotCheck {
    /// Every byte is as replayed.
    Same,
    /// This byte of its content is the first that differs.
    Differs(u64),
    /// An earlier version of this program wrote it, with other bytes.
    Older,
    /// It can't be used, or the replay did not reach its last record; a start would not use it,
    /// either.
    Unusable(String),
}

/// Replays the journal in `disk`'s folder and compares its snapshots. Only reads, so the bank may
/// run meanwhile.
///
/// # Errors
/// If the folder or a file can't be read.
pub fn verify(disk: &dyn Disk) -> Result<Verified, JournalError> {
    let names = disk.list().map_err(|error| io_error(disk, "list", "", error))?;
    let mut waiting: BTreeSet<Seq> = snapshot::among(&names).into_iter().collect();
    let mut verified = Verified::default();
    let journal = open_of_any_size(disk, 1)?.header.journal;
    let mut core = None;
    let torn = JournalScan::new(disk).read::<JournalError>(|scanned| {
        match scanned {
            Scanned::Fault(fault) => verified.faults.push(fault),
            // After a fault the rest of a replay would only repeat its consequences.
            Scanned::Record { .. } if !verified.faults.is_empty() => {}
            Scanned::Record { seq, file, offset, record } => {
                match apply(&mut core, &record) {
                    Ok(core) if waiting.remove(&seq) => {
                        let check = compare(disk, &journal, seq, core)?;
                        let check = check.map(|check| (snapshot_name(seq), check));
                        verified.snapshots.extend(check);
                    }
                    Ok(_) => {}
                    Err(why) => {
                        verified.faults.push(format!("{file}:{offset}: record {seq}: {why}"));
                    }
                }
                verified.records += u64::from(verified.faults.is_empty());
            }
        }
        Ok(())
    })?;
    verified.torn = torn;
    let last = verified.records;
    for seq in waiting {
        let why = format!("the replay ended with record {last}");
        verified.snapshots.push((snapshot_name(seq), SnapshotCheck::Unusable(why)));
    }
    Ok(verified)
}

/// Applies a record to the bank, which the first record makes.
fn apply<'a>(core: &'a mut Option<Core>, record: &Record) -> Result<&'a Core, String> {
    if core.is_none()
        && let Record::Consortium { bank, places } = record
    {
        // A verification neither makes nor verifies tokens.
        let seal = Seal::keyed([0; 32]);
        *core = Some(Core::new(Identity { bank: *bank, places: places.clone(), seal }));
    }
    let Some(core) = core else {
        return Err("the journal does not begin with the consortium".to_owned());
    };
    core.admits(record)?;
    core.apply(record);
    if core.seq().is_multiple_of(TIDY_EVERY) {
        core.forget_outcomes(core.seq(), OUTCOMES_IN_MEMORY_MIN);
        core.change(&Change::CutMark(0, core.clock(), Some(core.clock())));
    }
    Ok(core)
}

/// Compares the snapshot of `core`'s newest record with it; `None` if it is gone by now.
fn compare(
    disk: &dyn Disk,
    journal: &JournalId,
    seq: Seq,
    core: &Core,
) -> Result<Option<SnapshotCheck>, JournalError> {
    let content = match snapshot::load(disk, journal, seq) {
        Ok(Ok(loaded)) => loaded.content,
        Ok(Err(why)) => return Ok(Some(SnapshotCheck::Unusable(why.to_owned()))),
        // A running bank has replaced it.
        Err(JournalError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let (mut rest, mut first) = (&content[..], true);
    let mut older = false;
    let flow = core.freeze().write(&mut |piece| {
        // The version is the first byte.
        older = std::mem::take(&mut first) && rest.first() < piece.first();
        match rest.strip_prefix(piece) {
            Some(behind) if !older => rest = behind,
            Some(_) | None => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    });
    if older {
        return Ok(Some(SnapshotCheck::Older));
    }
    if flow.is_continue() && rest.is_empty() {
        return Ok(Some(SnapshotCheck::Same));
    }
    let replayed = core.to_snapshot();
    let same = content.iter().zip(&replayed).take_while(|(one, other)| one == other).count();
    Ok(Some(SnapshotCheck::Differs(same as u64)))
}
