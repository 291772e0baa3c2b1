//! The time-outs of a driver's transactions, the next one first.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Context;
use tokio::time::{Instant, Sleep, sleep_until};

/// Time-outs with their slots. Most are as long as each other, so most are added at the end.
#[derive(Default)]
pub(super) struct VoteTimers {
    /// In the order in which they are due. An entry whose slot has ended or has a later time-out is
    /// skipped by the driver.
    due: VecDeque<(Instant, usize)>,
    /// Until the time of the first one, or of one that was first.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl VoteTimers {
    pub(super) fn add(&mut self, due: Instant, slot: usize) {
        let at = self.due.partition_point(|(other, _)| *other <= due);
        if at == 0 {
            self.sleep = None;
        }
        self.due.insert(at, (due, slot));
    }

    /// The time-out that is due next, with its slot.
    pub(super) fn first(&self) -> Option<(Instant, usize)> {
        self.due.front().copied()
    }

    pub(super) fn remove_first(&mut self) {
        self.due.pop_front();
    }

    /// Takes the first one, if it is due; otherwise the task is woken when it is.
    pub(super) fn poll_first(&mut self, task: &mut Context<'_>) -> Option<usize> {
        loop {
            let (due, slot) = self.first()?;
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if sleep.as_mut().poll(task).is_pending() {
                return None;
            }
            // The sleep may have been for a time-out that was removed, and end too early.
            self.sleep = None;
            if due <= Instant::now() {
                self.due.pop_front();
                return Some(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_shorter_time_out_comes_first() {
        let now = Instant::now();
        let mut timers = VoteTimers::default();
        for (after, slot) in [(20, 0), (20, 1), (5, 2), (30, 3), (20, 4)] {
            timers.add(now + Duration::from_millis(after), slot);
        }
        let order = std::iter::from_fn(|| {
            let (_, slot) = timers.first()?;
            timers.remove_first();
            Some(slot)
        });
        assert_eq!(order.collect::<Vec<_>>(), [2, 0, 1, 4, 3]);
    }
}
