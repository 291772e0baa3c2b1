//! The driver's connections: one task a bank, which connects, sends, reads, and says what came or
//! what is lost.
//!
//! Each message that is handed over is answered by exactly one arrival, its answer or its loss. A
//! connection that was lost is made again for the next message.

use super::conversation::{Conversation, Dial, silence, words};
use super::failure::Failure;
use consorcio_core::commit::message::{Asked, AskedVerb, Message};
use consorcio_core::ids::BankId;
use consorcio_core::wire::reply::Reply;
use consorcio_system::crash::{self, Step};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// What a bank's task tells.
#[derive(Debug)]
pub enum Arrival {
    /// The first connection is made and the bank is the one that is meant, or not: why.
    Opened(BankId, Result<(), Loss>),
    /// An answer, and how long it took.
    Answer(BankId, AskedVerb, Reply, Duration),
    /// What was asked stays unanswered: why.
    Lost(BankId, AskedVerb, Loss),
}

/// Why something stays unanswered.
#[derive(Debug, Clone)]
pub struct Loss {
    /// In words.
    pub why: String,
    /// Where it is known that nothing of it was executed: what that means.
    pub nothing_done: Option<Failure>,
}

impl From<String> for Loss {
    fn from(why: String) -> Loss {
        Loss { why, nothing_done: None }
    }
}

/// Where messages to one bank are handed over. The bounds are the driver's: it has a few under way.
pub struct Post {
    messages: UnboundedSender<Message>,
}

impl Post {
    /// Begins to connect to `bank`.
    pub fn open(
        bank: BankId,
        address: String,
        dial: Dial,
        arrivals: UnboundedSender<Arrival>,
    ) -> Post {
        let (messages, inbox) = unbounded_channel();
        let postman = Postman {
            bank,
            address,
            dial,
            arrivals,
            inbox,
            owed: VecDeque::new(),
            line: Vec::new(),
        };
        tokio::spawn(postman.run());
        Post { messages }
    }

    /// Sends `message`; its answer, or its loss, will arrive.
    pub fn send(&self, message: Message) {
        // The task ends only after this handle is gone.
        let _ = self.messages.send(message);
    }
}

struct Postman {
    bank: BankId,
    address: String,
    dial: Dial,
    arrivals: UnboundedSender<Arrival>,
    inbox: UnboundedReceiver<Message>,
    /// What was sent and not yet answered; replies come in this order.
    owed: VecDeque<(Asked, Instant)>,
    line: Vec<u8>,
}

/// What happened to an open connection.
enum Turn {
    Send(Message),
    Leave,
    Read(std::io::Result<Reply>),
}

impl Postman {
    async fn run(mut self) {
        let opened = self.open().await;
        let told = opened.as_ref().map(|_| ()).map_err(Clone::clone);
        let mut open = opened.map_err(|loss| loss.why);
        let _ = self.arrivals.send(Arrival::Opened(self.bank, told));
        loop {
            let turn = match &mut open {
                Ok(conversation) => tokio::select! {
                    message = self.inbox.recv() => message.map_or(Turn::Leave, Turn::Send),
                    reply = conversation.next_reply() => Turn::Read(reply),
                },
                Err(_) => self.inbox.recv().await.map_or(Turn::Leave, Turn::Send),
            };
            match turn {
                Turn::Leave => return,
                Turn::Read(Ok(reply)) => {
                    if let Err(why) = self.answer(reply) {
                        self.lose_all(&why.clone().into());
                        open = Err(why);
                    }
                }
                Turn::Read(Err(error)) => {
                    let why = words(&error);
                    self.dial.story.cut(self.bank, &why);
                    let nothing_done =
                        open.as_ref().ok().and_then(|open| open.nothing_done(&error));
                    self.lose_all(&Loss { why: why.clone(), nothing_done });
                    open = Err(why);
                }
                Turn::Send(message) => {
                    if open.is_err() {
                        open = Conversation::connect(self.bank, &self.address, &self.dial).await;
                    }
                    self.send(message, &mut open).await;
                }
            }
        }
    }

    /// Connects, and hears whether it is the bank that is meant: before that, nothing is asked of
    /// any bank.
    async fn open(&self) -> Result<Conversation, Loss> {
        let mut open = Conversation::connect(self.bank, &self.address, &self.dial).await?;
        crash::step(Step::ClientConnected);
        match timeout(self.dial.within, open.greet()).await {
            Ok(Ok(())) => Ok(open),
            Ok(Err(error)) => {
                let why = words(&error);
                self.dial.story.cut(self.bank, &why);
                Err(Loss { why, nothing_done: open.nothing_done(&error) })
            }
            Err(_) => {
                let why = silence(self.dial.within);
                self.dial.story.cut(self.bank, &why);
                Err(why.into())
            }
        }
    }

    async fn send(&mut self, message: Message, open: &mut Result<Conversation, String>) {
        self.line.clear();
        message.write_to(&mut self.line);
        self.owed.push_back((message.asked(), Instant::now()));
        let sent = match open {
            Ok(conversation) => {
                self.dial.story.sent(self.bank, &message);
                crash::client_sending(&message);
                let sent = conversation.send(&self.line).await.map_err(|error| words(&error));
                crash::client_sent(&message);
                sent
            }
            Err(why) => Err(why.clone()),
        };
        if let Err(why) = sent {
            self.lose_all(&why.clone().into());
            *open = Err(why);
        }
    }

    /// Hands over the answer to what was asked first. A reply that nobody asked for ends the
    /// connection.
    fn answer(&mut self, reply: Reply) -> Result<(), String> {
        let Some((asked, since)) = self.owed.pop_front() else {
            return Err("it answered what it was not asked".into());
        };
        self.dial.story.received(self.bank, &asked, &reply);
        crash::client_answered(asked.verb);
        // An answer about another transaction is no answer; it counts as silence.
        let about = reply.tx().is_none_or(|tx| *tx == asked.tx);
        let arrival = if about {
            Arrival::Answer(self.bank, asked.verb, reply, since.elapsed())
        } else {
            Arrival::Lost(
                self.bank,
                asked.verb,
                "it answered about another transaction".to_owned().into(),
            )
        };
        let _ = self.arrivals.send(arrival);
        Ok(())
    }

    fn lose_all(&mut self, loss: &Loss) {
        for (asked, _) in self.owed.drain(..) {
            let _ = self.arrivals.send(Arrival::Lost(self.bank, asked.verb, loss.clone()));
        }
    }
}
