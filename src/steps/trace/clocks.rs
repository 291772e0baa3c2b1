//! Aligns clocks that differ: shifts such that no message is received before it was sent.
//!
//! A message sent at `s` by one clock and received at `r` by another implies `shift_one -
//! shift_other <= r - s`. A set of such bounds has a solution if no cycle of them sums to less than
//! zero (Bellman; Floyd & Warshall for all pairs). A clock moves only if it must, and then to the
//! middle of what its bounds leave, as in NTP: the best assumption is that both directions took the
//! same time.

/// A message that was sent by one clock and received by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrow {
    /// The clock of the sender, and the time by it.
    pub sent: (usize, i64),
    /// The clock of the receiver, and the time by it.
    pub received: (usize, i64),
}

/// No bound: larger than any error of a clock, and small enough that sums do not overflow.
const FAR: i64 = i64::MAX / 4;

/// The shift of each clock. Of two clocks that disagree, the later one is moved.
pub(super) fn shifts(clocks: usize, arrows: &[Arrow]) -> Vec<i64> {
    let bounds = bounds(clocks, arrows);
    let solutions = (0..clocks).map(|reference| shifts_from(&bounds, reference));
    // Choose the solution that moves the fewest clocks: most clocks agree, and a wrong one should
    // move.
    let moved = |shifts: &Vec<i64>| shifts.iter().filter(|shift| **shift != 0).count();
    solutions.min_by_key(moved).unwrap_or_default()
}

/// `bounds[a][b]` is the maximum of the shift of `a` minus that of `b`.
fn bounds(clocks: usize, arrows: &[Arrow]) -> Vec<Vec<i64>> {
    let mut direct = vec![vec![FAR; clocks]; clocks];
    for Arrow { sent, received } in arrows.iter().filter(|arrow| arrow.sent.0 != arrow.received.0) {
        let bound = &mut direct[sent.0][received.0];
        *bound = (*bound).min(received.1 - sent.1);
    }
    (0..clocks).for_each(|clock| direct[clock][clock] = 0);
    loop {
        let mut closed = direct.clone();
        for by in 0..clocks {
            for from in 0..clocks {
                for to in 0..clocks {
                    // If a part has no bound, neither has the sum, even if the other part's is
                    // negative.
                    if closed[from][by] < FAR && closed[by][to] < FAR {
                        let sum = closed[from][by] + closed[by][to];
                        closed[from][to] = closed[from][to].min(sum);
                    }
                }
            }
        }
        if (0..clocks).all(|clock| closed[clock][clock] >= 0) {
            return closed;
        }
        // A negative cycle: a clock jumped, or lines were matched wrongly. Drop the strictest
        // bound, of a cycle of two if there is one; the order of events still respects that
        // message.
        let pairs =
            || (0..clocks).flat_map(|a| (0..clocks).map(move |b| (a, b))).filter(|(a, b)| a != b);
        let cycle = |a: usize, b: usize| direct[a][b].saturating_add(direct[b][a]);
        let worst = pairs().min_by_key(|(a, b)| (cycle(*a, *b).min(0), direct[*a][*b]));
        match worst {
            Some((a, b)) => direct[a][b] = FAR,
            None => return closed,
        }
    }
}

