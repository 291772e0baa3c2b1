//! One driver for any number of transactions at a time: a connection to each bank, the replies
//! that are owed over them, timers, and a pure coordinator for each transaction.
//!
//! Nothing here decides about a transaction; that is the coordinator's, and the banks'. All I/O is
//! done in `Driver::turn`, on the task that awaits it.

mod link;
mod turn;
mod votes;

use crate::connection::Connection;
use crate::error::ClientError;
use crate::observe::ClientEvent;
use crate::options::Dialer;
use consorcio_core::commit::coordinator::{Coordinator, Do, Event, Strategy, Verdict};
use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::limits::BANKS_MAX;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::transaction::Transaction;
use consorcio_system::crash::{self, Step};
use link::{BankLink, LinkChange, OwedReply, Sending};
pub use link::{Redial, Writes};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, Sleep};
pub use votes::{BankVote, DrivenTransaction};
use votes::{LossCause, oks, take_standings};

/// How a driver reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverOptions {
    /// When what is sent is written.
    pub writes: Writes,
    /// When a bank that is away is dialled again.
    pub redial: Redial,
}

/// What a driver keeps of a transaction beside its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Nothing.
    Verdict,
    /// How each bank took it.
    Votes,
    /// The same; and once every bank has voted OK, nothing is sent until `Driver::release`.
    VotesHeld,
}

/// Something that a driver says. `tag` is what its caller gave it for the transaction or request.
#[derive(Debug)]
pub enum Happened<T> {
    /// Every bank has voted OK; the driver waits for `Driver::release`.
    Held {
        /// The caller's.
        tag: T,
    },
    /// A transaction has its verdict; comes once.
    Verdict {
        /// The caller's.
        tag: T,
        /// The verdict.
        verdict: Verdict,
        /// Banks that could not be reached at its beginning.
        unreachable: BankSet,
        /// From when all its banks were connected.
        took: Duration,
    },
    /// A transaction has its verdict, and every message was answered or lost; comes once.
    Finished {
        /// The caller's.
        tag: T,
        /// How each bank took it, where that was kept.
        votes: Vec<BankVote>,
    },
    /// A request was answered.
    Replied {
        /// The caller's.
        tag: T,
        /// The reply.
        reply: Reply,
    },
    /// A request stays unanswered.
    NotReplied {
        /// The caller's.
        tag: T,
        /// The bank may have executed it.
        was_sent: bool,
    },
    /// An open connection is lost.
    Closed {
        /// To which bank.
        bank: BankId,
        /// Why.
        error: ClientError,
    },
}

/// Drives transactions and asks banks, over one connection to each.
pub struct Driver<T> {
    dialer: Arc<Dialer>,
    options: DriverOptions,
    links: [Option<BankLink>; BANKS_MAX],
    /// Transactions and requests under way, by slot; slots are used again.
    under_way: Vec<Option<InFlight<T>>>,
    free: Vec<usize>,
    /// Transactions without a verdict, and requests without a reply.
    open: usize,
    /// Vote time-outs in the order in which they are due; those of slots that have ended, or have
    /// a later one, are skipped.
    timers: VecDeque<(Instant, usize)>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Replies of one turn; its room is used again.
    replies: Vec<(BankId, OwedReply, Reply)>,
    happened: VecDeque<Happened<T>>,
}

/// A transaction or request under way.
struct InFlight<T> {
    tag: T,
    /// None for a request.
    coordinator: Option<Coordinator>,
    /// Banks that it waits for before anything is asked of any.
    opening: BankSet,
    unreachable: BankSet,
    timer: Option<Instant>,
    began: Instant,
    keeping: Keeping,
    votes: Vec<BankVote>,
    held: Vec<Do>,
}

