//! The server: it accepts connections, gives them permits, runs their sessions, and ends them in
//! order.
//!
//! `session` has the sessions of connections, `inside` those of requests from other threads. Both
//! enqueue their requests in the node's inbox. Everything lives on the node's thread.

#![warn(unreachable_pub)]

mod accept;
mod args;
mod certs;
mod chain;
mod check;
mod commands;
mod credentials;
mod files;
mod folder;
#[cfg_attr(not(feature = "http"), expect(dead_code, reason = "HTTP alone asks without a session"))]
mod gate;
mod handshakes;
mod health;
mod hello;
mod help;
#[cfg(feature = "http")]
mod inside;
mod journal_command;
mod key;
mod listen;
mod memory;
mod opening;
mod operator;
#[cfg_attr(not(feature = "otel"), path = "no_otel.rs")]
mod otel;
mod permits;
#[cfg_attr(not(feature = "http"), expect(dead_code, reason = "HTTP alone waits for it"))]
mod read_barrier;
mod recover;
mod rights;
mod run;
mod run_command;
mod session;
mod session_table;
mod slots;
mod start;
mod step_logger;
mod tls;
mod verify_command;
mod watchdog;
#[cfg_attr(not(feature = "http"), path = "no_web.rs")]
mod web;

pub use memory::SharedBytes;
pub use session_table::SessionEnd;
pub use start::main;

use bytes::BytesMut;
use consorcio_core::access::Access;
use consorcio_core::bank::Identity;
use consorcio_core::bank::io::Seq;
use consorcio_core::ids::BankId;
use consorcio_core::limits::{
    SESSION_IDLE_MS_MAX, SESSION_UNREAD_MS_MAX, SESSIONS_BYTES_MAX, SESSIONS_FOR_BANKS,
    SESSIONS_MAX, SLOW_SYNC_MS,
};
use consorcio_core::wire::answer::BankAnswer;
use consorcio_node::{Inbox, Released, SharedAccess, SyncAge, Writer};
use consorcio_peers::Peers;
use consorcio_steps::steplog::StepLog;
use consorcio_system::config::LEFT;
use consorcio_tls::BankTls;
use gate::Gate;
use handshakes::Handshakes;
use operator::OperatorNotices;
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

/// The bounds of the server, which tests may lower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerBounds {
    /// The maximum number of sessions, including those of banks.
    pub sessions: usize,
    /// ... of which this many are reserved for banks.
    pub for_banks: usize,
    /// A session that has sent nothing for this long may be evicted.
    pub idle_ms: u64,
    /// A session that has not read its replies for this long is closed.
    pub unread_ms: u64,
    /// The memory of all sessions together.
    pub bytes: usize,
}

impl Default for ServerBounds {
    fn default() -> ServerBounds {
        ServerBounds {
            sessions: SESSIONS_MAX,
            for_banks: SESSIONS_FOR_BANKS,
            idle_ms: SESSION_IDLE_MS_MAX,
            unread_ms: SESSION_UNREAD_MS_MAX,
            bytes: SESSIONS_BYTES_MAX,
        }
    }
}

