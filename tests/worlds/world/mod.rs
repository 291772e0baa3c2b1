//! A consortium in one process: the shipped core of every bank, with journals, links, sessions and
//! clocks under the control of a test. It contains no copy of the protocol, only the environment of
//! the cores.

#![allow(dead_code, reason = "each test uses its own part of the world")]

pub mod caught;
pub mod clocks;
pub mod disk;
pub mod growth;
pub mod links;
mod meet;
mod mistakes;
pub mod names;
pub mod path;
mod print;
mod proofs;
mod replay;
mod run;
mod seen;
pub mod text;
mod views;

use clocks::{ClockMistake, FollowedClock};
use disk::{DiskSizes, WorldDisk};
use growth::Growth;
use links::{Ends, Flight, Link};
pub use meet::MeetMistake;
pub use mistakes::{Around, Mistake, crashed};
use names::Names;
use path::Path;
pub use proofs::ProofMistake;
pub use seen::Seen;
use views::HeldView;

use consorcio_core::bank::io::{
    After, Caller, CoreStep, Input, MeetingNotice, Now, Origin, Outgoing, Output, Past, Sending,
    Seq, SessionId,
};
use consorcio_core::bank::record::Record;
use consorcio_core::bank::{Core, Identity};
use consorcio_core::commit::message::{Message, RequestKey};
use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::Seal;
use consorcio_core::wire::transaction::Transaction;
use consorcio_core::wire::{Fault, Reason};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Sessions with this number or a greater one are links between banks.
const FIRST_LINK: u64 = 1_000_000;

/// One bank: its core while it runs, and its disk.
#[derive(Clone)]
pub struct Node {
    pub core: Option<Core>,
    /// The length of its list.
    pub places: usize,
    pub journal: Vec<Record>,
    /// Records up to this one survive a crash.
    pub synced: usize,
    /// This bank's wall clock minus the world's.
    pub skew_us: i64,
    /// How much faster than the world's its clocks run, in millionths.
    pub drift_ppm: i64,
    mono_us: u64,
    /// How long its machine was suspended.
    pub suspended_us: u64,
    /// The filtered wall clock, while the bank runs and follows its clock.
    clock: Option<FollowedClock>,
    /// The bank made from its synced records by `apply` alone: a start must restore exactly this.
    shadow: Core,
    replies: Vec<Outgoing>,
    sends: Vec<Sending>,
    /// Peers to notify of a meeting, once the record of it is durable.
    met: Vec<MeetingNotice>,
    /// The journal on a simulated disk. Without one, exactly the synced records survive.
    pub disk: Option<WorldDisk>,
    /// The position of each decided transaction's record.
    past: BTreeMap<TxId, usize>,
    view: HeldView,
}

/// Outcomes that a bank's shadow keeps in memory.
const SHADOW_OUTCOMES: usize = 256;

impl Node {
    /// A bank that is not started.
    fn new(places: usize, bank: usize, disks: Option<DiskSizes>) -> Node {
        Node {
            core: None,
            places,
            journal: Vec::new(),
            synced: 0,
            skew_us: 0,
            drift_ppm: 0,
            mono_us: 0,
            suspended_us: 0,
            clock: None,
            shadow: Core::new(identity_of(places, bank)),
            replies: Vec::new(),
            sends: Vec::new(),
            met: Vec::new(),
            disk: disks.map(WorldDisk::new),
            past: BTreeMap::new(),
            view: HeldView::default(),
        }
    }

    /// Everything in the journal is durable from here on.
    fn made_durable(&mut self) {
        self.synced = self.journal.len();
        let from = usize::try_from(self.shadow.seq()).expect("a short journal");
        self.journal[from..].iter().for_each(|record| self.shadow.apply(record));
        self.shadow.forget_outcomes(self.shadow.seq(), SHADOW_OUTCOMES);
    }

    /// The number of the first record that is not synced.
    fn unsynced_from(&self) -> Seq {
        Seq::try_from(self.synced + 1).expect("a short journal")
    }
}

