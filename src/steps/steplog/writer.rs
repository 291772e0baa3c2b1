//! The thread `step-log`: takes recorded steps, sorts them by time, formats them and writes the
//! lines.

use super::buffer::{BufferState, StepBuffer};
use super::file::RotatedFile;
use super::{Entry, FeedEvent, LoggedOps, Step, live, wall_us};
use crate::line::Formatter;
use consorcio_core::limits::{
    STEP_BUFFER_BYTES_MAX, STEP_CHUNK_BYTES_MAX, STEP_FLUSH_MS, STEP_HELD_MS_MAX, STEP_HOLD_MS,
};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;

/// The state of the thread `step-log`.
pub(super) struct StepWriter {
    pub(super) shared: Arc<StepBuffer>,
    pub(super) feed: broadcast::Sender<FeedEvent>,
    pub(super) file: RotatedFile,
    pub(super) formatter: Formatter,
    /// Steps that are held back, since an earlier one may still be recorded.
    pub(super) held: Vec<Entry>,
    /// The time of the newest line; a later line has an earlier one only after the clock was set
    /// back.
    pub(super) written_us: i64,
    pub(super) lines: Vec<u8>,
    /// The time of the first of `lines`.
    pub(super) first_us: i64,
    /// The text of the last start, with which a new file begins.
    pub(super) node: Option<Box<str>>,
    pub(super) chunk: usize,
    /// Bytes lost in failed writes since the last successful one.
    pub(super) lost: u64,
    pub(super) path: PathBuf,
}

impl StepWriter {
    pub(super) fn run(mut self) {
        // However this thread ends, recorders stop waiting for it.
        let _gone = Gone(Arc::clone(&self.shared));
        let mut taken = Vec::new();
        loop {
            let mut state = self.next_flush();
            // Read before the buffer is taken: a thread that holds nothing now has recorded its
            // steps, and what it records later is not older than this moment.
            let now_us = wall_us();
            let kept_us = self.shared.kept_since_us.load(Ordering::Acquire);
            std::mem::swap(&mut state.entries, &mut taken);
            let full = state.bytes >= STEP_BUFFER_BYTES_MAX / 2;
            state.bytes = 0;
            state.stuck = false;
            let dropped = std::mem::take(&mut state.dropped);
            let (asked, reopen, stop) =
                (state.flush_asked, std::mem::take(&mut state.reopen), state.stop);
            let flush = stop || full || asked > state.flush_done;
            drop(state);
            // Taking the buffer makes room.
            self.shared.done.notify_all();
            if reopen && let Err(error) = self.file.reopen() {
                self.warn(&format!("can't be reopened: {error}; it goes on in the file it had"));
            }
            if self.feed.receiver_count() > 0 {
                for passed in taken.iter().filter_map(|entry| entry.step.feed_event()) {
                    // The last receiver may have gone.
                    let _ = self.feed.send(passed);
                }
            }
            let written = taken.len();
            self.held.append(&mut taken);
            self.write_held(now_us, kept_us, flush);
            if dropped > 0 {
                self.report_dropped(dropped);
                self.write();
            }
            let is_large = taken.capacity() > 4 * STEP_CHUNK_BYTES_MAX / size_of::<Entry>();
            if is_large && written < taken.capacity() / 8 {
                taken = Vec::new(); // a burst is over: free its memory
                self.held.shrink_to(0);
            }
            self.shared.lock().flush_done = asked;
            self.shared.done.notify_all();
            if stop {
                self.file.end();
                return;
            }
        }
    }

    /// Writes the held steps in the order of their times, up to the time from which an earlier step
    /// may still be recorded; all of them if `flush`. `kept_us` is the time of the oldest step that
    /// a thread had not recorded at the time `now`. Runs over the steps of one flush and those held
    /// before it.
    fn write_held(&mut self, now: i64, kept_us: i64, flush: bool) {
        // The sort is stable: steps of one thread with equal times keep their order.
        self.held.sort_by_key(|entry| entry.at_us);
        // After the clock was set back, times say nothing about the order. A thread that hangs must
        // not hold back lines permanently.
        let set_back = self.held.last().is_some_and(|last| last.at_us > now);
        let until = if flush || set_back {
            i64::MAX
        } else {
            (now - STEP_HOLD_MS * 1_000).min(kept_us.max(now - STEP_HELD_MS_MAX * 1_000))
        };
        let ready = self.held.partition_point(|entry| entry.at_us < until);
        let is_watched = live::is_watched();
        if self.written_us > now {
            self.written_us = i64::MIN; // the clock was set back
        }
        for at in 0..ready {
            if at % TOUCHED_AHEAD == 0 {
                touch(&self.held[at..ready.min(at + TOUCHED_AHEAD)]);
            }
            // A step that was recorded too late gets the time of the line before it.
            self.written_us = self.written_us.max(self.held[at].at_us);
            self.held[at].at_us = self.written_us;
            if self.lines.is_empty() {
                self.first_us = self.written_us;
            }
            self.formatter.write(&mut self.lines, &self.held[at]);
            if let Step::Start(text) = &self.held[at].step {
                self.node = Some(text.clone());
            }
            if is_watched {
                live::emit(&mut self.formatter, &self.held[at]);
            }
            if self.lines.len() >= self.chunk {
                self.write();
            }
        }
        self.shared.batches.send(&self.held[..ready]);
        self.held.drain(..ready);
        self.write();
    }

