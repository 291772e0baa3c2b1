//! Records: the entries of the journal, and the only changes of a bank's durable state.

use crate::access::Name;
use crate::bank::io::{Outcome, OwnVote};
use crate::commit::founding::FoundingId;
use crate::commit::registers::SetRegister;
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::wire::Reason;
use crate::wire::request::{NewAccount, NewClient};
use crate::wire::token::KeyId;
use crate::wire::transaction::Transaction;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The text beside the reason of a refusal, and the bank whose refusal this bank took over, if it
/// did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    text: String,
    follows: Option<BankId>,
}

impl Cause {
    /// The cause of a refusal that this bank takes over from the bank `by`.
    pub fn follows(by: BankId, text: String) -> Cause {
        Cause { text, follows: Some(by) }
    }

    /// The text, for people.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The bank whose refusal this bank took over; `None` if it refused by itself.
    pub fn refuser(&self) -> Option<BankId> {
        // Records of the first format have it in their text only; no own refusal of a bank begins
        // like this.
        self.follows.or_else(|| {
            let words = self.text.strip_prefix("bank ")?;
            let (bank, rest) = words.split_once(" refused")?;
            let is_all = rest.is_empty() || rest.starts_with(' ');
            bank.parse().ok().filter(|_| is_all).and_then(BankId::new)
        })
    }
}

impl From<String> for Cause {
    /// The cause of this bank's own refusal.
    fn from(text: String) -> Cause {
        Cause { text, follows: None }
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Cause {
        Cause::from(text.to_owned())
    }
}

/// The format of a refusal on disk. The first two variants have the bytes of the `Option<(Reason,
/// String)>` in the first format.
mod refusal {
    use super::{BankId, Cause, Reason};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::borrow::Cow;

