//! The inputs, actions and states of the coordinator.

use crate::commit::message::{Message, PeerVerb};
use crate::ids::{BankId, BankSet, Time};
use crate::wire::Reason;
use crate::wire::reply::Reply;
use crate::wire::token::{Digest, Token, TokenKind};

/// In which order the banks vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// All banks at once: one round trip and one sync before the verdict.
    Parallel,
    /// This bank drives and votes last, so it can refuse until then (the last agent; Samaras et al.
    /// 1993).
    LastAgent(BankId),
}

/// An input of the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The transaction begins. Nothing was sent to these banks, because they are unreachable.
    Begin {
        /// The banks that can't be reached.
        unreachable: BankSet,
    },
    /// A bank answered a message with this verb; `Answer` is what the reply proves.
    Answered(BankId, PeerVerb, Answer),
    /// The last message to a bank stays unanswered: the connection was lost or could not be made.
    Lost(BankId, PeerVerb),
    /// The time-out for votes, or later the one for answers to ABORT, has expired.
    TimeOut,
    /// The driving bank's own vote: requested by `Do::VoteSelf` or `Do::RefuseSelf`, given to
    /// another driver's PREPARE meanwhile, or recorded before `Begin`.
    OwnVote(Token, Option<(Reason, String)>),
}

/// What a reply proves. A bank verifies its tokens (`proof`); `cliente`, which has no key, trusts
/// the connection that it opened to the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The reply itself, for a driver without the key.
    Believed(Reply),
    /// These banks hold OK on these bytes.
    Granted(Vec<Token>),
    /// A bank can never vote OK on these bytes, or they are aborted.
    Refused {
        /// The token that proves it to other banks.
        token: Token,
        /// The reason in the reply.
        reason: Reason,
        /// The text beside the reason; may be empty.
        text: String,
    },
    /// These bytes are committed, as these tokens prove.
    Committed(Time, Vec<Token>),
    /// The bank replied COMMITTED, with this token of its OK.
    RepliedCommitted(Time, Token),
    /// Nothing: an ERR, or a reply that does not fit the request. Counts as no reply.
    Nothing,
}

impl Answer {
    /// What a driver without the key concludes from the reply of `bank` about the bytes with
    /// `digest`.
    pub(super) fn believed(
        bank: BankId,
        verb: PeerVerb,
        named: BankSet,
        digest: &Digest,
        reply: Reply,
    ) -> Answer {
        let other_bytes =
            |token| Answer::Refused { token, reason: Reason::DuplicateId, text: String::new() };
        match reply {
            Reply::Ok(_, token) if verb == PeerVerb::Prepare && token.bank == bank => {
                if token.grants(digest) { Answer::Granted(vec![token]) } else { other_bytes(token) }
            }
            Reply::Nok(_, token, reason, text) if token.bank == bank && token.refuses(digest) => {
                Answer::Refused { token, reason, text }
            }
            // A bank that replies ABORTED and held an OK can never vote OK on any bytes of this id
            // again. Its statement proves that to every other bank; the token beside it may be its
            // own. Without a statement the bank has refused, or it drove other bytes under this id
            // and reports their outcome: then the token proves nothing about ours, unless they name
            // its bank.
            Reply::Aborted(_, token, reason, statement) => {
                let token = statement.filter(|said| said.bank == bank).unwrap_or(token);
                let refuses = token.refuses(digest) || token.kind == TokenKind::Aborted;
                if named.has(token.bank) && refuses {
                    Answer::Refused { token, reason, text: String::new() }
                } else {
                    Answer::Nothing
                }
            }
            Reply::Committed(_, time, token, _) if token.bank == bank => {
                if token.grants(digest) {
                    Answer::RepliedCommitted(time, token)
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
            | Reply::Help(_)
            | Reply::Bye => Answer::Nothing,
        }
    }
}

/// An action that the driver must perform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// Send this message, on a new connection if necessary; its answer, or its loss, returns as an
    /// event.
    Send(BankId, Message),
    /// Only with `LastAgent`: vote now, since all others voted OK. The vote returns as an event.
    VoteSelf,
    /// Only with `LastAgent`: record a refusal, unless voted. The vote returns as an event.
    RefuseSelf(Reason),
    /// Start the time-out, or restart it: `VOTE_TIMEOUT_MS` from now.
    StartTimer,
    /// Report the verdict to the client; happens once.
    Report(Verdict),
}

/// The result of a transaction, as far as its driver knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every bank holds a durable OK: committed at this time.
    Committed(Time),
    /// A bank refused, permanently.
    Aborted {
        /// The bank that refused, not the one that reported it.
        by: BankId,
        /// The token in the reply.
        token: Token,
        /// The reason of the refusal.
        reason: Reason,
        /// The text beside the reason; may be empty.
        text: String,
    },
    /// Not known yet: these banks did not answer, and may have voted OK.
    Doubt(BankSet),
    /// No bank was reachable, and nothing was sent.
    Unreached,
}

/// What a driver knows of one bank's vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not asked to vote.
    Unasked,
    /// Asked to vote, no answer yet.
    Asked,
    /// Unreachable, or its answer was lost or unusable.
    Silent,
    /// It voted OK, with this token.
    Ok(Token),
    /// It refused permanently, with this token, reason and text.
    Refused(Token, Reason, String),
}
