//! The messages of the coordinator, and what it knows of each participant.

use super::{Coordinator, Do, Participant, Phase, Standing, Strategy, Verdict};
use crate::commit::message::Message;
use crate::ids::BankId;
use crate::wire::token::Token;
use std::sync::Arc;

impl Coordinator {
    /// Sends the outcome to every bank that may hold money or a register for it.
    pub(super) fn send_outcome(&mut self, todo: &mut Vec<Do>) {
        let me = self.me();
        for at in 0..self.participants.len() {
            if Some(self.participants[at].bank) == me {
                continue;
            }
            let message = match (&self.phase, &self.participants[at].standing) {
                (Phase::Commit(tokens), _) => Message::Commit(self.tx.clone(), tokens.clone()),
                (Phase::Abort(token), Standing::Ok(_) | Standing::Asked) => {
                    Message::Abort(self.tx.clone(), Some(*token))
                }
                (Phase::Abort(_), Standing::Unasked | Standing::Silent | Standing::Refused(..)) => {
                    continue;
                }
                (Phase::Voting | Phase::GivingUp, _) => continue,
            };
            self.send(at, message, todo);
        }
    }

    pub(super) fn doubt_if_nothing_is_unanswered(&mut self, todo: &mut Vec<Do>) {
        let is_waiting = |participant: &Participant| {
            participant.unanswered > 0 || participant.standing == Standing::Asked
        };
        match self.phase {
            Phase::GivingUp if !self.participants.iter().any(is_waiting) => self.doubt(todo),
            Phase::Voting | Phase::GivingUp | Phase::Commit(_) | Phase::Abort(_) => {}
        }
    }

    pub(super) fn doubt(&mut self, todo: &mut Vec<Do>) {
        let nothing_sent = self
            .standings()
            .all(|(bank, standing)| *standing == Standing::Silent && !self.abort_was_sent(bank));
        let silent = |(_, standing): &(BankId, &Standing)| {
            matches!(standing, Standing::Silent | Standing::Asked | Standing::Unasked)
        };
        let verdict = if nothing_sent {
            Verdict::Unreached
        } else {
            Verdict::Doubt(self.standings().filter(silent).map(|(bank, _)| bank).collect())
        };
        self.report(verdict, todo);
    }

    pub(super) fn abort_was_sent(&self, bank: BankId) -> bool {
        self.participants
            .iter()
            .any(|participant| participant.bank == bank && participant.abort_sent)
    }

    pub(super) fn report(&mut self, verdict: Verdict, todo: &mut Vec<Do>) {
        if self.verdict.is_none() {
            self.verdict = Some(verdict.clone());
            todo.push(Do::Report(verdict));
        }
    }

    pub(super) fn prepare(&mut self, at: usize, todo: &mut Vec<Do>) {
        self.participants[at].standing = Standing::Asked;
        let message = Message::Prepare(self.tx.clone(), Arc::clone(&self.transaction));
        self.send(at, message, todo);
    }

    pub(super) fn abort_silent(&mut self, at: usize, todo: &mut Vec<Do>) {
        self.phase = Phase::GivingUp;
        self.participants[at].abort_sent = true;
        self.send(at, Message::Abort(self.tx.clone(), None), todo);
    }

    pub(super) fn send(&mut self, at: usize, message: Message, todo: &mut Vec<Do>) {
        self.participants[at].unanswered += 1;
        todo.push(Do::Send(self.participants[at].bank, message));
    }

    /// Counts one message to `bank` as answered or lost; `None` if none is unanswered.
    pub(super) fn take_unanswered(&mut self, bank: BankId) -> Option<usize> {
        let at = self.position_of(bank)?;
        self.participants[at].unanswered = self.participants[at].unanswered.checked_sub(1)?;
        Some(at)
    }

    pub(super) fn position_of(&self, bank: BankId) -> Option<usize> {
        self.participants.iter().position(|participant| participant.bank == bank)
    }

    pub(super) fn tokens(&self) -> Vec<Token> {
        let token = |participant: &Participant| match participant.standing {
            Standing::Ok(token) => Some(token),
            Standing::Unasked | Standing::Asked | Standing::Silent | Standing::Refused(..) => None,
        };
        self.participants.iter().filter_map(token).collect()
    }

    pub(super) fn me(&self) -> Option<BankId> {
        match self.strategy {
            Strategy::Parallel => None,
            Strategy::LastAgent(me) => Some(me),
        }
    }

    /// Is this a last agent that has not voted?
    pub(super) fn free_to_refuse(&self) -> bool {
        let unvoted = |participant: &Participant| {
            !matches!(participant.standing, Standing::Ok(_) | Standing::Refused(..))
        };
        self.me().is_some_and(|me| {
            self.participants
                .iter()
                .any(|participant| participant.bank == me && unvoted(participant))
        })
    }
}
