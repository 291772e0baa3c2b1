//! The thread `journal`: it writes and syncs one batch at a time, and hands the buffer back.

use consorcio_journal::{Appender, Batch, JournalError};
use consorcio_steps::steplog::wall_us;
use consorcio_system::threads::{END_WITHIN, join_within};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::Notify;

/// A batch that the thread has finished, and the result.
pub struct SyncDone {
    /// The batch; its buffers are used again.
    pub batch: Batch,
    /// Ok: the whole batch is durable.
    pub result: Result<(), JournalError>,
    /// Duration of the write and the sync, in microseconds.
    pub took_us: u64,
    /// When it ended, in microseconds since 1970.
    pub ended_us: i64,
}

/// The age of the sync under way, readable from any thread.
#[derive(Debug)]
pub struct SyncAge {
    base: Instant,
    /// When the sync began, in milliseconds after `base`, plus one; 0 while none is under way.
    since_ms: AtomicU64,
}

impl Default for SyncAge {
    fn default() -> SyncAge {
        SyncAge { base: Instant::now(), since_ms: AtomicU64::new(0) }
    }
}

impl SyncAge {
    /// Its age in milliseconds; `None` while no sync is under way.
    pub fn ms(&self) -> Option<u64> {
        let since = self.since_ms.load(Relaxed).checked_sub(1)?;
        Some(self.now_ms().saturating_sub(since))
    }

    fn begin(&self) {
        self.since_ms.store(self.now_ms() + 1, Relaxed);
    }

    fn end(&self) {
        self.since_ms.store(0, Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// A handle of the thread, which ends when the handle is dropped.
pub struct JournalThread {
    batches: Option<SyncSender<Batch>>,
    age: Arc<SyncAge>,
    done: Arc<Mutex<Option<SyncDone>>>,
    thread: Option<JoinHandle<()>>,
}

impl JournalThread {
    /// Starts the thread; it notifies `wake` whenever a batch is done.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(appender: Appender, wake: Arc<Notify>) -> io::Result<JournalThread> {
        // One batch is under sync at most, so handing one over never waits.
        let (batches, taken) = sync_channel(1);
        let done = Arc::new(Mutex::new(None));
        let age = Arc::new(SyncAge::default());
        let (thread_done, thread_age) = (done.clone(), age.clone());
        let work = move || sync_batches(appender, &taken, &thread_done, &wake, &thread_age);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(work)?;
        Ok(JournalThread { batches: Some(batches), age, done, thread: Some(thread) })
    }

    /// The age of the sync under way; the value follows the thread.
    pub fn sync_age(&self) -> Arc<SyncAge> {
        self.age.clone()
    }

    /// Writes and syncs `batch`. The previous batch must be done.
    pub fn sync(&self, batch: Batch) {
        let sent = self.batches.as_ref().map(|batches| batches.try_send(batch).is_ok());
        assert_eq!(sent, Some(true), "the journal thread is alive and idle");
    }

    /// Takes the batch that is done, if one is.
    pub fn done(&self) -> Option<SyncDone> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for JournalThread {
    /// Waits for the thread, so that the journal is closed afterwards. The wait is bounded, since a
    /// disk may hang.
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            join_within(thread, END_WITHIN);
        }
    }
}

fn sync_batches(
    mut appender: Appender,
    batches: &Receiver<Batch>,
    done: &Mutex<Option<SyncDone>>,
    wake: &Notify,
    age: &SyncAge,
) {
    while let Ok(mut batch) = batches.recv() {
        let began = Instant::now();
        age.begin();
        let result = appender.append(&mut batch);
        age.end();
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let ended_us = wall_us();
        *done.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(SyncDone { batch, result, took_us, ended_us });
        wake.notify_one();
    }
    // Without the mark of an orderly end the next start only verifies more.
    let _ = appender.close();
}
