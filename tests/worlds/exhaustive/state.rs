//! One state of a small consortium: the shipped core of each bank, its journal, drivers, and
//! connections with lines in flight. `acts` lists the possible actions, `happen` and its neighbours
//! perform them, and `rules` has the invariants.
//!
//! A connection consists of two lanes that keep their order. Clocks stand still, so that states
//! coincide; a bank's timers fire at any moment. This is no copy of the protocol, only the
//! environment of the cores.

mod acts;
mod describe;
mod drivers;
mod faults;
mod happen;
mod links;
mod outside;

pub use acts::{Heal, Lie, ModelAction};

use crate::exhaustive::plant::Planted;
use crate::exhaustive::rules::{Cuts, Lost};
use consorcio_core::access::Principal;
use consorcio_core::bank::io::{Caller, Input, Now, Origin, Outgoing, Sending, SessionId};
use consorcio_core::bank::record::Record;
use consorcio_core::bank::{Core, Identity};
use consorcio_core::commit::coordinator::{Coordinator, Strategy, Verdict};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::{Seal, Token};
use consorcio_core::wire::transaction::Transaction;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

/// The session of the malicious client, at every bank.
pub const MALICIOUS: u64 = 1;
/// The session that requests cuts, at every bank.
pub const CUTTER: u64 = 2;

/// The driver of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionDriver {
    /// A client, of all banks at once.
    Client,
    /// A client that starts at any later moment.
    LateClient,
    /// This bank, for a caller.
    Execute(usize),
    /// An outside coordinator of this bank, which starts at any later moment.
    Outside(usize),
}

/// How often each fault may occur.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// A bank's process crashes.
    pub crashes: u8,
    /// A connection breaks, with or without losing its lines in flight.
    pub cuts: u8,
    /// A driver vanishes, with or without losing its lines in flight.
    pub gone: u8,
    /// A line arrives twice.
    pub repeats: u8,
    /// The malicious client sends a request.
    pub lies: u8,
    /// A bank's timers fire. Healing uses as many more as it needs.
    pub ticks: u8,
    /// A driving client times out. Healing uses as many more as it needs.
    pub time_outs: u8,
    /// A bank is asked for a cut.
    pub snapshots: u8,
    /// A bank starts on an old copy of its journal.
    pub restores: u8,
    /// An outside coordinator sends COMMIT or ABORT.
    pub votes: u8,
}

