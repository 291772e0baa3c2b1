//! Parses the lines of a session into requests. Requests for the bank are enqueued, others are
//! answered here.

use super::{HandOver, Session};
use crate::permits::Permit;
use crate::session_table::{SessionEnd, SessionState};
use crate::slots::reply_bytes;
use consorcio_core::access::{may_ask, no_right};
use consorcio_core::bank::io::{Caller, Input, Origin};
use consorcio_core::wire::codec::LineError;
use consorcio_core::wire::opening::{Hello, Opening, Stranger, is_hello, is_host, opening};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Request};
use consorcio_core::wire::{Fault, Reason, help};
use consorcio_node::Queue;
use consorcio_steps::steplog::{OtherEnd, Step};
use consorcio_system::crash;

impl Session {
    /// Enqueues the requests of all lines that were read, as far as there is room.
    pub(super) fn hand_over(&mut self, state: &mut SessionState) -> HandOver {
        if self.stash.is_none() && self.lines.waiting_bytes() == 0 {
            return HandOver::All;
        }
        let since_us = self.shared.now_us();
        let inbox = self.shared.inbox.clone();
        inbox.fill(|queue| {
            loop {
                if queue.room(since_us) == 0 {
                    return HandOver::QueueFull;
                }
                let (line, line_bytes) = match self.stash.take() {
                    Some(stashed) => stashed,
                    None => match self.next_request(state) {
                        Some(line) => line,
                        None if self.is_at_bound(state) => return HandOver::Bound,
                        None => return HandOver::All,
                    },
                };
                let reply_bytes = match &line {
                    Ok(request) => reply_bytes(request),
                    Err(fault) => fault.text.len(),
                };
                let unread = self.out.len() - self.written;
                let wanted = self.bytes(state) + line_bytes + reply_bytes;
                let session = self.entry.id.0;
                let gated = |request: &Request| self.shared.gate.holds(session, request, since_us);
                let gated = line.as_ref().is_ok_and(gated);
                let handed = if gated {
                    HandOver::Gated
                } else if !state.slots.has_room(line_bytes, reply_bytes, unread) {
                    HandOver::Bound
                } else if !self.share.may_hold(wanted) {
                    HandOver::MemoryShort(wanted)
                } else {
                    match line {
                        Ok(request) => {
                            self.take(state, queue, since_us, request, line_bytes, reply_bytes)
                        }
                        Err(fault) => {
                            let text = fault.text.as_str();
                            self.shared
                                .step_logger
                                .record(|| Step::Bad(self.peer, fault.reason, text.into()));
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

    /// The next line as a request or a fault, and its length.
    fn next_request(
        &mut self,
        state: &mut SessionState,
    ) -> Option<(Result<Request, Fault>, usize)> {
        // A faulty line is answered at once, which needs room, too.
        if self.is_at_bound(state) {
            return None;
        }
        if let Some(stranger) = self.stranger() {
            let text = stranger.as_str();
            self.shared.step_logger.record(|| Step::Bad(self.peer, Reason::Malformed, text.into()));
            self.refuse(state, Reason::Malformed, text.to_owned(), "it speaks another protocol");
            return None;
        }
        let is_first = !self.begun && opening(self.lines.waiting()) == Opening::Verb;
        let is_hello = is_first && is_hello(self.lines.waiting());
        let before = self.lines.waiting_bytes();
        let (parsed, is_text) = self.parse_line()?;
        self.begun |= is_first;
        let line_bytes = before - self.lines.waiting_bytes();
        if state.permit == Some(Permit::Probation)
            && !matches!(parsed, Ok(Request::Local(Local::Peer(_))))
        {
            self.refuse(
                state,
                Reason::Limit,
                SessionEnd::NoPlace.as_str().to_owned(),
                SessionEnd::NoPlace.as_str(),
            );
            return None;
        }
        if is_first && !matches!(parsed, Ok(Request::Local(Local::Peer(_)))) {
            self.shared.operator.client(self.entry.peer);
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
            // The lines after it were meant for the other bank, too.
            self.shared
                .step_logger
                .record(|| Step::Bad(self.peer, fault.reason, fault.text.as_str().into()));
            self.refuse(state, fault.reason, fault.text, "its HELLO was for another bank");
            return None;
        }
        if !is_text {
            let text = fault.text.as_str();
            self.shared.step_logger.record(|| Step::Bad(self.peer, fault.reason, text.into()));
            self.refuse(state, fault.reason, fault.text, "a line was no text");
            return None;
        }
        Some((Err(fault), line_bytes))
    }

    /// Parses the next line. Returns also whether it is text: another program's bytes may hold
    /// lines that a page in a browser chose, and one that is none is followed by nothing.
    fn parse_line(&mut self) -> Option<(Result<Request, Fault>, bool)> {
        Some(match self.lines.next()? {
            Ok(line) => {
                let parsed = Request::parse(line);
                // No request has such characters, so only faults are searched for them.
                let is_text = parsed.is_ok() || !line.chars().any(|c| c.is_control() && c != '\t');
                (parsed, is_text)
            }
            Err(LineError::NotUtf8) => (Err(Fault::from(LineError::NotUtf8)), false),
            Err(LineError::TooLong) => {
                self.lingers = true;
                self.closed_reads = Some("a line was too long");
                (Err(Fault::from(LineError::TooLong)), true)
            }
        })
    }

    /// The foreign protocol of the input: by the first line, or later by a header line of HTTP.
    fn stranger(&self) -> Option<Stranger> {
        if self.begun {
            return Some(Stranger::Http).filter(|_| is_host(self.lines.waiting()));
        }
        match opening(self.lines.waiting()) {
            Opening::Stranger(stranger) => Some(stranger),
            Opening::Unfinished | Opening::Empty | Opening::Verb => None,
        }
    }

    /// Checks that a HELLO is the first line and meant for this bank.
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

    /// Handles one request: enqueues it for the bank, or answers it here, in its order.
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
            self.shared.step_logger.record(|| {
                let n = state.slots.taken() + 1;
                Step::of_request(&request, self.peer, n).asked_by(&self.entry.principal)
            });
        }
        let reply = match request {
            Request::Local(Local::Ping) => Reply::Pong,
            Request::Local(Local::Help(verb)) => Reply::Help(help::lines(verb)),
            Request::Local(Local::Quit) => {
                self.stop_reading("QUIT");
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
            | Request::Registers { .. } => 'answered: {
                let asker = &self.entry.principal;
                if !may_ask(&self.shared.access.borrow(), asker, &request) {
                    break 'answered Reply::from(no_right(asker, &request));
                }
                let slot = state.slots.take(line_bytes, reply_bytes);
                let caller = Caller { session: self.entry.id, slot };
                let origin = self.acceptor.origin();
                let asker = asker.clone();
                let (waited_us, past) = (0, None);
                let input = Input::Request { caller, origin, asker, request, waited_us, past };
                queue.push(since_us, input);
                return;
            }
        };
        state.slots.take_answered(line_bytes, reply);
    }

    /// Answers a PEER line: the handshake between banks, or news of a bank.
    fn peer(
        &mut self,
        state: &mut SessionState,
        queue: &mut Queue,
        since_us: u64,
        json: &str,
    ) -> Reply {
        let was_client = self.acceptor.origin() == Origin::Client;
        let (reply, inputs) = self.shared.peers.answer(&mut self.acceptor, json);
        inputs.into_iter().for_each(|input| queue.push(since_us, input));
        self.acceptor.bank().into_iter().for_each(|bank| self.shared.gate.link_opened(bank));
        if was_client && self.acceptor.origin() == Origin::Link {
            if let Some(bank) = self.acceptor.bank() {
                self.peer = OtherEnd::Link(self.entry.peer, bank);
            }
            if let Some(permit) = state.permit {
                state.permit = Some(self.shared.sessions.borrow_mut().permits.promote(permit));
            }
        }
        reply
    }
}
