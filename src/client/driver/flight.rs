//! The state of a transaction or request under way.

use super::DriveMode;
use super::votes::{BankVote, LossCause};
use consorcio_core::commit::coordinator::{Coordinator, Do};
use consorcio_core::ids::{BankId, BankSet};
use tokio::time::Instant;

pub(super) struct InFlight<T> {
    pub(super) tag: T,
    /// `None` for a request.
    pub(super) coordinator: Option<Coordinator>,
    /// Banks that are being dialled: messages are sent once none is left.
    pub(super) opening: BankSet,
    pub(super) unreachable: BankSet,
    pub(super) timer: Option<Instant>,
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
            began: now,
            mode,
            votes: Vec::new(),
            held: Vec::new(),
        }
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
