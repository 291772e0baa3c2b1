//! The coordinator: one pure state machine, used by `cliente` and by a bank that drives.
//!
//! It knows votes, refusals, silence and its two strategies. It holds no disk and needs none: the
//! votes are the decision (DESIGN's one rule; Guo et al., _Cornus_, VLDB 2022), so a driver that is
//! lost loses nothing. Sockets and clocks are its caller's; so is the checking of MACs, which only
//! banks can do.

use crate::commit::message::{AskedVerb, Message};
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::wire::Reason;
use crate::wire::reply::Reply;
use crate::wire::token::{Digest, Said, Token};
use crate::wire::transaction::Transaction;
use std::sync::Arc;

/// Who votes when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// All banks at once: one round trip and one sync before the verdict.
    Parallel,
    /// This bank drives and votes last, so that it stays free to refuse (the last agent, Samaras et
    /// al. 1993).
    LastAgent(BankId),
}

/// Something that happened to a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Begin. These banks can't be reached: nothing was sent to them.
    Begin {
        /// Who can't be reached.
        unreachable: BankSet,
    },
    /// A bank answered this verb, and this is what its answer counts for.
    Answered(BankId, AskedVerb, Answer),
    /// What a bank was asked last stays unanswered: its connection is lost, or could not be made
    /// again.
    Lost(BankId, AskedVerb),
    /// The vote time-out, or later the wait for answers to ABORT, is over.
    TimeOut,
    /// The driving bank's own vote: asked for by `Do::VoteSelf` or `Do::RefuseSelf`, given to
    /// another's PREPARE meanwhile, or recorded before `Begin`.
    OwnVote(Token, Option<(Reason, String)>),
}

/// What an answer counts for. A bank that drives has it proved (`proof`); `cliente`, which has no
/// key, believes what the connection says that it opened to that bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What this reply says, to a driver that has no key.
    Believed(Reply),
    /// Banks hold OK on these bytes.
    Granted(Vec<Token>),
    /// A bank can never vote OK on these bytes, or they are aborted.
    Refused {
        /// What convinces the others.
        token: Token,
        /// Why.
        reason: Reason,
        /// In words; may be empty.
        text: String,
    },
    /// These bytes are committed, as these tokens prove.
    Committed(Time, Vec<Token>),
    /// The bank says COMMITTED, with this token of its OK.
    SaysCommitted(Time, Token),
    /// Nothing: it counts as silence, as an ERR does, and what answers another question.
    Nothing,
}

impl Answer {
    /// What a driver without a key takes from the answer of `bank` about the bytes with `digest`.
    fn believed(
        bank: BankId,
        verb: AskedVerb,
        named: BankSet,
        digest: &Digest,
        reply: Reply,
    ) -> Answer {
        let other_bytes =
            |token| Answer::Refused { token, reason: Reason::DuplicateId, text: String::new() };
        match reply {
            Reply::Ok(_, token) if verb == AskedVerb::Prepare && token.bank == bank => {
                if token.grants(digest) { Answer::Granted(vec![token]) } else { other_bytes(token) }
            }
            Reply::Nok(_, token, reason, text) if token.bank == bank && token.refuses(digest) => {
                Answer::Refused { token, reason, text }
            }
            // A bank that says ABORTED and that it held an OK can never vote OK on any bytes of
            // this id again. Its statement convinces every other bank; the token beside it may be
            // that bank's own. Without a statement it has refused itself, or drives other bytes
            // under this id for others and tells how those ended: then the token says nothing of
            // ours unless they name its bank.
            Reply::Aborted(_, token, reason, statement) => {
                let token = statement.filter(|said| said.bank == bank).unwrap_or(token);
                let refuses = token.refuses(digest) || token.said == Said::Aborted;
                if named.has(token.bank) && refuses {
                    Answer::Refused { token, reason, text: String::new() }
                } else {
                    Answer::Nothing
                }
            }
            Reply::Committed(_, time, token, _) if token.bank == bank => {
                if token.grants(digest) {
                    Answer::SaysCommitted(time, token)
                } else {
                    other_bytes(token)
                }
            }
            Reply::Ok(..)
            | Reply::Nok(..)
            | Reply::Committed(..)
            | Reply::Doubt(..)
            | Reply::Unknown(_)
            | Reply::Done(_)
            | Reply::Refused(..)
            | Reply::Err(..)
            | Reply::Pong
            | Reply::Bye => Answer::Nothing,
        }
    }
}

/// What a driver must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// Send this, over a new connection if need be; its answer, or its loss, comes back as an
    /// event.
    Send(BankId, Message),
    /// Only with `LastAgent`: vote now, all others said OK. The vote comes back as an event.
    VoteSelf,
    /// Only with `LastAgent`: record a refusal, unless voted. The vote comes back as an event.
    RefuseSelf(Reason),
    /// Start the time-out (again): `VOTE_TIMEOUT_MS` from now.
    StartTimer,
    /// Tell it; comes once.
    Tell(Verdict),
}

