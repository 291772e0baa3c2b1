//! One session: it reads lines, enqueues the requests of each read together, and writes replies in
//! order.
//!
//! One task, woken by bytes to read, room to write, or replies in its slots. It does not read while
//! the session is at a bound or the bank's queue is full. A line that the end of the stream cuts
//! off is never executed.

mod requests;

use crate::ServerState;
use crate::memory::MemoryShare;
use crate::session_table::{SessionEnd, SessionEntry, SessionState};
use bytes::{BufMut, BytesMut};
use consorcio_core::bank::io::Input;
use consorcio_core::limits::{
    LINE_BYTES_BEGUN, LINE_BYTES_MAX, LINE_BYTES_WHOLE, SESSION_OUT_BYTES_KEPT,
    SESSION_OUT_BYTES_MAX, SESSION_READ_BYTES_MIN, SPARE_BUFFER_BYTES_MAX, SPARE_BUFFERS_MAX,
};
use consorcio_core::wire::codec::Lines;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::{Fault, Reason};
use consorcio_peers::Acceptor;
use consorcio_steps::steplog::{OtherEnd, Step};
use consorcio_system::crash;
use consorcio_tls::PeerStream;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWrite};

/// Runs the session of `entry` on `stream` to its end, and returns its permit.
pub(crate) async fn run(shared: Rc<ServerState>, entry: Rc<SessionEntry>, stream: PeerStream) {
    let mut session = Session::new(shared.clone(), entry.clone(), stream);
    let why = poll_fn(|cx| session.poll(cx)).await;
    let Session { mut stream, peer, lingers, .. } = session;
    shared.step_logger.record(|| Step::Disconnect(peer, why.into()));
    shared.sessions.borrow_mut().close(&entry);
    shared.gate.leave(entry.id.0);
    // The bank must learn that the driver of a transaction is gone, unless it ends itself.
    if !shared.stop.is_cancelled() {
        shared.inbox.offer(Input::Closed(entry.id));
    }
    if lingers {
        shared.linger(stream).await;
    } else {
        stream.say_goodbye();
    }
}

struct Session {
    shared: Rc<ServerState>,
    entry: Rc<SessionEntry>,
    stream: PeerStream,
    /// TLS holds bytes that the socket has not accepted yet.
    unflushed: bool,
    peer: OtherEnd,
    acceptor: Acceptor,
    lines: Lines,
    /// The first line was a valid verb.
    begun: bool,
    read_bytes: usize,
    /// A parsed line that there is no room for yet, and its length.
    stash: Option<(Result<Request, Fault>, usize)>,
    out: Vec<u8>,
    written: usize,
    leaving: crash::BufferedPoints,
    share: MemoryShare,
    /// Why nothing more is read: the stream has ended, or the session must end.
    closed_reads: Option<&'static str>,
    /// Unread input remains: the connection lingers, so that the last line reaches the client.
    lingers: bool,
}

/// The reason why `hand_over` returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandOver {
    /// All lines that were read are enqueued.
    All,
    /// The session is at a bound; it continues when replies have left.
    Bound,
    /// The bank's queue is full.
    QueueFull,
    /// The gate holds a request that concerns other banks.
    Gated,
    /// Memory is short: it continues when it may hold this many bytes.
    MemoryShort(usize),
}

/// The result of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadOutcome {
    /// Bytes were read, or the end of the stream.
    Progress,
    /// The session reads nothing more.
    Closed,
    /// Memory is short for the unfinished line: it continues when it may hold this many bytes.
    MemoryShort(usize),
}

impl Session {
    fn new(shared: Rc<ServerState>, entry: Rc<SessionEntry>, stream: PeerStream) -> Session {
        let acceptor = Acceptor::of(&entry.principal);
        Session {
            peer: OtherEnd::Address(entry.peer),
            share: MemoryShare::of(&shared.bytes),
            shared,
            entry,
            stream,
            unflushed: false,
            acceptor,
            lines: Lines::new(),
            begun: false,
            read_bytes: SESSION_READ_BYTES_MIN,
            stash: None,
            out: Vec::new(),
            written: 0,
            leaving: crash::BufferedPoints::default(),
            closed_reads: None,
            lingers: false,
        }
    }

