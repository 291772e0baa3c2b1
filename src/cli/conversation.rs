//! One connection to one bank, a line out and a line back. What is said over it is decided
//! elsewhere.

use super::failure::{Failure, disk_hangs, no_bank, other_bank};
use super::greeting::{Met, Welcome};
use super::story::Story;
use consorcio_core::ids::BankId;
use consorcio_core::limits::ANSWER_WITHIN_MS;
use consorcio_core::wire::Reason;
use consorcio_core::wire::codec::Lines;
use consorcio_core::wire::opening::{Hello, PROTOCOL_VERSION};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Request};
use consorcio_system::config::Consortium;
use consorcio_system::crash;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// A bank that waits for a lock, or for other banks, says so after this long at most.
const BANK_WAITS: Duration = Duration::from_millis(ANSWER_WITHIN_MS);

/// How banks are connected to: what is written down of it, and how long a bank gets.
#[derive(Debug, Clone)]
pub struct Dial {
    /// Where each step goes.
    pub story: Story,
    /// A bank that has neither connected nor answered within this time is silent.
    pub within: Duration,
    /// The consortium's list, as a command line takes it.
    pub list: Arc<str>,
    /// How many places it has.
    pub places: usize,
    /// What banks said of themselves.
    pub met: Arc<Met>,
}

impl Dial {
    /// What a connection's end or silence means, in words that say what to do.
    pub fn unreachable(&self, bank: BankId, address: &str, why: &str) -> String {
        let start = self.start_command(address);
        format!(
            "bank {bank} at {address} can't be reached ({why}); is it running? Start it with: {start}"
        )
    }

    /// The command that starts the bank at `address`; other switches that it was started with come
    /// beside it.
    pub fn start_command(&self, address: &str) -> String {
        let (host, port) = address.rsplit_once(':').unwrap_or(("127.0.0.1", address));
        let host = if host == "127.0.0.1" { String::new() } else { format!(" --host {host}") };
        let list = if *self.list == *Consortium::DEFAULT {
            String::new()
        } else {
            format!(" --consortium {}", self.list)
        };
        format!("servidor{host} --port {port}{list}")
    }
}

/// How far the greeting is, with which each connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greeting {
    /// HELLO goes out with the first request, in one write.
    Owed,
    /// Its answer comes first.
    Sent,
    /// This is the bank that was meant.
    Heard,
}

/// Room made for each read.
const READ_BYTES: usize = 16 * 1024;

/// An open connection to a bank.
pub struct Conversation {
    bank: BankId,
    address: String,
    stream: TcpStream,
    input: Lines,
    dial: Dial,
    /// Until when the first answer may come: one limit for the connection and for it.
    first_until: Option<Instant>,
    greeting: Greeting,
    /// It was shown, before anything was executed, that this is not the bank that is meant.
    stranger: bool,
}

/// Who listens at a bank's address is not that bank.
#[derive(Debug, thiserror::Error)]
enum Stranger {
    /// It does not speak the protocol: the beginning of what it said.
    #[error("what answers there is no bank: {0:?}")]
    NoBank(String),
    /// It is another bank: its words.
    #[error("{0}")]
    OtherBank(String),
    /// It takes no requests now: its words.
    #[error("{0}: {1}")]
    Declined(Reason, String),
}

fn strange(error: &io::Error) -> Option<&Stranger> {
    error.get_ref().and_then(|error| error.downcast_ref::<Stranger>())
}

