//! Clients and accounts as snapshots store them: rows in the order of creation. The rest is built
//! again from them.

use super::rows::{StoredAccount, StoredClient};
use super::*;
use crate::pieces::PieceWriter;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::ops::ControlFlow;

/// Clients and accounts as they were.
#[derive(Debug, Clone)]
pub(in crate::ledger) struct FrozenAccounts {
    clients: SharedRows<ClientRow>,
    accounts: SharedRows<AccountEntry>,
    figures: SharedRows<AccountFigures>,
}

/// The part that a snapshot stores, without indexes.
#[derive(Deserialize)]
pub(in crate::ledger) struct StoredAccounts {
    clients: StoredClients,
    accounts: StoredRows,
}

#[derive(Default)]
struct StoredClients {
    rows: SharedRows<ClientRow>,
    kinds: Kinds,
}

/// The accounts, whose figures are stored before the rest of each.
#[derive(Default)]
struct StoredRows {
    figures: SharedRows<AccountFigures>,
    entries: SharedRows<AccountEntry>,
}

impl Accounts {
    pub(in crate::ledger) fn freeze(&self) -> FrozenAccounts {
        FrozenAccounts {
            clients: self.clients.clone(),
            accounts: self.accounts.clone(),
            figures: self.figures.clone(),
        }
    }

    pub(in crate::ledger) fn copied_bytes(&self) -> u64 {
        let (clients, accounts) = (self.clients.copied_bytes(), self.accounts.copied_bytes());
        clients + accounts + self.figures.copied_bytes()
    }

    /// The memory of what `freeze` shares, in bytes, without long texts.
    pub(in crate::ledger) fn bytes(&self) -> u64 {
        self.clients.bytes() + self.accounts.bytes() + self.figures.bytes()
    }

    /// Builds the indexes.
    ///
    /// # Errors
    /// If these rows can't have been written.
    pub(in crate::ledger) fn of_stored(
        stored: StoredAccounts,
        seed: HashSeed,
    ) -> Result<Accounts, String> {
        let StoredAccounts { clients: StoredClients { rows: clients, kinds }, accounts } = stored;
        let StoredRows { figures, entries: accounts } = accounts;
        let (client_table, client_order) = indexes(&clients, seed, |row| &row.cpf, TaxId::as_str)?;
        let (account_table, account_order) =
            indexes(&accounts, seed, |row| &row.number, AccountNumber::as_str)?;
        let mut held: SharedRows<HeldAccounts> =
            (0..clients.len()).map(|_| HeldAccounts::default()).collect();
        for (slot, account) in (0..).map(AccountSlot).zip(accounts.iter()) {
            let (number, holders) = (&account.number, account.holders());
            if let HolderSlots::Joint(one, other) = holders
                && one == other
            {
                return Err(format!("account {number} has one holder twice"));
            }
            for client in holders.iter() {
                if client as usize >= held.len() {
                    return Err(format!("account {number} has a holder that does not exist"));
                }
                let theirs = held.at_mut(client as usize);
                if matches!(holders, HolderSlots::One(_)) && theirs.individual(&accounts).is_some()
                {
                    let cpf = &clients.at(client as usize).cpf;
                    return Err(format!("{cpf} holds two individual accounts"));
                }
                theirs.add(slot, &accounts);
            }
        }
        Ok(Accounts {
            clients,
            accounts,
            figures,
            held,
            kinds,
            client_table,
            client_order,
            account_table,
            account_order,
        })
    }

    /// Checks everything, panics if something is broken, and returns the sums of balances, holds
    /// and incoming amounts.
    pub(in crate::ledger) fn audit(&self) -> (i128, i128, i128) {
        let (mut balance, mut held, mut incoming) = (0, 0, 0);
        assert_eq!(self.accounts.len(), self.figures.len(), "figures of each account");
        for (account, figures) in self.accounts.iter().zip(self.figures.iter()) {
            assert!(figures.are_sound(), "account {} is broken: {figures:?}", account.number);
            balance += figures.balance.wide();
            held += figures.held.wide();
            incoming += figures.incoming.wide();
        }
        let stored = StoredAccounts {
            clients: StoredClients { rows: self.clients.clone(), kinds: self.kinds.clone() },
            accounts: StoredRows { figures: self.figures.clone(), entries: self.accounts.clone() },
        };
        match Accounts::of_stored(stored, self.account_table.seed()) {
            Ok(rebuilt) => self.assert_indexes_are(&rebuilt),
            Err(broken) => panic!("clients and accounts are broken: {broken}"),
        }
        (balance, held, incoming)
    }

