//! What a benchmark measured, added up and shown.

use super::super::args::BenchArguments;
use super::super::failure::Failure;
use super::super::output::{ErrorPart, Paint, Shown, Tone, micros};
use super::super::overview::Cut;
use super::worker::{Plan, verdict_word};
use crate::commit::coordinator::Verdict;
use crate::money::Total;
use crate::wire::reply::Reply;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Latencies are told with this many digits.
const DIGITS: u8 = 3;

/// What all clients counted.
pub struct Tally {
    committed: u64,
    /// Not committed, by reason.
    others: BTreeMap<&'static str, u64>,
    latency_us: Histogram<u64>,
    /// Transactions still without a verdict when the clients left.
    pub left: usize,
}

impl Default for Tally {
    fn default() -> Tally {
        let latency_us = Histogram::new(DIGITS).expect("3 digits are allowed");
        Tally { committed: 0, others: BTreeMap::new(), latency_us, left: 0 }
    }
}

impl Tally {
    /// A driver knows its verdict now.
    pub fn told(&mut self, verdict: &Verdict, began: Instant, plan: Plan) {
        let committed = matches!(verdict, Verdict::Committed(_));
        self.count(committed, verdict_word(verdict), began, plan);
    }

    /// A bank answered EXECUTE now.
    pub fn executed(&mut self, reply: &Reply, began: Instant, plan: Plan) {
        let word = match reply {
            Reply::Committed(..) => "committed",
            Reply::Aborted(_, _, reason) | Reply::Err(reason, _) | Reply::Refused(reason, _) => {
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
        self.count(matches!(reply, Reply::Committed(..)), word, began, plan);
    }

    fn count(&mut self, committed: bool, word: &'static str, began: Instant, plan: Plan) {
        let now = Instant::now();
        if now < plan.begin || now >= plan.end {
            return;
        }
        if committed {
            self.committed += 1;
            // It grows as it must; what it could not hold would be centuries.
            let _ = self.latency_us.record(micros(now - began));
        } else {
            *self.others.entry(word).or_default() += 1;
        }
    }
}

/// What is shown.
#[derive(Serialize)]
pub struct Report {
    kind: &'static str,
    driver: &'static str,
    clients: u32,
    depth: u32,
    seconds: u32,
    accounts: u32,
    committed: u64,
    committed_per_s: u64,
    not_committed: BTreeMap<&'static str, u64>,
    without_verdict: usize,
    latency_us: Latency,
    balance_before: i128,
    balance_after: i128,
    cash_in: i128,
    cash_out: i128,
    conserved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
    #[serde(skip)]
    failure: Option<Failure>,
}

#[derive(Serialize)]
struct Latency {
    p50: u64,
    p90: u64,
    p99: u64,
    p99_9: u64,
    max: u64,
}

impl Report {
    /// Adds up.
    pub fn new(
        arguments: &BenchArguments,
        tally: Tally,
        elapsed: Duration,
        before: &Cut,
        after: &Cut,
    ) -> Report {
        let (cash_in, cash_out) =
            (after.cash_in_total - before.cash_in_total, after.cash_out_total - before.cash_out_total);
        let conserved = before.adds_up
            && after.adds_up
            && after.balance_total == before.balance_total + cash_in - cash_out;
        let failure = if !conserved {
            Some(Failure::Own("money was made or lost: the banks' totals do not add up".into()))
        } else if tally.committed == 0 {
            Some(Failure::Aborted("no transaction was committed".into()))
        } else {
            None
        };
        let latency = &tally.latency_us;
        Report {
            kind: arguments.kind.as_str(),
            driver: if arguments.via_bank { "bank" } else { "client" },
            clients: arguments.clients,
            depth: arguments.depth,
            seconds: arguments.seconds,
            accounts: arguments.accounts,
            committed: tally.committed,
            committed_per_s: tally.committed.saturating_mul(1_000_000) / micros(elapsed).max(1),
            not_committed: tally.others,
            without_verdict: tally.left,
            latency_us: Latency {
                p50: latency.value_at_quantile(0.5),
                p90: latency.value_at_quantile(0.9),
                p99: latency.value_at_quantile(0.99),
                p99_9: latency.value_at_quantile(0.999),
                max: latency.max(),
            },
            balance_before: before.balance_total,
            balance_after: after.balance_total,
            cash_in,
            cash_out,
            conserved,
            error: failure.as_ref().map(ErrorPart::of),
            failure,
        }
    }

    /// For people and for programs.
    pub fn shown(self, paint: Paint) -> Shown {
        let Latency { p50, p90, p99, p99_9, max } = self.latency_us;
        let mut text = format!(
            "{} transactions, driven by the {}: {} clients x {} under way, {} s, {} accounts a bank\n\
             committed      {} ({}/s)\n",
            self.kind,
            self.driver,
            self.clients,
            self.depth,
            self.seconds,
            self.accounts,
            self.committed,
            self.committed_per_s
        );
        for (reason, count) in &self.not_committed {
            text.push_str(&format!("not committed  {count} {reason}\n"));
        }
        if self.without_verdict > 0 {
            text.push_str(&format!("no verdict     {} when the clients left\n", self.without_verdict));
        }
        text.push_str(&format!(
            "verdict after  p50 {p50} µs · p90 {p90} µs · p99 {p99} µs · p99.9 {p99_9} µs · max {max} µs\n"
        ));
        let (tone, word) =
            if self.conserved { (Tone::Good, "conserved") } else { (Tone::Bad, "NOT CONSERVED") };
        text.push_str(&format!(
            "money          {}: {} before, {} after, cash in {}, cash out {}\n",
            paint.text(tone, word),
            Total(self.balance_before),
            Total(self.balance_after),
            Total(self.cash_in),
            Total(self.cash_out)
        ));
        let failure = self.failure.clone();
        Shown::new(text, &self).failing(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::args::Kind;
    use crate::ids::Time;

    fn failure(after: Cut) -> Option<Failure> {
        let arguments = BenchArguments {
            clients: 1,
            depth: 1,
            seconds: 1,
            warmup: 0,
            accounts: 1,
            kind: Kind::Transfer,
            via_bank: false,
        };
        let tally = Tally { committed: 1, ..Tally::default() };
        let before = cut(500, 500, true);
        Report::new(&arguments, tally, Duration::from_secs(1), &before, &after).shown(Paint::NONE).failure
    }

    fn cut(balance_total: i128, cash_in_total: i128, adds_up: bool) -> Cut {
        Cut { time: Time(1), balance_total, cash_in_total, cash_out_total: 0, adds_up }
    }

    #[test]
    fn money_that_is_made_or_lost_fails_the_benchmark() {
        assert_eq!(failure(cut(500, 500, true)), None);
        assert_eq!(failure(cut(700, 700, true)), None, "somebody else brought cash in meanwhile");
        assert_eq!(failure(cut(499, 500, true)).map(|failure| failure.exit_code()), Some(1));
        assert_eq!(failure(cut(500, 500, false)).map(|failure| failure.exit_code()), Some(1));
    }
}
