//! A bank as a pure value: `decide` reads, `apply` changes, and recovery is `apply`.
//!
//! The durable state (`state`) changes by `apply` of records only, the volatile state (`volatile`)
//! by `change` only. `decide` holds every branch. No clock, no socket, no file, no randomness, no
//! visible order of a hash table: the server, a simulator and a checker run the same code.

mod admit;
mod ask;
mod backlog;
#[cfg(test)]
mod bounds;
mod cut;
mod decide;
mod drive;
mod end;
mod execute;
mod fit;
mod history;
pub mod io;
mod known;
mod learn;
mod meet;
mod newest_outcomes;
mod outside;
mod own;
mod read;
pub mod record;
mod register;
mod rights;
mod shares;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod tokens;
mod undecided;
mod volatile;
mod vote;

pub use crate::pieces::PieceSink;
pub use learn::Learning;
pub use snapshot::FrozenBank;
pub use volatile::{Change, CutRequest, Drive, InDoubt, Untimed, Waiter, Waits};

use crate::commit::founding::FoundingId;
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::ledger::Ledger;
use crate::limits::CUT_BYTES_MAX;
use crate::wire::token::{KeyId, Seal, Token};
use crate::wire::transaction::Transaction;
use decide::Deciding;
use io::{Input, KnownVote, Now, Output, Seq};
use record::Record;
use state::Bank;
use std::ops::ControlFlow;
use std::sync::Arc;
use volatile::Volatile;

/// What identifies a bank to others.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its position in the consortium.
    pub bank: BankId,
    /// Addresses by position; `-` for a bank that left.
    pub places: Vec<String>,
    /// Makes and verifies the MACs of tokens.
    pub seal: Seal,
}

/// A bank: its durable state, and its volatile state.
#[derive(Debug, Clone)]
pub struct Core {
    bank: Bank,
    volatile: Volatile,
}

impl Core {
    /// A bank with an empty journal.
    pub fn new(identity: Identity) -> Core {
        Core::of(Bank::new(identity))
    }

    /// Restores a bank from a snapshot; cuts before the snapshot are not possible.
    ///
    /// # Errors
    /// If the bytes are no snapshot that this version reads.
    pub fn from_snapshot(identity: Identity, bytes: &[u8]) -> Result<Core, String> {
        Ok(Core::of(snapshot::read(identity, bytes)?))
    }

    fn of(bank: Bank) -> Core {
        let volatile = Volatile::seeded(bank.identity.seal.hash_seed());
        Core { bank, volatile }
    }

    /// The durable state as it is now, for a snapshot. This takes a few microseconds, whatever the
    /// size of the state; what changes later is copied first.
    pub fn freeze(&self) -> FrozenBank {
        FrozenBank::of(&self.bank)
    }

