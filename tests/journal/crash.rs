//! Power that ends at any sync: what was acknowledged is there, and what is there is a prefix.

use crate::journal::support::*;
use consorcio::journal::{Faults, MemDisk, Options};

/// Appends until power ends; the last record that was acknowledged.
fn run(disk: &MemDisk, options: Options, from: u64, to: u64) -> u64 {
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

/// All syncs of a run that meets no fault.
fn syncs(options: &Options) -> u64 {
    let disk = MemDisk::new();
    run(&disk, options.clone(), 0, 120);
    disk.syncs()
}

fn crash_at_every_sync(options: &Options, seeds: u64) {
    let (mut torn, mut unacknowledged) = (0, 0);
    let syncs = syncs(options);
    assert!(syncs > 60);
    for at in 1..=syncs {
        for seed in 0..seeds {
            let disk = MemDisk::new();
            disk.set_faults(Faults { stop_at_sync: Some(at), ..Faults::default() });
            let acknowledged = run(&disk, options.clone(), 0, 120);
            // Power ends again while the first start after it recovers, then a start succeeds.
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
                "sync {at}, seed {seed}: {recovered}, {acknowledged} were promised"
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
    assert!(torn > 10 && unacknowledged > 10, "both happen: {torn}, {unacknowledged}");
}

#[test]
fn power_that_ends_at_any_sync_costs_no_promise() {
    crash_at_every_sync(&small(), 24);
}

#[test]
fn nor_with_snapshots() {
    crash_at_every_sync(&with_snapshots(1), 12);
}

#[test]
fn a_sync_that_fails_at_any_time_costs_no_promise() {
    for options in [small(), with_snapshots(2)] {
        for at in 1..=syncs(&options) {
            for seed in 0..4 {
                let disk = MemDisk::new();
                disk.set_faults(Faults { fail_sync: Some(at), ..Faults::default() });
                let acknowledged = run(&disk, options.clone(), 0, 120);
                // Restarted at once, or after the machine went down too.
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

/// With threads the order of what is beside the appends differs from run to run; promises don't.
#[test]
fn nor_with_threads() {
    let options = Options { threads: true, ..with_snapshots(1) };
    let syncs = syncs(&with_snapshots(1));
    for at in (1..=syncs).step_by(3) {
        let disk = MemDisk::new();
        disk.set_faults(Faults { stop_at_sync: Some(at), ..Faults::default() });
        let acknowledged = run(&disk, options.clone(), 0, 120);
        let disk = disk.crash(at);
        let (appender, _, recovered, log) = must_open(disk.clone(), options.clone());
        assert!(
            recovered.last >= acknowledged,
            "sync {at}: {recovered}, {acknowledged} were promised"
        );
        assert_records(&log, recovered.last);
        drop(appender);
        assert_records(&must_open(disk.crash(at), options.clone()).3, recovered.last);
    }
}
