//! A bank's disk: the shipped journal on a disk in memory that loses what was not synced, tears it,
//! flips bits of it, fills up and fails.

use consorcio::bank::io::Seq;
use consorcio::bank::record::Record;
use consorcio::bank::{Core, Identity};
use consorcio::ids::TxId;
use consorcio::journal::{
    Appender, BankReplica, Batch, Disk as _, Faults, JournalError, MemDisk, Options, Reader,
    Recovered, Sizes as SegmentSizes, open,
};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records in one write.
const BATCH_RECORDS: usize = 16;

/// How large segments are.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub first_segment: u64,
    pub segment: u64,
}

/// What may go wrong with a disk that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    FailingWrite,
    FailingSync,
    /// No more room, until somebody makes some.
    Full,
}

pub struct Disk {
    memory: MemDisk,
    sizes: Sizes,
    open: Option<(Appender, Reader, Batch)>,
    /// What the last crash left, until the bank starts on it.
    recovered: Option<Core>,
    full: bool,
    /// Something is to go wrong, or does.
    troubled: bool,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    found: Cell<u64>,
}

impl Clone for Disk {
    fn clone(&self) -> Disk {
        panic!("worlds that are copied have no disks")
    }
}

impl Disk {
    pub fn new(sizes: Sizes) -> Disk {
        Disk {
            memory: MemDisk::new(),
            sizes,
            open: None,
            recovered: None,
            full: false,
            troubled: false,
            counts: BTreeMap::new(),
            found: Cell::new(0),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Writes and syncs these records, the first of which has this number. `false`: it failed,
    /// nobody knows what is on disk, and the process must stop.
    pub fn write(&mut self, first: Seq, records: &[Record]) -> bool {
        let Some((appender, _, batch)) = &mut self.open else { return false };
        for (records, chunk) in records.chunks(BATCH_RECORDS).zip(0u64..) {
            batch.clear();
            let first = first + chunk * BATCH_RECORDS as u64;
            for (record, seq) in records.iter().zip(first..) {
                batch.push(seq, record);
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

    /// From now on, or with the next write or sync, this goes wrong.
    pub fn fail_next(&mut self, trouble: Trouble) {
        let (syncs, writes) = (self.memory.syncs() + 1, self.memory.writes() + 1);
        self.full = trouble == Trouble::Full;
        self.troubled = true;
        self.memory.set_faults(match trouble {
            Trouble::FailingSync => Faults { fail_sync: Some(syncs), ..Faults::default() },
            Trouble::FailingWrite => Faults { fail_write: Some(writes), ..Faults::default() },
            Trouble::Full => no_room(),
        });
    }

    /// Nothing fails any more, and there is room.
    pub fn works(&mut self) {
        (self.full, self.troubled) = (false, false);
        self.memory.set_faults(Faults::default());
    }

    /// Has it no room?
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// May a start fail, or end at once?
    pub fn is_troubled(&self) -> bool {
        self.troubled
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
        // Power ends again, while the bank starts.
        if seed.is_multiple_of(5) {
            let stop_at_sync = Some(self.memory.syncs() + 1 + seed % 4);
            self.memory.set_faults(Faults { stop_at_sync, ..Faults::default() });
        }
    }

    /// Opens the journal after a crash: it must hold what `durable` was made of, and then as many
    /// of `unsynced` as are returned.
    pub fn recover(&mut self, identity: &Identity, durable: &Core, unsynced: &[Record]) -> usize {
        let mut opened = self.try_open(identity);
        // Power may end in what a start does beside, and can do later.
        if opened.is_err() || self.memory.list().is_err() {
            self.count("crash while starting");
            self.open = None;
            self.memory = self.memory.crash(durable.seq());
            opened = self.try_open(identity);
        }
        let (core, told) =
            opened.unwrap_or_else(|error| panic!("a journal does not open: {error}"));
        if told.torn.is_some() {
            self.count("torn tail cut");
        }
        if told.snapshot.is_some() {
            self.count("start from a snapshot");
        }
        let kept = told.last.checked_sub(durable.seq());
        let kept =
            kept.unwrap_or_else(|| panic!("bank {} lost a record that was synced", identity.bank));
        let kept = usize::try_from(kept).expect("a short journal");
        assert!(kept <= unsynced.len(), "the journal holds records that nobody wrote");
        let mut expected = durable.clone();
        unsynced[..kept].iter().for_each(|record| expected.apply(record));
        assert!(core.same_as(&expected), "what was recovered is not what was written");
        let seed = self.memory.syncs().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        if (seed >> 20).is_multiple_of(8) {
            self.rot(seed, identity, &core);
        }
        self.recovered = Some(core);
        self.troubled = self.full;
        self.memory.set_faults(if self.full { no_room() } else { Faults::default() });
        kept
    }

    /// A bit flips in a copy of what was promised: the copy is refused, naming its file, or it did
    /// no harm.
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
        // Where something was written, not in the zeroes behind it.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if used == 0 {
            return;
        }
        let at = usize::try_from(seed >> 24).expect("64 bits") % used;
        bytes[at] ^= 1 << (seed % 8);
        copy.put(name, bytes);
        let mut replica = BankReplica::new(identity.clone());
        match open(Arc::new(copy), self.options(identity), &mut replica) {
            Ok(_) => {
                assert!(
                    replica.core.same_as(core),
                    "a flipped bit at {at} of {name} changed what was promised, and nobody noticed"
                );
                self.count("flipped bit harmless");
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(name), "a flipped bit at {at} of {name} is told as: {text}");
                if let JournalError::Damaged { .. } = error {
                    self.count("flipped bit refused");
                }
            }
        }
    }

    /// The bank as its journal has it, if the disk lets it start.
    pub fn start(&mut self, identity: &Identity, durable: &Core) -> Option<Core> {
        let is_open = self.open.is_some() && !self.full;
        if let Some(core) = self.recovered.take().filter(|_| is_open) {
            return Some(core);
        }
        match self.try_open(identity) {
            Ok((core, _)) => {
                assert!(core.same_as(durable), "what was recovered is not what was written");
                Some(core)
            }
            Err(error) => {
                assert!(self.troubled, "a journal does not open: {error}");
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
        let (appender, reader, told) =
            open(Arc::new(self.memory.clone()), self.options(identity), &mut replica)?;
        let batch = appender.batch();
        self.open = Some((appender, reader, batch));
        Ok((replica.core, told))
    }

    fn options(&self, identity: &Identity) -> Options {
        Options {
            sizes: SegmentSizes { first: self.sizes.first_segment, full: self.sizes.segment },
            snapshot_after_segments: 2,
            replica: Some(BankReplica::maker(identity.clone())),
            threads: false,
            new_id: Some([7; 16]),
            ..Options::default()
        }
    }

    /// The record that decided a transaction, where the index finds it.
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

    /// Segments that are full.
    pub fn full_segments(&self) -> u64 {
        let names = self.memory.list().unwrap_or_default();
        let last = |name: &String| {
            let is_index = name.starts_with("index-") || name.starts_with("merged-");
            is_index.then(|| name[name.len().saturating_sub(10)..].parse().ok()).flatten()
        };
        names.iter().filter_map(last).max().unwrap_or(0)
    }

    /// Records up to this one are found by the index.
    pub fn indexed_up_to(&self) -> Seq {
        self.open.as_ref().map_or(0, |(_, reader, _)| reader.indexed_up_to())
    }
}

/// What is written over what is there still finds room; nothing grows.
fn no_room() -> Faults {
    Faults { room: Some(0), ..Faults::default() }
}
