//! The report of a benchmark, for people and for programs.

mod words;

use super::super::args::BenchArguments;
use super::super::failure::Failure;
use super::super::output::{CommandOutput, ErrorPart, Paint, micros, plain};
use super::super::overview::MoneySums;
use super::tally::BenchCounts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The figures of one run, or the medians of several.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    committed: u64,
    committed_per_s: u64,
    /// Committed in each second of the measured time; of several runs each has its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    committed_each_s: Vec<u64>,
    /// The measured time by this machine's clock, in milliseconds since 1970.
    from_ms: u64,
    to_ms: u64,
    not_committed: BTreeMap<&'static str, u64>,
    without_verdict: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<u64>,
    latency_us: BenchLatency,
    balance_before: i128,
    balance_after: i128,
    cash_in: i128,
    cash_out: i128,
    conserved: bool,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct BenchLatency {
    p50: u64,
    p75: u64,
    p90: u64,
    p99: u64,
    p99_9: u64,
    p99_99: u64,
    max: u64,
}

impl BenchLatency {
    fn each(self) -> [u64; 7] {
        let BenchLatency { p50, p75, p90, p99, p99_9, p99_99, max } = self;
        [p50, p75, p90, p99, p99_9, p99_99, max]
    }
}

impl Figures {
    /// The figures of a run that took `elapsed`, between two cuts.
    pub(super) fn new(
        arguments: &BenchArguments,
        tally: BenchCounts,
        elapsed: Duration,
        before: &MoneySums,
        after: &MoneySums,
    ) -> Figures {
        let (cash_in, cash_out) = (
            after.cash_in_total - before.cash_in_total,
            after.cash_out_total - before.cash_out_total,
        );
        let conserved = before.adds_up
            && after.adds_up
            && after.balance_total == before.balance_total + cash_in - cash_out;
        let mut committed_each_s = tally.in_time_each_s;
        // Nothing may have been committed in the last ones.
        committed_each_s.resize(usize::try_from(elapsed.as_secs()).unwrap_or(0), 0);
        let at = |quantile| tally.latency_us.value_at_quantile(quantile);
        Figures {
            committed: tally.committed,
            committed_per_s: tally.in_time.saturating_mul(1_000_000) / micros(elapsed).max(1),
            committed_each_s,
            from_ms: tally.from_ms,
            to_ms: tally.from_ms + micros(elapsed) / 1_000,
            without_verdict: tally.left,
            behind: arguments.rate.map(|_| tally.behind),
            latency_us: BenchLatency {
                p50: at(0.5),
                p75: at(0.75),
                p90: at(0.9),
                p99: at(0.99),
                p99_9: at(0.999),
                p99_99: at(0.9999),
                max: tally.latency_us.max(),
            },
            not_committed: tally.others,
            balance_before: before.balance_total,
            balance_after: after.balance_total,
            cash_in,
            cash_out,
            conserved,
        }
    }

    /// The median of each figure; errors are added up, so that none is hidden.
    fn of_several(runs: &[Figures]) -> Figures {
        let median = |figure: fn(&Figures) -> u64| {
            let mut all: Vec<u64> = runs.iter().map(figure).collect();
            all.sort_unstable();
            all[(all.len() - 1) / 2]
        };
        let (first, last) = (&runs[0], &runs[runs.len() - 1]);
        let mut not_committed = BTreeMap::new();
        for (reason, count) in runs.iter().flat_map(|run| &run.not_committed) {
            *not_committed.entry(*reason).or_default() += count;
        }
        Figures {
            committed: median(|run| run.committed),
            committed_per_s: median(|run| run.committed_per_s),
            committed_each_s: Vec::new(),
            from_ms: first.from_ms,
            to_ms: last.to_ms,
            not_committed,
            without_verdict: runs.iter().map(|run| run.without_verdict).sum(),
            behind: runs.iter().map(|run| run.behind).sum(),
            latency_us: BenchLatency {
                p50: median(|run| run.latency_us.p50),
                p75: median(|run| run.latency_us.p75),
                p90: median(|run| run.latency_us.p90),
                p99: median(|run| run.latency_us.p99),
                p99_9: median(|run| run.latency_us.p99_9),
                p99_99: median(|run| run.latency_us.p99_99),
                max: median(|run| run.latency_us.max),
            },
            balance_before: first.balance_before,
            balance_after: last.balance_after,
            cash_in: runs.iter().map(|run| run.cash_in).sum(),
            cash_out: runs.iter().map(|run| run.cash_out).sum(),
            conserved: runs.iter().all(|run| run.conserved),
        }
    }
}

#[derive(Serialize)]
pub(super) struct BenchReport {
    kind: &'static str,
    driver: &'static str,
    clients: u32,
    depth: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u32>,
    seconds: u32,
    warmup: u32,
    accounts: u32,
    hot: bool,
    #[serde(flatten)]
    figures: Figures,
    /// The single runs, if there were several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
    #[serde(skip)]
    failure: Option<Failure>,
    #[serde(skip)]
    csv: bool,
}

