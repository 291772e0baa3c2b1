//! One state of a small consortium: the shipped core of each bank, its journal, drivers, and connections on which
//! lines are under way; and all that can happen next. What must hold is in `rules`.
//!
//! A connection is two lanes that keep their order. Clocks stand still, so that states coincide; a bank's timers fire
//! at any moment. No copy of the protocol is here: only what is around it.

mod happen;

use consorcio::bank::io::{Caller, Input, Now, Origin, Outgoing, Sending, SessionId};
use consorcio::bank::record::Record;
use consorcio::bank::{Core, Identity};
use consorcio::commit::coordinator::{Coordinator, Strategy, Verdict};
use consorcio::commit::token::{Seal, Token};
use consorcio::ids::{BankId, TxId};
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::transaction::Transaction;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

/// The liar's session, at every bank.
pub const LIAR: u64 = 1;

/// How a transaction is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a client, to all banks at once.
    Client,
    /// By a client that begins at any later moment.
    LateClient,
    /// By this bank, for a caller.
    Execute(usize),
}

/// How often what may go wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// A bank's process dies.
    pub crashes: u8,
    /// A connection breaks, with or without what is under way on it.
    pub cuts: u8,
    /// A driver leaves, with or without what it has sent.
    pub gone: u8,
    /// A line comes twice.
    pub repeats: u8,
    /// The liar says something.
    pub lies: u8,
    /// A bank's timers fire. Healing has as many more as it needs.
    pub ticks: u8,
    /// A driving client's time-out is over. Here too.
    pub time_outs: u8,
}

/// A configuration.
pub struct Setup {
    pub banks: usize,
    pub keyed: bool,
    /// What is opened at each bank, by number and money.
    pub accounts: Vec<Vec<(&'static str, i64)>>,
    /// Each transaction: its bytes, others under the same id that the liar may use, and how it is driven.
    pub transactions: Vec<(&'static str, &'static str, Way)>,
    pub budget: Budget,
    /// Memory forgets outcomes as soon as they are durable.
    pub forgetful: bool,
    /// How far a tick moves a bank's monotonic clock.
    pub tick_us: u64,
    /// Each bank's wall clock.
    pub wall_us: Vec<i64>,
}

/// Something that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The next line of a connection reaches its bank.
    Line { from: Who, to: usize, session: u64 },
    /// ... and stays on its way as well.
    Repeat { from: Who, to: usize, session: u64 },
    /// The next reply of a connection reaches who asked.
    Reply { to: Who, from: usize, session: u64 },
    /// A bank's journal is synced.
    Sync(usize),
    /// A bank's timers fire.
    Tick(usize),
    /// A driver begins.
    Begin(usize),
    /// A driver's time-out.
    TimeOut(usize),
    /// A bank's process dies, with all that was not synced.
    Crash(usize),
    /// ... and starts on its journal.
    Restart(usize),
    /// Two banks dial each other.
    Connect(usize, usize),
    /// A connection breaks; with `lost`, what is under way is lost.
    Cut { session: u64, lost: bool },
    /// A driver leaves.
    Gone { driver: usize, lost: bool },
    /// The liar says this about this transaction to this bank.
    Lie { to: usize, tx: usize, what: Lie },
}

/// What the liar says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    Prepare,
    PrepareOther,
    ExecuteOther,
    Commit,
    CommitWithAllSeen,
    Abort,
    AbortWith(usize),
    Resolve,
}

/// Who dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Bank(usize),
    Driver(usize),
}

/// A bank: its core while it runs, and its disk.
#[derive(Clone)]
pub struct Node {
    pub core: Option<Core>,
    pub journal: Vec<Arc<Record>>,
    pub synced: usize,
    pub mono_us: u64,
    replies: Vec<Outgoing>,
    sends: Vec<Sending>,
    print: OnceCell<u128>,
}

#[derive(Debug, Clone)]
struct Conn {
    session: u64,
    who: Who,
    to: usize,
    lines: VecDeque<(u64, Request)>,
    /// No more lines follow; once they are all there, the bank notices.
    lines_end: bool,
    lines_done: bool,
    replies: VecDeque<(u64, Reply)>,
    replies_end: bool,
    replies_done: bool,
    /// Asked and not answered.
    owed: Vec<u64>,
}

/// A driver: a client with its coordinator, or the caller of an EXECUTE.
#[derive(Debug, Clone)]
pub struct Driver {
    /// `None` for the caller of an EXECUTE.
    coordinator: Option<Coordinator>,
    begun: bool,
    armed: bool,
    pub verdict: Option<Verdict>,
    pub told: Option<Reply>,
    /// Left, or done.
    pub gone: bool,
}

