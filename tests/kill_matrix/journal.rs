//! What the journal of a dead bank holds: measured, so that no death is said to have been before a
//! record was durable when it was after, or the other way round.

use crate::kill_matrix::cases::Case;
use consorcio::crash::{Kind, Point, Stage};
use consorcio::journal::{FileDisk, JournalError, JournalScan, Scanned};
use std::path::Path;

/// The journal of a bank before it was started to die.
#[derive(Debug, Clone, Copy, Default)]
pub struct Before {
    /// Records of the kind over which it is to die.
    count: usize,
}

impl Before {
    /// Looks into the journal in `folder`; there may be none yet.
    pub fn look(folder: &Path, case: &Case) -> Before {
        Before { count: awaited(case).map_or(0, |(kind, _)| count(folder, kind)) }
    }

    /// The bank is dead. It died over the first batch since with a record of that kind: that is
    /// there, or is not.
    pub fn check(self, folder: &Path, case: &Case) {
        let Some((kind, stage)) = awaited(case) else { return };
        let new = count(folder, kind) - self.count;
        let is_there = match stage {
            Stage::Decided | Stage::Torn => false,
            Stage::Written | Stage::Synced => true,
        };
        assert_eq!(new > 0, is_there, "{new} new records in {}", folder.display());
    }
}

/// The record over which the bank of `case` dies. A mark is none.
fn awaited(case: &Case) -> Option<(Kind, Stage)> {
    match case.point {
        Point::Batch(Kind::Mark, _) => None,
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

/// How many records of this kind are whole.
fn count(folder: &Path, kind: Kind) -> usize {
    if !folder.exists() {
        return 0;
    }
    let disk = FileDisk::read_only(folder);
    let mut count = 0;
    let read = JournalScan::new(&disk).read(|scanned| {
        match scanned {
            Scanned::Record { record, .. } => count += usize::from(Kind::of(&record) == kind),
            Scanned::Fault(fault) => panic!("only the end of a journal is torn: {fault}"),
        }
        Ok::<(), JournalError>(())
    });
    read.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    count
}
