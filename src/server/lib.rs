//! The server: accepts connections, gives them places, and ends them in order.
//!
//! What a session does is in `session`, and what is asked inside this process in `inside`; what it
//! asks of the bank goes through the node's inbox. All of it lives on the node's thread.

pub mod args;
mod chain;
pub mod files;
pub mod folder;
pub mod gate;
mod hello;
#[cfg(feature = "http")]
pub mod inside;
pub mod key;
mod listen;
pub mod memory;
pub mod operator;
pub mod permits;
pub mod read_barrier;
pub mod recover;
pub mod session;
pub mod session_table;
pub mod slots;
pub mod start;
pub mod step_logger;
pub mod watchdog;
#[cfg_attr(not(feature = "http"), path = "no_web.rs")]
mod web;

use consorcio_core::bank::Identity;
use consorcio_core::bank::io::Seq;
use consorcio_core::ids::BankId;
use consorcio_core::limits::{
    SESSION_IDLE_MS_MAX, SESSION_UNREAD_MS_MAX, SESSIONS_BYTES_MAX, SESSIONS_FOR_BANKS,
    SESSIONS_MAX, SLOW_SYNC_MS,
};
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::BankAnswer;
use consorcio_core::wire::reply::Reply;
use consorcio_node::disk::SyncAge;
use consorcio_node::inbox::Inbox;
use consorcio_node::writer::{Leaving, Writer};
use consorcio_peers::Peers;
use consorcio_steps::steplog::{Step, StepLog, Who};
use consorcio_system::config::LEFT;
use gate::Gate;
use memory::SharedBytes;
use permits::{Permit, Permits};
use read_barrier::ReadBarrier;
use session_table::{End, SessionEntry, SessionTable};
use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use step_logger::StepLogger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{interval, sleep, timeout};

/// A connection that is closed before its input was read to the end is kept this long, so that the
/// other end gets the last line and not a reset.
const LINGER: Duration = Duration::from_secs(1);
/// ... and this many of them at once.
const LINGERING_MAX: usize = 256;
/// After an accept failed for want of something (file descriptors, memory), so long nothing is
/// accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often sessions are looked at for those that must end. Who waits for memory is not woken
/// here, but by who gives it back.
const SWEEP: Duration = Duration::from_secs(1);
/// A connection that got a bank's place must show that it is one within this time.
const PROBATION_MS_MAX: u64 = 2_000;
/// ... or within this, when others want the place.
const PROBATION_MS_MIN: u64 = 200;

/// The server's bounds; tests use smaller ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Sessions in all.
    pub sessions: usize,
    /// ... of which so many are kept for banks.
    pub for_banks: usize,
    /// A session that sent nothing for so long is closed while all places are taken.
    pub idle_ms: u64,
    /// A session that has not taken its replies for so long is closed.
    pub unread_ms: u64,
    /// What all sessions hold together.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            sessions: SESSIONS_MAX,
            for_banks: SESSIONS_FOR_BANKS,
            idle_ms: SESSION_IDLE_MS_MAX,
            unread_ms: SESSION_UNREAD_MS_MAX,
            bytes: SESSIONS_BYTES_MAX,
        }
    }
}

/// What all sessions share.
pub struct Shared {
    /// The way to the bank.
    pub inbox: Rc<Inbox>,
    /// All sessions.
    pub sessions: RefCell<SessionTable>,
    /// Memory that they share.
    pub bytes: Rc<SharedBytes>,
    /// What they tell the step log.
    pub step_logger: StepLogger,
    /// The links to the other banks.
    pub peers: Peers,
    /// What waits for them after a start.
    pub gate: Rc<Gate>,
    /// What is under way to them, for those who wait for that.
    pub barrier: Rc<ReadBarrier>,
    identity: Identity,
    /// Does this bank take part, as far as its operator was told?
    pub introduced: Cell<bool>,
    /// The journal's disk has no room for what is new.
    disk_full: Cell<bool>,
    /// Where this bank serves HTTP, once it does.
    pub http: RefCell<Option<String>>,
    /// The server ends: nothing more is read.
    pub stopping: Cell<bool>,
    /// Told whenever a session ended.
    pub session_ended: Notify,
    bounds: Bounds,
    lingering: Cell<usize>,
    /// Sessions that have replies, and get more of them after a sync that comes now: one write is
    /// cheaper than two. They are woken once this record is durable.
    held: RefCell<Vec<(Seq, Rc<SessionEntry>)>>,
    /// How long the disk has been syncing, once there is one.
    sync_age: OnceCell<Arc<SyncAge>>,
    /// No session can have been idle for too long before this moment, in monotonic microseconds.
    none_idle_before_us: Cell<u64>,
}

