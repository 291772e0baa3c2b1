//! A connection to a bank: sends requests, and receives replies in the same order.

use crate::dial::dial;
use crate::error::ClientError;
use crate::observe::{ClientEvent, RequestNumber};
use crate::options::{Dialer, bank_may_wait};
use crate::reading::{beginning, done, silence, sync_ms_of, words};
use consorcio_core::commit::message::Message;
use consorcio_core::ids::BankId;
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::HelloAnswer;
use consorcio_core::wire::opening::{Hello, PROTOCOL_VERSION};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Request};
use consorcio_system::crash;
use consorcio_system::framed::{LineCodec, framed};
use consorcio_tls::{DialError, PeerStream};
use futures_util::future::{Either, select};
use futures_util::{Sink, Stream};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::codec::{Encoder, Framed};

/// A line from a bank: a reply, or the beginning of a line that is none.
type ReadReply = Result<Reply, String>;

/// The state of the handshake, with which each connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handshake {
    /// HELLO is sent with the first request, in one write.
    NotSent,
    /// HELLO was sent; the next reply is its answer.
    Sent,
    /// The other end is the bank that was meant.
    Done,
}

/// An open connection to a bank. The other end executes requests only if it is the bank that was
/// meant.
#[derive(Debug)]
pub struct Connection {
    bank: BankId,
    address: String,
    lines: Framed<PeerStream, LineCodec<ReadReply>>,
    dialer: Arc<Dialer>,
    /// The number of the next request; HELLO has number 1.
    next: RequestNumber,
    /// The deadline of the first reply: connecting and the first reply share one limit.
    first_until: Option<Instant>,
    handshake: Handshake,
    nothing_done: bool,
}

/// The address belongs to something else than the bank, or the bank takes no requests now.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("what answers there is no bank: {0:?}")]
    NoBank(String),
    #[error("{0}")]
    OtherBank(String),
    #[error("{0}: {1}")]
    Declined(Reason, String),
}

fn handshake_error(error: &io::Error) -> Option<&HandshakeError> {
    error.get_ref().and_then(|error| error.downcast_ref::<HandshakeError>())
}

impl Connection {
    /// Connects. The first reply shows whether it is the bank that was meant.
    pub(crate) async fn connect(
        bank: BankId,
        address: &str,
        dialer: &Arc<Dialer>,
    ) -> Result<Connection, ClientError> {
        let within = dialer.options.answer_within;
        let until = Instant::now() + within;
        let connected = timeout_at(until, dial(bank, address, dialer)).await;
        match connected.unwrap_or_else(|_| Err(DialError::Failed(silence(within)))) {
            Ok(socket) => {
                let from = socket.local_addr().ok();
                dialer.observe(&ClientEvent::Connected(bank, from));
                let mut lines = framed(socket, read_reply as fn(&str) -> ReadReply);
                // Requests under way bound the output buffer.
                lines.set_backpressure_boundary(usize::MAX);
                Ok(Connection {
                    bank,
                    address: address.to_owned(),
                    lines,
                    dialer: Arc::clone(dialer),
                    next: RequestNumber { port: from.map_or(0, |from| from.port()), number: 2 },
                    first_until: Some(until),
                    handshake: Handshake::NotSent,
                    nothing_done: false,
                })
            }
            Err(error) => {
                let (why, address) = (error.to_string(), address.to_owned());
                dialer.observe(&ClientEvent::NotConnected(bank, &why));
                Err(match error {
                    DialError::OtherBank(says) => ClientError::OtherBank { bank, address, says },
                    DialError::Untrusted(why) => ClientError::Untrusted { bank, address, why },
                    DialError::Failed(why) => ClientError::Unreachable { bank, address, why },
                })
            }
        }
    }

    /// The bank at the other end.
    pub fn bank(&self) -> BankId {
        self.bank
    }

    /// Completes the handshake, before any request is sent.
    pub(crate) async fn complete_handshake(&mut self) -> io::Result<()> {
        self.hello()?;
        while self.handshake != Handshake::Done {
            let reply = poll_fn(|task| self.poll_flushed_line(task)).await?;
            self.check_hello(reply)?;
        }
        Ok(())
    }

    /// The number that the next request will have.
    pub(crate) fn next_request(&self) -> RequestNumber {
        self.next
    }

    /// Queues a message of a driver for the next flush.
    pub(crate) fn queue_message(&mut self, message: &Message) -> io::Result<()> {
        self.queue(message)
    }

    /// Queues a request for the next flush.
    pub(crate) fn queue_request(&mut self, request: &Request) -> io::Result<()> {
        self.queue(request)
    }

    fn queue<I>(&mut self, item: I) -> io::Result<()>
    where
        LineCodec<ReadReply>: Encoder<I, Error = io::Error>,
    {
        self.hello()?;
        self.next.number += 1;
        Pin::new(&mut self.lines).start_send(item)
    }

