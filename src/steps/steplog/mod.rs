//! The step log: the story, one file a node, one short line a step.
//!
//! Whoever records a step pushes a small value under a lock; an own thread makes the lines and
//! writes them. None is dropped under load: past a bound of memory the recorder waits a moment for
//! the writer. Where that does not come back, because its disk hangs, steps are counted and
//! dropped, and the log says so once it can be written again: a log must not stop a bank. Nothing
//! is recovered from it, so it is never synced; a kill -9 may cost its last moments. The lines'
//! text is in `line`, the list of events in `step` and what becomes one in `tell`, rotation in
//! `file`.

mod feed;
mod file;
#[cfg(test)]
mod file_tests;
mod line;
mod live;
mod step;
mod tell;
#[cfg(test)]
mod tests;

pub use consorcio_system::systime::wall_us;
pub use feed::Passed;
pub use live::StepBatches;
pub use step::{Ending, Entry, Load, Said, Step, Who};

use consorcio_core::limits::{
    STEP_CHUNK_BYTES_MAX, STEP_FEED_MAX, STEP_FLUSH_MS, STEP_HELD_MS_MAX, STEP_HOLD_MS,
    STEP_LOG_BYTES_DEFAULT, STEP_LOG_KEEP_DEFAULT, STEP_MEMORY_BYTES_MAX, STEP_ROOM_MS_MAX,
};
use consorcio_system::threads::{END_WITHIN, join_within};
use file::RotatedFile;
use line::Formatter;
use live::BatchSender;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// How a step log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Off costs nothing, and makes no file.
    pub on: bool,
    /// Bytes of a file before it is rotated; 0: never.
    pub bytes_max: u64,
    /// How many rotated files stay.
    pub keep: usize,
    /// The consortium's addresses by position, so that a bank's line tells its address.
    pub places: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            on: true,
            bytes_max: STEP_LOG_BYTES_DEFAULT,
            keep: STEP_LOG_KEEP_DEFAULT,
            places: Vec::new(),
        }
    }
}

/// The step log's file could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the step log {path} can't be opened: {source}")]
pub struct OpenError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// A handle of the step log; clones share it. When the last one goes, what was recorded is written.
#[derive(Debug, Clone)]
pub struct StepLog(Option<Arc<Log>>);

impl StepLog {
    /// Opens the log at `path`, appending to what is there. Where others can read it, says on
    /// stderr what to type.
    ///
    /// # Errors
    /// When the file, its folder or the writing thread can't be made.
    pub fn open(path: &Path, options: Options) -> Result<StepLog, OpenError> {
        if !options.on {
            return Ok(StepLog::off());
        }
        let failed = |source| OpenError { path: path.to_owned(), source };
        let file = RotatedFile::open(path, options.bytes_max, options.keep).map_err(failed)?;
        let chunk = usize::try_from(options.bytes_max).unwrap_or(usize::MAX);
        let chunk = if chunk == 0 { STEP_CHUNK_BYTES_MAX } else { chunk.min(STEP_CHUNK_BYTES_MAX) };
        let shared = Arc::new(Shared::default());
        let feed = broadcast::Sender::new(STEP_FEED_MAX);
        let writer = Writer {
            shared: Arc::clone(&shared),
            feed: feed.clone(),
            file,
            formatter: Formatter::new(options.places),
            held: Vec::new(),
            lines: Vec::with_capacity(2 * chunk),
            chunk,
            lost: 0,
            path: path.to_owned(),
        };
        if let Some(commands) = writer.file.exposed() {
            writer.warn(&format!(
                "other users of this machine can get at it; to close it, type: {commands}"
            ));
        }
        let thread = thread::Builder::new()
            .name("step-log".to_owned())
            .spawn(move || writer.run())
            .map_err(failed)?;
        Ok(StepLog(Some(Arc::new(Log { shared, feed, thread: Mutex::new(Some(thread)) }))))
    }

    /// A log that tells nothing.
    pub fn off() -> StepLog {
        StepLog(None)
    }

    /// Does it tell anything? If not, steps need not be made.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What passes from now on, as it is written. Whoever listens too slowly is told how much was
    /// missed; it costs nothing while nobody listens. `None` where the log is off.
    pub fn feed(&self) -> Option<broadcast::Receiver<Passed>> {
        self.0.as_ref().map(|log| log.feed.subscribe())
    }

    /// All steps from now on, as they are written, for one thread of this process; at most so many
    /// flushes of them wait. `None` where the log is off.
    pub fn batches(&self, batches_max: usize) -> Option<StepBatches> {
        self.0.as_ref().map(|log| log.shared.batches.open(batches_max))
    }

    /// Records a step that happens now.
    pub fn record(&self, step: Step) {
        if let Some(log) = &self.0 {
            log.shared.push_now(step);
        }
    }

