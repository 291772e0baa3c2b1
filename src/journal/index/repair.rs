//! Rebuilds a damaged index from its segments, one segment at a time: each gets an index of its
//! own, and these are merged again later.

use super::{ClosedSegment, Index, read_closed, write_index};
use crate::disk::Disk;
use crate::format::SegmentSpan;
use crate::format::{JournalId, SEGMENT_HEADER_BYTES, segment_name};
use crate::{JournalError, display_path};
use std::sync::Arc;

/// A repair in progress.
pub(crate) struct Repair {
    damaged: Arc<Index>,
    /// The indexes of its first segments.
    made: Vec<Index>,
}

impl Repair {
    pub(crate) fn begin(damaged: Arc<Index>) -> Repair {
        Repair { damaged, made: Vec::new() }
    }

    /// The segments whose index is rebuilt.
    pub(crate) fn span(&self) -> SegmentSpan {
        self.damaged.span
    }

    /// Rebuilds the index of the next segment; returns all of them when it is complete. Everything
    /// that the damaged index contained must be found: a segment that ends too early would make a
    /// decided id unknown.
    pub(crate) fn step(
        &mut self,
        disk: &dyn Disk,
        journal: &JournalId,
    ) -> Result<Option<Vec<Index>>, JournalError> {
        let segment = self.damaged.span.first + self.made.len() as u64;
        let mut closed = read_closed(disk, journal, segment)?;
        let due = self.made.last().map_or(self.damaged.first, |before| before.last + 1);
        let ends = segment == self.damaged.span.last;
        let entries = self.made.iter().map(Index::entries).sum::<usize>() + closed.entries.len();
        if closed.first != due
            || (ends && (closed.last, entries) != (self.damaged.last, self.damaged.entries()))
        {
            return Err(self.differs(disk, &closed));
        }
        self.made.push(write_index(disk, journal, &mut closed)?.without_filter());
        Ok(ends.then(|| std::mem::take(&mut self.made)))
    }

    fn differs(&self, disk: &dyn Disk, closed: &ClosedSegment) -> JournalError {
        let SegmentSpan { first, last } = self.damaged.span;
        JournalError::Damaged {
            file: display_path(disk, &segment_name(closed.segment)),
            offset: SEGMENT_HEADER_BYTES,
            why: format!(
                "it holds records {} to {} now; segments {first} to {last} held {} to {} when \
                 their index was made",
                closed.first, closed.last, self.damaged.first, self.damaged.last
            ),
        }
    }
}
