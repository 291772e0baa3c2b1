//! What a bank knows of transactions: those that are undecided, and those that ended.

use crate::bank::io::{After, Outcome, OwnVote, Past, Seq};
use crate::bank::record::{Cause, Record};
use crate::bank::state::Bank;
use crate::ids::{BankId, Time, TxId};
use crate::limits::BANKS_MAX;
use crate::wire::Reason;
use crate::wire::token::Verdict;
use crate::wire::transaction::{Action, Transaction};
use std::sync::Arc;

/// A transaction that this bank voted OK on and knows no outcome of.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Prepared {
    pub transaction: Arc<Transaction>,
    /// The vote's time.
    pub time: Time,
    /// The vote's record.
    pub seq: Seq,
}

/// A transaction whose outcome this bank knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub own: OwnVote,
    pub outcome: Outcome,
    /// Words beside the reason of an own NOK.
    pub text: Box<str>,
    /// What tells of it rests on this: the deciding record, or one that the journal's index found.
    pub after: After,
    /// Had it an outside coordinator? A tombstone says nothing of that.
    pub outside: bool,
}

/// A line of HISTORY.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Event {
    pub tx: TxId,
    pub time: Time,
    /// `None`: committed.
    pub reason: Option<Reason>,
    /// A tombstone has none.
    pub transaction: Option<Arc<Transaction>>,
    /// How it came to that; snapshots hold it beside the events.
    #[serde(skip)]
    pub how: How,
}

/// How a transaction came to its outcome, as far as this bank's journal says. What a snapshot of
/// the first version held says nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct How {
    /// This bank drove it: vote and outcome are one record, or it takes no part.
    pub driven: bool,
    /// The bank that refused.
    pub by: Option<BankId>,
    /// Words beside the reason of this bank's NOK.
    pub text: Box<str>,
}

impl How {
    pub(super) fn refused(by: BankId) -> How {
        How { by: Some(by), ..How::default() }
    }

    pub(super) fn refused_here(me: BankId, cause: &Cause) -> How {
        How { text: cause.as_str().into(), ..How::refused(cause.refuser().unwrap_or(me)) }
    }
}

/// What memory holds of an id.
pub(crate) enum Remembered<'a> {
    /// Voted OK, undecided.
    Prepared(&'a Prepared),
    /// Decided, and among the newest outcomes.
    Ended(&'a Ended),
    /// Nothing: the id is new, or older than memory goes back. The journal's index knows which.
    Nothing,
}

/// What a bank knows of an id, once the journal's index was asked for what memory does not hold.
pub(crate) enum Known<'a> {
    /// Nothing: it was never seen.
    New,
    /// Voted OK, undecided.
    Prepared(&'a Prepared),
    /// Decided.
    Ended(Ended),
}

impl Bank {
    /// What this bank knows of `tx`, with what its journal knows where memory does not.
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

    /// What memory holds of `tx`.
    pub(super) fn remembered(&self, tx: &TxId) -> Remembered<'_> {
        if let Some(prepared) = self.undecided.get(tx) {
            return Remembered::Prepared(prepared);
        }
        self.outcomes.get(tx).map_or(Remembered::Nothing, Remembered::Ended)
    }

    /// What a deciding record says of its transaction.
    pub(super) fn ended_of(&self, record: &Record, after: After) -> Option<Ended> {
        let ended = |own, outcome, outside| {
            Some(Ended { own, outcome, text: Box::default(), after, outside })
        };
        let refused = |tx: &TxId, own: OwnVote, reason: Reason| {
            Outcome::Aborted(self.own_token(tx, &own), reason)
        };
        match record {
            Record::Voted { tx, time, transaction, refusal: Some((reason, text)) } => {
                let own = OwnVote {
                    verdict: Verdict::No,
                    time: *time,
                    digest: Some(*transaction.digest()),
                };
                let ended = ended(own, refused(tx, own, *reason), transaction.has_outside());
                ended.map(|ended| Ended { text: text.as_str().into(), ..ended })
            }
            Record::Refused { tx, time, reason } => {
                let own = OwnVote { verdict: Verdict::No, time: *time, digest: None };
                ended(own, refused(tx, own, *reason), false)
            }
            Record::Decided { own, outcome, .. } => ended(*own, *outcome, false),
            Record::Executed { time, committed, transaction, .. } => {
                let own = OwnVote {
                    verdict: Verdict::Ok,
                    time: *time,
                    digest: Some(*transaction.digest()),
                };
                ended(own, Outcome::Committed(*committed), false)
            }
            Record::OutsideVoted { own, time, refusal: None, .. } => {
                ended(*own, Outcome::Committed(*time), true)
            }
            // The bank makes one token for an id, ever: that of its own OK.
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
            | Record::Drove { .. } => None,
        }
    }
}

/// The positions of banks that a transaction which sets a register does not name; none for any
/// other one.
pub(super) fn not_named_by_set(transaction: &Transaction) -> impl Iterator<Item = BankId> {
    let sets = transaction.ops().iter().any(|op| matches!(op.action, Action::Set { .. }));
    let banks = transaction.banks();
    (0..BANKS_MAX).filter_map(BankId::new).filter(move |bank| sets && !banks.has(*bank))
}