    /// Waits for a first step, and then for further ones until a flush is due.
    fn next_flush(&self) -> MutexGuard<'_, BufferState> {
        let urgent = |state: &BufferState| {
            state.stop
                || state.reopen
                || state.flush_asked > state.flush_done
                || state.bytes >= STEP_BUFFER_BYTES_MAX / 2
        };
        let state = self
            .shared
            .wake
            .wait_while(self.shared.lock(), |state| {
                self.held.is_empty() && state.entries.is_empty() && !urgent(state)
            })
            .unwrap_or_else(PoisonError::into_inner);
        let flush_after = Duration::from_millis(STEP_FLUSH_MS);
        self.shared
            .wake
            .wait_timeout_while(state, flush_after, |state| !urgent(state))
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn write(&mut self) {
        while !self.lines.is_empty() {
            if self.file.is_full(self.lines.len())
                && let Err(error) = self.file.rotate()
            {
                self.warn(&format!("a rotation or compression failed: {error}; no line is lost"));
            }
            match self.file.look() {
                Ok(false) => {}
                Ok(true) => self.warn("was removed or replaced; it goes on in a new file"),
                Err(error) => {
                    self.warn(&format!("can't be reopened: {error}; it goes on in the file it had"))
                }
            }
            self.begin_file();
            let written = self.file.append(&self.lines);
            let length = u64::try_from(self.lines.len()).unwrap_or(u64::MAX);
            self.lines.clear();
            self.written(written, length);
        }
    }

    /// Names the node in the first line of a file that has taken the place of another one.
    fn begin_file(&mut self) {
        let Some(node) = self.node.clone().filter(|_| self.file.is_new()) else { return };
        let mut first = Vec::new();
        let entry = Entry { at_us: self.first_us, step: Step::Node(node) };
        self.formatter.write(&mut first, &entry);
        self.lines.splice(0..0, first);
    }

    /// A log that can't be written does not stop a bank: one warning reports it, and after the next
    /// successful write the log itself says how much is missing.
    fn written(&mut self, result: io::Result<()>, bytes: u64) {
        match result {
            Err(error) => {
                if self.lost == 0 {
                    self.warn(&format!(
                        "can't be written: {error}; steps are lost until it can be again"
                    ));
                }
                self.lost = self.lost.saturating_add(bytes);
            }
            Ok(()) if self.lost > 0 => {
                self.warn(&format!("can be written again; {} bytes of it are lost", self.lost));
                let text = format!(
                    "{} bytes before this line could not be written and are lost",
                    self.lost
                );
                self.lost = 0;
                self.write_fault(text);
            }
            Ok(()) => {}
        }
    }

    /// Appends a line with the number of dropped steps: they were dropped while the lines before it
    /// waited.
    fn report_dropped(&mut self, steps: u64) {
        let text = format!("{steps} steps dropped: the step log could not be written fast enough");
        self.warn(&text);
        self.write_fault(text);
    }

    /// Appends a line of this thread, with the time of the line before it: steps that are held are
    /// older than this moment.
    fn write_fault(&mut self, text: String) {
        let at_us = if self.written_us == i64::MIN { wall_us() } else { self.written_us };
        if self.lines.is_empty() {
            self.first_us = at_us;
        }
        self.formatter.write(&mut self.lines, &Entry { at_us, step: Step::Fault(text.into()) });
    }

    pub(super) fn warn(&self, text: &str) {
        tracing::warn!("step log {}: {text}", self.path.display());
    }
}

/// Reads the beginning of what these steps point to. Another core wrote it some milliseconds ago,
/// so each is a cache miss, and here many are under way at a time; in the formatter each would wait
/// for the one before. That was half of the formatter's time.
fn touch(entries: &[Entry]) {
    let touched = entries.iter().filter_map(|entry| entry.step.ops()).map(LoggedOps::touch);
    let touched = touched.fold(0, usize::wrapping_add);
    std::hint::black_box(touched);
}

/// How many steps are read before they are formatted: what they point to fits a core's cache.
const TOUCHED_AHEAD: usize = 64;

struct Gone(Arc<StepBuffer>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.lock().gone = true;
        self.0.done.notify_all();
        self.0.batches.close();
    }
}
