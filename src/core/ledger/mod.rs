//! The ledger: clients, accounts, escrow holds, registers, totals, and the past that cuts need.
//! Pure.
//!
//! A transaction meets it in up to three steps: `check` looks, `hold` promises (the vote OK), and
//! then either `settle` (committed) or `release` (aborted). Debits are escrow holds and not locks
//! (O'Neil, _The Escrow Transactional Method_, 1986), so any number of undecided transactions share
//! an account; a register is locked by one of them. Which transactions are undecided, and who says
//! how they end, is not told here: that is the bank's part. A step that would break an invariant
//! stops the program with the account and its figures.

mod accounts;
mod cuts;
mod figures;
mod held;
mod learned;
mod registers;
#[cfg(test)]
mod tests;
mod totals;
mod view;

pub use accounts::Known;
pub use cuts::Expired;
pub use learned::RegistersKnown;
pub use totals::{CutTotals, Totals};
pub use view::{AccountView, Holders};

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
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use totals::LedgerSums;

/// One bank's ledger. Two are equal, and one is kept in a snapshot, without the past that only cuts
/// need; what it knows of its registers the snapshot holds beside it.
#[derive(Debug, Clone)]
pub struct Ledger {
    book: Book,
    past: CutHistory,
    known: RegistersKnown,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Book {
    accounts: Accounts,
    registers: Registers,
    sums: LedgerSums,
}

impl Ledger {
    /// A ledger without a past.
    pub fn new() -> Ledger {
        let past = CutHistory::beginning_at(Time::default());
        Ledger { book: Book::default(), past, known: RegistersKnown::Always }
    }

