//! The accounts of one client, by number. Most clients have one or two; a company may hold a
//! million, and a new account must not move all the others.

use super::accounts::AccountSlot;

/// Accounts in one row; few in tests, so that rows are split there.
const ROW_LENGTH: usize = if cfg!(test) { 4 } else { 512 };

/// Rows of accounts in the order of their numbers; no row is empty.
#[derive(Debug, Clone, Default)]
pub(super) struct HeldRows {
    rows: Vec<Vec<AccountSlot>>,
}

impl HeldRows {
    /// Inserts an account after those that are before it.
    pub(super) fn insert(&mut self, slot: AccountSlot, is_before: impl Fn(AccountSlot) -> bool) {
        let at = self.rows.partition_point(|row| is_before(row[0])).saturating_sub(1);
        let Some(row) = self.rows.get_mut(at) else {
            self.rows.push(vec![slot]);
            return;
        };
        let position = row.partition_point(|held| is_before(*held));
        if row.len() < ROW_LENGTH {
            row.insert(position, slot);
        } else if position == row.len() {
            self.rows.insert(at + 1, vec![slot]);
        } else {
            let mut later = row.split_off(ROW_LENGTH / 2);
            if position <= row.len() {
                row.insert(position, slot)
            } else {
                later.insert(position - row.len(), slot)
            }
            self.rows.insert(at + 1, later);
        }
    }

    pub(super) fn last(&self) -> Option<AccountSlot> {
        self.rows.last().and_then(|row| row.last()).copied()
    }

    /// The accounts after all for which `is_before` is true.
    pub(super) fn beyond<'a>(
        &'a self,
        is_before: &dyn Fn(AccountSlot) -> bool,
    ) -> impl Iterator<Item = AccountSlot> + use<'a> {
        let at = self.rows.partition_point(|row| is_before(row[0])).saturating_sub(1);
        let skip = self.rows.get(at).map_or(0, |row| row.partition_point(|held| is_before(*held)));
        self.rows[at.min(self.rows.len())..].iter().flatten().copied().skip(skip)
    }
}

/// Equal if they hold the same accounts in the same order, however these are split into rows.
impl PartialEq for HeldRows {
    fn eq(&self, other: &HeldRows) -> bool {
        self.rows.iter().flatten().eq(other.rows.iter().flatten())
    }
}

impl Eq for HeldRows {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_in_order_whatever_the_order_of_insertion() {
        for stride in [1, 7, 11, 13, 29] {
            let mut held = HeldRows::default();
            for n in 0..30u32 {
                let slot = AccountSlot::of(n * stride % 30);
                held.insert(slot, |other| other < slot);
            }
            assert!(
                held.rows.iter().all(|row| (1..=ROW_LENGTH).contains(&row.len())),
                "{:?}",
                held.rows
            );
            assert_eq!(held.last(), Some(AccountSlot::of(29)));
            for begin in 0..=30 {
                let from: Vec<AccountSlot> =
                    held.beyond(&|slot| slot < AccountSlot::of(begin)).collect();
                assert_eq!(
                    from,
                    (begin..30).map(AccountSlot::of).collect::<Vec<_>>(),
                    "stride {stride}"
                );
            }
        }
        assert_eq!(HeldRows::default().beyond(&|_| true).count(), 0);
    }
}
