//! The coordinator: one pure state machine, used by `cliente` and by a bank that drives.
//!
//! It knows votes, refusals, silence and its two strategies. It holds no disk and needs none: the
//! votes are the decision (DESIGN's one rule; Guo et al., _Cornus_, VLDB 2022), so a driver that is
//! lost loses nothing. Sockets and clocks are its caller's; so is the checking of MACs, which only
//! banks can do.

use crate::commit::message::{AskedVerb, Message};
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::wire::Reason;
use crate::wire::token::Token;
use crate::wire::transaction::Transaction;
pub use events::{Answer, Do, Event, Standing, Strategy, Verdict};
use std::sync::Arc;

mod events;
mod sending;

/// A driver of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coordinator {
    tx: TxId,
    transaction: Arc<Transaction>,
    strategy: Strategy,
    participants: Vec<Participant>,
    phase: Phase,
    told: Option<Verdict>,
}

/// One named bank.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Participant {
    bank: BankId,
    standing: Standing,
    /// It was sent an ABORT because it was silent.
    given_up: bool,
    /// Messages under way to it.
    owes: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Collecting votes.
    Voting,
    /// The time-out is over, or a bank is out of reach: a durable refusal is sought.
    GivingUp,
    /// Every OK is in, with these tokens.
    Commit(Vec<Token>),
    /// A bank refused, with this token.
    Abort(Token),
}

impl Coordinator {
    /// A driver of `transaction` under `tx`; it begins with `Event::Begin`.
    pub fn new(tx: TxId, transaction: Arc<Transaction>, strategy: Strategy) -> Coordinator {
        let participant =
            |bank| Participant { bank, standing: Standing::Unasked, given_up: false, owes: 0 };
        let participants = transaction.banks().iter().map(participant).collect();
        Coordinator { tx, transaction, strategy, participants, phase: Phase::Voting, told: None }
    }

    /// What follows from `event`.
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

    /// The transaction's id.
    pub fn tx(&self) -> &TxId {
        &self.tx
    }

    /// The transaction.
    pub fn transaction(&self) -> &Arc<Transaction> {
        &self.transaction
    }

    /// How each named bank stands, by position.
    pub fn standings(&self) -> impl Iterator<Item = (BankId, &Standing)> {
        self.participants.iter().map(|participant| (participant.bank, &participant.standing))
    }

    /// Has it told its verdict, and has every message it sent been answered or lost? Then it may
    /// leave.
    pub fn is_done(&self) -> bool {
        self.has_told() && self.participants.iter().all(|participant| participant.owes == 0)
    }

    /// Has it told its verdict?
    pub fn has_told(&self) -> bool {
        self.told.is_some()
    }

    /// The verdict that it told.
    pub fn told(&self) -> Option<&Verdict> {
        self.told.as_ref()
    }

