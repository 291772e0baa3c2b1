//! Slots in the order of their texts. A bank may have millions, so a new one must not move all the
//! others.

/// Slots in one row; few in tests, so that rows are split there.
const ROW_LENGTH: usize = if cfg!(test) { 4 } else { 256 };
/// Slots in one row of an order that is built at once: there is room for a few more.
const ROW_LENGTH_AT_FIRST: usize = ROW_LENGTH * 3 / 4;

/// Slots in rows, by their keys, which are elsewhere; no row is empty.
#[derive(Debug, Clone)]
pub(super) struct SlotOrder<K> {
    rows: Vec<OrderRow<K>>,
}

/// Slots whose keys lie beside each other.
#[derive(Debug, Clone)]
struct OrderRow<K> {
    /// The key of the first one, so that finding a row needs no look at others.
    first: K,
    slots: Vec<u32>,
}

impl<K: Ord + Clone> SlotOrder<K> {
    pub(super) fn new() -> SlotOrder<K> {
        SlotOrder { rows: Vec::new() }
    }

    /// The order of all these, which are sorted.
    pub(super) fn of_sorted(sorted: &[(K, u32)]) -> SlotOrder<K> {
        let row = |part: &[(K, u32)]| {
            let mut slots = Vec::with_capacity(ROW_LENGTH);
            slots.extend(part.iter().map(|(_, slot)| *slot));
            OrderRow { first: part[0].0.clone(), slots }
        };
        SlotOrder { rows: sorted.chunks(ROW_LENGTH_AT_FIRST).map(row).collect() }
    }

    /// Inserts a slot whose key no other has; `key_of` has the keys of those that are there.
    pub(super) fn insert<'a>(&mut self, key: &K, slot: u32, key_of: impl Fn(u32) -> &'a K)
    where
        K: 'a,
    {
        let at = self.rows.partition_point(|row| row.first <= *key).saturating_sub(1);
        let Some(row) = self.rows.get_mut(at) else {
            self.rows.push(OrderRow { first: key.clone(), slots: vec![slot] });
            return;
        };
        let position = row.slots.partition_point(|held| key_of(*held) < key);
        if row.slots.len() < ROW_LENGTH {
            row.insert(position, key, slot);
        } else if position == ROW_LENGTH {
            self.rows.insert(at + 1, OrderRow { first: key.clone(), slots: vec![slot] });
        } else {
            let slots = row.slots.split_off(ROW_LENGTH / 2);
            let mut later = OrderRow { first: key_of(slots[0]).clone(), slots };
            if position <= ROW_LENGTH / 2 {
                row.insert(position, key, slot);
            } else {
                later.insert(position - ROW_LENGTH / 2, key, slot);
            }
            self.rows.insert(at + 1, later);
        }
    }

    /// The slots after `after`, by their keys; without it all of them.
    pub(super) fn after<'a>(
        &'a self,
        after: Option<&K>,
        key_of: &dyn Fn(u32) -> &'a K,
    ) -> impl Iterator<Item = u32> + use<'a, K> {
        let (at, skip) = match after {
            None => (0, 0),
            Some(after) => {
                let at = self.rows.partition_point(|row| row.first <= *after).saturating_sub(1);
                let is_before = |slot: &u32| key_of(*slot) <= after;
                (at, self.rows.get(at).map_or(0, |row| row.slots.partition_point(is_before)))
            }
        };
        self.rows[at..].iter().flat_map(|row| row.slots.iter()).copied().skip(skip)
    }
}

impl<K: Clone> OrderRow<K> {
    fn insert(&mut self, position: usize, key: &K, slot: u32) {
        if position == 0 {
            self.first = key.clone();
        }
        self.slots.insert(position, slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the order of insertion, slots are in the order of their keys.
        #[test]
        fn slots_are_in_the_order_of_their_keys(
            keys in prop::collection::hash_set(0u64..500, 0..80),
            at_first in 0usize..80,
        ) {
            let keys: Vec<u64> = keys.into_iter().collect();
            let key_of = |slot: u32| &keys[slot as usize];
            let mut sorted: Vec<(u64, u32)> = keys.iter().copied().zip(0..).collect();
            let at_first = at_first.min(sorted.len());
            let mut begun = sorted[..at_first].to_vec();
            begun.sort_unstable();
            let mut order = SlotOrder::of_sorted(&begun);
            for (key, slot) in &sorted[at_first..] {
                order.insert(key, *slot, key_of);
            }
            sorted.sort_unstable();
            for row in &order.rows {
                prop_assert!((1..=ROW_LENGTH).contains(&row.slots.len()));
                prop_assert_eq!(row.first, *key_of(row.slots[0]));
            }
            for after in std::iter::once(None).chain((0..500).step_by(7).map(Some)) {
                let expected: Vec<u32> = sorted
                    .iter()
                    .filter(|(key, _)| after.is_none_or(|after| *key > after))
                    .map(|(_, slot)| *slot)
                    .collect();
                let found: Vec<u32> = order.after(after.as_ref(), &key_of).collect();
                prop_assert_eq!(found, expected, "after {:?}", after);
            }
        }
    }
}
