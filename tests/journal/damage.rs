//! Damaged journals: a torn tail is truncated and reported, any other damage is refused.

use crate::journal::support::*;
use consorcio::ids::BankId;
use consorcio::journal::format::{BatchHeader, FileHeader, FileKind, Salt};
use consorcio::journal::{JournalError, JournalOptions, MemDisk, dump};

fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn segment(number: u64) -> String {
    format!("segment-{number:010}")
}

/// The last segment that holds a batch.
fn last_segment(disk: &MemDisk) -> u64 {
    (1..).take_while(|number| used(&disk.get(&segment(*number))) > 64).last().unwrap()
}

/// A journal of some segments whose last batch has several records and no mark after it.
fn journal(last: u64) -> MemDisk {
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), small());
    append_up_to(&mut appender, last - 3);
    append(&mut appender, 3).unwrap();
    drop(appender);
    disk
}

#[test]
fn a_tail_cut_at_any_byte_loses_the_last_batch_only() {
    let disk = journal(90);
    let name = segment(last_segment(&disk));
    let whole = disk.get(&name);
    let (last_begin, last_end) = {
        // The last batch begins where the journal without it ends.
        let before = disk.copy();
        let (_, _, recovered, _) = must_open(before.copy(), small());
        assert_eq!(recovered.last, 90);
        let mut cut = whole.clone();
        let end = used(&whole);
        cut[end - 1] ^= 1;
        before.put(&name, cut);
        let (_, _, recovered, _) = must_open(before, small());
        let torn = recovered.torn.unwrap();
        assert_eq!(torn.file, format!("memory/{name}"));
        (usize::try_from(torn.offset).unwrap(), end.next_multiple_of(8))
    };
    assert!(last_end - last_begin > 100);
    for length in last_begin..=last_end {
        let mut bytes = whole.clone();
        bytes[length..].fill(0);
        let cut = disk.copy();
        cut.put(&name, bytes.clone());
        let (mut appender, _, recovered, log) = must_open(cut.clone(), small());
        // A missing zero byte changes nothing.
        let complete = used(&bytes) == used(&whole);
        let last = if complete || length == last_end { 90 } else { 87 };
        assert_records(&log, last);
        let left = used(&bytes[..length]).saturating_sub(last_begin);
        match recovered.torn {
            Some(torn) => {
                assert_eq!(last, 87);
                assert_eq!((torn.offset, torn.bytes), (last_begin as u64, left as u64));
            }
            None => assert!(last == 90 || left == 0, "cut at {length}"),
        }
        // The next batch overwrites the tail, and nothing of the tail returns.
        append(&mut appender, 1).unwrap();
        drop(appender);
        let (_, _, recovered, log) = must_open(cut, small());
        assert_records(&log, last + 1);
        assert_eq!(recovered.torn, None);
    }
}

/// An interrupted copy, a full target or a repaired file system: even the end of a batch is no
/// valid end of a file, whether the bank ended in order or not.
#[test]
fn a_file_of_a_wrong_size_is_refused_with_its_offset() {
    let in_order = journal(90);
    must_open(in_order.clone(), small()).0.close().unwrap();
    for disk in [journal(90), in_order] {
        let last = last_segment(&disk);
        for number in 1..=last + 1 {
            let name = segment(number);
            let whole = disk.get(&name);
            for length in (0..whole.len()).chain([whole.len() + 1, whole.len() + 4096]) {
                let other = disk.copy();
                let mut bytes = whole.clone();
                bytes.resize(length, 0);
                other.put(&name, bytes);
                let mut text = Vec::new();
                let expected = dump(&other, &mut text).unwrap().faults;
                let Err(error) = try_open(other, small()) else {
                    panic!("{name} opened with {length} bytes")
                };
                let JournalError::Damaged { file, offset, .. } = &error else { panic!("{error}") };
                let at = if length < 64 { 0 } else { length.min(whole.len()) };
                assert_eq!(
                    (file.as_str(), *offset),
                    (&*format!("memory/{name}"), at as u64),
                    "{error}"
                );
                assert_eq!(expected.first(), Some(&error.to_string()));
            }
        }
    }
}