    /// Would the bank `me` grant its own part of `transaction`? `consortium` is all banks that are
    /// in it.
    ///
    /// # Errors
    /// The first that holds: `refused` (it names a bank outside the consortium), `unbalanced`
    /// (debits and credits differ, or a register is not set everywhere to one value), for each
    /// operation here in the order of the text `unknown-account`, `not-holder` or `locked`, then
    /// for each account `insufficient-funds` or `limit`.
    pub fn check(
        &self,
        me: BankId,
        consortium: BankSet,
        transaction: &Transaction,
    ) -> Result<(), Fault> {
        if let Some(stranger) = transaction.banks().minus(consortium).iter().next() {
            return Err(Fault::of(Reason::Refused, &Detail::NotMember { bank: stranger }));
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

    /// Each account of a transaction grants the sums of its operations, not one operation after the
    /// other.
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

    /// Promises this bank's part of `transaction`: holds, incoming amounts and locks of registers.
    ///
    /// # Panics
    /// When `check` would not have granted it.
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
                    self.book.sums.promise(*flow, *amount);
                }
                Action::Set { key, .. } => self.book.registers.lock(key, tx),
            }
        }
    }

    /// Takes back what `hold` promised: the transaction is aborted.
    ///
    /// # Panics
    /// When it was not held.
    pub fn release(&mut self, me: BankId, tx: &TxId, transaction: &Transaction) {
        for op in transaction.ops_of(me) {
            match &op.action {
                Action::Money { flow, account, amount, .. } => {
                    self.book.accounts.step(FigureStep::Release, account, *flow, *amount);
                    self.book.sums.take_back(*flow, *amount);
                }
                Action::Set { key, .. } => self.book.registers.unlock(key, tx),
            }
        }
        self.book.sums.assert_sound();
    }

    /// Makes true what `hold` promised: the transaction is committed, as of `time`. Commits may
    /// come in any order of their times, but for those that set one register.
    ///
    /// # Panics
    /// When it was not held, or when `time` is before the account was opened or the register was
    /// last set.
    pub fn settle(&mut self, me: BankId, tx: &TxId, transaction: &Transaction, time: Time) {
        for op in transaction.ops_of(me) {
            match &op.action {
                Action::Money { flow, account, amount, .. } => {
                    let slot =
                        self.book.accounts.step(FigureStep::Settle(time), account, *flow, *amount);
                    self.book.sums.take_back(*flow, *amount);
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
                        continue; // It was told what was set later.
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

    /// A register's committed value: `0` when it was never set.
    pub fn value(&self, key: &RegisterKey) -> &str {
        self.book.registers.value(key)
    }

    /// May this client be registered, or is it already?
    ///
    /// # Errors
    /// `already-exists` when the cpf has other content here; `limit` when there is no place.
    pub fn check_client(&self, client: &NewClient) -> Result<Known, Fault> {
        self.book.accounts.check_client(client)
    }

    /// May this account be opened, or is it already?
    ///
    /// # Errors
    /// `already-exists` when the number has other content here, `unknown-client` naming the holder,
    /// `refused` for a client's second individual account, `malformed` for holders or a deposit
    /// that can't be, `limit` when there is no place.
    pub fn check_account(&self, account: &NewAccount) -> Result<Known, Fault> {
        self.book.accounts.check_account(account)
    }

    /// Registers a client.
    ///
    /// # Panics
    /// When `check_client` does not say that it is new.
    pub fn add_client(&mut self, client: &NewClient, time: Time) {
        self.book.accounts.add_client(client, time);
    }

    /// Opens an account; what is deposited with it is cash that came in at `time`.
    ///
    /// # Panics
    /// When `check_account` does not say that it is new.
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

    /// An account as it stands.
    pub fn account(&self, number: &AccountNumber) -> Option<AccountView<'_>> {
        self.book.accounts.find(number).map(|slot| self.book.accounts.view(slot))
    }

    /// Accounts by number, those after `after`; with a `cpf` only that holder's.
    pub(crate) fn accounts_after<'a>(
        &'a self,
        cpf: Option<&TaxId>,
        after: Option<&AccountNumber>,
    ) -> impl Iterator<Item = AccountView<'a>> + use<'a> {
        let all = cpf.is_none().then(|| self.book.accounts.slots_after(after));
        let theirs = cpf.map(|cpf| self.book.accounts.slots_of_after(cpf, after));
        let slots = all.into_iter().flatten().chain(theirs.into_iter().flatten());
        slots.map(|slot| self.book.accounts.view(slot))
    }

    /// Accounts in the order of their opening; an account's place in it never changes.
    pub fn accounts_by_creation(&self) -> impl Iterator<Item = AccountView<'_>> {
        self.book.accounts.slots().map(|slot| self.book.accounts.view(slot))
    }

    /// The client with this CPF or CNPJ.
    pub fn client(&self, cpf: &TaxId) -> Option<&NewClient> {
        self.book.accounts.client(cpf)
    }

    /// When a client was registered.
    pub fn client_added(&self, cpf: &TaxId) -> Option<Time> {
        self.book.accounts.client_added(cpf)
    }

    /// When an account was opened.
    pub fn account_opened(&self, number: &AccountNumber) -> Option<Time> {
        self.book.accounts.find(number).map(|slot| self.book.accounts.opened(slot))
    }

    /// Clients by cpf, those after `after`.
    pub(crate) fn clients_after<'a>(
        &'a self,
        after: Option<&TaxId>,
    ) -> impl Iterator<Item = &'a NewClient> + use<'a> {
        self.book.accounts.clients_after(after)
    }

    /// Clients in the order of their registration; a client's place in it never changes.
    #[cfg(test)]
    pub(crate) fn clients_by_creation(&self) -> impl Iterator<Item = &NewClient> {
        self.book.accounts.clients()
    }

    /// Sums over all that this bank holds.
    pub fn totals(&self) -> Totals {
        let Book { accounts, registers: _, sums } = &self.book;
        sums.totals(accounts.clients().len(), accounts.slots().len())
    }

    /// Goes through everything.
    ///
    /// # Panics
    /// Naming what is broken.
    pub fn check_invariants(&self) {
        let (balance, held, incoming) = self.book.accounts.audit();
        self.book.sums.assert_are(balance, held, incoming);
        self.book.sums.assert_sound();
        self.past.audit();
    }

    /// The totals with exactly the commits up to `time`.
    ///
    /// # Errors
    /// When what is needed for it is no longer kept.
    pub fn cut(&self, time: Time) -> Result<CutTotals, Expired> {
        self.past.reaches(time)?;
        Ok(self.book.sums.cut(&self.past.flows_after(time)))
    }

    /// Accounts by number, the first `most` of those after `after`, each with its balance at
    /// `time`; without one where it was opened later. Goes through these accounts, and through all
    /// that moved later than `time`.
    ///
    /// # Panics
    /// When `cut(time)` is an error.
    pub(crate) fn cut_accounts_after(
        &self,
        time: Time,
        after: Option<&AccountNumber>,
        most: usize,
    ) -> Vec<(&AccountNumber, Option<Money>)> {
        self.assert_reaches(time);
        let accounts = &self.book.accounts;
        let slots: Vec<AccountSlot> = accounts.slots_after(after).take(most).collect();
        let since = self.past.balances_since(time, &slots);
        slots.iter().zip(since).map(|(slot, since)| accounts.at(*slot, time, since)).collect()
    }

    /// Registers by key, the first `most` of those after `after`, each with its value at `time`;
    /// without one where it was set later for the first time. Goes through these registers, and
    /// through all that changed later than `time`.
    ///
    /// # Panics
    /// When `cut(time)` is an error.
    pub(crate) fn cut_registers_after(
        &self,
        time: Time,
        after: Option<&RegisterKey>,
        most: usize,
    ) -> Vec<(&RegisterKey, Option<&RegisterValue>)> {
        self.assert_reaches(time);
        let now: Vec<_> = self.book.registers.values_after(after).take(most).collect();
        let (Some((first, _)), Some((last, _))) = (now.first(), now.last()) else {
            return Vec::new();
        };
        let then = self.past.registers_then(time, first..=last);
        let value = |(key, now)| (key, then.get(key).copied().unwrap_or(Some(now)));
        now.iter().copied().map(value).collect()
    }

    /// Drops the past at or before `up_to`, and more, oldest first, while it takes over
    /// `bytes_max`. Cuts older than what was dropped are `Expired` from now on. Over
    /// `CUT_BYTES_MAX` that happens by itself.
    pub(crate) fn trim_cuts(&mut self, up_to: Time, bytes_max: usize) {
        self.past.trim(up_to, bytes_max);
    }

    /// The oldest time that a cut can be made for.
    pub(crate) fn cut_horizon(&self) -> Time {
        self.past.horizon()
    }

    /// Memory of the past that cuts need, in bytes.
    pub fn cut_bytes(&self) -> usize {
        self.past.bytes()
    }

    /// Forgets the past: cuts begin at `time`, which no commit that is in this ledger is later
    /// than. A ledger that was read from a snapshot can make no cut before this was said.
    pub(crate) fn begin_cuts_at(&mut self, time: Time) {
        self.past = CutHistory::beginning_at(time);
    }

    fn assert_reaches(&self, time: Time) {
        if let Err(expired) = self.past.reaches(time) {
            panic!("a page of the cut at {time} was asked for: {expired}");
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

impl Serialize for Ledger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.book.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Ledger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let book = Book::deserialize(deserializer)?;
        Ok(Ledger {
            book,
            past: CutHistory::beginning_at(Time::MAX),
            known: RegistersKnown::Always,
        })
    }
}

/// The money operations of one bank.
fn money_ops(
    me: BankId,
    transaction: &Transaction,
) -> impl Iterator<Item = (&AccountNumber, Flow, Money)> {
    transaction.ops_of(me).filter_map(|op| match &op.action {
        Action::Money { flow, account, amount, .. } => Some((account, *flow, *amount)),
        Action::Set { .. } => None,
    })
}
