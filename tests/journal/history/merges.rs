//! Merges during appends, and segments that fill faster than they are indexed.

use super::*;

/// Segments that are full before the first of them has its index.
pub(super) const LATE: u64 = 41;

pub(super) fn index_name(segment: u64) -> String {
    format!("index-{segment:010}")
}

/// Merges continue while segments fill faster than they are indexed.
#[test]
pub(super) fn merges_continue_while_segments_wait_for_their_index() {
    let disk = MemDisk::new();
    let odd = FaultyDisk::new(&disk, Failing::IndexIsLate);
    let merged_before_the_last = Arc::clone(&odd.times);
    let (mut appender, reader, ..) = must_open(odd, JournalOptions { threads: true, ..small() });
    fill(&mut appender, &disk, LATE);
    let begun = Instant::now();
    while !names(&disk, "index-").contains(&index_name(LATE)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", reader.cost());
        std::thread::yield_now();
    }
    appender.close().unwrap();
    assert!(merged_before_the_last.load(Ordering::Relaxed) >= 2, "{merged_before_the_last:?}");
}

/// Of segments that are full long before their indexes, only a few keep their ids in memory. The
/// appender waits for none of them, and no outcome is lost.
#[test]
pub(super) fn ids_of_segments_that_wait_for_their_index_are_read_again() {
    let disk = MemDisk::new();
    let odd = FaultyDisk::new(&disk, Failing::IndexIsLate);
    let opened = Arc::clone(&odd.opened);
    let (mut appender, reader, ..) = must_open(odd, JournalOptions { threads: true, ..small() });
    // The first index is made once all these are full: an appender that waited would never get
    // here.
    fill(&mut appender, &disk, LATE);
    let read_again = || {
        let opened = opened.lock().unwrap();
        let times = |name: &str| opened.iter().filter(|opened| *opened == name).count();
        // Each was opened once for writing.
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
pub(super) fn merges_during_appends_and_look_ups() {
    let disk = MemDisk::new();
    let options = JournalOptions { threads: true, snapshot_after_segments: 9, ..bounds(2_000, 64) };
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