/// Segments of the first format do not state their size; this program made them at least as long as
/// now.
#[test]
fn a_truncated_file_of_the_first_format_is_refused() {
    let disk = journal(90);
    let last = last_segment(&disk);
    for number in 1..=last + 1 {
        let mut bytes = disk.get(&segment(number));
        let header = FileHeader::new(*b"a test's journal", number).encode(FileKind::Segment);
        bytes[..header.len()].copy_from_slice(&header);
        disk.put(&segment(number), bytes);
    }
    let mut longer = disk.get(&segment(last + 1));
    longer.resize(5000, 0);
    let grown = disk.copy();
    grown.put(&segment(last + 1), longer);
    assert_records(&must_open(grown, small()).3, 90);
    assert_records(&must_open(disk.copy(), small()).3, 90);
    for number in 1..=last + 1 {
        for length in [64, 500, 1023] {
            let cut = disk.copy();
            cut.put(&segment(number), disk.get(&segment(number))[..length].to_vec());
            let Err(error) = try_open(cut, small()) else {
                panic!("segment {number} opened with {length}")
            };
            let JournalError::Damaged { file, offset, .. } = &error else { panic!("{error}") };
            assert_eq!(
                (file.as_str(), *offset),
                (&*format!("memory/{}", segment(number)), length as u64)
            );
        }
    }
}

#[test]
fn an_oversized_batch_gets_a_segment_that_states_its_size() {
    for records_before in [0, 5] {
        let disk = MemDisk::new();
        let (mut appender, ..) = must_open(disk.clone(), small());
        if records_before > 0 {
            append(&mut appender, records_before).unwrap();
        }
        append(&mut appender, 400).unwrap();
        let number = last_segment(&disk);
        assert!(disk.get(&segment(number)).len() > 10_000, "400 records fit in a segment");
        append_up_to(&mut appender, 500);
        drop(appender);
        let (_, _, recovered, log) = must_open(disk, small());
        assert_records(&log, 500);
        assert_eq!(recovered.torn, None);
    }
}

#[test]
fn a_segment_of_another_bank_is_refused() {
    let disk = MemDisk::new();
    let bank = |position| JournalOptions { bank: BankId::new(position), ..small() };
    append_up_to(&mut must_open(disk.clone(), bank(1)).0, 90);
    assert_records(&must_open(disk.clone(), bank(1)).3, 90);
    let Err(error) = try_open(disk, bank(2)) else { panic!("bank 2 opened the journal of bank 1") };
    let expected = "memory/segment-0000000001: belongs to bank 1, and this is bank 2";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_flipped_bit_is_in_the_tail_or_refused_with_file_and_offset() {
    let disk = journal(70);
    let last = last_segment(&disk);
    assert!(last >= 3);
    let (mut cut, mut refused) = (0, 0);
    for number in 1..=last + 1 {
        let name = segment(number);
        let whole = disk.get(&name);
        for byte in 0..whole.len() {
            // Every bit of the used part, and one bit in each zero byte.
            for bit in if byte < used(&whole) { 0..8 } else { byte % 8..byte % 8 + 1 } {
                let flipped = disk.copy();
                let mut bytes = whole.clone();
                bytes[byte] ^= 1 << bit;
                flipped.put(&name, bytes);
                match try_open(flipped, small()) {
                    Ok((_, _, recovered, log)) => {
                        let torn = recovered
                            .torn
                            .clone()
                            .unwrap_or_else(|| panic!("{name}:{byte}:{bit} is not detected"));
                        assert_eq!(torn.file, format!("memory/{name}"));
                        assert!(
                            torn.offset <= byte as u64 && (byte as u64) < torn.offset + torn.bytes
                        );
                        assert_records(&log, recovered.last);
                        assert!(
                            number >= last && recovered.last >= 67,
                            "{name}:{byte}:{bit} cuts {recovered}"
                        );
                        cut += 1;
                    }
                    Err(JournalError::Damaged { file, offset, why }) => {
                        assert_eq!(
                            file,
                            format!("memory/{name}"),
                            "{name}:{byte}:{bit}: {offset} {why}"
                        );
                        assert!(
                            offset <= byte as u64,
                            "{name}:{byte}:{bit} is reported at {offset}: {why}"
                        );
                        refused += 1;
                    }
                    Err(error) => panic!("{name}:{byte}:{bit}: {error}"),
                }
            }
        }
    }
    assert!(cut > 1000 && refused > 10_000, "not both covered: {cut}, {refused}");
}

#[test]
fn after_an_orderly_end_no_record_counts_as_a_torn_tail() {
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), small());
    append_up_to(&mut appender, 20);
    appender.close().unwrap();
    let name = segment(last_segment(&disk));
    let whole = disk.get(&name);
    for byte in 0..used(&whole) - 32 {
        let flipped = disk.copy();
        let mut bytes = whole.clone();
        bytes[byte] ^= 1;
        flipped.put(&name, bytes);
        let Err(error) = try_open(flipped, small()) else { panic!("byte {byte} was truncated") };
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    }
}

