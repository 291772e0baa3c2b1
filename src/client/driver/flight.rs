//! The state of a transaction or request under way.

use super::DriveMode;
use super::votes::{BankVote, LossCause};
use consorcio_core::commit::coordinator::{Coordinator, Do};
use consorcio_core::ids::{BankId, BankSet};
use consorcio_core::limits::ABORT_ANSWER_PART;
use std::time::Duration;
use tokio::time::Instant;

pub(super) struct InFlight<T> {
    pub(super) tag: T,
    /// `None` for a request.
    pub(super) coordinator: Option<Coordinator>,
    /// Banks that are being dialled: messages are sent once none is left.
    pub(super) opening: BankSet,
    pub(super) unreachable: BankSet,
    pub(super) timer: Option<Instant>,
    /// The time-out of the votes has passed: silent banks have used up their time.
    pub(super) is_late: bool,
    pub(super) began: Instant,
    pub(super) mode: DriveMode,
    pub(super) votes: Vec<BankVote>,
    pub(super) held: Vec<Do>,
}

impl<T> InFlight<T> {
    pub(super) fn new(tag: T, mode: DriveMode, now: Instant) -> InFlight<T> {
        InFlight {
            tag,
            coordinator: None,
            opening: BankSet::EMPTY,
            unreachable: BankSet::EMPTY,
            timer: None,
            is_late: false,
            began: now,
            mode,
            votes: Vec::new(),
            held: Vec::new(),
        }
    }

    /// How long banks have to answer what is sent now, where a vote has `within`. A bank that was
    /// silent that long is not waited for as long again.
    pub(super) fn answer_within(&self, within: Duration) -> Duration {
        if self.is_late { within / ABORT_ANSWER_PART } else { within }
    }

    pub(super) fn vote(&mut self, bank: BankId) -> Option<&mut BankVote> {
        self.votes.iter_mut().find(|vote| vote.bank == bank)
    }

    pub(super) fn not_opened(&mut self, bank: BankId, cause: &LossCause) {
        self.unreachable = self.unreachable.with(bank);
        if let Some(vote) = self.vote(bank) {
            vote.not_opened(cause);
        }
    }

    pub(super) fn lost(&mut self, bank: BankId, cause: &LossCause) {
        if let Some(vote) = self.vote(bank) {
            vote.lost(cause);
        }
    }
}
