//! Somebody on the way between two banks, without the key: changes bytes, words, numbers and tokens
//! of what is under way, shows old answers again, invents some, and says lines of its own over a
//! link. Unless a mistake is planted, what was changed is compared at once: a bank records what the
//! honest answer, or none, would make it record; or, where a token that some bank really gave was
//! shown in its place, what that token proves.

mod judge;

use super::World;
use super::links::Flight;
use super::proofs::{ProofMistake, another_time};
use consorcio::bank::io::{Caller, Input, Origin, Outcome, Output, SessionId};
use consorcio::bank::record::Record;
use consorcio::commit::message::{Asked, Message};
use consorcio::commit::proof::tokens_of;
use consorcio::ids::{BankId, Time, TxId};
use consorcio::wire::Reason;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::token::{Digest, Said, Token};
use consorcio::wire::transaction::Transaction;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// So many answers are remembered.
const HEARD_MAX: usize = 400;

/// The way between banks, and what somebody there knows.
#[derive(Clone, Default)]
pub struct Path {
    pub mistake: Option<ProofMistake>,
    pub listens: bool,
    heard: VecDeque<Reply>,
    /// Ids whose records a bank can't read now.
    pub unreadable: BTreeSet<(usize, TxId)>,
    /// What banks asked others to vote on, where a mistake is planted.
    pub(super) driven: BTreeMap<(usize, TxId), Arc<Transaction>>,
}

/// Who decides what happens: a number below another one, by chance; and the ids `t0`, `t1`, … that
/// there are.
pub struct Liar<'a> {
    pub below: &'a mut dyn FnMut(usize) -> usize,
    pub ids: usize,
    pub banks: usize,
}

/// What was done, and bytes that came to be by it.
pub struct Done {
    pub what: &'static str,
    pub prepared: Option<(TxId, Arc<Transaction>)>,
}

impl Liar<'_> {
    fn of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { Some(&items[(self.below)(items.len())]) }
    }

    fn knows(&self, tx: &TxId) -> bool {
        let number = tx.as_str().strip_prefix('t').and_then(|number| number.parse::<usize>().ok());
        number.is_some_and(|number| number < self.ids && tx.as_str() == format!("t{number}"))
    }

    /// One byte of a line is another one.
    fn another_byte(&mut self, mut line: Vec<u8>) -> String {
        line.pop();
        let at = (self.below)(line.len());
        line[at] = b' ' + u8::try_from((self.below)(95)).expect("printable");
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Anything of a token is another one; its MAC is what it was, or is gone.
    pub fn forged(&mut self, token: Token) -> Token {
        let bank = BankId::new((self.below)(self.banks)).expect("few banks");
        match (self.below)(7) {
            0 => Token { said: Said::Ok, digest: token.digest.or(Some(Digest([0; 32]))), ..token },
            1 => Token { said: Said::No, ..token },
            2 => Token {
                said: Said::Committed,
                digest: token.digest.or(Some(Digest([0; 32]))),
                ..token
            },
            3 => Token {
                said: Said::Aborted,
                digest: token.digest.or(Some(Digest([0; 32]))),
                ..token
            },
            4 => Token { bank, ..token },
            5 => Token { time: another_time(token.time, (self.below)(1_000)), ..token },
            _ => Token { mac: None, ..token },
        }
    }
}

/// The same answer with other tokens.
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

/// The same tokens behind another word.
fn turned(reply: Reply, liar: &mut Liar<'_>) -> Reply {
    let reason = Reason::Refused;
    let (tx, token, said) = match reply {
        Reply::Ok(tx, token) | Reply::Nok(tx, token, ..) => (tx, token, None),
        Reply::Committed(tx, _, token, said) | Reply::Aborted(tx, token, _, said) => {
            (tx, token, said)
        }
        reply => return reply,
    };
    match (liar.below)(4) {
        0 => Reply::Ok(tx, token),
        1 => Reply::Nok(tx, token, reason, String::new()),
        2 => Reply::Committed(tx, another_time(token.time, (liar.below)(1_000)), token, said),
        _ => Reply::Aborted(tx, token, reason, said),
    }
}

impl Path {
    /// An answer leaves a bank.
    pub(super) fn hears(&mut self, reply: &Reply) {
        if !self.listens || tokens_of(reply).is_empty() {
            return;
        }
        if self.heard.len() == HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back(reply.clone());
    }

