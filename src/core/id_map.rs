//! Maps by transaction id, for what is found by its id alone.
//!
//! They are hash tables: a look-up in a tree of 65,536 ids compares sixteen of them, each in
//! memory of its own. Nothing can iterate over one in the order of the table, so nothing that a
//! bank decides can follow from it.

use crate::ids::TxId;
use crate::ledger::{HashSeed, seeded_hash};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::fmt;

/// Values by transaction id.
#[derive(Clone)]
pub(crate) struct IdMap<V> {
    seed: HashSeed,
    table: HashTable<(TxId, V)>,
}

impl<V> IdMap<V> {
    /// An empty map. Strangers choose ids, so they must not know `seed`.
    pub(crate) fn seeded(seed: HashSeed) -> IdMap<V> {
        IdMap { seed, table: HashTable::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn has(&self, tx: &TxId) -> bool {
        self.get(tx).is_some()
    }

    pub(crate) fn get(&self, tx: &TxId) -> Option<&V> {
        self.table.find(self.hash(tx), |(id, _)| id == tx).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, tx: &TxId) -> Option<&mut V> {
        let hash = self.hash(tx);
        self.table.find_mut(hash, |(id, _)| id == tx).map(|(_, value)| value)
    }

    /// Sets the value of `tx`; returns the one before. The table doubles when it is full.
    pub(crate) fn insert(&mut self, tx: TxId, value: V) -> Option<V> {
        let (hash, seed) = (self.hash(&tx), self.seed);
        let of = |(id, _): &(TxId, V)| seeded_hash(seed, id.as_str().as_bytes());
        match self.table.entry(hash, |(id, _)| *id == tx, of) {
            Entry::Occupied(mut row) => Some(std::mem::replace(&mut row.get_mut().1, value)),
            Entry::Vacant(place) => {
                place.insert((tx, value));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, tx: &TxId) -> Option<V> {
        let hash = self.hash(tx);
        let row = self.table.find_entry(hash, |(id, _)| id == tx).ok()?;
        Some(row.remove().0.1)
    }

    /// All of it in the order of ids, for checkers: it sorts.
    pub(crate) fn sorted(&self) -> Vec<(&TxId, &V)> {
        let mut rows: Vec<_> = self.table.iter().map(|(tx, value)| (tx, value)).collect();
        rows.sort_unstable_by_key(|(tx, _)| *tx);
        rows
    }

    fn hash(&self, tx: &TxId) -> u64 {
        seeded_hash(self.seed, tx.as_str().as_bytes())
    }
}

impl<V: fmt::Debug> fmt::Debug for IdMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.sorted()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Few ids, so that each is set, replaced and removed several times.
        #[test]
        fn it_is_as_a_sorted_map(
            steps in prop::collection::vec((0u8..40, any::<Option<u32>>()), 0..300),
            seed in any::<HashSeed>(),
        ) {
            let (mut map, mut model) = (IdMap::seeded(seed), BTreeMap::new());
            for (number, value) in steps {
                let tx = TxId::new(&format!("id-{number}")).unwrap();
                match value {
                    Some(value) => {
                        prop_assert_eq!(map.insert(tx.clone(), value), model.insert(tx, value));
                    }
                    None => prop_assert_eq!(map.remove(&tx), model.remove(&tx)),
                }
                prop_assert_eq!(map.len(), model.len());
            }
            prop_assert_eq!(map.sorted(), model.iter().collect::<Vec<_>>());
            for (tx, value) in &model {
                prop_assert_eq!(map.get(tx), Some(value));
            }
        }
    }
}
