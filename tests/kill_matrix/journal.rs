//! Checks from the journal of a crashed bank that the crash came before, or after, its record was
//! durable, as the case states.

use crate::kill_matrix::cases::Case;
use consorcio::crash::{Point, RecordKind, Stage};
use consorcio::journal::{FileDisk, JournalError, JournalScan, Scanned};
use std::path::Path;

/// A bank's journal before the bank was started with a crash point.
#[derive(Debug, Clone, Copy, Default)]
pub struct JournalBaseline {
    /// Records of the kind whose batch the bank will crash at.
    count: usize,
}

impl JournalBaseline {
    /// Reads the journal in `folder`, which may be missing.
    pub fn read(folder: &Path, case: &Case) -> JournalBaseline {
        JournalBaseline { count: crash_record(case).map_or(0, |(kind, _)| count(folder, kind)) }
    }

    /// Checks the journal of a crashed bank. It crashed at the first batch since with a record of
    /// that kind, so the record is there exactly from the stage `Written` on.
    pub fn check(self, folder: &Path, case: &Case) {
        let Some((kind, stage)) = crash_record(case) else { return };
        let new = count(folder, kind) - self.count;
        let is_written = match stage {
            Stage::Decided | Stage::Torn => false,
            Stage::Written | Stage::Synced => true,
        };
        assert_eq!(new > 0, is_written, "{new} new records in {}", folder.display());
    }
}

/// The kind of record at whose batch the victim of `case` crashes. A mark is no record.
fn crash_record(case: &Case) -> Option<(RecordKind, Stage)> {
    match case.point {
        Point::Batch(RecordKind::Mark, _) => None,
        Point::Batch(kind, stage) => Some((kind, stage)),
        Point::Step(_)
        | Point::Received(_)
        | Point::Replying(_)
        | Point::Replied(_)
        | Point::Sending(_)
        | Point::Sent(_)
        | Point::Answered(_)
        | Point::ClientSending(_)
        | Point::ClientSent(_)
        | Point::ClientAnswered(_) => None,
    }
}

/// The number of complete records of this kind.
fn count(folder: &Path, kind: RecordKind) -> usize {
    if !folder.exists() {
        return 0;
    }
    let disk = FileDisk::read_only(folder);
    let mut count = 0;
    let read = JournalScan::new(&disk).read(|scanned| {
        match scanned {
            Scanned::Record { record, .. } => count += usize::from(RecordKind::of(&record) == kind),
            Scanned::Fault(fault) => panic!("damaged before its end: {fault}"),
        }
        Ok::<(), JournalError>(())
    });
    read.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    count
}
