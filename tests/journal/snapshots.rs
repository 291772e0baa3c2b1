//! A bank from a snapshot and later records equals the bank from all records.

use crate::journal::support::*;
use consorcio::bank::io::Seq;
use consorcio::journal::{Disk, DiskFile, Faults, JournalError, JournalOptions, MemDisk, open};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn snapshots(disk: &MemDisk) -> Vec<String> {
    let mut names: Vec<String> =
        disk.list().unwrap().into_iter().filter(|name| is_snapshot(name)).collect();
    names.sort();
    names
}

fn is_snapshot(name: &str) -> bool {
    name.starts_with("snapshot-") && !name.ends_with(".tmp")
}

#[test]
fn a_snapshot_and_later_records_equal_the_whole_journal() {
    for after in [1, 2, 5] {
        let disk = MemDisk::new();
        let mut used = 0;
        for last in (0..600).step_by(17) {
            let (mut appender, _, recovered, log) = must_open(disk.clone(), with_snapshots(after));
            assert_records(&log, recovered.last);
            assert_eq!(recovered.records + recovered.snapshot.unwrap_or(0), recovered.last);
            assert_eq!(recovered.snapshot.unwrap_or(0), log.restored);
            used += u64::from(recovered.snapshot.is_some());
            append_up_to(&mut appender, last);
            assert!(snapshots(&disk).len() <= 2);
        }
        assert!(used > 10);
        let (_, _, recovered, log) = must_open(disk.clone(), with_snapshots(after));
        assert_records(&log, recovered.last);
        assert!(recovered.records < 40 * (after + 1), "the start read too much: {recovered}");
        // The same without snapshots.
        let full = disk.copy();
        for name in snapshots(&full) {
            full.remove(&name).unwrap();
        }
        let (_, _, _, all) = must_open(full, small());
        assert_eq!(all.records, log.records);
    }
}

/// A bank may be closed, or killed, when a segment is full and its snapshot is not made yet.
#[test]
fn a_snapshot_that_is_due_is_made_at_the_next_start() {
    for (after, due) in [(1, true), (3, true), (5, false)] {
        let disk = MemDisk::new();
        let (mut appender, reader, ..) = must_open(disk.clone(), with_snapshots(0));
        append_up_to(&mut appender, 60);
        assert_eq!(snapshots(&disk), [""; 0]);
        let seq = reader.indexed_up_to();
        drop((appender, reader));
        let (mut appender, _, recovered, log) = must_open(disk.clone(), with_snapshots(after));
        assert_records(&log, 60);
        assert_eq!(recovered.snapshot, None);
        let expected = due.then(|| format!("snapshot-{seq:020}"));
        assert_eq!(snapshots(&disk), Vec::from_iter(expected), "after {after}");
        append_up_to(&mut appender, 61);
        drop(appender);
        let (_, _, recovered, log) = must_open(disk.clone(), with_snapshots(after));
        assert_records(&log, 61);
        assert_eq!(recovered.snapshot, due.then_some(seq));
    }
}

/// The batch that ends a segment is not durable: no snapshot may have its number.
#[test]
fn a_snapshot_is_named_only_for_durable_records() {
    let syncs = |options: &JournalOptions| {
        let disk = MemDisk::new();
        let (mut appender, ..) = must_open(disk.clone(), options.clone());
        append_up_to(&mut appender, 60);
        disk.syncs()
    };
    let mut made = 0;
    for fails in 1..syncs(&with_snapshots(1)) {
        let disk = MemDisk::new();
        disk.set_faults(Faults { fail_sync: Some(fails), ..Faults::default() });
        let Ok((mut appender, ..)) = try_open(disk.clone(), with_snapshots(1)) else { continue };
        while appender.last() < 60 && append(&mut appender, 1).is_ok() {}
        let last = appender.last();
        for name in snapshots(&disk) {
            let seq: Seq = name.trim_start_matches("snapshot-").parse().unwrap();
            assert!(seq < last, "{name}, but only {last} records are synced");
            made += 1;
        }
    }
    assert!(made > 20, "{made}");
}

