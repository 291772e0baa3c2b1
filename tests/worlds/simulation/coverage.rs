//! Coverage: how often each kind of event occurred. A simulation that never reached an event proves
//! nothing about it.

use std::collections::BTreeMap;

/// Coverage of one run or several.
#[derive(Default)]
pub struct Coverage {
    pub counts: BTreeMap<&'static str, u64>,
    /// The greatest numbers at once.
    pub peaks: BTreeMap<&'static str, u64>,
    pub keeps_lines: bool,
    /// The events, line by line, if `keeps_lines`.
    pub lines: Vec<String>,
    /// Steps of the last run.
    pub steps: usize,
}

/// The kinds of events that a large number of runs must cover.
pub const MUST_COVER: &[&str] = &[
    "transactions",
    "committed",
    "executed",
    "aborted after OK",
    "tombstone",
    "drove a commit for others",
    "drove an abort for others",
    // Reasons of refusals.
    "insufficient-funds",
    "locked",
    "limit",
    "unknown-account",
    "not-holder",
    "unbalanced",
    "duplicate-id",
    "expired",
    "unreachable",
    // Causes of RESOLVE.
    "driver-gone",
    "time-out",
    "restart",
    "asked",
    // Replies to drivers and callers.
    "DOUBT",
    "driver reports committed",
    "driver reports aborted",
    "driver reports doubt",
    "driver reached no bank",
    // Faults.
    "crash",
    "crash that lost records",
    "machine lost",
    "driver lost",
    "caller lost",
    "line lost",
    "line repeated",
    "connection reset",
    "connection half open at the client",
    "connection half open at the bank",
    "link cut",
    "link half open at the dialler",
    "link half open at the dialled",
    "link silent",
    "blocked one way",
    "blocked both ways",
    "clock jumped",
    "clock drifts",
    "clock jumped by hours",
    "clock jumped by years",
    "clock corrected",
    "machine suspended",
    "start refused by a clock",
    "cut at the latest reading",
    "cut of clocks more than a second apart",
    "cut of clocks more than a minute apart",
    "forged reading",
    "clock an hour ahead",
    "lie",
    "forged token",
    // Disks.
    "torn tail cut",
    "start from a snapshot",
    "crash while starting",
    "write failed",
    "sync failed",
    "disk full",
    "flipped bit refused",
    "flipped bit harmless",
    "outcome found by the index",
    // Reads and registrations.
    "whole cut",
    "cut with accounts",
    "register read",
    "register read that waited",
    "register changed",
    "client added",
    "account opened",
    "already-exists",
    // Shapes of transactions.
    "composite",
    "patience",
    "execute for others",
    // Outside coordinators.
    "outside commit",
    "outside abort",
    "outside expired",
    "outside vote on an inner transaction",
];

impl Coverage {
    pub fn count(&mut self, event: &'static str) {
        self.add(event, 1);
    }

    pub fn add(&mut self, event: &'static str, times: u64) {
        *self.counts.entry(event).or_default() += times;
    }

    pub fn peak(&mut self, event: &'static str, height: u64) {
        let highest = self.peaks.entry(event).or_default();
        *highest = (*highest).max(height);
    }

    pub fn of(&self, event: &str) -> u64 {
        self.counts.get(event).copied().unwrap_or(0)
    }

    /// Adds the coverage of other runs.
    pub fn absorb(&mut self, other: Coverage) {
        other.counts.into_iter().for_each(|(event, times)| self.add(event, times));
        other.peaks.into_iter().for_each(|(event, height)| self.peak(event, height));
    }
}
