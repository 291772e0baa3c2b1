//! Two banks with a register become three while a set of the two is under way, in any order of
//! restarts, links and lines: whoever reads a register anywhere reads no older value than somebody
//! else before.

use super::Scene;
use crate::world::growth::GrowthMistake;
use crate::world::links::Flight;
use crate::world::{Seen, World};
use consorcio::bank::io::{Origin, Outcome, SessionId};
use consorcio::bank::record::Record;
use consorcio::ids::{RegisterKey, Time, TxId};
use consorcio::wire::reply::Reply;
use consorcio::wire::request::{Read, Request};
use consorcio::wire::token::{Said, Token};
use consorcio::wire::transaction::Transaction;
use std::collections::BTreeMap;
use std::sync::Arc;

const OLD: usize = 2;
/// Rounds of the healing, and how long each takes.
const ROUNDS: usize = 3;
const ROUND_US: u64 = 4_000_000;
const PASS_US: u64 = 1_000_000;

#[derive(Debug, Clone, Copy)]
pub enum GrowingAct {
    /// A slow driver says something to a bank of its transaction.
    Prepare(usize, usize),
    Commit(usize, usize),
    Deliver(usize),
    /// The new bank comes.
    Add,
    /// A bank is started with the longer list.
    Restart(usize),
    Connect(usize, usize),
    /// Time passes for all.
    Pass,
}

/// A set of a register.
#[derive(Clone)]
struct Set {
    tx: TxId,
    transaction: Arc<Transaction>,
    value: String,
    prepares: Vec<u8>,
    commits: Vec<u8>,
    tokens: Vec<Token>,
    time: Option<Time>,
}

#[derive(Clone)]
pub struct GrowingScene {
    world: World,
    sets: Vec<Set>,
    passes: u8,
    /// Nobody reads what is older.
    floor: Time,
    met: Vec<&'static str>,
}

