//! The bank's queue with its two priorities. Pure: no clock, no socket.
//!
//! Work that has begun precedes work that has not: otherwise load beyond the time-outs would turn
//! every transaction into an abort, and keep doing so. The queue refuses nothing; callers check
//! `room` first.

use consorcio_core::bank::io::{Input, Origin, SessionId};
use consorcio_core::limits::{QUEUE_FULL_MS, QUEUE_MAX, URGENT_RUN_MAX};
use consorcio_core::wire::request::Request;
use std::collections::VecDeque;

/// The low bits of a session's id are its index: two sessions that are open at once differ in them.
pub const SESSION_INDEX_BITS: u32 = 16;

/// An input that waits to be decided.
#[derive(Debug, PartialEq, Eq)]
pub struct WaitingInput {
    /// When it was pushed, on the monotonic clock in microseconds.
    pub since_us: u64,
    /// The input for the bank.
    pub input: Input,
}

/// The bank's queue.
///
/// COMMIT, ABORT, RESOLVE and all inputs from peers are urgent; the others get at least a quarter
/// of the decisions. The requests of one client keep their order; on a link between banks urgent
/// verbs overtake the link's PREPAREs.
#[derive(Debug)]
pub struct Queue {
    urgent: VecDeque<WaitingInput>,
    normal: VecDeque<WaitingInput>,
    requests: usize,
    requests_max: usize,
    /// Urgent inputs popped since the last normal one.
    urgent_run: u32,
    /// How many inputs of each session wait, by its index.
    sessions: Vec<QueueCounts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct QueueCounts {
    urgent: u32,
    normal: u32,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue::with_bound(QUEUE_MAX)
    }
}

impl Queue {
    /// An empty queue for at most `requests_max` requests.
    pub fn with_bound(requests_max: usize) -> Queue {
        Queue {
            urgent: VecDeque::new(),
            normal: VecDeque::new(),
            requests: 0,
            requests_max,
            urgent_run: 0,
            sessions: Vec::new(),
        }
    }

    /// How many more requests may be pushed at `now_us`. Inputs from peers do not count; peers have
    /// bounds of their own.
    ///
    /// A queue whose next new request has waited for `QUEUE_FULL_MS` is full, however short it is:
    /// what would be pushed behind it would be refused for its wait, and the work of the other
    /// banks on it would be lost. So an overload waits in the sockets of those who cause it.
    pub fn room(&self, now_us: u64) -> usize {
        let waits_long =
            |head: &WaitingInput| now_us.saturating_sub(head.since_us) >= QUEUE_FULL_MS * 1_000;
        if self.normal.front().is_some_and(waits_long) {
            return 0;
        }
        self.requests_max.saturating_sub(self.requests)
    }

    /// Whether no input waits.
    pub fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.normal.is_empty()
    }

    /// How many inputs wait.
    pub fn len(&self) -> usize {
        self.urgent.len() + self.normal.len()
    }

    /// Enqueues `input`, which arrived at `since_us`.
    pub fn push(&mut self, since_us: u64, input: Input) {
        let urgent = match &input {
            Input::Request { caller, origin, request, .. } => {
                is_urgent(request)
                    && (*origin == Origin::Link || self.counts(caller.session).normal == 0)
            }
            // The end of a session comes after all its requests.
            Input::Closed(session) => self.counts(*session).normal == 0,
            Input::Answer { .. }
            | Input::PeerUp(_)
            | Input::PeerDown(_)
            | Input::PeerShows { .. }
            | Input::PeerFounded { .. }
            | Input::PeerMet { .. }
            | Input::Tick
            | Input::AccessChanged(_)
            | Input::Started(_) => true,
        };
        self.put(since_us, input, urgent);
    }

    /// Enqueues a request behind all inputs that peers have sent so far, so that it sees their
    /// effect: urgent inputs keep their order. Its session must have no other request.
    pub fn push_behind_peers(&mut self, since_us: u64, input: Input) {
        self.put(since_us, input, true);
    }

    fn put(&mut self, since_us: u64, input: Input, urgent: bool) {
        if let Input::Request { .. } = input {
            self.requests += 1;
        }
        if let Some(session) = session_of(&input) {
            let counts = self.counts(session);
            *if urgent { &mut counts.urgent } else { &mut counts.normal } += 1;
        }
        let waiting = WaitingInput { since_us, input };
        if urgent { self.urgent.push_back(waiting) } else { self.normal.push_back(waiting) }
    }

    /// Removes the input that is decided next.
    pub fn pop(&mut self) -> Option<WaitingInput> {
        let urgent = match (self.urgent.is_empty(), self.normal.front()) {
            (true, None) => return None,
            (true, Some(_)) => false,
            (false, None) => true,
            (false, Some(head)) => {
                // New work has its share, but never overtakes an earlier request of its session.
                self.waits_for_own(&head.input) || self.urgent_run < URGENT_RUN_MAX
            }
        };
        let (queue, run) = if urgent {
            (&mut self.urgent, self.urgent_run.saturating_add(1))
        } else {
            (&mut self.normal, 0)
        };
        let waiting = queue.pop_front()?;
        self.urgent_run = run;
        if let Some(session) = session_of(&waiting.input) {
            let counts = self.counts(session);
            *if urgent { &mut counts.urgent } else { &mut counts.normal } -= 1;
        }
        if let Input::Request { .. } = waiting.input {
            self.requests -= 1;
        }
        Some(waiting)
    }

    /// Must an urgent input of the same session precede `head`, the first normal one?
    fn waits_for_own(&self, head: &Input) -> bool {
        let session = match head {
            Input::Request { origin: Origin::Client | Origin::Outside, caller, .. } => {
                caller.session
            }
            Input::Closed(session) => *session,
            Input::Request { origin: Origin::Link, .. }
            | Input::Answer { .. }
            | Input::PeerUp(_)
            | Input::PeerDown(_)
            | Input::PeerShows { .. }
            | Input::PeerFounded { .. }
            | Input::PeerMet { .. }
            | Input::Tick
            | Input::AccessChanged(_)
            | Input::Started(_) => return false,
        };
        self.sessions.get(index(session)).is_some_and(|counts| counts.urgent > 0)
    }

    fn counts(&mut self, session: SessionId) -> &mut QueueCounts {
        let index = index(session);
        if index >= self.sessions.len() {
            self.sessions.resize(index + 1, QueueCounts::default());
        }
        &mut self.sessions[index]
    }
}

/// Does it complete work that has begun?
fn is_urgent(request: &Request) -> bool {
    match request {
        Request::Commit(..) | Request::Abort(..) | Request::Resolve(_) => true,
        Request::Prepare(..)
        | Request::Status(_)
        | Request::Execute(..)
        | Request::Client(_)
        | Request::Account(_)
        | Request::Read(_)
        | Request::Local(_)
        | Request::Registers { .. } => false,
    }
}

fn session_of(input: &Input) -> Option<SessionId> {
    match input {
        Input::Request { caller, .. } => Some(caller.session),
        Input::Closed(session) => Some(*session),
        Input::Answer { .. }
        | Input::PeerUp(_)
        | Input::PeerDown(_)
        | Input::PeerShows { .. }
        | Input::PeerFounded { .. }
        | Input::PeerMet { .. }
        | Input::Tick
        | Input::AccessChanged(_)
        | Input::Started(_) => None,
    }
}

fn index(session: SessionId) -> usize {
    usize::try_from(session.0 & ((1 << SESSION_INDEX_BITS) - 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
