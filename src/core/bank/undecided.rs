//! The transactions that this bank voted OK on and that have no outcome yet, by id.

use crate::bank::known::Prepared;
use crate::ids::TxId;
use crate::rows::{SharedRows, SharedSlots};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Undecided transactions by id. The rows are apart from the map, so that a view for a snapshot
/// shares them.
#[derive(Debug, Clone)]
pub(crate) struct Undecided {
    by_id: BTreeMap<TxId, u32>,
    rows: SharedSlots<(TxId, Prepared)>,
}

impl Undecided {
    pub(super) fn new() -> Undecided {
        Undecided { by_id: BTreeMap::new(), rows: SharedSlots::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn contains_key(&self, tx: &TxId) -> bool {
        self.by_id.contains_key(tx)
    }

    pub(super) fn get(&self, tx: &TxId) -> Option<&Prepared> {
        self.by_id.get(tx).map(|place| &self.rows.at(*place).1)
    }

    /// All of them, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TxId, &Prepared)> {
        self.by_id.iter().map(|(tx, place)| (tx, &self.rows.at(*place).1))
    }

    /// Those after `after`, by id.
    pub(super) fn after<'a>(
        &'a self,
        after: Option<&TxId>,
    ) -> impl Iterator<Item = (&'a TxId, &'a Prepared)> + use<'a> {
        self.from(after.map_or(Bound::Unbounded, Bound::Excluded))
    }

    /// Those from `begin` on, by id.
    pub(super) fn from<'a>(
        &'a self,
        begin: Bound<&TxId>,
    ) -> impl Iterator<Item = (&'a TxId, &'a Prepared)> + use<'a> {
        let range = self.by_id.range::<TxId, _>((begin, Bound::Unbounded));
        range.map(|(tx, place)| (tx, &self.rows.at(*place).1))
    }

    /// Adds a transaction.
    ///
    /// # Panics
    /// If its id is undecided already.
    pub(super) fn insert(&mut self, tx: TxId, prepared: Prepared) {
        let place = self.rows.insert((tx.clone(), prepared));
        assert!(self.by_id.insert(tx, place).is_none(), "a bank votes once for an id");
    }

    /// Removes a transaction, if it is there.
    pub(super) fn remove(&mut self, tx: &TxId) -> Option<Prepared> {
        let place = self.by_id.remove(tx)?;
        Some(self.rows.remove(place).1)
    }

    /// Their rows; free places have none, and they are in no order.
    pub(super) fn rows(&self) -> &SharedRows<Option<(TxId, Prepared)>> {
        self.rows.rows()
    }
}
