//! The three figures of an account, and how a transaction's steps change them.

use crate::ids::Time;
use crate::money::Money;
use crate::wire::transaction::Flow;
use serde::{Deserialize, Serialize};

/// What a transaction does to an account's figures.
#[derive(Debug, Clone, Copy)]
pub(super) enum FigureStep {
    Hold,
    Release,
    /// It is committed, at this time.
    Settle(Time),
}

/// The three figures of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccountFigures {
    pub(super) balance: Money,
    /// Promised by debits and withdrawals of undecided transactions.
    pub(super) held: Money,
    /// Awaited by credits and deposits of undecided transactions.
    pub(super) incoming: Money,
}

impl AccountFigures {
    /// The figures after one operation, unless it breaks them. A debit that is settled leaves what
    /// is available as it is, and a credit leaves balance + incoming: so the operations of a
    /// transaction may come in any order.
    pub(super) fn after(
        self,
        step: FigureStep,
        flow: Flow,
        amount: Money,
    ) -> Option<AccountFigures> {
        let AccountFigures { mut balance, mut held, mut incoming } = self;
        let promised = if flow.takes() { &mut held } else { &mut incoming };
        *promised = match step {
            FigureStep::Hold => promised.checked_add(amount)?,
            FigureStep::Release | FigureStep::Settle(_) => promised.checked_sub(amount)?,
        };
        balance = match step {
            FigureStep::Settle(_) if flow.takes() => balance.checked_sub(amount)?,
            FigureStep::Settle(_) => balance.checked_add(amount)?,
            FigureStep::Hold | FigureStep::Release => balance,
        };
        Some(AccountFigures { balance, held, incoming }).filter(AccountFigures::are_sound)
    }

    /// No figure is below zero, what is available neither, and what is awaited fits.
    pub(super) fn are_sound(&self) -> bool {
        let AccountFigures { balance, held, incoming } = *self;
        held >= Money::ZERO
            && balance >= held
            && incoming >= Money::ZERO
            && balance.checked_add(incoming).is_some()
    }

    pub(super) fn available(&self) -> Money {
        Money(self.balance.0 - self.held.0)
    }
}
