//! Reads a journal from its beginning, record by record, without changing anything: also while its
//! bank writes to it, and if it is damaged. The caller interprets the records.

use super::JournalError;
use super::disk::Disk;
use super::ended::{ended_name, last_ended};
use super::format::SegmentSpan;
use super::format::{SEGMENT_HEADER_BYTES, number_in, segment_name, snapshot_name};
use super::index::last_indexed;
use super::segment::{
    BadBatch, FoundSegment, SegmentReader, old_sizes, open_of_any_size, open_segment,
};
use super::{SegmentSizes, io_error, snapshot};
use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use consorcio_core::ids::BankId;
use std::path::Path;

/// The content of a journal, in order.
#[derive(Debug)]
pub enum Scanned<'a> {
    /// A record of a whole batch.
    Record {
        /// The number of the record.
        seq: Seq,
        /// The name of its segment.
        file: &'a str,
        /// The offset of its header.
        offset: u64,
        /// The record as it was appended.
        record: Record,
    },
    /// A damaged place, with file and offset. Reading continues after it.
    Fault(String),
}

/// Reads a journal. At its end it can continue later with what was written since.
pub struct JournalScan<'a> {
    disk: &'a dyn Disk,
    /// The sizes of segments of format 1, once one was found.
    old: Option<SegmentSizes>,
    /// The segment that is being read; `None` before the next one is opened.
    reader: Option<SegmentReader>,
    number: u64,
    last: Seq,
    /// A fault here was read a second time, since the bank may have been writing there.
    reread: bool,
}

