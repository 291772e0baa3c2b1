//! When the requests of a load are due, and what is measured.
//!
//! A closed loop begins the next transaction when one is through, so a slow bank is asked less. An
//! open loop does not ask how the banks are: transaction `k` is due at `k / rate`, and its latency
//! counts from then, whether it could begin then or not. What a stall delays is so counted as slow,
//! and not left out (Tene, _How NOT to Measure Latency_, calls that coordinated omission).

use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// What is due at the very end may begin for so long; a client that is later than that is behind.
const GRACE: Duration = Duration::from_millis(100);
/// Shorter sleeps are not worth their wake-ups.
const SLEEP_MIN: Duration = Duration::from_micros(50);

/// When a load runs, and when it is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The first request is due.
    pub start: Instant,
    /// What was there before is warm-up.
    pub begin: Instant,
    /// What would be due from here on does not begin.
    pub end: Instant,
    /// Clients.
    pub clients: u32,
    /// Transactions a second in all; none in a closed loop.
    pub rate: Option<u32>,
}

impl Plan {
    /// Since when client `number` may begin its transaction `count`, if it may now.
    pub fn due(&self, number: u32, count: u64, now: Instant) -> Option<Instant> {
        match self.rate {
            None => (now < self.end).then_some(now),
            Some(rate) => {
                let due = self.time_of(rate, number, count);
                (due <= now && due < self.end && now < self.end + GRACE).then_some(due)
            }
        }
    }

    /// When those were due that client `number` never began, having begun `count`.
    pub fn behind(&self, number: u32, count: u64) -> impl Iterator<Item = Instant> {
        let rate = self.rate;
        (count..)
            .map_while(move |count| rate.map(|rate| self.time_of(rate, number, count)))
            .take_while(|due| *due < self.end)
            .filter(|due| *due >= self.begin)
    }

    /// Whether a transaction that was due then, and ended `now`, is among those measured: in a
    /// closed loop what ends in time, in an open loop what was due in time, however late it ended.
    pub fn counts(&self, due: Instant, now: Instant) -> bool {
        let at = if self.rate.is_some() { due } else { now };
        self.is_measured(at)
    }

    /// Whether `at` lies in the time that is measured.
    pub fn is_measured(&self, at: Instant) -> bool {
        (self.begin..self.end).contains(&at)
    }

    /// Transactions of all clients are due evenly: those of one client come every `clients / rate`
    /// seconds.
    fn time_of(&self, rate: u32, number: u32, count: u64) -> Instant {
        let place = u128::from(count) * u128::from(self.clients) + u128::from(number);
        let nanos = place * 1_000_000_000 / u128::from(rate);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2))
    }
}

/// Wakes each client when something of it is due. The runtime's own timer is too coarse, by a
/// millisecond.
pub fn wake_when_due(plan: Plan, rate: u32, clients: Vec<Sender<()>>) {
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
                // One that is full has been woken already.
                let _ = client.try_send(());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rate: Option<u32>) -> Plan {
        let start = Instant::now();
        let (begin, end) = (start + Duration::from_secs(1), start + Duration::from_secs(3));
        Plan { start, begin, end, clients: 4, rate }
    }

    #[test]
    fn an_open_loop_does_not_ask_how_the_banks_are() {
        let plan = plan(Some(8));
        let at = |ms| plan.start + Duration::from_millis(ms);
        assert_eq!(plan.due(0, 0, at(0)), Some(at(0)));
        assert_eq!(plan.due(1, 0, at(0)), None, "an eighth of a second later");
        assert_eq!(plan.due(1, 0, at(125)), Some(at(125)));
        assert_eq!(
            plan.due(1, 1, at(2_000)),
            Some(at(625)),
            "since then, although it could not begin"
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
