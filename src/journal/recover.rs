//! Opening a journal: its records are replayed into a bank, a torn tail is cut off, and any other
//! damage is rejected. `walk.rs` distinguishes the two.

use super::append::{Appender, Current};
use super::cover::Cover;
use super::disk::Disk;
use super::ended::{ended_name, last_ended};
use super::ends::DueView;
use super::format::SegmentSpan;
use super::format::{
    JournalId, SEGMENT_HEADER_BYTES, is_unfinished, number_in, segment_name, snapshot_name,
};
use super::index::last_indexed;
use super::keeper::{Keeper, PreparedSegment, prepare_segment};
use super::recovered::{Recovered, ReplayStart};
use super::segment::{old_sizes, open_of_any_size, open_segment};
use super::shared::SharedJournal;
use super::walk::Walk;
use super::{
    JournalError, JournalOptions, JournalReader, Replica, display_path, io_error, snapshot,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Opens the journal in `disk`'s folder, or creates one, and replays it into `replica`, an empty
/// bank.
///
/// # Errors
/// If anything that was durable is damaged or missing, naming file and offset; if the files are of
/// a newer version; if the disk fails.
pub fn open(
    disk: Arc<dyn Disk>,
    options: JournalOptions,
    replica: &mut dyn Replica,
) -> Result<(Appender, JournalReader, Recovered), JournalError> {
    let names = disk.list().map_err(|error| io_error(disk.as_ref(), "list", "", error))?;
    for name in names.iter().filter(|name| is_unfinished(name)) {
        disk.remove(name).map_err(|error| io_error(disk.as_ref(), "remove", name, error))?;
    }
    let segments = count_segments(disk.as_ref(), &names)?;
    if segments == 0 {
        return create(disk, options);
    }
    let journal = check_headers(disk.as_ref(), segments, &options)?;
    let mut recovered = Recovered::default();
    let from = restore(disk.as_ref(), &journal, &names, replica, &mut recovered)?;
    let mut walk = Walk::new(disk.as_ref(), &journal, &from);
    walk.snapshot_after = options.snapshot_after_segments;
    walk.read_all(from.segment + 1, segments, &names, replica, &mut recovered)?;
    let cover = Cover::new(disk.as_ref(), &journal, &names, &from, &mut walk.closed);
    let indexes = cover.find(options.index.filter_bytes_max, &mut recovered)?;
    walk.rewrite_last()?;
    recovered.segments = walk.current.number;
    recovered.last = walk.last;
    let Walk { current, last, due, .. } = walk;
    let next_is_there = current.number < segments;
    let shared = Arc::new(SharedJournal::new(Arc::clone(&disk), journal, &options, indexes));
    shared.plan.set_covered(from.segment);
    // A bank that stopped between the end of a segment and its snapshot makes it now.
    if let Some((segment, view)) = due {
        shared.plan.keep(DueView::new(&shared.plan, view, segment));
    }
    let mut keeper = Keeper::new(shared, options)?;
    if next_is_there {
        keeper.already_prepared(open_prepared(disk.as_ref(), current.number + 1)?);
    } else {
        keeper.prepare(current.number + 1);
    }
    let segment = open_prepared(disk.as_ref(), current.number)?;
    let current =
        Current { segment, end: current.end, first: current.first, entries: current.entries };
    let mut appender = Appender::new(keeper, current, last);
    appender.mark()?;
    let reader = appender.reader();
    Ok((appender, reader, recovered))
}

/// Creates a journal in an empty folder.
fn create(
    disk: Arc<dyn Disk>,
    options: JournalOptions,
) -> Result<(Appender, JournalReader, Recovered), JournalError> {
    let mut journal = options.new_id.unwrap_or_default();
    if options.new_id.is_none() {
        getrandom::fill(&mut journal).map_err(|error| {
            io_error(
                disk.as_ref(),
                "choose an id for",
                "",
                std::io::Error::other(error.to_string()),
            )
        })?;
    }
    let shared = Arc::new(SharedJournal::new(disk, journal, &options, Vec::new()));
    let segment = prepare_segment(&shared, &options, 1, 0, &AtomicBool::new(false))?;
    let mut keeper = Keeper::new(shared, options)?;
    keeper.prepare(2);
    let current = Current { segment, end: SEGMENT_HEADER_BYTES, first: 1, entries: Vec::new() };
    let appender = Appender::new(keeper, current, 0);
    let reader = appender.reader();
    Ok((appender, reader, Recovered { fresh: true, ..Recovered::default() }))
}

fn open_prepared(disk: &dyn Disk, number: u64) -> Result<PreparedSegment, JournalError> {
    let reader = open_segment(disk, number)?;
    Ok(PreparedSegment { number, size: reader.size(), file: reader.file })
}

/// The number of segments. All from 1 on must exist.
fn count_segments(disk: &dyn Disk, names: &[String]) -> Result<u64, JournalError> {
    let numbers = names.iter().filter_map(|name| number_in(name, "segment-", segment_name));
    let there: BTreeSet<u64> = numbers.collect();
    let segments = there.last().copied().unwrap_or(0);
    if let Some(missing) = (1..=segments).find(|number| !there.contains(number)) {
        let why = format!("though {} is there", segment_name(segments));
        return Err(JournalError::Missing {
            file: display_path(disk, &segment_name(missing)),
            why,
        });
    }
    let index = last_indexed(names).filter(|span| span.last > segments);
    let orphan = || {
        let snapshot = snapshot::among(names).first().map(|seq| snapshot_name(*seq));
        snapshot.or(last_ended(names).map(ended_name)).filter(|_| segments == 0)
    };
    if let Some(proof) = index.map(SegmentSpan::name).or_else(orphan) {
        let why = format!("though {proof} is there");
        return Err(JournalError::Missing {
            file: display_path(disk, &segment_name(segments + 1)),
            why,
        });
    }
    Ok(segments)
}

/// The journal's id. Checks that all headers have it, that all files have their original length,
/// and that the bank owns them.
fn check_headers(
    disk: &dyn Disk,
    segments: u64,
    options: &JournalOptions,
) -> Result<JournalId, JournalError> {
    let journal = open_of_any_size(disk, 1)?.header.journal;
    let old = old_sizes(disk, &(1..=segments).collect::<Vec<_>>(), options.sizes)?;
    for number in 1..=segments {
        let reader = open_of_any_size(disk, number)?;
        reader.expect_journal(&journal)?;
        if let (Some(found), Some(own)) = (reader.header.bank, options.bank)
            && found != own
        {
            return Err(JournalError::OtherBank { file: reader.display_path(), found, own });
        }
        reader.expect_size(Some(old.of(number)))?;
    }
    Ok(journal)
}

fn restore(
    disk: &dyn Disk,
    journal: &JournalId,
    names: &[String],
    replica: &mut dyn Replica,
    recovered: &mut Recovered,
) -> Result<ReplayStart, JournalError> {
    let restored =
        snapshot::restore_newest(disk, journal, replica, |why| recovered.warnings.push(why))?;
    recovered.snapshot = restored.as_ref().map(|loaded| loaded.seq);
    let from = restored.map_or(ReplayStart { seq: 0, segment: 0 }, |loaded| ReplayStart {
        seq: loaded.seq,
        segment: loaded.segment,
    });
    // A snapshot is begun only after the first batch behind the last full segment is synced.
    if !names.contains(&segment_name(from.segment + 1)) {
        return Err(JournalError::Missing {
            file: display_path(disk, &segment_name(from.segment + 1)),
            why: format!("though {} is there", snapshot_name(from.seq)),
        });
    }
    Ok(from)
}
