//! Steps that are recorded and not written yet: a bounded buffer, and the signals between its
//! recorders and the writing thread.

use super::live::BatchSender;
use super::{Entry, Step, wall_us};
use consorcio_core::limits::{STEP_BUFFER_BYTES_MAX, STEP_ROOM_MS_MAX};
use std::sync::atomic::AtomicI64;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// State shared by recorders and the writer.
#[derive(Debug)]
pub(super) struct StepBuffer {
    state: Mutex<BufferState>,
    /// The time of the oldest step that the bank's thread holds and has not recorded yet.
    pub(super) kept_since_us: AtomicI64,
    /// Sends steps to another thread of this process.
    pub(super) batches: BatchSender,
    /// Wakes the writer, which waits for steps or requests.
    pub(super) wake: Condvar,
    /// Wakes recorders that wait for room, and callers of `flush`.
    pub(super) done: Condvar,
}

/// Later than any time of a step.
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
    /// Steps dropped for lack of room since the writer last took the buffer.
    pub(super) dropped: u64,
    /// The writer missed its deadline: recorders do not wait for it until it takes the buffer
    /// again.
    pub(super) stuck: bool,
    /// The numbers of flushes that were requested, and that are done.
    pub(super) flush_asked: u64,
    pub(super) flush_done: u64,
    pub(super) reopen: bool,
    pub(super) stop: bool,
    /// The writer has ended: recorders must not wait for it.
    pub(super) gone: bool,
}

/// Memory of an entry; the allocator's slack is not counted.
fn entry_bytes(entry: &Entry) -> usize {
    size_of::<Entry>() + entry.step.heap_bytes()
}

impl StepBuffer {
    pub(super) fn lock(&self) -> MutexGuard<'_, BufferState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the clock under the lock, so that steps are in the order of their times.
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

    /// The state once there is room; `None` where `steps` are dropped instead. The next batch may
    /// exceed the bound, by its own size.
    fn room(&self, steps: u64) -> Option<MutexGuard<'_, BufferState>> {
        let within = Duration::from_millis(STEP_ROOM_MS_MAX);
        let is_full = |state: &BufferState| state.bytes >= STEP_BUFFER_BYTES_MAX && !state.gone;
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
        let filled = before < STEP_BUFFER_BYTES_MAX / 2 && state.bytes >= STEP_BUFFER_BYTES_MAX / 2;
        drop(state);
        // The writer sleeps without a deadline only while the buffer is empty; otherwise until its
        // next flush is due.
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