impl BenchReport {
    /// The report of all runs; there is at least one.
    pub(super) fn new(arguments: &BenchArguments, mut runs: Vec<Figures>) -> BenchReport {
        let figures = match &runs[..] {
            [one] => one.clone(),
            several => Figures::of_several(several),
        };
        let failure = if !figures.conserved {
            Some(Failure::Own("money was made or lost: the banks' totals do not add up".into()))
        } else if runs.iter().any(|run| run.committed == 0) {
            Some(Failure::Aborted("no transaction was committed".into()))
        } else {
            None
        };
        if runs.len() == 1 {
            runs.clear();
        }
        BenchReport {
            kind: arguments.kind.as_str(),
            driver: if arguments.via_bank { "bank" } else { "client" },
            clients: arguments.clients,
            depth: arguments.depth(),
            rate: arguments.rate,
            seconds: arguments.seconds,
            warmup: arguments.warmup,
            accounts: arguments.accounts,
            hot: arguments.hot,
            figures,
            runs,
            error: failure.as_ref().map(ErrorPart::of),
            failure,
            csv: arguments.csv,
        }
    }

    /// The output in the chosen form.
    pub(super) fn output(self, paint: Paint) -> CommandOutput {
        let text = if self.csv {
            self.in_rows(paint).replace('\t', ",")
        } else if paint.is_rows() {
            self.in_rows(paint)
        } else {
            self.in_words(paint)
        };
        let failure = self.failure.clone();
        CommandOutput::new(text, &self).with_failure(failure)
    }

    /// Each run with its name; with several runs also the medians.
    fn lines(&self) -> impl Iterator<Item = (String, &Figures)> {
        let runs = self.runs.iter().enumerate().map(|(at, run)| ((at + 1).to_string(), run));
        let last = if self.runs.is_empty() { "1" } else { "median" };
        runs.chain([(last.to_owned(), &self.figures)])
    }

    fn in_rows(&self, paint: Paint) -> String {
        let headings = [
            "run",
            "kind",
            "driver",
            "clients",
            "depth",
            "rate",
            "seconds",
            "accounts",
            "hot",
            "committed",
            "committed_per_s",
            "not_committed",
            "behind",
            "p50_us",
            "p75_us",
            "p90_us",
            "p99_us",
            "p99_9_us",
            "p99_99_us",
            "max_us",
            "conserved",
        ];
        let rows = self.lines().map(|(run, figures)| {
            let mut row = vec![
                plain(run),
                plain(self.kind),
                plain(self.driver),
                plain(self.clients),
                plain(self.depth),
            ];
            row.push(plain(self.rate.map(|rate| rate.to_string()).unwrap_or_default()));
            row.extend([plain(self.seconds), plain(self.accounts), plain(self.hot)]);
            let not_committed = figures.not_committed.values().sum::<u64>();
            row.extend([figures.committed, figures.committed_per_s, not_committed].map(plain));
            row.push(plain(figures.behind.unwrap_or(0)));
            row.extend(figures.latency_us.each().map(plain));
            row.push(plain(figures.conserved));
            row
        });
        paint.table(&headings, &[], rows.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::BenchKind;
    use consorcio_core::ids::Time;

    fn arguments(runs: u32) -> BenchArguments {
        BenchArguments {
            own: false,
            yes: true,
            clients: 1,
            depth: None,
            rate: None,
            seconds: 1,
            warmup: 0,
            accounts: 1,
            hot: false,
            runs,
            csv: false,
            kind: BenchKind::Transfer,
            via_bank: false,
        }
    }

    fn run(in_time: u64, after: &MoneySums) -> Figures {
        let tally = BenchCounts { committed: in_time, in_time, ..BenchCounts::default() };
        Figures::new(&arguments(1), tally, Duration::from_secs(1), &cut(500, 500, true), after)
    }

    fn failure(after: &MoneySums) -> Option<Failure> {
        BenchReport::new(&arguments(1), vec![run(1, after)]).output(Paint::NONE).failure
    }

    fn cut(balance_total: i128, cash_in_total: i128, adds_up: bool) -> MoneySums {
        MoneySums { time: Time(1), balance_total, cash_in_total, cash_out_total: 0, adds_up }
    }

    #[test]
    fn money_made_or_lost_fails_the_benchmark() {
        assert_eq!(failure(&cut(500, 500, true)), None);
        assert_eq!(failure(&cut(700, 700, true)), None, "another client paid cash in meanwhile");
        assert_eq!(failure(&cut(499, 500, true)).map(|failure| failure.exit_code()), Some(1));
        assert_eq!(failure(&cut(500, 500, false)).map(|failure| failure.exit_code()), Some(1));
    }

    #[test]
    fn several_runs_are_reported_by_their_medians() {
        let good = cut(500, 500, true);
        let report =
            BenchReport::new(&arguments(3), vec![run(70, &good), run(10, &good), run(20, &good)]);
        let output = report.output(Paint::NONE);
        let document: serde_json::Value = serde_json::from_str(&output.json).unwrap();
        assert_eq!(
            (&document["committed_per_s"], &document["runs"][0]["committed"]),
            (&20.into(), &70.into())
        );
        assert!(
            output.text.lines().any(|line| line.starts_with("median") && line.contains("20")),
            "{}",
            output.text
        );
        let lost =
            BenchReport::new(&arguments(2), vec![run(1, &cut(499, 500, true)), run(1, &good)]);
        assert_eq!(
            lost.output(Paint::NONE).failure.map(|failure| failure.exit_code()),
            Some(1),
            "one failed run is enough"
        );
    }
}
