//! One session: reads lines, hands requests to the bank a read at a time, and writes replies in
//! their order.
//!
//! One task, driven by whatever is ready: bytes to read, room to write, replies that were put into
//! its slots. It is not read while it is at a bound, or while the bank's queue is full. A line that
//! the end of the stream cut off is never executed.

use crate::Shared;
use crate::memory::{LINE_BYTES_WHOLE, SESSION_BYTES_OWN, Share};
use crate::permits::Permit;
use crate::session_table::{End, SessionEntry, SessionState};
use crate::slots::reply_bytes;
use bytes::BufMut;
use consorcio_core::bank::io::{Caller, Input, Origin};
use consorcio_core::limits::LINE_BYTES_MAX;
use consorcio_core::wire::codec::{LineError, Lines};
use consorcio_core::wire::opening::{Hello, Opening, Stranger, is_hello, is_host, opening};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Request};
use consorcio_core::wire::{Fault, Reason, help};
use consorcio_node::queue::Queue;
use consorcio_peers::Acceptor;
use consorcio_steps::steplog::{Step, Who};
use consorcio_system::crash;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;

/// The first read of a session has room for this much; each that fills it doubles the next one's.
const READ_BYTES_MIN: usize = 4 * 1024;
/// ... up to this.
const READ_BYTES_MAX: usize = LINE_BYTES_MAX;
/// So many bytes of a line are read whatever memory is left; more only once enough for the whole
/// line is set aside.
const LINE_BYTES_BEGUN: usize = SESSION_BYTES_OWN / 2;
/// Replies are formatted up to here before they are written; the others wait in their slots.
const OUT_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;
/// Memory for replies that an idle session may keep.
const OUT_BYTES_KEPT: usize = 4 * 1024;

/// Runs the session of `entry` on `stream` to its end. Its place is free afterwards.
pub async fn run(shared: Rc<Shared>, entry: Rc<SessionEntry>, stream: TcpStream) {
    let mut session = Session::new(shared.clone(), entry.clone(), stream);
    let why = poll_fn(|cx| session.poll(cx)).await;
    let Session { stream, who, polite, .. } = session;
    shared.step_logger.tell(|| Step::Disconnect(who, why.into()));
    shared.sessions.borrow_mut().close(&entry);
    shared.gate.leave(entry.id.0);
    // Banks ask each other about what its driver leaves behind; one that ends itself lets them
    // notice that.
    if !shared.stopping.get() {
        shared.inbox.offer(Input::Closed(entry.id));
    }
    shared.session_ended.notify_one();
    if polite {
        shared.linger(stream).await;
    }
}

struct Session {
    shared: Rc<Shared>,
    entry: Rc<SessionEntry>,
    stream: TcpStream,
    who: Who,
    acceptor: Acceptor,
    lines: Lines,
    /// A first line came, and it was one of ours.
    begun: bool,
    read_bytes: usize,
    /// A line that was read, but for which there is no room yet, and its length.
    stash: Option<(Result<Request, Fault>, usize)>,
    out: Vec<u8>,
    written: usize,
    leaving: crash::Leaving,
    share: Share,
    /// Nothing more is read: the stream ended, or it was told to end.
    deaf: Option<&'static str>,
    /// It sent what was not read to its end: the connection is closed slowly, so that the last line
    /// arrives.
    polite: bool,
}

/// Why nothing more is handed over for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handed {
    /// All lines that were read.
    All,
    /// The session is at a bound; it goes on when replies have left.
    Bound,
    /// The bank's queue is full.
    QueueFull,
    /// It would concern other banks, which this one waits for after its start.
    Gated,
    /// Memory is short: it goes on when it may hold so many bytes.
    MemoryShort(usize),
}

/// What came of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// Bytes, or the end of the stream.
    Something,
    /// Nothing more is read, ever.
    Deaf,
    /// Memory is short for the line that was begun: it goes on when it may hold so many bytes.
    MemoryShort(usize),
}

impl Session {
    fn new(shared: Rc<Shared>, entry: Rc<SessionEntry>, stream: TcpStream) -> Session {
        Session {
            who: Who::Address(entry.peer),
            share: Share::of(&shared.bytes),
            shared,
            entry,
            stream,
            acceptor: Acceptor::default(),
            lines: Lines::new(),
            begun: false,
            read_bytes: READ_BYTES_MIN,
            stash: None,
            out: Vec::new(),
            written: 0,
            leaving: crash::Leaving::default(),
            deaf: None,
            polite: false,
        }
    }

