//! A driver's link to one bank: the connection, redialled after a loss, and the replies owed over
//! it.

use super::votes::LossCause;
use crate::connection::Connection;
use crate::error::ClientError;
use crate::observe::{ClientEvent, RequestNumber};
use crate::options::Dialer;
use crate::reading::{silence, words};
use consorcio_core::commit::message::{Message, PeerVerb};
use consorcio_core::ids::BankId;
use consorcio_core::limits::COMMIT_WAIT_MS_MAX;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_system::crash::{self, Step};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// When messages are written to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// Each message at once.
    EachMessage,
    /// Once for each poll, all messages that follow from a read: so the COMMIT of one transaction
    /// shares a write with the PREPARE of the next. Where nothing else goes to a bank, a COMMIT
    /// waits a moment for what does: its outcome is decided and reported, and each contact costs
    /// more than the message.
    EachPoll,
}

/// The pause before a bank that is down is redialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redial {
    /// The pause after a connection was lost.
    pub first: Duration,
    /// It doubles after each failure, up to this.
    pub max: Duration,
}

/// A driver's link to one bank.
pub(super) struct BankLink {
    pub(super) bank: BankId,
    pub(super) address: String,
    state: LinkState,
    /// The owed replies, in order, those of waiting messages included.
    pub(super) owed: VecDeque<OwedReply>,
    /// Messages that wait for the connection being made.
    waiting: Vec<QueuedRequest>,
    /// The pause after the next failure.
    pause: Duration,
    unwritten: Unwritten,
    /// Wakes the driver for a COMMIT that waits.
    sleep: Option<Pin<Box<Sleep>>>,
}

/// What is queued on a connection and not written to its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unwritten {
    /// Perhaps something: the next poll writes it.
    Due,
    /// COMMITs alone, until this moment.
    CommitsUntil(Instant),
}

enum LinkState {
    Down {
        until: Instant,
        why: String,
    },
    Dialling(Pin<Box<dyn Future<Output = Result<Connection, LossCause>> + Send>>),
    Up(Box<Connection>),
    /// A write failed; the next poll reports it.
    Broken(io::Error),
}

/// An owed reply: the slot, and the request that it answers.
pub(super) struct OwedReply {
    pub(super) slot: usize,
    /// The verb of a driver's message; `None` for another request.
    pub(super) verb: Option<PeerVerb>,
    /// When the message was sent.
    pub(super) since: Instant,
    /// The number on the connection, once it was sent.
    pub(super) number: Option<RequestNumber>,
}

/// A message of a transaction, or any other request.
pub(super) enum QueuedRequest {
    Message(Message),
    Request(Request),
}

/// A change of the state of a link.
pub(super) enum LinkChange {
    /// Dialling ended: the connection is open, or failed for this cause.
    Opened(Result<(), LossCause>),
    /// The connection is lost: the error, and the cause for transactions that wait.
    Lost(ClientError, LossCause),
}

impl BankLink {
    pub(super) fn new(
        bank: BankId,
        address: String,
        open: Option<Connection>,
        redial: Redial,
    ) -> BankLink {
        let state = match open {
            Some(connection) => LinkState::Up(Box::new(connection)),
            None => LinkState::Down { until: Instant::now(), why: "not connected yet".into() },
        };
        let (owed, waiting) = (VecDeque::new(), Vec::new());
        let unwritten = Unwritten::Due;
        BankLink {
            bank,
            address,
            state,
            owed,
            waiting,
            pause: redial.first,
            unwritten,
            sleep: None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, LinkState::Up(_))
    }

    pub(super) fn is_dialling(&self) -> bool {
        matches!(self.state, LinkState::Dialling(_))
    }

    /// Starts to connect unless connected. `Err` with the last reason while the redial pause lasts.
    pub(super) fn dial(&mut self, now: Instant, dialer: &Arc<Dialer>) -> Result<(), String> {
        match &self.state {
            LinkState::Up(_) | LinkState::Dialling(_) | LinkState::Broken(_) => Ok(()),
            LinkState::Down { until, why } if *until > now => Err(why.clone()),
            LinkState::Down { .. } => {
                let (bank, address) = (self.bank, self.address.clone());
                let dialer = Arc::clone(dialer);
                let opened = async move { open(bank, &address, &dialer).await };
                self.state = LinkState::Dialling(Box::pin(opened));
                Ok(())
            }
        }
    }