#[derive(Debug, Clone)]
pub struct Setup {
    pub banks: usize,
    /// The accounts of each bank, by number and money.
    pub accounts: Vec<Vec<(&'static str, i64)>>,
    /// Each transaction: its bytes, other bytes that the malicious client uses under the same id,
    /// and its driver.
    pub transactions: Vec<(&'static str, &'static str, TransactionDriver)>,
    pub budget: Budget,
    /// Outcomes leave memory as soon as they are durable.
    pub forgetful: bool,
    /// How far a tick advances a bank's monotonic clock.
    pub tick_us: u64,
    pub wall_us: Vec<i64>,
    /// The time of the requested cuts.
    pub cut_time: i64,
    /// States that need more actions are not expanded.
    pub acts_max: Option<usize>,
    /// A mistake around the cores, to show that it is found.
    pub planted: Option<Planted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialler {
    Bank(usize),
    Driver(usize),
}

/// A bank: its core while it runs, and its disk.
#[derive(Clone)]
pub struct ModelNode {
    pub core: Option<Core>,
    pub journal: Vec<Arc<Record>>,
    pub synced: usize,
    pub mono_us: u64,
    /// It stopped itself, and stays down.
    pub stopped: bool,
    /// The OK votes of this run of the process, with their times by the monotonic clock.
    pub voted_us: Vec<(TxId, u64)>,
    /// The length of its journal at its start: a vote that it receives and that is not in this part
    /// must be a vote since then.
    pub started_with: usize,
    replies: Vec<Outgoing>,
    sends: Vec<Sending>,
    print: OnceCell<u128>,
}

#[derive(Debug, Clone)]
struct Conn {
    session: u64,
    dialler: Dialler,
    to: usize,
    lines: VecDeque<(u64, Request)>,
    /// No more lines follow; once all have arrived, the bank notices.
    lines_end: bool,
    lines_done: bool,
    replies: VecDeque<(u64, Reply)>,
    replies_end: bool,
    replies_done: bool,
    /// Requests without a reply yet.
    owed: Vec<u64>,
}

/// A driver: a client with its coordinator, the caller of an EXECUTE, or an outside coordinator.
#[derive(Debug, Clone)]
pub struct ModelDriver {
    /// `None` for all but a client.
    coordinator: Option<Coordinator>,
    begun: bool,
    armed: bool,
    pub verdict: Option<Verdict>,
    pub reply: Option<Reply>,
    pub gone: bool,
}

#[derive(Clone)]
pub struct ModelState {
    pub setup: Rc<Setup>,
    pub base: Rc<Base>,
    pub nodes: Vec<Rc<ModelNode>>,
    pub drivers: Vec<Rc<ModelDriver>>,
    conns: Vec<Rc<Conn>>,
    budget: Budget,
    /// Tokens that some driver received, while the malicious client can use them.
    tokens: Vec<(TxId, Token)>,
    /// The cuts that were served.
    pub cuts: Cuts,
    /// The bank that runs on an old copy of its journal, and the records that the copy lacks.
    pub lost: Option<Rc<Lost>>,
    /// The events that a check must reach.
    pub reached: Vec<&'static str>,
}

/// The parts that all states share.
pub struct Base {
    pub identities: Vec<Identity>,
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
        let places: Vec<String> = (0..setup.banks).map(|place| format!("bank:{place}")).collect();
        let identity = |at: usize| {
            let seal = Seal::keyed([7; 32]);
            Identity { bank: bank(at), places: places.clone(), seal }
        };
        let core = |at: usize| {
            let mut core = Core::new(identity(at));
            core.apply(&Record::Consortium { bank: bank(at), places: places.clone() });
            for (n, (number, money)) in setup.accounts[at].iter().enumerate() {
                let client = format!(r#"CLIENT {{"cpf":"{n:011}","name":"P","kind":"F"}}"#);
                let account = format!(
                    r#"ACCOUNT {{"number":"{number}","holders":["{n:011}"],"deposit":{money}}}"#
                );
                for line in [client, account] {
                    let caller = Caller { session: SessionId(0), slot: 0 };
                    let request = Request::parse(&line).unwrap();
                    let input = Input::Request {
                        caller,
                        origin: Origin::Client,
                        asker: Principal::Operator,
                        request,
                        waited_us: 0,
                        past: None,
                    };
                    let before = core.seq();
                    core.step(Now { wall_us: 10, shown_us: 10, mono_us: 0 }, &input);
                    assert!(core.seq() > before, "{line}");
                }
            }
            core
        };
        let parse = |text: &str| Arc::new(Transaction::parse(text).unwrap());
        Base {
            identities: (0..setup.banks).map(identity).collect(),
            cores: (0..setup.banks).map(core).collect(),
            txs: (0..setup.transactions.len())
                .map(|n| TxId::new(&format!("t{n}")).unwrap())
                .collect(),
            bytes: setup
                .transactions
                .iter()
                .map(|(text, other, driven_by)| {
                    [outside::bytes_of(parse(text), *driven_by), parse(other)]
                })
                .collect(),
        }
    }
}

impl ModelState {
    /// All banks are up, all links open, and every driver is about to send.
    pub fn new(setup: Rc<Setup>) -> ModelState {
        let base = Rc::new(Base::new(&setup));
        let node = |_| ModelNode {
            core: None,
            journal: Vec::new(),
            synced: 0,
            mono_us: 0,
            stopped: false,
            voted_us: Vec::new(),
            started_with: 0,
            replies: Vec::new(),
            sends: Vec::new(),
            print: OnceCell::new(),
        };
        let driver = |n: usize| {
            let (_, _, driven_by) = setup.transactions[n];
            let coordinator = Coordinator::new(
                base.txs[n].clone(),
                Arc::clone(&base.bytes[n][0]),
                Strategy::Parallel,
            );
            let coordinator =
                matches!(driven_by, TransactionDriver::Client | TransactionDriver::LateClient)
                    .then_some(coordinator);
            ModelDriver {
                coordinator,
                begun: false,
                armed: false,
                verdict: None,
                reply: None,
                gone: false,
            }
        };
        let mut state = ModelState {
            nodes: (0..setup.banks).map(|n| Rc::new(node(n))).collect(),
            drivers: (0..setup.transactions.len()).map(|n| Rc::new(driver(n))).collect(),
            conns: Vec::new(),
            budget: setup.budget,
            tokens: Vec::new(),
            cuts: Cuts::default(),
            lost: None,
            reached: Vec::new(),
            base,
            setup,
        };
        (0..state.setup.banks).for_each(|at| state.restart(at));
        for a in 0..state.setup.banks {
            (a + 1..state.setup.banks).for_each(|b| state.connect(a, b));
        }
        for at in 0..state.drivers.len() {
            if !matches!(
                state.setup.transactions[at].2,
                TransactionDriver::LateClient | TransactionDriver::Outside(_)
            ) {
                state.begin(at);
            }
        }
        state.reached.clear();
        state
    }

    /// A hash of the state, budgets included.
    pub fn print(&self) -> u128 {
        print_of(&format!(
            "{:032x} {:?} {:?}",
            self.print_without_budget(),
            self.budget,
            self.tokens
        ))
    }

    /// A hash of the state without the remaining budgets.
    pub fn print_without_budget(&self) -> u128 {
        let mut text = String::with_capacity(4_096);
        for node in &self.nodes {
            write!(text, "{:032x} ", node.print.get_or_init(|| node.compute_print())).unwrap();
        }
        write!(text, "{:?} {:?} {:?} {:?}", self.drivers, self.conns, self.cuts, self.lost)
            .unwrap();
        if let Some(lost) = &self.lost {
            // Only a bank that lost a vote can receive one that it does not hold.
            write!(text, " {}", self.nodes[lost.at].started_with).unwrap();
        }
        print_of(&text)
    }
}

impl ModelNode {
    fn compute_print(&self) -> u128 {
        let core = self.core.as_ref().map(|core| core.fingerprint_text(self.mono_us));
        let ModelNode { journal, synced, stopped, .. } = self;
        // A message depends only on the record that it waits for, not on the reason.
        let replies: Vec<_> =
            self.replies.iter().map(|one| (one.to, &one.reply, one.after.seq())).collect();
        let sends: Vec<_> =
            self.sends.iter().map(|one| (one.peer, &one.message, one.after.seq())).collect();
        print_of(&format!("{core:?} {journal:?} {synced} {stopped} {replies:?} {sends:?}"))
    }
}