    /// Records a step that happened at `at_us`, microseconds since 1970.
    pub fn record_at(&self, at_us: i64, step: Step) {
        if let Some(log) = &self.0 {
            log.shared.push(Entry { at_us, step });
        }
    }

    /// Records many steps under one lock, and empties `entries` for its next use.
    pub fn append(&self, entries: &mut Vec<Entry>) {
        match &self.0 {
            Some(log) if !entries.is_empty() => log.shared.append(entries),
            _ => entries.clear(),
        }
    }

    /// Says that whoever calls this keeps steps since `at_us` and has not recorded them yet; none:
    /// it keeps nothing. Younger steps are not written before these.
    pub fn keeps_since(&self, at_us: Option<i64>) {
        if let Some(log) = &self.0 {
            log.shared.kept_since_us.store(at_us.unwrap_or(NOTHING_KEPT), Ordering::Release);
        }
    }

    /// Waits until all that was recorded before is in the file, at most for `within`. Says whether
    /// it is.
    pub fn flush(&self, within: Duration) -> bool {
        self.0.as_ref().is_none_or(|log| log.shared.flush(within))
    }

    /// How many steps were dropped since the file could last be written; 0 where it can be.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |log| log.shared.lock().dropped)
    }

    /// Opens the file anew, for whoever moved it away.
    pub fn reopen(&self) {
        if let Some(log) = &self.0 {
            log.shared.lock().reopen = true;
            log.shared.wake.notify_one();
        }
    }

    /// Writes all that was recorded and ends the log; what is recorded later is not told any more.
    /// A file that can't be written now is not waited for longer than a moment.
    pub fn close(&self) {
        if let Some(log) = &self.0 {
            log.close();
        }
    }

    /// From now on a panic is told in this log, and written, before the process goes.
    pub fn flush_on_panic(&self) {
        let log = self.clone();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            log.record(Step::Fault(format!("panic: {info}").into()));
            log.flush(Duration::from_secs(1));
            before(info);
        }));
    }
}

/// Makes the folder of step logs, which only its owner may read. One that is there stays as it is.
///
/// # Errors
/// When it can't be made.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    file::make_folder(folder)
}