/// The state that all sessions share.
pub struct ServerState {
    /// The queue of the bank.
    pub inbox: Rc<Inbox>,
    /// The table of open sessions.
    pub(crate) sessions: RefCell<SessionTable>,
    /// The memory that sessions share.
    pub bytes: Rc<SharedBytes>,
    /// Collects steps for the step log.
    pub(crate) step_logger: StepLogger,
    /// The links to the other banks.
    pub(crate) peers: Peers,
    /// Delays requests that concern other banks after a start.
    pub(crate) gate: Rc<Gate>,
    /// Tracks messages under way to them, for read-your-writes over HTTP.
    pub(crate) barrier: Rc<ReadBarrier>,
    identity: Identity,
    /// Whether the operator was informed that this bank is introduced.
    pub(crate) introduced: Cell<bool>,
    /// What the operator was informed of.
    pub(crate) operator: OperatorNotices,
    /// The journal's disk has no room for new transactions.
    disk_full: Cell<bool>,
    /// The address of HTTP, once it is served.
    pub(crate) http: RefCell<Option<String>>,
    /// Cancelled when the server ends: it accepts and reads nothing more.
    pub(crate) stop: CancellationToken,
    /// The tasks that the end waits for: sessions and lingering connections.
    pub(crate) tasks: TaskTracker,
    bounds: ServerBounds,
    /// What names may do here; in open mode nobody looks at it.
    pub(crate) access: RefCell<Arc<Access>>,
    /// The same, for the thread of HTTP.
    pub(crate) http_access: SharedAccess,
    /// Tokens, passwords and sessions of HTTP in closed mode.
    pub(crate) log_ins: RefCell<Option<web::LogIns>>,
    /// In closed mode: the TLS of this bank.
    handshakes: Option<Handshakes>,
    lingering: Cell<usize>,
    /// Sessions with replies that get more of them after the next sync: one write is cheaper than
    /// two. Each is woken once this record is durable.
    held: RefCell<Vec<(Seq, Rc<SessionEntry>)>>,
    /// Empty read buffers: most sessions are idle at any moment, and hold none.
    spare_buffers: RefCell<Vec<BytesMut>>,
    /// The age of the sync under way, once the disk is started.
    sync_age: OnceCell<Arc<SyncAge>>,
    /// Before this moment no session can be idle for long enough; in monotonic microseconds.
    none_idle_before_us: Cell<u64>,
}

impl ServerState {
    /// A server without sessions.
    pub fn new(
        inbox: Rc<Inbox>,
        steplog: StepLog,
        peers: Peers,
        identity: Identity,
        bounds: ServerBounds,
        tls: Option<BankTls>,
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
            operator: OperatorNotices::new(identity.bank),
            identity,
            introduced: Cell::new(true),
            disk_full: Cell::new(false),
            http: RefCell::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            bounds,
            access: RefCell::default(),
            http_access: SharedAccess::default(),
            log_ins: RefCell::default(),
            handshakes: tls.map(Handshakes::new),
            lingering: Cell::new(0),
            held: RefCell::default(),
            spare_buffers: RefCell::default(),
            sync_age: OnceCell::new(),
            none_idle_before_us: Cell::new(0),
        })
    }

    /// Makes BANKS report a slow sync.
    pub(crate) fn set_sync_age(&self, sync_age: Arc<SyncAge>) {
        // It is set once.
        let _ = self.sync_age.set(sync_age);
    }

    /// The monotonic time in microseconds.
    pub(crate) fn now_us(&self) -> u64 {
        self.inbox.clock().mono_us()
    }

    /// The JSON of the answer to BANKS.
    pub(crate) fn banks_json(&self) -> String {
        let status = self.peers.status();
        let own_http = self.http.borrow();
        let own = self.identity.bank;
        let certificate_end_us = self.handshakes.as_ref().map(Handshakes::end_us);
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
                certificate_end_us: certificate_end_us.filter(|_| is_own),
            })
        });
        serde_json::to_string(&banks.collect::<Vec<_>>()).expect("it is plain JSON")
    }

    /// Sends the replies and messages that the node released.
    pub fn deliver(&self, out: &mut Vec<Released>, writer: &Writer) {
        let core = writer.core();
        self.peers.update_votes(&core.known_votes(), |bank| core.votes_to_send(bank));
        // While a reply waits for a sync, that sync is under way or next; afterwards this runs
        // again.
        let soon = writer.is_waited_for();
        let newest = writer.core().seq();
        let mut held = self.held.borrow_mut();
        let sessions = self.sessions.borrow();
        // Messages to banks are sent before replies: a client that turns to another bank arrives
        // after its commit.
        for released in out.extract_if(.., |released| !matches!(released, Released::Reply(_))) {
            match released {
                Released::Send(sending) => {
                    self.barrier.sent(sending.peer, &sending.message);
                    self.peers.send(sending.peer, sending.message);
                }
                Released::Close(bank) => self.peers.close(bank),
                Released::Meeting(bank, founding) => self.peers.met(bank, founding),
                Released::Reply(_) => {}
            }
        }
        for released in out.drain(..) {
            let Released::Reply(outgoing) = released else { continue };
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
        self.operator.undecided(core, self.now_us());
        self.step_logger.flush();
    }
}
