//! Full segments without an index, in order.
//!
//! A few of them keep their ids in memory, as noted by the appender. If segments fill faster than
//! indexes are written, further ones keep only a few numbers, and their ids are read from the
//! segment again later: a thread that falls behind costs time, but no memory.

use super::disk::Disk;
use super::format::{JournalId, SEGMENT_HEADER_BYTES, segment_name};
use super::index::{ClosedSegment, read_closed};
use super::{JournalError, display_path};
use consorcio_core::bank::io::Seq;
use consorcio_core::limits::CLOSED_SEGMENTS_IN_MEMORY_MAX;
use std::collections::VecDeque;

/// Full segments that wait for their index, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: VecDeque<Unindexed>,
    /// How many of them keep their ids in memory.
    in_memory: usize,
}

/// A full segment without an index.
#[derive(Debug)]
enum Unindexed {
    InMemory(ClosedSegment),
    OnDisk(ClosedSize),
}

/// What a full segment must contain when it is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClosedSize {
    segment: u64,
    first: Seq,
    last: Seq,
    ids: usize,
}

impl ClosedSize {
    fn of(closed: &ClosedSegment) -> ClosedSize {
        let ClosedSegment { segment, first, last, .. } = *closed;
        ClosedSize { segment, first, last, ids: closed.entries.len() }
    }

    /// Reads the segment again. One that now ends earlier is damaged: an index of the rest would
    /// make a decided id unknown.
    fn read(self, disk: &dyn Disk, journal: &JournalId) -> Result<ClosedSegment, JournalError> {
        let closed = read_closed(disk, journal, self.segment)?;
        let found = ClosedSize::of(&closed);
        if found == self {
            return Ok(closed);
        }
        Err(JournalError::Damaged {
            file: display_path(disk, &segment_name(self.segment)),
            offset: SEGMENT_HEADER_BYTES,
            why: format!(
                "it holds records {} to {} now, and held {} to {} when it was full",
                found.first, found.last, self.first, self.last
            ),
        })
    }
}

impl Backlog {
    /// Adds a full segment.
    pub(crate) fn push(&mut self, closed: ClosedSegment) {
        self.waiting.push_back(if self.in_memory < CLOSED_SEGMENTS_IN_MEMORY_MAX {
            self.in_memory += 1;
            Unindexed::InMemory(closed)
        } else {
            Unindexed::OnDisk(ClosedSize::of(&closed))
        });
    }

    /// The number of the newest full segment.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.waiting.back().map(|waiting| match waiting {
            Unindexed::InMemory(closed) => closed.segment,
            Unindexed::OnDisk(size) => size.segment,
        })
    }

    /// Removes the oldest full segment.
    pub(crate) fn take(&mut self) -> Option<TakenSegment> {
        let taken = self.waiting.pop_front()?;
        Some(match taken {
            Unindexed::InMemory(closed) => {
                self.in_memory -= 1;
                TakenSegment {
                    segment: closed.segment,
                    size: ClosedSize::of(&closed),
                    ids: Some(closed),
                }
            }
            Unindexed::OnDisk(size) => TakenSegment { segment: size.segment, size, ids: None },
        })
    }

    /// Returns a segment whose index could not be written. Its ids will be read again.
    pub(crate) fn put_back(&mut self, size: ClosedSize) {
        self.waiting.push_front(Unindexed::OnDisk(size));
    }
}

/// A segment that was removed from the backlog.
pub(super) struct TakenSegment {
    pub segment: u64,
    pub size: ClosedSize,
    ids: Option<ClosedSegment>,
}

impl TakenSegment {
    /// Its ids, from memory or from the segment.
    pub(crate) fn closed(
        &mut self,
        disk: &dyn Disk,
        journal: &JournalId,
    ) -> Result<ClosedSegment, JournalError> {
        match self.ids.take() {
            Some(closed) => Ok(closed),
            None => self.size.read(disk, journal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JournalOptions, MemDisk, Replica, open};
    use std::sync::Arc;

    fn closed(segment: u64) -> ClosedSegment {
        ClosedSegment { segment, first: segment, last: segment, entries: Vec::new() }
    }

    #[test]
    fn ids_of_a_few_segments_stay_in_memory() {
        let most = CLOSED_SEGMENTS_IN_MEMORY_MAX;
        let mut backlog = Backlog::default();
        let segments = most as u64 * 3;
        (1..=segments).for_each(|segment| backlog.push(closed(segment)));
        assert_eq!((backlog.in_memory, backlog.newest()), (most, Some(segments)));
        for segment in 1..=segments {
            let taken = backlog.take().unwrap();
            assert_eq!((taken.segment, taken.ids.is_some()), (segment, segment <= most as u64));
        }
        assert!(backlog.take().is_none() && backlog.in_memory == 0);
        backlog.push(closed(9));
        assert!(backlog.take().unwrap().ids.is_some(), "there is room again");
    }

    struct UnusedReplica;

    impl Replica for UnusedReplica {
        fn restore(&mut self, _: Seq, _: &[u8]) -> Result<(), String> {
            Ok(())
        }
        fn apply(&mut self, _: Seq, _: &consorcio_core::bank::record::Record) {}
        fn forget(&mut self, _: Seq) {}
        fn freeze(&self) -> Box<dyn crate::StateView> {
            panic!("no snapshot is due")
        }
    }

    #[test]
    fn a_segment_that_lost_records_is_not_indexed() {
        use consorcio_core::bank::record::Record;
        let disk = MemDisk::new();
        let options = JournalOptions { threads: false, ..JournalOptions::default() };
        let (mut appender, ..) = open(Arc::new(disk.clone()), options, &mut UnusedReplica).unwrap();
        let mut batch = appender.batch();
        batch.push(1, &Record::ClockMoved { time: consorcio_core::ids::Time(1) });
        appender.append(&mut batch).unwrap();
        let journal = *appender.journal();
        let whole = ClosedSize { segment: 1, first: 1, last: 1, ids: 0 };
        assert_eq!(whole.read(&disk, &journal).unwrap().last, 1);
        for other in [ClosedSize { last: 2, ..whole }, ClosedSize { ids: 1, ..whole }] {
            let error = other.read(&disk, &journal).unwrap_err();
            assert!(error.to_string().contains("damaged at offset"), "{error}");
        }
    }
}
