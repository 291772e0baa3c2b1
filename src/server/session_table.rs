//! The session table: where replies are delivered, and which sessions must end.
//!
//! The task of a session owns its socket. The entry here is shared with the node's loop and the
//! sweep of the server, all on one thread.

use crate::permits::{Permit, Permits};
use crate::slots::Slots;
use consorcio_core::access::Principal;
use consorcio_core::bank::io::{Outgoing, SessionId};
use consorcio_node::SESSION_INDEX_BITS;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Waker;

/// Why a session must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// It does not read its replies.
    Unread,
    /// It was evicted: it has sent nothing for long, and its permit is needed.
    Idle,
    /// It holds memory that other sessions need, and sends nothing.
    Hoarding,
    /// Only permits for banks were free, and it did not prove to be a bank.
    NoPlace,
    /// The certificate of its other end has ended.
    CertificateEnded,
    /// Its name has ended, or its certificate does not count any more.
    NameEnded,
    /// The server ends, after pending requests are answered.
    Shutdown,
}

impl SessionEnd {
    /// The reason for the step log, and for the peer if it gets one.
    pub fn as_str(self) -> &'static str {
        match self {
            SessionEnd::Unread => "its replies were not taken",
            SessionEnd::Idle => "idle, and all places are taken",
            SessionEnd::Hoarding => "idle with an unfinished line, and memory is short",
            SessionEnd::NoPlace => "too many connections, try again later",
            SessionEnd::CertificateEnded => "the certificate of this connection has ended",
            SessionEnd::NameEnded => {
                "its name was taken out of access.toml, or its certificate is too old"
            }
            SessionEnd::Shutdown => "this bank is shutting down",
        }
    }
}

/// The entry of a session, shared by all tasks of the server.
#[derive(Debug)]
pub(crate) struct SessionEntry {
    /// The id, which no other session ever gets.
    pub id: SessionId,
    /// The address that the connection came from.
    pub peer: SocketAddr,
    /// Who is at its other end.
    pub principal: Principal,
    /// When the certificate of its other end begins to count, in microseconds since 1970.
    pub certificate_begin_us: i64,
    /// When the certificate of its other end ends, in microseconds since 1970; never in open mode.
    pub certificate_end_us: i64,
    /// The state that its task and other tasks change.
    pub state: RefCell<SessionState>,
}

/// The other end of a new session.
#[derive(Debug, Clone)]
pub(crate) struct SessionPeer {
    /// The address that the connection came from.
    pub address: SocketAddr,
    /// Who is at that address.
    pub principal: Principal,
    /// When its certificate begins to count, in microseconds since 1970.
    pub certificate_begin_us: i64,
    /// When its certificate ends, in microseconds since 1970.
    pub certificate_end_us: i64,
}

impl SessionPeer {
    /// Any program of this machine, in open mode.
    pub(crate) fn open_mode(address: SocketAddr) -> SessionPeer {
        SessionPeer::inside(address, Principal::Operator)
    }

    /// A request of this process, on behalf of this one.
    pub(crate) fn inside(address: SocketAddr, principal: Principal) -> SessionPeer {
        let (certificate_begin_us, certificate_end_us) = (i64::MAX, i64::MAX);
        SessionPeer { address, principal, certificate_begin_us, certificate_end_us }
    }
}

/// The shared state of a session.
#[derive(Debug)]
pub(crate) struct SessionState {
    /// Its unanswered requests and their replies.
    pub slots: Slots,
    /// Wakes the session's task, once it has been polled.
    pub waker: Option<Waker>,
    /// Why it must end, if it must.
    pub end: Option<SessionEnd>,
    /// Its permit; `None` for a session inside this process, or after an eviction.
    pub permit: Option<Permit>,
    /// When its last input arrived; monotonic microseconds.
    pub last_input_us: u64,
    /// Since when its client has read nothing though replies wait; monotonic microseconds.
    pub unread_since_us: Option<u64>,
    /// Whether it holds more memory than its own part.
    pub borrows: bool,
}

impl SessionEntry {
    /// Makes the session end, unless it is ending already.
    pub(crate) fn end(&self, end: SessionEnd) {
        self.state.borrow_mut().end.get_or_insert(end);
        self.wake();
    }

    /// Wakes the task of the session.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.state.borrow().waker {
            waker.wake_by_ref();
        }
    }
}

/// All open sessions, by index.
#[derive(Debug, Default)]
pub(crate) struct SessionTable {
    sessions: Vec<Option<Rc<SessionEntry>>>,
    free: Vec<usize>,
    /// The number of sessions ever opened, which makes ids unique.
    opened: u64,
    /// The free and taken permits.
    pub permits: Permits,
}

