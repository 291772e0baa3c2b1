//! The newest outcomes with their operations, oldest first and indexed by id. An id occurs once.

use crate::bank::known::HistoryEntry;
use crate::id_map::IdMap;
use crate::ids::TxId;
use crate::ledger::HashSeed;
use crate::limits::HISTORY_MAX;
use std::collections::VecDeque;
use std::sync::Arc;

/// Entries of a full chunk; few in tests, so that chunks fill and end there.
const CHUNK_ENTRIES: usize = if cfg!(test) { 3 } else { 32 };

/// Neighbouring entries, each with its number; never empty.
type EntryChunk = Arc<Vec<(u64, HistoryEntry)>>;

/// The newest `HISTORY_MAX` entries. Numbers only grow.
#[derive(Debug, Clone)]
pub(crate) struct History {
    entries: FrozenHistory,
    numbers: IdMap<u64>,
    next: u64,
    len: usize,
}

/// The entries in chunks. A copy shares them, and stays as it is: a chunk is copied before it
/// changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct FrozenHistory {
    chunks: VecDeque<EntryChunk>,
    /// How many entries of the first chunk were evicted.
    evicted: usize,
}

impl History {
    pub(super) fn seeded(seed: HashSeed) -> History {
        let (entries, numbers) = (FrozenHistory::default(), IdMap::seeded(seed));
        History { entries, numbers, next: 0, len: 0 }
    }

    /// A history of these entries, oldest first.
    pub(super) fn of(seed: HashSeed, events: Vec<HistoryEntry>) -> History {
        let mut history = History::seeded(seed);
        for event in events {
            history.push(event);
        }
        history
    }

    /// The entries older than `tx`, newest first; without `tx` all of them. `None` if `tx` has no
    /// entry.
    pub(crate) fn newest_before(
        &self,
        tx: Option<&TxId>,
    ) -> Option<impl Iterator<Item = &HistoryEntry>> {
        let (chunk, at) = match tx {
            Some(tx) => self.position(tx)?,
            None => (self.entries.chunks.len(), 0),
        };
        let here = self.entries.chunks.get(chunk).map_or(&[][..], |entries| &entries[..at]);
        let before = self.entries.chunks.range(..chunk).rev();
        let all = here.iter().rev().chain(before.flat_map(|entries| entries.iter().rev()));
        let oldest = self.entries.oldest();
        Some(all.take_while(move |(number, _)| Some(*number) >= oldest).map(|(_, event)| event))
    }

    /// The entry of `tx`, if it has one.
    pub(super) fn get(&self, tx: &TxId) -> Option<&HistoryEntry> {
        // Most often it is that of the record that was just applied.
        if let Some((_, newest)) = self.entries.chunks.back().and_then(|chunk| chunk.last())
            && newest.tx == *tx
        {
            return Some(newest);
        }
        self.position(tx).map(|(chunk, at)| &self.entries.chunks[chunk][at].1)
    }

    /// Adds the newest entry; returns the id of the oldest one if it was evicted.
    pub(super) fn push(&mut self, event: HistoryEntry) -> Option<TxId> {
        let oldest = if self.len == HISTORY_MAX { self.evict() } else { None };
        self.numbers.insert(event.tx.clone(), self.next);
        self.entries.push(self.next, event);
        self.next += 1;
        self.len += 1;
        oldest
    }

    /// Removes the entry of `tx`.
    pub(super) fn remove(&mut self, tx: &TxId) {
        let Some((at, entry)) = self.position(tx) else { return };
        let chunk = &mut self.entries.chunks[at];
        Arc::make_mut(chunk).remove(entry);
        let evicted = if at == 0 { self.entries.evicted } else { 0 };
        if chunk.len() == evicted {
            self.entries.chunks.remove(at);
            self.entries.evicted -= evicted;
        }
        self.numbers.remove(tx);
        self.len -= 1;
    }

    /// The entries as they are now.
    pub(super) fn freeze(&self) -> FrozenHistory {
        self.entries.clone()
    }

    fn evict(&mut self) -> Option<TxId> {
        let (number, tx) = self.entries.pop_oldest()?;
        self.len -= 1;
        // An entry may have been added again under its id since.
        if self.numbers.get(&tx) == Some(&number) {
            self.numbers.remove(&tx);
        }
        Some(tx)
    }

