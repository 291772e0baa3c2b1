//! A merge of segments: the journal gets seven full segments, made with the journal's own code, so
//! that the next full one triggers the merge.

use super::ClientReport;
use super::lifecycle::write_until_crash;
use crate::kill_matrix::cases::Case;
use crate::kill_matrix::cluster::{AccountCluster, Effect};
use crate::support::wait_until;
use consorcio::bank::io::Seq;
use consorcio::bank::record::Record;
use consorcio::ids::{Time, TxId};
use consorcio::journal::{FileDisk, JournalOptions, Replica, SegmentSizes, open};
use consorcio::steplog::wall_us;
use consorcio::wire::Reason;
use std::path::Path;
use std::sync::Arc;

/// Full segments: one less than a merge takes.
const FULL: usize = 7;
const RECORDS_IN_BATCH: Seq = 500;

/// Banks 0 and 1 voted OK, and one fills the last segment that the merge needs.
pub fn run(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    let victim = case.bank();
    let data = cluster.data(victim);
    wait_until("the second segment", || data.join("segment-0000000002").exists().then_some(()));
    // An orderly end, so that no batch at the end of the journal is in doubt.
    assert_eq!(cluster.cluster.stop(victim), Some(0));
    let refusals = fill_segments(&data);
    assert_eq!(indexes(&data), FULL);
    cluster.cluster.start_bank(victim);
    let report = write_until_crash(cluster, case, effect);
    // After its restart the bank repeats an unfinished merge.
    wait_until("one index of eight segments", || {
        let merged = data.join("merged-0000000001-0000000008").exists();
        (merged && !data.join("index-0000000001").exists() && indexes(&data) < FULL).then_some(())
    });
    let mut wire = cluster.cluster.connect(victim);
    for number in [1, refusals / 2, refusals] {
        let status = wire.ask(&format!("STATUS {}", id(number)));
        assert!(status.starts_with("ABORTED"), "{}: {status}", id(number));
    }
    report
}

fn indexes(data: &Path) -> usize {
    let names = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("index-")).count()
}

fn id(number: u64) -> TxId {
    TxId::new(&format!("past-{number:059}")).unwrap()
}

/// Appends refusals until there are `FULL` full segments; returns how many.
fn fill_segments(data: &Path) -> u64 {
    let options = JournalOptions {
        sizes: SegmentSizes::all(128 * 1024),
        threads: false,
        snapshot_after_segments: 0,
        ..JournalOptions::default()
    };
    let disk = Arc::new(FileDisk::open(data).unwrap());
    let (mut appender, ..) = open(disk, options, &mut NullReplica).unwrap();
    let (mut number, mut time) = (0, wall_us());
    while indexes(data) < FULL {
        let mut batch = appender.batch();
        for seq in appender.last() + 1..=appender.last() + RECORDS_IN_BATCH {
            (number, time) = (number + 1, time + 1);
            batch.push(
                seq,
                &Record::Refused { tx: id(number), time: Time(time), reason: Reason::Expired },
            );
        }
        appender.append(&mut batch).unwrap();
    }
    appender.close().unwrap();
    number
}

/// A state machine that ignores every record.
struct NullReplica;

impl Replica for NullReplica {
    fn restore(&mut self, _: Seq, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
    fn apply(&mut self, _: Seq, _: &Record) {}
    fn forget(&mut self, _: Seq) {}
    fn freeze(&self) -> Box<dyn consorcio::journal::StateView> {
        panic!("no snapshot is due")
    }
}
