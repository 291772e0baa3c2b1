//! After a long life: what a look-up costs grows with the logarithm of the number of full segments,
//! filters have a bound, and merged indexes lose nothing, whatever happens to them.

use crate::journal::support::*;
use consorcio::bank::io::Seq;
use consorcio::bank::record::Record;
use consorcio::ids::{Time, TxId};
use consorcio::journal::{
    Appender, Disk, DiskFile, Faults, FileDisk, IndexBounds, JournalError, LookupCost, MemDisk,
    Options, Reader, Sizes, dump,
};
use consorcio::limits::{CLOSED_SEGMENTS_IN_MEMORY_MAX, INDEX_FAN_OUT};
use consorcio::wire::Reason;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Records in a segment, about.
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

/// Full segments: not the one in use, nor the next.
fn full(disk: &MemDisk) -> u64 {
    (names(disk, "segment-").len() as u64).saturating_sub(2)
}

fn fill(appender: &mut Appender, disk: &MemDisk, segments: u64) {
    while full(disk) < segments {
        append_up_to(appender, appender.last() + IN_SEGMENT);
    }
}

/// As many indexes as may be left of so many segments.
fn indexes_max(segments: u64) -> u64 {
    (INDEX_FAN_OUT - 1) * u64::from(segments.ilog(INDEX_FAN_OUT) + 1)
}

fn cost_of(reader: &Reader, work: impl FnOnce()) -> LookupCost {
    let before = reader.cost();
    work();
    let after = reader.cost();
    LookupCost {
        filters: after.filters - before.filters,
        pages: after.pages - before.pages,
        ..after
    }
}

/// Every record up to `indexed_up_to` that decides an id is found by it, and no other.
#[track_caller]
fn assert_finds_all(reader: &Reader, last: Seq) {
    let indexed = reader.indexed_up_to();
    for n in 1..=last + 3 {
        let record = record(n);
        let due = (n <= indexed && record.decides().is_some()).then_some(record);
        assert_eq!(reader.lookup(&tx(n)).unwrap(), due, "id of record {n}, {indexed} are indexed");
    }
}

fn bounds(filter_bytes_max: u64, merge_step_entries: u64) -> Options {
    Options { index: IndexBounds { filter_bytes_max, merge_step_entries }, ..small() }
}

