//! When the requests of a load are due, and what is measured.
//!
//! A closed loop begins the next transaction when one has ended, so a slow bank gets fewer. In an
//! open loop transaction `k` is due at `k / rate` whatever the banks do, and its latency counts
//! from then, even if it begins later. So what a stall delays counts as slow, and is not left out
//! (Tene, _How NOT to Measure Latency_, calls that coordinated omission).

use consorcio_core::limits::{LOAD_GRACE_MS, LOAD_SLEEP_US_MIN};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

const GRACE: Duration = Duration::from_millis(LOAD_GRACE_MS);
const SLEEP_MIN: Duration = Duration::from_micros(LOAD_SLEEP_US_MIN);

/// When a load runs, and when it is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoadPlan {
    /// When the first request is due.
    pub start: Instant,
    /// When measuring begins; before it is the warm-up.
    pub begin: Instant,
    /// When measuring ends; no request due later begins.
    pub end: Instant,
    /// The number of clients.
    pub clients: u32,
    /// Transactions a second of all clients; `None` in a closed loop.
    pub rate: Option<u32>,
}

impl LoadPlan {
    /// The time at which transaction `count` of client `number` was due, if it may begin now.
    pub(crate) fn due(&self, number: u32, count: u64, now: Instant) -> Option<Instant> {
        match self.rate {
            None => (now < self.end).then_some(now),
            Some(rate) => {
                let due = self.time_of(rate, number, count);
                (due <= now && due < self.end && now < self.end + GRACE).then_some(due)
            }
        }
    }

    /// The due times of the transactions that client `number` never began, after it began `count`.
    pub(crate) fn behind(&self, number: u32, count: u64) -> impl Iterator<Item = Instant> {
        let rate = self.rate;
        (count..)
            .map_while(move |count| rate.map(|rate| self.time_of(rate, number, count)))
            .take_while(|due| *due < self.end)
            .filter(|due| *due >= self.begin)
    }

    /// Whether a transaction that was due at `due` and ended `now` is measured: in a closed loop if
    /// it ended in time, in an open loop if it was due in time.
    pub(crate) fn counts(&self, due: Instant, now: Instant) -> bool {
        let at = if self.rate.is_some() { due } else { now };
        self.is_measured(at)
    }

    /// Whether `at` is within the measured time.
    pub(crate) fn is_measured(&self, at: Instant) -> bool {
        (self.begin..self.end).contains(&at)
    }

    /// The due time of a transaction. They are evenly spread: each client's are `clients / rate`
    /// seconds apart.
    fn time_of(&self, rate: u32, number: u32, count: u64) -> Instant {
        let index = u128::from(count) * u128::from(self.clients) + u128::from(number);
        let nanos = index * 1_000_000_000 / u128::from(rate);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2))
    }
}

/// Wakes each client when a transaction of it is due. The runtime's timer has a resolution of a
/// millisecond, which is too coarse.
pub(super) fn wake_when_due(plan: LoadPlan, rate: u32, clients: Vec<Sender<()>>) {
    thread::spawn(move || {
        for count in 0.. {
            for (number, client) in (0..).zip(&clients) {
                let due = plan.time_of(rate, number, count);
                if due >= plan.end || client.is_closed() {
                    return;
                }
                let ahead = due.saturating_duration_since(Instant::now());
                if !ahead.is_zero() {
                    thread::sleep(ahead.max(SLEEP_MIN));
                }
                // A full channel has a wake-up already.
                let _ = client.try_send(());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rate: Option<u32>) -> LoadPlan {
        let start = Instant::now();
        let (begin, end) = (start + Duration::from_secs(1), start + Duration::from_secs(3));
        LoadPlan { start, begin, end, clients: 4, rate }
    }

    #[test]
    fn an_open_loop_does_not_depend_on_the_banks() {
        let plan = plan(Some(8));
        let at = |ms| plan.start + Duration::from_millis(ms);
        assert_eq!(plan.due(0, 0, at(0)), Some(at(0)));
        assert_eq!(plan.due(1, 0, at(0)), None, "an eighth of a second later");
        assert_eq!(plan.due(1, 0, at(125)), Some(at(125)));
        assert_eq!(
            plan.due(1, 1, at(2_000)),
            Some(at(625)),
            "due then, although it could not begin"
        );
        assert_eq!(plan.due(0, 6, at(9_000)), None, "it would be due at the end");
        assert_eq!(plan.due(0, 5, at(3_050)), Some(at(2_500)));
        assert_eq!(plan.due(0, 5, at(3_100)), None, "too late to begin");
        assert_eq!(plan.behind(0, 4).collect::<Vec<_>>(), [at(2_000), at(2_500)]);
        assert_eq!(plan.behind(0, 0).count(), 4, "warm-up does not count");
        assert!(plan.counts(at(1_000), at(9_000)) && !plan.counts(at(999), at(1_500)));
    }

    #[test]
    fn a_closed_loop_begins_when_it_can() {
        let plan = plan(None);
        let at = |ms| plan.start + Duration::from_millis(ms);
        assert_eq!(plan.due(3, 77, at(5)), Some(at(5)));
        assert_eq!(plan.due(3, 77, at(3_000)), None);
        assert_eq!(plan.behind(0, 0).count(), 0);
        assert!(plan.counts(at(0), at(1_500)) && !plan.counts(at(2_999), at(3_000)));
    }
}
