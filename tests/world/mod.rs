//! A consortium in one process: the shipped core of every bank, with journals, links, sessions and
//! clocks that a test holds in its hand. No copy of the protocol: only what is around it.

#![allow(dead_code, reason = "each test uses its own part of the world")]

pub mod caught;
pub mod clocks;
pub mod disk;
pub mod growth;
pub mod links;
mod meet;
mod mistakes;
pub mod path;
mod print;
mod proofs;
pub mod tell;

use clocks::{ClockMistake, Followed};
use disk::{Disk, Sizes};
use growth::Growth;
use links::{Ends, Flight, Link};
pub use meet::MeetMistake;
pub use mistakes::{Around, Mistake, crashed};
use path::Path;
pub use proofs::ProofMistake;

use consorcio::bank::io::{
    Caller, CoreStep, Input, Met, Now, Origin, Outgoing, Output, Past, Sending, Seq, SessionId,
};
use consorcio::bank::record::Record;
use consorcio::bank::{Core, Identity};
use consorcio::commit::message::{Asked, Message};
use consorcio::ids::{BankId, BankSet, TxId};
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::token::Seal;
use consorcio::wire::transaction::Transaction;
use consorcio::wire::{Fault, Reason};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Sessions from here on are links between banks.
const FIRST_LINK: u64 = 1_000_000;

/// What can be seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A reply left a bank for a client.
    Reply {
        bank: usize,
        caller: Caller,
        reply: Reply,
    },
    /// A message left a bank for another.
    Sent {
        from: usize,
        to: usize,
        message: Message,
    },
    Answered {
        from: usize,
        to: usize,
        asked: Asked,
        reply: Option<Reply>,
    },
    /// A record was written.
    Recorded {
        bank: usize,
        seq: Seq,
        record: Record,
    },
    /// A step inside the core.
    Step {
        bank: usize,
        step: CoreStep,
    },
    /// A bank stopped itself.
    Stopped {
        bank: usize,
        why: String,
    },
    /// A crash took records that were not synced.
    Lost {
        bank: usize,
        records: Vec<Record>,
    },
    /// A write or sync failed, and the process stopped.
    DiskFailed {
        bank: usize,
    },
}

/// One bank: its core while it runs, and its disk.
#[derive(Clone)]
pub struct Node {
    pub core: Option<Core>,
    /// How many places its list has.
    pub places: usize,
    pub journal: Vec<Record>,
    /// Records up to this one survive a crash.
    pub synced: usize,
    /// This bank's wall clock, less the world's.
    pub skew_us: i64,
    /// How much faster than the world's its clocks run, in millionths.
    pub drift_ppm: i64,
    mono_us: u64,
    /// How long its machine was suspended.
    pub suspended_us: u64,
    /// What it follows of its wall clock, where banks do so and it runs.
    clock: Option<Followed>,
    /// The bank as its synced records make it, by `apply` alone: what a start must bring back.
    shadow: Core,
    replies: Vec<Outgoing>,
    sends: Vec<Sending>,
    /// Peers that were met, and are told once the record of it is durable.
    met: Vec<Met>,
    /// The journal on a disk; without one, what is synced survives and nothing else.
    pub disk: Option<Disk>,
    /// Where each decided transaction's record is.
    past: BTreeMap<TxId, usize>,
}

/// Outcomes that a bank's shadow keeps in memory.
const SHADOW_OUTCOMES: usize = 256;

