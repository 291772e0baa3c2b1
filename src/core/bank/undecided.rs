//! The transactions that this bank voted OK on and that have no outcome yet, by id.

use crate::bank::known::Prepared;
use crate::id_map::IdMap;
use crate::ids::{Time, TxId};
use crate::ledger::HashSeed;
use crate::rows::{SharedRows, SharedSlots};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Undecided transactions by id. The rows are apart from the map, so that a view for a snapshot
/// shares them.
#[derive(Debug, Clone)]
pub(crate) struct Undecided {
    /// The place of each row, for what is found by its id alone.
    places: IdMap<u32>,
    /// The same in the order of ids, for lists of them.
    by_id: BTreeMap<TxId, u32>,
    /// Those that may commit at the time of this bank's vote or later, by that time: cuts wait for
    /// them.
    by_time: BTreeSet<(Time, u32)>,
    rows: SharedSlots<(TxId, Prepared)>,
}

impl Undecided {
    pub(super) fn seeded(seed: HashSeed) -> Undecided {
        Undecided {
            places: IdMap::seeded(seed),
            by_id: BTreeMap::new(),
            by_time: BTreeSet::new(),
            rows: SharedSlots::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn contains_key(&self, tx: &TxId) -> bool {
        self.places.has(tx)
    }

    pub(super) fn get(&self, tx: &TxId) -> Option<&Prepared> {
        self.places.get(tx).map(|place| &self.rows.at(*place).1)
    }

    /// The one that this bank voted on first, with the time of that vote. An outside coordinator's
    /// does not count: it commits at the time of its vote, later than every cut that was taken
    /// before.
    pub(super) fn oldest(&self) -> Option<(Time, &TxId)> {
        self.by_time.first().map(|(time, place)| (*time, &self.rows.at(*place).0))
    }

    /// Those that cuts wait for with a vote after `after`, by the times of the votes.
    pub(super) fn voted_after(
        &self,
        after: Time,
    ) -> impl Iterator<Item = (Time, &TxId, &Prepared)> {
        let later = self.by_time.range((Bound::Excluded((after, u32::MAX)), Bound::Unbounded));
        later.map(|(time, place)| {
            let (tx, prepared) = self.rows.at(*place);
            (*time, tx, prepared)
        })
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
        let (time, has_outside) = (prepared.time, prepared.transaction.has_outside());
        let place = self.rows.insert((tx.clone(), prepared));
        assert!(self.places.insert(tx.clone(), place).is_none(), "a bank votes once for an id");
        self.by_id.insert(tx, place);
        if !has_outside {
            self.by_time.insert((time, place));
        }
    }

    /// Removes a transaction, if it is there.
    pub(super) fn remove(&mut self, tx: &TxId) -> Option<Prepared> {
        let place = self.places.remove(tx)?;
        self.by_id.remove(tx);
        let prepared = self.rows.remove(place).1;
        if !prepared.transaction.has_outside() {
            self.by_time.remove(&(prepared.time, place));
        }
        Some(prepared)
    }

    /// Their rows; free places have none, and they are in no order.
    pub(super) fn rows(&self) -> &SharedRows<Option<(TxId, Prepared)>> {
        self.rows.rows()
    }
}
