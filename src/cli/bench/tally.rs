//! What all clients of a benchmark count together while they run.

use super::super::output::micros;
use super::pace::Plan;
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::wire::reply::Reply;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Instant;

/// Latencies are told with this many digits.
const DIGITS: u8 = 3;

/// What all clients counted.
pub struct Tally {
    /// Committed, of those that are measured.
    pub committed: u64,
    /// Committed in the time that is measured: what the throughput is made of.
    pub in_time: u64,
    /// Not committed, by reason.
    pub others: BTreeMap<&'static str, u64>,
    /// From when each was due to its verdict.
    pub latency_us: Histogram<u64>,
    /// Transactions still without a verdict when the clients left.
    pub left: usize,
    /// Transactions that were due, and never begun.
    pub behind: u64,
}

impl Default for Tally {
    fn default() -> Tally {
        let latency_us = Histogram::new(DIGITS).expect("3 digits are allowed");
        Tally { committed: 0, in_time: 0, others: BTreeMap::new(), latency_us, left: 0, behind: 0 }
    }
}

impl Tally {
    /// A driver knows its verdict now.
    pub fn told(&mut self, verdict: &Verdict, due: Instant, plan: Plan) {
        let word = match verdict {
            Verdict::Committed(_) => "committed",
            Verdict::Aborted { reason, .. } => reason.as_str(),
            Verdict::Doubt(_) => "not known yet",
            Verdict::Unreached => "unreachable",
        };
        self.count(matches!(verdict, Verdict::Committed(_)), word, due, plan);
    }

    /// A bank answered EXECUTE now.
    pub fn executed(&mut self, reply: &Reply, due: Instant, plan: Plan) {
        let word = match reply {
            Reply::Committed(..) => "committed",
            Reply::Aborted(_, _, reason, _) | Reply::Err(reason, _) | Reply::Refused(reason, _) => {
                reason.as_str()
            }
            Reply::Doubt(..) => "not known yet",
            Reply::Ok(..)
            | Reply::Nok(..)
            | Reply::Unknown(_)
            | Reply::Done(_)
            | Reply::Pong
            | Reply::Bye => "malformed",
        };
        self.count(matches!(reply, Reply::Committed(..)), word, due, plan);
    }

    /// These were due and did not begin before the clients left, now. They count with the time that
    /// they had waited for: to leave them out would hide just the slowest.
    pub fn behind(&mut self, due: impl Iterator<Item = Instant>, now: Instant) {
        for due in due {
            self.behind += 1;
            self.record(due, now);
        }
    }

    fn count(&mut self, committed: bool, word: &'static str, due: Instant, plan: Plan) {
        let now = Instant::now();
        if committed && plan.is_measured(now) {
            self.in_time += 1;
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

    fn record(&mut self, due: Instant, now: Instant) {
        // It grows as it must; what it could not hold would be centuries.
        let _ = self.latency_us.record(micros(now.saturating_duration_since(due)));
    }
}
