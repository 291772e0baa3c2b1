//! What a driver hears, what it must do, and what it knows: the values that the coordinator takes
//! and gives.

use crate::commit::message::{AskedVerb, Message};
use crate::ids::{BankId, BankSet, Time};
use crate::wire::Reason;
use crate::wire::reply::Reply;
use crate::wire::token::{Digest, Said, Token};

/// Who votes when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// All banks at once: one round trip and one sync before the verdict.
    Parallel,
    /// This bank drives and votes last, so that it stays free to refuse (the last agent, Samaras et
    /// al. 1993).
    LastAgent(BankId),
}

/// Something that happened to a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Begin. These banks can't be reached: nothing was sent to them.
    Begin {
        /// Who can't be reached.
        unreachable: BankSet,
    },
    /// A bank answered this verb, and this is what its answer counts for.
    Answered(BankId, AskedVerb, Answer),
    /// What a bank was asked last stays unanswered: its connection is lost, or could not be made
    /// again.
    Lost(BankId, AskedVerb),
    /// The vote time-out, or later the wait for answers to ABORT, is over.
    TimeOut,
    /// The driving bank's own vote: asked for by `Do::VoteSelf` or `Do::RefuseSelf`, given to
    /// another's PREPARE meanwhile, or recorded before `Begin`.
    OwnVote(Token, Option<(Reason, String)>),
}

/// What an answer counts for. A bank that drives has it proved (`proof`); `cliente`, which has no
/// key, believes what the connection says that it opened to that bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What this reply says, to a driver that has no key.
    Believed(Reply),
    /// Banks hold OK on these bytes.
    Granted(Vec<Token>),
    /// A bank can never vote OK on these bytes, or they are aborted.
    Refused {
        /// What convinces the others.
        token: Token,
        /// Why.
        reason: Reason,
        /// In words; may be empty.
        text: String,
    },
    /// These bytes are committed, as these tokens prove.
    Committed(Time, Vec<Token>),
    /// The bank says COMMITTED, with this token of its OK.
    SaysCommitted(Time, Token),
    /// Nothing: it counts as silence, as an ERR does, and what answers another question.
    Nothing,
}

impl Answer {
    /// What a driver without a key takes from the answer of `bank` about the bytes with `digest`.
    pub(super) fn believed(
        bank: BankId,
        verb: AskedVerb,
        named: BankSet,
        digest: &Digest,
        reply: Reply,
    ) -> Answer {
        let other_bytes =
            |token| Answer::Refused { token, reason: Reason::DuplicateId, text: String::new() };
        match reply {
            Reply::Ok(_, token) if verb == AskedVerb::Prepare && token.bank == bank => {
                if token.grants(digest) { Answer::Granted(vec![token]) } else { other_bytes(token) }
            }
            Reply::Nok(_, token, reason, text) if token.bank == bank && token.refuses(digest) => {
                Answer::Refused { token, reason, text }
            }
            // A bank that says ABORTED and that it held an OK can never vote OK on any bytes of
            // this id again. Its statement convinces every other bank; the token beside it may be
            // that bank's own. Without a statement it has refused itself, or drives other bytes
            // under this id for others and tells how those ended: then the token says nothing of
            // ours unless they name its bank.
            Reply::Aborted(_, token, reason, statement) => {
                let token = statement.filter(|said| said.bank == bank).unwrap_or(token);
                let refuses = token.refuses(digest) || token.said == Said::Aborted;
                if named.has(token.bank) && refuses {
                    Answer::Refused { token, reason, text: String::new() }
                } else {
                    Answer::Nothing
                }
            }
            Reply::Committed(_, time, token, _) if token.bank == bank => {
                if token.grants(digest) {
                    Answer::SaysCommitted(time, token)
                } else {
                    other_bytes(token)
                }
            }
            Reply::Ok(..)
            | Reply::Nok(..)
            | Reply::Committed(..)
            | Reply::Doubt(..)
            | Reply::Unknown(_)
            | Reply::Done(_)
            | Reply::Refused(..)
            | Reply::Err(..)
            | Reply::Pong
            | Reply::Bye => Answer::Nothing,
        }
    }
}

/// What a driver must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// Send this, over a new connection if need be; its answer, or its loss, comes back as an
    /// event.
    Send(BankId, Message),
    /// Only with `LastAgent`: vote now, all others said OK. The vote comes back as an event.
    VoteSelf,
    /// Only with `LastAgent`: record a refusal, unless voted. The vote comes back as an event.
    RefuseSelf(Reason),
    /// Start the time-out (again): `VOTE_TIMEOUT_MS` from now.
    StartTimer,
    /// Tell it; comes once.
    Tell(Verdict),
}

/// What became of a transaction, as its driver knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every bank holds a durable OK: committed at this time.
    Committed(Time),
    /// A bank refused for ever.
    Aborted {
        /// Who refused: the token's bank, whoever told it.
        by: BankId,
        /// The token that it told.
        token: Token,
        /// Why.
        reason: Reason,
        /// In words; may be empty.
        text: String,
    },
    /// Not known yet: these banks are silent, and may have voted OK.
    Doubt(BankSet),
    /// No bank at all could be reached, and nothing was sent to any.
    Unreached,
}

/// How a bank stands towards a transaction, as its driver sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not asked.
    Unasked,
    /// Asked, no answer yet.
    Asked,
    /// Could not be reached, or its answer got lost, or says nothing.
    Silent,
    /// OK, with its token.
    Ok(Token),
    /// NOK, or any other refusal for ever.
    Refused(Token, Reason, String),
}
