//! A bank as a pure value: `decide` looks, `apply` changes, and recovery is `apply`.

pub mod io;
pub mod record;

use crate::commit::token::Seal;
use crate::ids::{BankId, Time, TxId};
use io::{Input, Now, Output, Seq};
use record::Record;

/// A change of what a crash may forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {}

/// What a bank is started with.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its position.
    pub bank: BankId,
    /// Addresses by position; `-` where a bank left.
    pub places: Vec<String>,
    /// What seals tokens.
    pub seal: Seal,
}

/// A bank: what its journal holds, and beside it what a crash may forget.
#[derive(Debug, Clone)]
pub struct Core {
    identity: Identity,
    seq: Seq,
}

impl Core {
    /// A bank without a past.
    pub fn new(identity: Identity) -> Core {
        Core { identity, seq: 0 }
    }

    /// A bank from a snapshot of it; the past that only cuts need begins there.
    ///
    /// # Errors
    /// When the bytes are no snapshot of this version.
    pub fn from_snapshot(identity: Identity, bytes: &[u8]) -> Result<Core, String> {
        let _ = bytes;
        Ok(Core::new(identity))
    }

    /// All that recovery needs, as bytes.
    pub fn to_snapshot(&self) -> Vec<u8> {
        Vec::new()
    }

    /// What follows from `input`; changes nothing.
    pub fn decide(&self, now: Now, input: &Input) -> Output {
        let _ = (now, input);
        Output::default()
    }

    /// Makes `record` true. The only way the durable part of a bank changes, live and at recovery.
    pub fn apply(&mut self, record: &Record) {
        let _ = record;
        self.seq += 1;
    }

    /// Makes `note` true. The only way the forgettable part changes.
    pub fn note(&mut self, note: &Note) {
        match *note {}
    }

    /// Decides `input` and makes all that follows from it true, woken waiters included. What is returned has
    /// been applied; its records have the numbers up to `self.seq()`.
    pub fn step(&mut self, now: Now, input: &Input) -> Output {
        let output = self.decide(now, input);
        output.records.iter().for_each(|record| self.apply(record));
        output
    }

    /// The number of the newest record.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Does memory hold this id? If not, the journal is asked before `decide`.
    pub fn knows(&self, tx: &TxId) -> bool {
        let _ = tx;
        false
    }

    /// Lets memory forget outcomes that records up to `indexed` decided: the journal's index finds them now.
    pub fn forget_outcomes(&mut self, indexed: Seq) {
        let _ = indexed;
    }

    /// Why this bank must not work any more, if so.
    pub fn stopped(&self) -> Option<&str> {
        None
    }

    /// The time of the last vote known of each bank, this one included, by position.
    pub fn known_votes(&self) -> [Time; 16] {
        [Time::default(); 16]
    }

    /// The consortium as the journal holds it: position and places; `None` before the first record.
    pub fn consortium(&self) -> Option<(BankId, &[String])> {
        let _ = &self.identity;
        None
    }
}
