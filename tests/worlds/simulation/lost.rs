//! A bank loses its disk at any moment, with other banks up or down. Nothing that banks record or
//! report may contradict its earlier promises. Two or three banks begin without journals, meet each
//! other, work, crash and are partitioned; then one of them starts on an empty disk, again and
//! again.

use crate::simulation::EventCounts;
use crate::simulation::plan::SeededRandom;
use crate::world::{MeetMistake, Seen, World};
use consorcio_core::bank::io::{Origin, Outcome, SessionId};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::proof::tokens_of;
use consorcio_core::ids::TxId;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::{Token, TokenKind};
use consorcio_core::wire::transaction::Transaction;
use std::collections::BTreeMap;
use std::sync::Arc;

const STEPS: usize = 400;
/// Rounds after the faults are healed, and the length of each.
const ROUNDS: usize = 40;
const ROUND_US: u64 = 500_000;

/// The events that enough seeds must cover.
pub const MUST_COVER: [&str; 9] = [
    "introduced",
    "committed",
    "aborted",
    "not introduced yet",
    "disk lost",
    "disk lost with a bank down",
    "disk lost with a vote undecided",
    "stopped by a meeting",
    "statement changed by the attacker",
];

struct Losing {
    world: World,
    random: SeededRandom,
    counts: EventCounts,
    /// By number in the id.
    transactions: Vec<(TxId, Arc<Transaction>)>,
    /// Tokens that clients received, by transaction.
    tokens: BTreeMap<TxId, Vec<Token>>,
    /// By transaction, whether it is committed, and the evidence.
    outcomes: BTreeMap<TxId, (bool, String)>,
    /// By bank and transaction, whether it voted OK.
    votes: BTreeMap<(usize, TxId), bool>,
    lost: Option<usize>,
    next_session: u64,
}

/// Runs one seed.
///
/// # Errors
/// The invariant that failed.
pub fn run(seed: u64, mistake: Option<MeetMistake>) -> Result<EventCounts, String> {
    crate::world::caught::caught(|| {
        let mut losing = Losing::new(seed, mistake);
        for _ in 0..STEPS {
            losing.next();
            losing.check_events();
        }
        losing.heal();
        losing.counts
    })
}

