//! The bank's queue with its two priorities. Pure: no clock, no socket.
//!
//! Work that has begun precedes work that has not: otherwise load beyond the time-outs would turn
//! every transaction into an abort, and keep doing so. The queue refuses nothing; callers check
//! `room` first.

use consorcio_core::bank::io::{Input, Origin, SessionId};
use consorcio_core::limits::{QUEUE_MAX, URGENT_RUN_MAX};
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

    /// How many more requests may be pushed. Inputs from peers do not count; peers have bounds of
    /// their own.
    pub fn room(&self) -> usize {
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
        | Input::Started(_) => None,
    }
}

fn index(session: SessionId) -> usize {
    usize::try_from(session.0 & ((1 << SESSION_INDEX_BITS) - 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::bank::io::Caller;
    use consorcio_core::ids::{BankId, TxId};

    #[test]
    fn a_request_pushed_behind_peers_is_decided_after_their_inputs() {
        let mut queue = Queue::default();
        let peers = 2 * (URGENT_RUN_MAX + 1);
        let is_answer =
            |waiting: Option<WaitingInput>| matches!(waiting.unwrap().input, Input::PeerUp(_));
        for _ in 0..peers {
            queue.push(0, Input::PeerUp(BankId::new(1).unwrap()));
        }
        queue.push_behind_peers(0, request(1, 0, Origin::Client, false));
        assert_eq!((queue.len(), QUEUE_MAX - queue.room()), (peers as usize + 1, 1));
        for _ in 0..peers {
            assert!(is_answer(queue.pop()));
        }
        assert!(!is_answer(queue.pop()));
        assert_eq!((queue.is_empty(), queue.room()), (true, QUEUE_MAX));
    }

    /// A request named by session and slot: COMMIT where it is urgent, else STATUS.
    fn request(session: u64, slot: u64, origin: Origin, urgent: bool) -> Input {
        let tx = TxId::new(&format!("t{session}.{slot}")).unwrap();
        let request = if urgent { Request::Commit(tx, Vec::new()) } else { Request::Status(tx) };
        let caller = Caller { session: SessionId(session), slot };
        Input::Request { caller, origin, request, waited_us: 0, past: None }
    }

    fn name(input: &Input) -> String {
        match input {
            Input::Request { caller, request, .. } => {
                let verb = if is_urgent(request) { "c" } else { "p" };
                format!("{verb}{}.{}", caller.session.0, caller.slot)
            }
            Input::Closed(session) => format!("x{}", session.0),
            other => format!("{other:?}"),
        }
    }

    /// Fills a queue with inputs named as by `name`, and empties it. The prefix `l` is for requests
    /// of links, `o` for those of outside coordinators.
    fn order(pushed: &str) -> String {
        let mut queue = Queue::default();
        for text in pushed.split_whitespace() {
            let (origin, text) = match text.split_at(1) {
                ("l", rest) => (Origin::Link, rest),
                ("o", rest) => (Origin::Outside, rest),
                _ => (Origin::Client, text),
            };
            let (session, slot) = text[1..].split_once('.').unwrap_or((&text[1..], "0"));
            let (session, slot) = (session.parse().unwrap(), slot.parse().unwrap());
            match &text[..1] {
                "p" => queue.push(0, request(session, slot, origin, false)),
                "c" => queue.push(0, request(session, slot, origin, true)),
                "x" => queue.push(0, Input::Closed(SessionId(session))),
                _ => queue.push(0, Input::PeerUp(BankId::new(1).unwrap())),
            }
        }
        let mut order = Vec::new();
        while let Some(waiting) = queue.pop() {
            order.push(name(&waiting.input));
        }
        assert!(queue.is_empty() && queue.room() == QUEUE_MAX);
        order.join(" ")
    }

    #[test]
    fn work_that_has_begun_goes_first() {
        assert_eq!(order("p1.0 p2.0 c3.0 c4.0"), "c3.0 c4.0 p1.0 p2.0");
        assert_eq!(order("p1.0 u0"), "PeerUp(BankId(1)) p1.0");
    }

    #[test]
    fn a_quarter_is_reserved_for_new_work() {
        assert_eq!(
            order("p1.0 p2.0 c3.0 c4.0 c5.0 c6.0 c7.0 c8.0 c9.0"),
            "c3.0 c4.0 c5.0 p1.0 c6.0 c7.0 c8.0 p2.0 c9.0"
        );
    }

    #[test]
    fn a_client_keeps_its_own_order() {
        assert_eq!(order("p1.0 c1.1 c2.0"), "c2.0 p1.0 c1.1", "COMMIT after the own PREPARE");
        assert_eq!(order("c1.0 p1.1 c1.2 p2.0"), "c1.0 p1.1 c1.2 p2.0");
        // Session 9's read comes after its COMMIT, even when new work's share is due.
        assert_eq!(order("p9.9 c1.0 c2.0 c3.0 c9.0"), "c1.0 c2.0 c3.0 p9.9 c9.0");
        assert_eq!(order("c1.0 c2.0 c3.0 c9.0 p9.1"), "c1.0 c2.0 c3.0 c9.0 p9.1");
        // Once its COMMIT is popped, its new work gets its share.
        assert_eq!(order("c9.0 c1.0 c2.0 c3.0 p9.1"), "c9.0 c1.0 c2.0 p9.1 c3.0");
        assert_eq!(
            order("op1.0 oc1.1 oc2.0"),
            "c2.0 p1.0 c1.1",
            "an outside coordinator keeps its order, too"
        );
        assert_eq!(order("op9.9 c1.0 c2.0 c3.0 oc9.0"), "c1.0 c2.0 c3.0 p9.9 c9.0");
    }

    #[test]
    fn on_a_link_urgent_verbs_overtake() {
        assert_eq!(order("lp1.0 lp1.1 lc1.2"), "c1.2 p1.0 p1.1");
        // A link's PREPAREs get their share, too.
        assert_eq!(order("lp1.0 lc1.1 lc1.2 lc1.3 lc1.4"), "c1.1 c1.2 c1.3 p1.0 c1.4");
    }

    #[test]
    fn the_end_of_a_session_comes_after_all_its_requests() {
        assert_eq!(order("p1.0 c1.1 x1 c2.0"), "c2.0 p1.0 c1.1 x1");
        assert_eq!(order("c1.0 x1 p2.0"), "c1.0 x1 p2.0");
        assert_eq!(order("lp1.0 lc1.1 x1"), "c1.1 p1.0 x1");
        assert_eq!(order("p2.0 x1"), "x1 p2.0");
    }

    #[test]
    fn the_bound_is_on_requests() {
        let mut queue = Queue::with_bound(2);
        queue.push(5, request(1, 0, Origin::Client, false));
        queue.push(6, Input::PeerUp(BankId::new(1).unwrap()));
        assert_eq!(queue.room(), 1);
        queue.push(7, request(1, 1, Origin::Client, true));
        assert_eq!((queue.room(), queue.len()), (0, 3));
        assert_eq!(queue.pop().map(|w| w.since_us), Some(6));
        assert_eq!(queue.room(), 0);
        assert_eq!(queue.pop().map(|w| w.since_us), Some(5));
        assert_eq!(queue.room(), 1);
    }

    /// Random pushes and pops of a few sessions: no input is lost, and each client's order holds.
    #[test]
    fn a_random_mix_keeps_every_clients_order() {
        let mut seed = 7u64;
        for _ in 0..500 {
            let mut queue = Queue::default();
            let (mut next, mut seen, mut pushed) = ([0u64; 4], [0u64; 4], 0);
            for _ in 0..60 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let session = usize::try_from(seed >> 60).unwrap() % 4;
                if seed >> 59 & 1 == 0 {
                    let urgent = seed >> 40 & 1 == 0;
                    queue.push(0, request(session as u64, next[session], Origin::Client, urgent));
                    next[session] += 1;
                    pushed += 1;
                } else if let Some(waiting) = queue.pop() {
                    check(&waiting, &mut seen);
                    pushed -= 1;
                }
            }
            while let Some(waiting) = queue.pop() {
                check(&waiting, &mut seen);
                pushed -= 1;
            }
            assert_eq!((pushed, seen), (0, next));
        }
        fn check(waiting: &WaitingInput, seen: &mut [u64; 4]) {
            let Input::Request { caller, .. } = &waiting.input else {
                panic!("only requests were pushed")
            };
            let next = &mut seen[usize::try_from(caller.session.0).unwrap()];
            assert_eq!(caller.slot, *next, "session {:?}", caller.session);
            *next += 1;
        }
    }
}
