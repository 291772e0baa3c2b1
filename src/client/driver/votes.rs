//! The vote of each bank, as the driver saw it, for people.

use crate::error::ClientError;
use consorcio_core::commit::coordinator::{Coordinator, Standing, Verdict};
use consorcio_core::commit::message::PeerVerb;
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::wire::reply::Reply;
use std::time::Duration;

/// A transaction that this program drove, and its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrivenTransaction {
    /// The id of the transaction.
    pub tx: TxId,
    /// The verdict of the transaction.
    pub verdict: Verdict,
    /// The vote of each bank that it names, by position.
    pub votes: Vec<BankVote>,
    /// The time from the first message to the verdict.
    pub took: Duration,
}

/// The vote of a bank on a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankVote {
    /// The position of the bank.
    pub bank: BankId,
    /// Where it listens, as `host:port`.
    pub address: String,
    /// Its vote, as the coordinator sees it.
    pub standing: Standing,
    /// The time that its vote took.
    pub took: Option<Duration>,
    /// Why it can't be reached, or its reply instead of a vote.
    pub problem: Option<String>,
    /// Whether it could be connected to at the beginning.
    pub reached: bool,
    /// The error, if it is certain that nothing was executed or recorded: the address belongs to
    /// another program, or the bank replied so.
    pub nothing_done: Option<ClientError>,
    /// Whether it has confirmed the outcome.
    pub confirmed: bool,
    /// Whether it was ever asked to vote.
    asked_to_vote: bool,
    /// Whether any message about this transaction was sent to it.
    contacted: bool,
}

/// Why a message will not be answered.
#[derive(Debug, Clone)]
pub(super) struct LossCause {
    /// The cause, in short.
    pub(super) why: String,
    /// The error, if it is certain that nothing of it was executed.
    pub(super) nothing_done: Option<ClientError>,
}

impl DrivenTransaction {
    /// The number of banks that voted OK.
    pub fn oks(&self) -> usize {
        self.votes.iter().filter(|vote| matches!(vote.standing, Standing::Ok(_))).count()
    }

    /// The error, if it is certain that no bank executed or recorded anything: each was out of
    /// reach or another program, replied so, or was never sent a message.
    pub fn nothing_done(&self) -> Option<&ClientError> {
        let none = self.votes.iter().all(BankVote::did_nothing);
        let mut errors = self.votes.iter().filter_map(|vote| vote.nothing_done.as_ref());
        let wrong_list =
            errors.clone().find(|error| matches!(error, ClientError::OtherBank { .. }));
        wrong_list.or_else(|| errors.next()).filter(|_| none)
    }
}

impl BankVote {
    pub(super) fn new(bank: BankId, address: String) -> BankVote {
        BankVote {
            bank,
            address,
            standing: Standing::Unasked,
            took: None,
            problem: None,
            reached: true,
            nothing_done: None,
            asked_to_vote: false,
            contacted: false,
            confirmed: false,
        }
    }

    fn did_nothing(&self) -> bool {
        self.nothing_done.is_some() || !self.reached || !self.contacted
    }

    /// Records that the bank could not be connected to.
    pub(super) fn not_opened(&mut self, cause: &LossCause) {
        self.reached = cause.nothing_done.is_some();
        self.problem = Some(cause.why.clone());
        self.nothing_done = cause.nothing_done.clone();
    }

    /// Records that a message with this verb is sent.
    pub(super) fn sent(&mut self, verb: PeerVerb) {
        self.contacted = true;
        self.asked_to_vote |= verb == PeerVerb::Prepare;
    }

    /// Records that a message will not be answered.
    pub(super) fn lost(&mut self, cause: &LossCause) {
        self.problem = Some(cause.why.clone());
        if cause.nothing_done.is_some() {
            self.nothing_done = cause.nothing_done.clone();
        }
    }

    /// Records a reply of the bank.
    pub(super) fn answered(&mut self, verb: PeerVerb, reply: &Reply, took: Duration) {
        match verb {
            PeerVerb::Prepare => self.took = Some(took),
            PeerVerb::Abort | PeerVerb::Resolve | PeerVerb::Registers => {
                self.took.get_or_insert(took);
                self.confirmed = matches!(reply, Reply::Aborted(..));
            }
            PeerVerb::Commit => self.confirmed = matches!(reply, Reply::Committed(..)),
        }
        match reply {
            Reply::Err(reason, text) | Reply::Refused(reason, text) => {
                self.problem = Some(format!("{reason}: {text}"));
                // A bank replies so if it holds no vote on the id. But an ABORT may have arrived
                // before a PREPARE that was sent on another, lost connection.
                if reason.nothing_recorded() && (verb == PeerVerb::Prepare || !self.asked_to_vote) {
                    self.nothing_done = Some(ClientError::Refused {
                        bank: self.bank,
                        reason: *reason,
                        text: text.clone(),
                    });
                }
            }
            Reply::Doubt(_, text) => self.problem = Some(text.clone()),
            Reply::Ok(..)
            | Reply::Nok(..)
            | Reply::Committed(..)
            | Reply::Aborted(..)
            | Reply::Unknown(_)
            | Reply::Done(_)
            | Reply::Pong
            | Reply::Help(_)
            | Reply::Bye => {}
        }
    }
}

/// Copies the standing of each bank from the coordinator.
pub(super) fn take_standings(votes: &mut [BankVote], coordinator: &Coordinator) {
    for ((_, standing), vote) in coordinator.standings().zip(votes) {
        if vote.standing != *standing {
            vote.standing = standing.clone();
        }
    }
}

/// The number of banks that voted OK, and of all banks.
pub(super) fn oks(coordinator: &Coordinator) -> (usize, usize) {
    let ok = |(_, standing): &(BankId, &Standing)| matches!(standing, Standing::Ok(_));
    (coordinator.standings().filter(ok).count(), coordinator.standings().count())
}