    fn position(&self, tx: &TxId) -> Option<(usize, usize)> {
        let number = self.numbers.get(tx)?;
        let chunks = &self.entries.chunks;
        let chunk =
            chunks.partition_point(|chunk| chunk.last().is_some_and(|(last, _)| last < number));
        let found = chunks.get(chunk)?.binary_search_by_key(number, |(number, _)| *number);
        found.ok().map(|entry| (chunk, entry))
    }
}

impl FrozenHistory {
    /// All entries, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &HistoryEntry> {
        let all = self.chunks.iter().flat_map(|chunk| chunk.iter());
        all.skip(self.evicted).map(|(_, event)| event)
    }

    fn oldest(&self) -> Option<u64> {
        self.chunks.front().map(|chunk| chunk[self.evicted].0)
    }

    fn push(&mut self, number: u64, event: HistoryEntry) {
        match self.chunks.back_mut() {
            Some(last) if last.len() < CHUNK_ENTRIES => Arc::make_mut(last).push((number, event)),
            Some(_) | None => {
                let mut chunk = Vec::with_capacity(CHUNK_ENTRIES);
                chunk.push((number, event));
                self.chunks.push_back(Arc::new(chunk));
            }
        }
    }

    /// Evicts the oldest entry. Its memory is given back with that of its chunk.
    fn pop_oldest(&mut self) -> Option<(u64, TxId)> {
        let chunk = self.chunks.front()?;
        let (number, event) = &chunk[self.evicted];
        let oldest = (*number, event.tx.clone());
        self.evicted += 1;
        if self.evicted == chunk.len() {
            self.chunks.pop_front();
            self.evicted = 0;
        }
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::known::Provenance;
    use crate::ids::Time;
    use proptest::prelude::*;

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

    fn entries(history: &FrozenHistory) -> Vec<(&str, i64)> {
        history.iter().map(|event| (event.tx.as_str(), event.time.0)).collect()
    }

    #[test]
    fn a_removed_entry_is_gone_and_can_be_added_again() {
        let mut history = History::of([1, 2], vec![event("a", 1), event("b", 2), event("c", 3)]);
        let b = TxId::new("b").unwrap();
        history.remove(&b);
        assert_eq!(entries(&history.entries), vec![("a", 1), ("c", 3)]);
        assert_eq!(history.get(&b), None);
        history.remove(&b);
        history.push(event("b", 4));
        assert_eq!(entries(&history.entries), [("a", 1), ("c", 3), ("b", 4)]);
        assert_eq!(history.get(&b).map(|event| event.time), Some(Time(4)));
        let before: Vec<_> =
            history.newest_before(Some(&b)).unwrap().map(|event| event.time.0).collect();
        assert_eq!(before, [3, 1]);
    }

    proptest! {
        /// It equals a plain list of at most `HISTORY_MAX` entries, and a frozen one stays.
        #[test]
        fn a_history_is_the_list_of_its_newest_entries(
            steps in prop::collection::vec((0u16..120, 0u8..10), 1..200),
            already in 0..HISTORY_MAX,
        ) {
            let old = |n: usize| event(&format!("old-{n}"), 0);
            let mut plain: VecDeque<HistoryEntry> = (0..already).map(old).collect();
            let mut history = History::of([1, 2], plain.iter().cloned().collect());
            let mut frozen = Vec::new();
            for (at, (name, kind)) in (0..).zip(steps) {
                let named = event(&format!("t-{name}"), at);
                let known = plain.iter().position(|entry| entry.tx == named.tx);
                if let Some(position) = known {
                    prop_assert_eq!(history.get(&named.tx), Some(&plain[position]));
                    let older: Vec<_> = history.newest_before(Some(&named.tx)).unwrap().collect();
                    let expected: Vec<_> = plain.range(..position).rev().collect();
                    prop_assert_eq!(older, expected);
                    history.remove(&named.tx);
                    plain.remove(position);
                } else {
                    let full = plain.len() == HISTORY_MAX;
                    let oldest = if full { plain.pop_front().map(|entry| entry.tx) } else { None };
                    plain.push_back(named.clone());
                    prop_assert_eq!(history.push(named), oldest);
                }
                if kind == 0 {
                    frozen.push((history.freeze(), plain.clone()));
                }
            }
            prop_assert!(history.newest_before(None).unwrap().eq(plain.iter().rev()));
            frozen.push((history.freeze(), plain));
            for (frozen, plain) in frozen {
                prop_assert!(frozen.iter().eq(&plain));
            }
        }
    }
}
