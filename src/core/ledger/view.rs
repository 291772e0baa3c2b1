//! Borrowed views of an account and a client.

use crate::ids::{AccountNumber, ClientKind, ClientName, TaxId, Time};
use crate::money::Money;
use crate::wire::answer::{AccountAnswer, AccountHolders, ClientAnswer};
use crate::wire::request::{NewAccount, NewClient};
use std::borrow::Cow;

/// An account with its current figures, in centavos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountView<'a> {
    /// The number, unique at this bank.
    pub number: &'a AccountNumber,
    /// Its one or two holders, as given at the opening.
    pub holders: Holders<'a>,
    /// The sum of all committed operations on it.
    pub balance: Money,
    /// Reserved by debits and withdrawals of undecided transactions.
    pub held: Money,
    /// What a further debit may take: balance - held.
    pub available: Money,
    /// Expected from credits and deposits of undecided transactions.
    pub incoming: Money,
}

impl<'a> AccountView<'a> {
    /// A view of an account right after its opening.
    ///
    /// # Panics
    /// If it has no holder: `check_account` rejects such accounts.
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
    /// The answer to BALANCE, without its position in a list.
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

/// A client as registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientView<'a> {
    /// CPF or CNPJ, its natural key.
    pub cpf: &'a TaxId,
    /// The name, exactly as registered.
    pub name: &'a ClientName,
    /// The kind, exactly as registered.
    pub kind: &'a ClientKind,
    /// When it was registered.
    pub added: Time,
}

impl<'a> ClientView<'a> {
    /// Is it what `client` asks for?
    pub(super) fn is(&self, client: &NewClient) -> bool {
        let NewClient { cpf, name, kind } = client;
        (self.cpf, self.name, self.kind) == (cpf, name, kind)
    }

    /// Its line in CLIENTS.
    pub(crate) fn answer(&self) -> ClientAnswer<'a> {
        ClientAnswer {
            cpf: Cow::Borrowed(self.cpf),
            name: Cow::Borrowed(self.name),
            kind: Cow::Borrowed(self.kind),
            created: Some(self.added),
        }
    }
}

/// The holders of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holders<'a> {
    /// The only holder, or the first one of a joint account.
    pub first: &'a TaxId,
    /// The second holder of a joint account.
    pub second: Option<&'a TaxId>,
}

impl<'a> Holders<'a> {
    /// All holders, in the order of the opening.
    pub fn iter(self) -> impl Iterator<Item = &'a TaxId> {
        std::iter::once(self.first).chain(self.second)
    }
}
