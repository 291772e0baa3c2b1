//! Replicated registers: committed values, and the locks of undecided transactions.

use crate::commit::registers::SetRegister;
use crate::ids::{RegisterKey, RegisterValue, Time, TxId};
use crate::pieces::PieceWriter;
use crate::rows::{SharedRows, SharedSlots};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

/// The value of a register that was never set.
const UNSET: &str = "0";

/// All registers of a bank.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "StoredRegisters")]
pub(super) struct Registers {
    by_key: BTreeMap<RegisterKey, u32>,
    rows: SharedSlots<RegisterRow>,
}

/// A register that was set, or is locked before that.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RegisterRow {
    key: RegisterKey,
    setting: Option<RegisterSetting>,
    /// The undecided transaction that sets it.
    lock: Option<TxId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct RegisterSetting {
    value: RegisterValue,
    /// The commit time that set it.
    set: Time,
}

/// The registers as snapshots store them.
#[derive(Deserialize)]
struct StoredRegisters {
    values: BTreeMap<RegisterKey, RegisterSetting>,
    locks: BTreeMap<RegisterKey, TxId>,
}

/// The registers as they were.
#[derive(Debug, Clone)]
pub(super) struct FrozenRegisters(SharedRows<Option<RegisterRow>>);

impl Registers {
    pub(super) fn locked_by(&self, key: &RegisterKey) -> Option<&TxId> {
        self.find(key)?.lock.as_ref()
    }

    pub(super) fn lock(&mut self, key: &RegisterKey, tx: &TxId) {
        let before = self.make(key).lock.replace(tx.clone());
        assert_eq!(before, None, "register {key} is locked by {tx} while another holds it");
    }

    pub(super) fn unlock(&mut self, key: &RegisterKey, tx: &TxId) {
        let row = self.by_key.get(key).map(|place| self.rows.at_mut(*place));
        let holder = row.and_then(|row| row.lock.take());
        assert_eq!(
            holder.as_ref(),
            Some(tx),
            "register {key} is unlocked by a transaction that does not hold it"
        );
        if self.find(key).is_some_and(|row| row.setting.is_none())
            && let Some(place) = self.by_key.remove(key)
        {
            self.rows.remove(place);
        }
    }

    pub(super) fn value(&self, key: &RegisterKey) -> &str {
        let setting = self.find(key).and_then(|row| row.setting.as_ref());
        setting.map_or(UNSET, |setting| setting.value.as_str())
    }

    /// Sets a register and returns its former value. The commits of one register are applied in the
    /// order of their times, because the next transaction votes only after this commit, and later.
    pub(super) fn set(
        &mut self,
        key: &RegisterKey,
        value: &RegisterValue,
        time: Time,
    ) -> Option<RegisterValue> {
        let setting = RegisterSetting { value: value.clone(), set: time };
        let before = self.make(key).setting.replace(setting)?;
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
        let setting = self.find(key).and_then(|row| row.setting.as_ref());
        if setting.is_some_and(|setting| setting.set > time) {
            return None;
        }
        Some(self.set(key, value, time))
    }

    /// The registers after `after` that were ever set, by key, with the times of their settings.
    pub(super) fn settings_after<'a>(
        &'a self,
        after: Option<&RegisterKey>,
    ) -> impl Iterator<Item = SetRegister> + use<'a> {
        self.set_after(after).map(|(key, RegisterSetting { value, set })| SetRegister {
            key: key.clone(),
            value: value.clone(),
            time: *set,
        })
    }

    /// The registers after `after` that were ever set, by key.
    pub(super) fn values_after<'a>(
        &'a self,
        after: Option<&RegisterKey>,
    ) -> impl Iterator<Item = (&'a RegisterKey, &'a RegisterValue)> + use<'a> {
        self.set_after(after).map(|(key, setting)| (key, &setting.value))
    }

    pub(super) fn freeze(&self) -> FrozenRegisters {
        FrozenRegisters(self.rows.rows().clone())
    }

    pub(super) fn copied_bytes(&self) -> u64 {
        self.rows.rows().copied_bytes()
    }

    /// The memory of all rows, in bytes, without that of long values.
    pub(super) fn bytes(&self) -> u64 {
        self.rows.rows().bytes()
    }

    fn set_after<'a>(
        &'a self,
        after: Option<&RegisterKey>,
    ) -> impl Iterator<Item = (&'a RegisterKey, &'a RegisterSetting)> + use<'a> {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.by_key.range::<RegisterKey, _>((begin, Bound::Unbounded));
        range.filter_map(|(key, place)| Some((key, self.rows.at(*place).setting.as_ref()?)))
    }

    /// All rows, by key.
    fn in_order(&self) -> impl Iterator<Item = &RegisterRow> {
        self.by_key.values().map(|place| self.rows.at(*place))
    }

    fn find(&self, key: &RegisterKey) -> Option<&RegisterRow> {
        self.by_key.get(key).map(|place| self.rows.at(*place))
    }

    /// The row of this key, new if there was none.
    fn make(&mut self, key: &RegisterKey) -> &mut RegisterRow {
        let place = match self.by_key.get(key) {
            Some(place) => *place,
            None => {
                let row = RegisterRow { key: key.clone(), setting: None, lock: None };
                let place = self.rows.insert(row);
                self.by_key.insert(key.clone(), place);
                place
            }
        };
        self.rows.at_mut(place)
    }
}

/// Equal if all values and locks are.
impl PartialEq for Registers {
    fn eq(&self, other: &Registers) -> bool {
        self.by_key.len() == other.by_key.len() && self.in_order().eq(other.in_order())
    }
}

impl Eq for Registers {}

impl From<StoredRegisters> for Registers {
    fn from(StoredRegisters { values, locks }: StoredRegisters) -> Registers {
        let mut registers = Registers::default();
        for (key, setting) in values {
            registers.make(&key).setting = Some(setting);
        }
        locks.into_iter().for_each(|(key, tx)| registers.make(&key).lock = Some(tx));
        registers
    }
}

impl FrozenRegisters {
    /// Writes them as `StoredRegisters`. Sorts them, since rows are in no order.
    pub(super) fn write(&self, out: &mut PieceWriter<'_>) -> ControlFlow<()> {
        let mut rows: Vec<&RegisterRow> = self.0.iter().flatten().collect();
        rows.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        out.count(rows.iter().filter(|row| row.setting.is_some()).count())?;
        for row in &rows {
            if let Some(RegisterSetting { value, set }) = &row.setting {
                out.put(&(&row.key, value, set))?;
            }
        }
        out.count(rows.iter().filter(|row| row.lock.is_some()).count())?;
        for row in &rows {
            if let Some(lock) = &row.lock {
                out.put(&(&row.key, lock))?;
            }
        }
        ControlFlow::Continue(())
    }
}
