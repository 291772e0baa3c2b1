//! One run: random steps of clients, liars, faults and time, then a healing, with the rule checked all along.

use crate::world::{Mistake, Seen, World};
use consorcio::bank::io::{Asked, Message, Origin, Outcome, SessionId};
use consorcio::bank::record::Record;
use consorcio::commit::coordinator::{Coordinator, Do, Event, Strategy, Verdict};
use consorcio::commit::token::{Digest, Token, Verdict as Vote};
use consorcio::ids::{AccountNumber, BankId, BankSet, RegisterKey, RegisterValue, Time, TxId};
use consorcio::money::Money;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::transaction::{Action, Flow, Op, Transaction};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

const BANKS: usize = 3;
const ACCOUNTS: usize = 3;
const OPENING: i64 = 1_000;

/// A small generator (splitmix64): the same seed gives the same run, on every machine.
struct Random(u64);

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
pub struct Met(pub BTreeMap<&'static str, u64>);

impl Met {
    fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

/// A client that drives: the coordinator, and one session a bank.
struct Driver {
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
struct Truth {
    ok: BTreeSet<usize>,
    committed: BTreeSet<usize>,
    aborted: BTreeSet<usize>,
}

pub struct Simulation<'a> {
    world: World,
    random: Random,
    met: &'a mut Met,
    drivers: Vec<Driver>,
    /// Callers of EXECUTE: what they were told.
    told: Vec<(TxId, Reply)>,
    transactions: BTreeMap<TxId, Vec<Arc<Transaction>>>,
    truths: BTreeMap<(TxId, Digest), Truth>,
    tokens: Vec<(TxId, Token)>,
    /// Each bank's one vote on each id.
    votes: BTreeMap<(usize, TxId), (Vote, Option<Digest>)>,
    next: u64,
    cuts: BTreeMap<i64, BTreeMap<usize, [i128; 5]>>,
    /// The latest cut that each bank has answered: nothing commits there at or before it any more.
    cut_up_to: [i64; BANKS],
}

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn account(bank: usize, account: usize) -> AccountNumber {
    AccountNumber::new(&format!("{bank}-{account}")).unwrap()
}

impl<'a> Simulation<'a> {
    pub fn new(seed: u64, mistake: Option<Mistake>, met: &'a mut Met) -> Simulation<'a> {
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

    pub fn run(&mut self, steps: usize) {
        // Some runs are calm: little is undecided, so that cuts are answered at once, between crashes.
        let calm = self.random.chance(25);
        for _ in 0..steps {
            if calm && self.random.chance(80) {
                match self.random.below(10) {
                    0..3 => self.deposit(),
                    3..6 => self.snapshot(),
                    6 => self.crash(),
                    7 => self.restart(),
                    _ => (0..BANKS).for_each(|bank| self.world.sync(bank)),
                }
                self.look();
                continue;
            }
            match self.random.below(100) {
                0..8 => self.begin(),
                8..14 => self.execute(),
                14..44 => self.deliver_to_bank(),
                44..66 => self.deliver_between_banks(),
                66..80 => {
                    let bank = self.random.below(BANKS);
                    self.world.sync(bank);
                }
                80..86 => self.pass(),
                86..88 => self.lose_a_driver(),
                88..92 => self.lie(),
                92..94 if self.random.chance(25) => self.crash(),
                92..94 => {}
                94..96 => self.restart(),
                96..97 if self.random.chance(20) => self.fail_a_disk(),
                96..97 => self.cut_a_link(),
                97..98 => self.world.connect_all(),
                _ => self.snapshot(),
            }
            self.look();
        }
        self.heal();
        self.verify();
    }

    fn transaction(&mut self) -> Arc<Transaction> {
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

    fn fresh(&mut self) -> (TxId, Arc<Transaction>) {
        self.next += 1;
        let tx = TxId::new(&format!("t{}", self.next)).unwrap();
        let transaction = self.transaction();
        self.transactions.entry(tx.clone()).or_default().push(Arc::clone(&transaction));
        (tx, transaction)
    }

    fn begin(&mut self) {
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

    fn drive(&mut self, at: usize, event: Event) {
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

    fn execute(&mut self) {
        let (tx, transaction) = self.fresh();
        let at = self.random.below(BANKS);
        self.met.count("execute");
        let session = SessionId(10 + self.next);
        self.world.request(at, session, Origin::Client, Request::Execute(tx, transaction), 0);
    }

    /// Cash into one account: vote and commit are one record of one bank.
    fn deposit(&mut self) {
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

    fn deliver_to_bank(&mut self) {
        if self.drivers.is_empty() {
            return;
        }
        let (at, bank) = (self.random.below(self.drivers.len()), self.random.below(BANKS));
        let Some(message) = self.drivers[at].lines[bank].pop_front() else { return };
        let asked = message.asked();
        if !self.world.is_up(bank) || self.random.chance(3) {
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

    fn deliver_between_banks(&mut self) {
        if !self.world.flights.is_empty() {
            let at = self.random.below(self.world.flights.len());
            self.world.deliver(at);
        }
    }

    fn pass(&mut self) {
        let micros = u64::try_from(self.random.below(900_000)).unwrap();
        self.world.pass(micros);
        for bank in 0..BANKS {
            self.world.tick(bank);
        }
        self.time_out_drivers();
    }

    fn time_out_drivers(&mut self) {
        for at in 0..self.drivers.len() {
            if self.drivers[at].deadline_us <= self.world.mono_us {
                self.drivers[at].deadline_us = u64::MAX;
                self.drive(at, Event::TimeOut);
            }
        }
    }

    fn lose_a_driver(&mut self) {
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

    fn remember_verdict(&mut self, driver: Driver) {
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
    fn lie(&mut self) {
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

    fn crash(&mut self) {
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

    /// What was not synced is lost with the process: it was never true.
    fn forget_lost(&mut self, at: usize, records: Vec<Record>) {
        for record in records {
            let (tx, digest) = match &record {
                Record::Voted { tx, transaction, .. } | Record::Executed { tx, transaction, .. } => {
                    (tx, *transaction.digest())
                }
                Record::Decided { tx, own, .. } => (tx, own.digest.unwrap()),
                Record::Refused { tx, .. } => {
                    self.votes.remove(&(at, tx.clone()));
                    continue;
                }
                _ => continue,
            };
            let vote = !matches!(record, Record::Decided { .. });
            if vote {
                self.votes.remove(&(at, tx.clone()));
            }
            let truth = self.truth(tx, digest);
            truth.committed.remove(&at);
            truth.aborted.remove(&at);
            if vote {
                truth.ok.remove(&at);
            }
        }
    }

    /// Whoever had a question under way to a bank that is gone is told so.
    fn sessions_lost(&mut self, gone: usize) {
        for at in 0..self.drivers.len() {
            let asked = &mut self.drivers[at].asked;
            let lost: Vec<(usize, u64)> = asked.keys().filter(|(bank, _)| *bank == gone).copied().collect();
            let lost: Vec<Asked> = lost.into_iter().filter_map(|key| asked.remove(&key)).collect();
            for asked in lost {
                self.drive(at, Event::Lost(bank(gone), asked.verb));
            }
        }
    }

    fn restart(&mut self) {
        let at = self.random.below(BANKS);
        if !self.world.is_up(at) {
            self.restart_bank(at);
        }
    }

    /// The bank starts again; its wall clock may have jumped meanwhile, back or forth.
    fn restart_bank(&mut self, at: usize) {
        self.met.count("restart");
        if self.random.chance(50) {
            let jump = i64::try_from(self.random.below(4_000_000)).unwrap() - 2_000_000;
            self.world.nodes[at].skew_us += jump;
        }
        self.world.restart(at);
        assert!(self.world.is_up(at), "a bank that lost no promise starts");
        self.world.connect_all();
    }

    fn fail_a_disk(&mut self) {
        let (at, sync) = (self.random.below(BANKS), self.random.chance(50));
        if let Some(disk) = &self.world.nodes[at].disk {
            disk.fail_next(sync);
        }
    }

    fn cut_a_link(&mut self) {
        let (from, to) = (self.random.below(BANKS), self.random.below(BANKS));
        if let Some(link) = self.world.link(from, to) {
            self.met.count("link cut");
            self.world.cut(link);
        }
    }

    /// The same cut, asked of every bank.
    fn snapshot(&mut self) {
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

    /// Takes note of what was seen, and checks what must always hold.
    fn look(&mut self) {
        for seen in std::mem::take(&mut self.world.seen) {
            match seen {
                Seen::Recorded { bank, record } => self.recorded(bank, &record),
                Seen::Reply { bank, caller, reply } => {
                    self.replied(bank, caller.session.0, caller.slot, reply)
                }
                Seen::Stopped { bank, why } => panic!("bank {bank} stopped: {why}"),
                Seen::Lost { bank, records } => self.forget_lost(bank, records),
                Seen::DiskFailed { bank } => {
                    self.met.count("disk failed");
                    self.sessions_lost(bank);
                }
                Seen::Step { step, .. } => {
                    if let consorcio::bank::io::CoreStep::Doubt(_, cause) = step {
                        self.met.count(cause.as_str());
                    }
                }
                Seen::Sent { .. } | Seen::Answered { .. } => {}
            }
        }
    }

    /// A bank votes once for an id, and never takes it back.
    fn votes_once(&mut self, at: usize, record: &Record) {
        let (tx, vote) = match record {
            Record::Voted { tx, transaction, refusal, .. } => {
                let verdict = if refusal.is_none() { Vote::Ok } else { Vote::No };
                (tx, (verdict, Some(*transaction.digest())))
            }
            Record::Refused { tx, .. } => (tx, (Vote::No, None)),
            Record::Executed { tx, transaction, .. } => (tx, (Vote::Ok, Some(*transaction.digest()))),
            _ => return,
        };
        let before = self.votes.insert((at, tx.clone()), vote);
        assert_eq!(before, None, "bank {at} votes on {tx} again: {vote:?}");
    }

    fn recorded(&mut self, at: usize, record: &Record) {
        self.votes_once(at, record);
        match record {
            Record::Voted { tx, transaction, refusal: None, .. } => {
                self.met.count("OK");
                self.truth(tx, *transaction.digest()).ok.insert(at);
            }
            Record::Voted { refusal: Some((reason, _)), .. } => self.met.count(reason.as_str()),
            Record::Refused { .. } => self.met.count("tombstone"),
            Record::Decided { tx, own, outcome, .. } => {
                let digest = own.digest.unwrap();
                match outcome {
                    Outcome::Committed(time) => self.commits(at, tx, digest, *time, "committed"),
                    Outcome::Aborted(..) => {
                        self.met.count("aborted after OK");
                        let truth = self.truth(tx, digest);
                        truth.aborted.insert(at);
                        assert!(truth.committed.is_empty(), "{tx} aborts at {at}, committed elsewhere");
                    }
                }
            }
            Record::Executed { tx, transaction, committed, .. } => {
                self.truth(tx, *transaction.digest()).ok.insert(at);
                self.commits(at, tx, *transaction.digest(), *committed, "executed");
            }
            Record::Consortium { .. }
            | Record::ClientAdded { .. }
            | Record::AccountOpened { .. }
            | Record::ClockMoved { .. }
            | Record::Stopped { .. } => {}
        }
    }

    /// The one rule: committed exactly when every named bank holds a durable OK on these bytes.
    fn commits(&mut self, at: usize, tx: &TxId, digest: Digest, time: Time, how: &'static str) {
        self.met.count(how);
        let cut = self.cut_up_to[at];
        assert!(time.0 > cut, "{tx} commits at {at} with time {time}, but the cut at {cut} was told");
        let bytes = self.transactions[tx].iter().find(|known| *known.digest() == digest);
        for named in bytes.unwrap_or_else(|| panic!("{tx} of nobody's bytes")).banks().iter() {
            if named.index() == at {
                // Its own vote may still be under the same sync; what a crash takes is told afterwards.
                let voted =
                    self.truths.get(&(tx.clone(), digest)).is_some_and(|truth| truth.ok.contains(&at));
                assert!(voted, "{tx} commits at {at}, which holds no OK on it");
                continue;
            }
            let node = &self.world.nodes[named.index()];
            let holds = node.journal[..node.synced].iter().any(|record| match record {
                Record::Voted { tx: voted, transaction, refusal: None, .. }
                | Record::Executed { tx: voted, transaction, .. } => {
                    voted == tx && *transaction.digest() == digest
                }
                _ => false,
            });
            assert!(holds, "{tx} commits at {at}, but bank {named} holds no durable OK on these bytes");
        }
        let truth = self.truth(tx, digest);
        truth.committed.insert(at);
        assert!(truth.aborted.is_empty(), "{tx} commits at {at}, aborted elsewhere");
    }

    fn truth(&mut self, tx: &TxId, digest: Digest) -> &mut Truth {
        self.truths.entry((tx.clone(), digest)).or_default()
    }

    fn replied(&mut self, at: usize, session: u64, slot: u64, reply: Reply) {
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

    /// At each bank balances are what came in less what went out; over all banks transfers cancel.
    fn cut_told(&mut self, at: usize, json: &str) {
        let cut: serde_json::Value = serde_json::from_str(json).unwrap();
        let figure = |name: &str| i128::from(cut[name].as_i64().unwrap());
        let [balance, cash_in, cash_out, transfers_in, transfers_out] =
            ["balance_total", "cash_in_total", "cash_out_total", "transfers_in_total", "transfers_out_total"]
                .map(figure);
        assert_eq!(balance, cash_in - cash_out + transfers_in - transfers_out, "a cut of bank {at}");
        let figures = [balance, cash_in, cash_out, transfers_in, transfers_out];
        let time = cut["time"].as_i64().unwrap();
        self.cut_up_to[at] = self.cut_up_to[at].max(time);
        let cuts = self.cuts.entry(time).or_default();
        if let Some(before) = cuts.insert(at, figures) {
            assert_eq!(before, figures, "bank {at} tells the cut at {time} twice, differently");
        }
        if cuts.len() == BANKS {
            let cancel: i128 = cuts.values().map(|figures| figures[3] - figures[4]).sum();
            assert_eq!(cancel, 0, "transfers cancel in the cut at {time}");
            self.met.count("whole cut");
        }
    }

    /// All banks up, all links open, all messages delivered: everything must be decided.
    fn heal(&mut self) {
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

    fn verify(&mut self) {
        for at in 0..BANKS {
            let undecided = self.world.core(at).undecided();
            assert_eq!(undecided, 0, "bank {at} is undecided though all are up");
        }
        self.world.audit();
        for node in &self.world.nodes {
            if let Some(disk) = &node.disk {
                *self.met.0.entry("torn tail cut").or_default() += disk.torn;
                *self.met.0.entry("start from a snapshot").or_default() += disk.snapshots;
            }
        }
        while let Some(driver) = self.drivers.pop() {
            self.remember_verdict(driver);
        }
        // What a driver or a caller was told is what is so.
        for (tx, reply) in std::mem::take(&mut self.told) {
            let committed = |digest: Option<Digest>| {
                digest.is_some_and(|digest| {
                    let truth = self.truths.get(&(tx.clone(), digest));
                    truth.is_some_and(|truth| !truth.committed.is_empty())
                })
            };
            match reply {
                Reply::Committed(_, _, token) => assert!(committed(token.digest), "{tx} was told committed"),
                Reply::Aborted(_, token, reason) if reason != consorcio::wire::Reason::DuplicateId => {
                    assert!(!committed(token.digest), "{tx} was told aborted: {token} {reason}");
                }
                _ => {}
            }
        }
        // Committed at one bank is committed at every bank that it names.
        for ((tx, digest), truth) in &self.truths {
            if !truth.committed.is_empty() {
                let bytes = self.transactions[tx].iter().find(|known| known.digest() == digest).unwrap();
                let named: BTreeSet<usize> = bytes.banks().iter().map(BankId::index).collect();
                assert_eq!(truth.committed, named, "{tx} is committed everywhere or nowhere");
            }
        }
        self.conserved();
    }

    /// The money of the consortium changes by deposits and withdrawals alone, and registers are equal.
    fn conserved(&mut self) {
        let mut expected: i128 = i128::from(OPENING) * i128::try_from(BANKS * ACCOUNTS).unwrap();
        for ((tx, digest), truth) in &self.truths {
            if truth.committed.is_empty() {
                continue;
            }
            let bytes = self.transactions[tx].iter().find(|known| known.digest() == digest).unwrap();
            for op in bytes.ops() {
                match &op.action {
                    Action::Money { flow: Flow::Deposit, amount, .. } => expected += amount.wide(),
                    Action::Money { flow: Flow::Withdraw, amount, .. } => expected -= amount.wide(),
                    Action::Money { .. } | Action::Set { .. } => {}
                }
            }
        }
        for at in 0..BANKS {
            self.world.line(at, 3, "INFO");
            self.world.line(at, 3, "VALUE");
        }
        let (mut total, mut values) = (0, BTreeSet::new());
        for seen in std::mem::take(&mut self.world.seen) {
            if let Seen::Reply { reply: Reply::Done(json), .. } = seen {
                let said: serde_json::Value = serde_json::from_str(&json).unwrap();
                match said["balance_total"].as_i64() {
                    Some(balance) => {
                        total += i128::from(balance);
                        assert_eq!(
                            (said["held_total"].as_i64(), said["incoming_total"].as_i64()),
                            (Some(0), Some(0))
                        );
                    }
                    None => {
                        values.insert(said["value"].as_str().unwrap().to_owned());
                    }
                }
            }
        }
        assert_eq!(total, expected, "no centavo is lost or made");
        assert_eq!(values.len(), 1, "a register has one value everywhere: {values:?}");
    }
}