    fn hello(&mut self) -> io::Result<()> {
        if self.handshake == Handshake::NotSent {
            self.handshake = Handshake::Sent;
            let hello = Hello {
                bank: self.bank.as_u8().into(),
                places: u64::try_from(self.dialer.places).unwrap_or(u64::MAX),
                version: PROTOCOL_VERSION,
            };
            let hello = Request::Local(Local::Hello(hello));
            Pin::new(&mut self.lines).start_send(&hello)?;
        }
        Ok(())
    }

    /// Whether no queued request waits to be written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.lines.write_buffer().is_empty()
    }

    /// Writes all queued requests to the socket.
    pub(crate) fn poll_flush(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Sink::<&[u8]>::poll_flush(Pin::new(&mut self.lines), task)
    }

    /// Writes as much as the socket takes without waiting; the next flush writes the rest.
    pub(crate) fn flush_now(&mut self) -> io::Result<()> {
        match self.poll_flush(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }

    /// The next reply. The caller must flush queued requests.
    pub(crate) fn poll_reply(&mut self, task: &mut Context<'_>) -> Poll<io::Result<Reply>> {
        loop {
            let reply = ready!(self.poll_line(task))?;
            if self.handshake == Handshake::Done {
                return Poll::Ready(Ok(reply));
            }
            self.check_hello(reply)?;
        }
    }

    fn poll_line(&mut self, task: &mut Context<'_>) -> Poll<io::Result<Reply>> {
        let no_bank = |says| Poll::Ready(Err(io::Error::other(HandshakeError::NoBank(says))));
        match ready!(Pin::new(&mut self.lines).poll_next(task)) {
            Some(Ok(Ok(Ok(reply)))) => Poll::Ready(Ok(reply)),
            Some(Ok(Ok(Err(says)))) => no_bank(says),
            Some(Ok(Err(error))) => no_bank(error.to_string()),
            Some(Err(error)) => Poll::Ready(Err(error)),
            None => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn poll_flushed_line(&mut self, task: &mut Context<'_>) -> Poll<io::Result<Reply>> {
        let _ = self.poll_flush(task)?;
        self.poll_line(task)
    }

    fn poll_flushed_reply(&mut self, task: &mut Context<'_>) -> Poll<io::Result<Reply>> {
        let _ = self.poll_flush(task)?;
        self.poll_reply(task)
    }

    /// Checks the answer to HELLO: the other end must be the bank that was meant.
    fn check_hello(&mut self, reply: Reply) -> io::Result<()> {
        let other = |text: String| Err(io::Error::other(HandshakeError::OtherBank(text)));
        match reply {
            Reply::Done(json) => match serde_json::from_str::<HelloAnswer<'static>>(&json) {
                Ok(answer) if answer.bank == self.bank => {
                    self.dialer.hello_answers.add(answer);
                    self.handshake = Handshake::Done;
                    self.dialer.observe(&ClientEvent::Greeted(self.bank));
                    Ok(())
                }
                Ok(answer) => other(format!("this is bank {}", answer.bank)),
                Err(_) => Err(io::Error::other(HandshakeError::NoBank(beginning(&json)))),
            },
            Reply::Err(Reason::Refused, text) => other(text),
            Reply::Err(reason, text) | Reply::Refused(reason, text) => {
                Err(io::Error::other(HandshakeError::Declined(reason, text)))
            }
            Reply::Ok(..)
            | Reply::Nok(..)
            | Reply::Committed(..)
            | Reply::Aborted(..)
            | Reply::Doubt(..)
            | Reply::Unknown(_)
            | Reply::Pong
            | Reply::Help(_)
            | Reply::Bye => Err(io::Error::other(HandshakeError::NoBank(
                "an answer to what it was not asked".into(),
            ))),
        }
    }

    /// Whether it is idle and, as far as known, open. Its first reply has no deadline any more.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.first_until = None;
        let mut task = Context::from_waker(Waker::noop());
        self.handshake == Handshake::Done && self.poll_line(&mut task).is_pending()
    }

    /// Whether it is certain that nothing sent over this connection was executed.
    pub fn nothing_done(&self) -> bool {
        self.nothing_done
    }

    /// The client error of `error`, if that shows that nothing sent was executed.
    pub(crate) fn nothing_done_by(&self, error: &io::Error) -> Option<ClientError> {
        handshake_error(error)
            .filter(|_| self.handshake != Handshake::Done)
            .map(|_| self.failure(error))
    }

    /// The client error of an error of this connection.
    pub(crate) fn failure(&self, error: &io::Error) -> ClientError {
        let (bank, address) = (self.bank, self.address.clone());
        match handshake_error(error) {
            Some(HandshakeError::NoBank(says)) => {
                ClientError::NoBank { bank, address, says: says.clone() }
            }
            Some(HandshakeError::OtherBank(says)) => {
                ClientError::OtherBank { bank, address, says: says.clone() }
            }
            Some(HandshakeError::Declined(reason, text)) => {
                ClientError::Declined { bank, reason: *reason, text: text.clone() }
            }
            // The bank refuses this client's certificate.
            None if error.kind() == io::ErrorKind::PermissionDenied => {
                ClientError::Untrusted { bank, address, why: words(error) }
            }
            None => ClientError::Unreachable { bank, address, why: words(error) },
        }
    }

    fn unreachable(&self, why: String) -> ClientError {
        ClientError::Unreachable { bank: self.bank, address: self.address.clone(), why }
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// If the bank does not reply, or is another one than meant. A reply that refuses is no error.
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, ClientError> {
        let number = self.next;
        self.dialer.observe(&ClientEvent::Asked(self.bank, request, number));
        crash::client_sending_request(request);
        let within = self.dialer.options.answer_within + bank_may_wait(request);
        let from_now = Instant::now() + within;
        let first = self.first_until.take();
        let until = first.map_or(from_now, |first| first + bank_may_wait(request));
        // The question about its disk ends with the limit, too: silence costs no more than that.
        let disk_asked_at = until - self.dialer.why_within();
        let (bank, address, dialer) = (self.bank, self.address.clone(), Arc::clone(&self.dialer));
        let disk = async move {
            sleep_until(disk_asked_at).await;
            slow_sync_ms(bank, &address, &dialer).await
        };
        let answered = timeout_at(until, async {
            self.queue(request)?;
            poll_fn(|task| self.poll_flush(task)).await?;
            crash::client_sent_request(request);
            poll_fn(|task| self.poll_reply(task)).await
        });
        let (answered, sync_ms) = match select(pin!(answered), pin!(disk)).await {
            Either::Left((answered, _)) => (answered, None),
            Either::Right((sync_ms, answered)) => (answered.await, sync_ms),
        };
        let why = match answered {
            Ok(Ok(reply)) => {
                crash::client_reply_received(request);
                self.dialer.observe(&ClientEvent::Replied(self.bank, &reply, number));
                return Ok(reply);
            }
            Ok(Err(error)) => {
                self.dialer.observe(&ClientEvent::Closed(self.bank, &words(&error)));
                self.nothing_done = self.nothing_done_by(&error).is_some();
                return Err(self.failure(&error));
            }
            Err(_) => silence(within),
        };
        self.dialer.observe(&ClientEvent::Closed(self.bank, &why));
        Err(match sync_ms {
            Some(ms) => ClientError::DiskHangs { bank: self.bank, ms },
            None => self.unreachable(why),
        })
    }

    /// Sends a request and returns the JSON of its DONE.
    ///
    /// # Errors
    /// As `ask`; `Refused` with the bank's text if it refused, `NotAsked` for any other reply.
    pub async fn ask_done(&mut self, request: &Request) -> Result<String, ClientError> {
        let reply = self.ask(request).await?;
        done(self.bank, reply)
    }

    /// Sends all requests at once, and returns their replies in the same order. A bank takes
    /// `SESSION_REQUESTS_MAX` requests of one connection at once. The observer is not notified of
    /// them.
    ///
    /// # Errors
    /// If the connection ends, or no reply arrives for as long as `within`.
    pub async fn ask_all(
        &mut self,
        requests: &[Request],
        within: Duration,
    ) -> Result<Vec<Reply>, ClientError> {
        self.first_until = None;
        let queued = requests.iter().try_for_each(|request| self.queue(request));
        queued.map_err(|error| self.failure(&error))?;
        let mut replies = Vec::with_capacity(requests.len());
        for _ in requests {
            let reply = timeout(within, poll_fn(|task| self.poll_flushed_reply(task))).await;
            let reply = reply.map_err(|_| self.unreachable(silence(within)))?;
            replies.push(reply.map_err(|error| self.failure(&error))?);
        }
        Ok(replies)
    }
}

fn read_reply(line: &str) -> ReadReply {
    Reply::parse(line).map_err(|_| beginning(line))
}

/// The age of the sync under way at a bank, in milliseconds, if it is slow and delays replies.
/// BANKS needs no disk, so its reply has it.
pub(crate) async fn slow_sync_ms(bank: BankId, address: &str, dialer: &Arc<Dialer>) -> Option<u64> {
    let mut dialer = Dialer::clone(dialer);
    let within = dialer.why_within();
    dialer.options.answer_within = within;
    let dialer = Arc::new(dialer);
    let asked = async {
        let mut connection = Connection::connect(bank, address, &dialer).await.ok()?;
        let banks = [Request::Local(Local::Banks)];
        match connection.ask_all(&banks, within).await.ok()?.pop()? {
            Reply::Done(json) => sync_ms_of(bank, &json),
            _ => None,
        }
    };
    timeout(within, asked).await.ok()?
}
