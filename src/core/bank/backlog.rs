//! Work whose amount others determine: the undecided transactions of a session that ended, those
//! of a name that was taken out, those of a restart, and timers that are due. One decision
//! processes a bounded amount and saves its position; ticks process the rest. So neither a
//! session's end nor a restart delays other requests, and a batch stays within its bounds.

use crate::bank::Change;
use crate::bank::decide::Deciding;
use crate::bank::io::{DoubtCause, SessionId, Start};
use crate::bank::known::Prepared;
use crate::bank::volatile::{InDoubt, Untimed};
use crate::ids::TxId;
use crate::limits::{
    OUTCOME_RECORD_BYTES_MAX, OUTSIDE_VOTE_MS_MAX, STEP_BYTES_MAX, STEP_ITEMS_MAX,
};
use crate::wire::Reason;

/// How much one decision may still process.
pub(super) struct WorkBudget {
    items: usize,
    bytes: usize,
}

impl WorkBudget {
    fn full() -> WorkBudget {
        WorkBudget { items: STEP_ITEMS_MAX, bytes: STEP_BYTES_MAX }
    }

    /// Takes one item whose records have at most `bytes` bytes; the first item always fits.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let fits = self.items > 0 && (bytes <= self.bytes || self.bytes == STEP_BYTES_MAX);
        if fits {
            self.items -= 1;
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        fits
    }

    pub(super) fn is_spent(&self) -> bool {
        self.items == 0 || self.bytes < OUTCOME_RECORD_BYTES_MAX
    }
}

