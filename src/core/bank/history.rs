//! The newest outcomes with their operations, oldest first and indexed by id. An id occurs once.

use crate::bank::known::HistoryEntry;
use crate::ids::TxId;
use crate::limits::HISTORY_MAX;
use std::collections::{BTreeMap, VecDeque};

/// The newest `HISTORY_MAX` entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// Each entry with its number; numbers only grow.
    events: VecDeque<(u64, HistoryEntry)>,
    numbers: BTreeMap<TxId, u64>,
    next: u64,
}

impl History {
    /// A history of these entries, oldest first.
    pub(super) fn of(events: Vec<HistoryEntry>) -> History {
        let mut history = History::default();
        for event in events {
            history.push(event);
        }
        history
    }

    /// All entries, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &HistoryEntry> {
        self.events.iter().map(|(_, event)| event)
    }

    /// The entries older than `tx`, newest first; without `tx` all of them. `None` if `tx` has no
    /// entry.
    pub(crate) fn newest_before(
        &self,
        tx: Option<&TxId>,
    ) -> Option<impl Iterator<Item = &HistoryEntry>> {
        let end = match tx {
            Some(tx) => self.position(tx)?,
            None => self.events.len(),
        };
        Some(self.events.range(..end).rev().map(|(_, event)| event))
    }

    /// The entry of `tx`, if it has one.
    pub(super) fn get(&self, tx: &TxId) -> Option<&HistoryEntry> {
        // Most often it is that of the record that was just applied.
        if let Some((_, newest)) = self.events.back()
            && newest.tx == *tx
        {
            return Some(newest);
        }
        self.position(tx).map(|position| &self.events[position].1)
    }

    /// Adds the newest entry; returns the oldest one if it was evicted.
    pub(super) fn push(&mut self, event: HistoryEntry) -> Option<HistoryEntry> {
        let oldest = if self.events.len() == HISTORY_MAX { self.events.pop_front() } else { None };
        if let Some((number, oldest)) = &oldest
            && let Some(newest) = self.numbers.remove(&oldest.tx)
            && newest != *number
        {
            self.numbers.insert(oldest.tx.clone(), newest);
        }
        self.numbers.insert(event.tx.clone(), self.next);
        self.events.push_back((self.next, event));
        self.next += 1;
        oldest.map(|(_, oldest)| oldest)
    }

    /// Removes the entry of `tx`.
    pub(super) fn remove(&mut self, tx: &TxId) {
        if let Some(position) = self.position(tx) {
            self.events.remove(position);
            self.numbers.remove(tx);
        }
    }

    fn position(&self, tx: &TxId) -> Option<usize> {
        let number = self.numbers.get(tx)?;
        self.events.binary_search_by_key(number, |(number, _)| *number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::known::Provenance;
    use crate::ids::Time;

    fn event(tx: &str, time: i64) -> HistoryEntry {
        let tx = TxId::new(tx).unwrap();
        HistoryEntry {
            tx,
            time: Time(time),
            reason: None,
            transaction: None,
            provenance: Provenance::default(),
        }
    }

    fn entries(history: &History) -> Vec<(&str, i64)> {
        history.iter().map(|event| (event.tx.as_str(), event.time.0)).collect()
    }

    #[test]
    fn a_removed_entry_is_gone_and_can_be_added_again() {
        let mut history = History::of(vec![event("a", 1), event("b", 2), event("c", 3)]);
        let b = TxId::new("b").unwrap();
        history.remove(&b);
        assert_eq!((entries(&history), history.get(&b)), (vec![("a", 1), ("c", 3)], None));
        history.remove(&b);
        history.push(event("b", 4));
        assert_eq!(entries(&history), [("a", 1), ("c", 3), ("b", 4)]);
        assert_eq!(history.get(&b).map(|event| event.time), Some(Time(4)));
        let before: Vec<_> =
            history.newest_before(Some(&b)).unwrap().map(|event| event.time.0).collect();
        assert_eq!(before, [3, 1]);
    }
}
