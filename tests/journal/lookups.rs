//! Indexes find old outcomes, and new ids cost no read.

use crate::journal::support::*;
use consorcio::ids::TxId;
use consorcio::journal::{JournalError, JournalOptions, JournalReader, MemDisk, SegmentSizes};

/// The index finds every record up to `indexed_up_to` that decides an id, and no other.
#[track_caller]
fn assert_finds_all(reader: &JournalReader, last: u64) {
    let indexed = reader.indexed_up_to();
    for n in 1..=last + 5 {
        let record = record(n);
        let due = (n <= indexed && record.decides().is_some()).then_some(record);
        assert_eq!(reader.lookup(&tx(n)).unwrap(), due, "id of record {n}");
    }
}

#[test]
fn outcomes_in_full_segments_are_found() {
    let disk = MemDisk::new();
    let (mut appender, reader, ..) = must_open(disk.clone(), small());
    assert_eq!((reader.indexed_up_to(), reader.lookup(&tx(1)).unwrap()), (0, None));
    for last in [50, 100, 400] {
        append_up_to(&mut appender, last);
        assert!(reader.indexed_up_to() >= last - 40, "{}", reader.indexed_up_to());
        assert_finds_all(&reader, last);
    }
    drop(appender);
    // From the index files, and with a snapshot that covers the segments.
    for options in [small(), with_snapshots(1)] {
        let (mut appender, reader, recovered, _) = must_open(disk.clone(), options);
        assert!(recovered.warnings.is_empty(), "{:?}", recovered.warnings);
        assert_finds_all(&reader, appender.last());
        let more = appender.last() + 50;
        append_up_to(&mut appender, more);
        assert_finds_all(&reader, more);
    }
    let (_, reader, recovered, log) = must_open(disk, small());
    assert!(recovered.snapshot.is_some() && recovered.warnings.is_empty());
    assert!(log.forgotten <= reader.indexed_up_to(), "a forgotten outcome is not indexed");
    assert_finds_all(&reader, recovered.last);
}

#[test]
fn a_new_id_costs_no_read_and_one_that_passes_a_filter_is_not_found() {
    let disk = MemDisk::new();
    let (mut appender, reader, ..) =
        must_open(disk.clone(), JournalOptions { sizes: SegmentSizes::all(16 * 1024), ..small() });
    append_up_to(&mut appender, 5000);
    let mut passed = 0;
    for n in 0..50_000 {
        let before = disk.reads();
        assert_eq!(reader.lookup(&TxId::new(&format!("new-{n}")).unwrap()).unwrap(), None);
        passed += u64::from(disk.reads() > before);
    }
    let full = 5000 / 250;
    assert!(passed > 0, "the filters pass no id");
    assert!(passed < 50_000 * full / 200, "{passed} of 50,000 new ids cost reads");
}

#[test]
fn a_damaged_or_missing_index_is_rebuilt() {
    const LAST: u64 = 100;
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), with_snapshots(0));
    append_up_to(&mut appender, 50);
    // A snapshot covers some of the segments; the start reads the others. They are too few to be
    // merged.
    let mut appender = reopen_with_snapshot(appender, &disk);
    append_up_to(&mut appender, LAST);
    appender.close().unwrap();
    let name = |number: u64| format!("index-{number:010}");
    let last = (1..).take_while(|number| !disk.get(&name(*number)).is_empty()).last().unwrap();
    assert!((5..8).contains(&last), "{last}");
    for number in [1, 2, last - 1, last] {
        let whole = disk.get(&name(number));
        let without = disk.copy();
        consorcio::journal::Disk::remove(&without, &name(number)).unwrap();
        let (_, reader, recovered, _) = must_open(without.clone(), small());
        // A segment that the start read anyway may have had no index yet.
        let reports =
            recovered.warnings.iter().filter(|warning| warning.contains(&name(number))).count();
        assert_eq!(reports, usize::from(number <= 2), "{:?}", recovered.warnings);
        assert_finds_all(&reader, LAST);
        assert_eq!(without.get(&name(number)), whole);
        for byte in (0..whole.len()).filter(|byte| *byte < 260 || byte % 31 == 0) {
            let flipped = disk.copy();
            let mut bytes = whole.clone();
            bytes[byte] ^= 1 << (byte % 8);
            flipped.put(&name(number), bytes);
            let (_, reader, ..) = must_open(flipped.clone(), small());
            assert_finds_all(&reader, LAST);
        }
        for length in (0..whole.len()).step_by(97) {
            let cut = disk.copy();
            cut.put(&name(number), whole[..length].to_vec());
            let (_, reader, ..) = must_open(cut, small());
            assert_finds_all(&reader, LAST);
        }
    }
}

