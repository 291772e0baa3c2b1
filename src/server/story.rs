//! Steps of the sessions, gathered on the server's thread and handed to the step log many at a time.

use crate::steplog::{Entry, Step, StepLog, wall_us};
use std::cell::RefCell;

/// What happened on this thread and is not in the step log yet.
#[derive(Debug)]
pub struct Story {
    log: StepLog,
    entries: RefCell<Vec<Entry>>,
}

impl Story {
    /// Nothing yet.
    pub fn new(log: StepLog) -> Story {
        Story { log, entries: RefCell::default() }
    }

    /// Tells a step that happens now, which is only made if anyone wants to know.
    pub fn tell(&self, step: impl FnOnce() -> Step) {
        if self.log.is_on() {
            self.entries.borrow_mut().push(Entry { at_us: wall_us(), step: step() });
        }
    }

    /// Hands what was told to the step log.
    pub fn flush(&self) {
        self.log.append(&mut self.entries.borrow_mut());
    }
}
