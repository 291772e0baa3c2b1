//! Snapshots are compared with a replay of the journal, and mistakes in them are found.

use crate::journal::bank::{Live, busy, identity, options};
use crate::journal::support::small;
use consorcio::bank::io::Seq;
use consorcio::bank::record::Record;
use consorcio::bank::{Core, FrozenBank, PieceSink};
use consorcio::ids::Time;
use consorcio::journal::{
    BankReplica, Disk, JournalScan, MemDisk, Scanned, SnapshotCheck, StateView, open, verify,
};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A view that says that it is as of record `seq`.
struct ViewSaying(Seq, FrozenBank);

impl StateView for ViewSaying {
    fn seq(&self) -> Seq {
        self.0
    }

    fn write(self: Box<Self>, sink: &mut PieceSink<'_>) -> ControlFlow<()> {
        self.1.write(sink)
    }
}

/// A bank whose journal begins with the consortium.
fn live(disk: &MemDisk) -> Live {
    let (mut live, _) = Live::open(disk.clone(), options(), identity());
    let (bank, places) = (identity().bank, identity().places);
    live.record(Record::Consortium { bank, places });
    busy(live)
}

fn records_of(disk: &MemDisk) -> Vec<Record> {
    let mut records = Vec::new();
    let torn = JournalScan::new(disk)
        .read(|scanned| {
            let Scanned::Record { record, .. } = scanned else { panic!("{scanned:?}") };
            records.push(record);
            Ok::<_, consorcio::journal::JournalError>(())
        })
        .unwrap();
    assert_eq!(torn, None);
    records
}

/// A journal of these records, one in each batch. The view at record n is of the bank after as many
/// records as `of` returns.
fn journal_of(records: &[Record], of: impl Fn(usize) -> usize) -> MemDisk {
    let disk = MemDisk::new();
    let mut core = Core::new(identity());
    let mut cores = vec![core.clone()];
    for record in records {
        core.apply(record);
        cores.push(core.clone());
    }
    let mut unused = BankReplica::new(identity());
    let (mut appender, ..) = open(Arc::new(disk.clone()), options(), &mut unused).unwrap();
    for (seq, record) in (1..).zip(records) {
        let mut batch = appender.batch();
        batch.push(seq, record);
        let shown = of(usize::try_from(seq).unwrap()).min(records.len());
        batch.end_segment_if_due(|| Box::new(ViewSaying(seq, cores[shown].freeze())));
        appender.append(&mut batch).unwrap();
    }
    disk
}

fn checks(disk: &MemDisk) -> Vec<SnapshotCheck> {
    let verified = verify(disk).unwrap();
    assert_eq!((verified.faults, verified.torn), (Vec::new(), None));
    verified.snapshots.into_iter().map(|(_, check)| check).collect()
}

#[test]
fn snapshots_are_as_the_replay() {
    let disk = MemDisk::new();
    let live = live(&disk);
    let verified = verify(&disk).unwrap();
    assert_eq!(verified.records, live.core.seq());
    assert_eq!(checks(&disk), [SnapshotCheck::Same, SnapshotCheck::Same]);
    let again = journal_of(&records_of(&disk), |seq| seq);
    assert_eq!(checks(&again), [SnapshotCheck::Same, SnapshotCheck::Same]);
}

/// Planted faults: the view is handed over one record too early, or too late.
#[test]
fn a_view_of_another_record_is_found() {
    let disk = MemDisk::new();
    live(&disk);
    let records = records_of(&disk);
    for of in [|seq| seq - 1, |seq| seq + 1] {
        let disk = journal_of(&records, of);
        let found = checks(&disk);
        assert!(
            found.len() == 2
                && found.iter().all(|check| matches!(check, SnapshotCheck::Differs(_))),
            "{found:?}"
        );
        // A start does not use them, either.
        let mut replica = BankReplica::new(identity());
        let (.., recovered) = open(Arc::new(disk), small(), &mut replica).unwrap();
        assert_eq!((recovered.snapshot, recovered.warnings.len()), (None, 2), "{recovered:?}");
        assert!(recovered.warnings[0].contains("it holds the bank as of record"));
    }
}

#[test]
fn unusable_snapshots_and_damaged_journals_are_named() {
    let whole = MemDisk::new();
    live(&whole);
    let names = whole.list().unwrap();
    let name = names.iter().find(|name| name.starts_with("snapshot-")).unwrap();
    let disk = whole.copy();
    let mut bytes = disk.get(name);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    disk.put(name, bytes);
    let snapshots = verify(&disk).unwrap().snapshots;
    let unusable = SnapshotCheck::Unusable("its checksum is wrong".to_owned());
    assert!(snapshots.contains(&(name.clone(), unusable)), "{snapshots:?}");

    let disk = whole.copy();
    let mut bytes = disk.get("segment-0000000001");
    bytes[300] ^= 1;
    disk.put("segment-0000000001", bytes);
    let verified = verify(&disk).unwrap();
    assert!(verified.faults[0].contains("segment-0000000001"), "{verified:?}");
    let ended =
        SnapshotCheck::Unusable(format!("the replay ended with record {}", verified.records));
    assert!(verified.snapshots.iter().all(|(_, check)| *check == ended), "{verified:?}");

    // A record that no bank makes: a vote that is not later than the clock.
    let mut records = records_of(&whole);
    let at = records.iter().position(|record| matches!(record, Record::ClientAdded { .. }));
    records.insert(at.unwrap(), Record::ClockMoved { time: Time::MAX });
    let disk = MemDisk::new();
    let mut unused = BankReplica::new(identity());
    let (mut appender, ..) = open(Arc::new(disk.clone()), small(), &mut unused).unwrap();
    for (seq, record) in (1..).zip(&records) {
        let mut batch = appender.batch();
        batch.push(seq, record);
        appender.append(&mut batch).unwrap();
    }
    let verified = verify(&disk).unwrap();
    assert_eq!(verified.faults.len(), 1, "{verified:?}");
    assert!(verified.faults[0].contains("segment-0000000001:"), "{verified:?}");
}