#[derive(Debug)]
struct Log {
    shared: Arc<Shared>,
    feed: broadcast::Sender<Passed>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    fn close(&self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            join_within(thread, END_WITHIN);
            // One that hangs is left behind, and must not hold anybody up.
            self.shared.lock().gone = true;
            self.shared.done.notify_all();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

/// What recorders and the writer share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The time of the oldest step that the bank's thread has not recorded yet.
    kept_since_us: AtomicI64,
    /// Where written steps go besides the file.
    batches: BatchSender,
    /// The writer waits here for something to do.
    wake: Condvar,
    /// Recorders wait here for room, a moment, and whoever flushes for the end of it.
    done: Condvar,
}

/// Later than any step.
const NOTHING_KEPT: i64 = i64::MAX;

impl Default for Shared {
    fn default() -> Shared {
        Shared {
            state: Mutex::default(),
            kept_since_us: AtomicI64::new(NOTHING_KEPT),
            batches: BatchSender::default(),
            wake: Condvar::new(),
            done: Condvar::new(),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    bytes: usize,
    /// Steps for which there was no room, since the writer last took some.
    dropped: u64,
    /// The writer did not come back in time: nobody waits for it until it does.
    stuck: bool,
    /// How many flushes were asked for, and how many of them are done.
    flush_asked: u64,
    flush_done: u64,
    reopen: bool,
    stop: bool,
    /// The writer is gone: nobody may wait for it.
    gone: bool,
}

/// Memory of an entry; the allocator's slack is not counted.
fn entry_bytes(entry: &Entry) -> usize {
    size_of::<Entry>() + entry.step.heap_bytes()
}

/// The writer takes one buffer while another fills: each may have half.
const BUFFER_BYTES_MAX: usize = STEP_MEMORY_BYTES_MAX / 2;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the time under the lock, so that steps stand in the order of their times.
    fn push_now(&self, step: Step) {
        if let Some(mut state) = self.room(1) {
            let entry = Entry { at_us: wall_us(), step };
            let bytes = entry_bytes(&entry);
            state.entries.push(entry);
            self.added(state, bytes);
        }
    }

    fn push(&self, entry: Entry) {
        let bytes = entry_bytes(&entry);
        if let Some(mut state) = self.room(1) {
            state.entries.push(entry);
            self.added(state, bytes);
        }
    }

    fn append(&self, entries: &mut Vec<Entry>) {
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
    fn room(&self, steps: u64) -> Option<MutexGuard<'_, State>> {
        let within = Duration::from_millis(STEP_ROOM_MS_MAX);
        let is_full = |state: &State| state.bytes >= BUFFER_BYTES_MAX && !state.gone;
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

    fn added(&self, mut state: MutexGuard<'_, State>, bytes: usize) {
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

    fn flush(&self, within: Duration) -> bool {
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

/// The writing thread.
struct Writer {
    shared: Arc<Shared>,
    feed: broadcast::Sender<Passed>,
    file: RotatedFile,
    formatter: Formatter,
    /// Steps that an older one may still follow.
    held: Vec<Entry>,
    lines: Vec<u8>,
    chunk: usize,
    /// Bytes that could not be written since the last write that could.
    lost: u64,
    path: PathBuf,
}

impl Writer {
    fn run(mut self) {
        // However this thread ends, nobody waits for it afterwards.
        let _gone = Gone(Arc::clone(&self.shared));
        let mut taken = Vec::new();
        loop {
            let mut state = self.next_flush();
            std::mem::swap(&mut state.entries, &mut taken);
            let full = state.bytes >= BUFFER_BYTES_MAX / 2;
            state.bytes = 0;
            state.stuck = false;
            let dropped = std::mem::take(&mut state.dropped);
            let (asked, reopen, stop) =
                (state.flush_asked, std::mem::take(&mut state.reopen), state.stop);
            let flush = stop || full || asked > state.flush_done;
            drop(state);
            // There is room again as soon as the buffer is taken.
            self.shared.done.notify_all();
            if reopen && let Err(error) = self.file.reopen() {
                self.warn(&format!("can't be reopened: {error}; it goes on in the file it had"));
            }
            if self.feed.receiver_count() > 0 {
                for passed in taken.iter().filter_map(|entry| entry.step.passed()) {
                    // Nobody may be listening any more.
                    let _ = self.feed.send(passed);
                }
            }
            self.held.append(&mut taken);
            self.write_held(flush);
            if dropped > 0 {
                self.tell_dropped(dropped);
                self.write();
            }
            if taken.capacity() > 4 * STEP_CHUNK_BYTES_MAX / size_of::<Entry>() {
                taken = Vec::new(); // a burst is over: its memory goes back
                self.held.shrink_to(0);
            }
            self.shared.lock().flush_done = asked;
            self.shared.done.notify_all();
            if stop {
                return;
            }
        }
    }

    /// Writes held steps by time, as far as none that is older can follow; all of them for a
    /// `flush`. Runs over the steps of one flush and of the hold before it.
    fn write_held(&mut self, flush: bool) {
        // Steps of one thread with one time keep their order.
        self.held.sort_by_key(|entry| entry.at_us);
        let now = wall_us();
        let kept = self.shared.kept_since_us.load(Ordering::Acquire);
        // A clock that was set back tells nothing about the order; and a thread that hangs holds
        // nothing up for ever.
        let set_back = self.held.last().is_some_and(|last| last.at_us > now);
        let until = if flush || set_back {
            i64::MAX
        } else {
            (now - STEP_HOLD_MS * 1_000).min(kept.max(now - STEP_HELD_MS_MAX * 1_000))
        };
        let ready = self.held.partition_point(|entry| entry.at_us < until);
        let is_watched = live::is_watched();
        for at in 0..ready {
            self.formatter.write(&mut self.lines, &self.held[at]);
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

    /// Waits until there is something, and then for more of it until a flush is due.
    fn next_flush(&self) -> MutexGuard<'_, State> {
        let urgent = |state: &State| {
            state.stop
                || state.reopen
                || state.flush_asked > state.flush_done
                || state.bytes >= BUFFER_BYTES_MAX / 2
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
                self.warn(&format!("can't be rotated: {error}; it goes on in the same file"));
            }
            let written = self.file.append(&self.lines);
            let length = u64::try_from(self.lines.len()).unwrap_or(u64::MAX);
            self.lines.clear();
            self.written(written, length);
        }
    }

    /// A log that can't be written does not stop a bank: it is told once on stderr, and once it can
    /// be written again the log itself says how much is missing.
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
                let entry = Entry { at_us: wall_us(), step: Step::Fault(text.into()) };
                self.formatter.write(&mut self.lines, &entry);
            }
            Ok(()) => {}
        }
    }

    /// They were dropped while all that is written before this was waiting.
    fn tell_dropped(&mut self, steps: u64) {
        let text = format!("{steps} steps dropped: the step log could not be written fast enough");
        self.warn(&text);
        let entry = Entry { at_us: wall_us(), step: Step::Fault(text.into()) };
        self.formatter.write(&mut self.lines, &entry);
    }

    fn warn(&self, text: &str) {
        tracing::warn!("step log {}: {text}", self.path.display());
    }
}

struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.lock().gone = true;
        self.0.done.notify_all();
        self.0.batches.close();
    }
}