impl Node {
    /// A bank that is not started, with a list of so many places.
    fn new(places: usize, bank: usize, disks: Option<Sizes>) -> Node {
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
            disk: disks.map(Disk::new),
            past: BTreeMap::new(),
        }
    }

    /// All that is in the journal now is durable.
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
    /// Sync at once after every step?
    pub eager_sync: bool,
    /// What this world does wrong around its cores, to show that its checks find it.
    pub mistake: Option<Mistake>,
    pub clock_mistake: Option<ClockMistake>,
    pub growth: Growth,
    pub meet_mistake: Option<MeetMistake>,
    /// The way between banks.
    pub path: Path,
    /// Do banks follow their clocks as the programs do?
    follows_clocks: bool,
    /// Memory forgets every outcome as soon as its record is durable: only the journal knows it.
    pub forgetful: bool,
    pub seen: Vec<Seen>,
    pub links: BTreeMap<u64, Link>,
    next_link: u64,
    slots: BTreeMap<u64, u64>,
    /// Crashes so far: what each leaves on disk follows from its number.
    pub crashes: u64,
    /// Starts of banks so far: each has its own random bytes, as it were.
    starts: u128,
    /// Nothing goes from the first bank to the second.
    pub blocked: BTreeSet<(usize, usize)>,
    /// Does a bank close a link over which a peer owes an answer for too long?
    pub closes_silent: bool,
    /// What happened so far: inputs of cores, and syncs that had something to do.
    pub events: u64,
    /// Has each new journal a founding id, so that its bank has to be introduced?
    pub introduces: bool,
    /// How many founding ids were given.
    foundings: u64,
    /// Whom a bank with a new journal does not wait for.
    without: BTreeMap<usize, BankSet>,
    /// Are answers that arrived told too? They say nothing that was not seen when they left.
    pub tells_answers: bool,
}

impl World {
    /// So many banks, all running, linked, with nothing on their books.
    pub fn new(banks: usize) -> World {
        World::with_disks(banks, None)
    }

