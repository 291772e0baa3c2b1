//! Power failures at any sync: every acknowledged record is found, and the recovered records are a
//! prefix.

use crate::journal::support::*;
use consorcio::journal::{Faults, JournalOptions, MemDisk};

/// Appends until power fails; returns the last acknowledged record.
fn run(disk: &MemDisk, options: JournalOptions, from: u64, to: u64) -> u64 {
    let Ok((mut appender, _, recovered, log)) = try_open(disk.clone(), options) else {
        return from;
    };
    assert_records(&log, recovered.last);
    assert!(recovered.last >= from);
    let mut acknowledged = recovered.last;
    let mut count = 1;
    while acknowledged < to {
        if append(&mut appender, count).is_err() {
            return acknowledged;
        }
        acknowledged = appender.last();
        count = count % 5 + 1;
    }
    let _power_ended = appender.close();
    acknowledged
}

/// The number of syncs of a run without a fault.
fn syncs(options: &JournalOptions) -> u64 {
    let disk = MemDisk::new();
    run(&disk, options.clone(), 0, 120);
    disk.syncs()
}

fn crash_at_every_sync(options: &JournalOptions, seeds: u64) {
    let (mut torn, mut unacknowledged) = (0, 0);
    let syncs = syncs(options);
    assert!(syncs > 60);
    for at in 1..=syncs {
        for seed in 0..seeds {
            let disk = MemDisk::new();
            disk.set_faults(Faults { stop_at_sync: Some(at), ..Faults::default() });
            let acknowledged = run(&disk, options.clone(), 0, 120);
            // Power fails again during the first recovery; then a start succeeds.
            let disk = disk.crash(seed * 1000 + at);
            disk.set_faults(Faults {
                stop_at_sync: Some(disk.syncs() + 1 + seed % 4),
                ..Faults::default()
            });
            let acknowledged = run(&disk, options.clone(), acknowledged, acknowledged + 2);
            let disk = disk.crash(seed);
            let (mut appender, _, recovered, log) = must_open(disk.clone(), options.clone());
            assert!(
                recovered.last >= acknowledged,
                "sync {at}, seed {seed}: {recovered}, {acknowledged} were acknowledged"
            );
            assert_records(&log, recovered.last);
            torn += u64::from(recovered.torn.is_some());
            unacknowledged += u64::from(recovered.last > acknowledged);
            append(&mut appender, 2).unwrap();
            drop(appender);
            let (_, _, again, log) = must_open(disk.crash(seed), options.clone());
            assert_records(&log, recovered.last + 2);
            assert_eq!(again.torn, None);
        }
    }
    assert!(torn > 10 && unacknowledged > 10, "not both covered: {torn}, {unacknowledged}");
}

#[test]
fn a_power_failure_at_any_sync_loses_no_acknowledged_record() {
    crash_at_every_sync(&small(), 24);
}

#[test]
fn a_power_failure_with_snapshots_loses_no_acknowledged_record() {
    crash_at_every_sync(&with_snapshots(1), 12);
}

#[test]
fn a_failed_sync_loses_no_acknowledged_record() {
    for options in [small(), with_snapshots(2)] {
        for at in 1..=syncs(&options) {
            for seed in 0..4 {
                let disk = MemDisk::new();
                disk.set_faults(Faults { fail_sync: Some(at), ..Faults::default() });
                let acknowledged = run(&disk, options.clone(), 0, 120);
                // A restart at once, or after a power failure.
                let disk = if seed == 0 { disk.kill() } else { disk.crash(seed) };
                let (_, _, recovered, log) = must_open(disk.clone(), options.clone());
                assert!(recovered.last >= acknowledged, "sync {at}: {recovered}");
                assert_records(&log, recovered.last);
                let (_, _, again, log) = must_open(disk.crash(at), options.clone());
                assert_eq!(
                    (again.last, &log.records),
                    (recovered.last, &records(recovered.last)),
                    "sync {at}"
                );
            }
        }
    }
}

/// With threads the order of background work varies; the guarantees do not.
#[test]
fn a_power_failure_with_threads_loses_no_acknowledged_record() {
    let options = JournalOptions { threads: true, ..with_snapshots(1) };
    let syncs = syncs(&with_snapshots(1));
    for at in (1..=syncs).step_by(3) {
        let disk = MemDisk::new();
        disk.set_faults(Faults { stop_at_sync: Some(at), ..Faults::default() });
        let acknowledged = run(&disk, options.clone(), 0, 120);
        let disk = disk.crash(at);
        let (appender, _, recovered, log) = must_open(disk.clone(), options.clone());
        assert!(
            recovered.last >= acknowledged,
            "sync {at}: {recovered}, {acknowledged} were acknowledged"
        );
        assert_records(&log, recovered.last);
        drop(appender);
        assert_records(&must_open(disk.crash(at), options.clone()).3, recovered.last);
    }
}