    /// Sends a message, or queues it until the bank is connected; its reply or its loss follows.
    /// `Err` if the bank is down.
    pub(super) fn send(
        &mut self,
        sending: QueuedRequest,
        slot: usize,
        now: Instant,
        writes: Writes,
        dialer: &Arc<Dialer>,
    ) -> Result<(), String> {
        self.dial(now, dialer)?;
        let verb = match &sending {
            QueuedRequest::Message(message) => Some(message.verb()),
            QueuedRequest::Request(_) => None,
        };
        let number = match &self.state {
            LinkState::Up(connection) => Some(connection.next_request()),
            LinkState::Dialling(_) | LinkState::Broken(_) | LinkState::Down { .. } => None,
        };
        self.owed.push_back(OwedReply { slot, verb, since: now, number });
        match &mut self.state {
            LinkState::Up(connection) => {
                let may_wait = writes == Writes::EachPoll && verb == Some(PeerVerb::Commit);
                self.unwritten = match self.unwritten {
                    Unwritten::Due if may_wait && connection.is_flushed() => {
                        Unwritten::CommitsUntil(now + COMMIT_WAITS)
                    }
                    Unwritten::CommitsUntil(until) if may_wait => Unwritten::CommitsUntil(until),
                    Unwritten::Due | Unwritten::CommitsUntil(_) => Unwritten::Due,
                };
                if let Err(error) = send(connection, &sending, writes, dialer) {
                    self.state = LinkState::Broken(error);
                }
            }
            LinkState::Dialling(_) => self.waiting.push(sending),
            // It is lost with all other owed replies.
            LinkState::Broken(_) | LinkState::Down { .. } => {}
        }
        Ok(())
    }

    /// Writes and reads until both would block; `take` receives each reply with what was owed.
    pub(super) fn poll(
        &mut self,
        task: &mut Context<'_>,
        (writes, redial): (Writes, Redial),
        dialer: &Arc<Dialer>,
        mut take: impl FnMut(BankId, OwedReply, Reply),
    ) -> Option<LinkChange> {
        match &mut self.state {
            LinkState::Down { .. } => None,
            LinkState::Dialling(opened) => match opened.as_mut().poll(task) {
                Poll::Pending => None,
                Poll::Ready(Ok(mut connection)) => {
                    self.pause = redial.first;
                    let mut waiting = self.waiting.drain(..).zip(&mut self.owed);
                    let sent = waiting.try_for_each(|(sending, owed)| {
                        owed.number = Some(connection.next_request());
                        send(&mut connection, &sending, writes, dialer)
                    });
                    self.state = match sent {
                        Ok(()) => LinkState::Up(Box::new(connection)),
                        Err(error) => LinkState::Broken(error),
                    };
                    Some(LinkChange::Opened(Ok(())))
                }
                Poll::Ready(Err(cause)) => {
                    let until = Instant::now() + self.pause;
                    self.pause = (2 * self.pause).min(redial.max);
                    self.waiting.clear();
                    self.state = LinkState::Down { until, why: cause.why.clone() };
                    Some(LinkChange::Opened(Err(cause)))
                }
            },
            LinkState::Up(connection) => {
                let writes_now = is_due(&mut self.unwritten, &mut self.sleep, task);
                let owed = &mut self.owed;
                let lost = converse(connection, task, writes_now, owed, &mut take).err()?;
                let (why, nothing_done) = (words(&lost), connection.nothing_done_by(&lost));
                let error = connection.failure(&lost);
                Some(self.lost(error, LossCause { why, nothing_done }, redial, dialer))
            }
            LinkState::Broken(error) => {
                let why = words(error);
                Some(self.give_up(why, redial, dialer))
            }
        }
    }

    /// Gives the connection up, for this reason.
    pub(super) fn give_up(
        &mut self,
        why: String,
        redial: Redial,
        dialer: &Arc<Dialer>,
    ) -> LinkChange {
        let (bank, address) = (self.bank, self.address.clone());
        let error = ClientError::Unreachable { bank, address, why: why.clone() };
        self.lost(error, LossCause { why, nothing_done: None }, redial, dialer)
    }