impl<T: Copy> Driver<T> {
    /// A driver for these banks, by position; with the connections that are there already.
    pub(crate) fn new(
        dialer: Arc<Dialer>,
        options: DriverOptions,
        banks: impl Iterator<Item = (BankId, String, Option<Connection>)>,
    ) -> Driver<T> {
        let mut links = [const { None }; BANKS_MAX];
        for (bank, address, open) in banks {
            links[bank.index()] = Some(BankLink::new(bank, address, open, options.redial));
        }
        Driver {
            dialer,
            options,
            links,
            under_way: Vec::new(),
            free: Vec::new(),
            open: 0,
            timers: VecDeque::new(),
            sleep: None,
            replies: Vec::new(),
            happened: VecDeque::new(),
        }
    }

    /// Transactions without a verdict and requests without a reply.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Is nothing under way, answers to outcomes included?
    pub fn is_idle(&self) -> bool {
        self.free.len() == self.under_way.len()
    }

    /// The next thing that happened, until `turn` is awaited again.
    pub fn next_happened(&mut self) -> Option<Happened<T>> {
        self.happened.pop_front()
    }

    /// Begins to drive `transaction`; what it sends leaves with the next turn. All banks that it
    /// names must be the driver's. Gives its slot.
    pub fn begin(
        &mut self,
        tag: T,
        tx: TxId,
        transaction: Arc<Transaction>,
        keeping: Keeping,
    ) -> usize {
        let now = Instant::now();
        let named = transaction.banks();
        let votes = match keeping {
            Keeping::Verdict => Vec::new(),
            Keeping::Votes | Keeping::VotesHeld => {
                named.iter().map(|bank| BankVote::new(bank, self.address(bank))).collect()
            }
        };
        let coordinator = Some(Coordinator::new(tx, transaction, Strategy::Parallel));
        let slot = self.insert(InFlight { coordinator, votes, ..InFlight::new(tag, keeping, now) });
        for bank in named.iter() {
            let (mut opening, mut away) = (false, None);
            match &mut self.links[bank.index()] {
                Some(link) => match link.dial(now, &self.dialer) {
                    Ok(()) => opening = link.is_dialling(),
                    Err(why) => away = Some(LossCause { why, nothing_done: None }),
                },
                None => away = Some(LossCause { why: "not listed".into(), nothing_done: None }),
            }
            if let Some(flight) = &mut self.under_way[slot] {
                if opening {
                    flight.opening = flight.opening.with(bank);
                } else if let Some(cause) = away {
                    flight.not_opened(bank, &cause);
                }
            }
        }
        self.start_if_opened(slot, now);
        slot
    }

    /// Sends one request; its reply comes as `Replied` or `NotReplied`.
    pub fn ask(&mut self, tag: T, bank: BankId, request: Request) {
        let now = Instant::now();
        let slot = self.insert(InFlight::new(tag, Keeping::Verdict, now));
        let sent = self.links[bank.index()].as_mut().is_some_and(|link| {
            let sending = Sending::Request(request);
            link.send(sending, slot, now, self.options.writes, &self.dialer).is_ok()
        });
        if !sent {
            self.unanswered(slot, false);
        }
    }

    /// Goes on with a transaction that is held.
    pub fn release(&mut self, slot: usize) {
        let held = self.under_way.get_mut(slot).and_then(Option::as_mut);
        let held = held.map(|flight| std::mem::take(&mut flight.held)).unwrap_or_default();
        let mut events = VecDeque::new();
        self.perform(slot, held, &mut events, Instant::now());
        self.go_on(slot, events, Instant::now());
    }

    /// Ends the connection to `bank`, for this reason: an answer that comes later could not be
    /// told from the next one.
    pub fn give_up_on(&mut self, bank: BankId, why: &str) {
        let Some(link) = &mut self.links[bank.index()] else { return };
        let change = link.give_up(why.to_owned(), self.options.redial, &self.dialer);
        self.changed(bank, change, Instant::now());
    }

    /// The votes of a transaction as they stand now; none where it has ended.
    pub(crate) fn votes(&self, slot: usize) -> Vec<BankVote> {
        let Some(Some(flight)) = self.under_way.get(slot) else { return Vec::new() };
        let mut votes = flight.votes.clone();
        if let Some(coordinator) = &flight.coordinator {
            take_standings(&mut votes, coordinator);
        }
        votes
    }

