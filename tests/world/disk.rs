//! A bank's disk: the shipped journal on a disk in memory that loses what was not synced, tears it, and fails.

use consorcio::bank::io::Seq;
use consorcio::bank::record::Record;
use consorcio::bank::{Core, Identity};
use consorcio::ids::TxId;
use consorcio::journal::{Appender, BankReplica, Batch, Faults, MemDisk, Options, Reader, open};
use std::sync::Arc;

/// Records in one write.
const BATCH_RECORDS: usize = 16;

pub struct Disk {
    memory: MemDisk,
    open: Option<(Appender, Reader, Batch)>,
    /// Torn tails that starts have cut.
    pub torn: u64,
    /// Starts that began with a snapshot.
    pub snapshots: u64,
}

impl Disk {
    pub fn new() -> Disk {
        Disk { memory: MemDisk::new(), open: None, torn: 0, snapshots: 0 }
    }

    /// Writes and syncs these records, the first of which has this number. `false`: it failed, nobody knows what
    /// is on disk, and the process must stop.
    pub fn write(&mut self, first: Seq, records: &[Record]) -> bool {
        let Some((appender, _, batch)) = &mut self.open else { return false };
        for (records, chunk) in records.chunks(BATCH_RECORDS).zip(0u64..) {
            batch.clear();
            let first = first + chunk * BATCH_RECORDS as u64;
            for (record, seq) in records.iter().zip(first..) {
                batch.push(seq, record);
            }
            if appender.append(batch).is_err() {
                return false;
            }
        }
        true
    }

    /// The next sync, or the next write, fails.
    pub fn fail_next(&self, sync: bool) {
        let faults = if sync {
            Faults { fail_sync: Some(self.memory.syncs() + 1), ..Faults::default() }
        } else {
            Faults { fail_write: Some(self.memory.writes() + 1), ..Faults::default() }
        };
        self.memory.set_faults(faults);
    }

    /// Nothing fails any more.
    pub fn works(&self) {
        self.memory.set_faults(Faults::default());
    }

    /// Power ends; `unsynced` was perhaps being written. What is left follows from the seed.
    pub fn crash(&mut self, seed: u64, first: Seq, unsynced: &[Record]) {
        if seed.is_multiple_of(2) {
            let stop_at_sync = Some(self.memory.syncs() + 1);
            self.memory.set_faults(Faults { stop_at_sync, ..Faults::default() });
            self.write(first, unsynced);
        }
        self.open = None;
        self.memory = self.memory.crash(seed);
    }

    /// Opens the journal, and says how many records it has. It must hold what `journal` begins with.
    pub fn recover(&mut self, identity: &Identity, journal: &[Record]) -> (Core, usize) {
        let options = Options {
            segment_bytes: 16 * 1024,
            first_segment_bytes: 4 * 1024,
            snapshot_after_segments: 2,
            replica: Some(BankReplica::maker(identity.clone())),
            threads: false,
            new_id: Some([7; 16]),
            ..Options::default()
        };
        self.open = None;
        self.works();
        let mut replica = BankReplica::new(identity.clone());
        let opened = open(Arc::new(self.memory.clone()), options, &mut replica);
        let (appender, reader, told) =
            opened.unwrap_or_else(|error| panic!("a journal does not open: {error}"));
        self.torn += u64::from(told.torn.is_some());
        self.snapshots += u64::from(told.snapshot.is_some());
        let batch = appender.batch();
        self.open = Some((appender, reader, batch));
        let records = usize::try_from(told.last).expect("a short journal");
        assert!(records <= journal.len(), "the journal holds records that nobody wrote");
        let mut replayed = Core::new(identity.clone());
        journal[..records].iter().for_each(|record| replayed.apply(record));
        assert!(replica.core.same_as(&replayed), "what was recovered is not what was written");
        (replica.core, records)
    }

    /// The record that decided a transaction, where the index finds it.
    pub fn lookup(&self, tx: &TxId) -> Option<Record> {
        let (_, reader, _) = self.open.as_ref()?;
        reader.lookup(tx).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Records up to this one are found by the index.
    pub fn indexed_up_to(&self) -> Seq {
        self.open.as_ref().map_or(0, |(_, reader, _)| reader.indexed_up_to())
    }
}
