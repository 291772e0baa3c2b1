//! Opening a journal: what is there is read back into a bank, a torn tail is cut, and anything else that is
//! not as it was written is refused.
//!
//! What tells a torn tail from damage: a batch is written only after the sync of the one before it. So only the
//! last batch can be torn, and whatever was written after the place that is wrong (a later batch's header,
//! bytes past this batch's end, a later segment that is not empty, a later segment's index, a snapshot) proves that
//! this place was durable once.

use super::append::{Appender, Current};
use super::disk::Disk;
use super::format::{
    JournalId, SEGMENT_HEADER_BYTES, index_name, number_in, segment_name, snapshot_name, usize_of,
};
use super::index::{Closed, Entry, IdHash, Index, load_index, note_decided, read_closed, write_index};
use super::keeper::{Keeper, Prepared, prepare_segment};
use super::read::Shared;
use super::segment::{Bad, Found, SegmentReader, open_segment};
use super::{JournalError, Options, Reader, Replica, io_error, place, snapshot, sync_error, write_error};
use crate::bank::io::Seq;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What was found at the opening.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The journal was made just now.
    pub fresh: bool,
    /// Records read and applied, those of a snapshot not counted.
    pub records: u64,
    /// Bytes read for them.
    pub bytes: u64,
    /// Segments that hold records.
    pub segments: u64,
    /// The last record.
    pub last: Seq,
    /// The last record of the snapshot that was used.
    pub snapshot: Option<Seq>,
    /// The tail that was cut off.
    pub torn: Option<TornTail>,
    /// What was not as it should be and did no harm: a snapshot that can't be used, an index made again.
    pub warnings: Vec<String>,
}

/// A batch that was being written when the process or the machine stopped. Nothing in it was ever promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// Its file.
    pub file: String,
    /// Where it began.
    pub offset: u64,
    /// How many bytes were cut off, up to the last that was not zero.
    pub bytes: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a torn tail of {} bytes was cut off {} at offset {}", self.bytes, self.file, self.offset)
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.fresh {
            return f.write_str("a new journal");
        }
        write!(f, "{} records", self.records)?;
        if let Some(seq) = self.snapshot {
            write!(f, " after a snapshot of {seq}")?;
        }
        write!(f, ", {} bytes, {} segments, last record {}", self.bytes, self.segments, self.last)?;
        if let Some(torn) = &self.torn {
            write!(f, "; {torn}")?;
        }
        Ok(())
    }
}

/// Opens the journal in `disk`'s folder, or makes one there, and brings `replica`, a bank without a past, up to
/// its last record.
///
/// # Errors
/// When anything that was durable is damaged or missing, naming file and offset; when the files are of a newer
/// version; when the disk fails.
pub fn open(
    disk: Arc<dyn Disk>,
    options: Options,
    replica: &mut dyn Replica,
) -> Result<(Appender, Reader, Recovered), JournalError> {
    let names = disk.list().map_err(|error| io_error(disk.as_ref(), "list", "", error))?;
    for name in names.iter().filter(|name| name.ends_with(".tmp")) {
        disk.remove(name).map_err(|error| io_error(disk.as_ref(), "remove", name, error))?;
    }
    let segments = count_segments(disk.as_ref(), &names)?;
    if segments == 0 {
        return create(disk, options);
    }
    let journal = check_headers(disk.as_ref(), segments)?;
    let mut told = Recovered::default();
    let from = restore(disk.as_ref(), &journal, &names, replica, &mut told)?;
    let mut indexes = load_indexes(disk.as_ref(), &journal, &from, segments, &mut told)?;
    let mut walk = Walk::new(disk.as_ref(), &journal, &from);
    walk.read_all(from.segment + 1, segments, &names, replica, &mut told)?;
    for closed in &mut walk.closed {
        indexes.push(load_or_write(disk.as_ref(), &journal, &names, closed, &mut told)?);
    }
    walk.rewrite_last()?;
    told.segments = walk.current.number;
    told.last = walk.last;
    let Walk { current, last, .. } = walk;
    let next_is_there = current.number < segments;
    let shared = Arc::new(Shared::new(Arc::clone(&disk), journal, Arc::clone(&options.notice), indexes));
    let mut keeper = Keeper::new(shared, options, from.segment)?;
    if next_is_there {
        keeper.already_prepared(open_prepared(disk.as_ref(), current.number + 1)?);
    } else {
        keeper.prepare(current.number + 1);
    }
    let segment = open_prepared(disk.as_ref(), current.number)?;
    let current = Current { segment, end: current.end, first: current.first, entries: current.entries };
    let mut appender = Appender::new(keeper, current, last);
    appender.mark()?;
    let reader = appender.reader();
    Ok((appender, reader, told))
}

