//! Records: the journal's entries, and the only way a bank changes.

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

/// Words beside the reason of a refusal, and whose refusal it is where this bank only follows
/// another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    text: String,
    follows: Option<BankId>,
}

impl Cause {
    /// This bank takes over the refusal of the bank `by`.
    pub fn follows(by: BankId, text: String) -> Cause {
        Cause { text, follows: Some(by) }
    }

    /// The words, for people.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The bank whose refusal this bank took over; none where it refused by itself.
    pub fn refuser(&self) -> Option<BankId> {
        // Records of the first format told it in their words alone; no bank's own refusal begins
        // with these.
        self.follows.or_else(|| {
            let words = self.text.strip_prefix("bank ")?;
            let (bank, rest) = words.split_once(" refused")?;
            let is_all = rest.is_empty() || rest.starts_with(' ');
            bank.parse().ok().filter(|_| is_all).and_then(BankId::new)
        })
    }
}

impl From<String> for Cause {
    /// This bank's own refusal.
    fn from(text: String) -> Cause {
        Cause { text, follows: None }
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Cause {
        Cause::from(text.to_owned())
    }
}

/// A refusal on disk. The first two have the bytes of an `Option<(Reason, String)>`, which the
/// first format wrote.
mod refusal {
    use super::{BankId, Cause, Reason};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::borrow::Cow;

    /// Variants are only ever added at the end: their position is their code on disk.
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

/// One change of a bank. Variants are only ever added at the end: their position is their code on
/// disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The consortium as this bank knows it: first in every journal, and again when the list
    /// changes.
    Consortium {
        /// This bank's position.
        bank: BankId,
        /// Addresses by position; `-` where a bank left.
        places: Vec<String>,
    },
    /// A vote on a transaction's bytes.
    Voted {
        /// Its id.
        tx: TxId,
        /// The vote's time.
        time: Time,
        /// The bytes.
        transaction: Arc<Transaction>,
        /// `None` is OK.
        #[serde(with = "refusal")]
        refusal: Option<(Reason, Cause)>,
    },
    /// A tombstone: this bank refuses the id for ever, whatever its bytes.
    Refused {
        /// The id.
        tx: TxId,
        /// The refusal's time.
        time: Time,
        /// Why.
        reason: Reason,
    },
    /// The outcome of a transaction that this bank voted OK on.
    Decided {
        /// Its id.
        tx: TxId,
        /// This bank's own vote, so that this record alone answers for the transaction later.
        own: OwnVote,
        /// What became of it.
        outcome: Outcome,
        /// Times of the votes that are known, so that a bank that forgot one can be told.
        votes: Vec<(BankId, Time)>,
    },
    /// Vote and commit in one: this bank voted last, or alone.
    Executed {
        /// Its id.
        tx: TxId,
        /// The vote's time.
        time: Time,
        /// The commit's time.
        committed: Time,
        /// The bytes.
        transaction: Arc<Transaction>,
        /// Times of the votes of the others.
        votes: Vec<(BankId, Time)>,
    },
    /// A client was registered.
    ClientAdded {
        /// When.
        time: Time,
        /// Who.
        client: NewClient,
    },
    /// An account was opened.
    AccountOpened {
        /// When.
        time: Time,
        /// Which.
        account: NewAccount,
    },
    /// The clock was moved to a time that was asked for, so that no later vote falls under it.
    ClockMoved {
        /// To.
        time: Time,
    },
    /// This bank forgot a promise and must not work any more.
    Stopped {
        /// Why, for the operator.
        why: String,
    },
    /// The outside coordinator of a transaction voted. This bank's OK stands already, so this is
    /// the decision.
    OutsideVoted {
        /// The transaction's id.
        tx: TxId,
        /// This bank's own vote, so that this record alone answers for the transaction later.
        own: OwnVote,
        /// The outside vote's time, later than the own one's: the commit's, if it is one.
        time: Time,
        /// `None` is OK.
        refusal: Option<Reason>,
    },
    /// This bank drove a transaction that does not name it, and told its caller what became of it.
    /// It is no vote and no outcome, nobody's reply rests on it, and no token; it is there for
    /// those who look for what they asked for.
    Drove {
        /// The transaction's id.
        tx: TxId,
        /// The commit's time, or that of the vote that refused.
        time: Time,
        /// The bytes.
        transaction: Arc<Transaction>,
        /// The bank that refused, why, and its words; `None`: committed.
        refusal: Option<(BankId, Reason, String)>,
    },
    /// The consortium's key from here on, by its public id: a bank works with no other.
    KeyKnown {
        /// The key's id.
        key: KeyId,
    },
    /// Registers that another bank told this one, which came later; of those that it set itself
    /// meanwhile the later setting counts.
    RegistersLearned {
        /// A page of them.
        registers: Vec<SetRegister>,
        /// These are the last: from now on this bank knows its registers.
        last: bool,
    },
    /// What tells this journal from every other one of its bank: one of the first records of a
    /// journal that was made by this version, and the first of this version in an older one.
    Founded {
        /// The founding id.
        founding: FoundingId,
        /// Is the journal older than this record? Then other banks know its bank.
        introduced: bool,
    },
    /// This bank has met another one, which has proved itself, with this journal. A bank remembers
    /// the first one.
    Met {
        /// Whom.
        bank: BankId,
        /// Its journal.
        founding: FoundingId,
    },
    /// Every other bank has met this one, and none had met it with another journal: it takes part
    /// from here on.
    Introduced {
        /// Banks that are left out, as its operator said.
        without: BankSet,
        /// Does it know its registers? If not, it learns them from a bank that does.
        knows_registers: bool,
    },
}

impl Record {
    /// The transaction that this record decides, for the journal's index: its last word on that id.
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
            | Record::Drove { .. } => None,
        }
    }

    /// When this bank voted, if this record is its vote on a transaction.
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
            | Record::Drove { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
