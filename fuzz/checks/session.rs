//! Sessions, peers and time against one pure bank: lines of clients and of links, answers of peers
//! who lie, closed connections, crashes, clocks that jump. Whatever comes, nothing panics, the
//! ledger's sums hold, every request gets one reply, an outcome that was told never changes, and
//! the bank is what its journal and its snapshot say.

mod judge;
mod make;

use super::Bytes;
use consorcio::bank::io::{
    Caller, Input, Now, Origin, Outgoing, Past, Sending, Seq, SessionId, Start,
};
use consorcio::bank::record::Record;
use consorcio::bank::{Core, Identity};
use consorcio::commit::message::RequestKey;
use consorcio::ids::{BankId, Time, TxId};
use consorcio::limits::ANSWER_WITHIN_MS;
use consorcio::wire::Reason;
use consorcio::wire::codec::Lines;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::{self, Local, Read, Request};
use consorcio::wire::token::{Seal, Token, TokenKind, Vote};
use consorcio::wire::transaction::{Action, Flow, Op, Transaction};
use consorcio_core::access::Principal;
use make::{bank, transaction, withdrawals};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const BANKS: usize = 3;
const SESSIONS: u64 = 4;
const LINKS: [u64; 2] = [100, 101];
const IDS: [&str; 4] = ["a", "b", "c", "d"];
const AMOUNTS: [i64; 6] = [1, 400, 1_000, 1_001, 1 << 62, i64::MAX];

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut bank = FuzzedBank::new(&mut bytes);
    while !bytes.is_empty() && !bank.stopped() {
        bank.happens(&mut bytes);
    }
    bank.ends();
}

/// The bank, its disk, and all that is around it.
struct FuzzedBank {
    identity: Identity,
    core: Core,
    journal: Vec<Record>,
    /// Records up to this one survive a crash.
    synced: usize,
    /// Where each decided transaction's record is.
    past: BTreeMap<TxId, usize>,
    now: Now,
    /// Requests that have no reply yet.
    owed: BTreeMap<Caller, Request>,
    replies: Vec<Outgoing>,
    sends: Vec<Sending>,
    /// Questions that reached a peer and have no answer yet.
    asked: Vec<(BankId, RequestKey)>,
    up: BTreeSet<BankId>,
    slots: BTreeMap<u64, u64>,
    lives: u64,
    /// What was told of each transaction's outcome: the commit's time, or none for an abort.
    told: BTreeMap<TxId, Option<Time>>,
    /// The newest bytes that this bank was shown of each.
    shown: BTreeMap<TxId, Arc<Transaction>>,
    driven: BTreeSet<Caller>,
    /// Own tokens that left.
    spoken: Vec<(TxId, Token)>,
    closed: BTreeSet<SessionId>,
}

impl FuzzedBank {
    fn new(bytes: &mut Bytes<'_>) -> FuzzedBank {
        let kind = bytes.byte();
        let seal = Seal::keyed([7; 32]);
        let mut places: Vec<String> =
            (0..BANKS).map(|place| format!("127.0.0.1:{}", 8886 + place)).collect();
        if kind & 2 != 0 {
            places.push("-".to_owned());
        }
        let identity =
            Identity { bank: bank(usize::from(kind >> 2)), places: places.clone(), seal };
        let mut fuzzed = FuzzedBank {
            core: Core::new(identity.clone()),
            journal: Vec::new(),
            synced: 0,
            past: BTreeMap::new(),
            now: Now {
                wall_us: 1_800_000_000_000_000,
                shown_us: 1_800_000_000_000_000,
                mono_us: 1,
            },
            owed: BTreeMap::new(),
            replies: Vec::new(),
            sends: Vec::new(),
            asked: Vec::new(),
            up: BTreeSet::new(),
            slots: BTreeMap::new(),
            lives: 0,
            told: BTreeMap::new(),
            shown: BTreeMap::new(),
            driven: BTreeSet::new(),
            spoken: Vec::new(),
            closed: BTreeSet::new(),
            identity,
        };
        let consortium = Record::Consortium { bank: fuzzed.identity.bank, places };
        fuzzed.core.apply(&consortium);
        fuzzed.journal.push(consortium);
        fuzzed.input(&Input::Started(Start::default()));
        for line in [
            r#"CLIENT {"cpf":"00000000001","name":"A","kind":"F"}"#,
            r#"CLIENT {"cpf":"00000000002","name":"B","kind":"F"}"#,
            r#"ACCOUNT {"number":"x","holders":["00000000001"],"deposit":1000}"#,
            r#"ACCOUNT {"number":"y","holders":["00000000001","00000000002"],"deposit":1000}"#,
        ] {
            fuzzed.line(0, Origin::Client, line, 0);
        }
        fuzzed.sync();
        assert!(fuzzed.owed.is_empty());
        fuzzed
    }

