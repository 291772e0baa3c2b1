//! Sessions, peers and time against one pure bank: lines of clients and of links, answers of peers
//! who lie, closed connections, crashes, clocks that jump. Whatever comes, nothing panics, the
//! ledger's sums hold, every request gets one reply, an outcome that was told never changes, and
//! the bank is what its journal and its snapshot say.

use super::Bytes;
use consorcio::bank::io::{
    Caller, Input, Now, Origin, Outgoing, Past, Sending, Seq, SessionId, Start,
};
use consorcio::bank::record::Record;
use consorcio::bank::{Core, Identity};
use consorcio::commit::message::Asked;
use consorcio::ids::{BankId, Time, TxId};
use consorcio::limits::ANSWER_WITHIN_MS;
use consorcio::wire::Reason;
use consorcio::wire::codec::Lines;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::{self, Local, Read, Request};
use consorcio::wire::token::{Said, Seal, Token, Verdict};
use consorcio::wire::transaction::{Action, Flow, Op, Transaction};
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
    asked: Vec<(BankId, Asked)>,
    up: BTreeSet<BankId>,
    slots: BTreeMap<u64, u64>,
    lives: u64,
    /// What was told of each transaction's outcome: the commit's time, or none for an abort.
    told: BTreeMap<TxId, Option<Time>>,
    /// The newest bytes that this bank was shown of each.
    shown: BTreeMap<TxId, Arc<Transaction>>,
    /// Requests to drive.
    driven: BTreeSet<Caller>,
    /// Own tokens that left.
    spoken: Vec<(TxId, Token)>,
    /// Sessions that ended.
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
                                    token.said,
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

    /// A request's line.
    fn some_request(&self, bytes: &mut Bytes<'_>) -> String {
        let verb = bytes.below(20);
        let id = bytes.below(IDS.len());
        let tx = tx(IDS[id]);
        let mut out = Vec::new();
        match verb {
            0..=4 => request::write_prepare(&mut out, &tx, transaction(bytes).text()),
            5 | 6 => request::write_execute(&mut out, &tx, transaction(bytes).text()),
            7 | 8 => {
                let tokens: Vec<Token> =
                    (0..bytes.below(4)).map(|_| self.token(&tx, bytes)).collect();
                request::write_commit(&mut out, &tx, &tokens);
            }
            9 => {
                let token = bytes.flag().then(|| self.token(&tx, bytes));
                request::write_abort(&mut out, &tx, token.as_ref());
            }
            10 => request::write_resolve(&mut out, &tx),
            11 => Request::Status(tx).write_to(&mut out),
            12 => {
                let near = Time(self.now.wall_us + 10_000 * (i64::from(bytes.byte()) - 128));
                Request::Read(Read::Snapshot {
                    time: *bytes.pick(&[
                        None,
                        Some(near),
                        Some(self.core.clock()),
                        Some(Time::MAX),
                    ]),
                    reading: None,
                    accounts: bytes.flag(),
                    after: None,
                })
                .write_to(&mut out);
            }
            13 => {
                let cpf = bytes.pick(&["00000000001", "00000000003", "00000000004"]);
                return format!(r#"CLIENT {{"cpf":"{cpf}","name":"A","kind":"F"}}"#);
            }
            14 => {
                let number = bytes.pick(&["x", "z", "w", "v"]);
                let cpf = bytes.pick(&["00000000001", "00000000002", "00000000003"]);
                let joint = if bytes.flag() { r#","00000000004""# } else { "" };
                let deposit = bytes.pick(&AMOUNTS);
                return format!(
                    r#"ACCOUNT {{"number":"{number}","holders":["{cpf}"{joint}],"deposit":{deposit}}}"#
                );
            }
            15..=18 => out.extend_from_slice(
                bytes
                    .pick(&[
                        "VALUE",
                        "VALUE k",
                        "BALANCE x",
                        "BALANCE q",
                        "ACCOUNTS",
                        "CLIENTS",
                        "PENDING",
                        "HISTORY",
                        "HISTORY 1",
                        "HISTORY after=a",
                        "INFO",
                        "SNAPSHOT",
                        "SNAPSHOT accounts",
                        "ACCOUNTS 00000000001",
                        "PENDING after=a",
                        "SNAPSHOT accounts after=a:x",
                    ])
                    .as_bytes(),
            ),
            _ => {
                let count = bytes.below(256);
                return String::from_utf8_lossy(bytes.take(count)).into_owned();
            }
        }
        String::from_utf8(out).expect("requests are text")
    }

    /// A token that somebody may show: sealed by its bank, made up, or heard from this bank.
    fn token(&self, tx: &TxId, bytes: &mut Bytes<'_>) -> Token {
        let kind = bytes.byte();
        if kind >= 0xfc {
            // Rarely: of this very bank, which stops when it does not hold that vote.
            let digest = Some(*transaction(bytes).digest());
            return self.identity.seal.token(
                self.identity.bank,
                Verdict::Ok,
                tx,
                digest,
                self.core.clock(),
            );
        }
        if kind >= 0xe0 && !self.spoken.is_empty() {
            let (_, token) = bytes.pick(&self.spoken);
            return *token;
        }
        let peer = bank(self.identity.bank.index() + 1 + usize::from(kind & 1));
        let verdict = if kind & 0x0e == 0x0e { Verdict::No } else { Verdict::Ok };
        let token = self.peer_token(peer, verdict, tx, bytes);
        if kind & 0x30 == 0x30 { Token { mac: Some([kind; 16]), ..token } } else { token }
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
                | Request::Local(Local::Help)
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
        self.input(&Input::Request { caller, origin, request, waited_us, past });
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
            0..=2 => Some(Reply::Ok(tx.clone(), self.peer_token(peer, Verdict::Ok, &tx, bytes))),
            3 => {
                let token = self.peer_token(peer, Verdict::No, &tx, bytes);
                Some(Reply::Nok(tx, token, reason, "no".to_owned()))
            }
            4 | 5 => {
                let token = self.peer_token(peer, Verdict::Ok, &tx, bytes);
                let time = Time(token.time.0 + i64::from(bytes.byte()) - 8);
                let said = self.identity.seal.token(peer, Said::Committed, &tx, token.digest, time);
                Some(Reply::Committed(tx, time, token, Some(said).filter(|_| bytes.flag())))
            }
            6 => Some(Reply::Aborted(
                tx.clone(),
                self.peer_token(peer, Verdict::No, &tx, bytes),
                reason,
                None,
            )),
            7 => {
                let token = self.peer_token(peer, Verdict::Ok, &tx, bytes);
                let said =
                    self.identity.seal.token(peer, Said::Aborted, &tx, token.digest, token.time);
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
    fn peer_token(
        &self,
        peer: BankId,
        verdict: Verdict,
        tx: &TxId,
        bytes: &mut Bytes<'_>,
    ) -> Token {
        let kind = bytes.byte();
        let digest = match self.shown.get(tx) {
            Some(shown) if kind < 0xe0 => Some(*shown.digest()),
            Some(_) | None if verdict == Verdict::No && kind & 1 == 0 => None,
            Some(_) | None => Some(*transaction(bytes).digest()),
        };
        let time = Time(self.now.wall_us + 1_000 * (i64::from(bytes.byte()) - 128));
        self.identity.seal.token(peer, verdict, tx, digest, time)
    }

    fn answered(&mut self, peer: BankId, asked: Asked, reply: Option<Reply>) {
        let past = self.past_of(&asked.tx);
        self.input(&Input::Answer { peer, asked, reply, past });
    }

    /// What was under way over the link comes back without an answer.
    fn link_lost(&mut self, peer: BankId) {
        let (lost, kept) =
            std::mem::take(&mut self.asked).into_iter().partition(|(other, _)| *other == peer);
        self.asked = kept;
        let lost: Vec<(BankId, Asked)> = lost;
        lost.into_iter().for_each(|(_, asked)| self.answered(peer, asked, None));
        self.up.remove(&peer);
        self.input(&Input::PeerDown(peer));
    }

    fn pass(&mut self, micros: u64) {
        self.now.mono_us += micros;
        self.now.wall_us += i64::try_from(micros).unwrap_or(0);
        self.input(&Input::Tick);
    }

    fn input(&mut self, input: &Input) {
        if self.stopped() {
            return;
        }
        let before = self.core.clock();
        let output = self.core.step(self.now, input);
        assert!(self.core.clock() >= before, "the clock went back");
        for record in output.records {
            may_be_caused(&record, input);
            if let Some(tx) = record.decides() {
                let twice = self.past.insert(tx.clone(), self.journal.len());
                assert_eq!(twice, None, "{tx} is decided twice");
            }
            self.journal.push(record);
        }
        assert_eq!(self.core.seq(), Seq::try_from(self.journal.len()).expect("a short journal"));
        self.core.check_invariants();
        if self.stopped() {
            // The stop is a record; nothing leaves any more.
            return;
        }
        for outgoing in &output.replies {
            assert!(
                outgoing.after <= self.core.seq(),
                "{outgoing:?} waits for nothing that there is"
            );
            match self.owed.remove(&outgoing.to) {
                Some(request) => answers(&request, &outgoing.reply),
                None => assert!(
                    self.closed.contains(&outgoing.to.session),
                    "a second reply: {outgoing:?}"
                ),
            }
        }
        for sending in &output.sends {
            assert!(
                sending.after <= self.core.seq(),
                "{sending:?} waits for nothing that there is"
            );
            assert!(
                sending.peer != self.identity.bank && sending.peer.index() < BANKS,
                "{sending:?}"
            );
        }
        self.replies.extend(output.replies);
        self.sends.extend(output.sends);
        self.release();
    }

    fn sync(&mut self) {
        self.synced = self.journal.len();
        self.release();
    }

    /// What rests on nothing that a crash could take leaves.
    fn release(&mut self) {
        if self.stopped() {
            return;
        }
        let durable = Seq::try_from(self.synced).expect("a short journal");
        let (leave, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut self.replies)
            .into_iter()
            .partition(|outgoing| outgoing.after <= durable);
        self.replies = stay;
        leave.iter().for_each(|outgoing| self.heard(outgoing));
        let (go, keep): (Vec<_>, Vec<_>) = std::mem::take(&mut self.sends)
            .into_iter()
            .partition(|sending| sending.after <= durable);
        self.sends = keep;
        self.asked.extend(go.into_iter().map(|sending| (sending.peer, sending.message.asked())));
    }

    /// A reply left. Votes in it must be on disk, and outcomes stay what they are.
    fn heard(&mut self, Outgoing { to, reply, .. }: &Outgoing) {
        let driven = self.driven.contains(to);
        match reply {
            Reply::Ok(tx, token) | Reply::Nok(tx, token, ..) => {
                assert_eq!(token.bank, self.identity.bank);
                assert!(self.holds_vote(tx, token), "{reply:?} is spoken before it is on disk");
                self.spoken.push((tx.clone(), *token));
            }
            Reply::Committed(tx, time, token, _) if token.bank == self.identity.bank => {
                assert!(
                    self.holds_vote(tx, token),
                    "{reply:?} is spoken before its vote is on disk"
                );
                self.told(tx, Some(*time));
            }
            Reply::Aborted(tx, token, _, _)
                if token.said == Said::Ok && token.bank == self.identity.bank =>
            {
                assert!(
                    self.holds_vote(tx, token),
                    "{reply:?} is spoken before its vote is on disk"
                );
                if !driven {
                    self.told(tx, None);
                }
            }
            // What it drives may be other bytes than those that it voted on, or none of its
            // business.
            Reply::Committed(..) | Reply::Aborted(..) if driven => {}
            Reply::Committed(..) => panic!("{reply:?} without a vote of this bank"),
            Reply::Aborted(tx, ..) => self.told(tx, None),
            Reply::Doubt(..)
            | Reply::Unknown(_)
            | Reply::Done(_)
            | Reply::Refused(..)
            | Reply::Err(..)
            | Reply::Pong
            | Reply::Bye => {}
        }
    }

    fn told(&mut self, tx: &TxId, outcome: Option<Time>) {
        let outside =
            |record: &Record| matches!(record, Record::OutsideVoted { tx: of, .. } if of == tx);
        let unsynced = self.journal[self.synced..].iter().any(outside);
        assert!(!unsynced, "{tx} was told before its outside coordinator's vote is on disk");
        let before = self.told.insert(tx.clone(), outcome);
        assert!(
            before.is_none_or(|before| before == outcome),
            "{tx} was told {before:?}, and now {outcome:?}"
        );
    }

    /// Is this own vote on disk?
    fn holds_vote(&self, of: &TxId, token: &Token) -> bool {
        self.journal[..self.synced].iter().any(|record| match record {
            Record::Voted { tx, time, refusal, .. } => {
                tx == of && *time == token.time && refusal.is_some() == token.is_refusal()
            }
            Record::Refused { tx, time, .. } => {
                tx == of && *time == token.time && token.is_refusal()
            }
            Record::Executed { tx, time, .. } => {
                tx == of && *time == token.time && token.said == Said::Ok
            }
            Record::Consortium { .. }
            | Record::Decided { .. }
            | Record::ClientAdded { .. }
            | Record::AccountOpened { .. }
            | Record::ClockMoved { .. }
            | Record::KeyKnown { .. }
            | Record::RegistersLearned { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Introduced { .. }
            | Record::Stopped { .. }
            | Record::OutsideVoted { .. }
            | Record::Drove { .. } => false,
        })
    }

    /// The process is gone, and with it what was not synced; it starts again on what is left.
    fn crash(&mut self) {
        self.audit();
        self.journal.truncate(self.synced);
        let synced = self.synced;
        self.past.retain(|_, at| *at < synced);
        // An outcome that tokens proved may leave before its record is on disk; only liars can
        // prove another one then.
        let past = &self.past;
        self.told.retain(|tx, _| past.contains_key(tx));
        self.owed.clear();
        self.replies.clear();
        self.sends.clear();
        self.asked.clear();
        self.up.clear();
        self.lives += 1;
        self.core = self.replayed();
        self.core.check_invariants();
        self.input(&Input::Started(Start::default()));
    }

    /// The links are gone and time goes on: every request gets its reply.
    fn ends(mut self) {
        for _ in 0..4 {
            self.sync();
            for (peer, asked) in std::mem::take(&mut self.asked) {
                self.answered(peer, asked, None);
            }
            self.sync();
            self.pass(1_000 * (ANSWER_WITHIN_MS + 1));
        }
        self.sync();
        if !self.stopped() {
            assert!(self.owed.is_empty(), "never answered: {:?}", self.owed);
            assert!(self.replies.is_empty());
        }
        self.audit();
    }

    /// The bank is what its journal and its snapshot say.
    fn audit(&self) {
        assert!(self.core.same_as(&self.replayed()), "the bank is not what its journal says");
        let restored = Core::from_snapshot(self.identity.clone(), &self.core.to_snapshot());
        let restored = restored.unwrap_or_else(|error| panic!("its own snapshot: {error}"));
        assert!(self.core.same_as(&restored), "the bank is not what its snapshot says");
    }

    fn replayed(&self) -> Core {
        let mut core = Core::new(self.identity.clone());
        self.journal.iter().for_each(|record| core.apply(record));
        core
    }

    fn past_of(&self, tx: &TxId) -> Option<Past> {
        if self.core.knows(tx) {
            return None;
        }
        self.past.get(tx).map(|at| Past { record: self.journal[*at].clone() })
    }

    fn stopped(&self) -> bool {
        self.core.stopped().is_some()
    }
}

/// A reply is one line that can be read, about the transaction that was asked about.
fn answers(request: &Request, reply: &Reply) {
    let mut out = Vec::new();
    reply.write_to(&mut out);
    let mut lines = Lines::new();
    lines.space(out.len()).extend_from_slice(&out);
    let Some(Ok(line)) = lines.next() else { panic!("{reply:?} is no line") };
    let read = Reply::parse(line).unwrap_or_else(|fault| panic!("{line:?}: {fault}"));
    assert!(reply.tx().is_none() || reply.tx() == request.tx(), "{request:?} got {reply:?}");
    assert_eq!(read.tx(), reply.tx());
    assert!(
        lines.next().is_none() && lines.waiting_bytes() == 0,
        "{reply:?} is more than one line"
    );
}

/// An outside coordinator's OK is its own; its NOK comes from itself, from a client's ABORT, or
/// with time.
fn may_be_caused(record: &Record, by: &Input) {
    let Record::OutsideVoted { tx: of, refusal, .. } = record else { return };
    let caused = match (by, refusal) {
        (Input::Request { origin: Origin::Outside, request: Request::Commit(tx, _), .. }, None) => {
            tx == of
        }
        (
            Input::Request {
                origin: Origin::Outside | Origin::Client,
                request: Request::Abort(tx, _),
                ..
            },
            Some(Reason::Refused),
        ) => tx == of,
        (Input::Tick, Some(Reason::Expired)) => true,
        _ => false,
    };
    assert!(caused, "{by:?} brings about {record:?}");
}

/// All that a transaction moves, as withdrawals of an outside coordinator at one bank.
fn withdrawals(bank: BankId, of: &Transaction) -> Arc<Transaction> {
    let withdrawal = |op: &Op| match &op.action {
        Action::Money { account, cpf, amount, .. } => {
            let (account, cpf, amount) = (account.clone(), cpf.clone(), *amount);
            Some(Op { bank, action: Action::Money { flow: Flow::Withdraw, account, cpf, amount } })
        }
        Action::Set { .. } => None,
    };
    let ops: Vec<Op> = of.ops().iter().filter_map(withdrawal).collect();
    Arc::new(Transaction::with_outside(bank, ops).unwrap_or_else(|fault| panic!("{fault}")))
}

/// A transaction of one of few shapes.
fn transaction(bytes: &mut Bytes<'_>) -> Arc<Transaction> {
    let shape = bytes.byte();
    let amount = *bytes.pick(&AMOUNTS);
    let account = *bytes.pick(&["x", "y", "x", "q"]);
    let [a, b, c] = [0, 1, 2].map(|further| (usize::from(shape >> 4) + further) % BANKS);
    let money = |op: &str, bank: usize, account: &str, amount: i64| {
        format!(r#"{{"bank":{bank},"op":"{op}","account":"{account}","amount":{amount}}}"#)
    };
    let set = |bank: usize, key: &str| {
        format!(r#"{{"bank":{bank},"op":"set","key":"{key}","value":"{amount}"}}"#)
    };
    let twice = amount.saturating_mul(2);
    let ops = match shape & 7 {
        0 | 1 => vec![money("debit", a, account, amount), money("credit", b, "x", amount)],
        2 => {
            vec![
                money("debit", a, account, amount),
                money("debit", b, "x", amount),
                money("credit", c, "x", twice),
            ]
        }
        3 => vec![money("deposit", a, account, amount)],
        4 => vec![money("withdraw", a, account, amount), money("deposit", b, "x", amount)],
        5 => (0..BANKS).map(|bank| set(bank, "storage")).collect(),
        6 if shape & 0x80 == 0 => {
            vec![money("debit", a, account, amount), money("credit", a, "y", amount)]
        }
        6 => vec![money("debit", a, account, amount), money("credit", b, "x", 7)],
        _ => {
            let mut ops: Vec<String> = (0..BANKS).map(|bank| set(bank, "k")).collect();
            ops.extend([money("debit", a, account, amount), money("credit", b, "y", amount)]);
            ops
        }
    };
    let patience = if shape & 8 == 0 { "" } else { r#","patience_ms":5000"# };
    let text = format!(r#"{{"ops":[{}]{patience}}}"#, ops.join(","));
    Arc::new(Transaction::parse(&text).unwrap_or_else(|fault| panic!("{text}: {fault}")))
}

fn tx(id: &str) -> TxId {
    TxId::new(id).expect("a legal id")
}

fn bank(position: usize) -> BankId {
    BankId::new(position % BANKS).expect("few banks")
}