    /// Connections that are open and owe nothing.
    pub(crate) fn into_idle(self) -> impl Iterator<Item = Connection> {
        self.links.into_iter().flatten().filter_map(BankLink::into_idle)
    }

    fn address(&self, bank: BankId) -> String {
        self.links[bank.index()].as_ref().map_or("-", |link| &link.address).to_owned()
    }

    fn insert(&mut self, flight: InFlight<T>) -> usize {
        self.open += 1;
        match self.free.pop() {
            Some(slot) => {
                self.under_way[slot] = Some(flight);
                slot
            }
            None => {
                self.under_way.push(Some(flight));
                self.under_way.len() - 1
            }
        }
    }

    fn remove(&mut self, slot: usize) -> Option<InFlight<T>> {
        let flight = self.under_way[slot].take();
        if flight.is_some() {
            self.free.push(slot);
        }
        flight
    }

    /// Asks for votes once every bank is connected or known to be out of reach. Where one of them
    /// is another bank than the list says, perhaps none is meant: then nothing is asked of any.
    fn start_if_opened(&mut self, slot: usize, now: Instant) {
        let Some(flight) = &mut self.under_way[slot] else { return };
        if !flight.opening.is_empty() {
            return;
        }
        flight.began = now;
        if flight.keeping != Keeping::Verdict {
            crash::step(Step::ClientReady);
        }
        let unreachable = flight.unreachable;
        if !flight.votes.iter().any(|vote| vote.nothing_done.is_some()) {
            self.event(slot, Event::Begin { unreachable }, now);
            return;
        }
        let Some(flight) = self.remove(slot) else { return };
        self.open -= 1;
        let (tag, verdict) = (flight.tag, Verdict::Unreached);
        if let Some(coordinator) = &flight.coordinator {
            let (tx, banks) = (coordinator.tx(), flight.votes.len());
            let ended = ClientEvent::Ended { tx, verdict: &verdict, oks: 0, banks };
            self.dialer.observe(&ended);
        }
        let took = Duration::ZERO;
        self.happened.push_back(Happened::Verdict { tag, verdict, unreachable, took });
        self.happened.push_back(Happened::Finished { tag, votes: flight.votes });
    }

    /// Tells the coordinator of a transaction, and does what follows.
    fn event(&mut self, slot: usize, event: Event, now: Instant) {
        let mut events = VecDeque::new();
        self.take(slot, event, &mut events, now);
        self.go_on(slot, events, now);
    }

    fn go_on(&mut self, slot: usize, mut events: VecDeque<Event>, now: Instant) {
        while let Some(event) = events.pop_front() {
            self.take(slot, event, &mut events, now);
        }
        let is_done = |flight: &InFlight<T>| {
            flight.held.is_empty() && flight.coordinator.as_ref().is_some_and(Coordinator::is_done)
        };
        if self.under_way[slot].as_ref().is_some_and(is_done)
            && let Some(mut flight) = self.remove(slot)
            && flight.keeping != Keeping::Verdict
        {
            if let Some(coordinator) = &flight.coordinator {
                take_standings(&mut flight.votes, coordinator);
            }
            self.happened.push_back(Happened::Finished { tag: flight.tag, votes: flight.votes });
        }
    }

    fn take(&mut self, slot: usize, event: Event, events: &mut VecDeque<Event>, now: Instant) {
        let Some(flight) = &mut self.under_way[slot] else { return };
        let Some(coordinator) = &mut flight.coordinator else { return };
        let todo = coordinator.on(event);
        if flight.keeping != Keeping::Verdict {
            let commits = |one: &Do| matches!(one, Do::Tell(Verdict::Committed(_)));
            let commits = todo.iter().any(commits);
            if commits {
                crash::step(Step::ClientAllOk);
            }
            if commits && flight.keeping == Keeping::VotesHeld {
                flight.held = todo;
                self.happened.push_back(Happened::Held { tag: flight.tag });
                self.observe_standing(slot);
                return;
            }
        }
        self.perform(slot, todo, events, now);
        self.observe_standing(slot);
    }

