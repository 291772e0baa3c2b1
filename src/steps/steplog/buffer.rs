//! Steps that are recorded and not written yet: a buffer within a bound, and what its recorders and
//! the writing thread say to each other.

use super::live::BatchSender;
use super::{Entry, Step, wall_us};
use consorcio_core::limits::{STEP_MEMORY_BYTES_MAX, STEP_ROOM_MS_MAX};
use std::sync::atomic::AtomicI64;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What recorders and the writer share.
#[derive(Debug)]
pub(super) struct StepBuffer {
    state: Mutex<BufferState>,
    /// The time of the oldest step that the bank's thread has not recorded yet.
    pub(super) kept_since_us: AtomicI64,
    /// Where steps go that another thread of this process wants.
    pub(super) batches: BatchSender,
    /// The writer waits here for something to do.
    pub(super) wake: Condvar,
    /// Recorders wait here for room, a moment, and whoever flushes for the end of it.
    pub(super) done: Condvar,
}

/// Later than any step.
pub(super) const NOTHING_KEPT: i64 = i64::MAX;

impl Default for StepBuffer {
    fn default() -> StepBuffer {
        StepBuffer {
            state: Mutex::default(),
            kept_since_us: AtomicI64::new(NOTHING_KEPT),
            batches: BatchSender::default(),
            wake: Condvar::new(),
            done: Condvar::new(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct BufferState {
    pub(super) entries: Vec<Entry>,
    pub(super) bytes: usize,
    /// Steps for which there was no room, since the writer last took some.
    pub(super) dropped: u64,
    /// The writer did not come back in time: nobody waits for it until it does.
    pub(super) stuck: bool,
    /// How many flushes were asked for, and how many of them are done.
    pub(super) flush_asked: u64,
    pub(super) flush_done: u64,
    pub(super) reopen: bool,
    pub(super) stop: bool,
    /// The writer is gone: nobody may wait for it.
    pub(super) gone: bool,
}

/// Memory of an entry; the allocator's slack is not counted.
fn entry_bytes(entry: &Entry) -> usize {
    size_of::<Entry>() + entry.step.heap_bytes()
}

/// The writer takes one buffer while another fills: each may have half.
pub(super) const BUFFER_BYTES_MAX: usize = STEP_MEMORY_BYTES_MAX / 2;

impl StepBuffer {
    pub(super) fn lock(&self) -> MutexGuard<'_, BufferState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the time under the lock, so that steps stand in the order of their times.
    pub(super) fn push_now(&self, step: Step) {
        if let Some(mut state) = self.room(1) {
            let entry = Entry { at_us: wall_us(), step };
            let bytes = entry_bytes(&entry);
            state.entries.push(entry);
            self.added(state, bytes);
        }
    }

    pub(super) fn push(&self, entry: Entry) {
        let bytes = entry_bytes(&entry);
        if let Some(mut state) = self.room(1) {
            state.entries.push(entry);
            self.added(state, bytes);
        }
    }

    pub(super) fn append(&self, entries: &mut Vec<Entry>) {
        let bytes = entries.iter().map(entry_bytes).sum();
        match self.room(u64::try_from(entries.len()).unwrap_or(u64::MAX)) {
            Some(mut state) => {
                state.entries.append(entries);
                self.added(state, bytes);
            }
            None => entries.clear(),
        }
    }

    /// The state once there is room for `steps` more; `None` where they are dropped. What is added
    /// then may pass the bound, by one batch at most.
    fn room(&self, steps: u64) -> Option<MutexGuard<'_, BufferState>> {
        let within = Duration::from_millis(STEP_ROOM_MS_MAX);
        let is_full = |state: &BufferState| state.bytes >= BUFFER_BYTES_MAX && !state.gone;
        let mut state = self.lock();
        if is_full(&state) && !state.stuck {
            let waited =
                self.done.wait_timeout_while(state, within, |state| is_full(state) && !state.stuck);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.gone {
            return None;
        }
        if is_full(&state) {
            state.stuck = true;
            state.dropped = state.dropped.saturating_add(steps);
            return None;
        }
        Some(state)
    }

    fn added(&self, mut state: MutexGuard<'_, BufferState>, bytes: usize) {
        let before = state.bytes;
        state.bytes += bytes;
        let filled = before < BUFFER_BYTES_MAX / 2 && state.bytes >= BUFFER_BYTES_MAX / 2;
        drop(state);
        // The writer sleeps without end only while there is nothing, and else until its next flush
        // is due.
        if before == 0 || filled {
            self.wake.notify_one();
        }
    }

    pub(super) fn flush(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        let mut state = self.lock();
        state.flush_asked += 1;
        let asked = state.flush_asked;
        self.wake.notify_one();
        loop {
            if state.flush_done >= asked || state.gone {
                return true;
            }
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return false;
            };
            state = self.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