    fn heard_of(&self, tx: &TxId, same: bool) -> Vec<Reply> {
        self.heard.iter().filter(|reply| (reply.tx() == Some(tx)) == same).cloned().collect()
    }

    /// Any token that was heard, with its id.
    pub fn any_heard(&self, liar: &mut Liar<'_>, of: Option<usize>) -> Option<(TxId, Token)> {
        let heard = self.heard.iter().filter_map(|reply| Some((reply.tx()?, tokens_of(reply))));
        let all =
            heard.flat_map(|(tx, tokens)| tokens.into_iter().map(move |token| (tx.clone(), token)));
        let all: Vec<_> =
            all.filter(|(_, token)| of.is_none_or(|of| token.bank.index() == of)).collect();
        liar.of(&all).cloned()
    }

    /// What becomes of an answer on the way; `None` where it is none any more. And is it one that
    /// proves nothing new?
    pub fn changed(
        &self,
        liar: &mut Liar<'_>,
        asked: &Asked,
        reply: &Reply,
    ) -> (&'static str, Option<Reply>) {
        let number = |reply: &Reply| matches!(reply, Reply::Committed(..));
        match (liar.below)(10) {
            0 | 1 if number(reply) => {
                let Reply::Committed(tx, time, token, said) = reply.clone() else { unreachable!() };
                let time = another_time(time, (liar.below)(1_000));
                ("commit time changed", Some(Reply::Committed(tx, time, token, said)))
            }
            2 | 3 => ("answer turned", Some(turned(reply.clone(), liar))),
            4 => ("token changed", Some(with_tokens(reply.clone(), |token| liar.forged(token)))),
            5 => match liar.of(&self.heard_of(&asked.tx, true)) {
                Some(old) => ("old answer shown", Some(old.clone())),
                None => ("answer turned", Some(turned(reply.clone(), liar))),
            },
            6 => match liar.of(&self.heard_of(&asked.tx, false)) {
                Some(other) => ("answer of another id", Some(other.clone())),
                None => ("answer turned", Some(turned(reply.clone(), liar))),
            },
            7 => {
                let other = self.any_heard(liar, None);
                let swapped = |token| other.as_ref().map_or(token, |(_, other)| *other);
                ("token of another id", Some(with_tokens(reply.clone(), swapped)))
            }
            8 => ("answer invented", Some(self.invented(liar, asked))),
            _ => {
                let mut line = Vec::new();
                reply.write_to(&mut line);
                ("byte of an answer changed", Reply::parse(&liar.another_byte(line)).ok())
            }
        }
    }

    /// An answer out of nothing; its bytes may be the right ones.
    fn invented(&self, liar: &mut Liar<'_>, asked: &Asked) -> Reply {
        let like = match liar.of(&self.heard_of(&asked.tx, true)) {
            Some(reply) => tokens_of(reply)[0],
            None => Token {
                said: Said::Ok,
                bank: BankId::new((liar.below)(liar.banks)).expect("few banks"),
                time: Time(1),
                digest: Some(Digest([9; 32])),
                mac: Some([0; 16]),
            },
        };
        let token = liar.forged(Token { mac: Some([7; 16]), ..like });
        turned(Reply::Ok(asked.tx.clone(), token), liar)
    }

    /// Other tokens in a driver's COMMIT or ABORT, or fewer.
    pub fn with_other_tokens(&self, liar: &mut Liar<'_>, message: &Message) -> Option<Message> {
        let other = |liar: &mut Liar<'_>, token: Token| match (liar.below)(3) {
            0 => liar.forged(token),
            1 => self.any_heard(liar, None).map_or(token, |(_, token)| token),
            _ => token,
        };
        match message {
            Message::Commit(tx, tokens) => {
                let mut tokens: Vec<Token> =
                    tokens.iter().map(|token| other(liar, *token)).collect();
                if (liar.below)(4) == 0 {
                    tokens.pop();
                }
                Some(Message::Commit(tx.clone(), tokens))
            }
            Message::Abort(tx, Some(token)) => Some(Message::Abort(
                tx.clone(),
                Some(other(liar, *token)).filter(|_| (liar.below)(4) > 0),
            )),
            Message::Abort(..)
            | Message::Prepare(..)
            | Message::Resolve(_)
            | Message::Registers { .. } => None,
        }
    }
}