    fn lost(
        &mut self,
        error: ClientError,
        cause: LossCause,
        redial: Redial,
        dialer: &Arc<Dialer>,
    ) -> LinkChange {
        dialer.observe(&ClientEvent::Closed(self.bank, &cause.why));
        self.pause = redial.first;
        let until = Instant::now() + redial.first;
        self.waiting.clear();
        self.state = LinkState::Down { until, why: cause.why.clone() };
        LinkChange::Lost(error, cause)
    }

    /// The connection, if it is open and no reply is owed over it.
    pub(super) fn into_idle(self) -> Option<Connection> {
        match self.state {
            LinkState::Up(connection) if self.owed.is_empty() => Some(*connection),
            LinkState::Up(_)
            | LinkState::Down { .. }
            | LinkState::Dialling(_)
            | LinkState::Broken(_) => None,
        }
    }
}

fn send(
    connection: &mut Connection,
    sending: &QueuedRequest,
    writes: Writes,
    dialer: &Dialer,
) -> io::Result<()> {
    match sending {
        QueuedRequest::Message(message) => {
            let number = connection.next_request();
            dialer.observe(&ClientEvent::Sent(connection.bank(), message, number));
            crash::client_sending(message);
            connection.queue_message(message)?;
            if writes == Writes::EachMessage {
                connection.flush_now()?;
            }
            crash::client_sent(message);
            Ok(())
        }
        QueuedRequest::Request(request) => connection.queue_request(request),
    }
}

/// How long a COMMIT waits at most.
const COMMIT_WAITS: Duration = Duration::from_millis(COMMIT_WAIT_MS_MAX);

/// Whether what is queued must be written now. If not, the task is woken in time.
fn is_due(
    unwritten: &mut Unwritten,
    sleep: &mut Option<Pin<Box<Sleep>>>,
    task: &mut Context<'_>,
) -> bool {
    let Unwritten::CommitsUntil(until) = *unwritten else { return true };
    // A sleep may be for COMMITs before these, and end too early.
    while Instant::now() < until {
        let waiting = sleep.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if waiting.as_mut().poll(task).is_pending() {
            return false;
        }
        *sleep = None;
    }
    *unwritten = Unwritten::Due;
    true
}

/// Writes, if that is due, and reads until both would block.
fn converse(
    connection: &mut Connection,
    task: &mut Context<'_>,
    writes_now: bool,
    owed: &mut VecDeque<OwedReply>,
    take: &mut impl FnMut(BankId, OwedReply, Reply),
) -> io::Result<()> {
    if writes_now && let Poll::Ready(flushed) = connection.poll_flush(task) {
        flushed?;
    }
    while let Poll::Ready(reply) = connection.poll_reply(task) {
        let reply = reply?;
        let Some(owed) = owed.pop_front() else {
            return Err(io::Error::other("it answered what it was not asked"));
        };
        take(connection.bank(), owed, reply);
    }
    Ok(())
}

/// Connects and completes the handshake: before that, no message is sent to any bank.
async fn open(bank: BankId, address: &str, dialer: &Arc<Dialer>) -> Result<Connection, LossCause> {
    dialer.observe(&ClientEvent::Connecting(bank));
    let connected = Connection::connect(bank, address, dialer).await;
    let mut connection = connected.map_err(|error| LossCause {
        why: match error {
            ClientError::Unreachable { why, .. } => why,
            other => other.to_string(),
        },
        nothing_done: None,
    })?;
    crash::step(Step::ClientConnected);
    let within = dialer.options.answer_within;
    let cause = match timeout(within, connection.complete_handshake()).await {
        Ok(Ok(())) => return Ok(connection),
        Ok(Err(error)) => {
            LossCause { why: words(&error), nothing_done: connection.nothing_done_by(&error) }
        }
        Err(_) => LossCause { why: silence(within), nothing_done: None },
    };
    dialer.observe(&ClientEvent::Closed(bank, &cause.why));
    Err(cause)
}
