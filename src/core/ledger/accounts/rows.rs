//! The rows of clients and accounts, kept small: a bank may have millions of both.

use super::AccountSlot;
use crate::ids::{AccountNumber, ClientKind, ClientName, TaxId, Time};
use crate::ledger::order::SlotOrder;
use crate::ledger::view::ClientView;
use crate::money::Money;
use crate::rows::SharedRows;
use crate::wire::request::NewClient;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

// Each account costs these, its figures, and about 40 bytes of tables and orders.
const _: () = assert!(size_of::<ClientRow>() == 56);
const _: () = assert!(size_of::<AccountEntry>() == 48);
const _: () = assert!(size_of::<HeldAccounts>() == 16);

/// A client as registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientRow {
    pub(super) cpf: TaxId,
    pub(super) name: ClientName,
    /// Shared, since there are few of them.
    kind: Arc<ClientKind>,
    pub(super) added: Time,
}

/// A client as snapshots store it.
pub(super) type StoredClient = (NewClient, Time);

impl ClientRow {
    pub(super) fn new(client: NewClient, added: Time, kinds: &mut Kinds) -> ClientRow {
        let NewClient { cpf, name, kind } = client;
        ClientRow { cpf, name, kind: kinds.shared(kind), added }
    }

    pub(super) fn view(&self) -> ClientView<'_> {
        ClientView { cpf: &self.cpf, name: &self.name, kind: &self.kind, added: self.added }
    }

    /// Has the bytes of `StoredClient`.
    pub(super) fn stored(&self) -> impl Serialize + '_ {
        (&self.cpf, &self.name, &*self.kind, self.added)
    }
}

/// The kinds that clients have, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Kinds(BTreeSet<Arc<ClientKind>>);

impl Kinds {
    fn shared(&mut self, kind: ClientKind) -> Arc<ClientKind> {
        if let Some(known) = self.0.get(&kind) {
            return Arc::clone(known);
        }
        let kind = Arc::new(kind);
        self.0.insert(Arc::clone(&kind));
        kind
    }
}

/// What an opening determines. An account's figures are apart from it: they change with each
/// transaction, and these rows never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccountEntry {
    pub(super) number: AccountNumber,
    pub(super) opened: Time,
    /// As given at the opening, to compare a repeated request with it.
    pub(super) deposit: Money,
    first_holder: u32,
    /// `NO_HOLDER` where there is none.
    second_holder: u32,
}

/// No client has this index: `check_capacity` leaves it out.
const NO_HOLDER: u32 = u32::MAX;

/// An account without its figures, as snapshots store it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredAccount {
    opened: Time,
    holders: HolderSlots,
    number: AccountNumber,
    deposit: Money,
}

/// The indexes of an account's holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum HolderSlots {
    One(u32),
    Joint(u32, u32),
}

impl HolderSlots {
    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        let (one, other) = match self {
            HolderSlots::One(one) => (one, None),
            HolderSlots::Joint(one, other) => (one, Some(other)),
        };
        std::iter::once(one).chain(other)
    }
}

impl AccountEntry {
    pub(super) fn new(
        number: AccountNumber,
        opened: Time,
        deposit: Money,
        holders: HolderSlots,
    ) -> AccountEntry {
        let (first_holder, second_holder) = match holders {
            HolderSlots::One(one) => (one, NO_HOLDER),
            HolderSlots::Joint(one, other) => (one, other),
        };
        AccountEntry { number, opened, deposit, first_holder, second_holder }
    }

    pub(super) fn holders(&self) -> HolderSlots {
        if self.second_holder == NO_HOLDER {
            HolderSlots::One(self.first_holder)
        } else {
            HolderSlots::Joint(self.first_holder, self.second_holder)
        }
    }

    /// Has the bytes of `StoredAccount`.
    pub(super) fn stored(&self) -> impl Serialize + '_ {
        (self.opened, self.holders(), &self.number, self.deposit)
    }
}

impl From<StoredAccount> for AccountEntry {
    fn from(StoredAccount { opened, holders, number, deposit }: StoredAccount) -> AccountEntry {
        AccountEntry::new(number, opened, deposit, holders)
    }
}

/// The accounts of a client. Most have one.
#[derive(Debug, Clone, Default)]
pub(super) enum HeldAccounts {
    #[default]
    None,
    One(AccountSlot),
    Many(Box<ManyAccounts>),
}

/// More than one account.
#[derive(Debug, Clone)]
pub(super) struct ManyAccounts {
    order: SlotOrder<AccountNumber>,
    /// The only one that the client holds alone.
    individual: Option<AccountSlot>,
}

impl HeldAccounts {
    /// Adds an account that is in `accounts`.
    pub(super) fn add(&mut self, slot: AccountSlot, accounts: &SharedRows<AccountEntry>) {
        let number_of = |slot: u32| &accounts.at(AccountSlot(slot).index()).number;
        let is_alone = |slot: AccountSlot| is_individual(slot, accounts);
        match self {
            HeldAccounts::None => *self = HeldAccounts::One(slot),
            HeldAccounts::One(one) => {
                let mut many = ManyAccounts {
                    order: SlotOrder::new(),
                    individual: [*one, slot].into_iter().find(|slot| is_alone(*slot)),
                };
                for AccountSlot(slot) in [*one, slot] {
                    many.order.insert(number_of(slot), slot, number_of);
                }
                *self = HeldAccounts::Many(Box::new(many));
            }
            HeldAccounts::Many(many) => {
                many.order.insert(number_of(slot.0), slot.0, number_of);
                if is_alone(slot) {
                    many.individual = Some(slot);
                }
            }
        }
    }

    /// The only account that the client holds alone.
    pub(super) fn individual(&self, accounts: &SharedRows<AccountEntry>) -> Option<AccountSlot> {
        match self {
            HeldAccounts::None => None,
            HeldAccounts::One(slot) => Some(*slot).filter(|slot| is_individual(*slot, accounts)),
            HeldAccounts::Many(many) => many.individual,
        }
    }

    /// The accounts after `after`, by number.
    pub(super) fn after<'a>(
        &'a self,
        after: Option<&AccountNumber>,
        accounts: &'a SharedRows<AccountEntry>,
    ) -> impl Iterator<Item = AccountSlot> + use<'a> {
        let number_of = |slot: u32| &accounts.at(AccountSlot(slot).index()).number;
        let (one, many) = match self {
            HeldAccounts::None => (None, None),
            HeldAccounts::One(slot) => (Some(*slot), None),
            HeldAccounts::Many(many) => (None, Some(many.order.after(after, &number_of))),
        };
        let one = one.filter(|slot| after.is_none_or(|after| number_of(slot.0) > after));
        one.into_iter().chain(many.into_iter().flatten().map(AccountSlot))
    }
}

fn is_individual(slot: AccountSlot, accounts: &SharedRows<AccountEntry>) -> bool {
    matches!(accounts.at(slot.index()).holders(), HolderSlots::One(_))
}
