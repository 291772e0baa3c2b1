//! A disk in memory that can crash: for tests and for a simulator.
//!
//! Unsynced data survives a crash completely, not at all, cut at any byte, or with a flipped bit,
//! as a seed determines; unsynced names survive in their order or in any other. Faults are set in
//! advance: a failing sync, a failing write, a full disk, a power failure at the n-th sync.

mod file;

use super::disk::{Disk, DiskFile};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Faults to be injected. Syncs and writes are counted from 1 over all files; syncs of folders are
/// counted too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// This sync fails, and what it should have synced never reaches the disk, even if later syncs
    /// succeed.
    pub fail_sync: Option<u64>,
    /// Power fails at this sync: it and all later operations fail until [`MemDisk::crash`].
    pub stop_at_sync: Option<u64>,
    /// This write fails after a part of it was written.
    pub fail_write: Option<u64>,
    /// How many bytes all files may have together.
    pub room: Option<u64>,
    /// No file can be opened, as if the process had no more descriptors.
    pub no_open: bool,
}

/// A folder in memory. Clones share it.
#[derive(Clone)]
pub struct MemDisk {
    state: Arc<Mutex<MemState>>,
    /// The start of the machine that this handle belongs to.
    life: u64,
}

#[derive(Default)]
struct MemState {
    life: u64,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names since the last sync of the folder, in order. A disk may apply them in
    /// another.
    renamings: Vec<Naming>,
    files: Vec<Contents>,
    faults: Faults,
    syncs: u64,
    writes: u64,
    reads: u64,
    off: bool,
}

#[derive(Clone)]
enum Naming {
    Link(String, usize),
    Unlink(String),
    Rename(String, String, usize),
}

#[derive(Default)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Writes since the last sync, in order.
    pending: Vec<(usize, Vec<u8>)>,
}

impl Default for MemDisk {
    fn default() -> MemDisk {
        MemDisk::new()
    }
}

impl MemDisk {
    /// A folder without files.
    pub fn new() -> MemDisk {
        MemDisk { state: Arc::default(), life: 0 }
    }

    /// Sets the faults from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// How many syncs were requested.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// How many writes were requested.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// How many reads were requested.
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    /// Crashes and restarts the machine: what is left of the folder follows from `seed`. All
    /// earlier handles fail from now on; faults are cleared.
    pub fn crash(&self, seed: u64) -> MemDisk {
        let mut state = self.state();
        let mut random = SplitMix(seed);
        let kept = random.below(state.renamings.len() as u64 + 1);
        let mut of_names = SplitMix(!seed);
        let in_order = of_names.below(2) == 0;
        let mut names = std::mem::take(&mut state.durable_names);
        for (naming, at) in state.renamings.drain(..).zip(0..) {
            let reached_the_disk = if in_order { at < kept } else { of_names.below(2) == 0 };
            if reached_the_disk {
                naming.apply(&mut names);
            }
        }
        let named: BTreeSet<usize> = names.values().copied().collect();
        for (number, file) in state.files.iter_mut().enumerate() {
            if named.contains(&number) {
                file.crash(&mut random);
            } else {
                // No name leads to it any more, and no handle of it works from now on.
                *file = Contents::default();
            }
        }
        state.durable_names = names.clone();
        state.names = names;
        state.next_life();
        MemDisk { state: Arc::clone(&self.state), life: state.life }
    }

    /// Kills and restarts the process while the machine runs on: no write is lost. All earlier
    /// handles fail from now on; faults are cleared.
    pub fn kill(&self) -> MemDisk {
        let mut state = self.state();
        state.next_life();
        MemDisk { state: Arc::clone(&self.state), life: state.life }
    }

    /// A folder with the same files, all of them durable.
    pub fn copy(&self) -> MemDisk {
        let state = self.state();
        let copy = MemDisk::new();
        for (name, file) in &state.names {
            copy.put(name, state.files[*file].now.clone());
        }
        copy
    }

    /// The content of a file; empty if it does not exist.
    pub fn get(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.names.get(name).map(|file| state.files[*file].now.clone()).unwrap_or_default()
    }

    /// Puts a durable file into the folder while others may use it.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state();
        let file = Contents { now: bytes.clone(), durable: bytes, pending: Vec::new() };
        if let Some(number) = state.names.get(name).copied() {
            // An open handle reads the new content.
            state.files[number] = file;
            state.durable_names.insert(name.into(), number);
            return;
        }
        state.files.push(file);
        let number = state.files.len() - 1;
        state.names.insert(name.into(), number);
        state.durable_names.insert(name.into(), number);
    }

    fn state(&self) -> MutexGuard<'_, MemState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, MemState>> {
        let state = self.state();
        if state.off || state.life != self.life {
            return Err(io::Error::other("the machine is off"));
        }
        Ok(state)
    }
}

impl MemState {
    fn next_life(&mut self) {
        self.life += 1;
        self.off = false;
        self.faults = Faults::default();
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn naming(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.renamings.push(naming);
    }

    /// Counts a sync; returns an error if it is to fail.
    fn count_sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        if self.faults.stop_at_sync == Some(self.syncs) {
            self.off = true;
            return Err(io::Error::other("the machine is off"));
        }
        if self.faults.fail_sync == Some(self.syncs) {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }

    fn used(&self) -> u64 {
        self.names.values().map(|file| self.files[*file].now.len() as u64).sum()
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Naming::Link(name, file) => {
                names.insert(name.clone(), *file);
            }
            Naming::Unlink(name) => {
                names.remove(name);
            }
            Naming::Rename(from, to, file) => {
                if names.get(from) == Some(file) {
                    names.remove(from);
                }
                names.insert(to.clone(), *file);
            }
        }
    }
}

impl Contents {
    /// Keeps what was synced; and of each other write all, nothing, a part, or all but one bit.
    fn crash(&mut self, random: &mut SplitMix) {
        for (offset, bytes) in self.pending.drain(..) {
            let length = bytes.len();
            let cut = usize::try_from(random.below(length as u64 + 1)).unwrap_or(length);
            match random.below(6) {
                0 => {}
                1 => overwrite(&mut self.durable, offset, &bytes),
                2 => overwrite(&mut self.durable, offset, &bytes[..cut]),
                3 => overwrite(&mut self.durable, offset + cut, &bytes[cut..]),
                4 => {
                    let mut flipped = bytes;
                    // Rewriting the same bytes is safe: a start writes the last batch again.
                    let before = self.durable.get(offset + cut);
                    if let Some(byte) = flipped.get_mut(cut).filter(|byte| before != Some(byte)) {
                        *byte ^= 1 << random.below(8);
                    }
                    overwrite(&mut self.durable, offset, &flipped);
                }
                // Disks write sector by sector, in any order.
                _ => {
                    for (number, sector) in bytes.chunks(64).enumerate() {
                        if random.below(2) == 0 {
                            overwrite(&mut self.durable, offset + number * 64, sector);
                        }
                    }
                }
            }
        }
        if self.now != self.durable {
            self.now.clone_from(&self.durable);
        }
    }
}

fn overwrite(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

/// `SplitMix64`: sufficient for tests, and the same on all platforms.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % bound.max(1)
    }
}
