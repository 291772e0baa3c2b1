//! The only function that changes the volatile state.

use super::*;

impl Volatile {
    /// Applies one change of the volatile state.
    #[expect(clippy::too_many_lines, reason = "a flat table: one arm a change")]
    pub(in crate::bank) fn change(&mut self, change: &Change) {
        match change {
            Change::Started(mono_us, start) => {
                self.started_us = *mono_us;
                self.introduce_without = start.introduce_without;
                self.learning.run = start.run;
            }
            Change::MetBy(peer) => self.met_by = self.met_by.with(*peer),
            Change::Forgot(why) => self.forgot = Some(why.clone()),
            Change::InDoubt(tx, in_doubt) => self.in_doubt(tx, in_doubt),
            Change::Ask(tx, banks) => {
                if let Some(in_doubt) = self.in_doubt.get_mut(tx) {
                    in_doubt.asking = true;
                    for bank in banks.iter() {
                        self.peers[bank.index()].questions.insert((in_doubt.voted, tx.clone()));
                    }
                }
            }
            Change::Granted(tx, token) => {
                if let Some(in_doubt) = self.in_doubt.get_mut(tx) {
                    in_doubt.granted.retain(|known| known.bank != token.bank);
                    in_doubt.granted.push(*token);
                }
            }
            Change::Ended(tx) => self.ended(tx),
            Change::Questioned(bank, tx, time) => {
                let peer = &mut self.peers[bank.index()];
                peer.questions.remove(&(*time, tx.clone()));
                peer.under_way.insert(tx.clone(), *time);
            }
            Change::Answered(bank, tx, again_us) => {
                let peer = &mut self.peers[bank.index()];
                let time = peer.under_way.remove(tx);
                if let (Some(time), Some(again_us)) = (time, again_us)
                    && self.in_doubt.has(tx)
                {
                    peer.questions.insert((time, tx.clone()));
                    peer.paused_until_us = *again_us;
                }
            }
            Change::Link(bank, up) => {
                self.peers[bank.index()].up = *up;
                self.peers[bank.index()].paused_until_us = 0;
            }
            Change::KnownAtEnd(bank, vote) => {
                self.peers[bank.index()].known_at_end = Some(vote.clone())
            }
            Change::SessionEnded(session) => {
                if self.first_of(*session).is_some() {
                    self.gone.insert(*session);
                }
                // Waiters of this session stay: the session table drops their replies.
            }
            Change::Orphaned(session, count) => {
                for _ in 0..*count {
                    let Some(first) = self.first_of(*session) else { break };
                    self.by_session.remove(&first);
                }
                if self.first_of(*session).is_none() {
                    self.gone.remove(session);
                }
            }
            Change::Untimed(left) => self.untimed.clone_from(left),
            Change::Drive(tx, drive) => self.drive(tx, drive.as_deref()),
            Change::Wait(waiter) => {
                self.waiting.insert((waiter.waits.clone(), self.next_waiter));
                self.waiters.insert(self.next_waiter, waiter.clone());
                self.next_waiter += 1;
            }
            Change::Served(waiter) => self.served(*waiter),
            Change::CutWaits(due_us, time) => self.cut_watch.waits.push_back((*due_us, *time)),
            Change::CutsAsked(waits, time) => self.cut_watch.processed(*waits, *time),
            Change::TimersSeen(timers, with_patience, drives) => {
                self.timers.drain(..(*timers).min(self.timers.len()));
                for _ in 0..*with_patience {
                    self.patience_timers.pop_first();
                }
                for _ in 0..*drives {
                    self.drive_timers.pop_first();
                }
            }
            Change::LearnRequested(peer, nonce) => {
                self.learning.asked += 1;
                self.learning.last = Some(*peer);
                self.learning.under_way = Some((*peer, nonce.clone()));
            }
            Change::LearnedPage(after) => {
                self.learning.under_way = None;
                self.learning.failed = 0;
                self.learning.after.clone_from(after);
            }
            Change::LearnFailed(paused_until_us) => {
                self.learning.under_way = None;
                self.learning.failed += 1;
                self.learning.paused_until_us = *paused_until_us;
            }
            Change::Access(access, removed) => {
                self.access = Arc::clone(access);
                self.removed.extend(removed.iter().map(|name| (name.clone(), None)));
            }
            Change::RemovedAsked(name, Some(tx)) => {
                self.removed.insert(name.clone(), Some(tx.clone()));
            }
            Change::RemovedAsked(name, None) => {
                self.removed.remove(name);
            }
            Change::CutMark(mono_us, time, forget) => {
                self.cut_marks.push_back((*mono_us, *time));
                if let Some(forget) = forget {
                    while self.cut_marks.front().is_some_and(|(_, time)| time <= forget) {
                        self.cut_marks.pop_front();
                    }
                }
            }
        }
    }
}