    /// Does all that can be done now. Ready when the session is over, with the reason.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        let entry = self.entry.clone();
        let mut state = entry.state.borrow_mut();
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        let handed = loop {
            if let Some(end) = state.end
                && self.end(&mut state, end)
            {
                return Poll::Ready(end.as_str());
            }
            let writable = loop {
                self.take_replies(&mut state);
                match self.write(cx, &mut state) {
                    Ok(true) if state.slots.has_reply() => {}
                    Ok(writable) => break writable,
                    Err(why) => return Poll::Ready(why),
                }
            };
            let handed = self.hand_over(&mut state);
            let mut wants = None;
            let more = match handed {
                // What was answered at once goes out before more is read.
                Handed::All if writable && state.slots.has_reply() => true,
                Handed::All => match self.read(cx, &mut state) {
                    Poll::Ready(Read::Something) => true,
                    Poll::Ready(Read::MemoryShort(bytes)) => {
                        wants = Some(bytes);
                        false
                    }
                    Poll::Ready(Read::Deaf) | Poll::Pending => false,
                },
                Handed::Bound => writable && state.slots.has_reply(),
                Handed::Gated => {
                    self.shared.gate.wait(self.entry.id.0, cx.waker());
                    false
                }
                Handed::QueueFull => {
                    self.shared.inbox.wait_for_room(cx.waker());
                    false
                }
                Handed::MemoryShort(bytes) => {
                    wants = Some(bytes);
                    false
                }
            };
            // Whoever waits holds no more than it must: buffers that wait for each other would wait
            // for ever.
            if wants.is_some() && self.lines.waiting_bytes() <= LINE_BYTES_BEGUN {
                let freed = self.lines.shrink();
                self.read_bytes = READ_BYTES_MIN;
                wants = wants.map(|bytes| bytes - freed);
            }
            self.share.settle(self.set_aside(&state), wants.map(|bytes| (bytes, cx.waker())));
            state.borrows = self.share.is_borrowing();
            if !more {
                break handed;
            }
        };
        match self.deaf {
            // All that was read is answered, and all answers are written.
            Some(why) if handed == Handed::All && state.slots.is_empty() && self.out.is_empty() => {
                Poll::Ready(why)
            }
            Some(_) | None => {
                state.slots.shrink();
                Poll::Pending
            }
        }
    }

    /// What an order to end means. `true`: at once, whatever waits.
    fn end(&mut self, state: &mut SessionState, end: End) -> bool {
        match end {
            End::Unread | End::Idle | End::Hoarding => true,
            End::Shutdown => {
                self.deaf.get_or_insert(end.as_str());
                false
            }
            End::NoPlace => {
                if self.deaf.is_none() {
                    self.refuse(state, Reason::Limit, end.as_str().to_owned(), end.as_str());
                }
                false
            }
        }
    }

    /// The session's last line is an ERR; nothing that follows it is read.
    fn refuse(
        &mut self,
        state: &mut SessionState,
        reason: Reason,
        text: String,
        why: &'static str,
    ) {
        state.slots.take_answered(0, Reply::Err(reason, text));
        self.polite = true;
        self.forget_the_rest(why);
    }

    /// Whatever was sent after this does not count.
    fn forget_the_rest(&mut self, why: &'static str) {
        self.deaf.get_or_insert(why);
        self.lines = Lines::new();
    }

    /// Formats the replies whose turn it is, as many as one write takes.
    fn take_replies(&mut self, state: &mut SessionState) {
        while self.out.len() < OUT_BYTES_MAX
            && let Some(reply) = state.slots.pop_ready()
        {
            if reply != Reply::Pong {
                self.shared.step_logger.tell(|| Step::of_reply(&reply, self.who));
            }
            crash::replying(&reply);
            reply.write_to(&mut self.out);
            self.leaving.reply(&reply);
        }
    }

    /// Writes what the socket takes. `Ok(true)`: all of it.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        state: &mut SessionState,
    ) -> Result<bool, &'static str> {
        while self.written < self.out.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out[self.written..]) {
                Poll::Ready(Ok(taken)) if taken > 0 => {
                    self.written += taken;
                    state.unread_since_us = None;
                }
                Poll::Ready(Ok(_) | Err(_)) => return Err("the connection broke"),
                Poll::Pending => {
                    if state.unread_since_us.is_none() {
                        state.unread_since_us = Some(self.shared.now_us());
                    }
                    // What is written is not kept while the rest waits.
                    self.out.drain(..self.written);
                    self.written = 0;
                    return Ok(false);
                }
            }
        }
        self.leaving.written();
        self.written = 0;
        self.out.clear();
        self.out.shrink_to(OUT_BYTES_KEPT);
        Ok(true)
    }

    /// Hands the requests of all lines that were read to the bank, as far as there is room.
    fn hand_over(&mut self, state: &mut SessionState) -> Handed {
        if self.stash.is_none() && self.lines.waiting_bytes() == 0 {
            return Handed::All;
        }
        let since_us = self.shared.now_us();
        let inbox = self.shared.inbox.clone();
        inbox.fill(|queue| {
            loop {
                if queue.room() == 0 {
                    return Handed::QueueFull;
                }
                let (line, line_bytes) = match self.stash.take() {
                    Some(stashed) => stashed,
                    None => match self.next_request(state) {
                        Some(line) => line,
                        None if self.is_at_bound(state) => return Handed::Bound,
                        None => return Handed::All,
                    },
                };
                let reply_bytes = match &line {
                    Ok(request) => reply_bytes(request),
                    Err(fault) => fault.text.len(),
                };
                let unread = self.out.len() - self.written;
                let wanted = self.bytes(state) + line_bytes + reply_bytes;
                let who = self.entry.id.0;
                let gated = |request: &Request| self.shared.gate.holds(who, request, since_us);
                let gated = line.as_ref().is_ok_and(gated);
                let handed = if gated {
                    Handed::Gated
                } else if !state.slots.has_room(line_bytes, reply_bytes, unread) {
                    Handed::Bound
                } else if !self.share.may_hold(wanted) {
                    Handed::MemoryShort(wanted)
                } else {
                    match line {
                        Ok(request) => {
                            self.take(state, queue, since_us, request, line_bytes, reply_bytes)
                        }
                        Err(fault) => {
                            let text = fault.text.as_str();
                            self.shared
                                .step_logger
                                .tell(|| Step::Bad(self.who, fault.reason, text.into()));
                            state.slots.take_answered(line_bytes, Reply::from(fault));
                        }
                    }
                    continue;
                };
                self.stash = Some((line, line_bytes));
                return handed;
            }
        })
    }

    /// The next line as a request, or why it is none; and its length.
    fn next_request(
        &mut self,
        state: &mut SessionState,
    ) -> Option<(Result<Request, Fault>, usize)> {
        // A line that is an error is answered at once, so there must be room for that.
        if self.is_at_bound(state) {
            return None;
        }
        if let Some(stranger) = self.stranger() {
            let text = stranger.as_str();
            self.shared.step_logger.tell(|| Step::Bad(self.who, Reason::Malformed, text.into()));
            self.refuse(state, Reason::Malformed, text.to_owned(), "it speaks another protocol");
            return None;
        }
        let is_first = !self.begun && opening(self.lines.waiting()) == Opening::Verb;
        let is_hello = is_first && is_hello(self.lines.waiting());
        let before = self.lines.waiting_bytes();
        let line = self.lines.next()?.map(Request::parse);
        self.begun |= is_first;
        let line_bytes = before - self.lines.waiting_bytes();
        let parsed = match line {
            Ok(parsed) => parsed,
            Err(error) => {
                match error {
                    LineError::NotUtf8 => {}
                    LineError::TooLong => {
                        self.polite = true;
                        self.deaf = Some("a line was too long");
                    }
                }
                Err(Fault::from(error))
            }
        };
        if state.place == Some(Permit::Probation)
            && !matches!(parsed, Ok(Request::Local(Local::Peer(_))))
        {
            self.refuse(
                state,
                Reason::Limit,
                End::NoPlace.as_str().to_owned(),
                End::NoPlace.as_str(),
            );
            return None;
        }
        let fault = match parsed {
            Ok(Request::Local(Local::Hello(hello))) => match self.greet(&hello, is_first) {
                Ok(()) => return Some((Ok(Request::Local(Local::Hello(hello))), line_bytes)),
                Err(fault) => fault,
            },
            Ok(request) => return Some((Ok(request), line_bytes)),
            Err(fault) => fault,
        };
        if is_hello {
            // What was sent with it was meant for another bank.
            self.shared
                .step_logger
                .tell(|| Step::Bad(self.who, fault.reason, fault.text.as_str().into()));
            self.refuse(state, fault.reason, fault.text, "its HELLO was for another bank");
            return None;
        }
        Some((Err(fault), line_bytes))
    }

    /// Who it is that sends what is none of ours: as the first line, or later a line of HTTP.
    fn stranger(&self) -> Option<Stranger> {
        if self.begun {
            return Some(Stranger::Http).filter(|_| is_host(self.lines.waiting()));
        }
        match opening(self.lines.waiting()) {
            Opening::Stranger(stranger) => Some(stranger),
            Opening::Unfinished | Opening::Empty | Opening::Verb => None,
        }
    }

    /// May a HELLO stand here, and is it for this bank?
    fn greet(&self, hello: &Hello, is_first: bool) -> Result<(), Fault> {
        if !is_first {
            let text = "HELLO is a connection's first line, or is not sent".to_owned();
            return Err(Fault { reason: Reason::Refused, text });
        }
        self.shared.greet(hello)
    }

    fn is_at_bound(&self, state: &SessionState) -> bool {
        !state.slots.has_room(0, 1, self.out.len() - self.written)
    }

    /// Takes one request: the bank's go into its queue, the others are answered here, in their
    /// turn.
    fn take(
        &mut self,
        state: &mut SessionState,
        queue: &mut Queue,
        since_us: u64,
        request: Request,
        line_bytes: usize,
        reply_bytes: usize,
    ) {
        crash::received(&request, self.acceptor.origin());
        if request != Request::Local(Local::Ping) {
            self.shared.step_logger.tell(|| Step::of_request(&request, self.who));
        }
        let reply = match request {
            Request::Local(Local::Ping) => Reply::Pong,
            Request::Local(Local::Help) => Reply::Done(help::json()),
            Request::Local(Local::Quit) => {
                self.forget_the_rest("QUIT");
                Reply::Bye
            }
            Request::Local(Local::Banks) => Reply::Done(self.shared.banks_json()),
            Request::Local(Local::Hello(_)) => Reply::Done(self.shared.hello_json()),
            Request::Local(Local::Peer(json)) => self.peer(state, queue, since_us, &json),
            Request::Prepare(..)
            | Request::Commit(..)
            | Request::Abort(..)
            | Request::Resolve(_)
            | Request::Status(_)
            | Request::Execute(..)
            | Request::Client(_)
            | Request::Account(_)
            | Request::Read(_)
            | Request::Registers { .. } => {
                let slot = state.slots.take(line_bytes, reply_bytes);
                let caller = Caller { session: self.entry.id, slot };
                let origin = self.acceptor.origin();
                queue.push(
                    since_us,
                    Input::Request { caller, origin, request, waited_us: 0, past: None },
                );
                return;
            }
        };
        state.slots.take_answered(line_bytes, reply);
    }

    /// A line of the handshake between banks, or what a bank tells later.
    fn peer(
        &mut self,
        state: &mut SessionState,
        queue: &mut Queue,
        since_us: u64,
        json: &str,
    ) -> Reply {
        let was_client = self.acceptor.origin() == Origin::Client;
        let (reply, told) = self.shared.peers.answer(&mut self.acceptor, json);
        told.into_iter().for_each(|input| queue.push(since_us, input));
        self.acceptor.bank().into_iter().for_each(|bank| self.shared.gate.heard(bank));
        if was_client && self.acceptor.origin() == Origin::Link {
            if let Some(bank) = self.acceptor.bank() {
                self.who = Who::Link(self.entry.peer, bank);
            }
            if let Some(place) = state.place {
                state.place = Some(self.shared.sessions.borrow_mut().places.is_bank(place));
            }
        }
        reply
    }

    /// Reads once.
    fn read(&mut self, cx: &mut Context<'_>, state: &mut SessionState) -> Poll<Read> {
        if self.deaf.is_some() {
            return Poll::Ready(Read::Deaf);
        }
        let waiting = self.lines.waiting_bytes();
        debug_assert!(waiting < LINE_BYTES_MAX, "at most one line is not whole");
        let whole = self.bytes(state) - self.lines.memory_bytes() + LINE_BYTES_WHOLE;
        let most = if self.share.may_hold(whole) { LINE_BYTES_MAX } else { LINE_BYTES_BEGUN };
        let room = self.read_bytes.min(most.saturating_sub(waiting));
        if room == 0 {
            return Poll::Ready(Read::MemoryShort(whole));
        }
        let mut buffer = self.lines.space(room).limit(room);
        let read = pin!(self.stream.read_buf(&mut buffer)).poll(cx);
        match read {
            Poll::Ready(Ok(0)) => {
                self.deaf = Some("the other end closed it");
                Poll::Ready(Read::Something)
            }
            Poll::Ready(Ok(bytes)) => {
                state.last_input_us = self.shared.now_us();
                if bytes >= room {
                    self.read_bytes = (2 * self.read_bytes).min(READ_BYTES_MAX);
                }
                Poll::Ready(Read::Something)
            }
            Poll::Ready(Err(_)) => {
                // What was asked is done all the same; only nobody hears of it.
                self.deaf = Some("the connection broke");
                Poll::Ready(Read::Something)
            }
            Poll::Pending => {
                if waiting == 0 {
                    // An idle session holds no buffer.
                    self.lines = Lines::new();
                    self.read_bytes = READ_BYTES_MIN;
                }
                Poll::Pending
            }
        }
    }

    /// The memory that it holds, or has set aside for replies.
    fn bytes(&self, state: &SessionState) -> usize {
        self.lines.memory_bytes() + self.out.capacity() + state.slots.bytes()
    }

    /// What it holds, and what it may need for the line that it has begun to read.
    fn set_aside(&self, state: &SessionState) -> usize {
        match self.lines.waiting_bytes() {
            begun if begun > LINE_BYTES_BEGUN => {
                let read = self.lines.memory_bytes();
                self.bytes(state) - read + read.max(LINE_BYTES_WHOLE)
            }
            _ => self.bytes(state),
        }
    }
}