    fn assert_indexes_are(&self, rebuilt: &Accounts) {
        let broken = "the indexes of clients and accounts are broken";
        for (slot, account) in self.slots().zip(self.accounts.iter()) {
            assert_eq!(self.find(&account.number), Some(slot), "{broken}: {}", account.number);
        }
        for (client, row) in (0..).zip(self.clients.iter()) {
            assert_eq!(self.find_client(&row.cpf), Some(client), "{broken}: {}", row.cpf);
            let of = |all: &Accounts| all.slots_of_after(&row.cpf, None).collect::<Vec<_>>();
            assert_eq!(of(self), of(rebuilt), "{broken}: the accounts of {}", row.cpf);
            let alone = |all: &Accounts| all.held.at(client as usize).individual(&all.accounts);
            assert_eq!(alone(self), alone(rebuilt), "{broken}: the own account of {}", row.cpf);
        }
        assert!(self.slots_after(None).eq(rebuilt.slots_after(None)), "{broken}: numbers");
        assert!(self.clients_after(None).eq(rebuilt.clients_after(None)), "{broken}: cpfs");
    }
}

/// The table and the order of rows by their keys.
fn indexes<T: Clone, K: Ord + Clone>(
    rows: &SharedRows<T>,
    seed: HashSeed,
    key: impl Fn(&T) -> &K,
    text: impl Fn(&K) -> &str,
) -> Result<(SlotFinder, SlotOrder<K>), String> {
    let mut table = SlotFinder::new(seed);
    let mut sorted = Vec::with_capacity(rows.len());
    for (slot, row) in (0..).zip(rows.iter()) {
        table.insert(text(key(row)), slot);
        sorted.push((key(row).clone(), slot));
    }
    // Keys beside each other are compared faster than through their rows.
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err("a client or an account occurs twice".to_owned());
    }
    Ok((table, SlotOrder::of_sorted(&sorted)))
}

impl FrozenAccounts {
    /// Writes the rows. Each chunk is given back when it is written.
    pub(in crate::ledger) fn write(self, out: &mut PieceWriter<'_>) -> ControlFlow<()> {
        out.count(self.clients.len())?;
        for chunk in self.clients.into_chunks() {
            chunk.iter().try_for_each(|client| out.put(&client.stored()))?;
        }
        out.count(self.accounts.len())?;
        for (figures, entries) in self.figures.into_chunks().zip(self.accounts.into_chunks()) {
            let mut accounts = figures.iter().zip(entries.iter());
            accounts.try_for_each(|(figures, account)| out.put(&(figures, account.stored())))?;
        }
        ControlFlow::Continue(())
    }
}

impl<'de> Deserialize<'de> for StoredClients {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StoredClients, D::Error> {
        deserializer.deserialize_seq(StoredClientsVisitor)
    }
}

/// Reads clients one by one, so that they are never in memory twice.
struct StoredClientsVisitor;

impl<'de> Visitor<'de> for StoredClientsVisitor {
    type Value = StoredClients;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("clients")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<StoredClients, A::Error> {
        let mut clients = StoredClients::default();
        while let Some((client, added)) = seq.next_element::<StoredClient>()? {
            clients.rows.push(ClientRow::new(client, added, &mut clients.kinds));
        }
        Ok(clients)
    }
}

impl<'de> Deserialize<'de> for StoredRows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StoredRows, D::Error> {
        deserializer.deserialize_seq(StoredRowsVisitor)
    }
}

/// Reads accounts one by one, so that they are never in memory twice.
struct StoredRowsVisitor;

impl<'de> Visitor<'de> for StoredRowsVisitor {
    type Value = StoredRows;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("accounts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<StoredRows, A::Error> {
        let mut rows = StoredRows::default();
        while let Some((figures, account)) = seq.next_element::<(_, StoredAccount)>()? {
            rows.figures.push(figures);
            rows.entries.push(account.into());
        }
        Ok(rows)
    }
}