/// Makes a journal in an empty folder.
fn create(disk: Arc<dyn Disk>, options: Options) -> Result<(Appender, Reader, Recovered), JournalError> {
    let mut journal = options.new_id.unwrap_or_default();
    if options.new_id.is_none() {
        getrandom::fill(&mut journal).map_err(|error| {
            io_error(disk.as_ref(), "choose an id for", "", std::io::Error::other(error.to_string()))
        })?;
    }
    let shared = Arc::new(Shared::new(disk, journal, Arc::clone(&options.notice), Vec::new()));
    let segment = prepare_segment(&shared, &options, 1, &AtomicBool::new(false))?;
    let mut keeper = Keeper::new(shared, options, 0)?;
    keeper.prepare(2);
    let current = Current { segment, end: SEGMENT_HEADER_BYTES, first: 1, entries: Vec::new() };
    let appender = Appender::new(keeper, current, 0);
    let reader = appender.reader();
    Ok((appender, reader, Recovered { fresh: true, ..Recovered::default() }))
}

fn open_prepared(disk: &dyn Disk, number: u64) -> Result<Prepared, JournalError> {
    let reader = open_segment(disk, number)?;
    Ok(Prepared { number, size: reader.size(), file: reader.file })
}

/// How many segments there are: all from 1 on, or one is missing.
fn count_segments(disk: &dyn Disk, names: &[String]) -> Result<u64, JournalError> {
    let numbers = |prefix, name_of| names.iter().filter_map(move |name| number_in(name, prefix, name_of));
    let segments = numbers("segment-", segment_name).max().unwrap_or(0);
    let is_there = |number: &u64| names.contains(&segment_name(*number));
    if let Some(missing) = (1..=segments).find(|number| !is_there(number)) {
        let why = format!("though {} is there", segment_name(segments));
        return Err(JournalError::Missing { file: place(disk, &segment_name(missing)), why });
    }
    let index = numbers("index-", index_name).max().filter(|number| *number > segments);
    let orphan =
        if segments == 0 { snapshot::among(names).first().map(|seq| snapshot_name(*seq)) } else { None };
    if let Some(proof) = index.map(index_name).or(orphan) {
        let why = format!("though {proof} is there");
        return Err(JournalError::Missing { file: place(disk, &segment_name(segments + 1)), why });
    }
    Ok(segments)
}

/// The journal's id, which all headers must carry.
fn check_headers(disk: &dyn Disk, segments: u64) -> Result<JournalId, JournalError> {
    let journal = open_segment(disk, 1)?.header.journal;
    for number in 2..=segments {
        open_segment(disk, number)?.expect_journal(&journal)?;
    }
    Ok(journal)
}

/// Where the walk through the journal begins: after the last record and segment of a snapshot, or at 0.
struct From {
    seq: Seq,
    segment: u64,
}

fn restore(
    disk: &dyn Disk,
    journal: &JournalId,
    names: &[String],
    replica: &mut dyn Replica,
    told: &mut Recovered,
) -> Result<From, JournalError> {
    let restored = snapshot::restore_newest(disk, journal, replica, |why| told.warnings.push(why))?;
    told.snapshot = restored.as_ref().map(|loaded| loaded.seq);
    let from = restored
        .map_or(From { seq: 0, segment: 0 }, |loaded| From { seq: loaded.seq, segment: loaded.segment });
    // The first batch after a full segment is synced before a snapshot of it is begun.
    if !names.contains(&segment_name(from.segment + 1)) {
        return Err(JournalError::Missing {
            file: place(disk, &segment_name(from.segment + 1)),
            why: format!("though {} is there", snapshot_name(from.seq)),
        });
    }
    Ok(from)
}