    /// The same; with disks, their journals are the shipped ones.
    pub fn with_disks(banks: usize, disks: Option<Sizes>) -> World {
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
            tells_answers: true,
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

    /// The time as the bank took it last.
    pub fn now(&self, bank: usize) -> Now {
        let shown_us = self.machine(bank).wall_us;
        let node = &self.nodes[bank];
        let wall_us = node.clock.as_ref().map_or(shown_us, |clock| clock.now_us);
        Now { wall_us, shown_us, mono_us: node.mono_us }
    }

    /// Time passes everywhere, not everywhere as fast; nobody notices before its tick.
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

    /// A client's line, over its session at a bank. Replies come as `Seen`; a bad line's at once.
    pub fn line(&mut self, bank: usize, session: u64, line: &str) -> Option<Reply> {
        match Request::parse(line) {
            Ok(request) => {
                self.request(bank, SessionId(session), Origin::Client, request, 0);
                None
            }
            Err(fault) => Some(Reply::Err(fault.reason, fault.text)),
        }
    }

    /// What an outside coordinator wants of a bank: PREPARE, which has it withdraw what the line's
    /// transaction says, nothing without one; or COMMIT or ABORT, which are its votes.
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
        self.input(bank, &Input::Request { caller, origin, request, waited_us, past });
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
            // The node leaves it out.
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

    /// Everything written so far is durable; what waited for it leaves.
    pub fn sync(&mut self, bank: usize) {
        let node = &mut self.nodes[bank];
        if let Some(disk) = node.disk.as_mut().filter(|_| node.synced < node.journal.len()) {
            let first = Seq::try_from(node.synced + 1).expect("a short journal");
            if !disk.write(first, &node.journal[node.synced..]) {
                // Nobody knows what is on disk: the process ends, and nothing leaves.
                self.seen.push(Seen::DiskFailed { bank });
                return self.crash(bank);
            }
        }
        self.events += u64::from(node.synced < node.journal.len());
        node.made_durable();
        if let Some(core) = node.core.as_mut().filter(|_| self.forgetful) {
            let indexed = match &node.disk {
                Some(disk) => disk.indexed_up_to(),
                None => Seq::try_from(node.synced).expect("a short journal"),
            };
            core.forget_outcomes(indexed, 0);
        }
        self.release(bank);
    }

    /// The process is gone, and with it what was not synced. The others notice.
    pub fn crash(&mut self, bank: usize) {
        self.lose(bank);
        let of_bank = |(_, link): &(&u64, &Link)| link.dialler == bank || link.dialled == bank;
        let links: Vec<u64> = self.links.iter().filter(of_bank).map(|(id, _)| *id).collect();
        links.into_iter().for_each(|link| self.cut(link));
    }

    /// The machine is gone: the others still believe in their connections to it.
    pub fn crash_quietly(&mut self, bank: usize) {
        self.lose(bank);
        let ids: Vec<u64> = self.links.keys().copied().collect();
        for id in ids {
            let Some(link) = self.links.get(&id) else { continue };
            if link.dialler == bank {
                self.cut_for_dialler(id);
            } else if link.dialled == bank {
                self.cut_for_dialled(id);
            }
        }
    }

    fn lose(&mut self, bank: usize) {
        let identity = self.identity(bank);
        let node = &mut self.nodes[bank];
        node.core = None;
        node.replies.clear();
        node.sends.clear();
        node.met.clear();
        let unsynced = &node.journal[node.synced..];
        let kept = match &mut node.disk {
            None => 0,
            Some(disk) => {
                self.crashes += 1;
                disk.crash(self.crashes, node.shadow.seq() + 1, unsynced);
                disk.recover(&identity, &node.shadow, unsynced)
            }
        };
        let lost = node.journal.split_off(node.synced + kept);
        for tx in lost.iter().filter_map(Record::decides) {
            node.past.remove(tx);
        }
        node.made_durable();
        if crashed(self.mistake, &mut node.journal) {
            let journal = std::mem::take(&mut node.journal);
            self.replace_journal(bank, journal);
        }
        self.seen.push(Seen::Lost { bank, records: lost });
    }

    /// Another journal lies where this bank's was.
    pub fn replace_journal(&mut self, bank: usize, journal: Vec<Record>) {
        let shadow = self.core_of(bank);
        let node = &mut self.nodes[bank];
        node.shadow = shadow;
        node.past.clear();
        for (at, record) in journal.iter().enumerate() {
            if let Some(tx) = record.decides() {
                node.past.insert(tx.clone(), at);
            }
        }
        node.journal = journal;
        node.made_durable();
    }

    /// The bank starts on its journal; recovery is `apply`. It stays down where its journal says
    /// that it must, its disk has no room, or its clock is absurd.
    pub fn restart(&mut self, bank: usize) {
        let identity = self.identity(bank);
        let clock = self.nodes[bank].shadow.clock();
        if self.follows_clocks && !self.start_clock(bank, clock) {
            return;
        }
        let node = &mut self.nodes[bank];
        let mut core = match &mut node.disk {
            Some(disk) => match disk.start(&identity, &node.shadow) {
                Some(core) => core,
                None => return,
            },
            None => node.shadow.clone(),
        };
        if core.stopped().is_some() {
            return;
        }
        let is_new = core.consortium().is_none();
        if core.consortium().is_none_or(|(_, places)| places != identity.places) {
            let first = core.seq() + 1;
            let records = self.first_records(identity, is_new);
            records.iter().for_each(|record| core.apply(record));
            let node = &mut self.nodes[bank];
            if let Some(disk) = &mut node.disk {
                assert!(disk.write(first, &records), "a new disk works");
            }
            node.journal.extend(records);
            node.made_durable();
        }
        core.check_invariants();
        self.nodes[bank].core = Some(core);
        self.starts += 1;
        let start = self.start_of(bank);
        self.input(bank, &Input::Started(start));
    }

    /// All votes, outcomes and ledgers are what their journals say.
    pub fn audit(&self) {
        (0..self.nodes.len()).for_each(|bank| self.audit_bank(bank));
    }

    pub fn audit_bank(&self, bank: usize) {
        let node = &self.nodes[bank];
        let Some(core) = &node.core else { return };
        core.check_invariants();
        let mut replayed = self.core_of(bank);
        node.journal.iter().for_each(|record| replayed.apply(record));
        assert!(core.same_as(&replayed), "bank {bank} is not what its journal says");
        let restored =
            Core::from_snapshot(self.identity(bank), &core.to_snapshot()).expect("own snapshot");
        assert!(core.same_as(&restored), "bank {bank} is not what its snapshot says");
    }

    /// What the journal knows of a transaction that memory does not.
    pub fn past(&self, bank: usize, tx: &TxId) -> Option<Past> {
        let node = &self.nodes[bank];
        if node.core.as_ref()?.knows(tx) || self.mistake == Some(Mistake::OutcomeForgotten) {
            return None;
        }
        if let Some(disk) = &node.disk {
            return disk.lookup(tx).map(|record| Past { record });
        }
        node.past.get(tx).map(|at| Past { record: node.journal[*at].clone() })
    }

    fn take(&mut self, bank: usize, mut output: Output) {
        self.mistaken_output(bank, &mut output);
        self.mistaken_meeting(bank, &mut output);
        let node = &mut self.nodes[bank];
        for record in output.records {
            if let Some(tx) = record.decides() {
                node.past.insert(tx.clone(), node.journal.len());
            }
            node.journal.push(record.clone());
            let seq = Seq::try_from(node.journal.len()).expect("a short journal");
            self.seen.push(Seen::Recorded { bank, seq, record });
        }
        let unproved: Vec<usize> =
            output.steps.iter().filter_map(CoreStep::closes).map(BankId::index).collect();
        self.seen.extend(output.steps.into_iter().map(|step| Seen::Step { bank, step }));
        node.replies.extend(output.replies);
        node.sends.extend(output.sends);
        node.met.extend(output.met);
        if let Some(why) = node.core.as_ref().and_then(|core| core.stopped()).map(str::to_owned) {
            // The stop is a record; nothing else leaves any more.
            let first = node.unsynced_from();
            if let Some(disk) = &mut node.disk {
                disk.write(first, &node.journal[node.synced..]);
            }
            node.made_durable();
            self.seen.push(Seen::Stopped { bank, why });
            self.crash(bank);
        } else {
            self.release(bank);
            // A link over which nothing that proves itself comes is closed.
            for peer in unproved {
                if let Some(link) = self.link(bank, peer) {
                    self.cut(link);
                }
            }
        }
    }

    fn release(&mut self, bank: usize) {
        self.tell_met(bank);
        let node = &mut self.nodes[bank];
        let durable = Seq::try_from(node.synced).expect("a short journal");
        let is_due = |after: Seq| after <= durable;
        if !node.replies.iter().any(|out| is_due(out.after))
            && !node.sends.iter().any(|out| is_due(out.after))
        {
            return;
        }
        let (leave, stay): (Vec<_>, Vec<_>) =
            std::mem::take(&mut node.replies).into_iter().partition(|out| out.after <= durable);
        let (go, keep): (Vec<_>, Vec<_>) =
            std::mem::take(&mut node.sends).into_iter().partition(|send| send.after <= durable);
        (node.replies, node.sends) = (stay, keep);
        for Outgoing { to, reply, .. } in leave {
            tell::assert_known_words(&reply);
            self.path.hears(&reply);
            if to.session.0 < FIRST_LINK {
                self.seen.push(Seen::Reply { bank, caller: to, reply });
            } else if let Some(link) = self.links.get_mut(&to.session.0)
                && link.ends == Ends::Both
                && let Some(asked) = link.slots.remove(&to.slot)
            {
                let (to, link) = (link.dialler, to.session.0);
                self.flights.push_back(Flight::Answer { to, link, asked, reply });
            }
        }
        for Sending { peer, message, .. } in go {
            self.send(bank, peer.index(), message);
        }
    }

    /// A message leaves a bank for another one, over the link if there is any.
    pub fn send(&mut self, from: usize, to: usize, message: Message) {
        let asked = message.asked();
        self.asks_registers(from, to, &message);
        self.asks_votes(from, &message);
        self.seen.push(Seen::Sent { from, to, message: message.clone() });
        match self.link(from, to) {
            Some(link) => {
                if let Some(open) = self.links.get_mut(&link) {
                    open.owed.push_back((asked, self.mono_us));
                }
                self.flights.push_back(Flight::Request { to, link, message });
            }
            None => self.flights.push_back(Flight::NoLink { to: from, peer: to, asked }),
        }
    }
}

/// An outside coordinator's request, written as a line's.
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
