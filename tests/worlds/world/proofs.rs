//! Mistakes in what a bank accepts as proof, planted around the shipped core: each passes the core
//! what such a bank would accept, with a valid MAC.

use super::{Around as _, World};
use consorcio_core::bank::io::{After, Input, Outgoing, SessionId};
use consorcio_core::commit::message::{Message, RequestKey};
use consorcio_core::ids::{BankId, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::detail::Detail;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::{Seal, Token, TokenKind, Vote};
use consorcio_core::wire::transaction::Transaction;
use std::sync::Arc;

/// A planted mistake in what proves an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofMistake {
    /// The commit time is the number in a COMMITTED.
    NumberAccepted,
    /// The first word of a reply decides, if any token in it is valid.
    WordAccepted,
    /// The MAC in a reply over a dialled link is not verified.
    AnswerNotProved,
    /// The MAC of a token in COMMIT or ABORT is not verified.
    CommitNotProved,
    /// The MAC of a bank's own vote that it receives is not verified.
    OwnVoteNotProved,
    /// OK on other bytes counts as OK on these.
    OtherBytesCounted,
    /// OK on other bytes counts as nothing.
    OtherBytesIgnored,
    /// A token counts even if its bank is not named.
    UnnamedCounted,
    /// A token is verified against the id of the reply, not of the request.
    IdOfTheAnswer,
    /// Only the first token of ABORTED counts.
    FirstTokenAlone,
    /// ABORTED counts only from the bank that refused.
    NamedRefuserAlone,
    /// `A` counts only on a bank's own bytes.
    ForeignAbortIgnored,
    /// A bank that receives its own `C` or `A` looks in its journal for the outcome, not only for
    /// the vote.
    OutcomeLookedFor,
    /// An id whose record can't be read counts as one without a record.
    UnreadTreatedAsNotHeld,
}

impl ProofMistake {
    pub const ALL: [ProofMistake; 14] = [
        ProofMistake::NumberAccepted,
        ProofMistake::WordAccepted,
        ProofMistake::AnswerNotProved,
        ProofMistake::CommitNotProved,
        ProofMistake::OwnVoteNotProved,
        ProofMistake::OtherBytesCounted,
        ProofMistake::OtherBytesIgnored,
        ProofMistake::UnnamedCounted,
        ProofMistake::IdOfTheAnswer,
        ProofMistake::FirstTokenAlone,
        ProofMistake::NamedRefuserAlone,
        ProofMistake::ForeignAbortIgnored,
        ProofMistake::OutcomeLookedFor,
        ProofMistake::UnreadTreatedAsNotHeld,
    ];
}

/// What a bank knows when it checks a token.
struct TokenCheck<'a> {
    mistake: ProofMistake,
    seal: Seal,
    me: BankId,
    /// The bank that sent it, if a bank did.
    from: Option<BankId>,
    tx: &'a TxId,
    /// The bytes that the bank holds OK on, or drives.
    bytes: Option<Arc<Transaction>>,
    /// The bank is in doubt about them.
    in_doubt: bool,
    /// The token came in a reply.
    is_answer: bool,
}

