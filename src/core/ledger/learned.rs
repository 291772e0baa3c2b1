//! What a bank that joined later knows of the registers: nothing, until it has received all pages.
//!
//! Meanwhile it votes on sets and applies them. So of a value that it set and one that it received,
//! the later counts.

use super::Ledger;
use crate::commit::registers::SetRegister;
use crate::ids::{RegisterKey, Time};
use serde::{Deserialize, Serialize};

/// Whether a ledger knows its registers. On disk: new variants are only added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RegistersKnown {
    /// It always has: its bank took part in each set.
    #[default]
    Always,
    /// It has not received all pages yet.
    NotYet,
    /// From this time on; their values before it are not known.
    From(Time),
}

impl Ledger {
    /// Whether it knows its registers, and since when.
    pub fn registers_known(&self) -> RegistersKnown {
        self.known
    }

    /// Records whether it knows its registers.
    pub(crate) fn set_registers_known(&mut self, known: RegistersKnown) {
        self.known = known;
    }

    /// Does it know the current values of its registers?
    pub fn knows_registers(&self) -> bool {
        self.known != RegistersKnown::NotYet
    }

    /// Does it know their values as of `time`?
    pub(crate) fn knows_registers_at(&self, time: Time) -> bool {
        match self.known {
            RegistersKnown::Always => true,
            RegistersKnown::NotYet => false,
            RegistersKnown::From(from) => from <= time,
        }
    }

    /// Takes registers from another bank; of one that is set here too, the later value counts.
    pub(crate) fn learn_registers(&mut self, received: &[SetRegister]) {
        for SetRegister { key, value, time } in received {
            self.book.registers.keep_later(key, value, *time);
        }
    }

    /// The registers after `after` that were ever set, by key, with the times of their settings.
    pub fn set_registers_after<'a>(
        &'a self,
        after: Option<&RegisterKey>,
    ) -> impl Iterator<Item = SetRegister> + use<'a> {
        self.book.registers.settings_after(after)
    }
}
