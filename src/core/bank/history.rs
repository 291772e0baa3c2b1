//! The newest outcomes with their operations, oldest first, and found by id. An id stands there
//! once.

use crate::bank::known::Event;
use crate::ids::TxId;
use crate::limits::HISTORY_MAX;
use std::collections::{BTreeMap, VecDeque};

/// At most `HISTORY_MAX` events.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// Each with its number; they only grow.
    events: VecDeque<(u64, Event)>,
    numbers: BTreeMap<TxId, u64>,
    next: u64,
}

impl History {
    /// These events, oldest first.
    pub(super) fn of(events: Vec<Event>) -> History {
        let mut history = History::default();
        for event in events {
            history.push(event);
        }
        history
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.iter().map(|(_, event)| event)
    }

    /// Those older than `tx`, newest first; all without one. `None` where it does not stand here.
    pub(crate) fn newest_before(&self, tx: Option<&TxId>) -> Option<impl Iterator<Item = &Event>> {
        let end = match tx {
            Some(tx) => self.place(tx)?,
            None => self.events.len(),
        };
        Some(self.events.range(..end).rev().map(|(_, event)| event))
    }

    /// What became of `tx`.
    pub(super) fn get(&self, tx: &TxId) -> Option<&Event> {
        self.place(tx).map(|place| &self.events[place].1)
    }

    /// Adds the newest one; gives the oldest one, if it had to go.
    pub(super) fn push(&mut self, event: Event) -> Option<Event> {
        let oldest = if self.events.len() == HISTORY_MAX { self.events.pop_front() } else { None };
        if let Some((number, oldest)) = &oldest
            && self.numbers.get(&oldest.tx) == Some(number)
        {
            self.numbers.remove(&oldest.tx);
        }
        self.numbers.insert(event.tx.clone(), self.next);
        self.events.push_back((self.next, event));
        self.next += 1;
        oldest.map(|(_, oldest)| oldest)
    }

    /// Takes `tx` out of it.
    pub(super) fn remove(&mut self, tx: &TxId) {
        if let Some(place) = self.place(tx) {
            self.events.remove(place);
            self.numbers.remove(tx);
        }
    }

    fn place(&self, tx: &TxId) -> Option<usize> {
        let number = self.numbers.get(tx)?;
        self.events.binary_search_by_key(number, |(number, _)| *number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::known::How;
    use crate::ids::Time;

    fn event(tx: &str, time: i64) -> Event {
        let tx = TxId::new(tx).unwrap();
        Event { tx, time: Time(time), reason: None, transaction: None, how: How::default() }
    }

    fn told(history: &History) -> Vec<(&str, i64)> {
        history.iter().map(|event| (event.tx.as_str(), event.time.0)).collect()
    }

    #[test]
    fn what_is_taken_out_is_gone_and_may_come_again() {
        let mut history = History::of(vec![event("a", 1), event("b", 2), event("c", 3)]);
        let b = TxId::new("b").unwrap();
        history.remove(&b);
        assert_eq!((told(&history), history.get(&b)), (vec![("a", 1), ("c", 3)], None));
        history.remove(&b);
        history.push(event("b", 4));
        assert_eq!(told(&history), [("a", 1), ("c", 3), ("b", 4)]);
        assert_eq!(history.get(&b).map(|event| event.time), Some(Time(4)));
        let before: Vec<_> =
            history.newest_before(Some(&b)).unwrap().map(|event| event.time.0).collect();
        assert_eq!(before, [3, 1]);
    }
}