impl TokenCheck<'_> {
    fn sealed(&self, bank: BankId, said: impl Into<TokenKind>, token: &Token) -> Token {
        self.seal.token(bank, said, self.tx, token.digest, token.time)
    }

    fn is_on_other_bytes(&self, token: &Token) -> bool {
        let other = |bytes: &Arc<Transaction>| token.digest != Some(*bytes.digest());
        token.kind != TokenKind::No && self.bytes.as_ref().is_some_and(other)
    }

    /// The token as which a bank with the mistake treats this one; `None` if it ignores it.
    fn accept(&self, token: Token) -> Option<Token> {
        let proves = self.seal.proves(self.tx, &token);
        let others = token.bank != self.me;
        let reseal = match self.mistake {
            ProofMistake::AnswerNotProved => self.is_answer && others && !proves,
            ProofMistake::CommitNotProved => !self.is_answer && others && !proves,
            ProofMistake::OwnVoteNotProved => !others && !proves,
            _ => false,
        };
        if reseal {
            return Some(self.sealed(token.bank, token.kind, &token));
        }
        match (self.mistake, &self.bytes) {
            (ProofMistake::OtherBytesCounted, Some(bytes))
                if proves
                    && others
                    && token.kind == TokenKind::Ok
                    && self.is_on_other_bytes(&token) =>
            {
                let like = Token { digest: Some(*bytes.digest()), ..token };
                Some(self.sealed(token.bank, Vote::Ok, &like))
            }
            (ProofMistake::OtherBytesIgnored, _) if others && self.is_on_other_bytes(&token) => {
                None
            }
            (ProofMistake::ForeignAbortIgnored, _)
                if token.kind == TokenKind::Aborted && self.is_on_other_bytes(&token) =>
            {
                None
            }
            (ProofMistake::UnnamedCounted, Some(bytes))
                if proves && !bytes.banks().has(token.bank) =>
            {
                let named = self.from.filter(|from| bytes.banks().has(*from));
                let named = named.or(bytes.banks().without(self.me).iter().next())?;
                Some(self.sealed(named, token.kind, &token))
            }
            (ProofMistake::FirstTokenAlone, _) if token.kind == TokenKind::Aborted => None,
            (ProofMistake::NamedRefuserAlone, _)
                if self.from.is_some_and(|from| from != token.bank)
                    && token.kind != TokenKind::Committed =>
            {
                None
            }
            // A vote that its journal does not hold, so it stops.
            (ProofMistake::OutcomeLookedFor, _)
                if !others
                    && proves
                    && self.in_doubt
                    && matches!(token.kind, TokenKind::Committed | TokenKind::Aborted) =>
            {
                Some(self.sealed(self.me, Vote::No, &token))
            }
            _ => Some(token),
        }
    }

    /// The reply as which a bank with the mistake treats this one.
    fn accept_reply(&self, reply: Reply) -> Reply {
        let nothing = || Reply::Doubt(self.tx.clone(), String::new());
        match (self.mistake, reply) {
            (ProofMistake::NumberAccepted, Reply::Committed(tx, number, _, Some(said)))
                if self.seal.proves(&tx, &said) && !self.is_on_other_bytes(&said) =>
            {
                let said =
                    self.sealed(said.bank, TokenKind::Committed, &Token { time: number, ..said });
                Reply::Committed(tx, number, said, Some(said))
            }
            (ProofMistake::WordAccepted, reply) => self.accept_word(reply),
            (ProofMistake::NamedRefuserAlone, Reply::Aborted(_, token, ..))
                if self.from != Some(token.bank) =>
            {
                nothing()
            }
            (ProofMistake::IdOfTheAnswer, reply) => self.accept_other_id(reply),
            (_, Reply::Ok(tx, token)) => match self.accept(token) {
                Some(token) => Reply::Ok(tx, token),
                None => nothing(),
            },
            (_, Reply::Nok(tx, token, reason, text)) => match self.accept(token) {
                Some(token) => Reply::Nok(tx, token, reason, text),
                None => nothing(),
            },
            (_, Reply::Committed(tx, time, token, said)) => {
                let said = said.and_then(|said| self.accept(said));
                match self.accept(token).or(said) {
                    Some(token) => Reply::Committed(tx, time, token, said),
                    None => nothing(),
                }
            }
            (_, Reply::Aborted(tx, token, reason, said)) => {
                let said = said.and_then(|said| self.accept(said));
                match self.accept(token).or(said) {
                    Some(token) => Reply::Aborted(tx, token, reason, said),
                    None => nothing(),
                }
            }
            (_, reply) => reply,
        }
    }

    fn accept_word(&self, reply: Reply) -> Reply {
        let Some(from) = self.from else { return reply };
        let counts =
            |token: &Token| self.seal.proves(self.tx, token) && !self.is_on_other_bytes(token);
        match reply {
            Reply::Nok(tx, token, reason, text) if counts(&token) => {
                let token = self.sealed(from, Vote::No, &token);
                Reply::Nok(tx, token, reason, text)
            }
            Reply::Aborted(tx, token, reason, said) if counts(&token) => {
                let token = self.sealed(from, Vote::No, &token);
                Reply::Aborted(tx, token, reason, said)
            }
            Reply::Committed(tx, time, token, _)
                if counts(&token) && token.kind == TokenKind::Ok =>
            {
                let said = self.sealed(from, TokenKind::Committed, &token);
                Reply::Committed(tx, time, token, Some(said))
            }
            reply => reply,
        }
    }

    fn accept_other_id(&self, reply: Reply) -> Reply {
        let Some(id) = reply.tx().filter(|id| *id != self.tx).cloned() else { return reply };
        let taken = |token: Token| {
            let proves = self.seal.proves(&id, &token);
            if proves { self.sealed(token.bank, token.kind, &token) } else { token }
        };
        let tx = self.tx.clone();
        match reply {
            Reply::Ok(_, token) => Reply::Ok(tx, taken(token)),
            Reply::Nok(_, token, reason, text) => Reply::Nok(tx, taken(token), reason, text),
            Reply::Committed(_, time, token, said) => {
                Reply::Committed(tx, time, taken(token), said.map(taken))
            }
            Reply::Aborted(_, token, reason, said) => {
                Reply::Aborted(tx, taken(token), reason, said.map(taken))
            }
            Reply::Doubt(_, text) => Reply::Doubt(tx, text),
            Reply::Unknown(_) => Reply::Unknown(tx),
            reply => reply,
        }
    }
}