/// A state.
#[derive(Clone)]
pub struct Town {
    pub setup: Rc<Setup>,
    pub base: Rc<Base>,
    pub nodes: Vec<Rc<Node>>,
    pub drivers: Vec<Rc<Driver>>,
    conns: Vec<Rc<Conn>>,
    budget: Budget,
    /// Tokens that some driver was told, while they can serve a lie.
    tokens: Vec<(TxId, Token)>,
    /// What happened that a check must have met.
    pub met: Vec<&'static str>,
}

/// What all states share.
pub struct Base {
    pub cores: Vec<Core>,
    pub txs: Vec<TxId>,
    pub bytes: Vec<[Arc<Transaction>; 2]>,
}

pub fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn print_of(text: &str) -> u128 {
    u128::from_le_bytes(*blake3::hash(text.as_bytes()).as_bytes().first_chunk().unwrap())
}

impl Base {
    fn new(setup: &Setup) -> Base {
        let core = |at: usize| {
            let places: Vec<String> = (0..setup.banks).map(|place| format!("bank:{place}")).collect();
            let seal = if setup.keyed { Seal::keyed([7; 32]) } else { Seal::none() };
            let mut core = Core::new(Identity { bank: bank(at), places: places.clone(), seal });
            core.apply(&Record::Consortium { bank: bank(at), places });
            for (n, (number, money)) in setup.accounts[at].iter().enumerate() {
                let client = format!(r#"CLIENT {{"cpf":"{n:011}","name":"P","kind":"F"}}"#);
                let account =
                    format!(r#"ACCOUNT {{"number":"{number}","holders":["{n:011}"],"deposit":{money}}}"#);
                for line in [client, account] {
                    let caller = Caller { session: SessionId(0), slot: 0 };
                    let request = Request::parse(&line).unwrap();
                    let input =
                        Input::Request { caller, origin: Origin::Client, request, waited_us: 0, past: None };
                    let before = core.seq();
                    core.step(Now { wall_us: 10, mono_us: 0 }, &input);
                    assert!(core.seq() > before, "{line}");
                }
            }
            core
        };
        let parse = |text: &str| Arc::new(Transaction::parse(text).unwrap());
        Base {
            cores: (0..setup.banks).map(core).collect(),
            txs: (0..setup.transactions.len()).map(|n| TxId::new(&format!("t{n}")).unwrap()).collect(),
            bytes: setup.transactions.iter().map(|(text, other, _)| [parse(text), parse(other)]).collect(),
        }
    }
}

impl Town {
    /// All banks up, all links open, every driver about to send.
    pub fn new(setup: Rc<Setup>) -> Town {
        let base = Rc::new(Base::new(&setup));
        let node = |_| Node {
            core: None,
            journal: Vec::new(),
            synced: 0,
            mono_us: 0,
            replies: Vec::new(),
            sends: Vec::new(),
            print: OnceCell::new(),
        };
        let driver = |n: usize| {
            let (_, _, way) = setup.transactions[n];
            let coordinator =
                Coordinator::new(base.txs[n].clone(), Arc::clone(&base.bytes[n][0]), Strategy::Parallel);
            let coordinator = (!matches!(way, Way::Execute(_))).then_some(coordinator);
            Driver { coordinator, begun: false, armed: false, verdict: None, told: None, gone: false }
        };
        let mut town = Town {
            nodes: (0..setup.banks).map(|n| Rc::new(node(n))).collect(),
            drivers: (0..setup.transactions.len()).map(|n| Rc::new(driver(n))).collect(),
            conns: Vec::new(),
            budget: setup.budget,
            tokens: Vec::new(),
            met: Vec::new(),
            base,
            setup,
        };
        (0..town.setup.banks).for_each(|at| town.restart(at));
        for a in 0..town.setup.banks {
            (a + 1..town.setup.banks).for_each(|b| town.connect(a, b));
        }
        for at in 0..town.drivers.len() {
            if town.setup.transactions[at].2 != Way::LateClient {
                town.begin(at);
            }
        }
        town.met.clear();
        town
    }

    /// All that can happen.
    pub fn acts(&self) -> Vec<Act> {
        let mut acts = self.good_acts();
        for (at, driver) in self.drivers.iter().enumerate() {
            if !driver.begun && !driver.gone {
                acts.push(Act::Begin(at));
            }
            if driver.armed && !driver.gone && self.budget.time_outs > 0 {
                acts.push(Act::TimeOut(at));
            }
            if driver.begun && !driver.gone && self.budget.gone > 0 {
                acts.extend([false, true].map(|lost| Act::Gone { driver: at, lost }));
            }
        }
        for (at, node) in self.nodes.iter().enumerate() {
            if node.core.is_some() && self.budget.ticks > 0 {
                acts.push(Act::Tick(at));
            }
            if node.core.is_some() && self.budget.crashes > 0 {
                acts.push(Act::Crash(at));
            }
        }
        for conn in &self.conns {
            let session = conn.session;
            if self.budget.cuts > 0 && !conn.lines_end && !conn.replies_end {
                acts.push(Act::Cut { session, lost: false });
                if !conn.lines.is_empty() || !conn.replies.is_empty() {
                    acts.push(Act::Cut { session, lost: true });
                }
            }
            if self.budget.repeats > 0 && !conn.lines.is_empty() {
                acts.push(Act::Repeat { from: conn.who, to: conn.to, session });
            }
        }
        if self.budget.lies > 0 {
            for to in (0..self.nodes.len()).filter(|at| self.nodes[*at].core.is_some()) {
                for tx in 0..self.base.txs.len() {
                    let plain = [
                        Lie::Prepare,
                        Lie::PrepareOther,
                        Lie::ExecuteOther,
                        Lie::Commit,
                        Lie::CommitWithAllSeen,
                        Lie::Abort,
                        Lie::Resolve,
                    ];
                    let with = (0..self.tokens.len()).map(Lie::AbortWith);
                    acts.extend(plain.into_iter().chain(with).map(|what| Act::Lie { to, tx, what }));
                }
            }
        }
        acts
    }

    /// What happens without a fault: lines arrive, journals are synced, banks come back.
    fn good_acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        for at in (0..self.nodes.len()).filter(|at| self.nodes[*at].core.is_none()) {
            acts.push(Act::Restart(at));
        }
        for a in 0..self.nodes.len() {
            acts.extend(
                (a + 1..self.nodes.len()).filter(|b| self.can_connect(a, *b)).map(|b| Act::Connect(a, b)),
            );
        }
        for conn in &self.conns {
            let session = conn.session;
            if !conn.lines.is_empty() {
                acts.push(Act::Line { from: conn.who, to: conn.to, session });
            }
            if !conn.replies.is_empty() {
                acts.push(Act::Reply { to: conn.who, from: conn.to, session });
            }
        }
        for (at, node) in self.nodes.iter().enumerate() {
            if node.core.is_some() && node.synced < node.journal.len() {
                acts.push(Act::Sync(at));
            }
        }
        acts
    }

    /// One step of healing; false once all is quiet and decided.
    pub fn heal(&mut self) -> bool {
        if let Some(act) = self.good_acts().first() {
            self.act(*act);
            return true;
        }
        let waits = |driver: &Rc<Driver>| driver.begun && !driver.gone;
        if self.nodes.iter().all(|node| node.core.as_ref().unwrap().undecided() == 0)
            && !self.drivers.iter().any(waits)
        {
            return false;
        }
        (0..self.nodes.len()).for_each(|at| self.tick(at));
        for at in 0..self.drivers.len() {
            if self.drivers[at].armed && !self.drivers[at].gone {
                self.time_out(at);
            }
        }
        true
    }

    /// What this state is, budgets included.
    pub fn print(&self) -> u128 {
        print_of(&format!("{:032x} {:?} {:?}", self.print_of_things(), self.budget, self.tokens))
    }

    /// What this state is, but for what may still go wrong.
    pub fn print_of_things(&self) -> u128 {
        let mut text = String::with_capacity(4_096);
        for node in &self.nodes {
            write!(text, "{:032x} ", node.print.get_or_init(|| node.print_anew())).unwrap();
        }
        write!(text, "{:?} {:?}", self.drivers, self.conns).unwrap();
        print_of(&text)
    }

    /// The banks' journals, for people.
    pub fn story(&self) -> String {
        let mut text = String::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let up = if node.core.is_some() { "up" } else { "down" };
            writeln!(text, "bank {at}, {up}, {} of {} records synced", node.synced, node.journal.len())
                .unwrap();
            for record in &node.journal {
                writeln!(text, "  {record:?}").unwrap();
            }
        }
        write!(text, "{:#?}", self.drivers).unwrap();
        text
    }
}

impl Node {
    fn print_anew(&self) -> u128 {
        let desk = self.core.as_ref().map(|core| core.fingerprint_text(self.mono_us));
        print_of(&format!("{desk:?} {:?} {} {:?} {:?}", self.journal, self.synced, self.replies, self.sends))
    }
}
