//! A batch: filled by the bank's writer, sealed and written by the appender.
//!
//! Its buffers are reused.

use super::ends::{DueView, SnapshotPlan};
use super::format::{
    ALIGNMENT, BATCH_HEADER_BYTES, BatchHeader, JournalId, RECORD_HEADER_BYTES, Salt, size, u32_at,
};
use super::index::{IdHash, IndexEntry};
use super::replica::StateView;
use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use consorcio_system::crash::BatchPoints;
use std::sync::Arc;

/// Records that are written and synced together.
pub struct Batch {
    /// The whole batch as in the segment, except for the checksums that depend on its offset.
    bytes: Vec<u8>,
    first: Seq,
    count: u32,
    hash: IdHash,
    /// The ids that it decides, with offsets from the beginning of the batch.
    decided: Vec<IndexEntry>,
    kinds: BatchPoints,
    plan: Arc<SnapshotPlan>,
    /// The state as of its last record, if the segment ends with it.
    view: Option<DueView>,
}

impl Batch {
    pub(super) fn new(journal: &JournalId, plan: &Arc<SnapshotPlan>) -> Batch {
        Batch {
            bytes: vec![0; BATCH_HEADER_BYTES],
            first: 0,
            count: 0,
            hash: IdHash::new(journal),
            decided: Vec::new(),
            kinds: BatchPoints::default(),
            plan: Arc::clone(plan),
            view: None,
        }
    }

    /// Adds the record with the number `seq`.
    ///
    /// # Panics
    /// If it does not follow the record before it: then the bank's writer has miscounted.
    pub fn push(&mut self, seq: Seq, record: &Record) {
        if self.count == 0 {
            self.first = seq;
        }
        assert_eq!(seq, self.next(), "records of a batch follow each other");
        let begin = self.bytes.len();
        if let Some(tx) = record.decides() {
            let offset = u32::try_from(begin).expect("a batch is far shorter than 4 GiB");
            self.decided.push(IndexEntry { hash: self.hash.of(tx), offset });
        }
        self.bytes.resize(begin + RECORD_HEADER_BYTES, 0);
        postcard::serialize_with_flavor(record, Tail(&mut self.bytes))
            .expect("every record has a postcard");
        let length = self.bytes.len() - begin - RECORD_HEADER_BYTES;
        let length = u32::try_from(length).expect("a record is far shorter than 4 GiB");
        self.bytes[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
        self.kinds.add(record);
    }

    /// If a snapshot is due and little room is left in the segment, takes a view of the state from
    /// `freeze`; the segment then ends with this batch. To be called when the batch is complete and
    /// the batch before it is written.
    ///
    /// # Panics
    /// If the view is not as of the last record of this batch: then the bank's writer has mixed
    /// them up.
    pub fn end_segment_if_due(&mut self, freeze: impl FnOnce() -> Box<dyn StateView>) {
        let Some(last) = self.last() else { return };
        if self.plan.ends_with(self.padded() as u64) {
            let view = freeze();
            assert_eq!(view.seq(), last, "a view is as of the last record of its batch");
            self.view = Some(DueView::of_next(&self.plan, view));
        }
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        size(self.count)
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes it takes on disk, without padding.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The number of its last record, if it has one.
    pub fn last(&self) -> Option<Seq> {
        (self.count > 0).then(|| self.next() - 1)
    }

    /// Removes its records but keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.truncate(BATCH_HEADER_BYTES);
        self.decided.clear();
        self.count = 0;
        self.kinds.clear();
        self.view = None;
    }

    pub(super) fn first(&self) -> Seq {
        self.first
    }

    pub(super) fn decided(&self) -> &[IndexEntry] {
        &self.decided
    }

    pub(super) fn take_view(&mut self) -> Option<DueView> {
        self.view.take()
    }

    pub(super) fn kinds(&self) -> &BatchPoints {
        &self.kinds
    }

    /// Turns it into a mark: a batch without records that shows how far records were synced.
    pub(super) fn make_mark(&mut self, next: Seq) {
        self.clear();
        self.first = next;
    }

    pub(super) fn padded(&self) -> usize {
        self.bytes.len().next_multiple_of(ALIGNMENT)
    }

    /// Fills in header, checksums and padding for `offset` in the segment with `salt`.
    pub(super) fn seal(&mut self, salt: Salt, offset: u64, synced: Seq) -> &[u8] {
        let mut at = BATCH_HEADER_BYTES;
        for _ in 0..self.count {
            let end = at + RECORD_HEADER_BYTES + size(u32_at(&self.bytes, at));
            let crc = salt.crc(offset + at as u64, &self.bytes[at + RECORD_HEADER_BYTES..end]);
            self.bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
            at = end;
        }
        self.bytes.resize(self.padded(), 0);
        let body_bytes = u32::try_from(self.bytes.len() - BATCH_HEADER_BYTES)
            .expect("a batch is far shorter than 4 GiB");
        let header = BatchHeader { first: self.first, synced, count: self.count, body_bytes };
        self.bytes[..BATCH_HEADER_BYTES].copy_from_slice(&header.encode(salt, offset));
        &self.bytes
    }

    fn next(&self) -> Seq {
        self.first + u64::from(self.count)
    }
}

/// A serializer that appends to a borrowed vector.
struct Tail<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Tail<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
