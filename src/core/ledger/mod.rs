//! The ledger: clients, accounts, escrow holds, registers, totals, and the history that cuts need.
//! Pure.
//!
//! A transaction takes up to three steps: `check`, `hold` (the OK vote), and then either `commit`
//! or `release` (aborted). Debits are escrow holds and not locks (O'Neil, _The Escrow Transactional
//! Method_, 1986), so any number of undecided transactions share an account; a register is locked
//! by one transaction. The ledger does not know which transactions are undecided, nor how they are
//! decided: that is part of the bank. A step that would break an invariant panics with the account
//! and its figures.

mod accounts;
mod cuts;
mod figures;
mod frozen;
mod learned;
mod order;
mod read;
mod registers;
mod table;
#[cfg(test)]
mod tests;
mod totals;
mod view;

pub use accounts::RegistrationState;
pub use cuts::Expired;
pub(crate) use frozen::{FrozenLedger, StoredLedger};
pub use learned::RegistersKnown;
pub(crate) use table::{HashSeed, seeded_hash};
pub use totals::{CutTotals, Totals};
pub use view::{AccountView, ClientView, Holders};

use crate::ids::{AccountNumber, BankId, BankSet, RegisterKey, RegisterValue, TaxId, Time, TxId};
use crate::limits::OPS_MAX;
use crate::money::Money;
use crate::wire::detail::Detail;
use crate::wire::request::{NewAccount, NewClient};
use crate::wire::transaction::{Action, Flow, Transaction};
use crate::wire::{Fault, Reason};
use accounts::{AccountSlot, Accounts};
use cuts::{CutChange, CutHistory, Overwritten};
use figures::FigureStep;
use registers::Registers;
use totals::LedgerSums;

/// The ledger of one bank. The history for cuts is neither compared nor stored in a snapshot;
/// whether the registers are known is stored beside it.
#[derive(Debug, Clone)]
pub struct Ledger {
    book: Book,
    past: CutHistory,
    known: RegistersKnown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Book {
    accounts: Accounts,
    registers: Registers,
    sums: LedgerSums,
}

impl Ledger {
    /// An empty ledger, from the beginning of time. For tests: its hash tables have no seed.
    pub fn new() -> Ledger {
        Ledger::seeded([0; 2])
    }

    /// An empty ledger whose hash tables have this seed.
    pub(crate) fn seeded(seed: HashSeed) -> Ledger {
        let book = Book {
            accounts: Accounts::new(seed),
            registers: Registers::default(),
            sums: LedgerSums::default(),
        };
        let past = CutHistory::beginning_at(Time::default());
        Ledger { book, past, known: RegistersKnown::Always }
    }

    /// Checks that the bank `me` can vote OK on its part of `transaction`. `consortium` is the set
    /// of all current banks.
    ///
    /// # Errors
    /// The first of: `refused` (a bank outside the consortium), `unbalanced` (debits and credits
    /// differ, or a register is not set to one value at every bank), for each operation here in the
    /// order of the text `unknown-account`, `not-holder` or `locked`, then for each account
    /// `insufficient-funds` or `limit`.
    pub fn check(
        &self,
        me: BankId,
        consortium: BankSet,
        transaction: &Transaction,
    ) -> Result<(), Fault> {
        if let Some(bank) = transaction.banks().minus(consortium).iter().next() {
            return Err(Fault::of(Reason::Refused, &Detail::NotMember { bank }));
        }
        if !transaction.is_balanced() {
            return Err(Fault::of(Reason::Unbalanced, &Detail::Unbalanced));
        }
        if !transaction.registers_are_uniform(consortium) {
            return Err(Fault::of(Reason::Unbalanced, &Detail::NotEverywhere));
        }
        let mut slots = [AccountSlot::default(); OPS_MAX];
        let mut found = 0;
        for op in transaction.ops_of(me) {
            match &op.action {
                Action::Money { account, cpf, .. } => {
                    if found == OPS_MAX {
                        return Err(Fault::of(
                            Reason::Limit,
                            &Detail::TooManyOps { most: OPS_MAX },
                        ));
                    }
                    slots[found] = self.book.accounts.check_named(account, cpf.as_ref())?;
                    found += 1;
                }
                Action::Set { key, .. } => {
                    if let Some(holder) = self.book.registers.locked_by(key) {
                        let detail =
                            Detail::RegisterLocked { key: key.clone(), tx: holder.clone() };
                        return Err(Fault::of(Reason::Locked, &detail));
                    }
                }
            }
        }
        self.check_sums(&slots[..found], || {
            money_ops(me, transaction).map(|(_, flow, amount)| (flow, amount))
        })
    }

    /// Checks for each account the sums of its operations, not one operation after the other.
    fn check_sums<I: Iterator<Item = (Flow, Money)>>(
        &self,
        slots: &[AccountSlot],
        moves: impl Fn() -> I,
    ) -> Result<(), Fault> {
        for (at, slot) in slots.iter().enumerate() {
            if slots[..at].contains(slot) {
                continue;
            }
            let (mut takes, mut gives) = (0i128, 0i128);
            for (other, (flow, amount)) in slots.iter().zip(moves()).skip(at) {
                if other == slot {
                    *if flow.takes() { &mut takes } else { &mut gives } += amount.wide();
                }
            }
            self.book.accounts.check_sums(*slot, takes, gives)?;
        }
        Ok(())
    }

