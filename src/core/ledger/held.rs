//! The accounts of one client, by number. Most have one or two; a company may hold a million, so
//! that a new one must not move all the others.

use super::accounts::Slot;

/// Accounts in one row; few in tests, so that rows split there.
const ROW_MAX: usize = if cfg!(test) { 4 } else { 512 };

/// Rows of accounts, none of them empty, in the order that whoever inserts them keeps.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    rows: Vec<Vec<Slot>>,
}

impl Held {
    /// Puts an account behind all those that are before it.
    pub(super) fn insert(&mut self, slot: Slot, is_before: impl Fn(Slot) -> bool) {
        let at = self.rows.partition_point(|row| is_before(row[0])).saturating_sub(1);
        let Some(row) = self.rows.get_mut(at) else {
            self.rows.push(vec![slot]);
            return;
        };
        let place = row.partition_point(|held| is_before(*held));
        if row.len() < ROW_MAX {
            row.insert(place, slot);
        } else if place == row.len() {
            self.rows.insert(at + 1, vec![slot]);
        } else {
            let mut later = row.split_off(ROW_MAX / 2);
            if place <= row.len() {
                row.insert(place, slot)
            } else {
                later.insert(place - row.len(), slot)
            }
            self.rows.insert(at + 1, later);
        }
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<Slot> {
        self.rows.last().and_then(|row| row.last()).copied()
    }

    /// Those behind all that `is_before` says yes to.
    pub(super) fn beyond<'a>(
        &'a self,
        is_before: &dyn Fn(Slot) -> bool,
    ) -> impl Iterator<Item = Slot> + use<'a> {
        let at = self.rows.partition_point(|row| is_before(row[0])).saturating_sub(1);
        let skip = self.rows.get(at).map_or(0, |row| row.partition_point(|held| is_before(*held)));
        self.rows[at.min(self.rows.len())..].iter().flatten().copied().skip(skip)
    }
}

/// Two are equal that hold the same accounts, however they lie in rows.
impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        self.rows.iter().flatten().eq(other.rows.iter().flatten())
    }
}

impl Eq for Held {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_stand_in_order_however_they_came() {
        for stride in [1, 7, 11, 13, 29] {
            let mut held = Held::default();
            for n in 0..30u32 {
                let slot = Slot::of(n * stride % 30);
                held.insert(slot, |other| other < slot);
            }
            assert!(
                held.rows.iter().all(|row| (1..=ROW_MAX).contains(&row.len())),
                "{:?}",
                held.rows
            );
            assert_eq!(held.last(), Some(Slot::of(29)));
            for begin in 0..=30 {
                let from: Vec<Slot> = held.beyond(&|slot| slot < Slot::of(begin)).collect();
                assert_eq!(from, (begin..30).map(Slot::of).collect::<Vec<_>>(), "stride {stride}");
            }
        }
        assert_eq!(Held::default().beyond(&|_| true).count(), 0);
    }
}