impl Shared {
    /// A server without sessions yet.
    pub fn new(
        inbox: Rc<Inbox>,
        steplog: StepLog,
        peers: Peers,
        identity: Identity,
        bounds: Bounds,
    ) -> Rc<Shared> {
        Rc::new(Shared {
            inbox,
            sessions: RefCell::new(SessionTable::new(Permits::new(
                bounds.sessions,
                bounds.for_banks,
            ))),
            bytes: Rc::new(SharedBytes::new(bounds.bytes, bounds.sessions)),
            step_logger: StepLogger::new(steplog),
            peers,
            barrier: Rc::default(),
            gate: Rc::new(Gate::new(&identity)),
            identity,
            introduced: Cell::new(true),
            disk_full: Cell::new(false),
            http: RefCell::default(),
            stopping: Cell::new(false),
            session_ended: Notify::new(),
            bounds,
            lingering: Cell::new(0),
            held: RefCell::default(),
            sync_age: OnceCell::new(),
            none_idle_before_us: Cell::new(0),
        })
    }

    /// From now on BANKS tells of a sync that takes long.
    pub fn looks_at(&self, sync_age: Arc<SyncAge>) {
        // There is one disk; it does not change.
        let _ = self.sync_age.set(sync_age);
    }

    /// Monotonic microseconds.
    pub fn now_us(&self) -> u64 {
        self.inbox.clock().mono_us()
    }

    /// What BANKS answers.
    pub fn banks_json(&self) -> String {
        let status = self.peers.status();
        let own_http = self.http.borrow();
        let own = self.identity.bank;
        let banks = self.identity.places.iter().enumerate().filter_map(|(position, address)| {
            let bank = BankId::new(position).filter(|_| address != LEFT)?;
            let link = status.iter().find(|status| status.bank == bank);
            let is_own = bank == own;
            let sync_ms = self.sync_age.get().and_then(|age| age.ms());
            Some(BankAnswer {
                bank,
                address: address.into(),
                online: link.map_or(is_own, |link| link.online),
                latency_us: link.map_or(Some(0).filter(|_| is_own), |link| link.latency_us),
                clock_us: link.and_then(|link| link.clock_us),
                why: link.and_then(|link| link.why.as_deref()).map(Cow::Borrowed),
                http: own_http.as_deref().filter(|_| is_own).map(Cow::Borrowed),
                sync_ms: sync_ms.filter(|ms| is_own && *ms >= SLOW_SYNC_MS),
                disk_full: is_own && self.disk_full.get(),
            })
        });
        serde_json::to_string(&banks.collect::<Vec<_>>()).expect("it is plain JSON")
    }

    /// Carries away what may leave the node.
    pub fn deliver(&self, out: &mut Vec<Leaving>, writer: &Writer) {
        let core = writer.core();
        self.peers.know(&core.known_votes(), |bank| core.votes_shown_to(bank));
        // While somebody waits for a sync, it is under way or comes next, and its end brings us
        // here again.
        let soon = writer.is_waited_for();
        let newest = writer.core().seq();
        let mut held = self.held.borrow_mut();
        let sessions = self.sessions.borrow();
        // Banks are told before callers are: who hears of a commit and goes on to another bank
        // comes behind it.
        for leaving in out.extract_if(.., |leaving| !matches!(leaving, Leaving::Reply(_))) {
            match leaving {
                Leaving::Send(sending) => {
                    self.barrier.sent(sending.peer, &sending.message);
                    self.peers.send(sending.peer, sending.message);
                }
                Leaving::Close(bank) => self.peers.close(bank),
                Leaving::Met(bank, founding) => self.peers.met(bank, founding),
                Leaving::Reply(_) => {}
            }
        }
        for leaving in out.drain(..) {
            let Leaving::Reply(outgoing) = leaving else { continue };
            held.extend(sessions.deliver(outgoing, soon).map(|entry| (newest, entry.clone())));
        }
        drop(sessions);
        let durable = if soon { writer.durable() } else { Seq::MAX };
        held.extract_if(.., |(until, _)| *until <= durable).for_each(|(_, entry)| entry.wake());
        self.gate.set(core.is_introduced(), core.knows_registers());
        self.disk_full.set(!writer.has_room());
        if !self.introduced.get() && core.is_introduced() {
            self.introduced.set(true);
            operator::tell(&format!(
                "bank {} takes part now: the others have met it",
                self.identity.bank
            ));
        }
        self.step_logger.flush();
    }

