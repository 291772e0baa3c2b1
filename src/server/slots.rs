//! The unanswered requests of a session, in their order. Pure.
//!
//! Replies arrive in any order and leave in the order of the requests. This bounds the requests,
//! the bytes of unanswered input, and the bytes of replies of one session. The bytes of a reply are
//! reserved when its request is taken, so that long replies can't exceed the bound; once the reply
//! exists, only its actual memory counts.

use consorcio_core::limits::{
    ALLOCATION_BYTES, LINE_BYTES_MAX, SESSION_INPUT_BYTES_MAX, SESSION_OUTPUT_BYTES_MAX,
    SESSION_REQUESTS_MAX,
};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Request};
use std::collections::VecDeque;

/// Reserved for a short reply: as many as there may be requests fit the bound.
const SHORT_REPLY_BYTES: usize = SESSION_OUTPUT_BYTES_MAX / SESSION_REQUESTS_MAX;

/// The requests of one session whose replies have not left yet.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// The number of the first request in `ring`.
    first: u64,
    ring: VecDeque<Slot>,
    unanswered: usize,
    input_bytes: usize,
    output_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    reply: Option<Reply>,
    line_bytes: usize,
    /// The bytes that count for its reply: reserved until it exists, then held.
    reply_bytes: usize,
}

/// The bytes that are reserved for the reply to `request`.
pub(crate) fn reply_bytes(request: &Request) -> usize {
    match request {
        Request::Read(read) if read.is_page() => LINE_BYTES_MAX,
        Request::Registers { .. } => LINE_BYTES_MAX,
        Request::Local(Local::Help(_) | Local::Banks) => LINE_BYTES_MAX / 8,
        Request::Prepare(..)
        | Request::Commit(..)
        | Request::Abort(..)
        | Request::Resolve(_)
        | Request::Status(_)
        | Request::Execute(..)
        | Request::Client(_)
        | Request::Account(_)
        | Request::Read(_)
        | Request::Local(Local::Peer(_) | Local::Hello(_) | Local::Ping | Local::Quit) => {
            SHORT_REPLY_BYTES
        }
    }
}

/// `reply` without unused capacity, and its heap memory.
fn held(mut reply: Reply) -> (Reply, usize) {
    reply.shrink();
    let held = reply.heap_bytes();
    (reply, if held == 0 { 0 } else { held + ALLOCATION_BYTES })
}

impl Slots {
    /// Is there room for one more request of `line_bytes` whose reply has at most `reply_bytes`,
    /// while `unread_bytes` of earlier replies are not written yet?
    pub(crate) fn has_room(
        &self,
        line_bytes: usize,
        reply_bytes: usize,
        unread_bytes: usize,
    ) -> bool {
        self.ring.len() < SESSION_REQUESTS_MAX
            && self.input_bytes + line_bytes <= SESSION_INPUT_BYTES_MAX
            && self.output_bytes + reply_bytes + unread_bytes <= SESSION_OUTPUT_BYTES_MAX
    }

    /// Adds a request; returns its number in the session.
    pub(crate) fn take(&mut self, line_bytes: usize, reply_bytes: usize) -> u64 {
        self.add(None, line_bytes, reply_bytes)
    }

    /// Adds a request that is answered already.
    pub(crate) fn take_answered(&mut self, line_bytes: usize, reply: Reply) {
        let (reply, held) = held(reply);
        self.add(Some(reply), line_bytes, held);
    }