impl SessionTable {
    /// An empty table with these permits.
    pub(crate) fn new(permits: Permits) -> SessionTable {
        SessionTable { permits, ..SessionTable::default() }
    }

    /// Opens a session for `end` with `permit`; a session inside this process needs none.
    pub(crate) fn open(
        &mut self,
        end: SessionPeer,
        permit: Option<Permit>,
        now_us: u64,
    ) -> Rc<SessionEntry> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() - 1
        });
        let low = u64::try_from(index).unwrap_or(u64::MAX);
        assert!(low < 1 << SESSION_INDEX_BITS, "sessions are distinguished by their index");
        self.opened += 1;
        let state = SessionState {
            slots: Slots::default(),
            waker: None,
            end: None,
            permit,
            last_input_us: now_us,
            unread_since_us: None,
            borrows: false,
        };
        let id = SessionId(self.opened << SESSION_INDEX_BITS | low);
        let SessionPeer { address: peer, principal, certificate_begin_us, certificate_end_us } =
            end;
        let state = RefCell::new(state);
        let entry = Rc::new(SessionEntry {
            id,
            peer,
            principal,
            certificate_begin_us,
            certificate_end_us,
            state,
        });
        self.sessions[index] = Some(entry.clone());
        entry
    }

    /// Removes `entry`, whose session has ended, and returns its permit.
    pub(crate) fn close(&mut self, entry: &SessionEntry) {
        let index = index(entry.id);
        if self
            .sessions
            .get(index)
            .is_some_and(|held| held.as_ref().is_some_and(|held| held.id == entry.id))
        {
            self.sessions[index] = None;
            self.free.push(index);
        }
        self.vacate(entry);
    }

    /// Returns the permit of `entry`, whose session may still be ending.
    pub(crate) fn vacate(&mut self, entry: &SessionEntry) {
        if let Some(permit) = entry.state.borrow_mut().permit.take() {
            self.permits.leave(permit);
        }
    }

    /// Delivers a reply if its session is still open. With `soon`, more replies follow shortly: a
    /// session that waits for more is returned instead of woken, so that one write sends all of
    /// them.
    pub(crate) fn deliver(&self, outgoing: Outgoing, soon: bool) -> Option<&Rc<SessionEntry>> {
        let entry = self.sessions.get(index(outgoing.to.session))?.as_ref()?;
        if entry.id != outgoing.to.session {
            return None;
        }
        let mut state = entry.state.borrow_mut();
        let expected = state.slots.fill(outgoing.to.slot, outgoing.reply);
        assert!(expected, "one reply for each request");
        if soon && state.slots.is_waiting() {
            return Some(entry);
        }
        if let Some(waker) = &state.waker {
            waker.wake_by_ref();
        }
        None
    }

    /// All sessions, in no defined order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rc<SessionEntry>> {
        self.sessions.iter().flatten()
    }
}

fn index(session: SessionId) -> usize {
    usize::try_from(session.0 & ((1 << SESSION_INDEX_BITS) - 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::bank::io::{After, Caller};
    use consorcio_core::wire::reply::Reply;

    #[test]
    fn a_reply_for_a_closed_session_is_dropped() {
        let mut sessions = SessionTable::default();
        let peer = SessionPeer::open_mode(SocketAddr::from(([127, 0, 0, 1], 1)));
        assert_eq!(sessions.permits.enter(), Some(Permit::Client));
        let first = sessions.open(peer.clone(), Some(Permit::Client), 0);
        let slot = first.state.borrow_mut().slots.take(1, 1);
        sessions.close(&first);
        assert_eq!(sessions.iter().count(), 0);
        assert_eq!(sessions.permits.enter(), Some(Permit::Client));
        let second = sessions.open(peer, Some(Permit::Client), 0);
        second.state.borrow_mut().slots.take(1, 1);
        assert_eq!(index(first.id), index(second.id), "the index is reused");
        assert_ne!(first.id, second.id);
        let to = |session| Caller { session, slot };
        sessions
            .deliver(Outgoing { to: to(first.id), reply: Reply::Pong, after: After::Now }, false);
        assert_eq!(second.state.borrow_mut().slots.pop_ready(), None);
        sessions
            .deliver(Outgoing { to: to(second.id), reply: Reply::Bye, after: After::Now }, false);
        assert_eq!(second.state.borrow_mut().slots.pop_ready(), Some(Reply::Bye));
        assert_eq!(sessions.iter().count(), 1);
    }
}