/// What became of a transaction, as its driver knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every bank holds a durable OK: committed at this time.
    Committed(Time),
    /// A bank refused for ever.
    Aborted {
        /// Who refused: the token's bank, whoever told it.
        by: BankId,
        /// The token that it told.
        token: Token,
        /// Why.
        reason: Reason,
        /// In words; may be empty.
        text: String,
    },
    /// Not known yet: these banks are silent, and may have voted OK.
    Doubt(BankSet),
    /// No bank at all could be reached, and nothing was sent to any.
    Unreached,
}

/// How a bank stands towards a transaction, as its driver sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not asked.
    Unasked,
    /// Asked, no answer yet.
    Asked,
    /// Could not be reached, or its answer got lost, or says nothing.
    Silent,
    /// OK, with its token.
    Ok(Token),
    /// NOK, or any other refusal for ever.
    Refused(Token, Reason, String),
}

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
        let Some(at) = self.settle_debt(bank) else { return };
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
        let Some(at) = self.settle_debt(bank) else { return };
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
        let Some(at) = self.seat_of(bank) else { return };
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
        let Some(at) = self.seat_of(bank) else { return };
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

    /// Tells the outcome to every bank that may hold something for it.
    fn send_outcome(&mut self, todo: &mut Vec<Do>) {
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

    fn end_if_nothing_is_owed(&mut self, todo: &mut Vec<Do>) {
        let waits = |participant: &Participant| {
            participant.owes > 0 || participant.standing == Standing::Asked
        };
        match self.phase {
            Phase::GivingUp if !self.participants.iter().any(waits) => self.doubt(todo),
            Phase::Voting | Phase::GivingUp | Phase::Commit(_) | Phase::Abort(_) => {}
        }
    }

    fn doubt(&mut self, todo: &mut Vec<Do>) {
        let nothing_sent = self
            .standings()
            .all(|(bank, standing)| *standing == Standing::Silent && !self.was_asked(bank));
        let silent = |(_, standing): &(BankId, &Standing)| {
            matches!(standing, Standing::Silent | Standing::Asked | Standing::Unasked)
        };
        let verdict = if nothing_sent {
            Verdict::Unreached
        } else {
            Verdict::Doubt(self.standings().filter(silent).map(|(bank, _)| bank).collect())
        };
        self.tell(verdict, todo);
    }

    fn was_asked(&self, bank: BankId) -> bool {
        self.participants.iter().any(|participant| participant.bank == bank && participant.given_up)
    }

    fn tell(&mut self, verdict: Verdict, todo: &mut Vec<Do>) {
        if self.told.is_none() {
            self.told = Some(verdict.clone());
            todo.push(Do::Tell(verdict));
        }
    }

    fn prepare(&mut self, at: usize, todo: &mut Vec<Do>) {
        self.participants[at].standing = Standing::Asked;
        let message = Message::Prepare(self.tx.clone(), Arc::clone(&self.transaction));
        self.send(at, message, todo);
    }

    fn abort_silent(&mut self, at: usize, todo: &mut Vec<Do>) {
        self.phase = Phase::GivingUp;
        self.participants[at].given_up = true;
        self.send(at, Message::Abort(self.tx.clone(), None), todo);
    }

    fn send(&mut self, at: usize, message: Message, todo: &mut Vec<Do>) {
        self.participants[at].owes += 1;
        todo.push(Do::Send(self.participants[at].bank, message));
    }

    /// One message to `bank` is answered or lost; `None` where none was under way.
    fn settle_debt(&mut self, bank: BankId) -> Option<usize> {
        let at = self.seat_of(bank)?;
        self.participants[at].owes = self.participants[at].owes.checked_sub(1)?;
        Some(at)
    }

    fn seat_of(&self, bank: BankId) -> Option<usize> {
        self.participants.iter().position(|participant| participant.bank == bank)
    }

    fn tokens(&self) -> Vec<Token> {
        let token = |participant: &Participant| match participant.standing {
            Standing::Ok(token) => Some(token),
            Standing::Unasked | Standing::Asked | Standing::Silent | Standing::Refused(..) => None,
        };
        self.participants.iter().filter_map(token).collect()
    }

    fn me(&self) -> Option<BankId> {
        match self.strategy {
            Strategy::Parallel => None,
            Strategy::LastAgent(me) => Some(me),
        }
    }

    /// Is this a last agent that has not voted?
    fn free_to_refuse(&self) -> bool {
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

#[cfg(test)]
mod tests;