/// The indexes of the segments that a snapshot spares the walk.
fn load_indexes(
    disk: &dyn Disk,
    journal: &JournalId,
    from: &From,
    segments: u64,
    told: &mut Recovered,
) -> Result<Vec<Index>, JournalError> {
    let mut indexes = Vec::with_capacity(usize_of(segments));
    let mut last = 0;
    for number in 1..=from.segment {
        let fits = |index: &Index| index.first == last + 1;
        let index = match load_index(disk, journal, number)?.filter(fits) {
            Some(index) => index,
            None => {
                told.warnings.push(made_again(disk, number));
                write_index(disk, journal, &mut read_closed(disk, journal, number)?)?
            }
        };
        if !fits(&index) {
            return Err(JournalError::Damaged {
                file: place(disk, &segment_name(number)),
                offset: SEGMENT_HEADER_BYTES,
                why: format!("it begins with record {} where {} was due", index.first, last + 1),
            });
        }
        last = index.last;
        indexes.push(index);
    }
    if last != from.seq {
        return Err(JournalError::Damaged {
            file: place(disk, &segment_name(from.segment)),
            offset: SEGMENT_HEADER_BYTES,
            why: format!("it ends with record {last}, but the snapshot of it with {}", from.seq),
        });
    }
    Ok(indexes)
}

fn made_again(disk: &dyn Disk, number: u64) -> String {
    format!("{}: missing or damaged, made again from its segment", place(disk, &index_name(number)))
}

/// The index of a full segment that was read just now.
fn load_or_write(
    disk: &dyn Disk,
    journal: &JournalId,
    names: &[String],
    closed: &mut Closed,
    told: &mut Recovered,
) -> Result<Index, JournalError> {
    let fits = |index: &Index| {
        index.first == closed.first && index.last == closed.last && index.entries() == closed.entries.len()
    };
    match load_index(disk, journal, closed.segment)?.filter(fits) {
        Some(index) => Ok(index),
        None => {
            // One that is missing was not made yet when the process stopped.
            if names.contains(&index_name(closed.segment)) {
                told.warnings.push(made_again(disk, closed.segment));
            }
            write_index(disk, journal, closed)
        }
    }
}

/// The way through the segments, record by record.
struct Walk<'a> {
    disk: &'a dyn Disk,
    hash: IdHash,
    last: Seq,
    closed: Vec<Closed>,
    current: Place,
    /// Segment, offset and length of the last batch.
    last_batch: Option<(u64, u64, usize)>,
}

/// The segment that is read, and how far.
struct Place {
    number: u64,
    end: u64,
    first: Seq,
    entries: Vec<Entry>,
}

