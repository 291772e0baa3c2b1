//! A bank from a snapshot and later records equals the bank from all records.

use crate::journal::support::*;
use consorcio::journal::{Disk, JournalError, JournalOptions, MemDisk, open};
use std::sync::Arc;

fn snapshots(disk: &MemDisk) -> Vec<String> {
    let mut names: Vec<String> =
        disk.list().unwrap().into_iter().filter(|name| name.starts_with("snapshot-")).collect();
    names.sort();
    names
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

#[test]
fn a_snapshot_is_made_on_request() {
    let disk = MemDisk::new();
    let (mut appender, reader, ..) = must_open(disk.clone(), with_snapshots(0));
    assert_eq!(appender.snapshot_now().unwrap(), None, "a snapshot without a full segment");
    append_up_to(&mut appender, 100);
    assert_eq!(snapshots(&disk), [""; 0]);
    let seq = appender.snapshot_now().unwrap().unwrap();
    assert_eq!(seq, reader.indexed_up_to());
    assert_eq!(appender.snapshot_now().unwrap(), None, "a snapshot without new records");
    append_up_to(&mut appender, 150);
    let newer = appender.snapshot_now().unwrap().unwrap();
    assert!(newer > seq);
    assert_eq!(snapshots(&disk), [format!("snapshot-{seq:020}"), format!("snapshot-{newer:020}")]);
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
fn damage_is_not_replayed_into_a_snapshot() {
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), with_snapshots(0));
    append_up_to(&mut appender, 100);
    let mut bytes = disk.get("segment-0000000002");
    bytes[500] ^= 1;
    disk.put("segment-0000000002", bytes);
    let error = appender.snapshot_now().unwrap_err();
    assert!(
        matches!(
            &error,
            JournalError::Damaged { file, .. } if file.ends_with("segment-0000000002")
        ),
        "{error}"
    );
    append(&mut appender, 1).unwrap();
    assert_eq!(snapshots(&disk), [""; 0]);
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
    let disk = MemDisk::new();
    let notice = Arc::new(move |text: &str| here.lock().unwrap().push(text.to_owned()));
    let (mut appender, reader, ..) =
        must_open(disk.clone(), JournalOptions { notice, ..with_snapshots(1) });
    append_up_to(&mut appender, 10);
    let mut bytes = disk.get("segment-0000000001");
    bytes[200] ^= 1;
    disk.put("segment-0000000001", bytes);
    append_up_to(&mut appender, 100);
    assert!(warnings.lock().unwrap()[0].contains("no snapshot"), "{warnings:?}");
    assert_eq!(reader.lookup(&tx(50)).unwrap(), Some(record(50)));
}
