//! Appending: one write and one sync for each batch, into segments that were zeroed ahead.

use super::batch::Batch;
use super::ended;
use super::ends::DueView;
use super::format::{JournalId, SEGMENT_HEADER_BYTES, Salt, segment_name};
use super::index::{ClosedSegment, IndexEntry};
use super::keeper::{Keeper, PreparedSegment};
use super::{JournalError, JournalReader, sync_error, write_error};
use consorcio_core::bank::io::Seq;
use consorcio_system::crash::{self, Stage, Step};
use std::sync::atomic::Ordering;

/// The journal's only writer, owned by the thread that syncs.
pub struct Appender {
    keeper: Keeper,
    current: Current,
    /// The last record that is written and synced.
    last: Seq,
    /// A full segment, to be passed to the keeper once the first batch of its successor is synced:
    /// only then would recovery treat it as full.
    closed: Option<(ClosedSegment, Option<DueView>)>,
    /// The state as of the last record, if the segment in use ends with it for a snapshot.
    ending: Option<DueView>,
    /// Why nothing is written any more, if so.
    failed: Option<String>,
    mark: Batch,
    marked: bool,
}

/// The segment in use.
pub(super) struct Current {
    pub segment: PreparedSegment,
    /// The offset of the next batch.
    pub end: u64,
    /// The number of its first record, even if that is not written yet.
    pub first: Seq,
    pub entries: Vec<IndexEntry>,
}

impl Appender {
    pub(super) fn new(keeper: Keeper, current: Current, last: Seq) -> Appender {
        let mark = keeper.batch();
        let appender = Appender {
            keeper,
            current,
            last,
            closed: None,
            ending: None,
            failed: None,
            mark,
            marked: false,
        };
        appender.publish_room();
        appender
    }

    /// Publishes how much room the segment in use has left.
    fn publish_room(&self) {
        let left = self.current.segment.size.saturating_sub(self.current.end);
        let shared = self.keeper.shared();
        shared.left.store(left, Ordering::Release);
        let PreparedSegment { number, size, .. } = self.current.segment;
        match &self.ending {
            Some(_) => shared.plan.set_begin_of(number + 1),
            None => shared.plan.set_place(number, size, left),
        }
    }

    /// Writes a batch and syncs it. On return its records are durable, and its memory may be
    /// reused. Only the checksums in it are changed.
    ///
    /// # Errors
    /// If it is not known to be durable; from then on nothing is accepted, and the process must
    /// stop.
    pub fn append(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        if batch.is_empty() {
            return self
                .failed
                .as_ref()
                .map_or(Ok(()), |why| Err(JournalError::Stopped(why.clone())));
        }
        if batch.first() != self.last + 1 {
            return Err(JournalError::Order { expected: self.last + 1, found: batch.first() });
        }
        self.write(batch)?;
        self.marked = false;
        self.last = batch.last().unwrap_or(self.last);
        Ok(())
    }

    /// The last record that is durable.
    pub fn last(&self) -> Seq {
        self.last
    }

    /// An empty batch, to be filled and appended.
    pub fn batch(&self) -> Batch {
        self.keeper.batch()
    }

    /// The id that all files of this journal carry.
    pub fn journal(&self) -> &JournalId {
        self.keeper.journal()
    }

    /// Closes the journal in order: one mark shows the next start that every record was synced, so
    /// that damage to the last ones is not taken for a torn tail; another one shows how many
    /// records there were.
    ///
    /// # Errors
    /// If a mark could not be written.
    pub fn close(mut self) -> Result<(), JournalError> {
        self.mark()?;
        if self.last > 0 { ended::write_mark(self.keeper.disk(), self.last) } else { Ok(()) }
    }

