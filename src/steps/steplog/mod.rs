//! The step log: one file for each node, one short line for each step.
//!
//! Recording a step pushes a small value under a lock; the thread `step-log` formats and writes the
//! lines. Load alone drops no step: at the bound of memory a recorder waits a moment for the
//! writer. If the writer does not catch up, because its disk hangs, steps are dropped and counted,
//! and the log reports the count once it can be written again: a log must not stop a bank. Nothing
//! is recovered from the log, so it is never synced, and a kill -9 may lose its last moments. The
//! text of lines is in `line`, the conversion of requests, replies and records in `convert`,
//! rotation in `file`.

mod buffer;
mod convert;
mod feed;
mod file;
#[cfg(test)]
mod file_tests;
mod keeper;
mod live;
#[cfg(test)]
mod rotation_tests;
#[cfg(test)]
mod tests;
mod writer;

pub use crate::line::{
    Entry, Formatter, Load, LoggedOps, LoggedOutcome, OkCount, Ordinal, OtherEnd, ReplySummary,
    RequestId, Step,
};
pub use consorcio_system::systime::wall_us;
pub use feed::FeedEvent;
pub use live::StepBatches;

use buffer::{NOTHING_KEPT, StepBuffer};
use consorcio_core::limits::{
    STEP_CHUNK_BYTES_MAX, STEP_FEED_MAX, STEP_LOG_BYTES_DEFAULT, STEP_LOG_KEEP_DEFAULT,
    STEP_LOG_NUMBERS_MAX, STEP_LOG_TRANSACTIONS_DEFAULT,
};
use consorcio_system::logging::LogFormat;
use consorcio_system::threads::{END_WITHIN, join_within};
use file::RotatedFile;
use keeper::Retention;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::broadcast;
use writer::StepWriter;

/// The configuration of a step log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepLogOptions {
    /// If false, nothing is recorded and no file is made.
    pub on: bool,
    /// The size at which a file is rotated, in bytes; 0 means never.
    pub bytes_max: u64,
    /// The most rotated files that are kept, compressed.
    pub keep: usize,
    /// Of these, older ones are removed once the others have so many transactions.
    pub transactions: u64,
    /// Whether lines are text, or JSON objects.
    pub format: LogFormat,
    /// The consortium's addresses by position, so that lines about a bank have its address.
    pub places: Vec<String>,
}

impl Default for StepLogOptions {
    fn default() -> StepLogOptions {
        StepLogOptions {
            on: true,
            bytes_max: STEP_LOG_BYTES_DEFAULT,
            keep: STEP_LOG_KEEP_DEFAULT,
            transactions: STEP_LOG_TRANSACTIONS_DEFAULT,
            format: LogFormat::Text,
            places: Vec::new(),
        }
    }
}

impl StepLogOptions {
    fn retention(&self) -> Retention {
        Retention { files: self.keep, transactions: self.transactions }
    }
}

/// The file of the step log could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the step log {path} can't be opened: {source}")]
pub struct OpenError {
    /// The path of the file.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

/// A handle of the step log; clones share it. Dropping the last one writes all recorded steps.
#[derive(Debug, Clone)]
pub struct StepLog(Option<Arc<Log>>);

impl StepLog {
    /// Opens the log at `path` for appending. If other users can read it, a warning names the
    /// commands that prevent this.
    ///
    /// # Errors
    /// If the file, its folder or the writing thread can't be created.
    pub fn open(path: &Path, options: StepLogOptions) -> Result<StepLog, OpenError> {
        if !options.on {
            return Ok(StepLog::off());
        }
        let failed = |source| OpenError { path: path.to_owned(), source };
        let file =
            RotatedFile::open(path, options.bytes_max, options.retention()).map_err(failed)?;
        StepLog::start(path, file, options)
    }

