//! The coordinator: one pure state machine, used by `cliente` and by a bank that drives.
//!
//! It processes votes, refusals and timeouts under one of two strategies. It keeps nothing on disk:
//! the votes are the decision (Guo et al., _Cornus_, VLDB 2022), so nothing is lost with a driver.
//! Its caller owns sockets and clocks, and verifies MACs, which only banks can do.

use crate::commit::message::{Message, PeerVerb};
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::wire::Reason;
use crate::wire::token::Token;
use crate::wire::transaction::Transaction;
pub use events::{Answer, Do, Event, Standing, Strategy, Verdict};
use std::sync::Arc;

mod events;
mod sending;

/// The coordinator of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coordinator {
    tx: TxId,
    transaction: Arc<Transaction>,
    strategy: Strategy,
    participants: Vec<Participant>,
    phase: Phase,
    verdict: Option<Verdict>,
}

/// A named bank, and what is known of its vote.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Participant {
    bank: BankId,
    standing: Standing,
    /// An ABORT was sent to it, because it was silent.
    abort_sent: bool,
    /// How many messages to it are unanswered.
    unanswered: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Votes are being collected.
    Voting,
    /// After the time-out, or when a bank is unreachable: a durable refusal is needed.
    GivingUp,
    /// All banks voted OK, with these tokens.
    Commit(Vec<Token>),
    /// A bank refused, with this token.
    Abort(Token),
}

impl Coordinator {
    /// A coordinator of `transaction` under `tx`; it starts with `Event::Begin`.
    pub fn new(tx: TxId, transaction: Arc<Transaction>, strategy: Strategy) -> Coordinator {
        let participant = |bank| Participant {
            bank,
            standing: Standing::Unasked,
            abort_sent: false,
            unanswered: 0,
        };
        let participants = transaction.banks().iter().map(participant).collect();
        Coordinator { tx, transaction, strategy, participants, phase: Phase::Voting, verdict: None }
    }

    /// Processes `event`, and returns what the driver must do.
    pub fn on(&mut self, event: Event) -> Vec<Do> {
        let mut todo = Vec::new();
        match event {
            Event::Begin { unreachable } => self.begin(unreachable, &mut todo),
            Event::Answered(bank, verb, Answer::Believed(reply)) => {
                let (named, digest) = (self.transaction.banks(), self.transaction.digest());
                let answer = Answer::believed(bank, verb, named, digest, reply);
                self.answered(bank, answer, &mut todo);
            }
            Event::Answered(bank, _, answer) => self.answered(bank, answer, &mut todo),
            Event::Lost(bank, verb) => self.lost(bank, verb, &mut todo),
            Event::TimeOut => self.time_out(&mut todo),
            Event::OwnVote(token, None) => self.granted(token.bank, token, &mut todo),
            Event::OwnVote(token, Some((reason, text))) => {
                self.refused(token.bank, token, reason, text, &mut todo);
            }
        }
        todo
    }

    /// The id of the transaction.
    pub fn tx(&self) -> &TxId {
        &self.tx
    }

    /// The transaction that it drives.
    pub fn transaction(&self) -> &Arc<Transaction> {
        &self.transaction
    }

    /// The state of each named bank, by position.
    pub fn standings(&self) -> impl Iterator<Item = (BankId, &Standing)> {
        self.participants.iter().map(|participant| (participant.bank, &participant.standing))
    }

    /// Has it reported its verdict, and is no message unanswered? Then it can be dropped.
    pub fn is_done(&self) -> bool {
        self.has_reported()
            && self.participants.iter().all(|participant| participant.unanswered == 0)
    }

    /// Has it reported its verdict?
    pub fn has_reported(&self) -> bool {
        self.verdict.is_some()
    }

    /// The verdict that it reported.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// The tokens that prove the commit; empty unless it committed.
    pub fn proof(&self) -> &[Token] {
        match &self.phase {
            Phase::Commit(tokens) => tokens,
            Phase::Voting | Phase::GivingUp | Phase::Abort(_) => &[],
        }
    }

