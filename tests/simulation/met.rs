//! How often what happened. A simulation that never met a thing has proved nothing about it.

use std::collections::BTreeMap;

/// What runs met, and how far the last one came.
#[derive(Default)]
pub struct Met {
    pub counts: BTreeMap<&'static str, u64>,
    /// The most that was met at once.
    pub peaks: BTreeMap<&'static str, u64>,
    pub wanted: bool,
    /// What was seen, line by line.
    pub lines: Vec<String>,
    /// Steps of the last run.
    pub steps: usize,
}

/// What a large enough number of runs must have met.
pub const MUST_MEET: &[&str] = &[
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
    // Why banks ask each other.
    "driver-gone",
    "time-out",
    "restart",
    "asked",
    // What drivers and callers are told.
    "DOUBT",
    "driver told committed",
    "driver told aborted",
    "driver told doubt",
    "driver reached nobody",
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
    "clock put right",
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

impl Met {
    pub fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub fn add(&mut self, what: &'static str, times: u64) {
        *self.counts.entry(what).or_default() += times;
    }

    pub fn peak(&mut self, what: &'static str, height: u64) {
        let highest = self.peaks.entry(what).or_default();
        *highest = (*highest).max(height);
    }

    pub fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// Adds what other runs met.
    pub fn absorb(&mut self, other: Met) {
        other.counts.into_iter().for_each(|(what, times)| self.add(what, times));
        other.peaks.into_iter().for_each(|(what, height)| self.peak(what, height));
    }
}
