//! When an open link has something to do though nothing happens. No clock here.

use consorcio_core::ids::Time;
use std::time::Duration;
use tokio::time::Instant;

/// When the peer is told what is `known`, of which it was `told` a part: from `at` on, or never
/// where that is all. A moment that is past would wake the link again and again.
pub(super) fn news_due(known: Time, told: Time, at: Instant) -> Option<Instant> {
    (known > told).then_some(at)
}

/// The end of a silence that began at `from`, or what is due before it.
pub(super) fn earliest(from: Instant, silence: Duration, due: [Option<Instant>; 2]) -> Instant {
    due.into_iter().flatten().fold(from + silence, Instant::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timer that is due too early makes a link look at itself without end.
    #[test]
    fn a_link_is_looked_at_when_something_is_due_and_not_before() {
        let now = Instant::now();
        let (silence, later) = (Duration::from_secs(3), |ms| Some(now + Duration::from_millis(ms)));
        assert_eq!(earliest(now, silence, [None, None]), now + silence);
        assert_eq!(Some(earliest(now, silence, [later(5_000), later(2_000)])), later(2_000));
        assert_eq!(earliest(now, silence, [later(5_000), None]), now + silence);
    }

    #[test]
    fn what_was_told_wakes_nobody() {
        let at = Instant::now();
        assert_eq!(news_due(Time(3), Time(3), at), None);
        assert_eq!(news_due(Time(2), Time(3), at), None);
        assert_eq!(news_due(Time(4), Time(3), at), Some(at));
    }
}
