//! A bank as a pure value: `decide` looks, `apply` changes, and recovery is `apply`.
//!
//! What the journal holds (`state`) is changed by `apply` of records alone; what a crash may forget
//! (`volatile`) by `change` alone. `decide` holds every branch. No clock, no socket, no
//! file, no
//! randomness, no unordered map: the server, a simulator and a checker run the same code.

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
mod outside;
mod read;
pub mod record;
mod register;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod tokens;
mod volatile;
mod vote;

pub use learn::Learning;

pub use volatile::{Change, CutAsked, Drive, InDoubt, Untimed, Waiter, Waits};

use crate::commit::founding::FoundingId;
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::ledger::Ledger;
use crate::limits::CUT_BYTES_MAX;
use crate::wire::token::{KeyId, Seal, Token};
use decide::Deciding;
use io::{Input, KnownVote, Now, Output, Seq};
use record::Record;
use state::Bank;
use volatile::Volatile;

/// What a bank is started with.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its position in the consortium.
    pub bank: BankId,
    /// Addresses by position; `-` where a bank left.
    pub places: Vec<String>,
    /// Makes and checks the MACs of tokens.
    pub seal: Seal,
}

/// A bank: what its journal holds, and beside it what a crash may forget.
#[derive(Debug, Clone)]
pub struct Core {
    bank: Bank,
    volatile: Volatile,
}

impl Core {
    /// A bank without a past.
    pub fn new(identity: Identity) -> Core {
        Core { bank: Bank::new(identity), volatile: Volatile::default() }
    }

    /// A bank from a snapshot of it; the past that only cuts need begins there.
    ///
    /// # Errors
    /// When the bytes are no snapshot of this version.
    pub fn from_snapshot(identity: Identity, bytes: &[u8]) -> Result<Core, String> {
        Ok(Core { bank: snapshot::read(identity, bytes)?, volatile: Volatile::default() })
    }

