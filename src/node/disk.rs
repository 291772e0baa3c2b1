//! The thread that owns the journal's end: one batch at a time is written and synced, and then
//! handed back.

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

/// A batch that was handed to the disk, and what came of it.
pub struct SyncDone {
    /// The batch, for its buffers.
    pub batch: Batch,
    /// Ok: the whole batch is durable.
    pub result: Result<(), JournalError>,
    /// How long that took, in microseconds.
    pub took_us: u64,
    /// When it ended, in microseconds since 1970.
    pub ended_us: i64,
}

/// How long the batch that the disk has now has been there, for whoever may look from another
/// thread.
#[derive(Debug)]
pub struct SyncAge {
    base: Instant,
    /// Milliseconds after `base` plus one at which it was handed over; 0 while the disk has none.
    since_ms: AtomicU64,
}

impl Default for SyncAge {
    fn default() -> SyncAge {
        SyncAge { base: Instant::now(), since_ms: AtomicU64::new(0) }
    }
}

impl SyncAge {
    /// Its age in milliseconds; `None` while the disk has nothing to do.
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

/// The journal's thread, which ends when this goes.
pub struct Disk {
    batches: Option<SyncSender<Batch>>,
    age: Arc<SyncAge>,
    done: Arc<Mutex<Option<SyncDone>>>,
    thread: Option<JoinHandle<()>>,
}

impl Disk {
    /// Starts the thread; it tells `wake` whenever a batch is done.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(appender: Appender, wake: Arc<Notify>) -> io::Result<Disk> {
        // One batch is under sync at most, so handing one over never waits.
        let (batches, taken) = sync_channel(1);
        let done = Arc::new(Mutex::new(None));
        let theirs = done.clone();
        let age = Arc::new(SyncAge::default());
        let their_age = age.clone();
        let work = move || sync_batches(appender, &taken, &theirs, &wake, &their_age);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(work)?;
        Ok(Disk { batches: Some(batches), age, done, thread: Some(thread) })
    }

    /// How long it has had the batch that it has.
    pub fn sync_age(&self) -> Arc<SyncAge> {
        self.age.clone()
    }

    /// Hands a batch over. The one before must be done.
    pub fn sync(&self, batch: Batch) {
        let sent = self.batches.as_ref().map(|batches| batches.try_send(batch).is_ok());
        assert_eq!(sent, Some(true), "the journal's thread lives and has nothing to do");
    }

    /// The batch that is done, once.
    pub fn done(&self) -> Option<SyncDone> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Disk {
    /// Waits for the thread, so that the journal is closed when this returns; but not for a disk
    /// that hangs.
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
    // Without its mark the next start may only take longer to believe the last records.
    let _ = appender.close();
}
