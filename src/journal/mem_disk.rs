//! A disk in memory that can crash: for tests, and for a simulator.
//!
//! What was not synced survives a crash or doesn't, wholly, torn at any byte, or with a bit
//! flipped, as a seed says; so do names that were not synced, in their order or any other. Faults
//! are given beforehand: a sync that fails, a write that fails, no more room, the end of power at
//! the n-th sync.

mod file;

use super::disk::{Disk, DiskFile};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is to go wrong. Syncs and writes are counted from 1 on, over all files; folders' syncs
/// count too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// This sync fails, and what it should have synced never reaches the disk, whatever later syncs
    /// say.
    pub fail_sync: Option<u64>,
    /// Power ends at this sync: it and all that follows fail, until [`MemDisk::crash`].
    pub stop_at_sync: Option<u64>,
    /// This write fails, after a part of it.
    pub fail_write: Option<u64>,
    /// Bytes that all files may have together.
    pub room: Option<u64>,
    /// No file can be opened: the process has no more descriptors.
    pub no_open: bool,
}

/// A folder in memory. Clones are the same folder.
#[derive(Clone)]
pub struct MemDisk {
    state: Arc<Mutex<MemState>>,
    /// Which life of the machine this handle belongs to.
    life: u64,
}

#[derive(Default)]
struct MemState {
    life: u64,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names since the folder's last sync, in order. A disk may do them in any other.
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

    /// Says what is to go wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// How many syncs were asked for.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// How many writes were asked for.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// How many reads were asked for.
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    /// The machine stops and starts again: what is left of the folder follows from `seed`. All
    /// handles of the life before fail from now on; no fault is left.
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
                // Nobody finds it any more, and no handle of it works from now on.
                *file = Contents::default();
            }
        }
        state.durable_names = names.clone();
        state.names = names;
        state.next_life();
        MemDisk { state: Arc::clone(&self.state), life: state.life }
    }

    /// The process stops and starts again, the machine goes on: nothing that was written is lost.
    /// All handles of the life before fail from now on; no fault is left.
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

    /// The content of a file, or nothing when it isn't there.
    pub fn get(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.names.get(name).map(|file| state.files[*file].now.clone()).unwrap_or_default()
    }

    /// Puts a durable file there, behind the back of whoever uses the folder.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state();
        let file = Contents { now: bytes.clone(), durable: bytes, pending: Vec::new() };
        if let Some(number) = state.names.get(name).copied() {
            // Whoever has it open sees what it holds now.
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

    /// Counts a sync; an error when it is one that is to fail.
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
    /// Keeps what was synced, and of each other write all, nothing, some of its bytes, or all but
    /// one bit.
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
                    // What is written over the same is safe: a start writes the last batch again.
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

/// `SplitMix64`: enough for tests, and the same everywhere.
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
