//! A ledger as of one record, for a snapshot, while the ledger goes on; and read from one.

use super::accounts::{Accounts, FrozenAccounts, StoredAccounts};
use super::cuts::CutHistory;
use super::registers::{FrozenRegisters, Registers};
use super::table::HashSeed;
use super::totals::LedgerSums;
use super::{Book, Ledger, RegistersKnown};
use crate::ids::Time;
use crate::pieces::PieceWriter;
use serde::Deserialize;
use std::ops::ControlFlow;

/// Accounts, registers and sums as they were. The history for cuts is not part of it.
#[derive(Debug, Clone)]
pub(crate) struct FrozenLedger {
    accounts: FrozenAccounts,
    registers: FrozenRegisters,
    sums: LedgerSums,
}

/// A ledger as snapshots store it.
#[derive(Deserialize)]
pub(crate) struct StoredLedger {
    accounts: StoredAccounts,
    registers: Registers,
    sums: LedgerSums,
}

impl StoredLedger {
    /// The ledger, with its indexes.
    ///
    /// # Errors
    /// If it can't have been written.
    pub(crate) fn into_ledger(self, seed: HashSeed) -> Result<Ledger, String> {
        let StoredLedger { accounts, registers, sums } = self;
        let accounts = Accounts::of_stored(accounts, seed)?;
        Ok(Ledger {
            book: Book { accounts, registers, sums },
            past: CutHistory::beginning_at(Time::MAX),
            known: RegistersKnown::Always,
        })
    }
}

impl Ledger {
    /// The ledger as it is now. Later changes copy what they change first.
    pub(crate) fn freeze(&self) -> FrozenLedger {
        FrozenLedger {
            accounts: self.book.accounts.freeze(),
            registers: self.book.registers.freeze(),
            sums: self.book.sums.clone(),
        }
    }

    /// How many bytes were copied until now because frozen ledgers shared them.
    pub(crate) fn copied_bytes(&self) -> u64 {
        self.book.accounts.copied_bytes() + self.book.registers.copied_bytes()
    }

    /// The memory of what a frozen ledger shares, in bytes.
    pub(crate) fn shared_bytes(&self) -> u64 {
        self.book.accounts.bytes() + self.book.registers.bytes()
    }
}

impl FrozenLedger {
    /// Writes what `Ledger` is read from.
    pub(crate) fn write(self, out: &mut PieceWriter<'_>) -> ControlFlow<()> {
        self.accounts.write(out)?;
        self.registers.write(out)?;
        out.put(&self.sums)
    }
}
