//! A bank's disk: the shipped journal on a disk in memory that loses un-synced writes, tears them,
//! flips bits, fills up and fails.

use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use consorcio_core::bank::{Core, Identity};
use consorcio_core::ids::TxId;
use consorcio_journal::{
    Appender, BankReplica, Batch, Disk as _, Faults, JournalError, JournalOptions, JournalReader,
    MemDisk, Recovered, SegmentSizes, open,
};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records in one write.
const BATCH_RECORDS: usize = 16;

#[derive(Debug, Clone, Copy)]
pub struct DiskSizes {
    pub first_segment: u64,
    pub segment: u64,
}

/// A fault of a disk in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    FailingWrite,
    FailingSync,
    /// No free space, until `works` is called.
    Full,
}

pub struct WorldDisk {
    memory: MemDisk,
    sizes: DiskSizes,
    open: Option<(Appender, JournalReader, Batch)>,
    /// The bank recovered after the last crash, until it starts.
    recovered: Option<Core>,
    full: bool,
    /// A fault is planned or present.
    faulty: bool,
    /// Occurrences by kind of event.
    pub counts: BTreeMap<&'static str, u64>,
    found: Cell<u64>,
}

impl Clone for WorldDisk {
    fn clone(&self) -> WorldDisk {
        panic!("a world with disks was cloned")
    }
}

