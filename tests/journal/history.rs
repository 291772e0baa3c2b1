//! A long history: the cost of a look-up grows with the logarithm of the number of full segments,
//! the memory of filters is bounded, and merged indexes lose nothing under any fault.

mod damage;
mod faulty_disk;
mod merges;
mod power;

use crate::journal::support::*;
use consorcio::bank::io::Seq;
use consorcio::bank::record::Record;
use consorcio::ids::{Time, TxId};
use consorcio::journal::{
    Appender, Disk, DiskFile, Faults, FileDisk, IndexBounds, JournalError, JournalOptions,
    JournalReader, LookupCost, MemDisk, SegmentSizes, dump,
};
use consorcio::limits::{CLOSED_SEGMENTS_IN_MEMORY_MAX, INDEX_FAN_OUT};
use consorcio::wire::Reason;
use faulty_disk::{Failing, FaultyDisk};
use merges::{LATE, index_name};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Approximate number of records in a segment.
const IN_SEGMENT: u64 = 15;

fn new_id(n: u64) -> TxId {
    TxId::new(&format!("new-{n}")).unwrap()
}

fn names(disk: &MemDisk, prefix: &str) -> Vec<String> {
    let mut names: Vec<String> =
        disk.list().unwrap().into_iter().filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

/// The full segments, without the one in use and the next.
fn full(disk: &MemDisk) -> u64 {
    (names(disk, "segment-").len() as u64).saturating_sub(2)
}

fn fill(appender: &mut Appender, disk: &MemDisk, segments: u64) {
    while full(disk) < segments {
        append_up_to(appender, appender.last() + IN_SEGMENT);
    }
}

/// The greatest number of indexes for `segments` full segments.
fn indexes_max(segments: u64) -> u64 {
    (INDEX_FAN_OUT - 1) * u64::from(segments.ilog(INDEX_FAN_OUT) + 1)
}

fn cost_of(reader: &JournalReader, work: impl FnOnce()) -> LookupCost {
    let before = reader.cost();
    work();
    let after = reader.cost();
    LookupCost {
        filters: after.filters - before.filters,
        pages: after.pages - before.pages,
        ..after
    }
}

/// A look-up finds every record up to `indexed_up_to` that decides an id, and no other.
#[track_caller]
fn assert_finds_all(reader: &JournalReader, last: Seq) {
    let indexed = reader.indexed_up_to();
    for n in 1..=last + 3 {
        let record = record(n);
        let due = (n <= indexed && record.decides().is_some()).then_some(record);
        assert_eq!(reader.lookup(&tx(n)).unwrap(), due, "id of record {n}, {indexed} are indexed");
    }
}

fn bounds(filter_bytes_max: u64, merge_step_entries: u64) -> JournalOptions {
    JournalOptions { index: IndexBounds { filter_bytes_max, merge_step_entries }, ..small() }
}

#[test]
fn a_look_up_in_a_thousand_segments_costs_their_logarithm() {
    let disk = MemDisk::new();
    let (mut appender, reader, ..) = must_open(disk.clone(), small());
    fill(&mut appender, &disk, 1_000);
    let last = appender.last();
    let check = |reader: &JournalReader| {
        let most = indexes_max(full(&disk));
        assert_eq!(most, 28);
        let new = cost_of(reader, || {
            (0..1_000).for_each(|n| assert_eq!(reader.lookup(&new_id(n)).unwrap(), None));
        });
        assert!(new.indexes as u64 <= most && new.filters <= most * 1_000, "{new:?}");
        assert!(new.pages < 200, "a filter passes about one in a thousand: {new:?}");
        let old: Vec<u64> =
            (1..=1_000).map(|n| n * 13 / 4 * 4 + 1).filter(|n| *n < last - 50).collect();
        for n in &old {
            let one =
                cost_of(reader, || assert_eq!(reader.lookup(&tx(*n)).unwrap(), Some(record(*n))));
            assert!(
                (1..=most).contains(&one.filters) && (1..=12).contains(&one.pages),
                "{n}: {one:?}"
            );
        }
        assert!(old.len() > 900);
        let files = names(&disk, "index-").len() + names(&disk, "merged-").len();
        assert!(files as u64 <= most, "{files} files");
    };
    check(&reader);
    assert_finds_all(&reader, last);
    appender.close().unwrap();
    drop(reader);
    let (_, reader, recovered, _) = must_open(disk.clone(), small());
    assert_eq!(recovered.warnings, [""; 0]);
    check(&reader);
    assert_finds_all(&reader, last);
}

#[test]
fn filters_beyond_the_memory_bound_cost_a_page() {
    const BYTES: u64 = 4_096;
    let disk = MemDisk::new();
    let (mut appender, reader, ..) = must_open(disk.clone(), bounds(BYTES, 100));
    while full(&disk) < 600 {
        append(&mut appender, 12).unwrap();
        assert!(reader.cost().filter_bytes <= BYTES, "{:?}", reader.cost());
    }
    let last = appender.last();
    appender.close().unwrap();
    drop(reader);
    let (_, reader, recovered, _) = must_open(disk.clone(), bounds(BYTES, 100));
    assert_eq!(recovered.warnings, [""; 0]);
    let cost = cost_of(&reader, || {
        (0..1_000).for_each(|n| assert_eq!(reader.lookup(&new_id(n)).unwrap(), None));
    });
    assert!((1..=BYTES).contains(&cost.filter_bytes), "some are in memory: {cost:?}");
    assert!(
        (1_000..4_000).contains(&cost.pages),
        "a page of each of the largest, of which there are few: {cost:?}"
    );
    assert_finds_all(&reader, last);
    // The same without any filter in memory.
    let (_, reader, ..) = must_open(disk.copy(), bounds(0, 100));
    assert_eq!(reader.cost().filter_bytes, 0);
    assert_finds_all(&reader, last);
}

/// A journal from before indexes were merged.
#[test]
fn many_indexes_of_one_segment_are_merged_after_the_start() {
    let disk = MemDisk::new();
    let (mut appender, reader, ..) =
        must_open(FaultyDisk::new(&disk, Failing::MergeFails), small());
    fill(&mut appender, &disk, 150);
    let last = appender.last();
    assert_eq!((reader.cost().indexes as u64, names(&disk, "merged-").len()), (full(&disk), 0));
    assert_finds_all(&reader, last);
    appender.close().unwrap();
    drop(reader);
    for options in [small(), JournalOptions { threads: true, ..bounds(500, 20) }] {
        let disk = disk.copy();
        let (_appender, reader, recovered, _) = must_open(disk.clone(), options);
        assert_eq!(recovered.warnings, [""; 0]);
        let most = usize::try_from(indexes_max(full(&disk))).unwrap();
        let begun = Instant::now();
        while reader.cost().indexes > most {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", reader.cost());
            assert_finds_all(&reader, last);
        }
        assert_finds_all(&reader, last);
    }
}

#[test]
fn replaced_indexes_are_removed_at_the_next_start() {
    let disk = MemDisk::new();
    let odd = FaultyDisk::new(&disk, Failing::RemoveFails);
    let (mut appender, ..) = must_open(odd.clone(), small());
    fill(&mut appender, &disk, 70);
    let last = appender.last();
    appender.close().unwrap();
    assert!(odd.times.load(Ordering::Relaxed) >= 64);
    assert_eq!(names(&disk, "index-").len() as u64, full(&disk));
    for name in ["merged-0000000002-0000000009", "merged-notes", "merged-0000000001-0000000008.old"]
    {
        disk.put(name, b"not ours".to_vec());
    }
    let (_, reader, recovered, _) = must_open(disk.clone(), small());
    assert_eq!(recovered.warnings, [""; 0]);
    assert_finds_all(&reader, last);
    assert!(names(&disk, "index-").len() < 8, "{:?}", names(&disk, "index-"));
    assert_eq!(disk.get("merged-notes"), b"not ours", "another file was removed");
    assert_eq!(
        (names(&disk, "merged-").len(), disk.get("merged-0000000002-0000000009").len()),
        (4, 8)
    );
}

/// Planted fault: the sources of a merge are removed although the merged index never reached the
/// disk. It is detected, because an honest disk never needs a rebuild (above), and it loses no
/// outcome, because the segments still have them.
#[test]
fn a_merged_index_that_never_reached_the_disk_is_rebuilt() {
    let mut reported = 0;
    for seed in 0..40 {
        let disk = MemDisk::new();
        let odd = FaultyDisk::new(&disk, Failing::SyncIsLost);
        let (mut appender, ..) = must_open(odd, small());
        fill(&mut appender, &disk, 10);
        let last = appender.last();
        let (_, reader, recovered, log) = must_open(disk.crash(seed), small());
        assert_records(&log, last);
        assert_finds_all(&reader, last);
        let named = recovered
            .warnings
            .iter()
            .any(|warning| warning.contains("merged-0000000001-0000000008: damaged"));
        reported += usize::from(named);
    }
    assert!(reported > 10, "{reported} of 40 crashes are reported");
}

/// Planted fault: the folder is not synced before the sources of a merge are removed, and the
/// removals reach the disk first. It is detected, and loses no outcome.
#[test]
fn a_merged_index_whose_name_never_reached_the_disk_is_detected() {
    let crashed = |how, seed| {
        let disk = MemDisk::new();
        let odd = FaultyDisk::new(&disk, how);
        let (mut appender, ..) = must_open(odd.clone(), with_snapshots(0));
        fill(&mut appender, &disk, 6);
        // A start does not read segments that a snapshot covers.
        drop(reopen_with_snapshot(appender, &disk));
        let (mut appender, ..) = must_open(odd.clone(), with_snapshots(0));
        let merged = |name: &String| !name.ends_with(".tmp");
        // Power fails with the first removal after a merge.
        while !names(&disk, "merged-").iter().any(merged)
            || !disk.get("index-0000000001").is_empty()
        {
            append(&mut appender, 1).unwrap();
        }
        let last = appender.last();
        let (_, reader, recovered, log) = must_open(disk.crash(seed), small());
        assert_records(&log, last);
        assert_finds_all(&reader, last);
        (odd.times.load(Ordering::Relaxed), recovered.warnings)
    };
    let mut missed = 0;
    for seed in 0..40 {
        assert_eq!(
            crashed(Failing::Honest, seed).1,
            [""; 0],
            "an honest disk has the one or the others"
        );
        let (times, warnings) = crashed(Failing::NameIsLost, seed);
        assert_eq!(times, 1, "one merge");
        missed += usize::from(
            warnings.iter().any(|warning| warning.contains("made again from their segments")),
        );
    }
    println!("missed after {missed} of 40 crashes");
    assert!(missed > 10, "{missed} of 40 crashes are detected");
}

/// The cost of a new and an old id by the number of full segments, for docs/ARCHITECTURE.md.
#[test]
#[ignore = "a measurement: cargo test --release --test storage journal::history::measure -- \
            --ignored --nocapture"]
fn measure() {
    const IDS: Seq = 4_000;
    const LOOKS: u32 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    for filter_bytes_max in [IndexBounds::default().filter_bytes_max, 4 * 1024 * 1024] {
        let folder = folder.path().join(filter_bytes_max.to_string());
        let options = JournalOptions {
            sizes: SegmentSizes::all(640 * 1024),
            ..bounds(filter_bytes_max, 64 * 1024)
        };
        let (mut appender, reader, ..) = must_open(FileDisk::open(folder).unwrap(), options);
        let id = |n: Seq| TxId::new(&format!("{n:016}")).unwrap();
        let mut segments = 0;
        for most in [10, 100, 1_000] {
            while segments < most {
                let mut batch = appender.batch();
                let last = appender.last();
                for n in last + 1..=last + IDS {
                    batch.push(
                        n,
                        &Record::Refused { tx: id(n), time: Time(1), reason: Reason::Expired },
                    );
                }
                let before = reader.indexed_up_to();
                appender.append(&mut batch).unwrap();
                segments += usize::from(reader.indexed_up_to() > before);
            }
            let begun = Instant::now();
            let new = cost_of(&reader, || {
                (0..u64::from(LOOKS))
                    .for_each(|n| assert_eq!(reader.lookup(&new_id(n)).unwrap(), None));
            });
            let new_took = begun.elapsed() / LOOKS;
            let begun = Instant::now();
            let old = cost_of(&reader, || {
                for n in 0..u64::from(LOOKS) {
                    let n = 1 + n * 7_919_993 % reader.indexed_up_to();
                    assert!(reader.lookup(&id(n)).unwrap().is_some(), "{n}");
                }
            });
            let old_took = begun.elapsed() / LOOKS;
            let each = |count: u64| f64::from(u32::try_from(count).unwrap()) / f64::from(LOOKS);
            println!(
                "{most} segments, {} ids, {} indexes, {} KiB of filters: a new id {new_took:?}, \
                 {:.1} filters, {:.2} \
                 pages; an old one {old_took:?}, {:.1} filters, {:.2} pages",
                reader.indexed_up_to(),
                new.indexes,
                new.filter_bytes / 1024,
                each(new.filters),
                each(new.pages),
                each(old.filters),
                each(old.pages),
            );
        }
    }
}
