//! Append, read back and continue; the reports of faults; the refusals of the appender.

use crate::journal::support::*;
use consorcio::journal::{Faults, JournalError, JournalOptions, MemDisk, Room, SegmentSizes, dump};
use std::sync::{Arc, Mutex};

#[test]
fn appended_records_are_read_back() {
    let disk = MemDisk::new();
    let (mut appender, _, recovered, log) = must_open(disk.clone(), small());
    assert!(recovered.fresh && log.records.is_empty());
    append_up_to(&mut appender, 100);
    drop(appender);
    for last in [100, 101, 160, 500] {
        let (mut appender, _, recovered, log) = must_open(disk.clone(), small());
        let before = recovered.last;
        assert_records(&log, before);
        assert_eq!((recovered.records, recovered.fresh, &recovered.torn), (before, false, &None));
        assert!(recovered.warnings.is_empty(), "{:?}", recovered.warnings);
        append_up_to(&mut appender, last);
        assert_eq!(appender.last(), last);
        appender.close().unwrap();
    }
    let (_, _, recovered, log) = must_open(disk, small());
    assert_records(&log, 500);
    assert!(recovered.segments > 5, "{recovered}");
}

#[test]
fn one_sync_for_a_batch() {
    let disk = MemDisk::new();
    let (mut appender, ..) =
        must_open(disk.clone(), JournalOptions { sizes: SegmentSizes::all(1 << 20), ..small() });
    for count in [1, 10, 1000] {
        let (syncs, writes) = (disk.syncs(), disk.writes());
        append(&mut appender, count).unwrap();
        assert_eq!((disk.syncs() - syncs, disk.writes() - writes), (1, 1), "{count} records");
    }
}

#[test]
fn appended_records_are_read_back_with_threads() {
    let disk = MemDisk::new();
    let options = || JournalOptions { threads: true, ..with_snapshots(2) };
    let (mut appender, ..) = must_open(disk.clone(), options());
    append_up_to(&mut appender, 2000);
    appender.close().unwrap();
    let (_, _, recovered, log) = must_open(disk, options());
    assert_records(&log, 2000);
    assert!(recovered.torn.is_none());
}

#[test]
fn a_batch_larger_than_a_segment_has_one_for_itself() {
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), small());
    for count in [1, 300, 1, 300, 300, 2] {
        append(&mut appender, count).unwrap();
    }
    drop(appender);
    let (_, _, _, log) = must_open(disk, small());
    assert_records(&log, 904);
}

#[test]
fn records_with_wrong_numbers_are_refused() {
    let (mut appender, ..) = must_open(MemDisk::new(), small());
    append(&mut appender, 3).unwrap();
    let mut batch = appender.batch();
    batch.push(5, &record(5));
    let error = appender.append(&mut batch).unwrap_err();
    assert!(matches!(error, JournalError::Order { expected: 4, found: 5 }), "{error}");
    append(&mut appender, 1).unwrap();
}

#[test]
fn after_a_failed_sync_appends_fail_and_a_restart_finds_every_acknowledged_record() {
    for seed in 0..20 {
        let disk = MemDisk::new();
        let (mut appender, ..) = must_open(disk.clone(), small());
        append_up_to(&mut appender, 30);
        disk.set_faults(Faults { fail_sync: Some(disk.syncs() + 1), ..Faults::default() });
        let error = append(&mut appender, 2).unwrap_err();
        assert!(matches!(error, JournalError::Sync { .. }), "{error}");
        assert!(error.to_string().contains("segment-0000000"), "{error}");
        disk.set_faults(Faults::default());
        let error = append(&mut appender, 1).unwrap_err();
        assert!(matches!(error, JournalError::Stopped(_)), "{error}");
        // The process ends, and the machine does not: the start reads the batch from the page
        // cache, although it is not on disk. After the start has built on it, it must not get lost.
        let disk = disk.kill();
        let (appender, _, _, log) = must_open(disk.clone(), small());
        assert_records(&log, 32);
        drop(appender);
        let (_, _, _, log) = must_open(disk.crash(seed), small());
        assert_records(&log, 32);
    }
}

