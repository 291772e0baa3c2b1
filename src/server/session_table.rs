//! A session as others see it: where replies are put, and which sessions must end.
//!
//! The session's task owns the socket; what stands here is shared with the node's loop and the
//! server's sweep, all on one thread.

use crate::permits::{Permit, Permits};
use crate::slots::Slots;
use consorcio_core::bank::io::{Outgoing, SessionId};
use consorcio_node::queue::SESSION_INDEX_BITS;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Waker;

/// Why a session must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// It does not take its replies.
    Unread,
    /// It sent nothing for long, and its place is needed.
    Idle,
    /// It holds memory that others need, and sends nothing.
    Hoarding,
    /// There was no place but those for banks, and it is none.
    NoPlace,
    /// The server ends: what was asked is answered first.
    Shutdown,
}

impl SessionEnd {
    /// The words for the step log, and for the peer where it hears them.
    pub fn as_str(self) -> &'static str {
        match self {
            SessionEnd::Unread => "its replies were not taken",
            SessionEnd::Idle => "idle, and all places are taken",
            SessionEnd::Hoarding => "idle with an unfinished line, and memory is short",
            SessionEnd::NoPlace => "too many connections, try again later",
            SessionEnd::Shutdown => "this bank is shutting down",
        }
    }
}

/// A session as all tasks of the server see it.
#[derive(Debug)]
pub struct SessionEntry {
    /// It is never used again for another session.
    pub id: SessionId,
    /// The address that the connection came from.
    pub peer: SocketAddr,
    /// What its task and others change.
    pub state: RefCell<SessionState>,
}

/// What changes of a session and is seen by others.
#[derive(Debug)]
pub struct SessionState {
    /// Its requests that are not answered yet.
    pub slots: Slots,
    /// Wakes the session's task, once it has been polled.
    pub waker: Option<Waker>,
    /// Why it must end, once it must.
    pub end: Option<SessionEnd>,
    /// What its place is; `None` once it was given to another.
    pub place: Option<Permit>,
    /// When it last sent something; monotonic microseconds.
    pub last_input_us: u64,
    /// Since when it has not taken a byte of the replies that wait for it.
    pub unread_since_us: Option<u64>,
    /// It holds more memory than its own part.
    pub borrows: bool,
}

impl SessionEntry {
    /// Asks the session to end, unless it was asked already.
    pub fn end(&self, end: SessionEnd) {
        self.state.borrow_mut().end.get_or_insert(end);
        self.wake();
    }

    /// Lets the session's task look at its state.
    pub fn wake(&self) {
        if let Some(waker) = &self.state.borrow().waker {
            waker.wake_by_ref();
        }
    }
}

/// The sessions that are open, by their numbers.
#[derive(Debug, Default)]
pub struct SessionTable {
    sessions: Vec<Option<Rc<SessionEntry>>>,
    free: Vec<usize>,
    /// Makes numbers that are never used twice.
    opened: u64,
    /// Who may have a session.
    pub places: Permits,
}

impl SessionTable {
    /// No session; as many `places`.
    pub fn new(places: Permits) -> SessionTable {
        SessionTable { places, ..SessionTable::default() }
    }

    /// Opens a session for `peer` in `place`; one inside this process needs none.
    pub fn open(
        &mut self,
        peer: SocketAddr,
        place: Option<Permit>,
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
            place,
            last_input_us: now_us,
            unread_since_us: None,
            borrows: false,
        };
        let id = SessionId(self.opened << SESSION_INDEX_BITS | low);
        let entry = Rc::new(SessionEntry { id, peer, state: RefCell::new(state) });
        self.sessions[index] = Some(entry.clone());
        entry
    }

    /// Frees the place of `entry`, whose session has ended.
    pub fn close(&mut self, entry: &SessionEntry) {
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

    /// The session gives its place to others, though it may not have ended yet.
    pub fn vacate(&mut self, entry: &SessionEntry) {
        if let Some(place) = entry.state.borrow_mut().place.take() {
            self.places.leave(place);
        }
    }

    /// Puts a reply where it goes, if its session still is there. With `soon`, more replies come in
    /// a moment: a session that waits for more is then not woken, but returned, for its replies to
    /// go out in one write.
    pub fn deliver(&self, outgoing: Outgoing, soon: bool) -> Option<&Rc<SessionEntry>> {
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

    /// Each session once, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<SessionEntry>> {
        self.sessions.iter().flatten()
    }

    /// Is there no session?
    pub fn is_empty(&self) -> bool {
        self.sessions.len() == self.free.len()
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len() - self.free.len()
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
    fn a_reply_for_a_session_that_is_gone_goes_nowhere() {
        let mut sessions = SessionTable::default();
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(sessions.places.enter(), Some(Permit::Client));
        let first = sessions.open(peer, Some(Permit::Client), 0);
        let slot = first.state.borrow_mut().slots.take(1, 1);
        sessions.close(&first);
        assert!(sessions.is_empty());
        assert_eq!(sessions.places.enter(), Some(Permit::Client));
        let second = sessions.open(peer, Some(Permit::Client), 0);
        second.state.borrow_mut().slots.take(1, 1);
        assert_eq!(index(first.id), index(second.id), "the index is used again");
        assert_ne!(first.id, second.id);
        let to = |session| Caller { session, slot };
        sessions
            .deliver(Outgoing { to: to(first.id), reply: Reply::Pong, after: After::Now }, false);
        assert_eq!(second.state.borrow_mut().slots.pop_ready(), None);
        sessions
            .deliver(Outgoing { to: to(second.id), reply: Reply::Bye, after: After::Now }, false);
        assert_eq!(second.state.borrow_mut().slots.pop_ready(), Some(Reply::Bye));
        assert_eq!(sessions.len(), 1);
    }
}
