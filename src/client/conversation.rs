//! One connection to one bank, a line out and a line back. What is said over it is decided elsewhere.

use super::failure::{Failure, unreachable};
use super::story::Story;
use crate::crash;
use crate::ids::BankId;
use crate::limits::{ANSWER_WITHIN_MS, VOTE_TIMEOUT_MS};
use crate::wire::Reason;
use crate::wire::codec::Lines;
use crate::wire::reply::Reply;
use crate::wire::request::Request;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A bank that does not accept a connection within this time can't be reached.
const CONNECT_WITHIN: Duration = Duration::from_millis(VOTE_TIMEOUT_MS);
/// A bank answers within `ANSWER_WITHIN_MS`, or the line there and back is slow; then it is silent.
const ANSWER_WITHIN: Duration = Duration::from_millis(2 * ANSWER_WITHIN_MS);

/// Room made for each read.
const READ_BYTES: usize = 16 * 1024;

/// An open connection to a bank.
pub struct Conversation {
    bank: BankId,
    address: String,
    stream: TcpStream,
    input: Lines,
    story: Story,
}

impl Conversation {
    /// Connects to `bank`.
    ///
    /// # Errors
    /// Why it can't be reached, in a few words.
    pub async fn connect(bank: BankId, address: &str, story: &Story) -> Result<Conversation, String> {
        let connected = match timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream.set_nodelay(true).map(|()| stream).map_err(|error| words(&error)),
            Ok(Err(error)) => Err(words(&error)),
            Err(_) => Err(format!("no answer within {} s", CONNECT_WITHIN.as_secs())),
        };
        match connected {
            Ok(stream) => {
                story.connected(bank, stream.local_addr().ok());
                Ok(Conversation {
                    bank,
                    address: address.to_owned(),
                    stream,
                    input: Lines::new(),
                    story: story.clone(),
                })
            }
            Err(why) => {
                story.not_connected(bank, &why);
                Err(why)
            }
        }
    }

    /// Sends whole lines.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, lines: &[u8]) -> io::Result<()> {
        self.stream.write_all(lines).await
    }

    /// The next reply. May be given up and asked for again: nothing gets lost.
    ///
    /// # Errors
    /// When the connection ends before a whole line came. A line that is no reply is told as an `ERR`.
    pub async fn next_reply(&mut self) -> io::Result<Reply> {
        loop {
            match self.input.next() {
                Some(Ok(line)) => return Ok(read_line(line)),
                Some(Err(error)) if error.is_fatal() => {
                    return Err(io::Error::other("it sent an endless line"));
                }
                Some(Err(error)) => return Ok(Reply::Err(Reason::Malformed, error.to_string())),
                None => {}
            }
            if self.stream.read_buf(self.input.space(READ_BYTES)).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// `NoConnection` when the bank does not answer.
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, Failure> {
        let mut line = Vec::new();
        request.write_to(&mut line);
        self.story.asked(self.bank, request);
        crash::client_asking(request);
        let answered = timeout(ANSWER_WITHIN, async {
            self.send(&line).await?;
            crash::client_asked(request);
            self.next_reply().await
        });
        let why = match answered.await {
            Ok(Ok(reply)) => {
                crash::client_told(request);
                self.story.answered(self.bank, &reply);
                return Ok(reply);
            }
            Ok(Err(error)) => words(&error),
            Err(_) => format!("no answer within {} s", ANSWER_WITHIN.as_secs()),
        };
        self.story.cut(self.bank, &why);
        Err(Failure::NoConnection(unreachable(self.bank, &self.address, &why)))
    }
}

/// A reply's line; what is none counts as an `ERR`, which says nothing about any transaction.
pub fn read_line(line: &str) -> Reply {
    Reply::parse(line).unwrap_or_else(|_| {
        let shown: String = line.chars().take(80).collect();
        Reply::Err(Reason::Malformed, format!("answered what is no reply: {shown}"))
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
