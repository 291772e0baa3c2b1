//! Backoff between two dials of a link.

use std::time::Duration;

/// Doubling waits with jitter, so that banks which lost each other do not dial in lockstep.
pub(super) struct Backoff {
    next: Duration,
    min: Duration,
    max: Duration,
}

impl Backoff {
    /// Waits from `min` up to `max`.
    pub(super) fn new(min: Duration, max: Duration) -> Backoff {
        Backoff { next: min, min, max }
    }

    /// Makes the next wait the shortest one again.
    pub(super) fn reset(&mut self) {
        self.next = self.min;
    }

    /// The next wait: between half of it and all of it.
    pub(super) fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.max);
        let mut random = [0];
        // Without random bytes there is no jitter.
        let part = getrandom::fill(&mut random).map_or(255, |()| u32::from(random[0]));
        whole / 2 + whole * part / 510
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_over_their_later_half() {
        let ms = Duration::from_millis;
        let mut first = Vec::new();
        for _ in 0..64 {
            let mut backoff = Backoff::new(ms(100), ms(1_000));
            for whole in [100, 200, 400, 800, 1_000, 1_000, 1_000] {
                assert_eq!(backoff.next, ms(whole));
                let wait = backoff.wait();
                assert!(ms(whole / 2) <= wait && wait <= ms(whole), "{wait:?} of {whole} ms");
                if whole == 800 {
                    first.push(wait);
                }
            }
        }
        // 64 random waits include short and long ones, but for one run in ten millions.
        let (least, most) = (first.iter().min().unwrap(), first.iter().max().unwrap());
        assert!(*least < ms(500) && *most > ms(700), "{least:?} to {most:?}");
    }
}