impl Conversation {
    /// Connects to `bank`.
    ///
    /// # Errors
    /// Why it can't be reached, in a few words.
    pub async fn connect(bank: BankId, address: &str, dial: &Dial) -> Result<Conversation, String> {
        let until = Instant::now() + dial.within;
        let connected = match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map(|()| stream).map_err(|error| words(&error))
            }
            Ok(Err(error)) => Err(words(&error)),
            Err(_) => Err(silence(dial.within)),
        };
        match connected {
            Ok(stream) => {
                dial.story.connected(bank, stream.local_addr().ok());
                Ok(Conversation {
                    bank,
                    address: address.to_owned(),
                    stream,
                    input: Lines::new(),
                    dial: dial.clone(),
                    first_until: Some(until),
                    greeting: Greeting::Owed,
                    stranger: false,
                })
            }
            Err(why) => {
                dial.story.not_connected(bank, &why);
                Err(why)
            }
        }
    }

    /// Sends whole lines.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.greeting == Greeting::Owed {
            self.greeting = Greeting::Sent;
            let mut greeted = Vec::with_capacity(lines.len() + HELLO_BYTES);
            write_hello(&mut greeted, self.bank, self.dial.places);
            greeted.extend_from_slice(lines);
            return self.stream.write_all(&greeted).await;
        }
        self.stream.write_all(lines).await
    }

    /// Hears whether this is the bank that is meant, before anything is asked of it.
    ///
    /// # Errors
    /// When it is not, or the connection ends.
    pub async fn greet(&mut self) -> io::Result<()> {
        self.send(&[]).await?;
        while self.greeting != Greeting::Heard {
            let reply = self.next_line().await?;
            self.welcomed(reply)?;
        }
        Ok(())
    }

    /// The next reply. May be given up and asked for again: nothing gets lost.
    ///
    /// # Errors
    /// When the connection ends before a whole line came, or what came is no reply.
    pub async fn next_reply(&mut self) -> io::Result<Reply> {
        loop {
            let reply = self.next_line().await?;
            if self.greeting == Greeting::Heard {
                return Ok(reply);
            }
            self.welcomed(reply)?;
        }
    }

    /// The next line, as a reply.
    async fn next_line(&mut self) -> io::Result<Reply> {
        loop {
            match self.input.next() {
                Some(Ok(line)) => {
                    let no_bank = Stranger::NoBank(beginning(line));
                    return Reply::parse(line).map_err(|_| io::Error::other(no_bank));
                }
                Some(Err(error)) => {
                    return Err(io::Error::other(Stranger::NoBank(error.to_string())));
                }
                None => {}
            }
            if self.stream.read_buf(self.input.space(READ_BYTES)).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
    }

    /// The answer to HELLO: is it the bank that is meant?
    fn welcomed(&mut self, reply: Reply) -> io::Result<()> {
        let other = |text: String| Err(io::Error::other(Stranger::OtherBank(text)));
        match reply {
            Reply::Done(json) => match serde_json::from_str::<Welcome>(&json) {
                Ok(welcome) if welcome.bank == self.bank => {
                    self.dial.met.add(welcome);
                    self.greeting = Greeting::Heard;
                    Ok(())
                }
                Ok(welcome) => other(format!("this is bank {}", welcome.bank)),
                Err(_) => Err(io::Error::other(Stranger::NoBank(beginning(&json)))),
            },
            Reply::Err(Reason::Refused, text) => other(text),
            Reply::Err(reason, text) | Reply::Refused(reason, text) => {
                Err(io::Error::other(Stranger::Declined(reason, text)))
            }
            Reply::Ok(..)
            | Reply::Nok(..)
            | Reply::Committed(..)
            | Reply::Aborted(..)
            | Reply::Doubt(..)
            | Reply::Unknown(_)
            | Reply::Pong
            | Reply::Bye => {
                Err(io::Error::other(Stranger::NoBank("an answer to what it was not asked".into())))
            }
        }
    }

    /// Did whoever listens there turn out to be another than the bank?
    pub fn is_a_stranger(&self) -> bool {
        self.stranger
    }

    /// Whether `error` shows that nothing of what was sent was executed, and what it means then.
    pub fn nothing_done(&self, error: &io::Error) -> Option<Failure> {
        strange(error).filter(|_| self.greeting != Greeting::Heard).map(|_| self.failure(error))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// `NoConnection` when the bank does not answer, `DiskHangs` where it says why.
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, Failure> {
        let mut line = Vec::new();
        request.write_to(&mut line);
        self.dial.story.asked(self.bank, request);
        crash::client_asking(request);
        let within = self.dial.within + bank_may_wait(request);
        let fresh = Instant::now() + within;
        let until = self.first_until.take().map_or(fresh, |first| first + bank_may_wait(request));
        let answered = timeout_at(until, async {
            self.send(&line).await?;
            crash::client_asked(request);
            self.next_reply().await
        });
        let why = match answered.await {
            Ok(Ok(reply)) => {
                crash::client_told(request);
                self.dial.story.answered(self.bank, &reply);
                return Ok(reply);
            }
            Ok(Err(error)) => {
                self.dial.story.cut(self.bank, &words(&error));
                self.stranger = self.nothing_done(&error).is_some();
                return Err(self.failure(&error));
            }
            Err(_) => silence(within),
        };
        self.dial.story.cut(self.bank, &why);
        let sync_ms = slow_sync_ms(self.bank, &self.address, &self.dial).await;
        Err(sync_ms.map_or_else(
            || Failure::NoConnection(self.dial.unreachable(self.bank, &self.address, &why)),
            |ms| disk_hangs(self.bank, ms),
        ))
    }

    /// The connection, for whoever reads and writes it otherwise, once the bank has answered.
    pub fn into_parts(self) -> (TcpStream, Lines) {
        (self.stream, self.input)
    }

    /// What an error of this connection means to whoever asked.
    pub fn failure(&self, error: &io::Error) -> Failure {
        failure(&self.dial, self.bank, &self.address, error)
    }
}

/// What an error of the connection to `bank` means.
pub fn failure(dial: &Dial, bank: BankId, address: &str, error: &io::Error) -> Failure {
    match strange(error) {
        Some(Stranger::NoBank(said)) => Failure::NoConnection(no_bank(bank, address, said)),
        Some(Stranger::OtherBank(said)) => Failure::Usage(other_bank(bank, address, said)),
        Some(Stranger::Declined(reason, text)) => Failure::Refused {
            reason: Some(*reason),
            text: format!("bank {bank} refused: {reason}: {text}"),
        },
        None => Failure::NoConnection(dial.unreachable(bank, address, &words(error))),
    }
}

/// A bank that does not answer is asked why not, and gets this long for that.
const WHY_WITHIN: Duration = Duration::from_millis(1_000);

/// How long a bank's disk has not finished a sync, in milliseconds, where that keeps its answers:
/// BANKS, which needs no disk, tells it.
pub async fn slow_sync_ms(bank: BankId, address: &str, dial: &Dial) -> Option<u64> {
    let dial = Dial { within: dial.within.min(WHY_WITHIN), ..dial.clone() };
    let asked = async {
        let mut conversation = Conversation::connect(bank, address, &dial).await.ok()?;
        let mut line = Vec::new();
        Request::Local(Local::Banks).write_to(&mut line);
        conversation.send(&line).await.ok()?;
        match conversation.next_reply().await.ok()? {
            Reply::Done(json) => sync_ms_of(bank, &json),
            _ => None,
        }
    };
    timeout(dial.within, asked).await.ok()?
}

/// What BANKS, as `bank` answers it, tells of its own disk.
pub fn sync_ms_of(bank: BankId, json: &str) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Place {
        bank: BankId,
        #[serde(default)]
        sync_ms: Option<u64>,
    }
    let places: Vec<Place> = serde_json::from_str(json).ok()?;
    places.into_iter().find(|place| place.bank == bank)?.sync_ms
}

