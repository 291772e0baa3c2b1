//! Power failures at every sync of a merge.

use super::*;

/// Appends until power fails; returns the last acknowledged record.
pub(super) fn run(disk: &MemDisk, options: &JournalOptions, acknowledged: Seq, to: Seq) -> Seq {
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
        // Look-ups during merges find the record, with or without power; they fail only for lack of
        // power.
        let oldest = reader.lookup(&tx(1));
        let found = oldest.as_ref().map_or(reader.indexed_up_to() > 0, |found| {
            *found == (reader.indexed_up_to() > 0).then(|| record(1))
        });
        assert!(found, "{oldest:?}");
    }
    acknowledged
}

/// Power fails at each sync from `base` to `to`, and again during the next start.
pub(super) fn crash_at_every_sync(base: &MemDisk, options: &JournalOptions, to: Seq, seeds: u64) {
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
            assert_eq!(recovered.warnings, [""; 0], "sync {at}, seed {seed}: an index was rebuilt");
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
        "power failed within merges and before removals: {merging}, {both}"
    );
}

#[test]
pub(super) fn a_power_failure_within_a_merge_loses_nothing() {
    crash_at_every_sync(&MemDisk::new(), &bounds(500, 20), 280, 3);
}

#[test]
pub(super) fn a_power_failure_within_a_merge_of_a_higher_tier_loses_nothing() {
    let base = MemDisk::new();
    let options = || JournalOptions { snapshot_after_segments: 3, ..bounds(500, 300) };
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
