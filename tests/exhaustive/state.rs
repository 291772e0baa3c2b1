//! One state of a small consortium: the shipped core of each bank, its journal, drivers, and
//! connections on which lines are under way. What can happen next is in `acts`, how it happens in
//! `happen` and its neighbours, and what must hold in `rules`.
//!
//! A connection is two lanes that keep their order. Clocks stand still, so that states coincide; a
//! bank's timers fire at any moment. No copy of the protocol is here: only what is around it.

mod acts;
mod drivers;
mod faults;
mod happen;
mod links;
mod outside;
mod tell;

pub use acts::{Act, Heal, Lie};

use crate::exhaustive::plant::Planted;
use crate::exhaustive::rules::{Cuts, Lost};
use consorcio::bank::io::{Caller, Input, Now, Origin, Outgoing, Sending, SessionId};
use consorcio::bank::record::Record;
use consorcio::bank::{Core, Identity};
use consorcio::commit::coordinator::{Coordinator, Strategy, Verdict};
use consorcio::ids::{BankId, TxId};
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::token::{Seal, Token};
use consorcio::wire::transaction::Transaction;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

/// The liar's session, at every bank.
pub const LIAR: u64 = 1;
/// The session of who asks for cuts, at every bank.
pub const CUTTER: u64 = 2;

/// How a transaction is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a client, to all banks at once.
    Client,
    /// By a client that begins at any later moment.
    LateClient,
    /// By this bank, for a caller.
    Execute(usize),
    /// By an outside coordinator of this bank, which begins at any later moment.
    Outside(usize),
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
    /// A bank is asked for a cut.
    pub snapshots: u8,
    /// A bank is started on an old copy of its journal.
    pub restores: u8,
    /// An outside coordinator says COMMIT or ABORT.
    pub votes: u8,
}

#[derive(Debug, Clone)]
pub struct Setup {
    pub banks: usize,
    /// What is opened at each bank, by number and money.
    pub accounts: Vec<Vec<(&'static str, i64)>>,
    /// Each transaction: its bytes, others under the same id that the liar may use, and how it is
    /// driven.
    pub transactions: Vec<(&'static str, &'static str, Way)>,
    pub budget: Budget,
    /// Memory forgets outcomes as soon as they are durable.
    pub forgetful: bool,
    /// How far a tick moves a bank's monotonic clock.
    pub tick_us: u64,
    /// Each bank's wall clock.
    pub wall_us: Vec<i64>,
    /// The time of the cuts that are asked for.
    pub cut_time: i64,
    /// States that take more events are left out.
    pub acts_max: Option<usize>,
    /// A mistake around the cores, to show that it is found.
    pub planted: Option<Planted>,
}

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
    /// It stopped itself, and stays down.
    pub stopped: bool,
    /// When this run of its process voted OK on what, by the monotonic clock.
    pub voted_us: Vec<(TxId, u64)>,
    /// How long its journal was at its start: a vote that is told to it and is not in there, it
    /// must have given since.
    pub started_with: usize,
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

/// A driver: a client with its coordinator, the caller of an EXECUTE, or an outside coordinator.
#[derive(Debug, Clone)]
pub struct Driver {
    /// `None` for all but a client.
    coordinator: Option<Coordinator>,
    begun: bool,
    armed: bool,
    pub verdict: Option<Verdict>,
    pub told: Option<Reply>,
    pub gone: bool,
}

#[derive(Clone)]
pub struct ModelState {
    pub setup: Rc<Setup>,
    pub base: Rc<Base>,
    pub nodes: Vec<Rc<Node>>,
    pub drivers: Vec<Rc<Driver>>,
    conns: Vec<Rc<Conn>>,
    budget: Budget,
    /// Tokens that some driver was told, while they can serve a lie.
    tokens: Vec<(TxId, Token)>,
    /// The cuts that were told.
    pub cuts: Cuts,
    /// The bank that works on an old copy of its journal, and what that copy lacks.
    pub lost: Option<Rc<Lost>>,
    /// What happened that a check must have met.
    pub met: Vec<&'static str>,
}

/// What all states share.
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
                .map(|(text, other, way)| [outside::bytes_of(parse(text), *way), parse(other)])
                .collect(),
        }
    }
}

impl ModelState {
    /// All banks up, all links open, every driver about to send.
    pub fn new(setup: Rc<Setup>) -> ModelState {
        let base = Rc::new(Base::new(&setup));
        let node = |_| Node {
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
            let (_, _, way) = setup.transactions[n];
            let coordinator = Coordinator::new(
                base.txs[n].clone(),
                Arc::clone(&base.bytes[n][0]),
                Strategy::Parallel,
            );
            let coordinator = matches!(way, Way::Client | Way::LateClient).then_some(coordinator);
            Driver {
                coordinator,
                begun: false,
                armed: false,
                verdict: None,
                told: None,
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
            met: Vec::new(),
            base,
            setup,
        };
        (0..state.setup.banks).for_each(|at| state.restart(at));
        for a in 0..state.setup.banks {
            (a + 1..state.setup.banks).for_each(|b| state.connect(a, b));
        }
        for at in 0..state.drivers.len() {
            if !matches!(state.setup.transactions[at].2, Way::LateClient | Way::Outside(_)) {
                state.begin(at);
            }
        }
        state.met.clear();
        state
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
        write!(text, "{:?} {:?} {:?} {:?}", self.drivers, self.conns, self.cuts, self.lost)
            .unwrap();
        if let Some(lost) = &self.lost {
            // Only a bank that lost a vote can be told of one that it does not hold.
            write!(text, " {}", self.nodes[lost.at].started_with).unwrap();
        }
        print_of(&text)
    }
}

impl Node {
    fn print_anew(&self) -> u128 {
        let core = self.core.as_ref().map(|core| core.fingerprint_text(self.mono_us));
        let Node { journal, synced, stopped, .. } = self;
        // When something leaves is a matter of the record alone, not of why it waits for that.
        let replies: Vec<_> =
            self.replies.iter().map(|one| (one.to, &one.reply, one.after.seq())).collect();
        let sends: Vec<_> =
            self.sends.iter().map(|one| (one.peer, &one.message, one.after.seq())).collect();
        print_of(&format!("{core:?} {journal:?} {synced} {stopped} {replies:?} {sends:?}"))
    }
}
