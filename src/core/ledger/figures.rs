//! The three figures of an account, and how the steps of a transaction change them.

use crate::ids::{AccountNumber, Time};
use crate::money::Money;
use crate::wire::transaction::Flow;
use serde::{Deserialize, Serialize};

/// A step of a transaction on an account.
#[derive(Debug, Clone, Copy)]
pub(super) enum FigureStep {
    Hold,
    Release,
    /// Committed at this time.
    Commit(Time),
}

/// The three figures of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccountFigures {
    pub(super) balance: Money,
    /// Reserved by debits and withdrawals of undecided transactions.
    pub(super) held: Money,
    /// Expected from credits and deposits of undecided transactions.
    pub(super) incoming: Money,
}

impl AccountFigures {
    /// The figures after one operation; `None` if it breaks them. The commit of a debit leaves
    /// `available` unchanged, and the commit of a credit leaves balance + incoming unchanged: so
    /// the operations of a transaction may be applied in any order.
    pub(super) fn after(
        self,
        step: FigureStep,
        flow: Flow,
        amount: Money,
    ) -> Option<AccountFigures> {
        let AccountFigures { mut balance, mut held, mut incoming } = self;
        let pending = if flow.takes() { &mut held } else { &mut incoming };
        *pending = match step {
            FigureStep::Hold => pending.checked_add(amount)?,
            FigureStep::Release | FigureStep::Commit(_) => pending.checked_sub(amount)?,
        };
        balance = match step {
            FigureStep::Commit(_) if flow.takes() => balance.checked_sub(amount)?,
            FigureStep::Commit(_) => balance.checked_add(amount)?,
            FigureStep::Hold | FigureStep::Release => balance,
        };
        Some(AccountFigures { balance, held, incoming }).filter(AccountFigures::are_sound)
    }

    /// No figure is negative, nor is `available`, and balance + incoming does not overflow.
    pub(super) fn are_sound(&self) -> bool {
        let AccountFigures { balance, held, incoming } = *self;
        held >= Money::ZERO
            && balance >= held
            && incoming >= Money::ZERO
            && balance.checked_add(incoming).is_some()
    }

    /// Panics because an operation breaks the figures of account `number`.
    #[cold]
    pub(super) fn broken(
        &self,
        number: &AccountNumber,
        step: FigureStep,
        flow: Flow,
        amount: Money,
    ) -> ! {
        panic!("account {number}: {step:?} of a {} of {} breaks {self:?}", flow.as_str(), amount.0);
    }

    pub(super) fn available(&self) -> Money {
        Money(self.balance.0 - self.held.0)
    }
}
