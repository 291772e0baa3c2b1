//! The counters of a benchmark, shared by its clients.

use super::super::load::{LoadEnd, LoadPlan, LoadTally, StartedRequest};
use super::super::output::micros;
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::wire::reply::Reply;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Instant;

/// Latencies have this many significant digits.
const DIGITS: u8 = 3;

/// The counters of all clients together.
pub(super) struct BenchCounts {
    /// Measured transactions that were committed.
    pub committed: u64,
    /// Transactions committed within the measured time: the throughput.
    pub in_time: u64,
    /// The same for each second of the measured time.
    pub in_time_each_s: Vec<u64>,
    /// When the measured time begins, in milliseconds since 1970.
    pub from_ms: u64,
    /// Measured transactions that were not committed, by reason.
    pub others: BTreeMap<&'static str, u64>,
    /// Latencies of committed transactions, from when each was due.
    pub latency_us: Histogram<u64>,
    /// Transactions still without a verdict when the clients left.
    pub left: usize,
    /// Transactions that were due and never began.
    pub behind: u64,
}

impl Default for BenchCounts {
    fn default() -> BenchCounts {
        let latency_us = Histogram::new(DIGITS).expect("3 digits are allowed");
        BenchCounts {
            committed: 0,
            in_time: 0,
            in_time_each_s: Vec::new(),
            from_ms: 0,
            others: BTreeMap::new(),
            latency_us,
            left: 0,
            behind: 0,
        }
    }
}

impl LoadTally for BenchCounts {
    fn begun(&mut self, _: &StartedRequest) {}

    fn ended(&mut self, request: &StartedRequest, end: LoadEnd<'_>, plan: &LoadPlan) {
        let (committed, word) = match end {
            LoadEnd::Verdict(verdict) => verdict_word(verdict),
            LoadEnd::Replied(reply) => reply_word(reply),
            LoadEnd::NotReplied => (false, "not known yet"),
            LoadEnd::NotSent => (false, "unreachable"),
        };
        self.count(committed, word, request.due, plan);
    }

    fn lost(&mut self) {}

    /// Requests that were due and never began count with their waiting time: leaving them out would
    /// hide the slowest ones.
    fn left(&mut self, open: usize, behind: impl Iterator<Item = Instant>, now: Instant) {
        self.left += open;
        for due in behind {
            self.behind += 1;
            self.record(due, now);
        }
    }
}

fn verdict_word(verdict: &Verdict) -> (bool, &'static str) {
    match verdict {
        Verdict::Committed(_) => (true, "committed"),
        Verdict::Aborted { reason, .. } => (false, reason.as_str()),
        Verdict::Doubt(_) => (false, "not known yet"),
        Verdict::Unreached => (false, "unreachable"),
    }
}

fn reply_word(reply: &Reply) -> (bool, &'static str) {
    match reply {
        Reply::Committed(..) => (true, "committed"),
        Reply::Aborted(_, _, reason, _) | Reply::Err(reason, _) | Reply::Refused(reason, _) => {
            (false, reason.as_str())
        }
        Reply::Doubt(..) => (false, "not known yet"),
        Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Pong
        | Reply::Help(_)
        | Reply::Bye => (false, "malformed"),
    }
}

impl BenchCounts {
    fn count(&mut self, committed: bool, word: &'static str, due: Instant, plan: &LoadPlan) {
        let now = Instant::now();
        if committed && plan.is_measured(now) {
            self.in_time += 1;
            self.add_to_second(now.saturating_duration_since(plan.begin).as_secs());
        }
        if !plan.counts(due, now) {
            return;
        }
        if committed {
            self.committed += 1;
            self.record(due, now);
        } else {
            *self.others.entry(word).or_default() += 1;
        }
    }

    fn add_to_second(&mut self, second: u64) {
        let second = usize::try_from(second).unwrap_or(usize::MAX);
        if second >= self.in_time_each_s.len() {
            // It is within the measured time, which is at most a day.
            self.in_time_each_s.resize(second + 1, 0);
        }
        self.in_time_each_s[second] += 1;
    }

    fn record(&mut self, due: Instant, now: Instant) {
        // The histogram resizes itself; its range is centuries.
        let _ = self.latency_us.record(micros(now.saturating_duration_since(due)));
    }
}
