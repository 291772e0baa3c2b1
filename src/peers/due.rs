//! When an open link must wake by itself. No clock here.

use consorcio_core::ids::Time;
use std::time::Duration;
use tokio::time::Instant;

/// When news is due: at `at` if a newer vote is `known` than the peer was `shown`, else never. A
/// moment in the past would wake the link in a busy loop.
pub(super) fn news_due(known: Time, shown: Time, at: Instant) -> Option<Instant> {
    (known > shown).then_some(at)
}

/// The end of a silence that began at `from`, or an earlier moment of `due`.
pub(super) fn earliest(from: Instant, silence: Duration, due: [Option<Instant>; 2]) -> Instant {
    due.into_iter().flatten().fold(from + silence, Instant::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timer in the past would wake the link in a busy loop.
    #[test]
    fn a_link_wakes_at_the_earliest_due_moment() {
        let now = Instant::now();
        let (silence, later) = (Duration::from_secs(3), |ms| Some(now + Duration::from_millis(ms)));
        assert_eq!(earliest(now, silence, [None, None]), now + silence);
        assert_eq!(Some(earliest(now, silence, [later(5_000), later(2_000)])), later(2_000));
        assert_eq!(earliest(now, silence, [later(5_000), None]), now + silence);
    }

    #[test]
    fn news_that_was_shown_is_not_due_again() {
        let at = Instant::now();
        assert_eq!(news_due(Time(3), Time(3), at), None);
        assert_eq!(news_due(Time(2), Time(3), at), None);
        assert_eq!(news_due(Time(4), Time(3), at), Some(at));
    }
}
