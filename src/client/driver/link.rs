//! A driver's way to one bank: the connection, dialled again where it was lost, and the replies
//! that are owed over it.

use super::votes::LossCause;
use crate::connection::Connection;
use crate::error::ClientError;
use crate::observe::{ClientEvent, RequestNumber};
use crate::options::Dialer;
use crate::reading::{silence, words};
use consorcio_core::commit::message::{AskedVerb, Message};
use consorcio_core::ids::BankId;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_system::crash::{self, Step};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// When what is sent is written to its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// At once, message by message.
    EachMessage,
    /// Once a turn, all that a read brought about: so the COMMIT of one transaction travels with
    /// the PREPARE of the next.
    EachTurn,
}

/// How long a bank that is away is left alone before it is dialled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redial {
    /// After a connection was lost.
    pub first: Duration,
    /// Twice as long after each failure, up to this.
    pub max: Duration,
}

/// A driver's way to one bank.
pub(super) struct BankLink {
    pub(super) bank: BankId,
    pub(super) address: String,
    state: LinkState,
    /// The replies that are owed, in order; those of messages that wait included.
    pub(super) owed: VecDeque<OwedReply>,
    /// What waits for the connection that is being made.
    waiting: Vec<QueuedRequest>,
    /// How long to leave the bank alone after the next failure.
    pause: Duration,
}

enum LinkState {
    Down {
        until: Instant,
        why: String,
    },
    Dialling(Pin<Box<dyn Future<Output = Result<Connection, LossCause>> + Send>>),
    Up(Box<Connection>),
    /// A write failed; the next poll says so.
    Broken(io::Error),
}

/// A reply that is owed: to which of the driver's tasks, and to what.
pub(super) struct OwedReply {
    pub(super) slot: usize,
    /// The verb of a driver's message; none for another request.
    pub(super) verb: Option<AskedVerb>,
    /// When it was sent.
    pub(super) since: Instant,
    /// Its number, once it was sent over the connection.
    pub(super) number: Option<RequestNumber>,
}

/// A message of a transaction, or any other request.
pub(super) enum QueuedRequest {
    Message(Message),
    Request(Request),
}

/// What a poll of a link shows beside replies.
pub(super) enum LinkChange {
    /// The connection that was being made is there, or not: why.
    Opened(Result<(), LossCause>),
    /// The connection is lost: why, as an error and for those that wait.
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
        BankLink { bank, address, state, owed, waiting, pause: redial.first }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, LinkState::Up(_))
    }

    pub(super) fn is_dialling(&self) -> bool {
        matches!(self.state, LinkState::Dialling(_))
    }

    /// Begins to connect where that is not done and it is time for it. `Err` with the last reason
    /// where it is not.
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

    /// Sends, or keeps it until the bank is connected; its reply, or its loss, comes later. `Err`
    /// where the bank is away.
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
            QueuedRequest::Message(message) => Some(message.asked().verb),
            QueuedRequest::Request(_) => None,
        };
        let number = match &self.state {
            LinkState::Up(connection) => Some(connection.next_request()),
            LinkState::Dialling(_) | LinkState::Broken(_) | LinkState::Down { .. } => None,
        };
        self.owed.push_back(OwedReply { slot, verb, since: now, number });
        match &mut self.state {
            LinkState::Up(connection) => {
                if let Err(error) = send(connection, &sending, writes, dialer) {
                    self.state = LinkState::Broken(error);
                }
            }
            LinkState::Dialling(_) => self.waiting.push(sending),
            // It is lost with all that is owed.
            LinkState::Broken(_) | LinkState::Down { .. } => {}
        }
        Ok(())
    }

    /// Writes what can be written and reads what can be read, until both would block; `take` gets
    /// what was owed and its reply.
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
                let lost = converse(connection, task, &mut self.owed, &mut take).err()?;
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

    /// The connection is of no use any more, for this reason.
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

    /// The connection, where it is open and owes nothing.
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

/// Writes and reads until both would block.
fn converse(
    connection: &mut Connection,
    task: &mut Context<'_>,
    owed: &mut VecDeque<OwedReply>,
    take: &mut impl FnMut(BankId, OwedReply, Reply),
) -> io::Result<()> {
    if let Poll::Ready(flushed) = connection.poll_flush(task) {
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

/// Connects, and hears whether it is the bank that is meant: before that, nothing is asked of any
/// bank.
async fn open(bank: BankId, address: &str, dialer: &Arc<Dialer>) -> Result<Connection, LossCause> {
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
    let cause = match timeout(within, connection.greet()).await {
        Ok(Ok(())) => return Ok(connection),
        Ok(Err(error)) => {
            LossCause { why: words(&error), nothing_done: connection.nothing_done_by(&error) }
        }
        Err(_) => LossCause { why: silence(within), nothing_done: None },
    };
    dialer.observe(&ClientEvent::Closed(bank, &cause.why));
    Err(cause)
}
