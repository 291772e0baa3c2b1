//! Mistakes in what a bank takes for proved, planted around the shipped core: each shows the core
//! what a bank with that mistake believes, sealed as if it were so.

use super::{Around as _, World};
use consorcio::bank::io::{After, Input, Outgoing, SessionId};
use consorcio::commit::message::{Asked, Message};
use consorcio::ids::{BankId, Time, TxId};
use consorcio::wire::Reason;
use consorcio::wire::detail::Detail;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::token::{Said, Seal, Token, Verdict};
use consorcio::wire::transaction::Transaction;
use std::sync::Arc;

/// A planted mistake in what proves an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofMistake {
    /// The commit's time is the bare number of a COMMITTED.
    NumberBelieved,
    /// The word that an answer begins with decides, where any token beside it proves itself.
    WordBelieved,
    /// The MAC of what comes over a dialled link is not looked at.
    AnswerNotProved,
    /// That of what COMMIT and ABORT carry is not.
    CommitNotProved,
    /// That of a vote of its own that a bank is shown is not.
    OwnVoteNotProved,
    /// OK on other bytes counts as OK on these.
    OtherBytesCounted,
    /// OK on other bytes counts as nothing.
    OtherBytesIgnored,
    /// A token counts, whether its bank is named or not.
    UnnamedCounted,
    /// Tokens are proved at the id of the answer, not at that of the question.
    IdOfTheAnswer,
    /// Of ABORTED the first token alone counts.
    FirstTokenAlone,
    /// ABORTED counts only from the bank that it names as who refused.
    NamedRefuserAlone,
    /// `A` counts only on a bank's own bytes.
    ForeignAbortIgnored,
    /// A bank that is shown its own `C` or `A` looks for the outcome in its journal, not for the
    /// vote alone.
    OutcomeLookedFor,
    /// An id whose record can't be read is taken for one without a record.
    UnreadTakenForNotHeld,
}

impl ProofMistake {
    pub const ALL: [ProofMistake; 14] = [
        ProofMistake::NumberBelieved,
        ProofMistake::WordBelieved,
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
        ProofMistake::UnreadTakenForNotHeld,
    ];
}

/// What a bank that judges a token knows.
struct Judge<'a> {
    mistake: ProofMistake,
    seal: Seal,
    me: BankId,
    /// Who shows it, where that is a bank.
    from: Option<BankId>,
    tx: &'a TxId,
    /// The bytes that the bank is asked about: it holds OK on them, or drives them.
    bytes: Option<Arc<Transaction>>,
    /// Is the bank in doubt about them?
    in_doubt: bool,
    /// Did the token come in an answer?
    is_answer: bool,
}

