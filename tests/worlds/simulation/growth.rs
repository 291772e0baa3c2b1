//! A consortium that grows while sets are undecided: three banks with registers become four and
//! five, restarted one after the other with the longer list, while banks crash, links break, lines
//! are late, and an attacker changes pages. Registers stay linearizable at all banks that know
//! them, and equal in the cuts of those banks.

mod checks;

use crate::simulation::EventCounts;
use crate::simulation::plan::SeededRandom;
use crate::world::growth::{GrowthMistake, Tampering};
use crate::world::{Seen, World};
use consorcio_core::bank::io::{Origin, Outcome, SessionId};
use consorcio_core::bank::record::Record;
use consorcio_core::ids::{RegisterKey, Time, TxId};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Read, Request};
use consorcio_core::wire::token::Token;
use consorcio_core::wire::transaction::{Action, Transaction};
use std::collections::BTreeMap;
use std::sync::Arc;

const KEYS: [&str; 2] = ["a", "storage"];
const OLD: usize = 3;
const STEPS: usize = 700;
/// The session that requests cuts.
const CUTS: u64 = 2;
/// Rounds after the faults are healed, and the length of each.
const ROUNDS: usize = 40;
const ROUND_US: u64 = 500_000;

/// The events that enough seeds must cover.
pub const MUST_COVER: [&str; 13] = [
    "set committed",
    "set of three banks",
    "set of more banks",
    "page refused while a set was undecided",
    "page received",
    "page changed",
    "old page repeated",
    "learned",
    "learned after a crash midway",
    "value read",
    "value read at a new bank",
    "value not known yet",
    "cut without registers",
];