#[test]
fn data_of_an_older_file_is_no_batch() {
    // The same journal and the same positions; only the segment's number differs.
    let disk = journal(90);
    let stale = disk.get(&segment(2));
    let name = segment(last_segment(&disk) + 1);
    let mut bytes = disk.get(&name);
    bytes[64..].copy_from_slice(&stale[64..]);
    disk.put(&name, bytes);
    let (_, _, recovered, log) = must_open(disk, small());
    assert_records(&log, 90);
    assert_eq!(recovered.torn.unwrap().offset, 64);
}

#[test]
fn a_batch_moved_within_its_segment_is_refused() {
    let disk = journal(60);
    let name = segment(1);
    let mut bytes = disk.get(&name);
    // The first batch again, at the position of the second.
    let first = bytes[64..64 + 32 + 24].to_vec();
    bytes[120..120 + first.len()].copy_from_slice(&first);
    disk.put(&name, bytes);
    let Err(error) = try_open(disk, small()) else { panic!("the journal opened") };
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
}

#[test]
fn a_segment_of_zeros_or_a_missing_one_is_refused() {
    let disk = journal(120);
    let last = last_segment(&disk);
    for number in 1..last {
        let emptied = disk.copy();
        let mut bytes = emptied.get(&segment(number));
        bytes[64..].fill(0);
        emptied.put(&segment(number), bytes);
        let Err(error) = try_open(emptied, small()) else {
            panic!("segment {number} of zeros is not detected")
        };
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
        let without = disk.copy();
        consorcio::journal::Disk::remove(&without, &segment(number)).unwrap();
        let Err(error) = try_open(without, small()) else {
            panic!("the loss of segment {number} is not detected")
        };
        assert!(matches!(error, JournalError::Missing { .. }), "{error}");
        assert!(error.to_string().contains(&segment(number)), "{error}");
    }
    // The newest segments leave their indexes behind, which prove that they existed.
    for number in (last - 1..=last + 1).rev() {
        consorcio::journal::Disk::remove(&disk, &segment(number)).unwrap();
    }
    let Err(error) = try_open(disk, small()) else { panic!("the loss of the end is not detected") };
    assert!(matches!(error, JournalError::Missing { .. }), "{error}");
}

#[test]
fn after_a_start_no_record_that_it_read_counts_as_a_torn_tail() {
    let disk = journal(9);
    drop(must_open(disk.clone(), small()));
    let name = segment(last_segment(&disk));
    let whole = disk.get(&name);
    for byte in 64..used(&whole) - 32 {
        let flipped = disk.copy();
        let mut bytes = whole.clone();
        bytes[byte] ^= 1;
        flipped.put(&name, bytes);
        let Err(error) = try_open(flipped, small()) else { panic!("byte {byte} was truncated") };
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    }
}

#[test]
fn a_copy_of_a_batch_within_a_torn_one_is_no_batch() {
    let disk = journal(9);
    let name = segment(1);
    let mut bytes = disk.get(&name);
    let end = used(&bytes);
    // The last batch's header did not reach the disk, and its body contains a copy of the first
    // batch.
    let first = bytes[64..120].to_vec();
    let before = disk.copy();
    let mut flipped = bytes.clone();
    flipped[end - 1] ^= 1;
    before.put(&name, flipped);
    let torn = must_open(before, small()).2.torn.unwrap();
    let begin = usize::try_from(torn.offset).unwrap();
    assert!(end - begin > 40 + first.len());
    bytes[begin..begin + 32].fill(0);
    bytes[begin + 40..begin + 40 + first.len()].copy_from_slice(&first);
    disk.put(&name, bytes);
    let (_, _, recovered, log) = must_open(disk, small());
    assert_eq!(recovered.torn.unwrap().offset, torn.offset);
    assert_records(&log, 6);
}

#[test]
fn a_batch_that_skips_or_repeats_records_is_refused() {
    let disk = journal(9);
    let mut bytes = disk.get(&segment(1));
    let end = used(&bytes).next_multiple_of(8);
    let salt = Salt::new(b"a test's journal", 1);
    for (first, synced) in [(9, 8), (11, 10), (10, 8)] {
        let header = BatchHeader { first, synced, count: 0, body_bytes: 0 };
        bytes[end..end + 32].copy_from_slice(&header.encode(salt, end as u64));
        disk.put(&segment(1), bytes.clone());
        let Err(error) = try_open(disk.clone(), small()) else { panic!("{header:?} was accepted") };
        let here = end as u64;
        assert!(matches!(error, JournalError::Damaged { offset, .. } if offset == here), "{error}");
    }
    // The valid one is a mark.
    let header = BatchHeader { first: 10, synced: 9, count: 0, body_bytes: 0 };
    bytes[end..end + 32].copy_from_slice(&header.encode(salt, end as u64));
    disk.put(&segment(1), bytes);
    assert_records(&must_open(disk, small()).3, 9);
}
