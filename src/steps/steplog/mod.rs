//! The step log: the story, one file a node, one short line a step.
//!
//! Whoever records a step pushes a small value under a lock; an own thread makes the lines and
//! writes them. None is dropped under load: past a bound of memory the recorder waits a moment for
//! the writer. Where that does not come back, because its disk hangs, steps are counted and
//! dropped, and the log says so once it can be written again: a log must not stop a bank. Nothing
//! is recovered from it, so it is never synced; a kill -9 may cost its last moments. The lines'
//! text is in `line`, the list of events in `step` and what becomes one in `tell`, rotation in
//! `file`.

mod buffer;
mod feed;
mod file;
#[cfg(test)]
mod file_tests;
mod live;
#[cfg(test)]
mod rotation_tests;
mod tell;
#[cfg(test)]
mod tests;
mod writer;

pub use crate::line::{Ending, Entry, Load, Ordinal, OtherEnd, ReplySummary, RequestId, Step};
pub use consorcio_system::systime::wall_us;
pub use feed::Passed;
pub use live::StepBatches;

use crate::line::Formatter;
use buffer::{NOTHING_KEPT, StepBuffer};
use consorcio_core::limits::{
    STEP_CHUNK_BYTES_MAX, STEP_FEED_MAX, STEP_LOG_BYTES_DEFAULT, STEP_LOG_KEEP_DEFAULT,
};
use consorcio_system::threads::{END_WITHIN, join_within};
use file::RotatedFile;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::broadcast;
use writer::StepWriter;

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
        let shared = Arc::new(StepBuffer::default());
        let feed = broadcast::Sender::new(STEP_FEED_MAX);
        let writer = StepWriter {
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
    shared: Arc<StepBuffer>,
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
