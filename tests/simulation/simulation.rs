//! One run: random steps of clients, liars, faults and time, then a healing, with the rule checked all along.

use crate::world::{Mistake, World};
use consorcio::bank::io::{Asked, Message, Origin, SessionId};
use consorcio::commit::coordinator::{Coordinator, Do, Event, Strategy, Verdict};
use consorcio::commit::token::{Digest, Token, Verdict as Vote};
use consorcio::ids::{AccountNumber, BankId, BankSet, RegisterKey, RegisterValue, TxId};
use consorcio::money::Money;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::transaction::{Action, Flow, Op, Transaction};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub const BANKS: usize = 3;
pub const ACCOUNTS: usize = 3;
pub const OPENING: i64 = 1_000;

/// A small generator (splitmix64): the same seed gives the same run, on every machine.
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// How often what happened: a simulation that never met a thing has proved nothing about it.
#[derive(Default)]
pub struct Met(pub BTreeMap<&'static str, u64>, pub Trace);

/// How far a run came, and what was seen in it, if that is wanted.
#[derive(Default)]
pub struct Trace {
    pub wanted: bool,
    pub lines: Vec<String>,
    pub steps: usize,
}

/// What a run is made of.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub mistake: Option<Mistake>,
    /// Kinds of trouble that are left out.
    pub without: [bool; TROUBLES.len()],
    pub steps: usize,
}

/// Kinds of trouble, as a shrunk run may leave them out.
pub const TROUBLES: [&str; 8] =
    ["lies", "crashes", "lost drivers", "lost lines", "cut links", "failing disks", "cuts", "time"];

impl Plan {
    /// All of it, as the seed says.
    pub fn of(seed: u64, mistake: Option<Mistake>) -> Plan {
        Plan { seed, mistake, without: [false; TROUBLES.len()], steps: 1_500 }
    }
}

impl Met {
    pub fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

/// A client that drives: the coordinator, and one session a bank.
pub struct Driver {
    coordinator: Coordinator,
    session: u64,
    /// Lines under way to each bank, in order.
    lines: Vec<VecDeque<Message>>,
    /// What was asked, by bank and slot.
    asked: BTreeMap<(usize, u64), Asked>,
    deadline_us: u64,
    verdict: Option<Verdict>,
}

/// All that was ever said about one transaction's bytes.
#[derive(Default)]
pub struct Truth {
    pub ok: BTreeSet<usize>,
    pub committed: BTreeSet<usize>,
    pub aborted: BTreeSet<usize>,
}

/// What may happen next.
#[derive(Debug, Clone, Copy)]
enum Next {
    Begin,
    Execute,
    Deposit,
    DeliverToBank,
    DeliverBetweenBanks,
    Sync,
    SyncAll,
    Pass,
    LoseDriver,
    Lie,
    Crash,
    Restart,
    FailDisk,
    CutLink,
    Connect,
    Snapshot,
}

pub struct Simulation<'a> {
    pub world: World,
    pub random: Random,
    pub plan: Plan,
    pub met: &'a mut Met,
    pub drivers: Vec<Driver>,
    /// Callers of EXECUTE: what they were told.
    pub told: Vec<(TxId, Reply)>,
    pub transactions: BTreeMap<TxId, Vec<Arc<Transaction>>>,
    pub truths: BTreeMap<(TxId, Digest), Truth>,
    pub tokens: Vec<(TxId, Token)>,
    /// Each bank's one vote on each id.
    pub votes: BTreeMap<(usize, TxId), (Vote, Option<Digest>)>,
    pub next: u64,
    pub cuts: BTreeMap<i64, BTreeMap<usize, [i128; 5]>>,
    /// The latest cut that each bank has answered: nothing commits there at or before it any more.
    pub cut_up_to: [i64; BANKS],
}

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn account(bank: usize, account: usize) -> AccountNumber {
    AccountNumber::new(&format!("{bank}-{account}")).unwrap()
}

