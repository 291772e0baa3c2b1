//! Cuts that wait for undecided votes.

use crate::ids::{AccountNumber, Time};
use crate::wire::request::SnapshotKey;
use std::collections::VecDeque;

/// A SNAPSHOT request that is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutRequest {
    /// The commit time of the cut.
    pub time: Time,
    /// Whether it lists balances and registers.
    pub accounts: bool,
    /// The last key of the page before.
    pub after: Option<SnapshotKey>,
}

impl CutRequest {
    /// The last account of the page before.
    pub(crate) fn after_account(&self) -> Option<&AccountNumber> {
        match &self.after {
            Some(SnapshotKey::Account(number)) => Some(number),
            Some(SnapshotKey::Register(_)) | None => None,
        }
    }
}

/// When the bank asks about the votes in the way of cuts, in closed mode.
#[derive(Debug, Clone, Default)]
pub(crate) struct CutWatch {
    /// The moments, in order, on the monotonic clock in microseconds, and the times of the cuts. A
    /// cut that was served stays until its moment, and then nothing is in its way.
    pub waits: VecDeque<(u64, Time)>,
    /// All votes up to this time are decided or were asked about. The clock has passed it, so no
    /// later vote is among them.
    pub asked: Time,
}

impl CutWatch {
    /// When the bank asks about the votes in the way of the first cut.
    pub(super) fn due_us(&self) -> Option<u64> {
        self.waits.front().map(|(due, _)| *due)
    }

    pub(super) fn processed(&mut self, waits: usize, asked: Time) {
        self.waits.drain(..waits.min(self.waits.len()));
        self.asked = self.asked.max(asked);
    }
}
