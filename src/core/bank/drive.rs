//! Driving: this bank runs the same coordinator as `cliente`, for a caller.

use crate::access::Way;
use crate::bank::Change;
use crate::bank::decide::Deciding;
use crate::bank::io::{After, CoreStep, Outcome};
use crate::bank::known::Remembered;
use crate::bank::read::beginning;
use crate::bank::record::{Cause, Record};
use crate::bank::volatile::{Drive, Waits};
use crate::bank::vote::Arrival;
use crate::commit::coordinator::{Answer, Coordinator, Do, Event, Standing, Strategy, Verdict};
use crate::commit::message::{Message, RequestKey};
use crate::commit::proof::{self, Inquiry, Proof};
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::limits::{REFUSAL_TEXT_BYTES_MAX, VOTE_TIMEOUT_MS};
use crate::wire::detail::{Banks, Detail, RefusalText};
use crate::wire::reply::Reply;
use crate::wire::token::{Token, Vote};
use crate::wire::transaction::Transaction;
use crate::wire::{Fault, Reason};
use std::sync::Arc;

impl Deciding<'_> {
    /// Starts to drive; `own` is an OK that this bank has already given.
    pub(super) fn drive(
        &mut self,
        tx: &TxId,
        transaction: &Arc<Transaction>,
        strategy: Strategy,
        way: Way,
        own: Option<Token>,
    ) {
        self.out.steps.push(CoreStep::Drive(tx.clone()));
        let coordinator = Coordinator::new(tx.clone(), Arc::clone(transaction), strategy);
        let mut drive = Drive { coordinator, deadline_us: None, way };
        let mut todo = Vec::new();
        if let Some(token) = own {
            todo.extend(drive.coordinator.on(Event::OwnVote(token, None)));
        }
        let unreachable = match strategy {
            // A last agent can still refuse, so it may try a peer that is not connected yet.
            Strategy::LastAgent(_) if own.is_none() => BankSet::EMPTY,
            Strategy::LastAgent(_) | Strategy::Parallel => {
                let down = |bank: &BankId| !self.volatile.peers[bank.index()].up;
                self.others(transaction).iter().filter(down).collect()
            }
        };
        todo.extend(drive.coordinator.on(Event::Begin { unreachable }));
        self.carry_out(tx, drive, todo);
    }

    /// Processes a bank's answer about a transaction that this bank drives; `None` if it can't
    /// answer.
    pub(super) fn drive_answered(
        &mut self,
        peer: BankId,
        asked: &RequestKey,
        reply: Option<&Reply>,
        tokens: &[Token],
    ) {
        let Some(drive) = self.volatile.drives.get(&asked.tx) else { return };
        if !drive.coordinator.transaction().banks().has(peer) {
            return; // The answer is about other bytes of this id, which this bank passed on.
        }
        let Some(reply) = reply else {
            return self.drive_event(&asked.tx, Event::Lost(peer, asked.verb));
        };
        let transaction = drive.coordinator.transaction();
        let digest = transaction.digest();
        let own =
            self.bank.undecided.get(&asked.tx).filter(|own| own.transaction.digest() == digest);
        let inquiry = Inquiry {
            seal: &self.bank.identity.seal,
            me: self.bank.me(),
            tx: &asked.tx,
            named: transaction.banks(),
            digest,
            own_vote: own.map(|prepared| prepared.time),
        };
        let answer = match inquiry.proof(tokens.iter().copied()) {
            Proof::Granted(votes) => Answer::Granted(votes),
            Proof::Committed { time, votes, statement } => {
                Answer::Committed(time, votes.into_iter().chain(statement).collect())
            }
            Proof::Aborted { token, .. } => {
                let text =
                    if let Reply::Nok(.., text) = reply { text.clone() } else { String::new() };
                Answer::Refused { token, reason: proof::reason_of(Some(reply), &token), text }
            }
            Proof::Nothing => {
                if !tokens.is_empty() {
                    self.unproved(peer, &asked.tx);
                }
                Answer::Nothing
            }
        };
        self.drive_event(&asked.tx, Event::Answered(peer, asked.verb, answer));
    }

    /// Passes an event to the coordinator of a transaction that this bank drives.
    pub(super) fn drive_event(&mut self, tx: &TxId, event: Event) {
        let Some(mut drive) = self.volatile.drives.get(tx).cloned() else { return };
        let todo = drive.coordinator.on(event);
        self.carry_out(tx, drive, todo);
    }

    pub(super) fn drive_timed_out(&mut self, tx: &TxId) {
        let Some(mut drive) = self.volatile.drives.get(tx).cloned() else { return };
        self.own_from = self.out.records.len();
        drive.deadline_us = None;
        let asked = |(bank, standing): (BankId, &Standing)| {
            (*standing == Standing::Asked && bank != self.bank.me()).then_some(bank)
        };
        let silent: BankSet = drive.coordinator.standings().filter_map(asked).collect();
        if !drive.coordinator.has_reported() {
            self.out.steps.push(CoreStep::Silent(tx.clone(), silent));
        }
        let todo = drive.coordinator.on(Event::TimeOut);
        self.carry_out(tx, drive, todo);
    }

    fn carry_out(&mut self, tx: &TxId, mut drive: Drive, todo: Vec<Do>) {
        let mut todo = std::collections::VecDeque::from(todo);
        while let Some(next) = todo.pop_front() {
            match next {
                Do::Send(bank, message) => {
                    let after = match message {
                        Message::Prepare(..)
                        | Message::Abort(_, None)
                        | Message::Resolve(_)
                        | Message::Registers { .. } => After::Now,
                        // They depend on this bank's own vote, if it has one.
                        Message::Commit(..) | Message::Abort(_, Some(_)) => self.after_own_vote(tx),
                    };
                    self.send(bank, message, after);
                }
                Do::VoteSelf => {
                    let event = self.vote_last(tx, &drive);
                    todo.extend(drive.coordinator.on(event));
                }
                Do::RefuseSelf(reason) => {
                    let fault = Fault::of(reason, &Detail::BankSilent);
                    let (token, _) = self.refuse(tx, Some(drive.coordinator.transaction()), &fault);
                    let event = Event::OwnVote(token, Some((fault.reason, fault.text)));
                    todo.extend(drive.coordinator.on(event));
                }
                Do::StartTimer => {
                    drive.deadline_us = Some(self.now.mono_us + VOTE_TIMEOUT_MS * 1_000)
                }
                Do::Report(verdict) => self.verdict(tx, &drive.coordinator, verdict),
            }
        }
        if drive.coordinator.has_reported() {
            drive.deadline_us = None;
        }
        let done = drive.coordinator.is_done();
        self.change(Change::Drive(tx.clone(), (!done).then(|| Box::new(drive))));
    }

    /// All other banks voted OK, so this bank's vote decides. Vote and commit are one record.
    fn vote_last(&mut self, tx: &TxId, drive: &Drive) -> Event {
        let coordinator = &drive.coordinator;
        let transaction = coordinator.transaction();
        match self.check_vote(tx, transaction, Arrival { late: false, way: drive.way }) {
            Err(fault) => {
                let (token, _) = self.refuse(tx, Some(transaction), &fault);
                Event::OwnVote(token, Some((fault.reason, fault.text)))
            }
            Ok(()) => {
                let votes = votes_of(coordinator);
                let time = self.tick_clock();
                let committed = votes.iter().map(|(_, time)| *time).fold(time, Time::max);
                self.executed(tx, time, committed, transaction, votes);
                let digest = Some(*transaction.digest());
                Event::OwnVote(
                    self.bank.identity.seal.token(self.bank.me(), Vote::Ok, tx, digest, time),
                    None,
                )
            }
        }
    }

    pub(super) fn executed(
        &mut self,
        tx: &TxId,
        time: Time,
        committed: Time,
        transaction: &Arc<Transaction>,
        votes: Vec<(BankId, Time)>,
    ) -> After {
        let transaction = Arc::clone(transaction);
        self.record(Record::Executed { tx: tx.clone(), time, committed, transaction, votes })
    }

    /// Processes the verdict of a transaction that this bank drives: records it if this bank had
    /// voted OK, and replies to waiters that no record of this bank will wake.
    pub(super) fn verdict(&mut self, tx: &TxId, coordinator: &Coordinator, verdict: Verdict) {
        let digest = coordinator.transaction().digest();
        let prepared =
            self.bank.undecided.get(tx).filter(|prepared| prepared.transaction.digest() == digest);
        let named = coordinator.transaction().banks().has(self.bank.me());
        let waits = if named { Waits::Outcome(tx.clone()) } else { Waits::Verdict(tx.clone()) };
        let reply = verdict_reply(coordinator, &verdict);
        match verdict {
            Verdict::Committed(time) => {
                if let Some(prepared) = prepared {
                    self.decided(
                        tx,
                        prepared,
                        Outcome::Committed(time),
                        self.others_votes(coordinator),
                    );
                } else if !named {
                    self.reply_to_waiters(&waits, &reply);
                    self.drove(tx, coordinator, time, None);
                }
            }
            Verdict::Aborted { by, token, reason, text } => {
                let is_me = self.has_refused(coordinator);
                if let Some(prepared) = prepared {
                    let vote = token.vote_time().filter(|_| !is_me).map(|time| (token.bank, time));
                    let votes = vote.into_iter().collect();
                    self.decided(tx, prepared, Outcome::Aborted(token, reason), votes);
                } else if !named || (is_me && reason == Reason::DuplicateId) {
                    self.reply_to_waiters(&waits, &reply);
                    // A statement proves the abort, but not which bank refused.
                    if !named && token.refuses(digest) {
                        self.drove(tx, coordinator, token.time, Some((by, reason, text)));
                    }
                } else if !is_me && !self.has_voted(coordinator) {
                    // This bank refuses too, so the outcome of the id is known here.
                    let its = RefusalText(beginning(&text, REFUSAL_TEXT_BYTES_MAX).to_owned());
                    let cause = Cause::follows(by, Detail::Follows { by, its }.to_string());
                    self.refuse_for(tx, Some(coordinator.transaction()), reason, cause);
                }
            }
            Verdict::Doubt(_) | Verdict::Unreached => self.reply_to_waiters(&waits, &reply),
        }
    }

    /// Records a transaction that this bank drove for others, so that it is in the history. No
    /// reply waits for that record.
    fn drove(
        &mut self,
        tx: &TxId,
        coordinator: &Coordinator,
        time: Time,
        refusal: Option<(BankId, Reason, String)>,
    ) {
        // It was driven before, or this bank has refused the id.
        if self.bank.remembers(tx) {
            return;
        }
        let transaction = Arc::clone(coordinator.transaction());
        self.record(Record::Drove { tx: tx.clone(), time, transaction, refusal });
    }

    /// Has this bank voted on a transaction that it drives? The coordinator knows it, even if
    /// memory has dropped the vote.
    pub(super) fn has_voted(&self, coordinator: &Coordinator) -> bool {
        let mine = |(bank, standing): (BankId, &Standing)| {
            bank == self.bank.me() && matches!(standing, Standing::Ok(_) | Standing::Refused(..))
        };
        coordinator.standings().any(mine)
    }

    /// Did this bank's own refusal abort a transaction that it drives?
    pub(super) fn has_refused(&self, coordinator: &Coordinator) -> bool {
        let mine = |(bank, standing): (BankId, &Standing)| {
            bank == self.bank.me() && matches!(standing, Standing::Refused(..))
        };
        coordinator.standings().any(mine)
    }

    pub(super) fn reply_to_waiters(&mut self, waits: &Waits, reply: &Reply) {
        // A waiter of this decision is not in the volatile state yet; it will get the next number
        // there.
        let of_this_decision =
            self.waits.as_ref().filter(|(_, waited)| waited == waits).map(|(caller, _)| *caller);
        // The reply may reveal a vote of this decision, which must be durable first.
        let after = self.decision();
        let waiting: Vec<u64> = self.volatile.waiters_for(waits).collect();
        for waiter in waiting {
            if self.serve(waiter) {
                self.reply(self.volatile.waiters[&waiter].caller, reply.clone(), after);
            }
        }
        if let Some(caller) = of_this_decision
            && self.serve(self.volatile.next_waiter)
        {
            self.reply(caller, reply.clone(), after);
        }
    }

    pub(super) fn others_votes(&self, coordinator: &Coordinator) -> Vec<(BankId, Time)> {
        let me = self.bank.me();
        votes_of(coordinator).into_iter().filter(|(bank, _)| *bank != me).collect()
    }

    /// What a message must wait for that depends on this bank's vote on a transaction that it
    /// drives.
    pub(super) fn after_own_vote(&self, tx: &TxId) -> After {
        let mine = |record: &Record| match record {
            Record::Voted { tx: other, .. } | Record::Refused { tx: other, .. } => other == tx,
            Record::Executed { tx: other, .. } => other == tx,
            // A bank does not drive transactions with an outside coordinator.
            Record::OutsideVoted { .. }
            | Record::Decided { .. }
            | Record::Consortium { .. }
            | Record::ClientAdded { .. }
            | Record::AccountOpened { .. }
            | Record::ClockMoved { .. }
            | Record::Stopped { .. }
            | Record::KeyKnown { .. }
            | Record::RegistersLearned { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Introduced { .. }
            | Record::Registered { .. }
            | Record::Drove { .. } => false,
        };
        if self.out.records[self.own_from..].iter().any(mine) {
            return self.decision();
        }
        match self.bank.remembered(tx) {
            Remembered::Prepared(prepared) => After::Record(prepared.seq),
            Remembered::Ended(ended) => ended.after,
            // There is no vote, or it is older than what memory holds.
            Remembered::Nothing => After::Durable,
        }
    }
}