impl Judge<'_> {
    fn sealed(&self, bank: BankId, said: impl Into<Said>, token: &Token) -> Token {
        self.seal.token(bank, said, self.tx, token.digest, token.time)
    }

    fn is_on_other_bytes(&self, token: &Token) -> bool {
        let other = |bytes: &Arc<Transaction>| token.digest != Some(*bytes.digest());
        token.said != Said::No && self.bytes.as_ref().is_some_and(other)
    }

    /// What the mistaken bank takes a token for; `None`: for nothing.
    fn takes(&self, token: Token) -> Option<Token> {
        let proves = self.seal.proves(self.tx, &token);
        let others = token.bank != self.me;
        let reseal = match self.mistake {
            ProofMistake::AnswerNotProved => self.is_answer && others && !proves,
            ProofMistake::CommitNotProved => !self.is_answer && others && !proves,
            ProofMistake::OwnVoteNotProved => !others && !proves,
            _ => false,
        };
        if reseal {
            return Some(self.sealed(token.bank, token.said, &token));
        }
        match (self.mistake, &self.bytes) {
            (ProofMistake::OtherBytesCounted, Some(bytes))
                if proves && others && token.said == Said::Ok && self.is_on_other_bytes(&token) =>
            {
                let like = Token { digest: Some(*bytes.digest()), ..token };
                Some(self.sealed(token.bank, Verdict::Ok, &like))
            }
            (ProofMistake::OtherBytesIgnored, _) if others && self.is_on_other_bytes(&token) => {
                None
            }
            (ProofMistake::ForeignAbortIgnored, _)
                if token.said == Said::Aborted && self.is_on_other_bytes(&token) =>
            {
                None
            }
            (ProofMistake::UnnamedCounted, Some(bytes))
                if proves && !bytes.banks().has(token.bank) =>
            {
                let named = self.from.filter(|from| bytes.banks().has(*from));
                let named = named.or(bytes.banks().without(self.me).iter().next())?;
                Some(self.sealed(named, token.said, &token))
            }
            (ProofMistake::FirstTokenAlone, _) if token.said == Said::Aborted => None,
            (ProofMistake::NamedRefuserAlone, _)
                if self.from.is_some_and(|from| from != token.bank)
                    && token.said != Said::Committed =>
            {
                None
            }
            // One that its journal does not hold: so it stops.
            (ProofMistake::OutcomeLookedFor, _)
                if !others
                    && proves
                    && self.in_doubt
                    && matches!(token.said, Said::Committed | Said::Aborted) =>
            {
                Some(self.sealed(self.me, Verdict::No, &token))
            }
            _ => Some(token),
        }
    }

    /// What it takes an answer for.
    fn takes_answer(&self, reply: Reply) -> Reply {
        let nothing = || Reply::Doubt(self.tx.clone(), String::new());
        match (self.mistake, reply) {
            (ProofMistake::NumberBelieved, Reply::Committed(tx, number, _, Some(said)))
                if self.seal.proves(&tx, &said) && !self.is_on_other_bytes(&said) =>
            {
                let said = self.sealed(said.bank, Said::Committed, &Token { time: number, ..said });
                Reply::Committed(tx, number, said, Some(said))
            }
            (ProofMistake::WordBelieved, reply) => self.takes_word(reply),
            (ProofMistake::NamedRefuserAlone, Reply::Aborted(_, token, ..))
                if self.from != Some(token.bank) =>
            {
                nothing()
            }
            (ProofMistake::IdOfTheAnswer, reply) => self.takes_other_id(reply),
            (_, Reply::Ok(tx, token)) => match self.takes(token) {
                Some(token) => Reply::Ok(tx, token),
                None => nothing(),
            },
            (_, Reply::Nok(tx, token, reason, text)) => match self.takes(token) {
                Some(token) => Reply::Nok(tx, token, reason, text),
                None => nothing(),
            },
            (_, Reply::Committed(tx, time, token, said)) => {
                let said = said.and_then(|said| self.takes(said));
                match self.takes(token).or(said) {
                    Some(token) => Reply::Committed(tx, time, token, said),
                    None => nothing(),
                }
            }
            (_, Reply::Aborted(tx, token, reason, said)) => {
                let said = said.and_then(|said| self.takes(said));
                match self.takes(token).or(said) {
                    Some(token) => Reply::Aborted(tx, token, reason, said),
                    None => nothing(),
                }
            }
            (_, reply) => reply,
        }
    }

    fn takes_word(&self, reply: Reply) -> Reply {
        let Some(from) = self.from else { return reply };
        let counts =
            |token: &Token| self.seal.proves(self.tx, token) && !self.is_on_other_bytes(token);
        match reply {
            Reply::Nok(tx, token, reason, text) if counts(&token) => {
                let token = self.sealed(from, Verdict::No, &token);
                Reply::Nok(tx, token, reason, text)
            }
            Reply::Aborted(tx, token, reason, said) if counts(&token) => {
                let token = self.sealed(from, Verdict::No, &token);
                Reply::Aborted(tx, token, reason, said)
            }
            Reply::Committed(tx, time, token, _) if counts(&token) && token.said == Said::Ok => {
                let said = self.sealed(from, Said::Committed, &token);
                Reply::Committed(tx, time, token, Some(said))
            }
            reply => reply,
        }
    }

    fn takes_other_id(&self, reply: Reply) -> Reply {
        let Some(id) = reply.tx().filter(|id| *id != self.tx).cloned() else { return reply };
        let taken = |token: Token| {
            let proves = self.seal.proves(&id, &token);
            if proves { self.sealed(token.bank, token.said, &token) } else { token }
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
    fn judge<'a>(
        &self,
        at: usize,
        from: Option<usize>,
        tx: &'a TxId,
        is_answer: bool,
    ) -> Option<Judge<'a>> {
        let mistake = self.path.mistake?;
        let identity = self.identity(at);
        let voted = self.voted(at, tx).map(|(transaction, _)| transaction);
        let in_doubt = voted.is_some() && !self.nodes[at].past.contains_key(tx);
        let bytes = voted.or_else(|| self.path.driven.get(&(at, tx.clone())).cloned());
        let from = from.and_then(BankId::new);
        Some(Judge {
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

    /// An answer, as a bank with a mistake takes it.
    pub(super) fn mistaken_proof(
        &self,
        to: usize,
        peer: usize,
        asked: &Asked,
        reply: Option<Reply>,
    ) -> Option<Reply> {
        match self.judge(to, Some(peer), &asked.tx, true) {
            Some(judge) => reply.map(|reply| judge.takes_answer(reply)),
            None => reply,
        }
    }

    /// COMMIT or ABORT, as a bank with a mistake takes it.
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
        let Some(judge) = self.judge(bank, from, &tx, false) else { return request };
        match request {
            Request::Commit(tx, tokens) => Request::Commit(
                tx,
                tokens.into_iter().filter_map(|token| judge.takes(token)).collect(),
            ),
            Request::Abort(tx, token) => {
                Request::Abort(tx, token.and_then(|token| judge.takes(token)))
            }
            request => request,
        }
    }

    /// A peer shows a bank a vote of its own.
    pub fn show(&mut self, to: usize, peer: usize, tx: TxId, token: Token) {
        let judge = self.judge(to, Some(peer), &tx, false);
        let shown = judge.map_or(Some(token), |judge| judge.takes(token));
        let past = self.past(to, &tx);
        if let Some(token) = shown {
            let peer = BankId::new(peer).expect("few banks");
            self.input(to, &Input::PeerShows { peer, tx, token, past });
        }
    }

    /// What a bank asks others to vote on.
    pub(super) fn asks_votes(&mut self, from: usize, message: &Message) {
        if let (Some(_), Message::Prepare(tx, transaction)) = (self.path.mistake, message) {
            self.path.driven.insert((from, tx.clone()), Arc::clone(transaction));
        }
    }

    /// What a bank makes of an input about an id whose record it can't read: as the node does it.
    pub(super) fn unread(&mut self, bank: usize, input: &Input) -> Option<Input> {
        let mut input = input.clone();
        let Some((tx, past)) = input.about() else { return Some(input) };
        let knows = self.nodes[bank].core.as_ref().is_some_and(|core| core.knows(tx));
        if knows || !self.path.unreadable.contains(&(bank, tx.clone())) {
            return Some(input);
        }
        *past = None;
        if self.path.mistake == Some(ProofMistake::UnreadTakenForNotHeld) {
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

/// A commit's time that is not the right one.
pub fn another_time(time: Time, by: usize) -> Time {
    let by = i64::try_from(by).expect("a short time");
    Time(time.0 + 1 + by)
}