    /// Writes and syncs a batch without records, as a mark that all earlier batches were synced.
    pub(super) fn mark(&mut self) -> Result<(), JournalError> {
        if self.marked || self.last == 0 {
            return Ok(());
        }
        let mut mark = std::mem::replace(&mut self.mark, self.keeper.batch());
        mark.make_mark(self.last + 1);
        self.write(&mut mark)?;
        self.mark = mark;
        self.marked = true;
        Ok(())
    }

    /// A reader that works beside this appender.
    pub(super) fn reader(&self) -> JournalReader {
        JournalReader::new(self.keeper.shared())
    }

    fn write(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        if let Some(why) = &self.failed {
            return Err(JournalError::Stopped(why.clone()));
        }
        batch.kinds().pass(Stage::Decided);
        let written = self.try_write(batch);
        if let Err(error) = &written {
            self.failed = Some(error.to_string());
        }
        written
    }

    fn try_write(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        let bytes = batch.padded() as u64;
        if self.current.end + bytes > self.current.segment.size {
            // A batch that is longer than a segment gets a longer segment.
            let bytes_min = SEGMENT_HEADER_BYTES + bytes;
            let number = self.current.segment.number;
            if self.current.end == SEGMENT_HEADER_BYTES {
                self.current.segment = self.keeper.prepare_now(number, bytes_min)?;
            } else {
                let next = self.keeper.take_prepared(number + 1, bytes_min)?;
                self.roll(next);
            }
        } else if self.ending.is_some() && !batch.is_empty() {
            self.end_early(SEGMENT_HEADER_BYTES + bytes);
        }
        let offset = self.current.end;
        let salt = Salt::new(self.keeper.journal(), self.current.segment.number);
        let kinds = batch.kinds().clone();
        let sealed = batch.seal(salt, offset, self.last);
        let segment = &self.current.segment;
        kinds.torn(|| drop(segment.file.write_at(offset, &sealed[..sealed.len() / 2])));
        segment.file.write_at(offset, sealed).map_err(|error| {
            write_error(
                self.keeper.disk(),
                &segment_name(segment.number),
                offset,
                sealed.len(),
                error,
            )
        })?;
        kinds.pass(Stage::Written);
        segment.file.sync().map_err(|error| {
            sync_error(self.keeper.disk(), &segment_name(segment.number), error)
        })?;
        kinds.pass(Stage::Synced);
        self.current.end = offset + sealed.len() as u64;
        if let Some(view) = batch.take_view() {
            self.ending = Some(view);
        }
        self.publish_room();
        let begin = u32::try_from(offset).expect("a segment is shorter than 4 GiB");
        self.current.entries.extend(
            batch
                .decided()
                .iter()
                .map(|entry| IndexEntry { hash: entry.hash, offset: begin + entry.offset }),
        );
        if let Some((closed, due)) = self.closed.take() {
            self.keeper.prepare(self.current.segment.number + 1);
            self.keeper.closed(closed, due);
        }
        Ok(())
    }

    /// Continues in the next segment, because a snapshot is due at the end of this one. Without
    /// room for the next segment the rest of this one is needed, and the snapshot is made later.
    fn end_early(&mut self, bytes_min: u64) {
        match self.keeper.take_ready(self.current.segment.number + 1, bytes_min) {
            Some(next) => self.roll(next),
            None => self.ending = None,
        }
    }

    /// Continues in the segment `next`.
    fn roll(&mut self, next: PreparedSegment) {
        let next = Current {
            segment: next,
            end: SEGMENT_HEADER_BYTES,
            first: self.last + 1,
            entries: Vec::new(),
        };
        let full = std::mem::replace(&mut self.current, next);
        crash::step(Step::SegmentRolled);
        let closed = ClosedSegment {
            segment: full.segment.number,
            first: full.first,
            last: self.last,
            entries: full.entries,
        };
        let due = self.ending.take();
        if let Some(due) = &due {
            assert_eq!(
                (due.segment, due.seq()),
                (closed.segment, closed.last),
                "a snapshot is as of the end of a full segment"
            );
        }
        self.closed = Some((closed, due));
    }
}