/// The reply for a verdict, if no record of this bank gives it.
pub(super) fn verdict_reply(coordinator: &Coordinator, verdict: &Verdict) -> Reply {
    let tx = coordinator.tx().clone();
    match verdict {
        Verdict::Committed(time) => match coordinator.proof() {
            [] => Reply::Doubt(tx, Detail::NotVoted.to_string()),
            [token, ..] => Reply::Committed(tx, *time, *token, None),
        },
        Verdict::Aborted { token, reason, .. } => Reply::Aborted(tx, *token, *reason, None),
        Verdict::Doubt(banks) => {
            Reply::Doubt(tx, Detail::NoAnswer { banks: Banks(*banks) }.to_string())
        }
        Verdict::Unreached => Reply::Err(Reason::Unreachable, Detail::Unreached.to_string()),
    }
}

pub(super) fn votes_tokens(coordinator: &Coordinator) -> Vec<Token> {
    let token = |(_, standing): (BankId, &Standing)| match standing {
        Standing::Ok(token) => Some(*token),
        Standing::Unasked | Standing::Asked | Standing::Silent | Standing::Refused(..) => None,
    };
    coordinator.standings().filter_map(token).collect()
}

pub(super) fn votes_of(coordinator: &Coordinator) -> Vec<(BankId, Time)> {
    votes_tokens(coordinator).iter().map(|token| (token.bank, token.time)).collect()
}