    /// The tokens that prove the commit, where it is one.
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
            // Nobody can have voted OK there on our word; one durable refusal anywhere ends it.
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
        let Some(at) = self.take_from_owed(bank) else { return };
        match answer {
            Answer::Granted(tokens) => {
                let says_it = tokens.iter().any(|token| token.bank == bank);
                for token in tokens {
                    self.granted(token.bank, token, todo);
                }
                if !says_it {
                    self.silent(at, todo);
                }
            }
            Answer::Refused { token, reason, text } => {
                self.refused(bank, token, reason, text, todo)
            }
            Answer::Committed(time, tokens) => self.proved(time, tokens, todo),
            Answer::SaysCommitted(time, token) => self.committed(at, time, token, todo),
            Answer::Nothing | Answer::Believed(_) => self.silent(at, todo),
        }
    }

    fn lost(&mut self, bank: BankId, verb: AskedVerb, todo: &mut Vec<Do>) {
        let Some(at) = self.take_from_owed(bank) else { return };
        match verb {
            AskedVerb::Prepare | AskedVerb::Abort | AskedVerb::Resolve => self.silent(at, todo),
            AskedVerb::Commit | AskedVerb::Registers => {}
        }
    }

    /// It is committed, whatever is still missing here.
    fn proved(&mut self, time: Time, tokens: Vec<Token>, todo: &mut Vec<Do>) {
        if matches!(self.phase, Phase::Voting | Phase::GivingUp) {
            self.phase = Phase::Commit(tokens);
            self.tell(Verdict::Committed(time), todo);
            self.send_outcome(todo);
        }
    }

    /// COMMITTED counts only with the very token that this bank's OK to our own PREPARE carried;
    /// without one we ask for it with PREPARE again.
    fn committed(&mut self, at: usize, time: Time, token: Token, todo: &mut Vec<Do>) {
        if matches!(self.phase, Phase::Commit(_) | Phase::Abort(_)) {
            return; // The answer to our COMMIT.
        }
        let participant = &self.participants[at];
        if participant.standing == Standing::Ok(token) {
            self.proved(time, self.tokens(), todo);
        } else if participant.owes == 0 {
            self.prepare(at, todo);
        }
    }

    fn time_out(&mut self, todo: &mut Vec<Do>) {
        match self.phase {
            Phase::Voting => self.give_up(Reason::Unreachable, todo),
            Phase::GivingUp => {
                let fresh = |participant: &Participant| {
                    participant.standing == Standing::Asked && !participant.given_up
                };
                if self.participants.iter().any(fresh) {
                    self.give_up(Reason::Unreachable, todo);
                } else {
                    self.doubt(todo);
                }
            }
            Phase::Commit(_) | Phase::Abort(_) => {}
        }
    }

    /// Seeks one durable refusal. A last agent that has not voted refuses itself. Otherwise ABORT
    /// goes to the silent banks alone, or, where they can't be reached at all, to one that was not
    /// asked yet.
    fn give_up(&mut self, reason: Reason, todo: &mut Vec<Do>) {
        self.phase = Phase::GivingUp;
        if self.free_to_refuse() {
            todo.push(Do::RefuseSelf(reason));
            return;
        }
        let me = self.me();
        let waits = |participant: &Participant| {
            participant.standing == Standing::Asked && Some(participant.bank) != me
        };
        if self.participants.iter().any(waits) {
            for at in 0..self.participants.len() {
                if waits(&self.participants[at]) && !self.participants[at].given_up {
                    self.abort_silent(at, todo);
                }
            }
        } else {
            self.refuse_elsewhere(todo);
        }
        todo.push(Do::StartTimer);
        self.end_if_nothing_is_owed(todo);
    }

    /// What a bank was asked has no answer that says anything.
    fn silent(&mut self, at: usize, todo: &mut Vec<Do>) {
        let participant = &mut self.participants[at];
        if participant.standing != Standing::Asked {
            return;
        }
        match self.phase {
            Phase::Voting => {
                if self.free_to_refuse() {
                    // Its refusal comes back as its own vote, and ends it.
                    self.participants[at].standing = Standing::Silent;
                    self.give_up(Reason::Unreachable, todo);
                    return;
                } else {
                    self.abort_silent(at, todo);
                }
            }
            Phase::GivingUp => {
                if participant.given_up {
                    if participant.owes == 0 {
                        participant.standing = Standing::Silent;
                        self.refuse_elsewhere(todo);
                    }
                } else {
                    self.abort_silent(at, todo);
                }
            }
            Phase::Commit(_) | Phase::Abort(_) => participant.standing = Standing::Silent,
        }
        self.end_if_nothing_is_owed(todo);
    }

    /// Any bank that was not asked to vote can still refuse.
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
                self.end_if_nothing_is_owed(todo);
            }
            Phase::Commit(_) => {}
            // It was sent the refusal when the refusal became known, or is sent it now.
            Phase::Abort(refusal) => {
                let late = !self.participants[at].given_up
                    && self.participants[at].owes == 0
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
                // Who answers may only pass on that another bank refused.
                self.tell(Verdict::Aborted { by: token.bank, token, reason, text }, todo);
                self.send_outcome(todo);
            }
            // An answer to our own ABORT says nothing new of a bank that had said OK.
            Phase::Abort(_) => {
                if !matches!(self.participants[at].standing, Standing::Ok(_)) {
                    self.participants[at].standing = Standing::Refused(token, reason, text);
                }
            }
            Phase::Commit(_) => {}
        }
    }

    /// Are all OKs in? Then it is committed; if only our own is missing, we vote.
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
                self.tell(Verdict::Committed(time), todo);
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