    fn begin(&mut self, unreachable: BankSet, todo: &mut Vec<Do>) {
        let me = self.me();
        for participant in &mut self.participants {
            if unreachable.has(participant.bank) && Some(participant.bank) != me {
                participant.standing = Standing::Silent;
            }
        }
        if self.standings().any(|(_, standing)| *standing == Standing::Silent) {
            // No PREPARE was sent to these banks, so they can't hold OK; one durable refusal
            // anywhere aborts the transaction.
            self.give_up(Reason::Unreachable, todo);
        } else {
            for at in 0..self.participants.len() {
                if self.participants[at].standing == Standing::Unasked
                    && Some(self.participants[at].bank) != me
                {
                    self.prepare(at, todo);
                }
            }
            todo.push(Do::StartTimer);
            self.count(todo);
        }
    }

    fn answered(&mut self, bank: BankId, answer: Answer, todo: &mut Vec<Do>) {
        let Some(at) = self.take_unanswered(bank) else { return };
        match answer {
            Answer::Granted(tokens) => {
                let is_own = tokens.iter().any(|token| token.bank == bank);
                for token in tokens {
                    self.granted(token.bank, token, todo);
                }
                if !is_own {
                    self.silent(at, todo);
                }
            }
            Answer::Refused { token, reason, text } => {
                self.refused(bank, token, reason, text, todo)
            }
            Answer::Committed(time, tokens) => self.proved(time, tokens, todo),
            Answer::RepliedCommitted(time, token) => self.committed(at, time, token, todo),
            Answer::Nothing | Answer::Believed(_) => self.silent(at, todo),
        }
    }

    fn lost(&mut self, bank: BankId, verb: PeerVerb, todo: &mut Vec<Do>) {
        let Some(at) = self.take_unanswered(bank) else { return };
        match verb {
            PeerVerb::Prepare | PeerVerb::Abort | PeerVerb::Resolve => self.silent(at, todo),
            PeerVerb::Commit | PeerVerb::Registers => {}
        }
    }

    /// The transaction is committed, even if this coordinator lacks some votes.
    fn proved(&mut self, time: Time, tokens: Vec<Token>, todo: &mut Vec<Do>) {
        if matches!(self.phase, Phase::Voting | Phase::GivingUp) {
            self.phase = Phase::Commit(tokens);
            self.report(Verdict::Committed(time), todo);
            self.send_outcome(todo);
        }
    }

    /// A COMMITTED counts only with the same token as this bank's OK to our own PREPARE; without
    /// that OK, we send PREPARE again.
    fn committed(&mut self, at: usize, time: Time, token: Token, todo: &mut Vec<Do>) {
        if matches!(self.phase, Phase::Commit(_) | Phase::Abort(_)) {
            return; // This is the answer to our COMMIT.
        }
        let participant = &self.participants[at];
        if participant.standing == Standing::Ok(token) {
            self.proved(time, self.tokens(), todo);
        } else if participant.unanswered == 0 {
            self.prepare(at, todo);
        }
    }

    fn time_out(&mut self, todo: &mut Vec<Do>) {
        match self.phase {
            Phase::Voting => self.give_up(Reason::Unreachable, todo),
            Phase::GivingUp => {
                let newly_waiting = |participant: &Participant| {
                    participant.standing == Standing::Asked && !participant.abort_sent
                };
                if self.participants.iter().any(newly_waiting) {
                    self.give_up(Reason::Unreachable, todo);
                } else {
                    self.doubt(todo);
                }
            }
            Phase::Commit(_) | Phase::Abort(_) => {}
        }
    }

    /// Obtains one durable refusal. A last agent that has not voted refuses by itself. Otherwise
    /// ABORT is sent to the silent banks only, or, if none of them is reachable, to a bank that was
    /// not contacted yet.
    fn give_up(&mut self, reason: Reason, todo: &mut Vec<Do>) {
        self.phase = Phase::GivingUp;
        if self.free_to_refuse() {
            todo.push(Do::RefuseSelf(reason));
            return;
        }
        let me = self.me();
        let is_waiting = |participant: &Participant| {
            participant.standing == Standing::Asked && Some(participant.bank) != me
        };
        if self.participants.iter().any(is_waiting) {
            for at in 0..self.participants.len() {
                if is_waiting(&self.participants[at]) && !self.participants[at].abort_sent {
                    self.abort_silent(at, todo);
                }
            }
        } else {
            self.refuse_elsewhere(todo);
        }
        todo.push(Do::StartTimer);
        self.doubt_if_nothing_is_unanswered(todo);
    }

