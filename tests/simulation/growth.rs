//! A consortium that grows while sets are under way: three banks with registers become four and
//! five, restarted one after the other with the longer list, while banks crash, links break, lines
//! are late, and somebody on the way changes pages. Registers stay linearizable at all banks that
//! tell them, and cuts equal at all that know them.

mod judge;

use crate::simulation::Counts;
use crate::simulation::plan::Random;
use crate::world::growth::{GrowthMistake, Tampering};
use crate::world::{Seen, World};
use consorcio::bank::io::{Origin, Outcome, SessionId};
use consorcio::bank::record::Record;
use consorcio::ids::{RegisterKey, Time, TxId};
use consorcio::wire::reply::Reply;
use consorcio::wire::request::{Read, Request};
use consorcio::wire::token::Token;
use consorcio::wire::transaction::{Action, Transaction};
use std::collections::BTreeMap;
use std::sync::Arc;

const KEYS: [&str; 2] = ["a", "storage"];
const OLD: usize = 3;
const STEPS: usize = 700;
/// The session that asks for cuts.
const CUTS: u64 = 2;
/// Rounds of the healing, and how long each takes.
const ROUNDS: usize = 40;
const ROUND_US: u64 = 500_000;

/// What enough seeds must have met.
pub const MUST_MEET: [&str; 13] = [
    "set committed",
    "set of three banks",
    "set of more banks",
    "asked while a set was open",
    "page told",
    "page changed",
    "old page shown",
    "learned",
    "learned after a crash midway",
    "value told",
    "value told by the new bank",
    "value not known yet",
    "cut that says so",
];

struct Growing {
    world: World,
    random: Random,
    counts: Counts,
    /// By number in the id.
    transactions: Vec<(TxId, Arc<Transaction>)>,
    /// Tokens that clients were told, by transaction.
    tokens: BTreeMap<TxId, Vec<Token>>,
    /// What each value of a register was committed at.
    written: BTreeMap<(String, String), Time>,
    /// Nobody may read an older value of this register any more.
    floors: BTreeMap<String, Time>,
    /// Reads that are not answered, with their floor, and callers of EXECUTE.
    reads: BTreeMap<u64, (&'static str, Time)>,
    callers: BTreeMap<u64, usize>,
    cuts: BTreeMap<i64, Vec<(usize, String)>>,
    next_session: u64,
    next_value: u64,
}

/// Runs one seed.
///
/// # Errors
/// What is wrong in it.
pub fn run(seed: u64, mistake: Option<GrowthMistake>) -> Result<Counts, String> {
    crate::world::caught::caught(|| {
        let mut growing = Growing::new(seed, mistake);
        for _ in 0..STEPS {
            growing.next();
            growing.look();
        }
        growing.heal();
        growing.verify();
        growing.counts
    })
}

impl Growing {
    fn new(seed: u64, mistake: Option<GrowthMistake>) -> Growing {
        let mut random = Random(seed);
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
            counts: Counts::new(),
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
        growing.look();
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
            3..15 => self.say(),
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

    /// A transaction that sets one register at every bank of a list of so many.
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

    /// As the list of a bank has it, or as that of another one.
    fn fresh(&mut self) -> usize {
        let at = self.any_bank();
        self.setting(self.world.nodes[at].places)
    }

    fn execute(&mut self) {
        let number = self.fresh();
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

    /// A slow driver says something to one bank of its transaction.
    fn say(&mut self) {
        let number = if self.transactions.is_empty() || self.random.chance(10) {
            self.fresh()
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
            // A page is slow: sets commit between its making and its coming.
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

    /// The same cut, asked of every bank.
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

    /// A bank that is down starts, with the longer list as soon as there is a new bank; else the
    /// new bank comes.
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
                // An old bank is restarted, in the order that chance has.
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
            Tampering::Old => "old page shown",
        });
    }
}

fn sets(transaction: &Transaction) -> Vec<(String, String)> {
    let first = transaction.banks().iter().next().unwrap();
    let set = |op: &consorcio::wire::transaction::Op| match &op.action {
        Action::Set { key, value } => Some((key.as_str().to_owned(), value.as_str().to_owned())),
        Action::Money { .. } => None,
    };
    transaction.ops_of(first).filter_map(set).collect()
}
