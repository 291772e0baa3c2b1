//! What a bank knows of transactions: undecided ones, and those with an outcome.

use crate::bank::history::History;
use crate::bank::io::{After, Outcome, OwnVote, Past, Seq};
use crate::bank::record::{Cause, Record};
use crate::bank::state::Bank;
use crate::ids::{BankId, Time, TxId};
use crate::limits::BANKS_MAX;
use crate::wire::Reason;
use crate::wire::token::Vote;
use crate::wire::transaction::{Action, Transaction};
use std::sync::Arc;

/// A transaction that this bank voted OK on and whose outcome it does not know.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Prepared {
    pub transaction: Arc<Transaction>,
    /// The time of the vote.
    pub time: Time,
    /// The number of the vote's record.
    pub seq: Seq,
}

/// A transaction whose outcome this bank knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub own: OwnVote,
    pub outcome: Outcome,
    /// The text beside the reason, for this bank's own NOK.
    pub text: Box<str>,
    /// What a reply about it must wait for: the deciding record, or nothing if the journal's index
    /// found it.
    pub after: After,
    /// Whether it had an outside coordinator; always `false` for a tombstone.
    pub outside: bool,
}

/// An entry of HISTORY.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct HistoryEntry {
    pub tx: TxId,
    pub time: Time,
    /// The reason of an abort; `None` for a commit.
    pub reason: Option<Reason>,
    /// Absent for a tombstone.
    pub transaction: Option<Arc<Transaction>>,
    /// Who decided it; snapshots hold this beside the entries.
    #[serde(skip)]
    pub provenance: Provenance,
}

/// Who decided a transaction, as far as this bank's journal shows. Empty if restored from a
/// snapshot of the first version.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Provenance {
    /// This bank drove it: vote and outcome are one record, or it takes no part in it.
    pub driven: bool,
    /// The bank that refused it.
    pub by: Option<BankId>,
    /// The text beside the reason of this bank's NOK.
    pub text: Box<str>,
}

impl Provenance {
    pub(super) fn refused(by: BankId) -> Provenance {
        Provenance { by: Some(by), ..Provenance::default() }
    }

    pub(super) fn refused_here(me: BankId, cause: &Cause) -> Provenance {
        Provenance {
            text: cause.as_str().into(),
            ..Provenance::refused(cause.refuser().unwrap_or(me))
        }
    }
}

/// What memory holds about an id.
pub(crate) enum Remembered<'a> {
    /// Voted OK, with no outcome yet.
    Prepared(&'a Prepared),
    /// Decided, and among the newest outcomes.
    Ended(&'a Ended),
    /// Nothing: the id is new, or its outcome was dropped from memory. The journal's index knows
    /// which.
    Nothing,
}

/// What a bank knows about an id, including its journal's index.
pub(crate) enum Known<'a> {
    /// Nothing: the id is new.
    New,
    /// Voted OK, with no outcome yet.
    Prepared(&'a Prepared),
    /// Decided, in memory or in the journal.
    Ended(Ended),
}

impl Bank {
    /// What this bank knows about `tx`; `past` is what its journal holds if memory does not.
    pub(super) fn known(&self, tx: &TxId, past: Option<&Past>) -> Known<'_> {
        match self.remembered(tx) {
            Remembered::Prepared(prepared) => Known::Prepared(prepared),
            Remembered::Ended(ended) => Known::Ended(ended.clone()),
            Remembered::Nothing => {
                match past.and_then(|past| self.ended_of(&past.record, After::Durable)) {
                    Some(ended) => Known::Ended(ended),
                    None => Known::New,
                }
            }
        }
    }

    /// What memory holds about `tx`.
    pub(super) fn remembered(&self, tx: &TxId) -> Remembered<'_> {
        if let Some(prepared) = self.undecided.get(tx) {
            return Remembered::Prepared(prepared);
        }
        self.outcomes.get(tx).map_or(Remembered::Nothing, Remembered::Ended)
    }

    /// Is `tx` in the history as a transaction that this bank drove without a part in it?
    pub(super) fn drove(&self, tx: &TxId) -> bool {
        self.drove.contains(tx)
    }

    /// Does the history have an entry for `tx`?
    pub(super) fn remembers(&self, tx: &TxId) -> bool {
        self.history.get(tx).is_some()
    }

    /// Restores the history from a snapshot.
    pub(super) fn restore_history(&mut self, history: Vec<HistoryEntry>) {
        let me = self.me();
        let no_part = |event: &&HistoryEntry| {
            event.provenance.driven
                && event.transaction.as_ref().is_some_and(|of| !of.banks().has(me))
        };
        self.drove = history.iter().filter(no_part).map(|event| event.tx.clone()).collect();
        self.history = History::of(self.identity.seal.hash_seed(), history);
    }

    /// The outcome in a deciding record.
    pub(super) fn ended_of(&self, record: &Record, after: After) -> Option<Ended> {
        let ended = |own, outcome, outside| {
            Some(Ended { own, outcome, text: Box::default(), after, outside })
        };
        let refused = |tx: &TxId, own: OwnVote, reason: Reason| {
            Outcome::Aborted(self.own_token(tx, &own), reason)
        };
        match record {
            Record::Voted { tx, time, transaction, refusal: Some((reason, text)) } => {
                let own =
                    OwnVote { vote: Vote::No, time: *time, digest: Some(*transaction.digest()) };
                let ended = ended(own, refused(tx, own, *reason), transaction.has_outside());
                ended.map(|ended| Ended { text: text.as_str().into(), ..ended })
            }
            Record::Refused { tx, time, reason } => {
                let own = OwnVote { vote: Vote::No, time: *time, digest: None };
                ended(own, refused(tx, own, *reason), false)
            }
            Record::Decided { own, outcome, .. } => ended(*own, *outcome, false),
            Record::Executed { time, committed, transaction, .. } => {
                let own =
                    OwnVote { vote: Vote::Ok, time: *time, digest: Some(*transaction.digest()) };
                ended(own, Outcome::Committed(*committed), false)
            }
            Record::OutsideVoted { own, time, refusal: None, .. } => {
                ended(*own, Outcome::Committed(*time), true)
            }
            // A bank makes only one token of a vote for an id, here the one of its own OK.
            Record::OutsideVoted { tx, own, refusal: Some(reason), .. } => {
                ended(*own, refused(tx, *own, *reason), true)
            }
            Record::Voted { refusal: None, .. }
            | Record::Consortium { .. }
            | Record::ClientAdded { .. }
            | Record::AccountOpened { .. }
            | Record::ClockMoved { .. }
            | Record::Stopped { .. }
            | Record::KeyKnown { .. }
            | Record::RegistersLearned { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Introduced { .. }
            | Record::Registered { .. }
            | Record::Drove { .. } => None,
        }
    }
}

/// The banks, by position, that a transaction which sets a register does not name; none for any
/// other transaction.
pub(super) fn not_named_by_set(transaction: &Transaction) -> impl Iterator<Item = BankId> {
    let sets = transaction.ops().iter().any(|op| matches!(op.action, Action::Set { .. }));
    let banks = transaction.banks();
    (0..BANKS_MAX).filter_map(BankId::new).filter(move |bank| sets && !banks.has(*bank))
}