    fn perform(&mut self, slot: usize, todo: Vec<Do>, events: &mut VecDeque<Event>, now: Instant) {
        let Some(flight) = &mut self.under_way[slot] else { return };
        for one in todo {
            match one {
                Do::Send(bank, message) => {
                    let verb = message.asked().verb;
                    if let Some(vote) = flight.vote(bank) {
                        vote.sent(verb);
                    }
                    let Some(link) = &mut self.links[bank.index()] else { continue };
                    let sending = Sending::Message(message);
                    let (writes, dialer) = (self.options.writes, &self.dialer);
                    if let Err(why) = link.send(sending, slot, now, writes, dialer) {
                        flight.lost(bank, &LossCause { why, nothing_done: None });
                        events.push_back(Event::Lost(bank, verb));
                    }
                }
                Do::StartTimer => {
                    if flight.coordinator.as_ref().is_none_or(Coordinator::has_told) {
                        continue;
                    }
                    let due = now + self.dialer.options.vote_within;
                    flight.timer = Some(due);
                    self.timers.push_back((due, slot));
                }
                Do::Tell(verdict) => {
                    self.open -= 1;
                    flight.timer = None;
                    let (tag, unreachable) = (flight.tag, flight.unreachable);
                    if self.dialer.is_observed()
                        && let Some(coordinator) = &flight.coordinator
                    {
                        let (oks, banks) = oks(coordinator);
                        let tx = coordinator.tx();
                        let ended = ClientEvent::Ended { tx, verdict: &verdict, oks, banks };
                        self.dialer.observe(&ended);
                    }
                    let took = now.saturating_duration_since(flight.began);
                    let verdict = Happened::Verdict { tag, verdict, unreachable, took };
                    self.happened.push_back(verdict);
                }
                // Only a bank votes itself.
                Do::VoteSelf | Do::RefuseSelf(_) => {}
            }
        }
    }

    /// Says how a transaction stands, where somebody keeps its votes and somebody listens.
    fn observe_standing(&self, slot: usize) {
        let Some(flight) = &self.under_way[slot] else { return };
        if flight.keeping != Keeping::Verdict
            && self.dialer.is_observed()
            && let Some(coordinator) = &flight.coordinator
        {
            let (oks, banks) = oks(coordinator);
            let (tx, verdict) = (coordinator.tx(), coordinator.told());
            self.dialer.observe(&ClientEvent::Standing { tx, oks, banks, verdict });
        }
    }

    /// A request stays without a reply.
    fn unanswered(&mut self, slot: usize, was_sent: bool) {
        if let Some(flight) = self.remove(slot) {
            self.open -= 1;
            self.happened.push_back(Happened::NotReplied { tag: flight.tag, was_sent });
        }
    }
}

impl<T> InFlight<T> {
    fn new(tag: T, keeping: Keeping, now: Instant) -> InFlight<T> {
        InFlight {
            tag,
            coordinator: None,
            opening: BankSet::EMPTY,
            unreachable: BankSet::EMPTY,
            timer: None,
            began: now,
            keeping,
            votes: Vec::new(),
            held: Vec::new(),
        }
    }

    fn vote(&mut self, bank: BankId) -> Option<&mut BankVote> {
        self.votes.iter_mut().find(|vote| vote.bank == bank)
    }

    fn not_opened(&mut self, bank: BankId, cause: &LossCause) {
        self.unreachable = self.unreachable.with(bank);
        if let Some(vote) = self.vote(bank) {
            vote.not_opened(cause);
        }
    }

    fn lost(&mut self, bank: BankId, cause: &LossCause) {
        if let Some(vote) = self.vote(bank) {
            vote.lost(cause);
        }
    }
}
