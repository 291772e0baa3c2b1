//! An account as the ledger has it, borrowed.

use crate::ids::{AccountNumber, TaxId};
use crate::money::Money;
use crate::wire::answer::{AccountAnswer, AccountHolders};
use crate::wire::request::NewAccount;
use std::borrow::Cow;

/// An account as it stands. Amounts are in centavos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountView<'a> {
    /// Unique at this bank.
    pub number: &'a AccountNumber,
    /// Its one or two holders, as given at the opening.
    pub holders: Holders<'a>,
    /// What is on it by all commits.
    pub balance: Money,
    /// Promised by debits and withdrawals of undecided transactions.
    pub held: Money,
    /// What a further debit may take: balance - held.
    pub available: Money,
    /// Awaited by credits and deposits of undecided transactions.
    pub incoming: Money,
}

impl<'a> AccountView<'a> {
    /// An account as it stands right after its opening.
    ///
    /// # Panics
    /// When it has no holder: such an account is never granted.
    pub fn opened(account: &'a NewAccount) -> AccountView<'a> {
        let (first, second) = match account.holders.as_slice() {
            [first, rest @ ..] => (first, rest.first()),
            [] => panic!("account {} has no holder", account.number),
        };
        AccountView {
            number: &account.number,
            holders: Holders { first, second },
            balance: account.deposit,
            held: Money::ZERO,
            available: account.deposit,
            incoming: Money::ZERO,
        }
    }
}

impl<'a> AccountView<'a> {
    /// Its answer on the wire, without its position in a list.
    pub(crate) fn answer(&self) -> AccountAnswer<'a> {
        let Holders { first, second } = self.holders;
        AccountAnswer {
            number: Cow::Borrowed(self.number),
            holders: AccountHolders {
                first: Cow::Borrowed(first),
                second: second.map(Cow::Borrowed),
            },
            balance: self.balance,
            held: self.held,
            available: self.available,
            incoming: self.incoming,
            created: None,
        }
    }
}

/// The holders of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holders<'a> {
    /// The only holder, or the first named.
    pub first: &'a TaxId,
    /// The other one, when the account is joint.
    pub second: Option<&'a TaxId>,
}

impl<'a> Holders<'a> {
    /// In the order given at the opening.
    pub fn iter(self) -> impl Iterator<Item = &'a TaxId> {
        std::iter::once(self.first).chain(self.second)
    }
}