#[test]
fn after_a_failed_write_appends_fail() {
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), small());
    append_up_to(&mut appender, 30);
    disk.set_faults(Faults { fail_write: Some(disk.writes() + 1), ..Faults::default() });
    let error = append(&mut appender, 2).unwrap_err();
    assert!(matches!(error, JournalError::Write { .. }), "{error}");
    assert!(matches!(append(&mut appender, 1).unwrap_err(), JournalError::Stopped(_)));
    let (_, _, recovered, log) = must_open(disk.kill(), small());
    assert_records(&log, 30);
    assert!(recovered.torn.is_some_and(|torn| torn.bytes > 0));
}

#[test]
fn a_full_disk_is_reported_and_loses_no_acknowledged_record() {
    for room in (3000..20_000).step_by(97) {
        let disk = MemDisk::new();
        disk.set_faults(Faults { room: Some(room), ..Faults::default() });
        let mut last = 0;
        let error = match try_open(disk.clone(), small()) {
            Err(error) => error,
            Ok((mut appender, ..)) => loop {
                match append(&mut appender, 3) {
                    Ok(()) => last = appender.last(),
                    Err(error) => break error,
                }
            },
        };
        assert!(matches!(error, JournalError::DiskFull { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("segment-00000000") && text.contains("no room for "), "{text}");
        // With free space, for the pending indexes too, the journal continues.
        let disk = disk.kill();
        disk.set_faults(Faults { room: Some(room + 100_000), ..Faults::default() });
        let (mut appender, _, _, log) = must_open(disk, small());
        assert_records(&log, last);
        append(&mut appender, 3).unwrap();
    }
}

#[test]
fn a_dump_prints_every_record_and_the_position_of_damage() {
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), small());
    append_up_to(&mut appender, 200);
    let mut text = Vec::new();
    let summary = dump(&disk, &mut text).unwrap();
    assert_eq!((summary.records, summary.last, &summary.faults), (200, 200, &Vec::new()));
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 200);
    assert_eq!(lines[0], "1 segment-0000000001:96 refused t-1 time=1 expired");
    assert!(
        lines[1].contains("decided t-2 COMMITTED time=2 own-vote=7 votes=0@1,2@2"),
        "{}",
        lines[1]
    );
    let name = "segment-0000000002";
    let mut bytes = disk.get(name);
    bytes[300] ^= 1;
    disk.put(name, bytes);
    let mut text = Vec::new();
    let summary = dump(&disk, &mut text).unwrap();
    assert!(summary.records >= 195 && summary.records < 200 && summary.last == 200, "{summary:?}");
    assert_eq!(
        summary.faults.len(),
        2,
        "expected the position, and the missing numbers: {summary:?}"
    );
    assert!(
        summary.faults[0].contains(name) && summary.faults[0].contains("at offset 2"),
        "{summary:?}"
    );
}

/// The operator gets a warning long before the disk is full, and the journal continues by itself.
#[test]
fn a_full_disk_and_its_end_are_reported_at_once() {
    let notices = Arc::new(Mutex::new(Vec::<String>::new()));
    let sink = Arc::clone(&notices);
    let notice: consorcio::journal::NoticeSink =
        Arc::new(move |text| sink.lock().unwrap().push(text.to_owned()));
    let is_reported = |words: [&str; 2]| {
        notices.lock().unwrap().iter().any(|line| words.iter().all(|word| line.contains(word)))
    };
    let disk = MemDisk::new();
    let sizes = SegmentSizes { first: 4096, full: 64 * 1024 };
    let options =
        || JournalOptions { threads: true, sizes, notice: Arc::clone(&notice), ..small() };
    let (mut appender, reader, ..) = must_open(disk.clone(), options());
    wait_until(|| !disk.get("segment-0000000002").is_empty());
    disk.set_faults(Faults { room: Some(0), ..Faults::default() });
    while disk.get("segment-0000000002")[64] == 0 {
        append(&mut appender, 1).unwrap();
    }
    wait_until(|| is_reported(["segment-0000000003", "disk full"]));
    assert_eq!(reader.room(0), Room::Outcomes);
    let names = consorcio::journal::Disk::list(&disk).unwrap();
    assert!(
        !names.contains(&"segment-0000000003.tmp".to_owned()),
        "a temporary file is left: {names:?}"
    );
    append(&mut appender, 3).unwrap();
    disk.set_faults(Faults::default());
    wait_until(|| is_reported(["segment-0000000003", "is there now"]));
    assert_eq!(reader.room(usize::MAX), Room::Anything);
    append_up_to(&mut appender, 1_000);
    let last = appender.last();
    drop((appender, reader));
    assert_records(&must_open(disk, options()).3, last);
}