#[test]
fn an_unusable_snapshot_costs_only_time() {
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), with_snapshots(1));
    append_up_to(&mut appender, 200);
    appender.close().unwrap();
    let names = snapshots(&disk);
    assert_eq!(names.len(), 2);
    let newest = disk.get(&names[1]);
    let older: u64 = names[0].trim_start_matches("snapshot-").parse().unwrap();
    for byte in (0..newest.len()).filter(|byte| *byte < 128 || byte % 11 == 0) {
        let flipped = disk.copy();
        let mut bytes = newest.clone();
        bytes[byte] ^= 1 << (byte % 8);
        flipped.put(&names[1], bytes);
        let (_, _, recovered, log) = must_open(flipped.clone(), small());
        assert_records(&log, 200);
        assert_eq!(recovered.snapshot, Some(older), "byte {byte}");
        assert!(recovered.warnings[0].contains(&names[1]), "{:?}", recovered.warnings);
        // The older snapshot, too.
        let mut bytes = flipped.get(&names[0]);
        let last = bytes.len() - 1;
        bytes.truncate(last);
        flipped.put(&names[0], bytes);
        let (_, _, recovered, log) = must_open(flipped, small());
        assert_records(&log, 200);
        assert_eq!(
            (recovered.snapshot, recovered.records, recovered.warnings.len()),
            (None, 200, 2)
        );
    }
    // The bank refuses the snapshot's contents.
    let mut log = AppliedLog { refuses: true, ..AppliedLog::default() };
    let (_, _, recovered) =
        open(Arc::new(disk), small(), &mut log).map_err(|error| error.to_string()).unwrap();
    assert_records(&log, 200);
    assert!(recovered.warnings[0].contains("not this one"), "{:?}", recovered.warnings);
}

#[test]
fn a_journal_shorter_than_its_snapshot_is_refused() {
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), with_snapshots(1));
    append_up_to(&mut appender, 200);
    appender.close().unwrap();
    let newest: u64 = snapshots(&disk)[1].trim_start_matches("snapshot-").parse().unwrap();
    // The first segment after it seems never to have been written.
    let names = disk.list().unwrap();
    let indexes =
        names.iter().filter(|name| name.starts_with("index-") || name.starts_with("merged-"));
    let indexed = indexes.map(|name| name[name.len() - 10..].parse::<u64>().unwrap()).max();
    let after = indexed.unwrap() + 1;
    let name = format!("segment-{after:010}");
    let mut bytes = disk.get(&name);
    bytes[64..].fill(0);
    disk.put(&name, bytes);
    let Err(error) = try_open(disk.clone(), small()) else { panic!("the journal opened") };
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(&format!("ends with record {newest}")), "{error}");
    disk.remove(&name).unwrap();
    let _there_or_not = disk.remove(&format!("segment-{:010}", after + 1));
    let Err(error) = try_open(disk, small()) else { panic!("the journal opened") };
    assert!(matches!(error, JournalError::Missing { .. }), "{error}");
}

#[test]
fn a_failure_in_the_background_is_reported_and_appends_continue() {
    let warnings = Arc::new(std::sync::Mutex::new(Vec::new()));
    let here = Arc::clone(&warnings);
    let memory = MemDisk::new();
    let disk = NoSnapshots { memory: memory.clone(), left: AtomicU64::new(1) };
    let notice = Arc::new(move |text: &str| here.lock().unwrap().push(text.to_owned()));
    let (mut appender, reader, ..) =
        must_open(disk, JournalOptions { notice, ..with_snapshots(1) });
    append_up_to(&mut appender, 100);
    let warnings = warnings.lock().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("no snapshot of 1 segments: "), "{warnings:?}");
    assert_eq!(reader.lookup(&tx(50)).unwrap(), Some(record(50)));
    assert_eq!(snapshots(&memory).len(), 2, "later ones are made");
}

/// A disk that can't create the next snapshots.
struct NoSnapshots {
    memory: MemDisk,
    left: AtomicU64,
}

impl Disk for NoSnapshots {
    fn describe(&self) -> String {
        self.memory.describe()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.memory.list()
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.memory.open(name)
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if name.starts_with("snapshot-") && self.left.load(Ordering::Relaxed) > 0 {
            self.left.fetch_sub(1, Ordering::Relaxed);
            return Err(io::Error::other("no snapshots"));
        }
        self.memory.create(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.memory.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.memory.remove(name)
    }
    fn sync_folder(&self) -> io::Result<()> {
        self.memory.sync_folder()
    }
}
