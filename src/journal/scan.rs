//! A journal read from its beginning, record by record, without changing anything: also one that
//! its bank is writing meanwhile, and one that is damaged. What the records mean is the reader's
//! business.

use super::JournalError;
use super::disk::Disk;
use super::ended::{ended_name, last_ended};
use super::format::Span;
use super::format::{SEGMENT_HEADER_BYTES, number_in, segment_name, snapshot_name};
use super::index::last_indexed;
use super::segment::{Bad, FoundSegment, SegmentReader, old_sizes, open_of_any_size, open_segment};
use super::{Sizes, io_error, snapshot};
use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use consorcio_core::ids::BankId;
use std::path::Path;

/// What stands in a journal, in order.
#[derive(Debug)]
pub enum Scanned<'a> {
    /// A record of a whole batch.
    Record {
        /// The number of the record.
        seq: Seq,
        /// The segment that it is in.
        file: &'a str,
        /// Where it begins there.
        offset: u64,
        /// The record as it was appended.
        record: Record,
    },
    /// A place that is not as it was written, with file and offset. What follows it is read all the
    /// same.
    Fault(String),
}

/// The way through a journal. At its end it can go on later, with what was written since.
pub struct Scan<'a> {
    disk: &'a dyn Disk,
    /// How long segments of format 1 are, once one was met.
    old: Option<Sizes>,
    /// The segment that is read; none while the next one is still to be opened.
    reader: Option<SegmentReader>,
    number: u64,
    last: Seq,
    /// What was found at this place was looked at once more, for a bank may have written there
    /// meanwhile.
    looked_twice: bool,
}

impl<'a> Scan<'a> {
    /// The way through the journal in `disk`'s folder, from its beginning.
    pub fn new(disk: &'a dyn Disk) -> Scan<'a> {
        Scan { disk, old: None, reader: None, number: 1, last: 0, looked_twice: false }
    }

    /// The last record that was read.
    pub fn last(&self) -> Seq {
        self.last
    }

    /// Shows `visit` all that is there by now and was not read yet. A batch at the very end that is
    /// not whole is given back and not visited: its bank is writing it, or stopped while it did,
    /// and promised nothing in it.
    ///
    /// # Errors
    /// When a file can't be read, or `visit` fails.
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
            reader.look_anew();
            let bad = self.batches(&mut reader, &mut visit)?;
            let later = match &bad {
                Some(bad) => reader.find_batch(after(bad))?,
                None => None,
            };
            let more = later.is_some() || self.is_written_after()?;
            if more && !self.looked_twice {
                // What was written later proves that this place is whole by now; perhaps it was not
                // a moment ago.
                self.looked_twice = true;
                self.reader = Some(reader);
                continue;
            }
            let looked_twice = std::mem::take(&mut self.looked_twice);
            let told = bad.map(|bad| in_words(&reader, &bad));
            match later {
                Some(at) => reader.seek(at),
                None if !more => {
                    let lost = self.lost()?;
                    self.reader = Some(reader);
                    if let Some(lost) = lost {
                        if !looked_twice {
                            // The bank may have gone on between the last read and this look.
                            self.looked_twice = true;
                            continue;
                        }
                        visit(Scanned::Fault(lost))?;
                    }
                    return Ok(told);
                }
                None => {}
            }
            if let Some(fault) = told {
                visit(Scanned::Fault(fault))?;
            }
            if later.is_some() {
                self.reader = Some(reader);
            } else {
                self.number += 1;
            }
        }
    }

    /// Opens the next segment there is; `false` where there is none.
    fn open_next<E: From<JournalError>>(
        &mut self,
        visit: &mut impl FnMut(Scanned<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let Some(number) = self.segments()?.into_iter().find(|number| *number >= self.number)
        else {
            return Ok(false);
        };
        if number > self.number {
            let missing = super::place(self.disk, &segment_name(self.number));
            visit(Scanned::Fault(format!(
                "{missing}: missing, though {} is there",
                segment_name(number)
            )))?;
        }
        self.number = number;
        match open_of_any_size(self.disk, number) {
            Ok(reader) => {
                if reader.header.bytes.is_none() && self.old.is_none() {
                    self.old = Some(old_sizes(self.disk, &self.segments()?, Sizes::default())?);
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

    /// Visits the batches that follow; what is wrong where they end, if anything is.
    fn batches<E: From<JournalError>>(
        &mut self,
        reader: &mut SegmentReader,
        visit: &mut impl FnMut(Scanned<'_>) -> Result<(), E>,
    ) -> Result<Option<Bad>, E> {
        loop {
            let (offset, header) = match reader.next()? {
                FoundSegment::Batch(offset, header) => (offset, header),
                FoundSegment::End(_) => return Ok(None),
                FoundSegment::Bad(bad) => return Ok(Some(bad)),
            };
            self.looked_twice = false;
            let due = self.last.saturating_add(1);
            if header.first != due {
                visit(Scanned::Fault(format!(
                    "{}: at offset {offset} record {} comes where {due} was due",
                    reader.place(),
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

    /// What shows that more was written than is there behind this segment, which is the last one
    /// that can be read: an index or a snapshot is made of a full segment, once the first batch of
    /// the next one is synced; a mark of the last record is left at an orderly end.
    fn lost(&self) -> Result<Option<String>, JournalError> {
        let names = self.disk.list().map_err(|error| io_error(self.disk, "list", "", error))?;
        let numbers = self.segments()?;
        let next = segment_name(self.number + 1);
        if let Some(later) = numbers.iter().find(|number| **number > self.number + 1)
            && !numbers.contains(&(self.number + 1))
        {
            let missing = super::place(self.disk, &next);
            return Ok(Some(format!(
                "{missing}: missing, though {} is there",
                segment_name(*later)
            )));
        }
        let index = last_indexed(&names).filter(|index| index.last >= self.number).map(Span::name);
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
                super::place(self.disk, &segment_name(self.number)),
                self.last
            )
        }))
    }

    /// Does a segment after this one hold anything? One that can't be opened counts, for its fault
    /// must be told.
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

/// Is there a segment in `folder`, or a part of one?
pub fn is_in(folder: &Path) -> bool {
    let names =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names
        .filter_map(|name| name.into_string().ok())
        .any(|name| number_in(&name, "segment-", segment_name).is_some())
}

/// The bank that a journal belongs to: as a segment's header tells, or else its first record.
/// `None` where nothing was ever recorded.
///
/// # Errors
/// When neither can be read.
pub fn owner(disk: &dyn Disk) -> Result<Option<BankId>, JournalError> {
    let mut reader = open_of_any_size(disk, 1)?;
    if let Some(bank) = reader.header.bank {
        return Ok(Some(bank));
    }
    let FoundSegment::Batch(..) = reader.next()? else { return Ok(None) };
    let Some((_, first)) = reader.records().next() else { return Ok(None) };
    Ok(if let Record::Consortium { bank, .. } = first? { Some(bank) } else { None })
}

/// Where to look for what follows a place that holds no whole batch.
fn after(bad: &Bad) -> u64 {
    bad.end.unwrap_or(bad.offset + 1).max(SEGMENT_HEADER_BYTES)
}

fn in_words(reader: &SegmentReader, bad: &Bad) -> String {
    format!(
        "{}: no whole batch at offset {}: {} (at {})",
        reader.place(),
        bad.offset,
        bad.why,
        bad.fault_at
    )
}