    /// Stores the reply to request number `slot`. Returns `false` if no request waits for it.
    pub(crate) fn fill(&mut self, slot: u64, reply: Reply) -> bool {
        let index = slot.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.ring.get_mut(index)) {
            Some(slot) if slot.reply.is_none() => {
                let (reply, held) = held(reply);
                slot.reply = Some(reply);
                self.output_bytes = self.output_bytes - slot.reply_bytes + held;
                slot.reply_bytes = held;
                self.unanswered -= 1;
                true
            }
            Some(_) | None => false,
        }
    }

    /// The number of requests so far, which is the number of the last one as both ends count.
    pub(crate) fn taken(&self) -> u64 {
        self.first + u64::try_from(self.ring.len()).unwrap_or(u64::MAX)
    }

    /// The number of replies that have left so far, which is the number of the last answered
    /// request.
    pub(crate) fn replied(&self) -> u64 {
        self.first
    }

    /// Removes the next reply that may leave.
    pub(crate) fn pop_ready(&mut self) -> Option<Reply> {
        let reply = self.ring.front_mut()?.reply.take()?;
        let slot = self.ring.pop_front()?;
        self.first += 1;
        self.input_bytes -= slot.line_bytes;
        self.output_bytes -= slot.reply_bytes;
        Some(reply)
    }

    /// Is there a reply that may leave?
    pub(crate) fn has_reply(&self) -> bool {
        self.ring.front().is_some_and(|slot| slot.reply.is_some())
    }

    /// Is there a request without its reply?
    pub(crate) fn is_waiting(&self) -> bool {
        self.unanswered > 0
    }

    /// Has every reply left?
    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// The memory that counts for it: unanswered requests, replies or the bytes reserved for them,
    /// and the ring.
    pub(crate) fn bytes(&self) -> usize {
        self.input_bytes + self.output_bytes + self.ring.capacity() * size_of::<Slot>()
    }

    /// Frees the memory of a burst.
    pub(crate) fn shrink(&mut self) {
        if self.ring.is_empty() {
            self.ring = VecDeque::new();
        }
    }

    fn add(&mut self, reply: Option<Reply>, line_bytes: usize, reply_bytes: usize) -> u64 {
        let slot = self.taken();
        self.unanswered += usize::from(reply.is_none());
        self.ring.push_back(Slot { reply, line_bytes, reply_bytes });
        self.input_bytes += line_bytes;
        self.output_bytes += reply_bytes;
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::wire::Reason;
    use consorcio_core::wire::request::Read;

    /// The bytes of requests and replies, without the ring.
    fn counted(slots: &Slots) -> usize {
        slots.input_bytes + slots.output_bytes
    }

    fn reply(text: &str) -> Reply {
        Reply::Refused(Reason::Refused, text.to_owned())
    }

    #[test]
    fn replies_leave_in_the_order_of_their_requests() {
        let mut slots = Slots::default();
        let (a, b) = (slots.take(10, 100), slots.take(20, 100));
        slots.take_answered(5, reply("c"));
        let d = slots.take(1, 100);
        assert_eq!((a, b, d), (0, 1, 3));
        assert_eq!((slots.taken(), slots.replied()), (4, 0), "including those answered at once");
        assert!(slots.fill(b, reply("b")));
        assert_eq!(slots.pop_ready(), None, "a has no reply yet");
        assert!(slots.fill(a, reply("a")) && slots.is_waiting());
        for text in ["a", "b", "c"] {
            assert_eq!(slots.pop_ready(), Some(reply(text)));
        }
        assert_eq!((slots.pop_ready(), slots.replied()), (None, 3));
        assert_eq!(counted(&slots), 101);
        assert!(!slots.fill(a, reply("again")) && !slots.fill(9, reply("never asked")));
        assert!(slots.fill(d, reply("d")) && !slots.fill(d, reply("twice")));
        assert_eq!(slots.pop_ready(), Some(reply("d")));
        slots.shrink();
        assert!(slots.is_empty() && slots.bytes() == 0 && !slots.is_waiting());
    }

    #[test]
    fn a_session_is_bounded_in_requests_input_and_output() {
        let mut slots = Slots::default();
        for _ in 0..SESSION_REQUESTS_MAX {
            assert!(slots.has_room(10, SHORT_REPLY_BYTES, 0));
            slots.take(10, SHORT_REPLY_BYTES);
        }
        assert!(!slots.has_room(10, 0, 0), "requests");

        let mut slots = Slots::default();
        let mut lines = 0;
        while slots.has_room(LINE_BYTES_MAX, 1, 0) {
            slots.take(LINE_BYTES_MAX, 1);
            lines += 1;
        }
        assert_eq!(lines, SESSION_INPUT_BYTES_MAX / LINE_BYTES_MAX);

        let mut slots = Slots::default();
        assert!(
            !slots.has_room(10, LINE_BYTES_MAX, SESSION_OUTPUT_BYTES_MAX - 1),
            "replies not written yet"
        );
        let lists = reply_bytes(&Request::Read(Read::Clients { after: None }));
        let mut taken = 0;
        while slots.has_room(10, lists, 0) {
            slots.take(10, lists);
            taken += 1;
        }
        assert_eq!(taken, SESSION_OUTPUT_BYTES_MAX / LINE_BYTES_MAX, "long replies count in full");
    }

    #[test]
    fn the_counted_bytes_are_the_held_bytes() {
        let long = |bytes: usize| {
            let mut text = String::with_capacity(4 * bytes);
            text.extend(std::iter::repeat_n('x', bytes));
            Reply::Done(text)
        };
        let mut slots = Slots::default();
        let slot = slots.take(10, LINE_BYTES_MAX);
        assert_eq!(counted(&slots), 10 + LINE_BYTES_MAX, "reserved");
        assert!(slots.fill(slot, long(1_000)));
        assert_eq!(
            counted(&slots),
            10 + 1_000 + ALLOCATION_BYTES,
            "a shorter reply returns the rest"
        );
        slots.take_answered(5, long(8_000));
        assert_eq!(
            counted(&slots),
            15 + 9_000 + 2 * ALLOCATION_BYTES,
            "a reply without a reservation"
        );
        slots.take_answered(5, Reply::Pong);
        assert_eq!(slots.bytes() - counted(&slots), slots.ring.capacity() * size_of::<Slot>());
        while slots.pop_ready().is_some() {}
        slots.shrink();
        assert_eq!(slots.bytes(), 0);
    }
}