    /// New variants are only added at the end: their position is their code on disk.
    #[derive(Serialize, Deserialize)]
    enum OnDisk<'a> {
        Ok,
        Own(Reason, Cow<'a, str>),
        Follows(Reason, Cow<'a, str>, BankId),
    }

    pub(super) fn serialize<S: Serializer>(
        refusal: &Option<(Reason, Cause)>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let on_disk = match refusal {
            None => OnDisk::Ok,
            Some((reason, Cause { text, follows: None })) => OnDisk::Own(*reason, text.into()),
            Some((reason, Cause { text, follows: Some(by) })) => {
                OnDisk::Follows(*reason, text.into(), *by)
            }
        };
        on_disk.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<(Reason, Cause)>, D::Error> {
        Ok(match OnDisk::deserialize(deserializer)? {
            OnDisk::Ok => None,
            OnDisk::Own(reason, text) => Some((reason, Cause::from(text.into_owned()))),
            OnDisk::Follows(reason, text, by) => {
                Some((reason, Cause::follows(by, text.into_owned())))
            }
        })
    }
}

/// A change of a bank's durable state. New variants are only added at the end: their position is
/// their code on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The consortium as this bank knows it: the first record of every journal, and again when the
    /// list changes.
    Consortium {
        /// The position of this bank.
        bank: BankId,
        /// Addresses by position; `-` for a bank that left.
        places: Vec<String>,
    },
    /// A vote on the bytes of a transaction.
    Voted {
        /// The id of the transaction.
        tx: TxId,
        /// The time of the vote.
        time: Time,
        /// The bytes voted on.
        transaction: Arc<Transaction>,
        /// `None` for an OK vote.
        #[serde(with = "refusal")]
        refusal: Option<(Reason, Cause)>,
    },
    /// A tombstone: this bank refuses the id permanently, whatever its bytes.
    Refused {
        /// The id that is refused.
        tx: TxId,
        /// The time of the refusal.
        time: Time,
        /// The reason of the refusal.
        reason: Reason,
    },
    /// The outcome of a transaction that this bank voted OK on.
    Decided {
        /// The id of the transaction.
        tx: TxId,
        /// This bank's own vote, so that this record alone is enough to answer later.
        own: OwnVote,
        /// Committed or aborted, permanently.
        outcome: Outcome,
        /// Times of the known votes, so that a bank which forgot its vote can be notified.
        votes: Vec<(BankId, Time)>,
    },
    /// Vote and commit in one record: this bank voted last, or alone.
    Executed {
        /// The id of the transaction.
        tx: TxId,
        /// The time of the vote.
        time: Time,
        /// The time of the commit.
        committed: Time,
        /// The bytes voted on.
        transaction: Arc<Transaction>,
        /// The times of the other banks' votes.
        votes: Vec<(BankId, Time)>,
    },
    /// A client was registered.
    ClientAdded {
        /// When it was registered.
        time: Time,
        /// The client as registered.
        client: NewClient,
    },
    /// An account was opened.
    AccountOpened {
        /// When it was opened.
        time: Time,
        /// The account as opened.
        account: NewAccount,
    },
    /// The clock was moved to the time of a cut, so that no later vote gets an earlier time.
    ClockMoved {
        /// The time that the clock reached.
        time: Time,
    },
    /// This bank has forgotten a vote and must not work any more.
    Stopped {
        /// The reason, for the operator.
        why: String,
    },
    /// The outside coordinator of a transaction voted. This bank's OK is already recorded, so this
    /// is the decision.
    OutsideVoted {
        /// The id of the transaction.
        tx: TxId,
        /// This bank's own vote, so that this record alone is enough to answer later.
        own: OwnVote,
        /// The time of the outside vote, later than the own one's; for an OK, the commit's time.
        time: Time,
        /// `None` for an OK vote.
        refusal: Option<Reason>,
    },
    /// This bank drove a transaction that does not name it, and replied with its outcome. It is
    /// neither a vote nor an outcome, and no reply and no token depends on it; it exists for the
    /// history.
    Drove {
        /// The id of the transaction.
        tx: TxId,
        /// The time of the commit, or of the vote that refused.
        time: Time,
        /// The bytes of the transaction.
        transaction: Arc<Transaction>,
        /// The bank that refused, its reason and its text; `None` for a commit.
        refusal: Option<(BankId, Reason, String)>,
    },
    /// The consortium's key from here on, by its public id: the bank works with no other key.
    KeyKnown {
        /// The public id of the key.
        key: KeyId,
    },
    /// Registers that this bank, which joined later, received from another bank. Of a register that
    /// it has also set itself, the later value counts.
    RegistersLearned {
        /// The registers of one page.
        registers: Vec<SetRegister>,
        /// Whether this is the last page: from then on the bank knows its registers.
        last: bool,
    },
    /// The id of this journal: among the first records of a journal made by this version, and the
    /// first record of this version in an older one.
    Founded {
        /// The founding id of the journal.
        founding: FoundingId,
        /// Is the journal older than this record? Then the other banks know this bank.
        introduced: bool,
    },
    /// This bank has recorded the journal of another bank, which proved its identity. Only the
    /// first journal of each bank is recorded.
    Met {
        /// The bank whose journal it is.
        bank: BankId,
        /// The founding id of its journal.
        founding: FoundingId,
    },
    /// Every other bank has recorded this bank, and none has recorded another journal of it: from
    /// now on it takes part.
    Introduced {
        /// Banks that were left out, by its operator's choice.
        without: BankSet,
        /// Whether it knows its registers; if not, it learns them from a bank that does.
        knows_registers: bool,
    },
    /// A client or an account was registered, in closed mode.
    Registered {
        /// When it was registered.
        time: Time,
        /// The name of whoever registered it.
        by: Name,
        /// The client or account.
        what: Registration,
    },
}

/// What was registered. New variants are only added at the end, as for `Record`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Registration {
    /// The client as registered.
    Client(NewClient),
    /// The account as opened.
    Account(NewAccount),
}

impl Record {
    /// The transaction that this record decides, for the journal's index: the last record about
    /// that id.
    pub fn decides(&self) -> Option<&TxId> {
        match self {
            Record::Voted { tx, refusal: Some(_), .. }
            | Record::Refused { tx, .. }
            | Record::Decided { tx, .. }
            | Record::Executed { tx, .. }
            | Record::OutsideVoted { tx, .. } => Some(tx),
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

    /// The time of this bank's vote, if this record is a vote.
    pub fn vote_time(&self) -> Option<Time> {
        match self {
            Record::Voted { time, .. }
            | Record::Refused { time, .. }
            | Record::Executed { time, .. } => Some(*time),
            Record::Decided { .. }
            | Record::OutsideVoted { .. }
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

#[cfg(test)]
mod tests;
