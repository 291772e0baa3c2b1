//! Replicated registers: committed values, and the locks of undecided transactions.

use crate::commit::registers::SetRegister;
use crate::ids::{RegisterKey, RegisterValue, Time, TxId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;

/// The value of a register that was never set.
const UNSET: &str = "0";

/// All registers of a bank.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Registers {
    values: BTreeMap<RegisterKey, RegisterRow>,
    /// Separate from the values, because a register can be locked before it is first set.
    locks: BTreeMap<RegisterKey, TxId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RegisterRow {
    value: RegisterValue,
    /// The commit time that set it.
    set: Time,
}

impl Registers {
    pub(super) fn locked_by(&self, key: &RegisterKey) -> Option<&TxId> {
        self.locks.get(key)
    }

    pub(super) fn lock(&mut self, key: &RegisterKey, tx: &TxId) {
        let before = self.locks.insert(key.clone(), tx.clone());
        assert_eq!(before, None, "register {key} is locked by {tx} while another holds it");
    }

    pub(super) fn unlock(&mut self, key: &RegisterKey, tx: &TxId) {
        let holder = self.locks.remove(key);
        assert_eq!(
            holder.as_ref(),
            Some(tx),
            "register {key} is unlocked by a transaction that does not hold it"
        );
    }

    pub(super) fn value(&self, key: &RegisterKey) -> &str {
        self.values.get(key).map_or(UNSET, |register| register.value.as_str())
    }

    /// Sets a register and returns its former value. The commits of one register are applied in the
    /// order of their times, because the next transaction votes only after this commit, and later.
    pub(super) fn set(
        &mut self,
        key: &RegisterKey,
        value: &RegisterValue,
        time: Time,
    ) -> Option<RegisterValue> {
        let register = RegisterRow { value: value.clone(), set: time };
        let before = self.values.insert(key.clone(), register)?;
        assert!(
            before.set <= time,
            "register {key} is set at {time} after it was set at {}",
            before.set
        );
        Some(before.value)
    }

    /// Sets a register unless it was set later than `time`; returns its former value, or `None` if
    /// it stays unchanged.
    pub(super) fn keep_later(
        &mut self,
        key: &RegisterKey,
        value: &RegisterValue,
        time: Time,
    ) -> Option<Option<RegisterValue>> {
        if self.values.get(key).is_some_and(|register| register.set > time) {
            return None;
        }
        Some(self.set(key, value, time))
    }

    /// The registers after `after` that were ever set, by key, with the times of their settings.
    pub(super) fn settings_after<'a>(
        &'a self,
        after: Option<&RegisterKey>,
    ) -> impl Iterator<Item = SetRegister> + use<'a> {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.values.range::<RegisterKey, _>((begin, Bound::Unbounded));
        let setting = |(key, RegisterRow { value, set }): (&RegisterKey, &RegisterRow)| {
            SetRegister { key: key.clone(), value: value.clone(), time: *set }
        };
        range.map(setting)
    }

    /// The registers after `after` that were ever set, by key.
    pub(super) fn values_after<'a>(
        &'a self,
        after: Option<&RegisterKey>,
    ) -> impl Iterator<Item = (&'a RegisterKey, &'a RegisterValue)> + use<'a> {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.values.range::<RegisterKey, _>((begin, Bound::Unbounded));
        range.map(|(key, register)| (key, &register.value))
    }
}
