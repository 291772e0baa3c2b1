//! The replay of segments when a journal is opened, record by record, up to the offset of the next
//! batch.
//!
//! How a torn tail differs from damage: a batch is written only after the sync of the one before
//! it. So only the last batch can be torn, and anything that was written after a fault (a later
//! batch header, bytes behind this batch's end, a later segment that is not empty, an index, a
//! snapshot, the mark of an orderly end) proves that the faulty place was once durable.

use super::disk::Disk;
use super::ended::{ended_name, last_ended};
use super::format::SegmentSpan;
use super::format::{JournalId, SEGMENT_HEADER_BYTES, segment_name, snapshot_name, usize_of};
use super::index::{ClosedSegment, IdHash, IndexEntry, last_indexed, note_decided};
use super::recovered::{Recovered, ReplayStart, TornTail};
use super::segment::{BadBatch, FoundSegment, SegmentReader, open_segment};
use super::{JournalError, Replica, StateView, display_path, snapshot, sync_error, write_error};
use consorcio_core::bank::io::Seq;
use std::sync::Arc;

/// The replay of segments.
pub(super) struct Walk<'a> {
    disk: &'a dyn Disk,
    hash: IdHash,
    /// The last record that was read.
    pub last: Seq,
    /// The full segments that were read.
    pub closed: Vec<ClosedSegment>,
    /// The segment in use.
    pub current: WalkedSegment,
    /// A snapshot is due at the end of a full segment so far behind `from`; 0: at none.
    pub snapshot_after: u64,
    /// The newest full segment whose snapshot is due, and the state as of its last record.
    pub due: Option<(u64, Box<dyn StateView>)>,
    /// Segment, offset and length of the last batch.
    last_batch: Option<(u64, u64, usize)>,
}

/// A segment, and how far it was read.
pub(super) struct WalkedSegment {
    pub number: u64,
    pub end: u64,
    pub first: Seq,
    pub entries: Vec<IndexEntry>,
}