#[test]
fn an_index_damaged_while_in_use_is_rebuilt() {
    let disk = MemDisk::new();
    let (mut appender, reader, ..) = must_open(disk.clone(), small());
    append_up_to(&mut appender, 100);
    disk.put("index-0000000001", vec![7; 5000]);
    // A removed index stays open, and the next start rebuilds it.
    consorcio::journal::Disk::remove(&disk, "index-0000000002").unwrap();
    assert_finds_all(&reader, 100);
    assert_ne!(disk.get("index-0000000001"), vec![7; 5000]);
    drop((appender, reader));
    let (_, reader, ..) = must_open(disk.clone(), small());
    assert_finds_all(&reader, 100);
    assert!(!disk.get("index-0000000002").is_empty());
}

/// With more segments than open files the least recently used ones are opened again.
#[test]
fn outcomes_are_found_in_more_segments_than_files_stay_open() {
    let disk = MemDisk::new();
    let (mut appender, reader, ..) = must_open(disk, small());
    append_up_to(&mut appender, 4_000);
    assert!(reader.indexed_up_to() > 3_900);
    assert_finds_all(&reader, 4_000);
}

#[test]
fn a_damaged_record_is_reported_with_file_and_offset() {
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), with_snapshots(1));
    append_up_to(&mut appender, 100);
    appender.close().unwrap();
    let name = "segment-0000000001";
    let mut bytes = disk.get(name);
    // The first record: the segment's header has 64 bytes, the batch's 32, the record's 8.
    bytes[64 + 32 + 8 + 2] ^= 1;
    disk.put(name, bytes);
    // A snapshot covers the segment; its damage shows when the record is read.
    let (_, reader, recovered, _) = must_open(disk, with_snapshots(1));
    assert!(recovered.snapshot.is_some());
    let error = reader.lookup(&tx(1)).unwrap_err();
    assert!(
        matches!(&error, JournalError::Damaged { file, offset: 96, .. } if file.ends_with(name)),
        "{error}"
    );
    assert_eq!(reader.lookup(&tx(2)).unwrap(), Some(record(2)));
}

#[test]
fn indexed_records_are_found_during_appends() {
    let options =
        JournalOptions { threads: true, sizes: SegmentSizes::all(8 * 1024), ..with_snapshots(3) };
    let (mut appender, reader, ..) = must_open(MemDisk::new(), options);
    let its = reader.clone();
    let looking = std::thread::spawn(move || {
        let mut n = 1;
        while n < 5000 {
            let indexed = its.indexed_up_to();
            while n <= indexed.min(5000) {
                assert_eq!(
                    its.lookup(&tx(n)).unwrap(),
                    record(n).decides().is_some().then(|| record(n))
                );
                n += 1;
            }
            std::thread::yield_now();
        }
    });
    append_up_to(&mut appender, 6000);
    // Full segments get their indexes even if the journal is closed at once.
    appender.close().unwrap();
    assert!(reader.indexed_up_to() > 5800, "{}", reader.indexed_up_to());
    looking.join().unwrap();
}
