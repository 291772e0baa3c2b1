//! The server: accepts connections, gives them places, and ends them in order.
//!
//! What a session does is in `session`, and what is asked inside this process in `inside`; what it
//! asks of the bank goes through the node's inbox. All of it lives on the node's thread.

mod accept;
pub mod args;
mod chain;
pub mod files;
pub mod folder;
pub mod gate;
mod hello;
#[cfg(feature = "http")]
pub mod inside;
mod journal_command;
pub mod key;
mod listen;
pub mod memory;
mod opening;
#[cfg_attr(not(feature = "otel"), path = "no_otel.rs")]
mod otel;
pub mod permits;
pub mod read_barrier;
pub mod recover;
mod run;
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
use consorcio_core::wire::answer::BankAnswer;
use consorcio_node::disk::SyncAge;
use consorcio_node::inbox::Inbox;
use consorcio_node::writer::{Leaving, Writer};
use consorcio_peers::Peers;
use consorcio_steps::steplog::StepLog;
use consorcio_system::config::LEFT;
use gate::Gate;
use memory::SharedBytes;
use permits::Permits;
use read_barrier::ReadBarrier;
use session_table::{SessionEntry, SessionTable};
use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use step_logger::StepLogger;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The server's bounds; tests use smaller ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Sessions at a time, those of banks among them.
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
pub struct ServerState {
    /// The way to the bank.
    pub inbox: Rc<Inbox>,
    /// The sessions that are open.
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
    /// Says whether this bank takes part, as far as its operator knows.
    pub introduced: Cell<bool>,
    /// The journal's disk has no room for what is new.
    disk_full: Cell<bool>,
    /// Where this bank serves HTTP, once it does.
    pub http: RefCell<Option<String>>,
    /// Cancelled when the server ends: nothing more is accepted or read.
    pub stop: CancellationToken,
    /// The sessions, and what else the end waits for.
    pub tasks: TaskTracker,
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

impl ServerState {
    /// A server without sessions yet.
    pub fn new(
        inbox: Rc<Inbox>,
        steplog: StepLog,
        peers: Peers,
        identity: Identity,
        bounds: Bounds,
    ) -> Rc<ServerState> {
        Rc::new(ServerState {
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
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
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

    /// The bank's monotonic clock, in microseconds.
    pub fn now_us(&self) -> u64 {
        self.inbox.clock().mono_us()
    }

    /// The JSON that BANKS answers.
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
        self.peers.know(&core.known_votes(), |bank| core.votes_to_send(bank));
        // While somebody waits for a sync, it is under way or comes next, and its end brings us
        // here again.
        let soon = writer.is_waited_for();
        let newest = writer.core().seq();
        let mut held = self.held.borrow_mut();
        let sessions = self.sessions.borrow();
        // Messages to banks leave before replies to callers: a caller that goes on to another bank
        // arrives behind its commit.
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
            let bank = self.identity.bank;
            tracing::info!(
                bank = bank.as_u8(),
                "bank {bank} takes part now: the others have met it"
            );
        }
        self.step_logger.flush();
    }
}