impl WalkedSegment {
    fn begin_of(number: u64, first: Seq) -> WalkedSegment {
        WalkedSegment { number, end: SEGMENT_HEADER_BYTES, first, entries: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.end == SEGMENT_HEADER_BYTES
    }
}

impl<'a> Walk<'a> {
    pub(crate) fn new(disk: &'a dyn Disk, journal: &JournalId, from: &ReplayStart) -> Walk<'a> {
        let current = WalkedSegment::begin_of(from.segment + 1, from.seq + 1);
        let hash = IdHash::new(journal);
        Walk {
            disk,
            hash,
            last: from.seq,
            closed: Vec::new(),
            current,
            snapshot_after: 0,
            due: None,
            last_batch: None,
        }
    }

    /// Reads segments `from` to `to` as far as anything was written.
    pub(crate) fn read_all(
        &mut self,
        from: u64,
        to: u64,
        names: &[String],
        replica: &mut dyn Replica,
        recovered: &mut Recovered,
    ) -> Result<(), JournalError> {
        for number in from..=to {
            let mut reader = open_segment(self.disk, number)?;
            let place = WalkedSegment::begin_of(number, self.last + 1);
            let before = std::mem::replace(&mut self.current, place);
            // Only of the last two can it be known now that none is full after it.
            let is_due = self.snapshot_after > 0 && number - from >= self.snapshot_after;
            let frozen = (is_due && number + 1 >= to).then(|| replica.freeze());
            let bad = self.read_segment(&mut reader, replica, recovered)?;
            let torn_or_empty = bad.is_some() || self.current.is_empty();
            if torn_or_empty {
                let end = bad.unwrap_or(BadBatch {
                    offset: self.current.end,
                    fault_at: self.current.end,
                    why: "nothing was written here",
                    end: None,
                });
                self.refuse_if_written_after(&mut reader, &end, bad.is_some(), to)?;
            }
            if torn_or_empty || number == to {
                self.refuse_if_too_early(names)?;
            }
            if bad.is_some() {
                recovered.torn = Some(self.cut(&mut reader)?);
            }
            // A segment counts as full once the next one contains a batch.
            if self.current.is_empty() && number > from {
                self.current = before;
            } else if number > from {
                let last = self.current.first - 1;
                self.closed.push(ClosedSegment {
                    segment: before.number,
                    first: before.first,
                    last,
                    entries: before.entries,
                });
                // The journal is opened only after this segment has got its index.
                replica.forget(last);
                if let Some(frozen) = frozen {
                    self.due = Some((before.number, frozen));
                }
            }
            if torn_or_empty {
                break;
            }
        }
        Ok(())
    }

    /// Reads and applies the batches of a segment; returns the fault at their end, if there is one.
    fn read_segment(
        &mut self,
        reader: &mut SegmentReader,
        replica: &mut dyn Replica,
        recovered: &mut Recovered,
    ) -> Result<Option<BadBatch>, JournalError> {
        loop {
            match reader.next()? {
                FoundSegment::Batch(offset, header) => {
                    if header.first != self.last + 1 || header.synced != self.last {
                        return Err(JournalError::Damaged {
                            file: reader.display_path(),
                            offset,
                            why: format!(
                                "a batch begins with record {} here, and {} was due",
                                header.first,
                                self.last + 1
                            ),
                        });
                    }
                    for (offset, record) in reader.records() {
                        let record = record?;
                        self.last += 1;
                        note_decided(&self.hash, offset, &record, &mut self.current.entries);
                        replica.apply(self.last, &record);
                        recovered.records += 1;
                    }
                    recovered.bytes += header.batch_bytes() as u64;
                    self.current.end = offset + header.batch_bytes() as u64;
                    self.last_batch = Some((self.current.number, offset, header.batch_bytes()));
                }
                FoundSegment::End(_) => return Ok(None),
                FoundSegment::BadBatch(bad) => return Ok(Some(bad)),
            }
        }
    }

    /// Rejects a fault, or an empty place, if anything was written after it.
    fn refuse_if_written_after(
        &self,
        reader: &mut SegmentReader,
        bad: &BadBatch,
        look_here: bool,
        to: u64,
    ) -> Result<(), JournalError> {
        let mut proof = None;
        if look_here && let Some(at) = reader.written_after(bad)? {
            proof = Some((reader.display_path(), at));
        }
        for number in self.current.number + 1..=to {
            if proof.is_some() {
                break;
            }
            let mut later = open_segment(self.disk, number)?;
            if let Some(at) = later.first_nonzero(SEGMENT_HEADER_BYTES)? {
                proof = Some((later.display_path(), at));
            }
        }
        let Some((file, at)) = proof else { return Ok(()) };
        let fault = if bad.fault_at == bad.offset {
            String::new()
        } else {
            format!(" (at {})", bad.fault_at)
        };
        Err(JournalError::Damaged {
            file: reader.display_path(),
            offset: bad.offset,
            why: format!(
                "{}{fault}; this is no torn tail, for what stands in {file} at offset {at} was \
                 written after it was synced",
                bad.why
            ),
        })
    }

    /// Zeroes what follows the last valid batch, and syncs that before anything else is written
    /// there.
    fn cut(&self, reader: &mut SegmentReader) -> Result<TornTail, JournalError> {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let offset = self.current.end;
        let end = reader.last_nonzero(offset)?;
        let mut at = offset;
        while at < end {
            let zeros = &ZEROS[..usize_of((end - at).min(ZEROS.len() as u64))];
            reader
                .file
                .write_at(at, zeros)
                .map_err(|error| write_error(self.disk, &reader.name, at, zeros.len(), error))?;
            at += zeros.len() as u64;
        }
        reader.file.sync().map_err(|error| sync_error(self.disk, &reader.name, error))?;
        Ok(TornTail { file: reader.display_path(), offset, bytes: end - offset })
    }

    /// Rejects an end that is too early according to an index, a snapshot or a mark: an index and a
    /// snapshot of a full segment are made only after the first batch of the next one is synced.
    fn refuse_if_too_early(&self, names: &[String]) -> Result<(), JournalError> {
        let (number, empty) = (self.current.number, self.current.is_empty());
        let index = last_indexed(names);
        let index =
            index.filter(|index| index.last >= number || (empty && index.last + 1 == number));
        let snapshot = snapshot::among(names).first().copied();
        let snapshot = snapshot
            .filter(|seq| *seq > self.last || (self.last_batch.is_none() && *seq == self.last));
        let ended = last_ended(names).filter(|seq| *seq > self.last).map(ended_name);
        let proof = index.map(SegmentSpan::name).or(snapshot.map(snapshot_name)).or(ended);
        let Some(proof) = proof else { return Ok(()) };
        Err(JournalError::Damaged {
            file: display_path(self.disk, &segment_name(number)),
            offset: self.current.end,
            why: format!(
                "the journal ends with record {} here; this is no torn tail, for {proof} was made \
                 after more was synced",
                self.last
            ),
        })
    }

    /// Writes the last batch again and syncs it. It may have been read from the page cache only:
    /// after a failed sync, some systems mark pages as clean that never reached the disk, and
    /// another sync would skip them (Rebello et al., ATC 2020). All earlier batches were synced
    /// before the next one was written.
    pub(crate) fn rewrite_last(&self) -> Result<(), JournalError> {
        let Some((number, offset, length)) = self.last_batch else { return Ok(()) };
        let mut reader = open_segment(self.disk, number)?;
        let name = reader.name.clone();
        let file = Arc::clone(&reader.file);
        let bytes = reader.bytes(offset, length)?;
        file.write_at(offset, bytes)
            .map_err(|error| write_error(self.disk, &name, offset, length, error))?;
        file.sync().map_err(|error| sync_error(self.disk, &name, error))
    }
}