struct Growing {
    world: World,
    random: SeededRandom,
    counts: EventCounts,
    /// By number in the id.
    transactions: Vec<(TxId, Arc<Transaction>)>,
    /// Tokens that clients received, by transaction.
    tokens: BTreeMap<TxId, Vec<Token>>,
    /// The commit time of each value of a register.
    written: BTreeMap<(String, String), Time>,
    /// No reader may see an older value of a register than this.
    floors: BTreeMap<String, Time>,
    /// Outstanding reads, with their floor, and callers of EXECUTE.
    reads: BTreeMap<u64, (&'static str, Time)>,
    callers: BTreeMap<u64, usize>,
    cuts: BTreeMap<i64, Vec<(usize, String)>>,
    next_session: u64,
    next_value: u64,
}

/// Runs one seed.
///
/// # Errors
/// The invariant that failed.
pub fn run(seed: u64, mistake: Option<GrowthMistake>) -> Result<EventCounts, String> {
    crate::world::caught::caught(|| {
        let mut growing = Growing::new(seed, mistake);
        for _ in 0..STEPS {
            growing.next();
            growing.check_events();
        }
        growing.heal();
        growing.verify();
        growing.counts
    })
}

impl Growing {
    fn new(seed: u64, mistake: Option<GrowthMistake>) -> Growing {
        let mut random = SeededRandom(seed);
        let mut world = World::new(OLD);
        world.closes_silent = true;
        world.growth.mistake = mistake;
        world.eager_sync = random.chance(30);
        for node in &mut world.nodes {
            node.skew_us = random.around(300_000);
        }
        let mut growing = Growing {
            world,
            random,
            counts: EventCounts::new(),
            transactions: Vec::new(),
            tokens: BTreeMap::new(),
            written: BTreeMap::new(),
            floors: BTreeMap::new(),
            reads: BTreeMap::new(),
            callers: BTreeMap::new(),
            cuts: BTreeMap::new(),
            next_session: 100,
            next_value: 0,
        };
        growing.check_events();
        growing
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

    fn session(&mut self) -> u64 {
        self.next_session += 1;
        self.next_session
    }

    fn next(&mut self) {
        match self.random.below(100) {
            0..3 => self.execute(),
            3..15 => self.send_slowly(),
            15..62 => self.deliver(),
            62..72 => {
                let at = self.any_bank();
                self.world.sync(at);
            }
            72..78 => self.pass(),
            78..90 => self.read(),
            90..92 => self.cut(),
            92..94 => {
                let at = self.any_bank();
                self.world.crash(at);
            }
            94..97 => self.start(),
            97 => {
                let links: Vec<u64> = self.world.links.keys().copied().collect();
                if !links.is_empty() {
                    let link = *self.random.of(&links);
                    self.world.cut(link);
                }
            }
            98 => self.tamper(),
            _ => self.world.connect_all(),
        }
    }

    /// A transaction that sets one register at the first `banks` banks.
    fn setting(&mut self, banks: usize) -> usize {
        let key = *self.random.of(&KEYS);
        self.next_value += 1;
        let value = self.next_value;
        let op = |bank| format!(r#"{{"bank":{bank},"op":"set","key":"{key}","value":"{value}"}}"#);
        let ops: Vec<String> = (0..banks).map(op).collect();
        let text = format!(r#"{{"ops":[{}]}}"#, ops.join(","));
        self.count(if banks == OLD { "set of three banks" } else { "set of more banks" });
        let tx = TxId::new(&format!("t{}", self.transactions.len())).unwrap();
        self.transactions.push((tx, Arc::new(Transaction::parse(&text).unwrap())));
        self.transactions.len() - 1
    }

    /// A new set, for the list of some bank.
    fn new_set(&mut self) -> usize {
        let at = self.any_bank();
        self.setting(self.world.nodes[at].places)
    }

    fn execute(&mut self) {
        let number = self.new_set();
        let (tx, transaction) = self.transactions[number].clone();
        let (at, session) = (self.any_bank(), self.session());
        self.callers.insert(session, number);
        self.ask(at, session, Request::Execute(tx, transaction));
    }

    fn ask(&mut self, at: usize, session: u64, request: Request) {
        if self.world.is_up(at) {
            self.world.request(at, SessionId(session), Origin::Client, request, 0);
        }
    }

    /// A slow driver sends a request to one bank of its transaction.
    fn send_slowly(&mut self) {
        let number = if self.transactions.is_empty() || self.random.chance(10) {
            self.new_set()
        } else {
            let newest = self.transactions.len();
            newest - 1 - self.random.below(newest.min(2))
        };
        let (tx, transaction) = self.transactions[number].clone();
        let banks: Vec<usize> = transaction.banks().iter().map(|bank| bank.index()).collect();
        let at = *self.random.of(&banks);
        if at >= self.banks() {
            return;
        }
        let tokens = self.tokens.get(&tx).cloned().unwrap_or_default();
        let request = match self.random.below(10) {
            0..7 => Request::Prepare(tx, transaction),
            7..9 => Request::Commit(tx, tokens),
            _ => Request::Resolve(tx),
        };
        let session = self.session();
        self.ask(at, session, request);
    }

    fn deliver(&mut self) {
        if !self.world.flights.is_empty() {
            let at = self.random.below(self.world.flights.len());
            // Pages are slow, so that sets commit between their making and arrival.
            if !self.world.is_behind_page(at) || self.random.chance(5) {
                self.world.deliver(at);
            }
        }
    }

    fn pass(&mut self) {
        let micros = u64::try_from(self.random.below(600_000)).unwrap();
        self.world.pass(micros);
        (0..self.banks()).for_each(|bank| self.world.tick(bank));
    }

    fn read(&mut self) {
        let at = self.any_bank();
        if !self.world.is_up(at) {
            return;
        }
        let (key, session) = (*self.random.of(&KEYS), self.session());
        self.reads.insert(session, (key, self.floors.get(key).copied().unwrap_or_default()));
        self.ask(at, session, Request::Read(Read::Value(RegisterKey::new(key).unwrap())));
    }

    /// Requests the same cut from every bank.
    fn cut(&mut self) {
        let up = (0..self.banks()).filter(|bank| self.world.is_up(*bank));
        let Some(latest) = up.map(|bank| self.world.core(bank).clock()).max() else { return };
        for at in 0..self.banks() {
            let request = Request::Read(Read::Snapshot {
                time: Some(latest),
                reading: None,
                accounts: true,
                after: None,
            });
            self.ask(at, CUTS, request);
        }
    }

    /// Starts a bank that is down, with the longer list once there is a new bank; otherwise adds a
    /// bank.
    fn start(&mut self) {
        let down: Vec<usize> = (0..self.banks()).filter(|bank| !self.world.is_up(*bank)).collect();
        match down.first() {
            None if self.banks() < OLD + 2 && self.random.chance(30) => {
                let bank = self.world.add_bank();
                if self.random.chance(30) {
                    let down = self.random.below(bank);
                    self.world.introduce_without(bank, &[down]);
                }
            }
            None => {
                // Restart any old bank with the longer list.
                let at = self.any_bank();
                if self.world.nodes[at].places < self.banks() && self.random.chance(50) {
                    self.world.crash(at);
                    self.start_with_longest(at);
                }
            }
            Some(_) => {
                let at = *self.random.of(&down);
                if self.random.chance(50) {
                    self.start_with_longest(at);
                } else {
                    self.world.restart(at);
                }
            }
        }
        self.world.connect_all();
    }

    fn start_with_longest(&mut self, at: usize) {
        self.world.lengthen_list(at, self.banks());
        self.world.restart(at);
    }

    fn tamper(&mut self) {
        let tampering = *self.random.of(&[Tampering::Value, Tampering::Old]);
        self.world.growth.tampering = Some(tampering);
        self.count(match tampering {
            Tampering::Value => "page changed",
            Tampering::Old => "old page repeated",
        });
    }
}

fn sets(transaction: &Transaction) -> Vec<(String, String)> {
    let first = transaction.banks().iter().next().unwrap();
    let set = |op: &consorcio_core::wire::transaction::Op| match &op.action {
        Action::Set { key, value } => Some((key.as_str().to_owned(), value.as_str().to_owned())),
        Action::Money { .. } => None,
    };
    transaction.ops_of(first).filter_map(set).collect()
}