    /// Reserves this bank's part of `transaction`: holds, incoming amounts and locks of registers.
    ///
    /// # Panics
    /// If `check` would have refused it.
    pub fn hold(&mut self, me: BankId, tx: &TxId, transaction: &Transaction) {
        for op in transaction.ops_of(me) {
            match &op.action {
                Action::Money { flow, account, amount, .. } => {
                    assert!(
                        amount.0 > 0,
                        "transaction {tx} moves {} centavos on account {account}",
                        amount.0
                    );
                    self.book.accounts.step(FigureStep::Hold, account, *flow, *amount);
                    self.book.sums.reserve(*flow, *amount);
                }
                Action::Set { key, .. } => self.book.registers.lock(key, tx),
            }
        }
    }

    /// Releases what `hold` reserved, because the transaction is aborted.
    ///
    /// # Panics
    /// If the transaction was not held.
    pub fn release(&mut self, me: BankId, tx: &TxId, transaction: &Transaction) {
        for op in transaction.ops_of(me) {
            match &op.action {
                Action::Money { flow, account, amount, .. } => {
                    self.book.accounts.step(FigureStep::Release, account, *flow, *amount);
                    self.book.sums.unreserve(*flow, *amount);
                }
                Action::Set { key, .. } => self.book.registers.unlock(key, tx),
            }
        }
        self.book.sums.assert_sound();
    }

    /// Applies what `hold` reserved, because the transaction is committed as of `time`. Commits may
    /// be applied in any order of their times, except for those that set the same register.
    ///
    /// # Panics
    /// If the transaction was not held, or `time` is before the opening of an account or the last
    /// setting of a register.
    pub fn commit(&mut self, me: BankId, tx: &TxId, transaction: &Transaction, time: Time) {
        for op in transaction.ops_of(me) {
            match &op.action {
                Action::Money { flow, account, amount, .. } => {
                    let slot =
                        self.book.accounts.step(FigureStep::Commit(time), account, *flow, *amount);
                    self.book.sums.unreserve(*flow, *amount);
                    self.book.sums.book(*flow, *amount);
                    self.past.record(time, CutChange::Money { slot, flow: *flow, amount: *amount });
                }
                Action::Set { key, value } => {
                    self.book.registers.unlock(key, tx);
                    let always = self.known == RegistersKnown::Always;
                    let previous = if always {
                        self.book.registers.set(key, value, time)
                    } else if let Some(previous) = self.book.registers.keep_later(key, value, time)
                    {
                        previous
                    } else {
                        continue; // A later value was received from another bank.
                    };
                    let overwritten = Overwritten { key: key.clone(), previous };
                    self.past.record(time, CutChange::Set(Box::new(overwritten)));
                }
            }
        }
        self.book.sums.assert_sound();
    }

    /// The undecided transaction that locks a register.
    pub fn locked_by(&self, key: &RegisterKey) -> Option<&TxId> {
        self.book.registers.locked_by(key)
    }

    /// The committed value of a register; `0` if it was never set.
    pub fn value(&self, key: &RegisterKey) -> &str {
        self.book.registers.value(key)
    }

    /// Checks whether this client can be registered, or already is.
    ///
    /// # Errors
    /// `already-exists` if the cpf has other content here; `limit` if there is no room.
    pub fn check_client(&self, client: &NewClient) -> Result<RegistrationState, Fault> {
        self.book.accounts.check_client(client)
    }

    /// Checks whether this account can be opened, or already is.
    ///
    /// # Errors
    /// `already-exists` if the number has other content here, `unknown-client` naming the holder,
    /// `refused` for a client's second individual account, `malformed` for an invalid number of
    /// holders or deposit, `limit` if there is no room.
    pub fn check_account(&self, account: &NewAccount) -> Result<RegistrationState, Fault> {
        self.book.accounts.check_account(account)
    }

    /// Registers a client.
    ///
    /// # Panics
    /// If `check_client` does not return that it is new.
    pub fn add_client(&mut self, client: &NewClient, time: Time) {
        self.book.accounts.add_client(client, time);
    }

    /// Opens an account; its deposit is cash in at `time`.
    ///
    /// # Panics
    /// If `check_account` does not return that it is new.
    pub fn open_account(&mut self, account: &NewAccount, time: Time) {
        let slot = self.book.accounts.open(account, time);
        if account.deposit > Money::ZERO {
            self.book.sums.book(Flow::Deposit, account.deposit);
            self.past.record(
                time,
                CutChange::Money { slot, flow: Flow::Deposit, amount: account.deposit },
            );
        }
        self.book.sums.assert_sound();
    }

    /// Drops the history: cuts are possible from `time` on, and no commit in this ledger may be
    /// later than that. A ledger that was read from a snapshot allows no cut before this call.
    pub(crate) fn begin_cuts_at(&mut self, time: Time) {
        self.past = CutHistory::beginning_at(time);
    }

    fn assert_reaches(&self, time: Time) {
        if let Err(expired) = self.past.reaches(time) {
            panic!("a page of the cut at {time} was requested: {expired}");
        }
    }
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger::new()
    }
}

impl PartialEq for Ledger {
    fn eq(&self, other: &Ledger) -> bool {
        self.book == other.book && self.known == other.known
    }
}

impl Eq for Ledger {}

/// The operations of one bank that move money.
fn money_ops(
    me: BankId,
    transaction: &Transaction,
) -> impl Iterator<Item = (&AccountNumber, Flow, Money)> {
    transaction.ops_of(me).filter_map(|op| match &op.action {
        Action::Money { flow, account, amount, .. } => Some((account, *flow, *amount)),
        Action::Set { .. } => None,
    })
}
