//! One session: reads lines, hands requests to the bank a read at a time, and writes replies in
//! their order.
//!
//! One task, driven by whatever is ready: bytes to read, room to write, replies that were put into
//! its slots. It is not read while it is at a bound, or while the bank's queue is full. A line that
//! the end of the stream cut off is never executed.

mod requests;

use crate::ServerState;
use crate::memory::MemoryShare;
use crate::session_table::{SessionEnd, SessionEntry, SessionState};
use bytes::BufMut;
use consorcio_core::bank::io::Input;
use consorcio_core::limits::{
    LINE_BYTES_BEGUN, LINE_BYTES_MAX, LINE_BYTES_WHOLE, SESSION_OUT_BYTES_KEPT,
    SESSION_OUT_BYTES_MAX, SESSION_READ_BYTES_MIN,
};
use consorcio_core::wire::codec::Lines;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::{Fault, Reason};
use consorcio_peers::Acceptor;
use consorcio_steps::steplog::{OtherEnd, Step};
use consorcio_system::crash;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;

/// Runs the session of `entry` on `stream` to its end. Its place is free afterwards.
pub async fn run(shared: Rc<ServerState>, entry: Rc<SessionEntry>, stream: TcpStream) {
    let mut session = Session::new(shared.clone(), entry.clone(), stream);
    let why = poll_fn(|cx| session.poll(cx)).await;
    let Session { stream, who, polite, .. } = session;
    shared.step_logger.record(|| Step::Disconnect(who, why.into()));
    shared.sessions.borrow_mut().close(&entry);
    shared.gate.leave(entry.id.0);
    // Banks ask each other about what its driver leaves behind; one that ends itself lets them
    // notice that.
    if !shared.stop.is_cancelled() {
        shared.inbox.offer(Input::Closed(entry.id));
    }
    if polite {
        shared.linger(stream).await;
    }
}

struct Session {
    shared: Rc<ServerState>,
    entry: Rc<SessionEntry>,
    stream: TcpStream,
    who: OtherEnd,
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
    share: MemoryShare,
    /// Nothing more is read: the stream ended, or the session was asked to end.
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
enum ReadOutcome {
    /// Bytes, or the end of the stream.
    Something,
    /// Nothing more is read, ever.
    Deaf,
    /// Memory is short for the line that was begun: it goes on when it may hold so many bytes.
    MemoryShort(usize),
}

impl Session {
    fn new(shared: Rc<ServerState>, entry: Rc<SessionEntry>, stream: TcpStream) -> Session {
        Session {
            who: OtherEnd::Address(entry.peer),
            share: MemoryShare::of(&shared.bytes),
            shared,
            entry,
            stream,
            acceptor: Acceptor::default(),
            lines: Lines::new(),
            begun: false,
            read_bytes: SESSION_READ_BYTES_MIN,
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
                    Poll::Ready(ReadOutcome::Something) => true,
                    Poll::Ready(ReadOutcome::MemoryShort(bytes)) => {
                        wants = Some(bytes);
                        false
                    }
                    Poll::Ready(ReadOutcome::Deaf) | Poll::Pending => false,
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
                self.read_bytes = SESSION_READ_BYTES_MIN;
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
    fn end(&mut self, state: &mut SessionState, end: SessionEnd) -> bool {
        match end {
            SessionEnd::Unread | SessionEnd::Idle | SessionEnd::Hoarding => true,
            SessionEnd::Shutdown => {
                self.deaf.get_or_insert(end.as_str());
                false
            }
            SessionEnd::NoPlace => {
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
        while self.out.len() < SESSION_OUT_BYTES_MAX
            && let Some(reply) = state.slots.pop_ready()
        {
            if reply != Reply::Pong {
                self.shared
                    .step_logger
                    .record(|| Step::of_reply(&reply, self.who, state.slots.replied()));
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
        self.out.shrink_to(SESSION_OUT_BYTES_KEPT);
        Ok(true)
    }

    fn read(&mut self, cx: &mut Context<'_>, state: &mut SessionState) -> Poll<ReadOutcome> {
        if self.deaf.is_some() {
            return Poll::Ready(ReadOutcome::Deaf);
        }
        let waiting = self.lines.waiting_bytes();
        debug_assert!(waiting < LINE_BYTES_MAX, "at most one line is not whole");
        let whole = self.bytes(state) - self.lines.memory_bytes() + LINE_BYTES_WHOLE;
        let most = if self.share.may_hold(whole) { LINE_BYTES_MAX } else { LINE_BYTES_BEGUN };
        let room = self.read_bytes.min(most.saturating_sub(waiting));
        if room == 0 {
            return Poll::Ready(ReadOutcome::MemoryShort(whole));
        }
        let mut buffer = self.lines.space(room).limit(room);
        let read = pin!(self.stream.read_buf(&mut buffer)).poll(cx);
        match read {
            Poll::Ready(Ok(0)) => {
                self.deaf = Some("the other end closed it");
                Poll::Ready(ReadOutcome::Something)
            }
            Poll::Ready(Ok(bytes)) => {
                state.last_input_us = self.shared.now_us();
                if bytes >= room {
                    self.read_bytes = (2 * self.read_bytes).min(LINE_BYTES_MAX);
                }
                Poll::Ready(ReadOutcome::Something)
            }
            Poll::Ready(Err(_)) => {
                // What was asked is done all the same; only nobody hears of it.
                self.deaf = Some("the connection broke");
                Poll::Ready(ReadOutcome::Something)
            }
            Poll::Pending => {
                if waiting == 0 {
                    // An idle session holds no buffer.
                    self.lines = Lines::new();
                    self.read_bytes = SESSION_READ_BYTES_MIN;
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