    /// The durable state as bytes, for a snapshot.
    pub fn to_snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let whole = self.freeze().write(&mut |piece| {
            bytes.extend_from_slice(piece);
            ControlFlow::Continue(())
        });
        assert!(whole.is_continue(), "memory takes every piece");
        bytes
    }

    /// How many bytes were copied until now because views of this bank shared them. It depends on
    /// how long views are held, so nothing that a bank decides may follow from it.
    pub fn copied_bytes(&self) -> u64 {
        self.bank.ledger.copied_bytes() + self.bank.undecided.rows().copied_bytes()
    }

    /// The memory of the rows that a view shares, in bytes.
    pub fn shared_bytes(&self) -> u64 {
        self.bank.ledger.shared_bytes() + self.bank.undecided.rows().bytes()
    }

    /// What follows from `input`; changes nothing.
    pub fn decide(&self, now: Now, input: &Input) -> Output {
        let mut deciding = Deciding::new(&self.bank, &self.volatile, now);
        deciding.input(input);
        deciding.out
    }

    /// Would `record`, applied now, keep the invariants? If not, `apply` would panic, or give a
    /// state that no bank can reach. For journals that are not trusted; a bank applies only its own
    /// decisions.
    ///
    /// # Errors
    /// What the record would break, naming the thing.
    pub fn admits(&self, record: &Record) -> Result<(), String> {
        self.bank.admits(record)
    }

    /// Applies `record`. The only function that changes the durable state, live and at recovery.
    ///
    /// # Panics
    /// If the record breaks an invariant: then the bank must stop.
    pub fn apply(&mut self, record: &Record) {
        self.bank.apply(record);
    }

    /// Applies `change`. The only function that changes the volatile state.
    pub fn change(&mut self, change: &Change) {
        if let Change::CutMark(_, _, Some(forget)) = change {
            self.bank.ledger.trim_cuts(*forget, CUT_BYTES_MAX);
        }
        self.volatile.change(change);
    }

    /// Decides on `input`, and applies all records and changes that follow, woken waiters included.
    /// The output is already applied; its records have the numbers up to `self.seq()`.
    pub fn step(&mut self, now: Now, input: &Input) -> Output {
        let mut output = self.decide(now, input);
        let (mut records, mut changes) = (0, 0);
        loop {
            let (new_records, new_changes) =
                (&output.records[records..], &output.changes[changes..]);
            new_records.iter().for_each(|record| self.bank.apply(record));
            new_changes.iter().for_each(|change| self.change(change));
            let mut deciding = Deciding::new(&self.bank, &self.volatile, now);
            deciding.follow(new_records, new_changes);
            (records, changes) = (output.records.len(), output.changes.len());
            let more = deciding.out;
            if more == Output::default() {
                return output;
            }
            output.absorb(more);
        }
    }

    /// The moment from which on a tick has something to do, on the monotonic clock in microseconds.
    /// Each decision may change it.
    pub fn tick_due_us(&self) -> u64 {
        let now = Now { wall_us: 0, shown_us: 0, mono_us: 0 };
        let learn = Deciding::new(&self.bank, &self.volatile, now).learn_due_us();
        self.volatile.tick_due_us().min(learn.unwrap_or(u64::MAX))
    }

    /// Is there more to do by `mono_us` than one tick processes? Then another tick should follow
    /// soon, with other inputs between them.
    pub fn is_behind(&self, mono_us: u64) -> bool {
        self.stopped().is_none() && self.volatile.is_behind(mono_us)
    }

    /// The number of the newest record.
    pub fn seq(&self) -> Seq {
        self.bank.seq
    }

    /// Does memory hold this id? If not, the journal must be searched before `decide`.
    pub fn knows(&self, tx: &TxId) -> bool {
        !matches!(self.bank.remembered(tx), known::Remembered::Nothing)
    }

    /// Drops outcomes of records up to `indexed` from memory, except for the newest `keep`: the
    /// journal's index finds them.
    pub fn forget_outcomes(&mut self, indexed: Seq, keep: usize) {
        self.bank.outcomes.forget(indexed, keep, usize::MAX);
    }

    /// As `forget_outcomes`, for at most `most` of them; returns whether more are left.
    pub fn forget_some_outcomes(&mut self, indexed: Seq, keep: usize, most: usize) -> bool {
        self.bank.outcomes.forget(indexed, keep, most)
    }

    /// Why this bank must not work any more, if so.
    pub fn stopped(&self) -> Option<&str> {
        self.bank.stopped.as_deref().or(self.volatile.forgot.as_deref())
    }

    /// The founding id of this bank's journal.
    pub fn founding(&self) -> Option<FoundingId> {
        self.bank.founding
    }

    /// Does it take part in transactions with other banks? A bank with a new journal must be
    /// introduced first.
    pub fn is_introduced(&self) -> bool {
        self.bank.introduced
    }

    /// Does it know its registers? A bank that joined later must learn them first.
    pub fn knows_registers(&self) -> bool {
        self.bank.ledger.knows_registers()
    }

    /// The banks whose introduction this bank still waits for.
    pub fn unmet(&self) -> BankSet {
        if self.bank.introduced { BankSet::EMPTY } else { self.volatile.unmet(&self.bank) }
    }

    /// The founding ids of the other banks' journals, by position, as first recorded.
    pub fn met(&self) -> [Option<FoundingId>; 16] {
        self.bank.met
    }

    /// Does the journal hold no vote and no client? Then it may be treated like a new one.
    pub fn is_blank(&self) -> bool {
        let totals = self.bank.ledger.totals();
        self.bank.clock == Time(0) && totals.clients == 0 && totals.accounts == 0
    }

    /// The time of the last vote known of each bank, this one included, by position.
    pub fn known_votes(&self) -> [Time; 16] {
        self.bank.known_votes
    }

    /// The votes of the other bank `bank` to be sent to it: the newest known, and the newest known
    /// when the last link to it ended, because a vote that it has given since must not hide that
    /// one.
    pub fn votes_to_send(&self, bank: BankId) -> Vec<(TxId, Token)> {
        let newest = self.bank.peers_votes[bank.index()].as_ref();
        let at_end = self.volatile.peers[bank.index()]
            .known_at_end
            .as_ref()
            .filter(|known| newest != Some(known));
        let with_token = |known: &KnownVote| (known.tx.clone(), self.bank.token_of(bank, known));
        at_end.into_iter().chain(newest).map(with_token).collect()
    }

    /// The public id of the key that the journal holds.
    pub fn key(&self) -> Option<KeyId> {
        self.bank.key
    }

    /// The consortium in the journal: this bank's position and the list; `None` before the first
    /// record.
    pub fn consortium(&self) -> Option<(BankId, &[String])> {
        self.bank.consortium.as_ref().map(|(bank, places)| (*bank, places.as_slice()))
    }

    /// An undecided transaction that names `bank`. Scans all undecided transactions.
    pub fn undecided_naming(&self, bank: BankId) -> Option<&TxId> {
        let names =
            |(_, prepared): &(&TxId, &known::Prepared)| prepared.transaction.banks().has(bank);
        self.bank.undecided.iter().find(names).map(|(tx, _)| tx)
    }

    /// The operations of a transaction that has ended, if the history has it and them.
    pub fn ended_transaction(&self, tx: &TxId) -> Option<&Arc<Transaction>> {
        self.bank.history.get(tx)?.transaction.as_ref()
    }

    /// The undecided transaction that this bank voted on first.
    pub fn oldest_undecided(&self) -> Option<&TxId> {
        self.bank.undecided.oldest().map(|(_, tx)| tx)
    }

    /// How many transactions are undecided here.
    pub fn undecided(&self) -> usize {
        self.bank.undecided.len()
    }

    /// The last time that this bank gave or received.
    pub fn clock(&self) -> Time {
        self.bank.clock
    }

    /// The accounts, clients and registers of this bank.
    pub fn ledger(&self) -> &Ledger {
        &self.bank.ledger
    }

    /// Checks all sums of the ledger.
    ///
    /// # Panics
    /// If a sum is wrong, naming it.
    pub fn check_invariants(&self) {
        self.bank.ledger.check_invariants();
    }

    /// The volatile state as text, for checkers that detect states which they have visited:
    /// together with the journal it determines all that this bank can do. Moments are given as the
    /// time left until then.
    pub fn fingerprint_text(&self, mono_us: u64) -> String {
        self.volatile.fingerprint_text(mono_us)
    }

    /// Is the durable state the same? The outcomes that memory still holds are not compared.
    pub fn same_as(&self, other: &Core) -> bool {
        self.to_snapshot() == other.to_snapshot()
    }
}

impl Output {
    fn absorb(&mut self, more: Output) {
        self.records.extend(more.records);
        self.changes.extend(more.changes);
        self.replies.extend(more.replies);
        self.sends.extend(more.sends);
        self.met.extend(more.met);
        self.steps.extend(more.steps);
    }
}
