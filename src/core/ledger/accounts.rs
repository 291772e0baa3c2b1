//! Clients and accounts: which client holds which account, and each account's three figures. Totals
//! and cuts are elsewhere.
//!
//! Both are in rows in the order of their creation, so an index (an `AccountSlot`) never changes.
//! Hash tables find them by their natural keys, and orders list them by these; both hold indexes
//! only, and are built from the rows again at a start.

mod register;
mod rows;
mod stored;

pub(super) use stored::{FrozenAccounts, StoredAccounts};

use super::figures::{AccountFigures, FigureStep};
use super::order::SlotOrder;
use super::table::{HashSeed, SlotFinder};
use super::view::{AccountView, ClientView, Holders};
use crate::ids::{AccountNumber, TaxId, Time};
use crate::limits::HOLDERS_MAX;
use crate::money::Money;
use crate::rows::SharedRows;
use crate::wire::detail::Detail;
use crate::wire::request::{NewAccount, NewClient};
use crate::wire::transaction::Flow;
use crate::wire::{Fault, Reason};
use rows::{AccountEntry, ClientRow, HeldAccounts, HolderSlots, Kinds};

/// The result of checking a client or an account that is to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationState {
    /// It does not exist yet and may be created.
    New,
    /// It exists already, with the same content.
    Same,
}

/// The index of an account, in the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct AccountSlot(u32);

impl AccountSlot {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// All clients and accounts of a bank.
#[derive(Debug, Clone)]
pub(super) struct Accounts {
    clients: SharedRows<ClientRow>,
    accounts: SharedRows<AccountEntry>,
    /// Those of each account.
    figures: SharedRows<AccountFigures>,
    /// Those of each client.
    held: SharedRows<HeldAccounts>,
    kinds: Kinds,
    client_table: SlotFinder,
    client_order: SlotOrder<TaxId>,
    account_table: SlotFinder,
    account_order: SlotOrder<AccountNumber>,
}

/// Equal if the rows are: the rest follows from them.
impl PartialEq for Accounts {
    fn eq(&self, other: &Accounts) -> bool {
        self.clients == other.clients
            && self.accounts == other.accounts
            && self.figures == other.figures
    }
}

impl Eq for Accounts {}

impl Accounts {
    pub(super) fn new(seed: HashSeed) -> Accounts {
        Accounts {
            clients: SharedRows::new(),
            accounts: SharedRows::new(),
            figures: SharedRows::new(),
            held: SharedRows::new(),
            kinds: Kinds::default(),
            client_table: SlotFinder::new(seed),
            client_order: SlotOrder::new(),
            account_table: SlotFinder::new(seed),
            account_order: SlotOrder::new(),
        }
    }

    pub(super) fn find(&self, number: &AccountNumber) -> Option<AccountSlot> {
        let is = |slot: u32| *self.number(AccountSlot(slot)) == *number;
        self.account_table.find(number.as_str(), is).map(AccountSlot)
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
        let figures = self.figures.at(slot.index());
        if takes > figures.available().wide() {
            let available = figures.available().wide();
            let number = self.number(slot).clone();
            let detail = Detail::Short { number, available, asked: takes };
            return Err(Fault::of(Reason::InsufficientFunds, &detail));
        }
        if figures.balance.wide() + figures.incoming.wide() + gives > Money(i64::MAX).wide() {
            let detail = Detail::Full { number: self.number(slot).clone(), more: gives };
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
        let number_of = |slot: u32| self.number(AccountSlot(slot));
        self.account_order.after(after, &number_of).map(AccountSlot)
    }

    /// A client's accounts after `after`, by number.
    pub(super) fn slots_of_after<'a>(
        &'a self,
        cpf: &TaxId,
        after: Option<&AccountNumber>,
    ) -> impl Iterator<Item = AccountSlot> + use<'a> {
        let held = self.find_client(cpf).map(|client| self.held.at(client as usize));
        held.map(|held| held.after(after, &self.accounts)).into_iter().flatten()
    }

    pub(super) fn client(&self, cpf: &TaxId) -> Option<ClientView<'_>> {
        self.find_client(cpf).map(|client| self.clients.at(client as usize).view())
    }

    /// All clients, in the order of creation.
    #[cfg(test)]
    pub(super) fn clients(&self) -> impl Iterator<Item = ClientView<'_>> {
        self.clients.iter().map(ClientRow::view)
    }

    /// The clients after `after`, by cpf.
    pub(super) fn clients_after<'a>(
        &'a self,
        after: Option<&TaxId>,
    ) -> impl Iterator<Item = ClientView<'a>> + use<'a> {
        let all = self.client_order.after(after, &|client| self.cpf(client));
        all.map(|client| self.clients.at(client as usize).view())
    }

    pub(super) fn opened(&self, slot: AccountSlot) -> Time {
        self.accounts.at(slot.index()).opened
    }

    /// How many clients there are.
    pub(super) fn count_clients(&self) -> usize {
        self.clients.len()
    }

    fn find_client(&self, cpf: &TaxId) -> Option<u32> {
        self.client_table.find(cpf.as_str(), |client| *self.cpf(client) == *cpf)
    }

    fn cpf(&self, client: u32) -> &TaxId {
        &self.clients.at(client as usize).cpf
    }

    fn number(&self, slot: AccountSlot) -> &AccountNumber {
        &self.accounts.at(slot.index()).number
    }

    fn holders(&self, slot: AccountSlot) -> Holders<'_> {
        match self.accounts.at(slot.index()).holders() {
            HolderSlots::One(one) => Holders { first: self.cpf(one), second: None },
            HolderSlots::Joint(one, other) => {
                Holders { first: self.cpf(one), second: Some(self.cpf(other)) }
            }
        }
    }
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
