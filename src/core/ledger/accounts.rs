//! Clients and accounts: which client holds which account, and each account's three figures. Totals
//! and cuts are elsewhere.
//!
//! Both are in rows in the order of their creation, so an index (an `AccountSlot`) never changes;
//! ordered maps find them by their natural keys. The maps are rebuilt from the rows and are not
//! stored.

mod register;
mod stored;

pub(super) use stored::FrozenAccounts;

use super::figures::{AccountFigures, FigureStep};
use super::held::HeldRows;
use super::view::{AccountView, Holders};
use crate::ids::{AccountNumber, TaxId, Time};
use crate::limits::HOLDERS_MAX;
use crate::money::Money;
use crate::rows::SharedRows;
use crate::wire::detail::Detail;
use crate::wire::request::{NewAccount, NewClient};
use crate::wire::transaction::Flow;
use crate::wire::{Fault, Reason};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;

/// The result of checking a client or an account that is to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationState {
    /// It does not exist yet and may be created.
    New,
    /// It exists already, with the same content.
    Same,
}

/// The index of an account, in the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(super) struct AccountSlot(u32);

impl AccountSlot {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }

    #[cfg(test)]
    pub(super) fn of(index: u32) -> AccountSlot {
        AccountSlot(index)
    }
}

/// What an opening determines. An account's figures are apart from it: they change with each
/// transaction, and these rows never.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AccountEntry {
    opened: Time,
    holders: HolderSlots,
    number: AccountNumber,
    /// As given at the opening, to compare a repeated request with it.
    deposit: Money,
}

/// The indexes of an account's holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum HolderSlots {
    One(u32),
    Joint(u32, u32),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ClientEntry {
    data: NewClient,
    added: Time,
}

/// The accounts of a client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct HeldAccounts {
    /// All of them, by number.
    all: HeldRows,
    /// The only account that the client holds alone.
    individual: Option<AccountSlot>,
}

/// All clients and accounts of a bank. The rows in the order of creation are what a snapshot
/// stores; the rest follows from them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Accounts {
    clients: SharedRows<ClientEntry>,
    accounts: SharedRows<AccountEntry>,
    /// Those of each account.
    figures: SharedRows<AccountFigures>,
    /// Those of each client.
    held: SharedRows<HeldAccounts>,
    by_cpf: BTreeMap<TaxId, u32>,
    by_number: BTreeMap<AccountNumber, AccountSlot>,
    /// `by_number` for short numbers: each step looks some up, and comparing one word is several
    /// times faster than comparing texts.
    by_short_number: BTreeMap<u128, AccountSlot>,
}

impl Accounts {
    pub(super) fn find(&self, number: &AccountNumber) -> Option<AccountSlot> {
        match short(number) {
            Some(number) => self.by_short_number.get(&number).copied(),
            None => self.by_number.get(number).copied(),
        }
    }

    /// Finds the account that an operation names, and checks its holder if the operation names one.
    pub(super) fn check_named(
        &self,
        number: &AccountNumber,
        cpf: Option<&TaxId>,
    ) -> Result<AccountSlot, Fault> {
        let Some(slot) = self.find(number) else {
            return Err(Fault::of(
                Reason::UnknownAccount,
                &Detail::NoAccount { number: number.clone() },
            ));
        };
        match cpf {
            Some(cpf) if !self.holders(slot).iter().any(|holder| holder == cpf) => {
                let detail = Detail::NotHolder { cpf: cpf.clone(), number: number.clone() };
                Err(Fault::of(Reason::NotHolder, &detail))
            }
            Some(_) | None => Ok(slot),
        }
    }

    /// Checks that the account covers the sums of one transaction's operations on it.
    pub(super) fn check_sums(
        &self,
        slot: AccountSlot,
        takes: i128,
        gives: i128,
    ) -> Result<(), Fault> {
        let (number, figures) = (self.number(slot), self.figures.at(slot.index()));
        if takes > figures.available().wide() {
            let available = figures.available().wide();
            let detail = Detail::Short { number: number.clone(), available, asked: takes };
            return Err(Fault::of(Reason::InsufficientFunds, &detail));
        }
        if figures.balance.wide() + figures.incoming.wide() + gives > Money(i64::MAX).wide() {
            let detail = Detail::Full { number: number.clone(), more: gives };
            return Err(Fault::of(Reason::Limit, &detail));
        }
        Ok(())
    }

    /// Changes an account's figures by one operation, and returns its slot. Panics if that breaks
    /// them.
    pub(super) fn step(
        &mut self,
        step: FigureStep,
        number: &AccountNumber,
        flow: Flow,
        amount: Money,
    ) -> AccountSlot {
        let Some(slot) = self.find(number) else {
            panic!("{step:?} of a {} on account {number}, which is not here", flow.as_str());
        };
        if let FigureStep::Commit(time) = step {
            assert!(
                time >= self.opened(slot),
                "account {number}: a commit at {time} is before its opening"
            );
        }
        let figures = self.figures.at_mut(slot.index());
        match figures.after(step, flow, amount) {
            Some(after) => *figures = after,
            None => figures.broken(number, step, flow, amount),
        }
        slot
    }

    /// The account's number, and its balance at `time` if `since` is what was added to it
    /// afterwards; no balance if it was opened later.
    pub(super) fn at(
        &self,
        slot: AccountSlot,
        time: Time,
        since: i128,
    ) -> (&AccountNumber, Option<Money>) {
        let (number, figures) = (self.number(slot), self.figures.at(slot.index()));
        if self.opened(slot) > time {
            return (number, None);
        }
        let then = figures.balance.wide() - since;
        match i64::try_from(then) {
            Ok(balance) if balance >= 0 => (number, Some(Money(balance))),
            Ok(_) | Err(_) => panic!("account {number}: its balance at {time} was {then}"),
        }
    }