impl<'a> Simulation<'a> {
    pub fn new(plan: Plan, met: &'a mut Met) -> Simulation<'a> {
        let Plan { seed, mistake, .. } = plan;
        let mut random = Random(seed);
        let keyed = random.chance(70);
        let disks = mistake.is_none() && random.chance(40);
        let mut world = World::with_disks(BANKS, keyed, disks);
        world.crashes = seed.wrapping_mul(1_000);
        for b in 0..BANKS {
            for a in 0..ACCOUNTS {
                let cpf = format!("{:011}", b * 10 + a);
                world.line(b, 0, &format!(r#"CLIENT {{"cpf":"{cpf}","name":"P","kind":"F"}}"#));
                let number = account(b, a);
                let line =
                    format!(r#"ACCOUNT {{"number":"{number}","holders":["{cpf}"],"deposit":{OPENING}}}"#);
                world.line(b, 0, &line);
            }
        }
        world.eager_sync = random.chance(20);
        world.forgetful = random.chance(50);
        world.mistake = mistake;
        for node in &mut world.nodes {
            node.skew_us = i64::try_from(random.below(2_000_000)).unwrap() - 1_000_000;
        }
        if random.chance(10) {
            // One bank's clock is an hour ahead.
            world.nodes[random.below(BANKS)].skew_us = 3_600_000_000;
        }
        world.seen.clear();
        Simulation {
            world,
            random,
            plan,
            met,
            drivers: Vec::new(),
            told: Vec::new(),
            transactions: BTreeMap::new(),
            truths: BTreeMap::new(),
            tokens: Vec::new(),
            votes: BTreeMap::new(),
            next: 0,
            cuts: BTreeMap::new(),
            cut_up_to: [0; BANKS],
        }
    }

    pub fn run(&mut self) {
        // Some runs are calm: little is undecided, so that cuts are answered at once, between crashes.
        let calm = self.random.chance(25);
        for step in 0..self.plan.steps {
            self.met.1.steps = step + 1;
            let next = self.choose(calm);
            if !self.leaves_out(next) {
                self.do_next(next);
            }
            self.look();
        }
        self.heal();
        self.verify();
    }

    fn choose(&mut self, calm: bool) -> Next {
        if calm && self.random.chance(80) {
            return match self.random.below(10) {
                0..3 => Next::Deposit,
                3..6 => Next::Snapshot,
                6 => Next::Crash,
                7 => Next::Restart,
                _ => Next::SyncAll,
            };
        }
        match self.random.below(100) {
            0..8 => Next::Begin,
            8..14 => Next::Execute,
            14..44 => Next::DeliverToBank,
            44..66 => Next::DeliverBetweenBanks,
            66..80 => Next::Sync,
            80..86 => Next::Pass,
            86..88 => Next::LoseDriver,
            88..92 => Next::Lie,
            92..94 if self.random.chance(25) => Next::Crash,
            92..94 => Next::Sync,
            94..96 => Next::Restart,
            96..97 if self.random.chance(20) => Next::FailDisk,
            96..97 => Next::CutLink,
            97..98 => Next::Connect,
            _ => Next::Snapshot,
        }
    }

    /// Is this a kind of trouble that the plan leaves out?
    fn leaves_out(&self, next: Next) -> bool {
        let trouble = match next {
            Next::Lie => "lies",
            Next::Crash => "crashes",
            Next::LoseDriver => "lost drivers",
            Next::CutLink => "cut links",
            Next::FailDisk => "failing disks",
            Next::Snapshot => "cuts",
            Next::Pass => "time",
            Next::Begin
            | Next::Execute
            | Next::Deposit
            | Next::DeliverToBank
            | Next::DeliverBetweenBanks
            | Next::Sync
            | Next::SyncAll
            | Next::Restart
            | Next::Connect => return false,
        };
        self.is_without(trouble)
    }

    fn is_without(&self, trouble: &str) -> bool {
        TROUBLES.iter().zip(self.plan.without).any(|(name, without)| without && *name == trouble)
    }

    fn do_next(&mut self, next: Next) {
        match next {
            Next::Begin => self.begin(),
            Next::Execute => self.execute(),
            Next::Deposit => self.deposit(),
            Next::DeliverToBank => self.deliver_to_bank(),
            Next::DeliverBetweenBanks => self.deliver_between_banks(),
            Next::Sync => {
                let bank = self.random.below(BANKS);
                self.world.sync(bank);
            }
            Next::SyncAll => (0..BANKS).for_each(|bank| self.world.sync(bank)),
            Next::Pass => self.pass(),
            Next::LoseDriver => self.lose_a_driver(),
            Next::Lie => self.lie(),
            Next::Crash => self.crash(),
            Next::Restart => self.restart(),
            Next::FailDisk => self.fail_a_disk(),
            Next::CutLink => self.cut_a_link(),
            Next::Connect => self.world.connect_all(),
            Next::Snapshot => self.snapshot(),
        }
    }

    pub(crate) fn transaction(&mut self) -> Arc<Transaction> {
        let op = |bank: usize, action| Op { bank: self::bank(bank), action };
        let money = |flow, bank: usize, a: usize, amount: i64| {
            op(bank, Action::Money { flow, account: account(bank, a), cpf: None, amount: Money(amount) })
        };
        let amount = i64::try_from(1 + self.random.below(600)).unwrap();
        let [x, y, z] = [0; 3].map(|_: i32| self.random.below(ACCOUNTS));
        let first = self.random.below(BANKS);
        let (second, third) = ((first + 1) % BANKS, (first + 2) % BANKS);
        let ops = match self.random.below(10) {
            0..5 => vec![money(Flow::Debit, first, x, amount), money(Flow::Credit, second, y, amount)],
            5..7 => vec![
                money(Flow::Debit, first, x, amount),
                money(Flow::Debit, second, y, amount),
                money(Flow::Credit, third, z, 2 * amount),
            ],
            7 => vec![money(Flow::Deposit, first, x, amount)],
            8 => vec![money(Flow::Withdraw, first, x, amount), money(Flow::Deposit, second, y, amount)],
            _ => {
                let key = RegisterKey::new("storage").unwrap();
                let value = RegisterValue::new(&amount.to_string()).unwrap();
                let set = |bank| op(bank, Action::Set { key: key.clone(), value: value.clone() });
                (0..BANKS).map(set).collect()
            }
        };
        let patience = self.random.chance(10).then_some(5_000);
        Arc::new(Transaction::from_ops(ops, patience).unwrap())
    }

    pub(crate) fn fresh(&mut self) -> (TxId, Arc<Transaction>) {
        self.next += 1;
        let tx = TxId::new(&format!("t{}", self.next)).unwrap();
        let transaction = self.transaction();
        self.transactions.entry(tx.clone()).or_default().push(Arc::clone(&transaction));
        (tx, transaction)
    }

    pub(crate) fn begin(&mut self) {
        let (tx, transaction) = self.fresh();
        let coordinator = Coordinator::new(tx, transaction, Strategy::Parallel);
        let lines = (0..BANKS).map(|_| VecDeque::new()).collect();
        let session = 10 + self.next;
        let driver = Driver {
            coordinator,
            session,
            lines,
            asked: BTreeMap::new(),
            deadline_us: u64::MAX,
            verdict: None,
        };
        self.drivers.push(driver);
        let unreachable: BankSet = (0..BANKS).filter(|b| !self.world.is_up(*b)).map(self::bank).collect();
        self.drive(self.drivers.len() - 1, Event::Begin { unreachable });
    }

    pub(crate) fn drive(&mut self, at: usize, event: Event) {
        for todo in self.drivers[at].coordinator.on(event) {
            match todo {
                Do::Send(bank, message) => self.drivers[at].lines[bank.index()].push_back(message),
                Do::StartTimer => self.drivers[at].deadline_us = self.world.mono_us + 2_000_000,
                Do::Tell(verdict) => {
                    self.met.count(match verdict {
                        Verdict::Committed(_) => "driver told committed",
                        Verdict::Aborted { .. } => "driver told aborted",
                        Verdict::Doubt(_) => "driver told doubt",
                        Verdict::Unreached => "driver reached nobody",
                    });
                    self.drivers[at].verdict = Some(verdict);
                }
                Do::VoteSelf | Do::RefuseSelf(_) => panic!("a client has no vote"),
            }
        }
    }

    pub(crate) fn execute(&mut self) {
        let (tx, transaction) = self.fresh();
        let at = self.random.below(BANKS);
        self.met.count("execute");
        let session = SessionId(10 + self.next);
        self.world.request(at, session, Origin::Client, Request::Execute(tx, transaction), 0);
    }

    /// Cash into one account: vote and commit are one record of one bank.
    pub(crate) fn deposit(&mut self) {
        let (at, to) = (self.random.below(BANKS), self.random.below(ACCOUNTS));
        let money =
            Action::Money { flow: Flow::Deposit, account: account(at, to), cpf: None, amount: Money(1) };
        let transaction = Transaction::from_ops([Op { bank: bank(at), action: money }], None).unwrap();
        let transaction = Arc::new(transaction);
        self.next += 1;
        let tx = TxId::new(&format!("t{}", self.next)).unwrap();
        self.transactions.insert(tx.clone(), vec![Arc::clone(&transaction)]);
        let session = SessionId(10 + self.next);
        self.world.request(at, session, Origin::Client, Request::Execute(tx, transaction), 0);
    }

    pub(crate) fn deliver_to_bank(&mut self) {
        if self.drivers.is_empty() {
            return;
        }
        let (at, bank) = (self.random.below(self.drivers.len()), self.random.below(BANKS));
        let Some(message) = self.drivers[at].lines[bank].pop_front() else { return };
        let asked = message.asked();
        let lost = self.random.chance(3) && !self.is_without("lost lines");
        if !self.world.is_up(bank) || lost {
            self.met.count("line lost");
            self.drive(at, Event::Lost(self::bank(bank), asked.verb));
            return;
        }
        let request = match message {
            Message::Prepare(tx, transaction) => Request::Prepare(tx, transaction),
            Message::Commit(tx, tokens) => Request::Commit(tx, tokens),
            Message::Abort(tx, token) => Request::Abort(tx, token),
            Message::Resolve(tx) => Request::Resolve(tx),
        };
        let waited_us = if self.random.chance(2) { 600_000 } else { 0 };
        // A session is one connection to one bank.
        let session = SessionId(self.drivers[at].session * 10 + u64::try_from(bank).unwrap());
        let slot = self.world.next_slot(session);
        self.drivers[at].asked.insert((bank, slot), asked);
        self.world.request(bank, session, Origin::Client, request, waited_us);
    }

    pub(crate) fn deliver_between_banks(&mut self) {
        if !self.world.flights.is_empty() {
            let at = self.random.below(self.world.flights.len());
            self.world.deliver(at);
        }
    }

    pub(crate) fn pass(&mut self) {
        let micros = u64::try_from(self.random.below(900_000)).unwrap();
        self.world.pass(micros);
        for bank in 0..BANKS {
            self.world.tick(bank);
        }
        self.time_out_drivers();
    }

    pub(crate) fn time_out_drivers(&mut self) {
        for at in 0..self.drivers.len() {
            if self.drivers[at].deadline_us <= self.world.mono_us {
                self.drivers[at].deadline_us = u64::MAX;
                self.drive(at, Event::TimeOut);
            }
        }
    }

    pub(crate) fn lose_a_driver(&mut self) {
        if self.drivers.is_empty() {
            return;
        }
        let at = self.random.below(self.drivers.len());
        self.met.count("driver lost");
        let driver = self.drivers.swap_remove(at);
        for bank in 0..BANKS {
            self.world.close(bank, driver.session * 10 + u64::try_from(bank).unwrap());
        }
        self.remember_verdict(driver);
    }

    pub(crate) fn remember_verdict(&mut self, driver: Driver) {
        let tx = driver.coordinator.tx().clone();
        let digest = *driver.coordinator.transaction().digest();
        let mac = None;
        let token = |by, digest| Token { verdict: Vote::Ok, bank: by, time: Default::default(), digest, mac };
        match driver.verdict {
            Some(Verdict::Committed(time)) => {
                self.told.push((tx.clone(), Reply::Committed(tx, time, token(bank(0), Some(digest)))));
            }
            Some(Verdict::Aborted { by, reason, .. }) => {
                self.told.push((tx.clone(), Reply::Aborted(tx, token(by, Some(digest)), reason)));
            }
            Some(Verdict::Doubt(_) | Verdict::Unreached) | None => {}
        }
    }

    /// A liar: any verb, any id, any bytes, any token that was ever seen.
    pub(crate) fn lie(&mut self) {
        if self.transactions.is_empty() || self.tokens.is_empty() {
            return;
        }
        let known: Vec<TxId> = self.transactions.keys().cloned().collect();
        let tx = known[self.random.below(known.len())].clone();
        let of_tx: Vec<Token> =
            self.tokens.iter().filter(|(other, _)| *other == tx).map(|(_, token)| *token).collect();
        let any = self.tokens[self.random.below(self.tokens.len())].1;
        let request = match self.random.below(8) {
            0 => Request::Commit(tx, of_tx),
            1 => Request::Commit(tx, vec![any]),
            2 => Request::Commit(tx, Vec::new()),
            3 => Request::Abort(tx, of_tx.first().copied().or(Some(any))),
            4 => Request::Abort(tx, None),
            5 => Request::Resolve(tx),
            6 => {
                let other = self.transaction();
                self.transactions.entry(tx.clone()).or_default().push(Arc::clone(&other));
                Request::Prepare(tx, other)
            }
            _ => {
                let bytes = &self.transactions[&tx];
                Request::Execute(tx.clone(), Arc::clone(&bytes[0]))
            }
        };
        self.met.count("lie");
        let at = self.random.below(BANKS);
        self.world.request(at, SessionId(1), Origin::Client, request, 0);
    }

    pub(crate) fn crash(&mut self) {
        let at = self.random.below(BANKS);
        if self.world.is_up(at) {
            let lost = self.world.nodes[at].journal.len() > self.world.nodes[at].synced;
            self.met.count(if lost { "crash that lost records" } else { "crash" });
            self.world.crash(at);
            self.sessions_lost(at);
            if self.random.chance(50) {
                self.restart_bank(at);
            }
        }
    }

    /// Whoever had a question under way to a bank that is gone is told so.
    pub(crate) fn sessions_lost(&mut self, gone: usize) {
        for at in 0..self.drivers.len() {
            let asked = &mut self.drivers[at].asked;
            let lost: Vec<(usize, u64)> = asked.keys().filter(|(bank, _)| *bank == gone).copied().collect();
            let lost: Vec<Asked> = lost.into_iter().filter_map(|key| asked.remove(&key)).collect();
            for asked in lost {
                self.drive(at, Event::Lost(bank(gone), asked.verb));
            }
        }
    }

    pub(crate) fn restart(&mut self) {
        let at = self.random.below(BANKS);
        if !self.world.is_up(at) {
            self.restart_bank(at);
        }
    }

    /// The bank starts again; its wall clock may have jumped meanwhile, back or forth.
    pub(crate) fn restart_bank(&mut self, at: usize) {
        self.met.count("restart");
        if self.random.chance(50) {
            let jump = i64::try_from(self.random.below(4_000_000)).unwrap() - 2_000_000;
            self.world.nodes[at].skew_us += jump;
        }
        self.world.restart(at);
        assert!(self.world.is_up(at), "a bank that lost no promise starts");
        self.world.connect_all();
    }

    pub(crate) fn fail_a_disk(&mut self) {
        let (at, sync) = (self.random.below(BANKS), self.random.chance(50));
        if let Some(disk) = &self.world.nodes[at].disk {
            disk.fail_next(sync);
        }
    }

    pub(crate) fn cut_a_link(&mut self) {
        let (from, to) = (self.random.below(BANKS), self.random.below(BANKS));
        if let Some(link) = self.world.link(from, to) {
            self.met.count("link cut");
            self.world.cut(link);
        }
    }

    /// The same cut, asked of every bank.
    pub(crate) fn snapshot(&mut self) {
        let latest = (0..BANKS).filter(|b| self.world.is_up(*b)).map(|b| self.world.core(b).clock().0).max();
        let Some(latest) = latest else { return };
        let before = self.cuts.len();
        let time = match self.random.below(10) {
            // One that was asked before, and one that is ahead of the clocks.
            0..4 if before > 0 => *self.cuts.keys().nth(self.random.below(before)).unwrap(),
            4..8 => latest + i64::try_from(self.random.below(900_000)).unwrap(),
            _ => latest,
        };
        for at in 0..BANKS {
            let time = Some(consorcio::ids::Time(time));
            let request = Request::Snapshot { time, accounts: false, after: None };
            self.world.request(at, SessionId(2), Origin::Client, request, 0);
        }
    }

    pub(crate) fn replied(&mut self, at: usize, session: u64, slot: u64, reply: Reply) {
        if let Reply::Ok(tx, token)
        | Reply::Nok(tx, token, ..)
        | Reply::Committed(tx, _, token)
        | Reply::Aborted(tx, token, _) = &reply
        {
            self.tokens.push((tx.clone(), *token));
        }
        if let Reply::Done(json) = &reply
            && session == 2
        {
            self.cut_told(at, json);
        }
        if let Reply::Doubt(..) = &reply {
            self.met.count("DOUBT");
        }
        let driver = self.drivers.iter().position(|driver| driver.session * 10 == session - session % 10);
        match driver.filter(|_| session >= 100) {
            Some(driver) => {
                if let Some(asked) = self.drivers[driver].asked.remove(&(at, slot)) {
                    self.drive(driver, Event::Answered(bank(at), asked.verb, reply));
                }
            }
            None => {
                if let Some(tx) = reply.tx().cloned()
                    && session > 2
                {
                    self.told.push((tx, reply));
                }
            }
        }
    }

    /// All banks up, all links open, all messages delivered: everything must be decided.
    pub(crate) fn heal(&mut self) {
        self.world.eager_sync = true;
        for at in 0..BANKS {
            if let Some(disk) = &self.world.nodes[at].disk {
                disk.works();
            }
            if !self.world.is_up(at) {
                self.world.restart(at);
            }
            self.world.sync(at);
        }
        for _ in 0..40 {
            self.world.connect_all();
            for at in 0..self.drivers.len() {
                for bank in 0..BANKS {
                    while let Some(message) = self.drivers[at].lines[bank].pop_front() {
                        self.drive(at, Event::Lost(self::bank(bank), message.asked().verb));
                    }
                }
            }
            self.world.settle();
            self.world.pass(400_000);
            (0..BANKS).for_each(|bank| self.world.tick(bank));
            self.time_out_drivers();
            self.look();
        }
    }
}