impl World {
    /// Something that is under way between two banks is changed, or something is invented, and
    /// arrives.
    pub fn tamper(&mut self, liar: &mut Liar<'_>) -> Option<Done> {
        let done = |what| Some(Done { what, prepared: None });
        match (liar.below)(12) {
            0 => return self.invent(liar).and_then(done),
            1 => return self.say_over_a_link(liar).and_then(done),
            _ => {}
        }
        let answers: Vec<usize> = (0..self.flights.len())
            .filter(|at| matches!(self.flights[*at], Flight::Answer { .. }))
            .collect();
        let at = match liar.of(&answers) {
            Some(at) if (liar.below)(3) > 0 => *at,
            _ if self.flights.is_empty() => return None,
            _ => (liar.below)(self.flights.len()),
        };
        match self.take_flight(at)? {
            Flight::Answer { to, link, asked, reply } => {
                let (what, told) = self.path.changed(liar, &asked, &reply);
                self.tell_a_lie((to, link, &asked), Some(&reply), told, what != "old answer shown");
                done(what)
            }
            Flight::Request { to, link, message } => self.change_request(liar, to, link, message),
            flight @ (Flight::Met { .. } | Flight::NoLink { .. }) => {
                self.arrive(flight);
                None
            }
        }
    }

    /// An answer comes before the bank that was asked has given any.
    fn invent(&mut self, liar: &mut Liar<'_>) -> Option<&'static str> {
        let owed = |(id, link): (&u64, &super::links::Link)| {
            let whole = link.ends == super::links::Ends::Both;
            let asked = link.owed.front().filter(|_| whole)?.0.clone();
            Some((link.dialler, *id, asked))
        };
        let owed: Vec<_> = self.links.iter().filter_map(owed).collect();
        let (to, link, asked) = liar.of(&owed)?.clone();
        let told = self.path.invented(liar, &asked);
        self.tell_a_lie((to, link, &asked), None, Some(told), true);
        Some("answer out of nothing")
    }

    /// A line that no bank has sent comes over a link.
    fn say_over_a_link(&mut self, liar: &mut Liar<'_>) -> Option<&'static str> {
        let links: Vec<u64> = self.links.keys().copied().collect();
        let link = *liar.of(&links)?;
        let (heard_of, token) = self.path.any_heard(liar, None)?;
        let tokens: Vec<Token> =
            self.path.heard_of(&heard_of, true).iter().flat_map(tokens_of).chain([token]).collect();
        let token = if (liar.below)(2) == 0 { token } else { liar.forged(token) };
        let request = match (liar.below)(4) {
            0 => Request::Commit(heard_of, tokens),
            1 => Request::Abort(heard_of, Some(token)),
            2 => Request::Commit(heard_of, vec![token]),
            _ => Request::Resolve(heard_of),
        };
        let to = self.links[&link].dialled;
        self.request(to, SessionId(link), Origin::Link, request, 0);
        // Its answer is one to nothing, so who dialled closes the link.
        self.cut(link);
        Some("line invented")
    }

    /// A bank that asked is told this, or what is no answer.
    fn tell_a_lie(
        &mut self,
        (to, link, asked): (usize, u64, &Asked),
        honest: Option<&Reply>,
        told: Option<Reply>,
        is_new: bool,
    ) {
        let of_another_id = |told: &Reply| told.tx().is_some_and(|tx| *tx != asked.tx);
        let believes = self.path.mistake == Some(ProofMistake::IdOfTheAnswer);
        let Some(told) = told.filter(|told| believes || !of_another_id(told)) else {
            return self.cut(link);
        };
        if is_new && self.path.mistake.is_none() {
            self.judge_answer((to, link, asked), honest, &told);
        }
        self.arrive(Flight::Answer { to, link, asked: asked.clone(), reply: told });
    }
}

/// The answer of a bank that gives this token and no other.
fn said_by(tx: &TxId, token: Token) -> Reply {
    let tx = tx.clone();
    match token.said {
        Said::Ok => Reply::Ok(tx, token),
        Said::No => Reply::Nok(tx, token, Reason::Refused, String::new()),
        Said::Committed => Reply::Committed(tx, token.time, token, None),
        Said::Aborted => Reply::Aborted(tx, token, Reason::Refused, None),
    }
}

/// The ends of transactions that a decision records.
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
