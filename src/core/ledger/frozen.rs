//! A ledger as of one record, for a snapshot, while the ledger goes on.

use super::Ledger;
use super::accounts::FrozenAccounts;
use super::registers::FrozenRegisters;
use super::totals::LedgerSums;
use crate::pieces::PieceWriter;
use std::ops::ControlFlow;

/// Accounts, registers and sums as they were. The history for cuts is not part of it.
#[derive(Debug, Clone)]
pub(crate) struct FrozenLedger {
    accounts: FrozenAccounts,
    registers: FrozenRegisters,
    sums: LedgerSums,
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