#[derive(Clone)]
pub struct World {
    pub nodes: Vec<Node>,
    pub flights: VecDeque<Flight>,
    pub wall_us: i64,
    pub mono_us: u64,
    /// Sync after every step.
    pub eager_sync: bool,
    /// A mistake planted around the cores, to show that the checks find it.
    pub mistake: Option<Mistake>,
    pub clock_mistake: Option<ClockMistake>,
    pub growth: Growth,
    pub meet_mistake: Option<MeetMistake>,
    /// The network between banks, with an attacker on it.
    pub path: Path,
    names: Names,
    /// Banks filter their wall clocks as the programs do.
    follows_clocks: bool,
    /// Each outcome leaves memory as soon as its record is durable, so only the journal knows it.
    pub forgetful: bool,
    pub seen: Vec<Seen>,
    pub links: BTreeMap<u64, Link>,
    next_link: u64,
    slots: BTreeMap<u64, u64>,
    /// Crashes so far: the number of a crash determines what it leaves on disk.
    pub crashes: u64,
    /// Starts so far: the number of a start serves as its random bytes.
    starts: u128,
    /// Pairs of banks: nothing gets from the first to the second.
    pub blocked: BTreeSet<(usize, usize)>,
    /// A bank closes a link over which a reply is overdue.
    pub closes_silent: bool,
    /// Inputs of cores so far, and syncs of at least one record.
    pub events: u64,
    /// Each new journal gets a founding id, so that its bank has to be introduced.
    pub introduces: bool,
    /// Founding ids given so far.
    foundings: u64,
    /// By bank with a new journal, the banks that it does not wait for.
    without: BTreeMap<usize, BankSet>,
    /// Report replies on their arrival, too. They contain nothing that was not reported when they
    /// were sent.
    pub reports_answers: bool,
}

impl World {
    /// All banks run and are linked; their ledgers are empty.
    pub fn new(banks: usize) -> World {
        World::with_disks(banks, None)
    }

    /// With `disks`, the journals are the shipped ones.
    pub fn with_disks(banks: usize, disks: Option<DiskSizes>) -> World {
        let mut world = World {
            nodes: (0..banks).map(|bank| Node::new(banks, bank, disks)).collect(),
            flights: VecDeque::new(),
            wall_us: 1_000_000,
            mono_us: 0,
            eager_sync: true,
            mistake: None,
            clock_mistake: None,
            growth: Growth::default(),
            meet_mistake: None,
            path: Path::default(),
            names: Names::default(),
            follows_clocks: false,
            forgetful: false,
            seen: Vec::new(),
            links: BTreeMap::new(),
            next_link: FIRST_LINK,
            slots: BTreeMap::new(),
            crashes: 0,
            starts: 0,
            blocked: BTreeSet::new(),
            closes_silent: false,
            events: 0,
            introduces: false,
            foundings: 0,
            without: BTreeMap::new(),
            reports_answers: true,
        };
        (0..banks).for_each(|bank| world.restart(bank));
        world.connect_all();
        world.seen.clear();
        world
    }

    pub fn identity(&self, bank: usize) -> Identity {
        identity_of(self.nodes[bank].places, bank)
    }

    pub fn is_up(&self, bank: usize) -> bool {
        self.nodes[bank].core.is_some()
    }

    pub fn core(&self, bank: usize) -> &Core {
        self.nodes[bank].core.as_ref().expect("this bank runs")
    }

    /// The time that the bank read last.
    pub fn now(&self, bank: usize) -> Now {
        let shown_us = self.machine(bank).wall_us;
        let node = &self.nodes[bank];
        let wall_us = node.clock.as_ref().map_or(shown_us, |clock| clock.now_us);
        Now { wall_us, shown_us, mono_us: node.mono_us }
    }

    /// Time passes at all banks, at different rates. A bank notices at its next tick.
    pub fn pass(&mut self, micros: u64) {
        let passed = i64::try_from(micros).expect("a short time");
        self.mono_us += micros;
        self.wall_us += passed;
        for node in &mut self.nodes {
            let drift = passed * node.drift_ppm / 1_000_000;
            node.skew_us += drift;
            node.mono_us += u64::try_from(passed + drift).expect("no clock runs backwards");
        }
    }

    /// A client's line, over its session at a bank. A reply is reported as `Seen`; that to a bad
    /// line is returned.
    pub fn line(&mut self, bank: usize, session: u64, line: &str) -> Option<Reply> {
        match Request::parse(line) {
            Ok(request) => {
                self.request(bank, SessionId(session), Origin::Client, request, 0);
                None
            }
            Err(fault) => Some(Reply::Err(fault.reason, fault.text)),
        }
    }

    /// An outside coordinator's request: PREPARE withdraws according to the line's transaction, or
    /// nothing if there is none; COMMIT and ABORT are its votes.
    pub fn outside(&mut self, bank: usize, session: u64, line: &str) -> Option<Reply> {
        match outside_request(bank, line) {
            Ok(request) => {
                self.request(bank, SessionId(session), Origin::Outside, request, 0);
                None
            }
            Err(fault) => Some(Reply::Err(fault.reason, fault.text)),
        }
    }