    /// Makes all possible progress. Ready with the reason when the session is over.
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
                // Immediate replies are written before more is read.
                HandOver::All if writable && state.slots.has_reply() => true,
                HandOver::All => match self.read(cx, &mut state) {
                    Poll::Ready(ReadOutcome::Progress) => true,
                    Poll::Ready(ReadOutcome::MemoryShort(bytes)) => {
                        wants = Some(bytes);
                        false
                    }
                    Poll::Ready(ReadOutcome::Closed) | Poll::Pending => false,
                },
                HandOver::Bound => writable && state.slots.has_reply(),
                HandOver::Gated => {
                    self.shared.gate.wait(self.entry.id.0, cx.waker());
                    false
                }
                HandOver::QueueFull => {
                    self.shared.inbox.wait_for_room(cx.waker());
                    false
                }
                HandOver::MemoryShort(bytes) => {
                    wants = Some(bytes);
                    false
                }
            };
            // A waiting session frees its buffer: sessions whose buffers wait for each other would
            // deadlock.
            if wants.is_some() && self.lines.waiting_bytes() <= LINE_BYTES_BEGUN {
                let freed = self.lines.shrink();
                self.read_bytes = SESSION_READ_BYTES_MIN;
                wants = wants.map(|bytes| bytes - freed);
            }
            self.share.update(self.needed_bytes(&state), wants.map(|bytes| (bytes, cx.waker())));
            state.borrows = self.share.is_borrowing();
            if !more {
                break handed;
            }
        };
        match self.closed_reads {
            // Every line that was read is answered, and every reply written.
            Some(why)
                if handed == HandOver::All && state.slots.is_empty() && self.out.is_empty() =>
            {
                Poll::Ready(why)
            }
            Some(_) | None => {
                state.slots.shrink();
                Poll::Pending
            }
        }
    }

    /// Handles a request to end. Returns whether the session ends at once.
    fn end(&mut self, state: &mut SessionState, end: SessionEnd) -> bool {
        match end {
            SessionEnd::Unread | SessionEnd::Idle | SessionEnd::Hoarding => true,
            SessionEnd::Shutdown => {
                self.closed_reads.get_or_insert(end.as_str());
                false
            }
            SessionEnd::NoPlace => self.end_with(state, Reason::Limit, end),
            SessionEnd::CertificateEnded => self.end_with(state, Reason::Refused, end),
            SessionEnd::NameEnded => self.end_with(state, Reason::NotAllowed, end),
        }
    }

    /// Says why it ends, behind the replies that are due. Returns that it does not end at once.
    fn end_with(&mut self, state: &mut SessionState, reason: Reason, end: SessionEnd) -> bool {
        if self.closed_reads.is_none() {
            self.refuse(state, reason, end.as_str().to_owned(), end.as_str());
        }
        false
    }

    /// Makes an ERR the last line of the session, and ignores all further input.
    fn refuse(
        &mut self,
        state: &mut SessionState,
        reason: Reason,
        text: String,
        why: &'static str,
    ) {
        state.slots.take_answered(0, Reply::Err(reason, text));
        self.lingers = true;
        self.stop_reading(why);
    }

    /// Ignores all further input.
    fn stop_reading(&mut self, why: &'static str) {
        self.closed_reads.get_or_insert(why);
        self.lines = Lines::new();
    }

    /// Formats the replies that may leave, as many as one write takes.
    fn take_replies(&mut self, state: &mut SessionState) {
        while self.out.len() < SESSION_OUT_BYTES_MAX
            && let Some(reply) = state.slots.pop_ready()
        {
            if reply != Reply::Pong {
                self.shared
                    .step_logger
                    .record(|| Step::of_reply(&reply, self.peer, state.slots.replied()));
            }
            crash::replying(&reply);
            reply.write_to(&mut self.out);
            self.leaving.reply(&reply);
        }
    }

    /// Writes as much as the socket accepts. Returns whether that was all.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        state: &mut SessionState,
    ) -> Result<bool, &'static str> {
        while self.written < self.out.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out[self.written..]) {
                Poll::Ready(Ok(taken)) if taken > 0 => {
                    self.written += taken;
                    self.unflushed = matches!(self.stream, PeerStream::Tls(_));
                    state.unread_since_us = None;
                }
                Poll::Ready(Ok(_) | Err(_)) => return Err("the connection broke"),
                Poll::Pending => {
                    if state.unread_since_us.is_none() {
                        state.unread_since_us = Some(self.shared.now_us());
                    }
                    // Frees the bytes that are written.
                    self.out.drain(..self.written);
                    self.written = 0;
                    return Ok(false);
                }
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(_)) => return Err("the connection broke"),
                Poll::Pending => {
                    state.unread_since_us.get_or_insert_with(|| self.shared.now_us());
                    return Ok(false);
                }
            }
            state.unread_since_us = None;
        }
        self.leaving.written();
        self.written = 0;
        self.out.clear();
        self.out.shrink_to(SESSION_OUT_BYTES_KEPT);
        Ok(true)
    }

    fn read(&mut self, cx: &mut Context<'_>, state: &mut SessionState) -> Poll<ReadOutcome> {
        if self.closed_reads.is_some() {
            return Poll::Ready(ReadOutcome::Closed);
        }
        let waiting = self.lines.waiting_bytes();
        debug_assert!(waiting < LINE_BYTES_MAX, "at most one line is unfinished");
        let whole = self.bytes(state) - self.lines.memory_bytes() + LINE_BYTES_WHOLE;
        let most = if self.share.may_hold(whole) { LINE_BYTES_MAX } else { LINE_BYTES_BEGUN };
        if self.lines.memory_bytes() == 0
            && let Some(buffer) = self.shared.spare_buffers.borrow_mut().pop()
        {
            self.lines.adopt(buffer);
        }
        let wanted = self.read_bytes.max(self.lines.memory_bytes().saturating_sub(waiting));
        let room = wanted.min(most.saturating_sub(waiting));
        if room == 0 {
            return Poll::Ready(ReadOutcome::MemoryShort(whole));
        }
        let mut buffer = self.lines.space(room).limit(room);
        let read = pin!(self.stream.read_buf(&mut buffer)).poll(cx);
        match read {
            Poll::Ready(Ok(0)) => {
                self.closed_reads = Some("the other end closed it");
                Poll::Ready(ReadOutcome::Progress)
            }
            Poll::Ready(Ok(bytes)) => {
                state.last_input_us = self.shared.now_us();
                if bytes >= room {
                    self.read_bytes = (2 * self.read_bytes).min(LINE_BYTES_MAX);
                }
                Poll::Ready(ReadOutcome::Progress)
            }
            Poll::Ready(Err(_)) => {
                // Requests that were read are carried out all the same.
                self.closed_reads = Some("the connection broke");
                Poll::Ready(ReadOutcome::Progress)
            }
            Poll::Pending => {
                if waiting == 0 {
                    // An idle session holds no buffer; the next session that reads takes this one.
                    let buffer = self.lines.release();
                    let is_usual = |buffer: &BytesMut| buffer.capacity() <= SPARE_BUFFER_BYTES_MAX;
                    let mut spare = self.shared.spare_buffers.borrow_mut();
                    if spare.len() < SPARE_BUFFERS_MAX {
                        spare.extend(buffer.filter(is_usual));
                    }
                    self.read_bytes = SESSION_READ_BYTES_MIN;
                }
                Poll::Pending
            }
        }
    }

    /// The memory that it holds or has reserved for replies.
    fn bytes(&self, state: &SessionState) -> usize {
        self.lines.memory_bytes() + self.out.capacity() + state.slots.bytes()
    }

    /// The memory that it holds, and the rest that it may need for an unfinished line.
    fn needed_bytes(&self, state: &SessionState) -> usize {
        match self.lines.waiting_bytes() {
            begun if begun > LINE_BYTES_BEGUN => {
                let read = self.lines.memory_bytes();
                self.bytes(state) - read + read.max(LINE_BYTES_WHOLE)
            }
            _ => self.bytes(state),
        }
    }
}