impl World {
    fn token_check<'a>(
        &self,
        at: usize,
        from: Option<usize>,
        tx: &'a TxId,
        is_answer: bool,
    ) -> Option<TokenCheck<'a>> {
        let mistake = self.path.mistake?;
        let identity = self.identity(at);
        let voted = self.voted(at, tx).map(|(transaction, _)| transaction);
        let in_doubt = voted.is_some() && !self.nodes[at].past.contains_key(tx);
        let bytes = voted.or_else(|| self.path.driven.get(&(at, tx.clone())).cloned());
        let from = from.and_then(BankId::new);
        Some(TokenCheck {
            mistake,
            seal: identity.seal,
            me: identity.bank,
            from,
            tx,
            bytes,
            in_doubt,
            is_answer,
        })
    }

    /// Applies the mistake to a reply.
    pub(super) fn mistaken_proof(
        &self,
        to: usize,
        peer: usize,
        asked: &RequestKey,
        reply: Option<Reply>,
    ) -> Option<Reply> {
        match self.token_check(to, Some(peer), &asked.tx, true) {
            Some(check) => reply.map(|reply| check.accept_reply(reply)),
            None => reply,
        }
    }

    /// Applies the mistake to COMMIT or ABORT.
    pub(super) fn mistaken_tokens(
        &self,
        bank: usize,
        session: SessionId,
        request: Request,
    ) -> Request {
        let Some(tx) = request.tx().filter(|_| self.path.mistake.is_some()).cloned() else {
            return request;
        };
        let from = self.links.get(&session.0).map(|link| link.dialler);
        let Some(check) = self.token_check(bank, from, &tx, false) else { return request };
        match request {
            Request::Commit(tx, tokens) => Request::Commit(
                tx,
                tokens.into_iter().filter_map(|token| check.accept(token)).collect(),
            ),
            Request::Abort(tx, token) => {
                Request::Abort(tx, token.and_then(|token| check.accept(token)))
            }
            request => request,
        }
    }

    /// A peer sends a bank a vote of that bank.
    pub fn show(&mut self, to: usize, peer: usize, tx: TxId, token: Token) {
        let check = self.token_check(to, Some(peer), &tx, false);
        let accepted = check.map_or(Some(token), |check| check.accept(token));
        let past = self.past(to, &tx);
        if let Some(token) = accepted {
            let peer = BankId::new(peer).expect("few banks");
            self.input(to, &Input::PeerShows { peer, tx, token, past });
        }
    }

    /// Notes the bytes that a bank drives, for the checks of a planted mistake.
    pub(super) fn note_prepare(&mut self, from: usize, message: &Message) {
        if let (Some(_), Message::Prepare(tx, transaction)) = (self.path.mistake, message) {
            self.path.driven.insert((from, tx.clone()), Arc::clone(transaction));
        }
    }

    /// An input about an id whose record can't be read, treated as in the node. `None`: the bank
    /// gets no input.
    pub(super) fn unread(&mut self, bank: usize, input: &Input) -> Option<Input> {
        let mut input = input.clone();
        let Some((tx, past)) = input.about() else { return Some(input) };
        let knows = self.nodes[bank].core.as_ref().is_some_and(|core| core.knows(tx));
        if knows || !self.path.unreadable.contains(&(bank, tx.clone())) {
            return Some(input);
        }
        *past = None;
        if self.path.mistake == Some(ProofMistake::UnreadTreatedAsNotHeld) {
            return Some(input);
        }
        match &mut input {
            Input::Request { caller, .. } => {
                let reply = Reply::Err(Reason::Unreadable, Detail::Unreadable.to_string());
                self.nodes[bank].replies.push(Outgoing { to: *caller, reply, after: After::Now });
                self.release(bank);
                None
            }
            Input::Answer { reply, .. } => {
                *reply = None;
                Some(input)
            }
            _ => None,
        }
    }
}

/// A wrong commit time.
pub fn another_time(time: Time, by: usize) -> Time {
    let by = i64::try_from(by).expect("a short time");
    Time(time.0 + 1 + by)
}