#[test]
fn a_look_up_asks_the_logarithm_of_a_thousand_segments() {
    let disk = MemDisk::new();
    let (mut appender, reader, ..) = must_open(disk.clone(), small());
    fill(&mut appender, &disk, 1_000);
    let last = appender.last();
    let check = |reader: &Reader| {
        let most = indexes_max(full(&disk));
        assert_eq!(most, 28);
        let new = cost_of(reader, || {
            (0..1_000).for_each(|n| assert_eq!(reader.lookup(&new_id(n)).unwrap(), None));
        });
        assert!(new.indexes as u64 <= most && new.filters <= most * 1_000, "{new:?}");
        assert!(new.pages < 200, "a filter lets one in a thousand by: {new:?}");
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
fn filters_have_a_bound_and_those_beyond_it_cost_a_page() {
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
    // Without any memory it is right, too.
    let (_, reader, ..) = must_open(disk.copy(), bounds(0, 100));
    assert_eq!(reader.cost().filter_bytes, 0);
    assert_finds_all(&reader, last);
}

/// Appends until power ends; the last record that was acknowledged.
fn run(disk: &MemDisk, options: &Options, acknowledged: Seq, to: Seq) -> Seq {
    let Ok((mut appender, reader, recovered, log)) = try_open(disk.clone(), options.clone()) else {
        return acknowledged;
    };
    assert_records(&log, recovered.last);
    assert!(
        recovered.last >= acknowledged && recovered.warnings.is_empty(),
        "{:?}",
        recovered.warnings
    );
    let mut acknowledged = recovered.last;
    while acknowledged < to {
        if append(&mut appender, (acknowledged % 5 + 1).min(to - acknowledged)).is_err() {
            return acknowledged;
        }
        acknowledged = appender.last();
        // What is merged beside, with power or without, is found; no read can fail but for want of
        // power.
        let oldest = reader.lookup(&tx(1));
        let found = oldest.as_ref().map_or(reader.indexed_up_to() > 0, |found| {
            *found == (reader.indexed_up_to() > 0).then(|| record(1))
        });
        assert!(found, "{oldest:?}");
    }
    acknowledged
}

/// Power ends at each sync of the way from `base` to `to`, and once more while the start after that
/// works.
fn crash_at_every_sync(base: &MemDisk, options: &Options, to: Seq, seeds: u64) {
    let whole = base.copy();
    run(&whole, options, 0, to);
    let (mut merging, mut both) = (0, 0);
    for at in 1..=whole.syncs() {
        for seed in 0..seeds {
            let disk = base.copy();
            disk.set_faults(Faults { stop_at_sync: Some(at), ..Faults::default() });
            let acknowledged = run(&disk, options, 0, to);
            let disk = disk.crash(seed * 1_000 + at);
            let left = names(&disk, "merged-");
            merging += usize::from(left.iter().any(|name| name.ends_with(".tmp")));
            both += usize::from(left.iter().any(|name| {
                let first = &name["merged-".len()..][..10];
                !name.ends_with(".tmp") && !disk.get(&format!("index-{first}")).is_empty()
            }));
            disk.set_faults(Faults {
                stop_at_sync: Some(disk.syncs() + 1 + seed % 5),
                ..Faults::default()
            });
            let acknowledged = run(&disk, options, acknowledged, acknowledged + 2);
            let disk = disk.crash(seed);
            let (appender, reader, recovered, log) = must_open(disk.clone(), options.clone());
            assert!(recovered.last >= acknowledged, "sync {at}, seed {seed}: {recovered}");
            assert_eq!(
                recovered.warnings, [""; 0],
                "sync {at}, seed {seed}: nothing had to be made again"
            );
            assert_records(&log, recovered.last);
            assert_finds_all(&reader, recovered.last);
            assert_eq!(
                names(&disk, "merged-").iter().filter(|name| name.ends_with(".tmp")).count(),
                0
            );
            drop(appender);
        }
    }
    assert!(
        merging > 2 && both > 2,
        "power ended within merges and before removals: {merging}, {both}"
    );
}

#[test]
fn power_that_ends_within_a_merge_costs_nothing() {
    crash_at_every_sync(&MemDisk::new(), &bounds(500, 20), 280, 3);
}

#[test]
fn nor_within_one_of_a_higher_tier() {
    let base = MemDisk::new();
    let options = || Options {
        replica: with_snapshots(3).replica,
        snapshot_after_segments: 3,
        ..bounds(500, 300)
    };
    let (mut appender, ..) = must_open(base.clone(), options());
    fill(&mut appender, &base, 63);
    let last = appender.last();
    drop(appender);
    assert_eq!(names(&base, "merged-").len(), 7);
    let whole = base.copy();
    run(&whole, &options(), last, last + 3 * IN_SEGMENT);
    assert!(names(&whole, "merged-").contains(&"merged-0000000001-0000000064".to_owned()));
    crash_at_every_sync(&base, &options(), last + 3 * IN_SEGMENT, 8);
}

/// A disk that does one thing wrong.
#[derive(Clone)]
struct Odd {
    disk: MemDisk,
    how: Failing,
    times: Arc<AtomicUsize>,
    /// Is the next sync of the folder one that is lost?
    loses: Arc<AtomicBool>,
    /// Segments that were opened, where an index is late.
    opened: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Failing {
    /// Nothing is wrong with it.
    Honest,
    /// Merged indexes can't be made.
    MergeFails,
    RemoveFails,
    /// Merged indexes are never synced, and nobody says so.
    SyncIsLost,
    /// The folder is not synced after a merged index got its name, and nobody says so.
    NameIsLost,
    /// The first index waits until `LATE` segments are full.
    IndexIsLate,
}

impl Odd {
    fn new(disk: &MemDisk, how: Failing) -> Odd {
        Odd {
            disk: disk.clone(),
            how,
            times: Arc::default(),
            loses: Arc::default(),
            opened: Arc::default(),
        }
    }

    fn is(&self, how: Failing, name: &str) -> bool {
        let prefix = if how == Failing::RemoveFails { "index-" } else { "merged-" };
        let is = self.how == how && name.starts_with(prefix);
        self.times.fetch_add(usize::from(is), Ordering::Relaxed);
        is
    }
}

impl Disk for Odd {
    fn describe(&self) -> String {
        self.disk.describe()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if self.how == Failing::IndexIsLate && name.starts_with("segment-") {
            self.opened.lock().unwrap().push(name.to_owned());
        }
        self.disk.open(name)
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if self.is(Failing::MergeFails, name) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if self.how == Failing::IndexIsLate && name.starts_with(&index_name(1)) {
            while full(&self.disk) < LATE {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        if self.how == Failing::IndexIsLate && name.starts_with(&index_name(LATE)) {
            self.times.store(names(&self.disk, "merged-").len(), Ordering::Relaxed);
        }
        let file = self.disk.create(name)?;
        Ok(if self.is(Failing::SyncIsLost, name) { Arc::new(UnsyncedFile(file)) } else { file })
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.loses.store(self.is(Failing::NameIsLost, to), Ordering::Relaxed);
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        if self.is(Failing::RemoveFails, name) {
            return Err(io::Error::other("not now"));
        }
        self.disk.remove(name)
    }
    fn sync_folder(&self) -> io::Result<()> {
        if self.loses.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        self.disk.sync_folder()
    }
}

struct UnsyncedFile(Arc<dyn DiskFile>);

impl DiskFile for UnsyncedFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, bytes)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// As a journal that was written before indexes were merged.
#[test]
fn many_indexes_of_one_segment_are_merged_after_the_start() {
    let disk = MemDisk::new();
    let (mut appender, reader, ..) = must_open(Odd::new(&disk, Failing::MergeFails), small());
    fill(&mut appender, &disk, 150);
    let last = appender.last();
    assert_eq!((reader.cost().indexes as u64, names(&disk, "merged-").len()), (full(&disk), 0));
    assert_finds_all(&reader, last);
    appender.close().unwrap();
    drop(reader);
    for options in [small(), Options { threads: true, ..bounds(500, 20) }] {
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
fn indexes_that_a_merged_one_replaced_are_removed_at_the_next_start() {
    let disk = MemDisk::new();
    let odd = Odd::new(&disk, Failing::RemoveFails);
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
    assert_eq!(disk.get("merged-notes"), b"not ours", "files of others stay");
    assert_eq!(
        (names(&disk, "merged-").len(), disk.get("merged-0000000002-0000000009").len()),
        (4, 8)
    );
}

/// The planted mistake: what was merged is removed though the merged index never reached the disk.
/// It is found, for an honest disk never has to make an index again (above); and it costs no
/// outcome, for the segments tell.
#[test]
fn a_merged_index_that_never_reached_the_disk_is_made_again() {
    let mut told = 0;
    for seed in 0..40 {
        let disk = MemDisk::new();
        let odd = Odd::new(&disk, Failing::SyncIsLost);
        let (mut appender, ..) = must_open(odd, small());
        fill(&mut appender, &disk, 10);
        let last = appender.last();
        let (_, reader, recovered, log) = must_open(disk.crash(seed), small());
        assert_records(&log, last);
        assert_finds_all(&reader, last);
        let named = recovered
            .warnings
            .iter()
            .any(|told| told.contains("merged-0000000001-0000000008: damaged"));
        told += usize::from(named);
    }
    assert!(told > 10, "{told} of 40 crashes are told");
}

/// The same of its name: the folder is not synced before what was merged is removed, and the disk
/// does the removals first. It is found, as above, and costs no outcome.
#[test]
fn a_merged_index_whose_name_never_reached_the_disk_is_missed() {
    let crashed = |how, seed| {
        let disk = MemDisk::new();
        let odd = Odd::new(&disk, how);
        let (mut appender, ..) = must_open(odd.clone(), with_snapshots(0));
        fill(&mut appender, &disk, 6);
        // A start reads no segment that a snapshot tells of.
        appender.snapshot_now().unwrap().unwrap();
        let merged = |name: &String| !name.ends_with(".tmp");
        // Power ends with the first removal after a merge.
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
            warnings.iter().any(|told| told.contains("made again from their segments")),
        );
    }
    println!("missed after {missed} of 40 crashes");
    assert!(missed > 10, "{missed} of 40 crashes are told");
}

fn damaged(whole: &[u8]) -> Vec<Vec<u8>> {
    let flipped = (0..whole.len()).filter(|byte| *byte < 140 || byte % 97 == 0).map(|byte| {
        let mut bytes = whole.to_vec();
        bytes[byte] ^= 1 << (byte % 8);
        bytes
    });
    flipped.chain((0..whole.len()).step_by(499).map(|length| whole[..length].to_vec())).collect()
}

#[test]
fn a_damaged_or_missing_merged_index_is_made_again() {
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), with_snapshots(0));
    fill(&mut appender, &disk, 12);
    // A snapshot spares what it tells of.
    appender.snapshot_now().unwrap().unwrap();
    fill(&mut appender, &disk, 20);
    let last = appender.last();
    appender.close().unwrap();
    let merged = names(&disk, "merged-");
    assert_eq!(merged.len(), 2);
    let mut found_at_start = 0;
    for name in &merged {
        let whole = disk.get(name);
        for bytes in damaged(&whole) {
            let disk = disk.copy();
            disk.put(name, bytes);
            let mut text = Vec::new();
            let summary = dump(&disk, &mut text).unwrap();
            assert!(summary.indexes == [name.as_str()] && summary.faults.is_empty(), "{summary:?}");
            let (mut appender, reader, recovered, _) = must_open(disk.clone(), small());
            let told =
                recovered.warnings.iter().filter(|told| told.contains(name.as_str())).count();
            found_at_start += told;
            if told > 0 {
                assert_finds_all(&reader, last);
                assert_eq!(
                    disk.get(name),
                    whole,
                    "it was made again and merged again, and is the same"
                );
                continue;
            }
            // A page of entries: found when it is read. What it holds is not known until the next
            // segment is full.
            let unknown = (1..=last).filter(|n| reader.lookup(&tx(*n)).is_err()).count();
            assert!(unknown > 0, "nothing was noticed");
            fill(&mut appender, &disk, full(&disk) + 1);
            assert_finds_all(&reader, appender.last());
            assert_eq!(disk.get(name), whole);
        }
        let without = disk.copy();
        without.remove(name).unwrap();
        let (_, reader, recovered, _) = must_open(without.clone(), small());
        assert_finds_all(&reader, last);
        let told = recovered
            .warnings
            .iter()
            .filter(|told| told.contains("made again from their segments"));
        // Segments that were read anyway may have had none yet.
        assert_eq!(told.count(), 1, "{:?}", recovered.warnings);
        assert_eq!(without.get(name), whole);
    }
    assert!(found_at_start > 100);
}

/// A segment that lost records makes no index: that would make of decided ids unknown ones.
#[test]
fn a_damaged_index_of_a_damaged_segment_stays_unreadable() {
    let disk = MemDisk::new();
    let (mut appender, reader, ..) = must_open(disk.clone(), bounds(0, 100));
    fill(&mut appender, &disk, 9);
    let name = &names(&disk, "merged-")[0];
    let mut bytes = disk.get(name);
    let whole = bytes.clone();
    bytes[4096..].fill(7);
    disk.put(name, bytes);
    let mut segment = disk.get("segment-0000000003");
    let used = segment.iter().rposition(|byte| *byte != 0).unwrap();
    segment[used - 3] ^= 1;
    disk.put("segment-0000000003", segment);
    for _ in 0..3 {
        let error = reader.lookup(&tx(1)).unwrap_err();
        assert!(
            matches!(&error, JournalError::Damaged { file, .. } if file.ends_with(name.as_str())),
            "{error}"
        );
        fill(&mut appender, &disk, full(&disk) + 1);
    }
    disk.put(name, whole);
    assert_eq!(reader.lookup(&tx(1)).unwrap(), Some(record(1)));
}

/// Segments that are full before the first of them has its index.
const LATE: u64 = 41;

fn index_name(segment: u64) -> String {
    format!("index-{segment:010}")
}

/// Where segments fill faster than they are indexed, merges go on all the same.
#[test]
fn merges_do_not_wait_for_an_end_of_the_orders() {
    let disk = MemDisk::new();
    let odd = Odd::new(&disk, Failing::IndexIsLate);
    let merged_before_the_last = Arc::clone(&odd.times);
    let (mut appender, reader, ..) = must_open(odd, Options { threads: true, ..small() });
    fill(&mut appender, &disk, LATE);
    let begun = Instant::now();
    while !names(&disk, "index-").contains(&index_name(LATE)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", reader.cost());
        std::thread::yield_now();
    }
    appender.close().unwrap();
    assert!(merged_before_the_last.load(Ordering::Relaxed) >= 2, "{merged_before_the_last:?}");
}

/// Of segments that are full long before their index is made, a few have their ids in memory. The
/// appender waits for none of them, and no outcome is lost.
#[test]
fn ids_of_segments_that_wait_for_their_index_are_read_again() {
    let disk = MemDisk::new();
    let odd = Odd::new(&disk, Failing::IndexIsLate);
    let opened = Arc::clone(&odd.opened);
    let (mut appender, reader, ..) = must_open(odd, Options { threads: true, ..small() });
    // The first index is made once all these are full: an appender that waited would never get
    // there.
    fill(&mut appender, &disk, LATE);
    let read_again = || {
        let opened = opened.lock().unwrap();
        let times = |name: &str| opened.iter().filter(|opened| *opened == name).count();
        // Each is opened once to be written.
        (1..=LATE).filter(|segment| times(&format!("segment-{segment:010}")) > 1).count()
    };
    let begun = Instant::now();
    while reader.indexed_up_to() + 2 * IN_SEGMENT < appender.last() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", reader.cost());
        std::thread::yield_now();
    }
    let waited = usize::try_from(LATE).unwrap() - 2;
    assert!(read_again() >= waited - CLOSED_SEGMENTS_IN_MEMORY_MAX, "{opened:?}");
    assert!(read_again() <= waited + 2 - CLOSED_SEGMENTS_IN_MEMORY_MAX, "{opened:?}");
    assert_finds_all(&reader, appender.last());
    appender.close().unwrap();
}

#[test]
fn merges_beside_the_appends_and_look_ups() {
    let disk = MemDisk::new();
    let options = Options {
        threads: true,
        replica: with_snapshots(9).replica,
        snapshot_after_segments: 9,
        ..bounds(2_000, 64)
    };
    let (mut appender, reader, ..) = must_open(disk.clone(), options.clone());
    let its = reader.clone();
    let looking = std::thread::spawn(move || {
        let mut looked = 0;
        while its.indexed_up_to() < 5_000 {
            let indexed = its.indexed_up_to();
            for n in (1..=indexed).step_by(17) {
                assert_eq!(
                    its.lookup(&tx(n)).unwrap(),
                    record(n).decides().is_some().then(|| record(n))
                );
                looked += 1;
            }
        }
        looked
    });
    append_up_to(&mut appender, 5_500);
    let begun = Instant::now();
    while reader.cost().indexes as u64 > indexes_max(full(&disk)) || reader.indexed_up_to() < 5_000
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", reader.cost());
        std::thread::yield_now();
    }
    assert!(looking.join().unwrap() > 0);
    assert!(reader.cost().filter_bytes <= 2_000);
    appender.close().unwrap();
    assert_finds_all(&reader, 5_500);
    drop(reader);
    let (_, reader, recovered, _) = must_open(disk, options);
    assert_eq!(recovered.warnings, [""; 0]);
    assert_finds_all(&reader, 5_500);
}

/// Cost of a new id and of an old one by the number of full segments: what docs/ARCHITECTURE.md
/// says of it.
#[test]
#[ignore = "a measurement: cargo test --release --test storage journal::history::measure -- \
            --ignored --nocapture"]
fn measure() {
    const IDS: Seq = 4_000;
    const LOOKS: u32 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    for filter_bytes_max in [IndexBounds::default().filter_bytes_max, 4 * 1024 * 1024] {
        let folder = folder.path().join(filter_bytes_max.to_string());
        let options =
            Options { sizes: Sizes::all(640 * 1024), ..bounds(filter_bytes_max, 64 * 1024) };
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