impl Place {
    fn begin_of(number: u64, first: Seq) -> Place {
        Place { number, end: SEGMENT_HEADER_BYTES, first, entries: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.end == SEGMENT_HEADER_BYTES
    }
}

impl<'a> Walk<'a> {
    fn new(disk: &'a dyn Disk, journal: &JournalId, from: &From) -> Walk<'a> {
        let current = Place::begin_of(from.segment + 1, from.seq + 1);
        let hash = IdHash::new(journal);
        Walk { disk, hash, last: from.seq, closed: Vec::new(), current, last_batch: None }
    }

    /// Reads segments `from` to `to` as far as anything was written.
    fn read_all(
        &mut self,
        from: u64,
        to: u64,
        names: &[String],
        replica: &mut dyn Replica,
        told: &mut Recovered,
    ) -> Result<(), JournalError> {
        for number in from..=to {
            let mut reader = open_segment(self.disk, number)?;
            let place = Place::begin_of(number, self.last + 1);
            let before = std::mem::replace(&mut self.current, place);
            let bad = self.read_segment(&mut reader, replica, told)?;
            let torn_or_empty = bad.is_some() || self.current.is_empty();
            if torn_or_empty {
                let end = bad.unwrap_or(Bad {
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
                told.torn = Some(self.cut(&mut reader)?);
            }
            // A segment counts as full once the next one holds a batch.
            if self.current.is_empty() && number > from {
                self.current = before;
            } else if number > from {
                self.closed.push(Closed {
                    segment: before.number,
                    first: before.first,
                    last: self.current.first - 1,
                    entries: before.entries,
                });
            }
            if torn_or_empty {
                break;
            }
        }
        Ok(())
    }

    /// Reads and applies a segment's batches; what is wrong where they end, if anything is.
    fn read_segment(
        &mut self,
        reader: &mut SegmentReader,
        replica: &mut dyn Replica,
        told: &mut Recovered,
    ) -> Result<Option<Bad>, JournalError> {
        loop {
            match reader.next()? {
                Found::Batch(offset, header) => {
                    if header.first != self.last + 1 || header.synced != self.last {
                        return Err(JournalError::Damaged {
                            file: reader.place(),
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
                        told.records += 1;
                    }
                    told.bytes += header.batch_bytes() as u64;
                    self.current.end = offset + header.batch_bytes() as u64;
                    self.last_batch = Some((self.current.number, offset, header.batch_bytes()));
                }
                Found::End(_) => return Ok(None),
                Found::Bad(bad) => return Ok(Some(bad)),
            }
        }
    }

    /// Refuses a place that is not as it was written, or empty, when anything was written after it.
    fn refuse_if_written_after(
        &self,
        reader: &mut SegmentReader,
        bad: &Bad,
        look_here: bool,
        to: u64,
    ) -> Result<(), JournalError> {
        let mut proof = None;
        if look_here && let Some(at) = reader.written_after(bad)? {
            proof = Some((reader.place(), at));
        }
        for number in self.current.number + 1..=to {
            if proof.is_some() {
                break;
            }
            let mut later = open_segment(self.disk, number)?;
            if let Some(at) = later.first_nonzero(SEGMENT_HEADER_BYTES)? {
                proof = Some((later.place(), at));
            }
        }
        let Some((file, at)) = proof else { return Ok(()) };
        let fault =
            if bad.fault_at == bad.offset { String::new() } else { format!(" (at {})", bad.fault_at) };
        Err(JournalError::Damaged {
            file: reader.place(),
            offset: bad.offset,
            why: format!(
                "{}{fault}; this is no torn tail, for what stands in {file} at offset {at} was written after it was synced",
                bad.why
            ),
        })
    }

    /// Zeroes what follows the last good batch, and syncs that before anything else is written there.
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
        Ok(TornTail { file: reader.place(), offset, bytes: end - offset })
    }

    /// Refuses an end that an index or a snapshot proves to be too early: both are made of a full segment, once
    /// the first batch of the next one is synced.
    fn refuse_if_too_early(&self, names: &[String]) -> Result<(), JournalError> {
        let (number, empty) = (self.current.number, self.current.is_empty());
        let index = names.iter().filter_map(|name| number_in(name, "index-", index_name)).max();
        let index = index.filter(|index| *index >= number || (empty && *index + 1 == number));
        let snapshot = snapshot::among(names).first().copied();
        let snapshot =
            snapshot.filter(|seq| *seq > self.last || (self.last_batch.is_none() && *seq == self.last));
        let Some(proof) = index.map(index_name).or(snapshot.map(snapshot_name)) else { return Ok(()) };
        Err(JournalError::Damaged {
            file: place(self.disk, &segment_name(number)),
            offset: self.current.end,
            why: format!(
                "the journal ends with record {} here; this is no torn tail, for {proof} was made after more was synced",
                self.last
            ),
        })
    }

    /// Writes the last batch again and syncs it. It may have been read from the system's memory only: after a
    /// sync that failed, some systems hold pages for clean that never reached the disk, and a sync alone would
    /// skip them (Rebello et al., ATC 2020). All earlier batches were synced before the next one was written.
    fn rewrite_last(&self) -> Result<(), JournalError> {
        let Some((number, offset, length)) = self.last_batch else { return Ok(()) };
        let mut reader = open_segment(self.disk, number)?;
        let name = reader.name.clone();
        let file = Arc::clone(&reader.file);
        let bytes = reader.bytes(offset, length)?;
        file.write_at(offset, bytes).map_err(|error| write_error(self.disk, &name, offset, length, error))?;
        file.sync().map_err(|error| sync_error(self.disk, &name, error))
    }
}
