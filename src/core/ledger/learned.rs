//! What a bank that came later knows of the registers that others have set: nothing, until they
//! were told to it.
//!
//! It votes on sets and applies them meanwhile. So of what it set itself and what it is told, the
//! later one counts.

use super::Ledger;
use crate::commit::registers::SetRegister;
use crate::ids::{RegisterKey, Time};
use serde::{Deserialize, Serialize};

/// Does a ledger know its registers? On disk: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RegistersKnown {
    /// It always has: each was set while its bank took part.
    #[default]
    Always,
    /// Some peer has not sent all its pages.
    NotYet,
    /// As of this time and later; what they were before it was not told.
    From(Time),
}

impl Ledger {
    /// Does it know its registers, and since when?
    pub fn registers_known(&self) -> RegistersKnown {
        self.known
    }

    /// Says whether it does.
    pub(crate) fn set_registers_known(&mut self, known: RegistersKnown) {
        self.known = known;
    }

    /// Does it know what its registers are?
    pub fn knows_registers(&self) -> bool {
        self.known != RegistersKnown::NotYet
    }

    /// Does it know what they were at `time`?
    pub(crate) fn knows_registers_at(&self, time: Time) -> bool {
        match self.known {
            RegistersKnown::Always => true,
            RegistersKnown::NotYet => false,
            RegistersKnown::From(from) => from <= time,
        }
    }

    /// Takes registers as another bank told them; of one that is here too the later setting counts.
    pub(crate) fn learn_registers(&mut self, told: &[SetRegister]) {
        for SetRegister { key, value, time } in told {
            self.book.registers.keep_later(key, value, *time);
        }
    }

    /// Registers that were ever set, by key, those after `after`, with the times of their settings.
    pub fn set_registers_after<'a>(
        &'a self,
        after: Option<&RegisterKey>,
    ) -> impl Iterator<Item = SetRegister> + use<'a> {
        self.book.registers.settings_after(after)
    }
}
