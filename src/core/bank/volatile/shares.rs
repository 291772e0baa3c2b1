//! Shares of owners, in closed mode: how many undecided transactions each has at this bank.

use crate::access::owner_of;
use crate::ids::TxId;
use std::collections::BTreeMap;

/// The number of undecided transactions of each owner that has any. Those from before a restart do
/// not count: the bank asks about all of them at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnerShares(BTreeMap<Box<str>, usize>);

impl OwnerShares {
    /// How many the owner of `tx` has.
    pub(crate) fn of_owner(&self, tx: &TxId) -> usize {
        owner_of(tx).and_then(|owner| self.0.get(owner)).copied().unwrap_or(0)
    }

    /// How many owners have any.
    #[cfg(test)]
    pub(crate) fn owners(&self) -> usize {
        self.0.len()
    }

    pub(super) fn take(&mut self, tx: &TxId) {
        let Some(owner) = owner_of(tx) else { return };
        match self.0.get_mut(owner) {
            Some(count) => *count += 1,
            None => drop(self.0.insert(owner.into(), 1)),
        }
    }

    pub(super) fn give_back(&mut self, tx: &TxId) {
        let Some(owner) = owner_of(tx) else { return };
        let Some(count) = self.0.get_mut(owner) else { return };
        *count -= 1;
        if *count == 0 {
            self.0.remove(owner);
        }
    }
}