    /// Opens the first log of `folder` that no other process writes, of `NAME-1.log`, `NAME-2.log`
    /// and so on, and returns its number. Another process may have it once this one has ended.
    ///
    /// # Errors
    /// If none can be opened, or `STEP_LOG_NUMBERS_MAX` processes run.
    pub fn open_numbered(
        folder: &Path,
        name: &str,
        options: StepLogOptions,
    ) -> Result<(StepLog, usize), OpenError> {
        // Runs over the processes that write to this folder now.
        let mut last = None;
        for number in 1..=STEP_LOG_NUMBERS_MAX {
            let path = folder.join(format!("{name}-{number}.log"));
            let opened = RotatedFile::open(&path, options.bytes_max, options.retention())
                .and_then(|mut file| Ok(file.lock()?.then_some(file)));
            match opened {
                Ok(Some(file)) => return Ok((StepLog::start(&path, file, options)?, number)),
                Ok(None) => {}
                // The log of another user.
                Err(source)
                    if source.kind() == io::ErrorKind::PermissionDenied && path.exists() =>
                {
                    last = Some(OpenError { path, source });
                }
                Err(source) => return Err(OpenError { path, source }),
            }
        }
        Err(last.unwrap_or_else(|| OpenError {
            path: folder.join(format!("{name}-{STEP_LOG_NUMBERS_MAX}.log")),
            source: io::Error::other("other processes write all logs up to this one"),
        }))
    }

    fn start(
        path: &Path,
        mut file: RotatedFile,
        options: StepLogOptions,
    ) -> Result<StepLog, OpenError> {
        let failed = |source| OpenError { path: path.to_owned(), source };
        file.resume().map_err(failed)?;
        let chunk = usize::try_from(options.bytes_max).unwrap_or(usize::MAX);
        let chunk = if chunk == 0 { STEP_CHUNK_BYTES_MAX } else { chunk.min(STEP_CHUNK_BYTES_MAX) };
        let shared = Arc::new(StepBuffer::default());
        let feed = broadcast::Sender::new(STEP_FEED_MAX);
        let writer = StepWriter {
            shared: Arc::clone(&shared),
            feed: feed.clone(),
            file,
            formatter: match options.format {
                LogFormat::Text => Formatter::new(options.places),
                LogFormat::Json => Formatter::json(options.places),
            },
            held: Vec::new(),
            written_us: i64::MIN,
            lines: Vec::with_capacity(2 * chunk),
            first_us: i64::MIN,
            node: None,
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

    /// A log that records nothing.
    pub fn off() -> StepLog {
        StepLog(None)
    }

    /// Whether it records anything. If not, callers need not create steps.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A subscription to the events from now on, as they are written. A slow receiver gets the
    /// number of events that it missed. Without receivers this costs nothing. `None` where the log
    /// is off.
    pub fn feed(&self) -> Option<broadcast::Receiver<FeedEvent>> {
        self.0.as_ref().map(|log| log.feed.subscribe())
    }

    /// All steps from now on, as they are written, for one thread of this process. At most
    /// `batches_max` flushes wait for it. `None` where the log is off.
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

    /// Records many steps under one lock, and clears `entries` for reuse.
    pub fn append(&self, entries: &mut Vec<Entry>) {
        match &self.0 {
            Some(log) if !entries.is_empty() => log.shared.append(entries),
            _ => entries.clear(),
        }
    }

    /// Announces that the caller holds steps since `at_us` that it has not recorded yet; `None` if
    /// it holds none. Later steps are not written before these.
    pub fn keeps_since(&self, at_us: Option<i64>) {
        if let Some(log) = &self.0 {
            log.shared.kept_since_us.store(at_us.unwrap_or(NOTHING_KEPT), Ordering::Release);
        }
    }

    /// Waits until all steps recorded so far are in the file, at most for `within`. Returns whether
    /// they are.
    pub fn flush(&self, within: Duration) -> bool {
        self.0.as_ref().is_none_or(|log| log.shared.flush(within))
    }

    /// The number of steps dropped since the last successful write; 0 if that was the latest.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |log| log.shared.lock().dropped)
    }

    /// Reopens the file, after it was moved away.
    pub fn reopen(&self) {
        if let Some(log) = &self.0 {
            log.shared.lock().reopen = true;
            log.shared.wake.notify_one();
        }
    }

    /// Writes all recorded steps and ends the log; later steps are discarded. Waits only a moment
    /// for a file that can't be written.
    pub fn close(&self) {
        if let Some(log) = &self.0 {
            log.close();
        }
    }

    /// Installs a panic hook that records the panic in this log and flushes it, before the process
    /// ends.
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

/// Creates the folder of step logs, which only its owner may read. An existing folder is not
/// changed.
///
/// # Errors
/// If it can't be created.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    file::make_folder(folder)
}

#[derive(Debug)]
struct Log {
    shared: Arc<StepBuffer>,
    feed: broadcast::Sender<FeedEvent>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    fn close(&self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            join_within(thread, END_WITHIN);
            // A thread that hangs is abandoned, and recorders must not wait for it.
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