    /// All that recovery needs, as bytes.
    pub fn to_snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.bank)
    }

    /// What follows from `input`; changes nothing.
    pub fn decide(&self, now: Now, input: &Input) -> Output {
        let mut deciding = Deciding::new(&self.bank, &self.volatile, now);
        deciding.input(input);
        deciding.out
    }

    /// Would `record`, applied now, keep what must always hold? What this says no to makes `apply`
    /// panic, or a bank that could not have come about. For journals that are not trusted; a bank
    /// applies only what it decided itself.
    ///
    /// # Errors
    /// What would be broken, naming the thing.
    pub fn admits(&self, record: &Record) -> Result<(), String> {
        self.bank.admits(record)
    }

    /// Makes `record` true. The only way the durable part of a bank changes, live and at recovery.
    ///
    /// # Panics
    /// When the record breaks an invariant: a bank with a broken invariant stops.
    pub fn apply(&mut self, record: &Record) {
        self.bank.apply(record);
    }

    /// Makes `change` true. The only way the forgettable part changes.
    pub fn change(&mut self, change: &Change) {
        if let Change::CutMark(_, _, Some(forget)) = change {
            self.bank.ledger.trim_cuts(*forget, CUT_BYTES_MAX);
        }
        self.volatile.change(change);
    }

    /// Decides `input` and makes all that follows from it true, woken waiters included. What is
    /// returned has been applied; its records have the numbers up to `self.seq()`.
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
    /// It moves with what is decided.
    pub fn tick_due_us(&self) -> u64 {
        let now = Now { wall_us: 0, shown_us: 0, mono_us: 0 };
        let learn = Deciding::new(&self.bank, &self.volatile, now).learn_due_us();
        self.volatile.tick_due_us().min(learn.unwrap_or(u64::MAX))
    }

    /// Is there more to do by `mono_us` than one tick takes on? Then another tick should follow
    /// soon, between other inputs.
    pub fn is_behind(&self, mono_us: u64) -> bool {
        self.stopped().is_none() && self.volatile.is_behind(mono_us)
    }

    /// The number of the newest record.
    pub fn seq(&self) -> Seq {
        self.bank.seq
    }

    /// Does memory hold this id? If not, the journal is asked before `decide`.
    pub fn knows(&self, tx: &TxId) -> bool {
        self.bank.undecided.contains_key(tx) || self.bank.outcomes.contains_key(tx)
    }

    /// Lets memory forget outcomes that records up to `indexed` decided, all but the newest `keep`:
    /// the journal's index finds them now.
    pub fn forget_outcomes(&mut self, indexed: Seq, keep: usize) {
        self.bank.forget_outcomes(indexed, keep, usize::MAX);
    }

    /// The same for `most` of them; are there more?
    pub fn forget_some_outcomes(&mut self, indexed: Seq, keep: usize, most: usize) -> bool {
        self.bank.forget_outcomes(indexed, keep, most)
    }

    /// Why this bank must not work any more, if so.
    pub fn stopped(&self) -> Option<&str> {
        self.bank.stopped.as_deref().or(self.volatile.forgot.as_deref())
    }

    /// What tells this bank's journal from every other one of it.
    pub fn founding(&self) -> Option<FoundingId> {
        self.bank.founding
    }

    /// Does it take part in transactions with other banks? One with a new journal has to meet them
    /// first.
    pub fn is_introduced(&self) -> bool {
        self.bank.introduced
    }

    /// Does it know its registers? One that came later has to learn them first.
    pub fn knows_registers(&self) -> bool {
        self.bank.ledger.knows_registers()
    }

    /// The banks that this bank has to meet before it takes part.
    pub fn unmet(&self) -> BankSet {
        if self.bank.introduced { BankSet::EMPTY } else { self.volatile.unmet(&self.bank) }
    }

    /// The journals of the other banks, by position, as this bank first met them.
    pub fn met(&self) -> [Option<FoundingId>; 16] {
        self.bank.met
    }

    /// Has this journal no promise in it, to nobody? Then it may as well be a new one.
    pub fn is_blank(&self) -> bool {
        let totals = self.bank.ledger.totals();
        self.bank.clock == Time(0) && totals.clients == 0 && totals.accounts == 0
    }

    /// The time of the last vote known of each bank, this one included, by position.
    pub fn known_votes(&self) -> [Time; 16] {
        self.bank.known_votes
    }

    /// The votes of `bank`, another one, that are shown to it: the newest known, and the newest
    /// known when the last link to it ended, which a vote that it gave since must not hide.
    pub fn votes_shown_to(&self, bank: BankId) -> Vec<(TxId, Token)> {
        let newest = self.bank.peers_votes[bank.index()].as_ref();
        let at_end = self.volatile.peers[bank.index()]
            .known_at_end
            .as_ref()
            .filter(|known| newest != Some(known));
        let shown = |known: &KnownVote| (known.tx.clone(), self.bank.token_of(bank, known));
        at_end.into_iter().chain(newest).map(shown).collect()
    }

    /// The key that the journal knows, by its id.
    pub fn key(&self) -> Option<KeyId> {
        self.bank.key
    }

    /// The consortium as the journal holds it: position and places; `None` before the first record.
    pub fn consortium(&self) -> Option<(BankId, &[String])> {
        self.bank.consortium.as_ref().map(|(bank, places)| (*bank, places.as_slice()))
    }

    /// An undecided transaction here that names `bank`. Goes through all that is undecided.
    pub fn undecided_naming(&self, bank: BankId) -> Option<&TxId> {
        let names =
            |(_, prepared): &(&TxId, &known::Prepared)| prepared.transaction.banks().has(bank);
        self.bank.undecided.iter().find(names).map(|(tx, _)| tx)
    }

    /// Transactions that this bank voted OK on and knows no outcome of.
    pub fn undecided(&self) -> usize {
        self.bank.undecided.len()
    }

    /// The last time that this bank gave or met.
    pub fn clock(&self) -> Time {
        self.bank.clock
    }

    /// What this bank holds for its clients.
    pub fn ledger(&self) -> &Ledger {
        &self.bank.ledger
    }

    /// Audits the whole ledger.
    ///
    /// # Panics
    /// When a sum does not hold, naming it.
    pub fn check_invariants(&self) {
        self.bank.ledger.check_invariants();
    }

    /// What a crash would forget, as text, for checkers that look for states which they have seen:
    /// together with the journal it says all that this bank may do from now on. Moments are told as
    /// what is left until then.
    pub fn fingerprint_text(&self, mono_us: u64) -> String {
        self.volatile.fingerprint_text(mono_us)
    }

    /// Is the durable part the same? The outcomes that memory still holds are not compared.
    pub fn same_as(&self, other: &Core) -> bool {
        snapshot::write(&self.bank) == snapshot::write(&other.bank)
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