impl GrowingScene {
    /// A set of the old banks, and others of all three, so many in all; time passes so often.
    pub fn new(sets: usize, passes: u8) -> GrowingScene {
        let mut world = World::new(OLD);
        world.introduces = true;
        let set = |number: usize| {
            let banks = if number == 0 { OLD } else { OLD + 1 };
            let value = (number + 1).to_string();
            let op = |bank| format!(r#"{{"bank":{bank},"op":"set","value":"{value}"}}"#);
            let ops: Vec<String> = (0..banks).map(op).collect();
            Set {
                tx: TxId::new(&format!("t{number}")).unwrap(),
                transaction: Arc::new(
                    Transaction::parse(&format!(r#"{{"ops":[{}]}}"#, ops.join(","))).unwrap(),
                ),
                prepares: vec![1; banks],
                commits: (0..banks).map(|bank| u8::from(bank == 0)).collect(),
                tokens: Vec::new(),
                value,
                time: None,
            }
        };
        let sets = (0..sets).map(set).collect();
        GrowingScene { world, sets, passes, floor: Time::default(), met: Vec::new() }
    }

    /// The old banks hold OK on the first set, the new bank is there, and nobody knows it yet.
    pub fn under_way(passes: u8) -> GrowingScene {
        let mut growing = GrowingScene::new(1, passes);
        (0..OLD).for_each(|at| growing.act(GrowingAct::Prepare(0, at)));
        growing.act(GrowingAct::Add);
        growing.met.clear();
        growing
    }

    pub fn mistaken(mut self, mistake: GrowthMistake) -> GrowingScene {
        self.world.growth.mistake = Some(mistake);
        self
    }

    fn banks(&self) -> usize {
        self.world.nodes.len()
    }

    fn ask(&mut self, at: usize, request: Request) {
        self.world.request(at, SessionId(100), Origin::Client, request, 0);
    }

    fn look(&mut self) {
        for seen in std::mem::take(&mut self.world.seen) {
            match seen {
                Seen::Recorded { record, .. } => self.recorded(&record),
                Seen::Reply {
                    reply: Reply::Ok(tx, token) | Reply::Committed(tx, _, token, _),
                    ..
                } => {
                    let set = self.sets.iter_mut().find(|set| set.tx == tx).unwrap();
                    if token.said == Said::Ok && !set.tokens.contains(&token) {
                        set.tokens.push(token);
                    }
                }
                Seen::Answered { reply: Some(Reply::Done(_)), .. } => self.met.push("page told"),
                Seen::Answered { reply: Some(Reply::Refused(_, text)), .. }
                    if text.contains("not name") =>
                {
                    self.met.push("asked while a set was open");
                }
                Seen::Stopped { bank, why } => panic!("bank {bank} stopped: {why}"),
                _ => {}
            }
        }
        self.read();
    }

    fn recorded(&mut self, record: &Record) {
        match record {
            Record::Decided { tx, outcome: Outcome::Committed(time), .. }
            | Record::Executed { tx, committed: time, .. } => {
                self.met.push("set committed");
                let set = self.sets.iter_mut().find(|set| set.tx == *tx).unwrap();
                assert!(set.time.is_none_or(|before| before == *time), "{tx} commits at two times");
                set.time = Some(*time);
            }
            Record::RegistersLearned { last: true, .. } => self.met.push("learned"),
            _ => {}
        }
    }

    /// Statements of meetings arrive at once: their order is another world's.
    fn arrive_meetings(&mut self) {
        let is_meeting = |flight: &Flight| matches!(flight, Flight::Met { .. });
        while let Some(at) = self.world.flights.iter().position(is_meeting) {
            self.world.deliver(at);
        }
    }

    /// The register is read wherever it is told.
    fn read(&mut self) {
        let key = RegisterKey::new("storage").unwrap();
        for at in (0..self.banks()).filter(|at| self.world.is_up(*at)).collect::<Vec<_>>() {
            self.world.request(
                at,
                SessionId(3),
                Origin::Client,
                Request::Read(Read::Value(key.clone())),
                0,
            );
            let told = std::mem::take(&mut self.world.seen);
            let Some(Seen::Reply { reply: Reply::Done(json), .. }) = told.first() else {
                // It waits for a lock, and goes.
                self.world.close(at, 3);
                continue;
            };
            let told: serde_json::Value = serde_json::from_str(json).unwrap();
            let time = self.time_of(told["value"].as_str().unwrap());
            assert!(
                time >= self.floor,
                "bank {at} tells {json}, though a value of {} was told before",
                self.floor
            );
            self.floor = time;
        }
        self.world.seen.clear();
    }

    fn time_of(&self, value: &str) -> Time {
        let set = self.sets.iter().find(|set| set.value == value);
        set.map_or(Time::default(), |set| {
            set.time.unwrap_or_else(|| panic!("{value} was never committed"))
        })
    }

    fn restart(&mut self, at: usize) {
        if self.world.is_up(at) {
            self.world.crash(at);
        }
        self.world.lengthen_list(at, OLD + 1);
        self.world.restart(at);
    }
}

impl Scene for GrowingScene {
    type Act = GrowingAct;

    fn acts(&self) -> Vec<GrowingAct> {
        let mut acts: Vec<GrowingAct> =
            self.world.deliverable().into_iter().map(GrowingAct::Deliver).collect();
        for (number, set) in self.sets.iter().enumerate() {
            for at in 0..set.prepares.len().min(self.banks()) {
                acts.extend((set.prepares[at] > 0).then_some(GrowingAct::Prepare(number, at)));
                let commits = set.commits[at] > 0 && !set.tokens.is_empty();
                acts.extend(commits.then_some(GrowingAct::Commit(number, at)));
            }
        }
        acts.extend((self.banks() == OLD).then_some(GrowingAct::Add));
        acts.extend(
            (0..OLD).filter(|at| self.world.nodes[*at].places == OLD).map(GrowingAct::Restart),
        );
        for a in 0..self.banks() {
            let open =
                |b: &usize| self.world.link(a, *b).is_none() && self.world.know_each_other(a, *b);
            acts.extend((0..a).filter(open).map(|b| GrowingAct::Connect(a, b)));
        }
        acts.extend((self.passes > 0).then_some(GrowingAct::Pass));
        acts
    }

    fn act(&mut self, act: GrowingAct) {
        match act {
            GrowingAct::Prepare(number, at) => {
                let set = &mut self.sets[number];
                set.prepares[at] -= 1;
                let request = Request::Prepare(set.tx.clone(), Arc::clone(&set.transaction));
                self.ask(at, request);
            }
            GrowingAct::Commit(number, at) => {
                let set = &mut self.sets[number];
                set.commits[at] -= 1;
                let request = Request::Commit(set.tx.clone(), set.tokens.clone());
                self.ask(at, request);
            }
            GrowingAct::Deliver(at) => {
                self.world.deliver(at);
            }
            GrowingAct::Add => {
                let new = self.world.add_bank();
                self.world.restart(new);
            }
            GrowingAct::Restart(at) => self.restart(at),
            GrowingAct::Connect(a, b) => {
                self.world.connect(a, b);
                self.world.connect(b, a);
            }
            GrowingAct::Pass => {
                self.passes -= 1;
                self.world.pass(PASS_US);
                (0..self.banks()).for_each(|bank| self.world.tick(bank));
            }
        }
        self.arrive_meetings();
        self.look();
    }

    fn print(&self) -> String {
        let mut text = format!("{} {} {}", self.world.print(), self.passes, self.floor);
        for Set { prepares, commits, tokens, time, .. } in &self.sets {
            let tokens: std::collections::BTreeSet<String> =
                tokens.iter().map(Token::to_string).collect();
            text += &format!(" {prepares:?} {commits:?} {tokens:?} {time:?}");
        }
        text
    }

    fn heal(mut self) {
        if self.banks() == OLD {
            self.world.add_bank();
        }
        for at in 0..self.banks() {
            if self.world.nodes[at].places == OLD || !self.world.is_up(at) {
                self.restart(at);
            }
        }
        for _ in 0..ROUNDS {
            self.world.connect_all();
            self.world.settle();
            self.look();
            self.world.pass(ROUND_US);
            (0..self.banks()).for_each(|bank| self.world.tick(bank));
        }
        self.world.settle();
        self.look();
        let mut values = BTreeMap::new();
        for at in 0..self.banks() {
            let core = self.world.core(at);
            assert_eq!(core.undecided(), 0, "bank {at} is in doubt");
            assert!(core.knows_registers(), "bank {at} has not learned its registers");
            let value = core.ledger().value(&RegisterKey::new("storage").unwrap()).to_owned();
            values.entry(value).or_insert_with(Vec::new).push(at);
        }
        assert_eq!(values.len(), 1, "the register differs: {values:?}");
    }

    fn met(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.met)
    }
}
