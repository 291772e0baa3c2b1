//! Clients and accounts as snapshots store them: rows in the order of creation. The rest is built
//! again from them.

use super::*;
use crate::pieces::PieceWriter;
use serde::Deserializer;
use serde::de::{Error, SeqAccess, Visitor};
use std::fmt;
use std::ops::ControlFlow;

/// Clients and accounts as they were.
#[derive(Debug, Clone)]
pub(in crate::ledger) struct FrozenAccounts {
    clients: SharedRows<ClientEntry>,
    accounts: SharedRows<AccountEntry>,
    figures: SharedRows<AccountFigures>,
}

/// The part that a snapshot stores.
#[derive(Deserialize)]
struct StoredAccounts {
    clients: SharedRows<ClientEntry>,
    accounts: StoredRows,
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

    /// Builds the indexes. Rows that can't have been written are an error and no panic.
    pub(super) fn of_rows(
        clients: SharedRows<ClientEntry>,
        accounts: SharedRows<AccountEntry>,
        figures: SharedRows<AccountFigures>,
    ) -> Result<Accounts, String> {
        let by_cpf: BTreeMap<_, _> =
            (0..).zip(clients.iter()).map(|(i, c)| (c.data.cpf.clone(), i)).collect();
        let by_number: BTreeMap<_, _> = (0..)
            .map(AccountSlot)
            .zip(accounts.iter())
            .map(|(slot, a)| (a.number.clone(), slot))
            .collect();
        let by_short_number =
            by_number.iter().filter_map(|(n, slot)| Some((short(n)?, *slot))).collect();
        if by_cpf.len() != clients.len() || by_number.len() != accounts.len() {
            return Err("a client or an account occurs twice".to_string());
        }
        let mut held: SharedRows<HeldAccounts> =
            (0..clients.len()).map(|_| HeldAccounts::default()).collect();
        for (number, slot) in &by_number {
            let holders = accounts.at(slot.index()).holders;
            for client in holders.iter() {
                if client as usize >= held.len() {
                    return Err(format!("account {number} has a holder that does not exist"));
                }
                let theirs = held.at_mut(client as usize);
                if theirs.all.last() == Some(*slot) {
                    return Err(format!("account {number} has one holder twice"));
                }
                theirs.all.insert(*slot, |_| true);
                if let HolderSlots::One(_) = holders
                    && theirs.individual.replace(*slot).is_some()
                {
                    let cpf = &clients.at(client as usize).data.cpf;
                    return Err(format!("{cpf} holds two individual accounts"));
                }
            }
        }
        Ok(Accounts { clients, accounts, figures, held, by_cpf, by_number, by_short_number })
    }
}

impl FrozenAccounts {
    /// Writes the rows. Each chunk is given back when it is written.
    pub(in crate::ledger) fn write(self, out: &mut PieceWriter<'_>) -> ControlFlow<()> {
        out.count(self.clients.len())?;
        for chunk in self.clients.into_chunks() {
            chunk.iter().try_for_each(|client| out.put(client))?;
        }
        out.count(self.accounts.len())?;
        for (figures, entries) in self.figures.into_chunks().zip(self.accounts.into_chunks()) {
            figures.iter().zip(entries.iter()).try_for_each(|account| out.put(&account))?;
        }
        ControlFlow::Continue(())
    }
}

impl<'de> Deserialize<'de> for Accounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Accounts, D::Error> {
        let StoredAccounts { clients, accounts } = StoredAccounts::deserialize(deserializer)?;
        Accounts::of_rows(clients, accounts.entries, accounts.figures).map_err(D::Error::custom)
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
        while let Some((figures, entry)) = seq.next_element()? {
            rows.figures.push(figures);
            rows.entries.push(entry);
        }
        Ok(rows)
    }
}