    fn happens(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(24) {
            0..=9 => {
                let session = u64::from(bytes.byte());
                let line = self.some_request(bytes);
                let waited_us = if session & 0x80 == 0 { 0 } else { 600_000 };
                let origin = if session & 0x40 == 0 { Origin::Client } else { Origin::Outside };
                self.line(session % SESSIONS, origin, &line, waited_us);
            }
            10 | 11 => {
                let session = *bytes.pick(&LINKS);
                let line = self.some_request(bytes);
                self.line(session, Origin::Link, &line, 0);
            }
            12..=15 => self.answer(bytes),
            16 => self.pass(1_000 * u64::from(bytes.byte())),
            17 => self.pass(100_000 * u64::from(bytes.byte())),
            18 => self.sync(),
            19 => {
                // Its number is never used again.
                let session = self.session(u64::from(bytes.byte()) % SESSIONS);
                self.owed.retain(|caller, _| caller.session != session);
                self.closed.insert(session);
                *self.slots.entry(session.0 % 1_000).or_default() += 1_000_000;
                self.input(&Input::Closed(session));
            }
            20 => {
                let peer = bank(bytes.below(BANKS));
                if peer == self.identity.bank {
                } else if bytes.flag() {
                    self.up.insert(peer);
                    self.input(&Input::PeerUp(peer));
                } else {
                    self.link_lost(peer);
                }
            }
            21 => self.crash(),
            22 => {
                let synced = Seq::try_from(self.synced).expect("a short journal");
                self.core.forget_outcomes(synced, bytes.below(3));
            }
            _ => match bytes.below(3) {
                0 => self.now.wall_us += 1_000_000 * i64::from(bytes.byte()),
                1 => self.now.wall_us -= 1_000_000 * i64::from(bytes.byte()),
                _ => {
                    // What a peer learned, it learned from a vote that left; or this bank was
                    // wiped, or it is no vote.
                    let peer = bank(self.identity.bank.index() + 1);
                    let shown = self.spoken.get(bytes.below(self.spoken.len().max(1))).cloned();
                    if let Some((tx, mut token)) = shown {
                        match bytes.below(16) {
                            0 => token.time.0 += 1,
                            1 => {
                                let time = Time(token.time.0 + 1);
                                token = self.identity.seal.token(
                                    token.bank,
                                    token.kind,
                                    &tx,
                                    token.digest,
                                    time,
                                );
                            }
                            _ => {}
                        }
                        let past = self.past_of(&tx);
                        self.input(&Input::PeerShows { peer, tx, token, past });
                    }
                }
            },
        }
    }

    /// A line comes over a session; it is read as the session reads it. What an outside coordinator
    /// prepares are withdrawals at this bank.
    fn line(&mut self, session: u64, origin: Origin, line: &str, waited_us: u64) {
        let mut lines = Lines::new();
        lines.space(line.len() + 1).extend_from_slice(line.as_bytes());
        if !line.ends_with('\n') {
            lines.space(1).extend_from_slice(b"\n");
        }
        while let Some(line) = lines.next() {
            let Ok(Ok(request)) = line.map(Request::parse) else { continue };
            match request {
                Request::Local(Local::Banks)
                | Request::Local(Local::Peer(_))
                | Request::Local(Local::Hello(_))
                | Request::Local(Local::Ping)
                | Request::Local(Local::Help(_))
                | Request::Local(Local::Quit) => {}
                Request::Prepare(tx, transaction) if origin == Origin::Outside => {
                    let outside = withdrawals(self.identity.bank, &transaction);
                    self.request(session, origin, Request::Prepare(tx, outside), waited_us);
                }
                request => self.request(session, origin, request, waited_us),
            }
        }
    }

