//! An attacker on the network between banks, without the key: it changes bytes, words, numbers and
//! tokens of messages in flight, repeats old replies, invents replies, and injects lines into a
//! link. Unless a mistake is planted, the effect is checked at once: the bank may record only what
//! the honest reply, or none, would make it record, or what a valid token in the changed message
//! proves.

mod check;

use super::World;
use super::links::Flight;
use super::proofs::{ProofMistake, another_time};
use consorcio_core::bank::io::{Caller, Input, Origin, Outcome, Output, SessionId};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::message::{Message, RequestKey};
use consorcio_core::commit::proof::tokens_of;
use consorcio_core::ids::{BankId, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::{Digest, Token, TokenKind};
use consorcio_core::wire::transaction::Transaction;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Replies that the attacker stores.
const STORED_REPLIES_MAX: usize = 400;

/// The network between banks, and what the attacker knows.
#[derive(Clone, Default)]
pub struct Path {
    pub mistake: Option<ProofMistake>,
    pub is_attacked: bool,
    stored: VecDeque<Reply>,
    /// Ids whose records a bank can't read now.
    pub unreadable: BTreeSet<(usize, TxId)>,
    /// Transactions that banks drive, noted where a mistake is planted.
    pub(super) driven: BTreeMap<(usize, TxId), Arc<Transaction>>,
}

/// An attacker's choices: `below` draws a number below another one; there are the ids `t0`, `t1`, …
/// up to `ids`.
pub struct Attacker<'a> {
    pub below: &'a mut dyn FnMut(usize) -> usize,
    pub ids: usize,
    pub banks: usize,
}

/// What was done, and the transaction of a PREPARE that it created.
pub struct Tampered {
    pub what: &'static str,
    pub prepared: Option<(TxId, Arc<Transaction>)>,
}

impl Attacker<'_> {
    fn of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { Some(&items[(self.below)(items.len())]) }
    }

    fn knows(&self, tx: &TxId) -> bool {
        let number = tx.as_str().strip_prefix('t').and_then(|number| number.parse::<usize>().ok());
        number.is_some_and(|number| number < self.ids && tx.as_str() == format!("t{number}"))
    }

    /// Replaces one byte of a line.
    fn another_byte(&mut self, mut line: Vec<u8>) -> String {
        line.pop();
        let at = (self.below)(line.len());
        line[at] = b' ' + u8::try_from((self.below)(95)).expect("printable");
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Changes one part of a token and keeps or drops its MAC.
    pub fn forged(&mut self, token: Token) -> Token {
        let bank = BankId::new((self.below)(self.banks)).expect("few banks");
        match (self.below)(7) {
            0 => Token {
                kind: TokenKind::Ok,
                digest: token.digest.or(Some(Digest([0; 32]))),
                ..token
            },
            1 => Token { kind: TokenKind::No, ..token },
            2 => Token {
                kind: TokenKind::Committed,
                digest: token.digest.or(Some(Digest([0; 32]))),
                ..token
            },
            3 => Token {
                kind: TokenKind::Aborted,
                digest: token.digest.or(Some(Digest([0; 32]))),
                ..token
            },
            4 => Token { bank, ..token },
            5 => Token { time: another_time(token.time, (self.below)(1_000)), ..token },
            _ => Token { mac: None, ..token },
        }
    }
}

/// The same reply with other tokens.
fn with_tokens(reply: Reply, mut other: impl FnMut(Token) -> Token) -> Reply {
    match reply {
        Reply::Ok(tx, token) => Reply::Ok(tx, other(token)),
        Reply::Nok(tx, token, reason, text) => Reply::Nok(tx, other(token), reason, text),
        Reply::Committed(tx, time, token, said) => {
            Reply::Committed(tx, time, other(token), said.map(&mut other))
        }
        Reply::Aborted(tx, token, reason, said) => {
            Reply::Aborted(tx, other(token), reason, said.map(&mut other))
        }
        reply => reply,
    }
}

/// The same tokens with another first word.
fn relabelled(reply: Reply, attacker: &mut Attacker<'_>) -> Reply {
    let reason = Reason::Refused;
    let (tx, token, said) = match reply {
        Reply::Ok(tx, token) | Reply::Nok(tx, token, ..) => (tx, token, None),
        Reply::Committed(tx, _, token, said) | Reply::Aborted(tx, token, _, said) => {
            (tx, token, said)
        }
        reply => return reply,
    };
    match (attacker.below)(4) {
        0 => Reply::Ok(tx, token),
        1 => Reply::Nok(tx, token, reason, String::new()),
        2 => Reply::Committed(tx, another_time(token.time, (attacker.below)(1_000)), token, said),
        _ => Reply::Aborted(tx, token, reason, said),
    }
}

impl Path {
    /// Stores a reply that a bank sends.
    pub(super) fn record(&mut self, reply: &Reply) {
        if !self.is_attacked || tokens_of(reply).is_empty() {
            return;
        }
        if self.stored.len() == STORED_REPLIES_MAX {
            self.stored.pop_front();
        }
        self.stored.push_back(reply.clone());
    }

