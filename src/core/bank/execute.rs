//! EXECUTE: a caller asks this bank to drive a transaction.

use crate::bank::decide::Deciding;
use crate::bank::drive::verdict_reply;
use crate::bank::io::{After, Caller, Outcome, OwnVote, Past};
use crate::bank::known::Known;
use crate::bank::volatile::Waits;
use crate::bank::vote::Arrival;
use crate::commit::coordinator::{Coordinator, Strategy};
use crate::ids::TxId;
use crate::wire::detail::Detail;
use crate::wire::reply::Reply;
use crate::wire::token::Vote;
use crate::wire::transaction::Transaction;
use crate::wire::{Fault, Reason};
use std::sync::Arc;

impl Deciding<'_> {
    pub(super) fn execute(
        &mut self,
        caller: Caller,
        tx: &TxId,
        transaction: &Arc<Transaction>,
        arrival: Arrival,
        past: Option<&Past>,
    ) {
        if !transaction.banks().has(self.bank.me()) {
            return self.execute_without_part(caller, tx, transaction, arrival);
        }
        let digest = transaction.digest();
        match self.bank.known(tx, past) {
            Known::Ended(ended) => {
                let same = ended.own.digest.is_none_or(|own| own == *digest);
                let reply = if same {
                    self.outcome_reply(tx, &ended)
                } else {
                    self.other_bytes(tx, &ended.own)
                };
                self.reply(caller, reply, ended.after);
            }
            Known::Prepared(prepared) if *prepared.transaction.digest() != *digest => {
                let reply = self.other_bytes(tx, &prepared.own());
                self.reply(caller, reply, After::Record(prepared.seq));
            }
            // The drive continues from the vote that this bank has already given.
            Known::Prepared(prepared) => {
                self.wait(caller, Waits::Outcome(tx.clone()));
                if !self.volatile.drives.contains_key(tx) {
                    let token = self.bank.own_token(tx, &prepared.own());
                    let strategy = Strategy::LastAgent(self.bank.me());
                    self.drive(tx, transaction, strategy, arrival.way, Some(token));
                }
            }
            Known::New => match self.volatile.drives.get(tx) {
                Some(drive) if drive.coordinator.transaction().digest() != digest => {
                    self.other_bytes_driven(caller);
                }
                Some(_) => self.wait(caller, Waits::Outcome(tx.clone())),
                None if let Some(Fault { reason, text }) = self.not_introduced_to(transaction) => {
                    self.reply(caller, Reply::Err(reason, text), After::Now);
                }
                None if let Some(unfit) = self.unfit_transaction(tx, transaction) => {
                    self.unfit(caller, &unfit);
                }
                None => self.execute_named(caller, tx, transaction, arrival),
            },
        }
    }

    /// Drives a transaction that does not name this bank. What this bank has voted under the id, a
    /// tombstone or a vote on other bytes, proves nothing about it: it may be committed. If it is
    /// requested again, it is driven again, and all banks repeat their votes.
    pub(super) fn execute_without_part(
        &mut self,
        caller: Caller,
        tx: &TxId,
        transaction: &Arc<Transaction>,
        arrival: Arrival,
    ) {
        match self.volatile.drives.get(tx) {
            Some(drive) if drive.coordinator.transaction().digest() != transaction.digest() => {
                self.other_bytes_driven(caller);
            }
            Some(drive) => self.verdict_or_wait(caller, tx, &drive.coordinator),
            None if let Some(Fault { reason, text }) = self.not_introduced_to(transaction) => {
                self.reply(caller, Reply::Err(reason, text), After::Now);
            }
            None if let Some(unfit) = self.unfit_transaction(tx, transaction) => {
                self.unfit(caller, &unfit)
            }
            None => self.execute_for_others(caller, tx, transaction, arrival),
        }
    }

    pub(super) fn other_bytes_driven(&mut self, caller: Caller) {
        let text = Detail::OtherBytesDriven.to_string();
        self.reply(caller, Reply::Err(Reason::DuplicateId, text), After::Now);
    }

    /// The reply that aborts a transaction because this bank can never vote OK on its bytes.
    pub(super) fn other_bytes(&self, tx: &TxId, own: &OwnVote) -> Reply {
        Reply::Aborted(tx.clone(), self.bank.own_token(tx, own), Reason::DuplicateId, None)
    }

    /// Answers ABORT or RESOLVE of an id that this bank has not voted on but drives, or drove, for
    /// others: such a transaction may be committed. Returns whether it replied.
    pub(super) fn answer_for_driven(&mut self, caller: Caller, tx: &TxId) -> bool {
        if let Some(drive) = self.volatile.drives.get(tx) {
            if drive.coordinator.transaction().banks().has(self.bank.me()) {
                return false; // This bank can still refuse it.
            }
            self.verdict_or_wait(caller, tx, &drive.coordinator);
            return true;
        }
        let drove = self.bank.drove(tx);
        if drove {
            let text = Detail::DroveForOthers.to_string();
            self.reply(caller, Reply::Doubt(tx.clone(), text), self.newest());
        }
        drove
    }

    /// Replies with the verdict of a drive without a part in it, or waits for the verdict.
    pub(super) fn verdict_or_wait(&mut self, caller: Caller, tx: &TxId, coordinator: &Coordinator) {
        match coordinator.verdict() {
            Some(verdict) => {
                let reply = verdict_reply(coordinator, verdict);
                self.reply(caller, reply, self.newest());
            }
            None => self.wait(caller, Waits::Verdict(tx.clone())),
        }
    }

    /// Drives a transaction that names this bank: it checks its own part first, and votes last.
    pub(super) fn execute_named(
        &mut self,
        caller: Caller,
        tx: &TxId,
        transaction: &Arc<Transaction>,
        arrival: Arrival,
    ) {
        if let Err(fault) = self.check_vote(tx, transaction, arrival) {
            let (token, after) = self.refuse(tx, Some(transaction), &fault);
            self.reply(caller, Reply::Aborted(tx.clone(), token, fault.reason, None), after);
        } else if self.others(transaction).is_empty() {
            // For a single bank the vote is the decision: one step and one record.
            let time = self.tick_clock();
            let after = self.executed(tx, time, time, transaction, Vec::new());
            let own = OwnVote { vote: Vote::Ok, time, digest: Some(*transaction.digest()) };
            let statement = self.bank.own_statement(tx, &own, &Outcome::Committed(time));
            let token = self.bank.own_token(tx, &own);
            self.reply(caller, Reply::Committed(tx.clone(), time, token, statement), after);
        } else {
            self.wait(caller, Waits::Outcome(tx.clone()));
            let strategy = Strategy::LastAgent(self.bank.me());
            self.drive(tx, transaction, strategy, arrival.way, None);
        }
    }

    /// Drives a transaction for other banks, like any other driver: all vote at once.
    pub(super) fn execute_for_others(
        &mut self,
        caller: Caller,
        tx: &TxId,
        transaction: &Arc<Transaction>,
        arrival: Arrival,
    ) {
        let not_members = transaction.banks().minus(self.bank.members);
        if arrival.late {
            let text = Detail::Busy.to_string();
            self.reply(caller, Reply::Err(Reason::Limit, text), After::Now);
        } else if let Some(bank) = not_members.iter().next() {
            let text = Detail::NotMember { bank }.to_string();
            self.reply(caller, Reply::Err(Reason::Malformed, text), After::Now);
        } else {
            self.wait(caller, Waits::Verdict(tx.clone()));
            self.drive(tx, transaction, Strategy::Parallel, arrival.way, None);
        }
    }
}