    /// The bank has no usable answer to our last message.
    fn silent(&mut self, at: usize, todo: &mut Vec<Do>) {
        let participant = &mut self.participants[at];
        if participant.standing != Standing::Asked {
            return;
        }
        match self.phase {
            Phase::Voting => {
                if self.free_to_refuse() {
                    // The refusal returns as an `OwnVote` and aborts the transaction.
                    self.participants[at].standing = Standing::Silent;
                    self.give_up(Reason::Unreachable, todo);
                    return;
                } else {
                    self.abort_silent(at, todo);
                }
            }
            Phase::GivingUp => {
                if participant.abort_sent {
                    if participant.unanswered == 0 {
                        participant.standing = Standing::Silent;
                        self.refuse_elsewhere(todo);
                    }
                } else {
                    self.abort_silent(at, todo);
                }
            }
            Phase::Commit(_) | Phase::Abort(_) => participant.standing = Standing::Silent,
        }
        self.doubt_if_nothing_is_unanswered(todo);
    }

    /// Asks a bank that got no PREPARE to refuse, since it can't hold OK.
    fn refuse_elsewhere(&mut self, todo: &mut Vec<Do>) {
        let me = self.me();
        let unasked = |participant: &Participant| {
            participant.standing == Standing::Unasked && Some(participant.bank) != me
        };
        if let Some(at) = self.participants.iter().position(unasked) {
            self.participants[at].standing = Standing::Asked;
            self.abort_silent(at, todo);
        }
    }

    fn granted(&mut self, bank: BankId, token: Token, todo: &mut Vec<Do>) {
        let Some(at) = self.position_of(bank) else { return };
        match self.phase {
            Phase::Voting | Phase::GivingUp => {
                self.participants[at].standing = Standing::Ok(token);
                self.count(todo);
                self.doubt_if_nothing_is_unanswered(todo);
            }
            Phase::Commit(_) => {}
            // The refusal was sent to this bank when it became known, or it is sent now.
            Phase::Abort(refusal) => {
                let late = !self.participants[at].abort_sent
                    && self.participants[at].unanswered == 0
                    && Some(bank) != self.me();
                self.participants[at].standing = Standing::Ok(token);
                if late {
                    let message = Message::Abort(self.tx.clone(), Some(refusal));
                    self.send(at, message, todo);
                }
            }
        }
    }

    fn refused(
        &mut self,
        bank: BankId,
        token: Token,
        reason: Reason,
        text: String,
        todo: &mut Vec<Do>,
    ) {
        let Some(at) = self.position_of(bank) else { return };
        match self.phase {
            Phase::Voting | Phase::GivingUp => {
                self.participants[at].standing = Standing::Refused(token, reason, text.clone());
                self.phase = Phase::Abort(token);
                // The answering bank may only pass on another bank's refusal.
                self.report(Verdict::Aborted { by: token.bank, token, reason, text }, todo);
                self.send_outcome(todo);
            }
            // For a bank that had voted OK, the answer to our own ABORT is no news.
            Phase::Abort(_) => {
                if !matches!(self.participants[at].standing, Standing::Ok(_)) {
                    self.participants[at].standing = Standing::Refused(token, reason, text);
                }
            }
            Phase::Commit(_) => {}
        }
    }

    /// Commits if all banks voted OK; votes itself if only the own vote is missing.
    fn count(&mut self, todo: &mut Vec<Do>) {
        let me = self.me();
        let missing = self
            .participants
            .iter()
            .position(|participant| !matches!(participant.standing, Standing::Ok(_)));
        match missing {
            None => {
                let tokens = self.tokens();
                let time = tokens.iter().map(|token| token.time).max().unwrap_or_default();
                self.phase = Phase::Commit(tokens);
                self.report(Verdict::Committed(time), todo);
                self.send_outcome(todo);
            }
            Some(at) => {
                let only_me = Some(self.participants[at].bank) == me
                    && self.participants[at + 1..]
                        .iter()
                        .all(|participant| matches!(participant.standing, Standing::Ok(_)));
                if only_me
                    && self.phase == Phase::Voting
                    && self.participants[at].standing == Standing::Unasked
                {
                    self.participants[at].standing = Standing::Asked;
                    todo.push(Do::VoteSelf);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
