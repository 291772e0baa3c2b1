//! A run over time, in slices of equal length: what committed and what was refused in each.

use super::super::load::LoadPlan;
use consorcio_core::limits::{CONTENTION_SLICE_MS_MIN, CONTENTION_SLICES_MAX};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A slice has one for its latencies; two digits are enough for a chart.
const DIGITS: u8 = 2;

/// The transactions that ended in one slice.
#[derive(Debug, Clone)]
pub(super) struct RunSlice {
    pub committed: u64,
    /// Transactions that were refused or aborted.
    pub refused: u64,
    pub latency_us: Histogram<u64>,
}

/// The slices of a whole run, in the order of time.
#[derive(Debug, Clone)]
pub(super) struct RunHistory {
    begin: Instant,
    /// The beginning in microseconds since 1970.
    pub began_us: i64,
    /// The length of a slice.
    pub slice: Duration,
    pub slices: Vec<RunSlice>,
}

impl RunHistory {
    /// The history of a run that begins now.
    pub(super) fn new(plan: LoadPlan) -> RunHistory {
        let whole = plan.end - plan.begin;
        let shortest = Duration::from_millis(CONTENTION_SLICE_MS_MIN);
        let slice = (whole / CONTENTION_SLICES_MAX).max(shortest);
        let count = whole.as_micros().div_ceil(slice.as_micros());
        let empty = RunSlice {
            committed: 0,
            refused: 0,
            latency_us: Histogram::new(DIGITS).expect("two digits are allowed"),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        RunHistory {
            begin: plan.begin,
            began_us: i64::try_from(now.as_micros()).unwrap_or(0),
            slice,
            slices: vec![empty; usize::try_from(count).unwrap_or(1)],
        }
    }

    /// The span of the run in microseconds since 1970.
    pub(super) fn span(&self) -> (i64, i64) {
        let whole = self.slice.as_micros() * self.slices.len() as u128;
        (self.began_us, self.began_us + i64::try_from(whole).unwrap_or(0))
    }

    /// The slice of a time. What ends after the run counts in its last one.
    fn at(&mut self, now: Instant) -> Option<&mut RunSlice> {
        let since = now.saturating_duration_since(self.begin);
        let number = since.as_micros() / self.slice.as_micros().max(1);
        let last = self.slices.len().saturating_sub(1);
        let number = usize::try_from(number).unwrap_or(last).min(last);
        self.slices.get_mut(number)
    }

    pub(super) fn committed(&mut self, now: Instant, took_us: u64) {
        if let Some(slice) = self.at(now) {
            slice.committed += 1;
            // The histogram resizes itself; its range is centuries.
            let _ = slice.latency_us.record(took_us);
        }
    }

    pub(super) fn refused(&mut self, now: Instant) {
        if let Some(slice) = self.at(now) {
            slice.refused += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_a_bounded_number_of_slices() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let plan = |seconds: u64| LoadPlan {
            start: begin,
            begin,
            end: begin + Duration::from_secs(seconds),
            rate: None,
            clients: 1,
        };
        for (seconds, count, slice_ms) in [(1, 4, 250), (60, 120, 500), (86_400, 120, 720_000)] {
            let history = RunHistory::new(plan(seconds));
            let shape = (history.slices.len(), history.slice.as_millis());
            assert_eq!(shape, (count, slice_ms), "{seconds} s");
        }
        let mut history = RunHistory::new(plan(1));
        history.committed(at(249), 700);
        history.committed(at(250), 900);
        history.refused(at(260));
        history.committed(at(5_000), 100);
        let counts = history.slices.iter().map(|slice| (slice.committed, slice.refused));
        assert_eq!(counts.collect::<Vec<_>>(), [(1, 0), (1, 1), (0, 0), (1, 0)]);
        assert_eq!(history.slices[0].latency_us.max(), 703, "two digits");
        assert_eq!(history.span().1 - history.span().0, 1_000_000);
    }
}
