//! A transaction or request under way.

use super::Keeping;
use super::votes::{BankVote, LossCause};
use consorcio_core::commit::coordinator::{Coordinator, Do};
use consorcio_core::ids::{BankId, BankSet};
use tokio::time::Instant;

/// A transaction or request under way.
pub(super) struct InFlight<T> {
    pub(super) tag: T,
    /// None for a request.
    pub(super) coordinator: Option<Coordinator>,
    /// Banks that it waits for before anything is asked of any.
    pub(super) opening: BankSet,
    pub(super) unreachable: BankSet,
    pub(super) timer: Option<Instant>,
    pub(super) began: Instant,
    pub(super) keeping: Keeping,
    pub(super) votes: Vec<BankVote>,
    pub(super) held: Vec<Do>,
}

impl<T> InFlight<T> {
    pub(super) fn new(tag: T, keeping: Keeping, now: Instant) -> InFlight<T> {
        InFlight {
            tag,
            coordinator: None,
            opening: BankSet::EMPTY,
            unreachable: BankSet::EMPTY,
            timer: None,
            began: now,
            keeping,
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
