//! Steps of the sessions, gathered on the server's thread and handed to the step log many at a
//! time.
//!
//! The node's loop does that at each of its turns; for steps while the bank has nothing to do there
//! is a timer of its own.

use consorcio_core::limits::STEP_HANDOVER_MS_MAX;
use consorcio_steps::steplog::{Entry, Step, StepLog, wall_us};
use std::cell::RefCell;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// What happened on this thread and is not in the step log yet.
#[derive(Debug)]
pub struct StepLogger {
    log: StepLog,
    entries: RefCell<Vec<Entry>>,
    /// Told when there is something to hand over.
    begun: Notify,
}

impl StepLogger {
    /// A logger that hands steps to `log`.
    pub fn new(log: StepLog) -> StepLogger {
        StepLogger { log, entries: RefCell::default(), begun: Notify::new() }
    }

    /// Records a step that happens now; it is made only where the log is on.
    pub fn record(&self, step: impl FnOnce() -> Step) {
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

    /// Hands all steps to the step log.
    pub fn flush(&self) {
        let mut entries = self.entries.borrow_mut();
        if !entries.is_empty() {
            self.log.append(&mut entries);
            self.log.keeps_since(None);
        }
    }

    /// Hands over steps that no turn of the node does, soon after they happened, for ever.
    pub async fn flush_in_time(&self) {
        loop {
            self.begun.notified().await;
            sleep(Duration::from_millis(STEP_HANDOVER_MS_MAX)).await;
            self.flush();
        }
    }
}
