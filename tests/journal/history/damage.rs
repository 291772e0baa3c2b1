//! Damaged or missing merged indexes.

use super::*;

pub(super) fn damaged(whole: &[u8]) -> Vec<Vec<u8>> {
    let flipped = (0..whole.len()).filter(|byte| *byte < 140 || byte % 97 == 0).map(|byte| {
        let mut bytes = whole.to_vec();
        bytes[byte] ^= 1 << (byte % 8);
        bytes
    });
    flipped.chain((0..whole.len()).step_by(499).map(|length| whole[..length].to_vec())).collect()
}

#[test]
pub(super) fn a_damaged_or_missing_merged_index_is_rebuilt() {
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), with_snapshots(0));
    fill(&mut appender, &disk, 12);
    // A snapshot covers the segments, so a start does not read them.
    let mut appender = reopen_with_snapshot(appender, &disk);
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
            let reports =
                recovered.warnings.iter().filter(|warning| warning.contains(name.as_str())).count();
            found_at_start += reports;
            if reports > 0 {
                assert_finds_all(&reader, last);
                assert_eq!(disk.get(name), whole, "the rebuilt and merged index differs");
                continue;
            }
            // A damaged page of entries is found when it is read. Its ids are unknown until the
            // next segment is full.
            let unknown = (1..=last).filter(|n| reader.lookup(&tx(*n)).is_err()).count();
            assert!(unknown > 0, "the damage was not detected");
            fill(&mut appender, &disk, full(&disk) + 1);
            assert_finds_all(&reader, appender.last());
            assert_eq!(disk.get(name), whole);
        }
        let without = disk.copy();
        without.remove(name).unwrap();
        let (_, reader, recovered, _) = must_open(without.clone(), small());
        assert_finds_all(&reader, last);
        let rebuilds = recovered
            .warnings
            .iter()
            .filter(|warning| warning.contains("made again from their segments"));
        // Segments that the start read anyway had no index yet.
        assert_eq!(rebuilds.count(), 1, "{:?}", recovered.warnings);
        assert_eq!(without.get(name), whole);
    }
    assert!(found_at_start > 100);
}

/// A segment that lost records gets no index, because that would turn decided ids into unknown
/// ones.
#[test]
pub(super) fn a_damaged_index_of_a_damaged_segment_stays_unreadable() {
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
