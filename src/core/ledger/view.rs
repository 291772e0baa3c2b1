//! How an account is shown.

use crate::ids::{AccountNumber, TaxId};
use crate::money::Money;
use crate::wire::request::NewAccount;
use serde::{Serialize, Serializer};

/// An account as it stands; its JSON is that of BALANCE. Amounts are in centavos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AccountView<'a> {
    /// Its number.
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

impl Serialize for Holders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}
