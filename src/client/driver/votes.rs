//! How each bank took a transaction, as its driver saw it: for people.

use crate::error::ClientError;
use consorcio_core::commit::coordinator::{Coordinator, Standing, Verdict};
use consorcio_core::commit::message::AskedVerb;
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::wire::reply::Reply;
use std::time::Duration;

/// What became of a transaction that this program drove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrivenTransaction {
    /// The id of the transaction.
    pub tx: TxId,
    /// What became of it.
    pub verdict: Verdict,
    /// Each bank that it names, by position.
    pub votes: Vec<BankVote>,
    /// From the first message to the verdict.
    pub took: Duration,
}

/// How one bank took a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankVote {
    /// The position of the bank that is meant.
    pub bank: BankId,
    /// Where it listens, as `host:port`.
    pub address: String,
    /// Its vote, as the coordinator sees it.
    pub standing: Standing,
    /// How long its vote took.
    pub took: Option<Duration>,
    /// Why it can't be reached, or what it said instead of a vote.
    pub trouble: Option<String>,
    /// Could it be connected to at the beginning?
    pub reached: bool,
    /// Where it is known that nothing was executed or recorded, as another than the bank was met,
    /// or as the bank said so: what that means.
    pub nothing_done: Option<ClientError>,
    /// Has it confirmed the outcome?
    pub confirmed: bool,
    /// Was it ever asked to vote?
    asked_to_vote: bool,
    /// Was it ever sent anything about this transaction?
    contacted: bool,
}

/// Why something stays unanswered.
#[derive(Debug, Clone)]
pub(super) struct LossCause {
    /// The same in a few words.
    pub(super) why: String,
    /// Where it is known that nothing of it was executed: what that means.
    pub(super) nothing_done: Option<ClientError>,
}

impl DrivenTransaction {
    /// How many banks voted OK.
    pub fn oks(&self) -> usize {
        self.votes.iter().filter(|vote| matches!(vote.standing, Standing::Ok(_))).count()
    }

    /// Why no bank at all executed or recorded anything, where that is known: each was out of
    /// reach, or another than the bank that was meant, or said so, or was never sent anything.
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
            trouble: None,
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

    /// It could not be connected to at the beginning.
    pub(super) fn not_opened(&mut self, cause: &LossCause) {
        self.reached = cause.nothing_done.is_some();
        self.trouble = Some(cause.why.clone());
        self.nothing_done = cause.nothing_done.clone();
    }

    /// It is sent a message with this verb.
    pub(super) fn sent(&mut self, verb: AskedVerb) {
        self.contacted = true;
        self.asked_to_vote |= verb == AskedVerb::Prepare;
    }

    /// What it was sent stays unanswered.
    pub(super) fn lost(&mut self, cause: &LossCause) {
        self.trouble = Some(cause.why.clone());
        if cause.nothing_done.is_some() {
            self.nothing_done = cause.nothing_done.clone();
        }
    }

    /// It answered.
    pub(super) fn answered(&mut self, verb: AskedVerb, reply: &Reply, took: Duration) {
        match verb {
            AskedVerb::Prepare => self.took = Some(took),
            AskedVerb::Abort | AskedVerb::Resolve | AskedVerb::Registers => {
                self.took.get_or_insert(took);
                self.confirmed = matches!(reply, Reply::Aborted(..));
            }
            AskedVerb::Commit => self.confirmed = matches!(reply, Reply::Committed(..)),
        }
        match reply {
            Reply::Err(reason, text) | Reply::Refused(reason, text) => {
                self.trouble = Some(format!("{reason}: {text}"));
                // It answers so where it holds no vote on the id. An ABORT that it says this to may
                // have come before a PREPARE that was lost on another connection.
                if reason.nothing_recorded() && (verb == AskedVerb::Prepare || !self.asked_to_vote)
                {
                    self.nothing_done = Some(ClientError::Refused {
                        bank: self.bank,
                        reason: *reason,
                        text: text.clone(),
                    });
                }
            }
            Reply::Doubt(_, text) => self.trouble = Some(text.clone()),
            Reply::Ok(..)
            | Reply::Nok(..)
            | Reply::Committed(..)
            | Reply::Aborted(..)
            | Reply::Unknown(_)
            | Reply::Done(_)
            | Reply::Pong
            | Reply::Bye => {}
        }
    }
}

/// Takes over how the coordinator sees each bank.
pub(super) fn take_standings(votes: &mut [BankVote], coordinator: &Coordinator) {
    for ((_, standing), vote) in coordinator.standings().zip(votes) {
        if vote.standing != *standing {
            vote.standing = standing.clone();
        }
    }
}

/// How many banks said OK, of how many.
pub(super) fn oks(coordinator: &Coordinator) -> (usize, usize) {
    let ok = |(_, standing): &(BankId, &Standing)| matches!(standing, Standing::Ok(_));
    (coordinator.standings().filter(ok).count(), coordinator.standings().count())
}