    /// Accepts connections for ever.
    pub async fn accept(self: Rc<Shared>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.admit(stream, peer),
                // The connection was gone before it was accepted: that is its own affair.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    let text = format!("no connection can be accepted for now: {error}");
                    self.step_logger.tell(|| Step::Fault(text.into()));
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Looks after sessions that must end, for ever.
    pub async fn sweep(self: Rc<Shared>) {
        let mut due = interval(SWEEP);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            let now_us = self.now_us();
            let older = |since_us: u64, ms: u64| now_us.saturating_sub(since_us) >= ms * 1_000;
            let short = self.bytes.is_short();
            for entry in self.sessions.borrow().iter() {
                let state = entry.state.borrow();
                let silent = |ms| older(state.last_input_us, ms);
                let end = if state
                    .unread_since_us
                    .is_some_and(|since| older(since, self.bounds.unread_ms))
                {
                    Some(End::Unread)
                } else if state.place == Some(Permit::Probation) && silent(PROBATION_MS_MAX) {
                    Some(End::NoPlace)
                } else if short
                    && state.borrows
                    && state.slots.is_empty()
                    && silent(self.bounds.unread_ms)
                {
                    Some(End::Hoarding)
                } else {
                    None
                };
                drop(state);
                if let Some(end) = end {
                    entry.end(end);
                }
            }
        }
    }

    /// Ends all sessions: nothing more is read, what was asked is answered. Returns when all have
    /// ended.
    pub async fn end_sessions(&self) {
        self.stopping.set(true);
        for entry in self.sessions.borrow().iter() {
            entry.end(End::Shutdown);
        }
        while !self.sessions.borrow().is_empty() {
            self.session_ended.notified().await;
        }
    }

    /// Shuts our side of a connection whose input was not read to its end, and waits a little for
    /// the other side.
    pub async fn linger(&self, mut stream: TcpStream) {
        if self.lingering.get() >= LINGERING_MAX || self.stopping.get() {
            return;
        }
        self.lingering.set(self.lingering.get() + 1);
        let drain = async {
            stream.shutdown().await?;
            let mut scratch = [0; 1024];
            while stream.read(&mut scratch).await? > 0 {}
            io::Result::Ok(())
        };
        // Whatever comes of it, the connection is closed now.
        let _ = timeout(LINGER, drain).await;
        self.lingering.set(self.lingering.get() - 1);
    }

    fn admit(self: &Rc<Shared>, stream: TcpStream, peer: SocketAddr) {
        // Small lines are answered one by one: waiting for more to send would only add delay.
        let _ = stream.set_nodelay(true);
        let Some(place) = self.find_place() else {
            self.step_logger
                .tell(|| Step::Bad(Who::Address(peer), Reason::Limit, "no place left".into()));
            let mut line = Vec::new();
            Reply::Err(Reason::Limit, End::NoPlace.as_str().to_owned()).write_to(&mut line);
            // A fresh socket takes one line.
            let _ = stream.try_write(&line);
            let shared = self.clone();
            tokio::task::spawn_local(async move { shared.linger(stream).await });
            return;
        };
        self.step_logger.tell(|| Step::Connect(Who::Address(peer)));
        let entry = self.sessions.borrow_mut().open(peer, Some(place), self.now_us());
        tokio::task::spawn_local(session::run(self.clone(), entry, stream));
    }

    /// A place for a new connection: a free one, an idle session's, or for a while one of those for
    /// banks.
    fn find_place(&self) -> Option<Permit> {
        let now_us = self.now_us();
        let mut sessions = self.sessions.borrow_mut();
        if sessions.places.is_full() && now_us >= self.none_idle_before_us.get() {
            let idle_us = self.bounds.idle_ms * 1_000;
            if let Some(entry) = longest_silent(&sessions, Permit::Client, now_us, idle_us) {
                sessions.vacate(&entry);
                entry.end(End::Idle);
            } else {
                // Whoever knocks in vain does not have all sessions looked at each time.
                self.none_idle_before_us.set(now_us + (idle_us / 8).min(1_000_000));
            }
        }
        if let Some(place) = sessions.places.enter() {
            return Some(place);
        }
        let entry = longest_silent(&sessions, Permit::Probation, now_us, PROBATION_MS_MIN * 1_000)?;
        sessions.vacate(&entry);
        entry.end(End::NoPlace);
        sessions.places.enter()
    }
}

/// Of the sessions with such a place that owe and are owed nothing, the one that sent nothing for
/// longest, and for at least `silent_us`.
fn longest_silent(
    sessions: &SessionTable,
    place: Permit,
    now_us: u64,
    silent_us: u64,
) -> Option<Rc<SessionEntry>> {
    let silent = sessions.iter().filter_map(|entry| {
        let state = entry.state.borrow();
        let idle = state.place == Some(place) && state.end.is_none() && state.slots.is_empty();
        let since_us = state.last_input_us;
        (idle && now_us.saturating_sub(since_us) >= silent_us).then_some((since_us, entry))
    });
    silent.min_by_key(|(since_us, _)| *since_us).map(|(_, entry)| entry.clone())
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