impl<'a> JournalScan<'a> {
    /// Reads the journal in `disk`'s folder from its beginning.
    pub fn new(disk: &'a dyn Disk) -> JournalScan<'a> {
        JournalScan { disk, old: None, reader: None, number: 1, last: 0, reread: false }
    }

    /// The last record that was read.
    pub fn last(&self) -> Seq {
        self.last
    }

    /// Passes all that was not read yet to `visit`. An incomplete batch at the very end is returned
    /// and not visited: its bank is writing it, or stopped while it did, and none of its records is
    /// durable.
    ///
    /// # Errors
    /// If a file can't be read, or `visit` fails.
    pub fn read<E: From<JournalError>>(
        &mut self,
        mut visit: impl FnMut(Scanned<'_>) -> Result<(), E>,
    ) -> Result<Option<String>, E> {
        loop {
            let Some(mut reader) = self.reader.take() else {
                if self.open_next(&mut visit)? {
                    continue;
                }
                return Ok(None);
            };
            reader.discard_window();
            let bad = self.batches(&mut reader, &mut visit)?;
            let later = match &bad {
                Some(bad) => reader.find_batch(after(bad))?,
                None => None,
            };
            let more = later.is_some() || self.is_written_after()?;
            if more && !self.reread {
                // Later data proves that this place is complete now; perhaps it was not a moment
                // ago.
                self.reread = true;
                self.reader = Some(reader);
                continue;
            }
            let reread = std::mem::take(&mut self.reread);
            let fault = bad.map(|bad| describe(&reader, &bad));
            match later {
                Some(at) => reader.seek(at),
                None if !more => {
                    let lost = self.lost()?;
                    self.reader = Some(reader);
                    if let Some(lost) = lost {
                        if !reread {
                            // The bank may have continued between the last read and this check.
                            self.reread = true;
                            continue;
                        }
                        visit(Scanned::Fault(lost))?;
                    }
                    return Ok(fault);
                }
                None => {}
            }
            if let Some(fault) = fault {
                visit(Scanned::Fault(fault))?;
            }
            if later.is_some() {
                self.reader = Some(reader);
            } else {
                self.number += 1;
            }
        }
    }

    /// Opens the next segment; `false` if there is none.
    fn open_next<E: From<JournalError>>(
        &mut self,
        visit: &mut impl FnMut(Scanned<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let Some(number) = self.segments()?.into_iter().find(|number| *number >= self.number)
        else {
            return Ok(false);
        };
        if number > self.number {
            let missing = super::display_path(self.disk, &segment_name(self.number));
            visit(Scanned::Fault(format!(
                "{missing}: missing, though {} is there",
                segment_name(number)
            )))?;
        }
        self.number = number;
        match open_of_any_size(self.disk, number) {
            Ok(reader) => {
                if reader.header.bytes.is_none() && self.old.is_none() {
                    self.old =
                        Some(old_sizes(self.disk, &self.segments()?, SegmentSizes::default())?);
                }
                // What is left of it is read all the same.
                if let Err(error) = reader.expect_size(self.old.map(|sizes| sizes.of(number))) {
                    visit(Scanned::Fault(error.to_string()))?;
                }
                self.reader = Some(reader);
            }
            Err(error @ JournalError::Io { .. }) => return Err(error.into()),
            Err(error) => {
                visit(Scanned::Fault(error.to_string()))?;
                self.number += 1;
            }
        }
        Ok(true)
    }

    /// Visits the following batches; returns the fault at their end, if there is one.
    fn batches<E: From<JournalError>>(
        &mut self,
        reader: &mut SegmentReader,
        visit: &mut impl FnMut(Scanned<'_>) -> Result<(), E>,
    ) -> Result<Option<BadBatch>, E> {
        loop {
            let (offset, header) = match reader.next()? {
                FoundSegment::Batch(offset, header) => (offset, header),
                FoundSegment::End(_) => return Ok(None),
                FoundSegment::BadBatch(bad) => return Ok(Some(bad)),
            };
            self.reread = false;
            let due = self.last.saturating_add(1);
            if header.first != due {
                visit(Scanned::Fault(format!(
                    "{}: at offset {offset} record {} comes where {due} was due",
                    reader.display_path(),
                    header.first
                )))?;
            }
            self.last = header.first.saturating_sub(1);
            for (offset, record) in reader.records() {
                self.last = self.last.saturating_add(1);
                visit(match record {
                    Ok(record) => {
                        Scanned::Record { seq: self.last, file: &reader.name, offset, record }
                    }
                    Err(error) => Scanned::Fault(error.to_string()),
                })?;
            }
        }
    }

    /// What proves that more was written than exists after this segment, which is the last readable
    /// one: an index or a snapshot of a full segment is made only after the first batch of the next
    /// one is synced; a mark with the last record is written at an orderly end.
    fn lost(&self) -> Result<Option<String>, JournalError> {
        let names = self.disk.list().map_err(|error| io_error(self.disk, "list", "", error))?;
        let numbers = self.segments()?;
        let next = segment_name(self.number + 1);
        if let Some(later) = numbers.iter().find(|number| **number > self.number + 1)
            && !numbers.contains(&(self.number + 1))
        {
            let missing = super::display_path(self.disk, &next);
            return Ok(Some(format!(
                "{missing}: missing, though {} is there",
                segment_name(*later)
            )));
        }
        let index =
            last_indexed(&names).filter(|index| index.last >= self.number).map(SegmentSpan::name);
        let snapshot = snapshot::among(&names)
            .first()
            .copied()
            .filter(|seq| *seq > self.last)
            .map(snapshot_name);
        let ended = last_ended(&names).filter(|seq| *seq > self.last).map(ended_name);
        Ok(index.or(snapshot).or(ended).map(|proof| {
            format!(
                "{}: the journal ends with record {} here, though {proof} was made after more was \
                 synced: what follows is \
                 missing",
                super::display_path(self.disk, &segment_name(self.number)),
                self.last
            )
        }))
    }

    /// Does a segment after this one contain anything? One that can't be opened counts, because its
    /// fault must be reported.
    fn is_written_after(&self) -> Result<bool, JournalError> {
        for number in self.segments()?.into_iter().filter(|number| *number > self.number) {
            match open_segment(self.disk, number) {
                Ok(mut later) => {
                    if later.first_nonzero(SEGMENT_HEADER_BYTES)?.is_some() {
                        return Ok(true);
                    }
                }
                Err(error @ JournalError::Io { .. }) => return Err(error),
                Err(_) => return Ok(true),
            }
        }
        Ok(false)
    }

    fn segments(&self) -> Result<Vec<u64>, JournalError> {
        let names = self.disk.list().map_err(|error| io_error(self.disk, "list", "", error))?;
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| number_in(name, "segment-", segment_name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// Does `folder` contain a segment, or a part of one?
pub fn is_in(folder: &Path) -> bool {
    let names =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names
        .filter_map(|name| name.into_string().ok())
        .any(|name| number_in(&name, "segment-", segment_name).is_some())
}

/// The bank that owns a journal: from a segment's header, or else from its first record. `None` if
/// nothing was ever recorded.
///
/// # Errors
/// If neither can be read.
pub fn owner(disk: &dyn Disk) -> Result<Option<BankId>, JournalError> {
    let mut reader = open_of_any_size(disk, 1)?;
    if let Some(bank) = reader.header.bank {
        return Ok(Some(bank));
    }
    let FoundSegment::Batch(..) = reader.next()? else { return Ok(None) };
    let Some((_, first)) = reader.records().next() else { return Ok(None) };
    Ok(if let Record::Consortium { bank, .. } = first? { Some(bank) } else { None })
}

/// The offset where the search for the next batch begins, after a place without a complete one.
fn after(bad: &BadBatch) -> u64 {
    bad.end.unwrap_or(bad.offset + 1).max(SEGMENT_HEADER_BYTES)
}

fn describe(reader: &SegmentReader, bad: &BadBatch) -> String {
    format!(
        "{}: no whole batch at offset {}: {} (at {})",
        reader.display_path(),
        bad.offset,
        bad.why,
        bad.fault_at
    )
}