    fn stored_for(&self, tx: &TxId, same: bool) -> Vec<Reply> {
        self.stored.iter().filter(|reply| (reply.tx() == Some(tx)) == same).cloned().collect()
    }

    /// Any stored token, with its id.
    pub fn any_stored_token(
        &self,
        attacker: &mut Attacker<'_>,
        of: Option<usize>,
    ) -> Option<(TxId, Token)> {
        let replies = self.stored.iter().filter_map(|reply| Some((reply.tx()?, tokens_of(reply))));
        let all = replies
            .flat_map(|(tx, tokens)| tokens.into_iter().map(move |token| (tx.clone(), token)));
        let all: Vec<_> =
            all.filter(|(_, token)| of.is_none_or(|of| token.bank.index() == of)).collect();
        attacker.of(&all).cloned()
    }

    /// Changes a reply in flight; `None` if the result is not a reply.
    pub fn changed(
        &self,
        attacker: &mut Attacker<'_>,
        asked: &RequestKey,
        reply: &Reply,
    ) -> (&'static str, Option<Reply>) {
        let number = |reply: &Reply| matches!(reply, Reply::Committed(..));
        match (attacker.below)(10) {
            0 | 1 if number(reply) => {
                let Reply::Committed(tx, time, token, said) = reply.clone() else { unreachable!() };
                let time = another_time(time, (attacker.below)(1_000));
                ("commit time changed", Some(Reply::Committed(tx, time, token, said)))
            }
            2 | 3 => ("first word changed", Some(relabelled(reply.clone(), attacker))),
            4 => {
                ("token changed", Some(with_tokens(reply.clone(), |token| attacker.forged(token))))
            }
            5 => match attacker.of(&self.stored_for(&asked.tx, true)) {
                Some(old) => ("old reply repeated", Some(old.clone())),
                None => ("first word changed", Some(relabelled(reply.clone(), attacker))),
            },
            6 => match attacker.of(&self.stored_for(&asked.tx, false)) {
                Some(other) => ("reply of another id", Some(other.clone())),
                None => ("first word changed", Some(relabelled(reply.clone(), attacker))),
            },
            7 => {
                let other = self.any_stored_token(attacker, None);
                let swapped = |token| other.as_ref().map_or(token, |(_, other)| *other);
                ("token of another id", Some(with_tokens(reply.clone(), swapped)))
            }
            8 => ("reply invented", Some(self.invented(attacker, asked))),
            _ => {
                let mut line = Vec::new();
                reply.write_to(&mut line);
                ("byte of a reply changed", Reply::parse(&attacker.another_byte(line)).ok())
            }
        }
    }

    /// A reply made from nothing; its bytes may be the right ones.
    fn invented(&self, attacker: &mut Attacker<'_>, asked: &RequestKey) -> Reply {
        let like = match attacker.of(&self.stored_for(&asked.tx, true)) {
            Some(reply) => tokens_of(reply)[0],
            None => Token {
                kind: TokenKind::Ok,
                bank: BankId::new((attacker.below)(attacker.banks)).expect("few banks"),
                time: Time(1),
                digest: Some(Digest([9; 32])),
                mac: Some([0; 16]),
            },
        };
        let token = attacker.forged(Token { mac: Some([7; 16]), ..like });
        relabelled(Reply::Ok(asked.tx.clone(), token), attacker)
    }

    /// Replaces or drops tokens in a driver's COMMIT or ABORT.
    pub fn with_other_tokens(
        &self,
        attacker: &mut Attacker<'_>,
        message: &Message,
    ) -> Option<Message> {
        let other = |attacker: &mut Attacker<'_>, token: Token| match (attacker.below)(3) {
            0 => attacker.forged(token),
            1 => self.any_stored_token(attacker, None).map_or(token, |(_, token)| token),
            _ => token,
        };
        match message {
            Message::Commit(tx, tokens) => {
                let mut tokens: Vec<Token> =
                    tokens.iter().map(|token| other(attacker, *token)).collect();
                if (attacker.below)(4) == 0 {
                    tokens.pop();
                }
                Some(Message::Commit(tx.clone(), tokens))
            }
            Message::Abort(tx, Some(token)) => Some(Message::Abort(
                tx.clone(),
                Some(other(attacker, *token)).filter(|_| (attacker.below)(4) > 0),
            )),
            Message::Abort(..)
            | Message::Prepare(..)
            | Message::Resolve(_)
            | Message::Registers { .. } => None,
        }
    }
}