impl WorldDisk {
    pub fn new(sizes: DiskSizes) -> WorldDisk {
        WorldDisk {
            memory: MemDisk::new(),
            sizes,
            open: None,
            recovered: None,
            full: false,
            faulty: false,
            counts: BTreeMap::new(),
            found: Cell::new(0),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Writes and syncs records, the first of which has the number `first`. A snapshot that is due
    /// at the end of all gets a view of `core`, the bank after them. `false`: this failed, the
    /// contents of the disk are unknown, and the process must stop.
    pub fn write(&mut self, first: Seq, records: &[Record], core: Option<&Core>) -> bool {
        let Some((appender, _, batch)) = &mut self.open else { return false };
        for (records, chunk) in records.chunks(BATCH_RECORDS).zip(0u64..) {
            batch.clear();
            let first = first + chunk * BATCH_RECORDS as u64;
            for (record, seq) in records.iter().zip(first..) {
                batch.push(seq, record);
            }
            if let Some(core) = core.filter(|core| Some(core.seq()) == batch.last()) {
                batch.end_segment_if_due(|| Box::new(core.freeze()));
            }
            if let Err(error) = appender.append(batch) {
                let what = match error {
                    JournalError::DiskFull { .. } => "disk full",
                    JournalError::Sync { .. } => "sync failed",
                    _ => "write failed",
                };
                self.count(what);
                return false;
            }
        }
        true
    }

    /// Plans a fault for the next write or sync.
    pub fn fail_next(&mut self, fault: DiskFault) {
        let (syncs, writes) = (self.memory.syncs() + 1, self.memory.writes() + 1);
        self.full = fault == DiskFault::Full;
        self.faulty = true;
        self.memory.set_faults(match fault {
            DiskFault::FailingSync => Faults { fail_sync: Some(syncs), ..Faults::default() },
            DiskFault::FailingWrite => Faults { fail_write: Some(writes), ..Faults::default() },
            DiskFault::Full => no_room(),
        });
    }

    /// Ends all faults, and frees space.
    pub fn works(&mut self) {
        (self.full, self.faulty) = (false, false);
        self.memory.set_faults(Faults::default());
    }

    pub fn is_full(&self) -> bool {
        self.full
    }

    /// A start may fail, or end at once.
    pub fn is_faulty(&self) -> bool {
        self.faulty
    }

    /// Power fails, possibly while `unsynced` is being written. The seed determines what is left.
    pub fn crash(&mut self, seed: u64, first: Seq, unsynced: &[Record]) {
        if seed.is_multiple_of(2) {
            let stop_at_sync = Some(self.memory.syncs() + 1);
            self.memory.set_faults(Faults { stop_at_sync, ..Faults::default() });
            self.write(first, unsynced, None);
        }
        self.open = None;
        self.memory = self.memory.crash(seed);
        // Power fails again during the start.
        if seed.is_multiple_of(5) {
            let stop_at_sync = Some(self.memory.syncs() + 1 + seed % 4);
            self.memory.set_faults(Faults { stop_at_sync, ..Faults::default() });
        }
    }

    /// Opens the journal after a crash. It must hold the records of `durable`, then as many of
    /// `unsynced` as are returned.
    pub fn recover(&mut self, identity: &Identity, durable: &Core, unsynced: &[Record]) -> usize {
        let mut opened = self.try_open(identity);
        // Power may fail in work that a start does on the side and can repeat.
        if opened.is_err() || self.memory.list().is_err() {
            self.count("crash while starting");
            self.open = None;
            self.memory = self.memory.crash(durable.seq());
            opened = self.try_open(identity);
        }
        let (core, recovered) =
            opened.unwrap_or_else(|error| panic!("the journal does not open: {error}"));
        if recovered.torn.is_some() {
            self.count("torn tail cut");
        }
        if recovered.snapshot.is_some() {
            self.count("start from a snapshot");
        }
        let kept = recovered.last.checked_sub(durable.seq());
        let kept =
            kept.unwrap_or_else(|| panic!("bank {} lost a record that was synced", identity.bank));
        let kept = usize::try_from(kept).expect("a short journal");
        assert!(kept <= unsynced.len(), "the journal holds records that were never written");
        let mut expected = durable.clone();
        unsynced[..kept].iter().for_each(|record| expected.apply(record));
        assert!(core.same_as(&expected), "the recovered bank differs from the written records");
        let seed = self.memory.syncs().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        if (seed >> 20).is_multiple_of(8) {
            self.rot(seed, identity, &core);
        }
        self.recovered = Some(core);
        self.faulty = self.full;
        self.memory.set_faults(if self.full { no_room() } else { Faults::default() });
        kept
    }

    /// Flips a bit in a copy of the durable files: opening the copy must fail and name the file, or
    /// give the same bank.
    fn rot(&mut self, seed: u64, identity: &Identity, core: &Core) {
        let copy = self.memory.copy();
        let mut names = copy.list().expect("memory lists its files");
        names.sort();
        let Some(name) =
            names.get(usize::try_from(seed >> 40).expect("64 bits") % names.len().max(1))
        else {
            return;
        };
        let mut bytes = copy.get(name);
        // Choose a byte before the zeroed rest.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if used == 0 {
            return;
        }
        let at = usize::try_from(seed >> 24).expect("64 bits") % used;
        bytes[at] ^= 1 << (seed % 8);
        copy.put(name, bytes);
        let mut replica = BankReplica::new(identity.clone());
        match open(Arc::new(copy), self.options(), &mut replica) {
            Ok(_) => {
                assert!(
                    replica.core.same_as(core),
                    "a flipped bit at {at} of {name} changed durable records undetected"
                );
                self.count("flipped bit harmless");
            }
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.contains(name),
                    "a flipped bit at {at} of {name} is reported as: {text}"
                );
                if let JournalError::Damaged { .. } = error {
                    self.count("flipped bit refused");
                }
            }
        }
    }

    /// The bank as its journal has it, if the disk allows a start.
    pub fn start(&mut self, identity: &Identity, durable: &Core) -> Option<Core> {
        let is_open = self.open.is_some() && !self.full;
        if let Some(core) = self.recovered.take().filter(|_| is_open) {
            return Some(core);
        }
        match self.try_open(identity) {
            Ok((core, _)) => {
                assert!(
                    core.same_as(durable),
                    "the recovered bank differs from the written records"
                );
                Some(core)
            }
            Err(error) => {
                assert!(self.faulty, "the journal does not open: {error}");
                if self.full {
                    self.count("no start on a full disk");
                }
                None
            }
        }
    }

    fn try_open(&mut self, identity: &Identity) -> Result<(Core, Recovered), JournalError> {
        self.open = None;
        let mut replica = BankReplica::new(identity.clone());
        let (appender, reader, recovered) =
            open(Arc::new(self.memory.clone()), self.options(), &mut replica)?;
        let batch = appender.batch();
        self.open = Some((appender, reader, batch));
        Ok((replica.core, recovered))
    }

    fn options(&self) -> JournalOptions {
        JournalOptions {
            sizes: SegmentSizes { first: self.sizes.first_segment, full: self.sizes.segment },
            snapshot_after_segments: 2,
            threads: false,
            new_id: Some([7; 16]),
            ..JournalOptions::default()
        }
    }

    /// The record that decided a transaction, if the index finds it.
    pub fn lookup(&self, tx: &TxId) -> Option<Record> {
        let (_, reader, _) = self.open.as_ref()?;
        let found = reader.lookup(tx).unwrap_or_else(|error| panic!("{error}"));
        self.found.set(self.found.get() + u64::from(found.is_some()));
        found
    }

    /// Outcomes that the index found.
    pub fn found(&self) -> u64 {
        self.found.get()
    }

    pub fn full_segments(&self) -> u64 {
        let names = self.memory.list().unwrap_or_default();
        let last = |name: &String| {
            let is_index = name.starts_with("index-") || name.starts_with("merged-");
            is_index.then(|| name[name.len().saturating_sub(10)..].parse().ok()).flatten()
        };
        names.iter().filter_map(last).max().unwrap_or(0)
    }

    /// The index finds all records up to this one.
    pub fn indexed_up_to(&self) -> Seq {
        self.open.as_ref().map_or(0, |(_, reader, _)| reader.indexed_up_to())
    }
}

/// Overwriting still succeeds; no file can grow.
fn no_room() -> Faults {
    Faults { room: Some(0), ..Faults::default() }
}
