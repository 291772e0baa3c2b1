//! Two banks with a register become three while a set of the two is undecided, in any order of
//! restarts, links and lines. No reader sees an older value than an earlier reader.

use super::Scene;
use crate::world::growth::GrowthMistake;
use crate::world::links::Flight;
use crate::world::{Seen, World};
use consorcio_core::bank::io::{Origin, Outcome, SessionId};
use consorcio_core::bank::record::Record;
use consorcio_core::ids::{RegisterKey, Time, TxId};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Read, Request};
use consorcio_core::wire::token::{Token, TokenKind};
use consorcio_core::wire::transaction::Transaction;
use std::collections::BTreeMap;
use std::sync::Arc;

const OLD: usize = 2;
/// Rounds of healing, and the length of each.
const ROUNDS: usize = 3;
const ROUND_US: u64 = 4_000_000;
const PASS_US: u64 = 1_000_000;

#[derive(Debug, Clone, Copy)]
pub enum GrowingAction {
    /// A slow driver sends PREPARE of a set to a bank.
    Prepare(usize, usize),
    Commit(usize, usize),
    Deliver(usize),
    /// The new bank joins.
    Add,
    /// A bank restarts with the longer list.
    Restart(usize),
    Connect(usize, usize),
    Pass,
}

/// One set of the register.
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
    /// No reader may see an older value.
    floor: Time,
    reached: Vec<&'static str>,
}

impl GrowingScene {
    /// One set of the old banks, and `sets - 1` of all three; time passes `passes` times.
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
        GrowingScene { world, sets, passes, floor: Time::default(), reached: Vec::new() }
    }

    /// The old banks hold OK on the first set; the new bank runs, and no other knows it yet.
    pub fn with_undecided_set(passes: u8) -> GrowingScene {
        let mut growing = GrowingScene::new(1, passes);
        (0..OLD).for_each(|at| growing.act(GrowingAction::Prepare(0, at)));
        growing.act(GrowingAction::Add);
        growing.reached.clear();
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

    fn check_events(&mut self) {
        for seen in std::mem::take(&mut self.world.seen) {
            match seen {
                Seen::Recorded { record, .. } => self.recorded(&record),
                Seen::Reply {
                    reply: Reply::Ok(tx, token) | Reply::Committed(tx, _, token, _),
                    ..
                } => {
                    let set = self.sets.iter_mut().find(|set| set.tx == tx).unwrap();
                    if token.kind == TokenKind::Ok && !set.tokens.contains(&token) {
                        set.tokens.push(token);
                    }
                }
                Seen::Answered { reply: Some(Reply::Done(_)), .. } => {
                    self.reached.push("page received")
                }
                Seen::Answered { reply: Some(Reply::Refused(_, text)), .. }
                    if text.contains("not name") =>
                {
                    self.reached.push("page refused while a set was undecided");
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
                self.reached.push("set committed");
                let set = self.sets.iter_mut().find(|set| set.tx == *tx).unwrap();
                assert!(set.time.is_none_or(|before| before == *time), "{tx} commits at two times");
                set.time = Some(*time);
            }
            Record::RegistersLearned { last: true, .. } => self.reached.push("learned"),
            _ => {}
        }
    }

    /// Delivers statements of meetings at once: their order is explored in another scene.
    fn arrive_meetings(&mut self) {
        let is_meeting = |flight: &Flight| matches!(flight, Flight::Met { .. });
        while let Some(at) = self.world.flights.iter().position(is_meeting) {
            self.world.deliver(at);
        }
    }

    /// Reads the register at every bank that serves it.
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
            let replies = std::mem::take(&mut self.world.seen);
            let Some(Seen::Reply { reply: Reply::Done(json), .. }) = replies.first() else {
                // It waits for a lock: cancel it.
                self.world.close(at, 3);
                continue;
            };
            let answer: serde_json::Value = serde_json::from_str(json).unwrap();
            let time = self.time_of(answer["value"].as_str().unwrap());
            assert!(
                time >= self.floor,
                "bank {at} returns {json} after a value of {} was read",
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
    type Action = GrowingAction;

    fn acts(&self) -> Vec<GrowingAction> {
        let mut acts: Vec<GrowingAction> =
            self.world.deliverable().into_iter().map(GrowingAction::Deliver).collect();
        for (number, set) in self.sets.iter().enumerate() {
            for at in 0..set.prepares.len().min(self.banks()) {
                acts.extend((set.prepares[at] > 0).then_some(GrowingAction::Prepare(number, at)));
                let commits = set.commits[at] > 0 && !set.tokens.is_empty();
                acts.extend(commits.then_some(GrowingAction::Commit(number, at)));
            }
        }
        acts.extend((self.banks() == OLD).then_some(GrowingAction::Add));
        acts.extend(
            (0..OLD).filter(|at| self.world.nodes[*at].places == OLD).map(GrowingAction::Restart),
        );
        for a in 0..self.banks() {
            let open =
                |b: &usize| self.world.link(a, *b).is_none() && self.world.know_each_other(a, *b);
            acts.extend((0..a).filter(open).map(|b| GrowingAction::Connect(a, b)));
        }
        acts.extend((self.passes > 0).then_some(GrowingAction::Pass));
        acts
    }

    fn act(&mut self, act: GrowingAction) {
        match act {
            GrowingAction::Prepare(number, at) => {
                let set = &mut self.sets[number];
                set.prepares[at] -= 1;
                let request = Request::Prepare(set.tx.clone(), Arc::clone(&set.transaction));
                self.ask(at, request);
            }
            GrowingAction::Commit(number, at) => {
                let set = &mut self.sets[number];
                set.commits[at] -= 1;
                let request = Request::Commit(set.tx.clone(), set.tokens.clone());
                self.ask(at, request);
            }
            GrowingAction::Deliver(at) => {
                self.world.deliver(at);
            }
            GrowingAction::Add => {
                let new = self.world.add_bank();
                self.world.restart(new);
            }
            GrowingAction::Restart(at) => self.restart(at),
            GrowingAction::Connect(a, b) => {
                self.world.connect(a, b);
                self.world.connect(b, a);
            }
            GrowingAction::Pass => {
                self.passes -= 1;
                self.world.pass(PASS_US);
                (0..self.banks()).for_each(|bank| self.world.tick(bank));
            }
        }
        self.arrive_meetings();
        self.check_events();
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
            self.world.deliver_all();
            self.check_events();
            self.world.pass(ROUND_US);
            (0..self.banks()).for_each(|bank| self.world.tick(bank));
        }
        self.world.deliver_all();
        self.check_events();
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

    fn reached(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.reached)
    }
}