/// More than a HELLO has.
const HELLO_BYTES: usize = 64;

fn write_hello(out: &mut Vec<u8>, bank: BankId, places: usize) {
    let hello = Hello {
        bank: bank.as_u8().into(),
        places: u64::try_from(places).unwrap_or(u64::MAX),
        version: PROTOCOL_VERSION,
    };
    Request::Local(Local::Hello(hello)).write_to(out);
}

/// How much longer than other answers that to `request` may take, as the bank itself waits for
/// others.
fn bank_may_wait(request: &Request) -> Duration {
    match request {
        Request::Prepare(..)
        | Request::Commit(..)
        | Request::Abort(..)
        | Request::Resolve(_)
        | Request::Execute(..) => BANK_WAITS,
        Request::Read(read) if read.may_wait() => BANK_WAITS,
        Request::Status(_)
        | Request::Client(_)
        | Request::Account(_)
        | Request::Read(_)
        | Request::Registers { .. }
        | Request::Local(_) => Duration::ZERO,
    }
}

/// That a bank did not answer, in words.
pub fn silence(within: Duration) -> String {
    match within.subsec_millis() {
        0 => format!("no answer within {} s", within.as_secs()),
        _ => format!("no answer within {} ms", within.as_millis()),
    }
}

/// The beginning of a line that nobody here can read.
fn beginning(line: &str) -> String {
    line.chars().take(60).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// A reply's line; what is none counts as an `ERR`, which says nothing about any transaction.
pub fn read_line(line: &str) -> Reply {
    Reply::parse(line).unwrap_or_else(|_| {
        Reply::Err(Reason::Malformed, format!("answered what is no reply: {}", beginning(line)))
    })
}

/// An I/O error in the words of people.
pub fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::UnexpectedEof => "it closed the connection".into(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the connection broke".into(),
        _ => error.to_string(),
    }
}
