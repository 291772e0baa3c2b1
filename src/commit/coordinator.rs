//! The coordinator: one pure state machine, used by `cliente` and by a bank that drives.

use crate::bank::io::{AskedVerb, Message};
use crate::commit::token::Token;
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::wire::Reason;
use crate::wire::reply::Reply;
use crate::wire::transaction::Transaction;
use std::sync::Arc;

/// Who votes when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// All banks at once: one round trip and one sync before the verdict.
    Parallel,
    /// This bank drives and votes last, so that it stays free to refuse (the last agent, Samaras et al. 1993).
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
    /// A bank answered this verb.
    Answered(BankId, AskedVerb, Reply),
    /// A bank's connection is lost or was never made; what it was asked stays unanswered.
    Lost(BankId),
    /// The vote time-out, or later the wait for answers to ABORT, is over.
    TimeOut,
    /// The driving bank's own vote, when it was asked for by `Do::VoteSelf` or given to another's PREPARE.
    OwnVote(Token, Option<(Reason, String)>),
}

/// What a driver must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// Send this; its answer comes back as an event.
    Send(BankId, Message),
    /// Only with `LastAgent`: vote now; all others said OK with these votes.
    VoteSelf,
    /// Only with `LastAgent`: record a refusal, unless voted.
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
    /// This bank refused for ever; `None` where nothing was sent to any bank.
    Aborted {
        /// Who refused.
        by: BankId,
        /// The refusing vote's token.
        token: Token,
        /// Why.
        reason: Reason,
        /// In words.
        text: String,
    },
    /// Not known yet: these banks are silent, and may have voted OK.
    Doubt(BankSet),
}

/// How a bank stands towards a transaction, as its driver sees it; for showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not asked.
    Unasked,
    /// Asked, no answer yet.
    Asked,
    /// Could not be reached, or was silent.
    Silent,
    /// OK, with its token.
    Ok(Token),
    /// NOK, or any other refusal for ever.
    Refused(Token, Reason, String),
}

/// A driver of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coordinator {
    tx: TxId,
    transaction: Arc<Transaction>,
    strategy: Strategy,
}

impl Coordinator {
    /// A driver of `transaction` under `tx`; it begins with `Event::Begin`.
    pub fn new(tx: TxId, transaction: Arc<Transaction>, strategy: Strategy) -> Coordinator {
        Coordinator { tx, transaction, strategy }
    }

    /// What follows from `event`.
    pub fn on(&mut self, event: Event) -> Vec<Do> {
        let _ = (event, &self.tx, &self.transaction, self.strategy);
        Vec::new()
    }

    /// How each named bank stands, by position.
    pub fn standings(&self) -> impl Iterator<Item = (BankId, &Standing)> {
        std::iter::empty()
    }

    /// Have all banks that were sent COMMIT or ABORT answered (or got lost)? Then a driver may leave.
    pub fn is_done(&self) -> bool {
        true
    }
}