    pub(super) fn view(&self, slot: AccountSlot) -> AccountView<'_> {
        let figures = self.figures.at(slot.index());
        AccountView {
            number: self.number(slot),
            holders: self.holders(slot),
            balance: figures.balance,
            held: figures.held,
            available: figures.available(),
            incoming: figures.incoming,
        }
    }

    /// All accounts, in the order of creation.
    pub(super) fn slots(&self) -> impl ExactSizeIterator<Item = AccountSlot> + use<> {
        (0..index_of_next(self.accounts.len())).map(AccountSlot)
    }

    /// The accounts after `after`, by number.
    pub(super) fn slots_after<'a>(
        &'a self,
        after: Option<&AccountNumber>,
    ) -> impl Iterator<Item = AccountSlot> + use<'a> {
        self.by_number.range((beyond(after), Bound::Unbounded)).map(|(_, slot)| *slot)
    }

    /// A client's accounts after `after`, by number.
    pub(super) fn slots_of_after<'a>(
        &'a self,
        cpf: &TaxId,
        after: Option<&AccountNumber>,
    ) -> impl Iterator<Item = AccountSlot> + use<'a> {
        let held = self.by_cpf.get(cpf).map(|client| self.held.at(*client as usize));
        let is_before = |slot: AccountSlot| after.is_some_and(|after| self.number(slot) <= after);
        held.map(|held| held.all.beyond(&is_before)).into_iter().flatten()
    }

    pub(super) fn client(&self, cpf: &TaxId) -> Option<&NewClient> {
        self.by_cpf.get(cpf).map(|client| &self.clients.at(*client as usize).data)
    }

    /// All clients, in the order of creation.
    #[cfg(test)]
    pub(super) fn clients(&self) -> impl Iterator<Item = &NewClient> {
        self.clients.iter().map(|client| &client.data)
    }

    /// The clients after `after`, by cpf.
    pub(super) fn clients_after<'a>(
        &'a self,
        after: Option<&TaxId>,
    ) -> impl Iterator<Item = &'a NewClient> + use<'a> {
        let range = self.by_cpf.range((beyond(after), Bound::Unbounded));
        range.map(|(_, client)| &self.clients.at(*client as usize).data)
    }

    pub(super) fn client_added(&self, cpf: &TaxId) -> Option<Time> {
        self.by_cpf.get(cpf).map(|client| self.clients.at(*client as usize).added)
    }

    pub(super) fn opened(&self, slot: AccountSlot) -> Time {
        self.accounts.at(slot.index()).opened
    }

    /// How many clients there are.
    pub(super) fn count_clients(&self) -> usize {
        self.clients.len()
    }

    /// Checks everything, panics if something is broken, and returns the sums of balances, holds
    /// and incoming amounts.
    pub(super) fn audit(&self) -> (i128, i128, i128) {
        let (mut balance, mut held, mut incoming) = (0, 0, 0);
        for (account, figures) in self.accounts.iter().zip(self.figures.iter()) {
            assert!(figures.are_sound(), "account {} is broken: {figures:?}", account.number);
            balance += figures.balance.wide();
            held += figures.held.wide();
            incoming += figures.incoming.wide();
        }
        let (accounts, figures) = (self.accounts.clone(), self.figures.clone());
        match Accounts::of_rows(self.clients.clone(), accounts, figures) {
            Ok(rebuilt) => {
                assert!(*self == rebuilt, "the indexes of clients and accounts are broken")
            }
            Err(broken) => panic!("clients and accounts are broken: {broken}"),
        }
        (balance, held, incoming)
    }

    fn number(&self, slot: AccountSlot) -> &AccountNumber {
        &self.accounts.at(slot.index()).number
    }

    fn holders(&self, slot: AccountSlot) -> Holders<'_> {
        let cpf = |client: u32| &self.clients.at(client as usize).data.cpf;
        match self.accounts.at(slot.index()).holders {
            HolderSlots::One(one) => Holders { first: cpf(one), second: None },
            HolderSlots::Joint(one, other) => Holders { first: cpf(one), second: Some(cpf(other)) },
        }
    }
}

impl HolderSlots {
    fn iter(self) -> impl Iterator<Item = u32> {
        let (one, other) = match self {
            HolderSlots::One(one) => (one, None),
            HolderSlots::Joint(one, other) => (one, Some(other)),
        };
        std::iter::once(one).chain(other)
    }
}

/// The text of a number of at most 16 bytes as one word, in the same order. A number has no zero
/// byte, so the words of two numbers differ.
fn short(number: &AccountNumber) -> Option<u128> {
    let text = number.as_str().as_bytes();
    let mut word = [0; 16];
    word.get_mut(..text.len())?.copy_from_slice(text);
    Some(u128::from_be_bytes(word))
}

/// The index of the next of `count` items.
fn index_of_next(count: usize) -> u32 {
    u32::try_from(count).expect("check_capacity leaves no more than fit")
}

fn check_capacity(
    count: usize,
    full: impl Fn(usize) -> Detail,
) -> Result<RegistrationState, Fault> {
    match u32::try_from(count) {
        Ok(count) if count < u32::MAX => Ok(RegistrationState::New),
        Ok(_) | Err(_) => Err(Fault::of(Reason::Limit, &full(count))),
    }
}

fn beyond<T>(after: Option<&T>) -> Bound<&T> {
    after.map_or(Bound::Unbounded, Bound::Excluded)
}
