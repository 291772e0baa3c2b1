//! Opening a journal: what is there is read back into a bank, a torn tail is cut, and anything else that is
//! not as it was written is refused.
//! How those two are told apart: `walk.rs`.

use super::append::{Appender, Current};
use super::disk::Disk;
use super::format::{
    JournalId, SEGMENT_HEADER_BYTES, index_name, is_unfinished, number_in, segment_name, snapshot_name,
    usize_of,
};
use super::index::{Closed, Index, load_index, read_closed, write_index};
use super::keeper::{Keeper, Prepared, prepare_segment};
use super::read::Shared;
use super::segment::{old_sizes, open_of_any_size, open_segment};
use super::walk::Walk;
use super::{JournalError, Options, Reader, Replica, io_error, place, snapshot};
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
    for name in names.iter().filter(|name| is_unfinished(name)) {
        disk.remove(name).map_err(|error| io_error(disk.as_ref(), "remove", name, error))?;
    }
    let segments = count_segments(disk.as_ref(), &names)?;
    if segments == 0 {
        return create(disk, options);
    }
    let journal = check_headers(disk.as_ref(), segments, &options)?;
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
    let segment = prepare_segment(&shared, &options, 1, 0, &AtomicBool::new(false))?;
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

/// The journal's id, which all headers must carry. All files must be as long as they were made, and ours.
fn check_headers(disk: &dyn Disk, segments: u64, options: &Options) -> Result<JournalId, JournalError> {
    let journal = open_of_any_size(disk, 1)?.header.journal;
    let old = old_sizes(disk, &(1..=segments).collect::<Vec<_>>(), options.sizes)?;
    for number in 1..=segments {
        let reader = open_of_any_size(disk, number)?;
        reader.expect_journal(&journal)?;
        if let (Some(found), Some(own)) = (reader.header.bank, options.bank)
            && found != own
        {
            return Err(JournalError::OtherBank { file: reader.place(), found, own });
        }
        reader.expect_size(Some(old.of(number)))?;
    }
    Ok(journal)
}

/// Where the walk through the journal begins: after the last record and segment of a snapshot, or at 0.
pub(super) struct From {
    pub seq: Seq,
    pub segment: u64,
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
