//! Collects the steps of sessions on the server's thread, and passes them to the step log in
//! batches.
//!
//! The node's loop flushes them at each iteration; a timer flushes them while the bank is idle.

use consorcio_core::limits::STEP_HANDOVER_MS_MAX;
use consorcio_steps::steplog::{Entry, Step, StepLog, wall_us};
use std::cell::RefCell;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// The steps of this thread that the step log does not have yet.
#[derive(Debug)]
pub(crate) struct StepLogger {
    log: StepLog,
    entries: RefCell<Vec<Entry>>,
    /// Notified when the first step of a batch is recorded.
    begun: Notify,
}

impl StepLogger {
    /// A logger that passes its steps to `log`.
    pub(crate) fn new(log: StepLog) -> StepLogger {
        StepLogger { log, entries: RefCell::default(), begun: Notify::new() }
    }

    /// Records a step that happens now; `step` is only called if the log is on.
    pub(crate) fn record(&self, step: impl FnOnce() -> Step) {
        if self.log.is_on() {
            let entry = Entry { at_us: wall_us(), step: step() };
            let mut entries = self.entries.borrow_mut();
            if entries.is_empty() {
                self.log.keeps_since(Some(entry.at_us));
                self.begun.notify_one();
            }
            entries.push(entry);
        }
    }

    /// Passes all steps to the step log.
    pub(crate) fn flush(&self) {
        let mut entries = self.entries.borrow_mut();
        if !entries.is_empty() {
            self.log.append(&mut entries);
            self.log.keeps_since(None);
        }
    }

    /// Flushes steps soon after they were recorded, if the node's loop does not; runs until
    /// cancelled.
    pub(crate) async fn flush_in_time(&self) {
        loop {
            self.begun.notified().await;
            sleep(Duration::from_millis(STEP_HANDOVER_MS_MAX)).await;
            self.flush();
        }
    }
}
