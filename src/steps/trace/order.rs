//! The order of events: those of one node in its own order, effects after their causes, otherwise
//! by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Orders events. `at` are their times, aligned as far as possible; `chains` are the orders within
/// nodes, and `causes` pairs of cause and effect. Returns the indexes of the events in order, and
/// their times: an effect that would precede its cause gets the time of the cause.
///
/// Cyclic causes were matched wrongly; as few of them as possible are ignored.
pub(super) fn order(
    at: &[i64],
    chains: &[Vec<usize>],
    causes: &[(usize, usize)],
) -> (Vec<usize>, Vec<i64>) {
    let mut at = at.to_vec();
    let mut waits = vec![0usize; at.len()];
    let mut effects = vec![Vec::new(); at.len()];
    let mut before = vec![None; at.len()];
    let own = chains.iter().flat_map(|chain| chain.windows(2)).map(|pair| (pair[0], pair[1]));
    for (cause, effect) in own.clone().chain(causes.iter().copied()) {
        effects[cause].push(effect);
        waits[effect] += 1;
    }
    own.for_each(|(cause, effect)| before[effect] = Some(cause));
    let mut done = vec![false; at.len()];
    let mut ready: BinaryHeap<Reverse<(i64, usize)>> = (0..at.len())
        .filter(|event| waits[*event] == 0)
        .map(|event| Reverse((at[event], event)))
        .collect();
    let mut order = Vec::with_capacity(at.len());
    while order.len() < at.len() {
        let event = match ready.pop() {
            Some(Reverse((_, event))) => event,
            None => {
                // A cycle: the earliest event whose predecessor in its node is done proceeds
                // without its cause.
                let free = (0..at.len()).filter(|event| !done[*event]);
                let free = free.filter(|event| before[*event].is_none_or(|before| done[before]));
                match free.min_by_key(|event| at[*event]) {
                    Some(event) => event,
                    None => break,
                }
            }
        };
        if std::mem::replace(&mut done[event], true) {
            continue;
        }
        order.push(event);
        for effect in std::mem::take(&mut effects[event]) {
            at[effect] = at[effect].max(at[event]);
            waits[effect] -= 1;
            if waits[effect] == 0 && !done[effect] {
                ready.push(Reverse((at[effect], effect)));
            }
        }
    }
    (order, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_causes_events_are_ordered_by_time() {
        assert_eq!(order(&[30, 10, 20], &[], &[]).0, [1, 2, 0]);
    }

    #[test]
    fn effects_follow_their_causes() {
        let (order, at) = order(&[50, 60, 10, 70], &[vec![0, 1], vec![2, 3]], &[(0, 2)]);
        assert_eq!(order, [0, 2, 1, 3]);
        assert_eq!(at, [50, 60, 50, 70]);
    }

    #[test]
    fn a_cycle_loses_no_event_and_keeps_the_order_within_nodes() {
        let (order, _) = order(&[1, 2, 1, 2], &[vec![0, 1], vec![2, 3]], &[(1, 2), (3, 0)]);
        let place = |event| order.iter().position(|other| *other == event).unwrap();
        assert_eq!(order.len(), 4);
        assert!(place(0) < place(1) && place(2) < place(3), "{order:?}");
    }
}