impl Losing {
    fn new(seed: u64, mistake: Option<MeetMistake>) -> Losing {
        let mut random = SeededRandom(seed);
        let mut world = World::unfounded(2 + random.below(2));
        if random.chance(30) {
            world.blocked = [(0, 1), (1, 0)].into();
        }
        world.closes_silent = true;
        world.meet_mistake = mistake;
        world.eager_sync = random.chance(30);
        Losing {
            world,
            random,
            counts: EventCounts::new(),
            transactions: Vec::new(),
            tokens: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            votes: BTreeMap::new(),
            lost: None,
            next_session: 100,
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn banks(&self) -> usize {
        self.world.nodes.len()
    }

    fn any_bank(&mut self) -> usize {
        self.random.below(self.banks())
    }

    fn next(&mut self) {
        match self.random.below(100) {
            0..8 => self.begin(),
            8..26 => self.send_slowly(),
            26..66 => {
                if !self.world.flights.is_empty() {
                    let at = self.random.below(self.world.flights.len());
                    self.world.deliver(at);
                }
            }
            66..76 => {
                let at = self.any_bank();
                self.world.sync(at);
            }
            76..82 => self.pass(),
            82..86 => {
                let at = self.any_bank();
                self.world.crash(at);
            }
            86..93 => {
                let at = self.any_bank();
                self.start(at);
                if self.random.chance(70) {
                    self.world.connect_all();
                }
            }
            93 => {
                let (a, b) = (self.any_bank(), self.any_bank());
                self.world.connect(a, b);
            }
            94 => {
                let links: Vec<u64> = self.world.links.keys().copied().collect();
                if !links.is_empty() {
                    let link = *self.random.of(&links);
                    self.world.cut(link);
                }
            }
            95 => self.lose(),
            96 => self.change_statement(),
            97 => self.block(),
            _ => self.world.connect_all(),
        }
    }

    /// Starts a bank that is down, and opens an account with money if it has none.
    fn start(&mut self, at: usize) {
        if self.world.is_up(at) {
            return;
        }
        self.world.restart(at);
        if self.world.is_up(at) && self.world.core(at).ledger().totals().accounts == 0 {
            let cpf = format!("{at:011}");
            self.world.line(at, 1, &format!(r#"CLIENT {{"cpf":"{cpf}","name":"P","kind":"F"}}"#));
            let account =
                format!(r#"ACCOUNT {{"number":"a{at}","holders":["{cpf}"],"deposit":1000000}}"#);
            self.world.line(at, 1, &account);
        }
    }

    /// A client starts a transfer between two banks, by EXECUTE or as its driver.
    fn begin(&mut self) {
        let (from, mut to) = (self.any_bank(), self.any_bank());
        if from == to {
            to = (to + 1) % self.banks();
        }
        let text = format!(
            r#"{{"ops":[{{"bank":{from},"op":"debit","account":"a{from}","amount":5}},{{"bank":{to},"op":"credit","account":"a{to}","amount":5}}]}}"#
        );
        let tx = TxId::new(&format!("t{}", self.transactions.len())).unwrap();
        let transaction = Arc::new(Transaction::parse(&text).unwrap());
        self.transactions.push((tx.clone(), Arc::clone(&transaction)));
        if self.random.chance(40) {
            let at = self.any_bank();
            self.ask(at, Request::Execute(tx, transaction));
        }
    }

    fn ask(&mut self, at: usize, request: Request) {
        self.next_session += 1;
        if self.world.is_up(at) {
            self.world.request(at, SessionId(self.next_session), Origin::Client, request, 0);
        }
    }

    /// A slow driver sends a request to one bank of one of the newest transactions.
    fn send_slowly(&mut self) {
        if self.transactions.is_empty() {
            return;
        }
        let newest = self.transactions.len();
        let (tx, transaction) =
            self.transactions[newest - 1 - self.random.below(newest.min(3))].clone();
        let banks: Vec<usize> = transaction.banks().iter().map(|bank| bank.index()).collect();
        let at = *self.random.of(&banks);
        let tokens = self.tokens.get(&tx).cloned().unwrap_or_default();
        let request = match self.random.below(10) {
            0..6 => Request::Prepare(tx, transaction),
            6..8 => Request::Commit(tx, tokens),
            8 => Request::Abort(tx, None),
            _ => Request::Resolve(tx),
        };
        self.ask(at, request);
    }

    fn pass(&mut self) {
        let micros = u64::try_from(self.random.below(800_000)).unwrap();
        self.world.pass(micros);
        (0..self.banks()).for_each(|bank| self.world.tick(bank));
    }

    fn lose(&mut self) {
        if self.lost.is_some() || self.transactions.is_empty() {
            return;
        }
        let at = self.any_bank();
        self.count("disk lost");
        if (0..self.banks()).any(|bank| bank != at && !self.world.is_up(bank)) {
            self.count("disk lost with a bank down");
        }
        if self.world.is_up(at) && self.world.core(at).undecided() > 0 {
            self.count("disk lost with a vote undecided");
        }
        self.lost = Some(at);
        self.world.lose_disk(at);
        self.start(at);
    }

    /// Partitions two banks, instead of those partitioned before.
    fn block(&mut self) {
        let (a, b) = (self.any_bank(), self.any_bank());
        self.world.blocked = if a == b { [].into() } else { [(a, b), (b, a)].into() };
    }

    fn change_statement(&mut self) {
        if self.world.change_meeting() {
            self.count("statement changed by the attacker");
        }
    }

    /// Checks all events since the last call.
    fn check_events(&mut self) {
        for seen in std::mem::take(&mut self.world.seen) {
            match seen {
                Seen::Recorded { bank, record, .. } => self.recorded(bank, &record),
                Seen::Reply { bank, reply, .. } => self.replied(bank, &reply),
                Seen::Lost { records, .. } => {
                    // Un-synced records were never reported.
                    for tx in records.iter().filter_map(Record::decides) {
                        self.outcomes.remove(tx);
                    }
                }
                Seen::Stopped { bank, why } => {
                    assert_eq!(Some(bank), self.lost, "bank {bank} stopped: {why}");
                    self.count(if why.contains("met this bank") {
                        "stopped by a meeting"
                    } else {
                        "stopped by its own vote"
                    });
                }
                Seen::Answered { .. }
                | Seen::Sent { .. }
                | Seen::Step { .. }
                | Seen::DiskFailed { .. } => {}
            }
        }
    }

    fn recorded(&mut self, at: usize, record: &Record) {
        let evidence = || format!("bank {at} records {record:?}");
        match record {
            Record::Decided { tx, outcome: Outcome::Committed(_), .. }
            | Record::Executed { tx, .. } => {
                self.ends(tx, true, &evidence());
            }
            Record::Decided { tx, outcome: Outcome::Aborted(..), .. }
            | Record::Voted { tx, refusal: Some(_), .. }
            | Record::Refused { tx, .. } => self.ends(tx, false, &evidence()),
            Record::Introduced { .. } => self.count("introduced"),
            _ => {}
        }
    }

    fn ends(&mut self, tx: &TxId, committed: bool, evidence: &str) {
        self.count(if committed { "committed" } else { "aborted" });
        match self.outcomes.get(tx) {
            Some((before, other)) => {
                assert_eq!(*before, committed, "{tx}: {evidence}, but {other}")
            }
            None => {
                self.outcomes.insert(tx.clone(), (committed, evidence.to_owned()));
            }
        }
    }

    /// A reported outcome, and each bank's one vote, stay true.
    fn replied(&mut self, at: usize, reply: &Reply) {
        for token in tokens_of(reply) {
            let Some(tx) = reply.tx() else { continue };
            let voted_ok = match token.kind {
                TokenKind::Ok | TokenKind::Committed | TokenKind::Aborted => true,
                TokenKind::No => false,
            };
            let of = token.bank.index();
            let before = *self.votes.entry((of, tx.clone())).or_insert(voted_ok);
            assert_eq!(
                before, voted_ok,
                "bank {of} has voted twice on {tx}, as bank {at} reports: {reply:?}"
            );
            let known = self.tokens.entry(tx.clone()).or_default();
            if token.kind == TokenKind::Ok && !known.contains(&token) {
                known.push(token);
            }
        }
        match reply {
            Reply::Committed(tx, ..) => {
                self.ends(tx, true, &format!("bank {at} reports {reply:?}"))
            }
            Reply::Aborted(tx, ..) => self.ends(tx, false, &format!("bank {at} reports {reply:?}")),
            Reply::Err(consorcio_core::wire::Reason::NotIntroduced, _) => {
                self.count("not introduced yet");
            }
            _ => {}
        }
    }

    /// All banks run and reach each other. A bank that lost its disk stops; without one, everything
    /// is decided.
    fn heal(&mut self) {
        self.world.blocked.clear();
        for _ in 0..ROUNDS {
            (0..self.banks()).for_each(|bank| self.start(bank));
            self.world.connect_all();
            self.world.pass(ROUND_US);
            (0..self.banks()).for_each(|bank| {
                self.world.tick(bank);
                self.world.sync(bank);
            });
            self.world.deliver_all();
            self.check_events();
        }
        let met_before = self
            .lost
            .filter(|lost| (0..self.banks()).any(|by| self.world.has_met_another(by, *lost)));
        for bank in 0..self.banks() {
            if Some(bank) == met_before {
                assert!(
                    !self.world.is_up(bank),
                    "bank {bank} was met with another journal, but runs"
                );
            } else {
                assert!(self.world.is_up(bank), "bank {bank} is down");
            }
        }
        if met_before.is_none() {
            assert!(self.world.all_introduced(), "some bank is not introduced");
            for bank in 0..self.banks() {
                assert_eq!(self.world.core(bank).undecided(), 0, "bank {bank} is in doubt");
            }
        }
        self.world.audit();
    }
}