impl Deciding<'_> {
    pub(super) fn closed(&mut self, session: SessionId) {
        self.change(Change::SessionEnded(session));
        self.orphans(session, &mut WorkBudget::full());
    }

    pub(super) fn started(&mut self, start: &Start) {
        self.change(Change::Started(self.now.mono_us, *start));
        self.bank.members.without(self.bank.me()).iter().for_each(|peer| self.known_at_end(peer));
        self.change(Change::CutMark(self.now.mono_us, self.bank.clock, None));
        self.restored(&Untimed::All, &mut WorkBudget::full());
    }

    pub(super) fn tick(&mut self) {
        let mut budget = WorkBudget::full();
        self.timers(&mut budget);
        let (volatile, now) = (self.volatile, self.now.mono_us);
        let over = volatile.waiters.iter().take_while(|(_, waiter)| waiter.deadline_us <= now);
        let over: Vec<u64> = over.take_while(|_| budget.take(0)).map(|(id, _)| *id).collect();
        for waiter in over {
            self.wait_timed_out(waiter);
        }
        for session in &volatile.gone {
            if budget.is_spent() {
                break;
            }
            self.orphans(*session, &mut budget);
        }
        self.owners_gone(&mut budget);
        self.cuts_waited(&mut budget);
        self.restored(&volatile.untimed, &mut budget);
        self.mark_cut();
        self.learn();
        if volatile.peers.iter().any(|peer| peer.up && !peer.questions.is_empty()) {
            self.put_questions();
        }
    }

    /// Processes timers that are due, the earliest first.
    fn timers(&mut self, budget: &mut WorkBudget) {
        let (volatile, now) = (self.volatile, self.now.mono_us);
        let is_due = |timer: &&(u64, TxId)| timer.0 <= now;
        let mut outcome = |_: &&(u64, TxId)| budget.take(OUTCOME_RECORD_BYTES_MAX);
        let timers = volatile.timers.iter().take_while(is_due).take_while(&mut outcome).count();
        let with_patience =
            volatile.patience_timers.iter().take_while(is_due).take_while(&mut outcome).count();
        // A driver that times out may record a refusal, with the transaction's bytes.
        let refusal = |(_, tx): &&(u64, TxId)| {
            let text = volatile
                .drives
                .get(tx)
                .map_or(0, |drive| drive.coordinator.transaction().text().len());
            budget.take(OUTCOME_RECORD_BYTES_MAX + text)
        };
        let drives = volatile.drive_timers.iter().take_while(is_due).take_while(refusal).count();
        if timers + with_patience + drives == 0 {
            return;
        }
        self.change(Change::TimersSeen(timers, with_patience, drives));
        for (_, tx) in volatile
            .timers
            .iter()
            .take(timers)
            .chain(volatile.patience_timers.iter().take(with_patience))
        {
            match self.bank.undecided.get(tx) {
                Some(prepared) if prepared.transaction.has_outside() => {
                    self.outside_votes(tx, prepared, Some(Reason::Expired));
                }
                Some(prepared) => self.ask(tx, prepared, DoubtCause::TimeOut),
                None => {}
            }
        }
        for (_, tx) in volatile.drive_timers.iter().take(drives) {
            self.drive_timed_out(tx);
        }
    }

    /// Asks about the first transactions of a session that ended, since their driver is gone.
    fn orphans(&mut self, session: SessionId, budget: &mut WorkBudget) {
        let mut seen = 0;
        for tx in self.volatile.of_session(session) {
            if !budget.take(OUTCOME_RECORD_BYTES_MAX) {
                break;
            }
            seen += 1;
            if let Some(prepared) = self.bank.undecided.get(tx) {
                self.ask(tx, prepared, DoubtCause::DriverGone);
            }
        }
        self.change(Change::Orphaned(session, seen));
    }

    /// Asks about transactions that were undecided before the restart.
    fn restored(&mut self, from: &Untimed, budget: &mut WorkBudget) {
        let after = match from {
            Untimed::None => return,
            Untimed::All => None,
            Untimed::After(tx) => Some(tx),
        };
        let (bank, volatile) = (self.bank, self.volatile);
        let mut left = from.clone();
        for (tx, prepared) in bank.undecided.after(after) {
            if !budget.take(OUTCOME_RECORD_BYTES_MAX) {
                return self.change(Change::Untimed(left));
            }
            // If it is in this map, it was voted on or asked about since the restart.
            if !volatile.in_doubt.has(tx) {
                self.ask(tx, prepared, DoubtCause::Restart);
            }
            left = Untimed::After(tx.clone());
        }
        if volatile.untimed != Untimed::None {
            self.change(Change::Untimed(Untimed::None));
        }
    }

    /// The state of a transaction from before the restart: it is asked about at once, but an
    /// outside coordinator gets its full time again.
    pub(super) fn restored_in_doubt(&self, prepared: &Prepared) -> InDoubt {
        let wait_ms = if prepared.transaction.has_outside() { OUTSIDE_VOTE_MS_MAX } else { 0 };
        InDoubt::with_deadline(prepared.time, self.now.mono_us + wait_ms * 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_with_its_items_or_its_bytes_but_any_first_item_fits() {
        let taken = |each: usize| {
            let mut budget = WorkBudget::full();
            (0..2 * STEP_ITEMS_MAX).take_while(|_| budget.take(each)).count()
        };
        assert_eq!(taken(0), STEP_ITEMS_MAX);
        assert_eq!(taken(STEP_BYTES_MAX / 4), 4);
        assert_eq!(taken(STEP_BYTES_MAX / 4 + 1), 3);
        assert_eq!(taken(STEP_BYTES_MAX), 1);
        assert_eq!(taken(STEP_BYTES_MAX + 1), 1, "the first item always fits");
    }

    #[test]
    fn a_budget_is_spent_when_no_outcome_fits() {
        let spent = |items, bytes| WorkBudget { items, bytes }.is_spent();
        assert!(!WorkBudget::full().is_spent());
        assert!(!spent(1, OUTCOME_RECORD_BYTES_MAX));
        assert!(spent(1, OUTCOME_RECORD_BYTES_MAX - 1));
        assert!(spent(0, STEP_BYTES_MAX));
    }
}