    /// The slot that the session's next request gets.
    pub fn next_slot(&self, session: SessionId) -> u64 {
        self.slots.get(&session.0).copied().unwrap_or(0)
    }

    pub fn request(
        &mut self,
        bank: usize,
        session: SessionId,
        origin: Origin,
        request: Request,
        waited_us: u64,
    ) -> Caller {
        let slot = self.slots.entry(session.0).or_default();
        let caller = Caller { session, slot: *slot };
        *slot += 1;
        let request = self.mistaken_request(bank, request);
        let request = self.mistaken_reading(bank, request);
        let request = self.mistaken_tokens(bank, session, request);
        if let Some(reply) = self.mistaken_value(bank, &request) {
            self.seen.push(Seen::Reply { bank, caller, reply });
            return caller;
        }
        let past = request.tx().and_then(|tx| self.past(bank, tx));
        let asker = self.asker_of(session, &request);
        self.input(bank, &Input::Request { caller, origin, asker, request, waited_us, past });
        caller
    }

    pub fn close(&mut self, bank: usize, session: u64) {
        self.input(bank, &Input::Closed(SessionId(session)));
    }

    pub fn tick(&mut self, bank: usize) {
        for output in self.mistaken_tick(bank) {
            self.take(bank, output);
        }
        self.close_silent_links(bank);
        let now = self.now(bank);
        if let Some(core) =
            self.nodes[bank].core.as_ref().filter(|core| core.tick_due_us() > now.mono_us)
        {
            // The node skips such ticks.
            assert_eq!(
                core.decide(now, &Input::Tick),
                Output::default(),
                "a tick before it is due"
            );
        }
        self.input(bank, &Input::Tick);
    }

    pub fn input(&mut self, bank: usize, input: &Input) {
        if !self.path.unreadable.is_empty() {
            if let Some(input) = self.unread(bank, input) {
                self.read(bank, &input);
            }
        } else {
            self.read(bank, input);
        }
    }

    fn read(&mut self, bank: usize, input: &Input) {
        self.read_clock(bank);
        let now = self.now(bank);
        let Some(core) = &mut self.nodes[bank].core else { return };
        self.events += 1;
        let output = core.step(now, input);
        self.take(bank, output);
        if self.eager_sync {
            self.sync(bank);
        }
    }

    /// Makes everything written durable, and releases the replies that waited for it.
    pub fn sync(&mut self, bank: usize) {
        let node = &mut self.nodes[bank];
        if let Some(disk) = node.disk.as_mut().filter(|_| node.synced < node.journal.len()) {
            let first = Seq::try_from(node.synced + 1).expect("a short journal");
            if !disk.write(first, &node.journal[node.synced..], node.core.as_ref()) {
                // The contents of the disk are unknown: the process ends, and nothing is sent.
                self.seen.push(Seen::DiskFailed { bank });
                return self.crash(bank);
            }
        }
        self.events += u64::from(node.synced < node.journal.len());
        node.made_durable();
        node.view.check(node.core.as_ref(), &node.shadow);
        if let Some(core) = node.core.as_mut().filter(|_| self.forgetful) {
            let indexed = match &node.disk {
                Some(disk) => disk.indexed_up_to(),
                None => Seq::try_from(node.synced).expect("a short journal"),
            };
            core.forget_outcomes(indexed, 0);
        }
        self.release(bank);
    }
}

/// An outside coordinator's request, in the syntax of a line.
pub fn outside_request(bank: usize, line: &str) -> Result<Request, Fault> {
    let bank = BankId::new(bank).expect("few banks");
    let (tx, ops) = match line
        .strip_prefix("PREPARE ")
        .map(|rest| rest.split_once(' ').unwrap_or((rest, "")))
    {
        Some((tx, "")) => (tx, Vec::new()),
        Some((tx, transaction)) => (tx, Transaction::parse(transaction)?.ops().to_vec()),
        None => return Request::parse(line),
    };
    let tx =
        TxId::new(tx).map_err(|bad| Fault { reason: Reason::Malformed, text: bad.to_string() })?;
    Ok(Request::Prepare(tx, Arc::new(Transaction::with_outside(bank, ops)?)))
}

fn identity_of(banks: usize, bank: usize) -> Identity {
    let places = (0..banks).map(|place| format!("127.0.0.1:{}", 8886 + place)).collect();
    Identity { bank: BankId::new(bank).expect("few banks"), places, seal: Seal::keyed([42; 32]) }
}