impl World {
    /// Changes a message in flight between two banks, or invents one, and delivers it.
    pub fn tamper(&mut self, attacker: &mut Attacker<'_>) -> Option<Tampered> {
        let done = |what| Some(Tampered { what, prepared: None });
        match (attacker.below)(12) {
            0 => return self.inject_reply(attacker).and_then(done),
            1 => return self.inject_request(attacker).and_then(done),
            _ => {}
        }
        let answers: Vec<usize> = (0..self.flights.len())
            .filter(|at| matches!(self.flights[*at], Flight::Answer { .. }))
            .collect();
        let at = match attacker.of(&answers) {
            Some(at) if (attacker.below)(3) > 0 => *at,
            _ if self.flights.is_empty() => return None,
            _ => (attacker.below)(self.flights.len()),
        };
        match self.take_flight(at)? {
            Flight::Answer { to, link, asked, reply } => {
                let (what, forged) = self.path.changed(attacker, &asked, &reply);
                self.deliver_forged(
                    (to, link, &asked),
                    Some(&reply),
                    forged,
                    what != "old reply repeated",
                );
                done(what)
            }
            Flight::Request { to, link, message } => {
                self.change_request(attacker, to, link, message)
            }
            flight @ (Flight::Met { .. } | Flight::NoLink { .. }) => {
                self.arrive(flight);
                None
            }
        }
    }

    /// Delivers a reply before the bank has sent any.
    fn inject_reply(&mut self, attacker: &mut Attacker<'_>) -> Option<&'static str> {
        let owed = |(id, link): (&u64, &super::links::Link)| {
            let whole = link.ends == super::links::Ends::Both;
            let asked = link.owed.front().filter(|_| whole)?.0.clone();
            Some((link.dialler, *id, asked))
        };
        let owed: Vec<_> = self.links.iter().filter_map(owed).collect();
        let (to, link, asked) = attacker.of(&owed)?.clone();
        let forged = self.path.invented(attacker, &asked);
        self.deliver_forged((to, link, &asked), None, Some(forged), true);
        Some("reply without a message")
    }

    /// Delivers a line over a link that no bank sent.
    fn inject_request(&mut self, attacker: &mut Attacker<'_>) -> Option<&'static str> {
        let links: Vec<u64> = self.links.keys().copied().collect();
        let link = *attacker.of(&links)?;
        let (stored_for, token) = self.path.any_stored_token(attacker, None)?;
        let tokens: Vec<Token> = self
            .path
            .stored_for(&stored_for, true)
            .iter()
            .flat_map(tokens_of)
            .chain([token])
            .collect();
        let token = if (attacker.below)(2) == 0 { token } else { attacker.forged(token) };
        let request = match (attacker.below)(4) {
            0 => Request::Commit(stored_for, tokens),
            1 => Request::Abort(stored_for, Some(token)),
            2 => Request::Commit(stored_for, vec![token]),
            _ => Request::Resolve(stored_for),
        };
        let to = self.links[&link].dialled;
        self.request(to, SessionId(link), Origin::Link, request, 0);
        // The dialler gets a reply without a request, so it closes the link.
        self.cut(link);
        Some("line invented")
    }

    /// Delivers `forged` as the reply; `None` closes the link.
    fn deliver_forged(
        &mut self,
        (to, link, asked): (usize, u64, &RequestKey),
        honest: Option<&Reply>,
        forged: Option<Reply>,
        is_new: bool,
    ) {
        let of_another_id = |forged: &Reply| forged.tx().is_some_and(|tx| *tx != asked.tx);
        let accepts_other_id = self.path.mistake == Some(ProofMistake::IdOfTheAnswer);
        let Some(forged) = forged.filter(|forged| accepts_other_id || !of_another_id(forged))
        else {
            return self.cut(link);
        };
        if is_new && self.path.mistake.is_none() {
            self.check_reply((to, link, asked), honest, &forged);
        }
        self.arrive(Flight::Answer { to, link, asked: asked.clone(), reply: forged });
    }
}

/// A reply with this token and no other.
fn reply_with(tx: &TxId, token: Token) -> Reply {
    let tx = tx.clone();
    match token.kind {
        TokenKind::Ok => Reply::Ok(tx, token),
        TokenKind::No => Reply::Nok(tx, token, Reason::Refused, String::new()),
        TokenKind::Committed => Reply::Committed(tx, token.time, token, None),
        TokenKind::Aborted => Reply::Aborted(tx, token, Reason::Refused, None),
    }
}

/// The outcomes and votes that a decision records.
fn ends(output: &Output) -> Vec<String> {
    let end = |record: &Record| match record {
        Record::Decided { tx, outcome: Outcome::Committed(time), .. } => {
            format!("{tx} committed at {time}")
        }
        Record::Decided { tx, outcome: Outcome::Aborted(..), .. } => format!("{tx} aborted"),
        Record::Executed { tx, committed, .. } => format!("{tx} executed at {committed}"),
        Record::Drove { tx, refusal, .. } => format!("{tx} driven, aborted: {}", refusal.is_some()),
        Record::Voted { tx, refusal: Some(_), .. } | Record::Refused { tx, .. } => {
            format!("{tx} refused")
        }
        other => format!("{other:?}"),
    };
    output.records.iter().map(end).collect()
}