    fn request(&mut self, session: u64, origin: Origin, request: Request, waited_us: u64) {
        if self.stopped() {
            return;
        }
        let slot = self.slots.entry(session).or_default();
        *slot += 1;
        let slot = *slot;
        let caller = Caller { session: self.session(session), slot };
        let past = request.tx().and_then(|tx| self.past_of(tx));
        if let Request::Prepare(tx, transaction) | Request::Execute(tx, transaction) = &request {
            self.shown.insert(tx.clone(), Arc::clone(transaction));
        }
        if matches!(request, Request::Execute(..)) {
            self.driven.insert(caller);
        }
        self.owed.insert(caller, request.clone());
        self.input(&Input::Request {
            caller,
            origin,
            asker: Principal::Operator,
            request,
            waited_us,
            past,
        });
    }

    /// The number of a session, which is new after it was closed and after a crash.
    fn session(&self, session: u64) -> SessionId {
        let closed = self.slots.get(&session).copied().unwrap_or(0) / 1_000_000;
        SessionId(session + 1_000 * closed + 1_000_000_000 * self.lives)
    }

    /// A peer says something to a question that it was asked, true or not; without a link it can't.
    fn answer(&mut self, bytes: &mut Bytes<'_>) {
        if self.asked.is_empty() {
            return;
        }
        let (peer, asked) = self.asked.remove(bytes.below(self.asked.len()));
        let tx = asked.tx.clone();
        let reason = *bytes.pick(&Reason::ALL);
        let said = bytes.below(12);
        let reply = match said {
            0..=2 => Some(Reply::Ok(tx.clone(), self.peer_token(peer, Vote::Ok, &tx, bytes))),
            3 => {
                let token = self.peer_token(peer, Vote::No, &tx, bytes);
                Some(Reply::Nok(tx, token, reason, "no".to_owned()))
            }
            4 | 5 => {
                let token = self.peer_token(peer, Vote::Ok, &tx, bytes);
                let time = Time(token.time.0 + i64::from(bytes.byte()) - 8);
                let said =
                    self.identity.seal.token(peer, TokenKind::Committed, &tx, token.digest, time);
                Some(Reply::Committed(tx, time, token, Some(said).filter(|_| bytes.flag())))
            }
            6 => Some(Reply::Aborted(
                tx.clone(),
                self.peer_token(peer, Vote::No, &tx, bytes),
                reason,
                None,
            )),
            7 => {
                let token = self.peer_token(peer, Vote::Ok, &tx, bytes);
                let said = self.identity.seal.token(
                    peer,
                    TokenKind::Aborted,
                    &tx,
                    token.digest,
                    token.time,
                );
                Some(Reply::Aborted(tx, token, reason, Some(said)))
            }
            8 => Some(Reply::Doubt(tx, "not known yet".to_owned())),
            9 => Some(Reply::Unknown(tx)),
            10 => None,
            _ => {
                let count = bytes.below(256);
                Reply::parse(&String::from_utf8_lossy(bytes.take(count))).ok()
            }
        };
        let reply = reply.filter(|_| self.up.contains(&peer));
        self.answered(peer, asked, reply);
    }

    /// A vote of a peer; mostly on the bytes that this bank was shown.
    fn peer_token(&self, peer: BankId, verdict: Vote, tx: &TxId, bytes: &mut Bytes<'_>) -> Token {
        let kind = bytes.byte();
        let digest = match self.shown.get(tx) {
            Some(shown) if kind < 0xe0 => Some(*shown.digest()),
            Some(_) | None if verdict == Vote::No && kind & 1 == 0 => None,
            Some(_) | None => Some(*transaction(bytes).digest()),
        };
        let time = Time(self.now.wall_us + 1_000 * (i64::from(bytes.byte()) - 128));
        self.identity.seal.token(peer, verdict, tx, digest, time)
    }

    fn answered(&mut self, peer: BankId, asked: RequestKey, reply: Option<Reply>) {
        let past = self.past_of(&asked.tx);
        self.input(&Input::Answer { peer, asked, reply, past });
    }

    /// What was under way over the link comes back without an answer.
    fn link_lost(&mut self, peer: BankId) {
        let (lost, kept) =
            std::mem::take(&mut self.asked).into_iter().partition(|(other, _)| *other == peer);
        self.asked = kept;
        let lost: Vec<(BankId, RequestKey)> = lost;
        lost.into_iter().for_each(|(_, asked)| self.answered(peer, asked, None));
        self.up.remove(&peer);
        self.input(&Input::PeerDown(peer));
    }

    fn pass(&mut self, micros: u64) {
        self.now.mono_us += micros;
        self.now.wall_us += i64::try_from(micros).unwrap_or(0);
        self.input(&Input::Tick);
    }
}
