//! Sums over all accounts of a bank, updated with each change and wider than any account.

use crate::money::Money;
use crate::wire::transaction::Flow;
use serde::{Deserialize, Serialize};

/// Sums over all accounts of a bank, in centavos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// The sum of all balances, in centavos.
    pub balance: i128,
    /// Reserved by debits and withdrawals of undecided transactions.
    pub held: i128,
    /// Expected from credits and deposits of undecided transactions.
    pub incoming: i128,
    /// The sum of all deposits, openings included.
    pub cash_in: i128,
    /// The sum of all withdrawals, in centavos.
    pub cash_out: i128,
    /// The sum of all credits, in centavos.
    pub transfers_in: i128,
    /// The sum of all debits, in centavos.
    pub transfers_out: i128,
    /// How many clients are registered.
    pub clients: usize,
    /// How many accounts are open.
    pub accounts: usize,
}

/// A bank's money as of one commit time, in centavos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CutTotals {
    /// The sum of all balances: cash in - cash out + transfers in - transfers out.
    pub balance_total: i128,
    /// All deposits, openings included, in centavos.
    pub cash_in_total: i128,
    /// All withdrawals, in centavos.
    pub cash_out_total: i128,
    /// All credits of transfers, in centavos.
    pub transfers_in_total: i128,
    /// All debits of transfers, in centavos.
    pub transfers_out_total: i128,
}

/// Sums of money that moved, by flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Flows {
    pub(super) cash_in: i128,
    pub(super) cash_out: i128,
    pub(super) transfers_in: i128,
    pub(super) transfers_out: i128,
}

/// A bank's own sums. The balance is kept besides the flows that it follows from, so that each
/// checks the other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct LedgerSums {
    pub(super) flows: Flows,
    pub(super) balance: i128,
    pub(super) held: i128,
    pub(super) incoming: i128,
}

impl LedgerSums {
    /// Adds an amount of an undecided transaction.
    pub(super) fn reserve(&mut self, flow: Flow, amount: Money) {
        *self.pending(flow) += amount.wide();
    }

    /// Removes an amount of a transaction that is now decided.
    pub(super) fn unreserve(&mut self, flow: Flow, amount: Money) {
        *self.pending(flow) -= amount.wide();
    }

    pub(super) fn book(&mut self, flow: Flow, amount: Money) {
        self.flows.add(flow, amount);
        self.balance += if flow.takes() { -amount.wide() } else { amount.wide() };
    }

    pub(super) fn totals(&self, clients: usize, accounts: usize) -> Totals {
        let LedgerSums { flows, balance, held, incoming } = *self;
        let Flows { cash_in, cash_out, transfers_in, transfers_out } = flows;
        Totals {
            balance,
            held,
            incoming,
            cash_in,
            cash_out,
            transfers_in,
            transfers_out,
            clients,
            accounts,
        }
    }

    /// The totals without the later flows `later`.
    pub(super) fn cut(&self, later: &Flows) -> CutTotals {
        let Flows { cash_in, cash_out, transfers_in, transfers_out } = self.flows.minus(later);
        CutTotals {
            balance_total: self.balance - later.balance(),
            cash_in_total: cash_in,
            cash_out_total: cash_out,
            transfers_in_total: transfers_in,
            transfers_out_total: transfers_out,
        }
    }

    /// Checks the sums without the accounts; runs after each change, in production too.
    pub(super) fn assert_sound(&self) {
        let LedgerSums { flows, balance, held, incoming } = self;
        assert!(
            *balance == flows.balance() && *held >= 0 && balance >= held && *incoming >= 0,
            "the bank's totals don't add up: balance {balance}, held {held}, incoming {incoming}, \
             {flows:?}"
        );
    }

    /// Panics if these sums over the accounts differ.
    pub(super) fn assert_are(&self, balance: i128, held: i128, incoming: i128) {
        let totals = (self.balance, self.held, self.incoming);
        assert_eq!(
            (balance, held, incoming),
            totals,
            "the accounts' sums and the bank's totals differ"
        );
    }

    /// The total that includes an undecided operation of this flow.
    fn pending(&mut self, flow: Flow) -> &mut i128 {
        if flow.takes() { &mut self.held } else { &mut self.incoming }
    }
}

impl Flows {
    pub(super) fn add(&mut self, flow: Flow, amount: Money) {
        let sum = match flow {
            Flow::Debit => &mut self.transfers_out,
            Flow::Credit => &mut self.transfers_in,
            Flow::Deposit => &mut self.cash_in,
            Flow::Withdraw => &mut self.cash_out,
        };
        *sum += amount.wide();
    }

    pub(super) fn plus(&self, other: &Flows) -> Flows {
        Flows {
            cash_in: self.cash_in + other.cash_in,
            cash_out: self.cash_out + other.cash_out,
            transfers_in: self.transfers_in + other.transfers_in,
            transfers_out: self.transfers_out + other.transfers_out,
        }
    }

    fn minus(&self, other: &Flows) -> Flows {
        Flows {
            cash_in: self.cash_in - other.cash_in,
            cash_out: self.cash_out - other.cash_out,
            transfers_in: self.transfers_in - other.transfers_in,
            transfers_out: self.transfers_out - other.transfers_out,
        }
    }

    /// The balance that results from the flows.
    fn balance(&self) -> i128 {
        self.cash_in - self.cash_out + self.transfers_in - self.transfers_out
    }
}