/// Shifts every clock within its bounds; `reference` is first, and stays.
fn shifts_from(bounds: &[Vec<i64>], reference: usize) -> Vec<i64> {
    let mut shifts: Vec<Option<i64>> = vec![None; bounds.len()];
    let others = (0..bounds.len()).filter(|clock| *clock != reference);
    for clock in std::iter::once(reference).chain(others) {
        let (mut least, mut most) = (-FAR, FAR);
        for (other, shift) in shifts.iter().enumerate() {
            let Some(shift) = shift else { continue };
            if bounds[clock][other] < FAR {
                most = most.min(shift + bounds[clock][other]);
            }
            if bounds[other][clock] < FAR {
                least = least.max(shift - bounds[other][clock]);
            }
        }
        let shift = if least <= 0 && most >= 0 {
            0
        } else if least <= -FAR {
            most
        } else if most >= FAR {
            least
        } else {
            least + (most - least) / 2
        };
        shifts[clock] = Some(shift);
    }
    shifts.into_iter().map(Option::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arrow(from: usize, sent: i64, to: usize, received: i64) -> Arrow {
        Arrow { sent: (from, sent), received: (to, received) }
    }

    #[test]
    fn clocks_that_agree_stay() {
        assert_eq!(
            shifts(3, &[arrow(0, 10, 1, 15), arrow(1, 20, 0, 25), arrow(0, 10, 2, 10)]),
            [0, 0, 0]
        );
        assert_eq!(shifts(2, &[]), [0, 0]);
    }

    #[test]
    fn a_wrong_clock_moves_to_the_middle() {
        const HOUR: i64 = 3_600_000_000;
        let wrong = [
            arrow(0, 10, 1, HOUR + 14),
            arrow(1, HOUR + 20, 0, 26),
            arrow(0, 30, 2, 31),
            arrow(2, 40, 0, 41),
        ];
        assert_eq!(shifts(3, &wrong), [0, -HOUR + 1, 0]);
        // With the first clock wrong, still only one moves.
        let wrong = [
            arrow(1, 10, 0, HOUR + 14),
            arrow(0, HOUR + 20, 1, 26),
            arrow(1, 30, 2, 31),
            arrow(2, 40, 1, 41),
        ];
        assert_eq!(shifts(3, &wrong), [-HOUR + 1, 0, 0]);
    }

    #[test]
    fn messages_in_one_direction_move_a_clock_no_more_than_they_must() {
        assert_eq!(shifts(2, &[arrow(0, 100, 1, 40)]), [0, 60]);
    }

    /// Clocks without messages between them have no bound, even if another clock must move.
    #[test]
    fn a_clock_without_bounds_stays() {
        let arrows = [arrow(0, 10, 1, 5), arrow(2, 0, 1, -7)];
        let bounds = bounds(4, &arrows);
        assert_eq!((bounds[0][1], bounds[2][1]), (-5, -7));
        let unbound =
            [(0, 2), (0, 3), (1, 0), (1, 2), (1, 3), (2, 0), (2, 3), (3, 0), (3, 1), (3, 2)];
        assert!(unbound.iter().all(|(one, other)| bounds[*one][*other] == FAR), "{bounds:?}");
        assert_eq!(shifts(4, &arrows), [0, 7, 0, 0]);
    }

    /// A regression: a bound derived from a missing one moved a clock to the end of time.
    #[test]
    fn one_clock_an_hour_ahead_of_a_chain() {
        let ahead = 1_306_161_488;
        let arrows = [
            arrow(0, 0, 1, -494),
            arrow(3, ahead, 2, -891),
            arrow(4, 0, 3, ahead),
            arrow(3, ahead, 4, 0),
            arrow(2, -891, 0, 0),
        ];
        let shifts = shifts(5, &arrows);
        for Arrow { sent, received } in arrows {
            assert!(sent.1 + shifts[sent.0] <= received.1 + shifts[received.0], "{shifts:?}");
        }
    }

    #[test]
    fn a_negative_cycle_leaves_the_others_in_order() {
        let shifts = shifts(
            3,
            &[arrow(0, 10, 1, 0), arrow(1, 0, 0, 0), arrow(0, 50, 2, 10), arrow(2, 12, 0, 55)],
        );
        assert!(50 + shifts[0] <= 10 + shifts[2] && 12 + shifts[2] <= 55 + shifts[0], "{shifts:?}");
    }

    proptest! {
        /// For any true order and any errors of the clocks, no message is received before it was
        /// sent.
        #[test]
        fn no_message_is_received_before_it_was_sent(
            wrong in proptest::collection::vec(-4_000_000_000i64..4_000_000_000, 5),
            sent in proptest::collection::vec(
                (0usize..5, 0usize..5, 0i64..10_000, 0i64..500),
                0..40,
            ),
        ) {
            let arrows: Vec<Arrow> = sent
                .iter()
                .map(|(from, to, at, took)| {
                    arrow(*from, at + wrong[*from], *to, at + took + wrong[*to])
                })
                .collect();
            let shifts = shifts(5, &arrows);
            for Arrow { sent, received } in arrows {
                prop_assert!(sent.1 + shifts[sent.0] <= received.1 + shifts[received.0]);
            }
        }
    }
}
