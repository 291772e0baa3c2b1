//! Tests of links over real loopback sockets, against a scripted peer.
//!
//! `open` has the tests of links that work, `failures` of those that do not, `handshake` of the
//! proofs. This file holds what they share.

mod failures;
mod handshake;
mod open;

use super::*;
use consorcio_core::commit::message::PeerVerb;
use consorcio_core::ids::TxId;
use consorcio_core::limits::SESSION_REQUESTS_MAX;
use consorcio_core::wire::request::{Local, Request};
use consorcio_core::wire::token::{Digest, Seal, Vote};
use consorcio_steps::steplog::StepLogOptions;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;

/// Long enough that only a broken program exceeds it.
const DEADLINE: Duration = Duration::from_secs(20);

/// More inputs than any test leaves unread.
const INPUTS_MAX: usize = 65_536;

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

/// The founding id of the journal of the bank at this position.
fn founding(position: u8) -> FoundingId {
    FoundingId::new([position; 16])
}

fn tx(number: usize) -> TxId {
    TxId::new(&format!("t{number}")).unwrap()
}

fn key() -> Seal {
    Seal::keyed([7; 32])
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("no {what} in time"))
}

/// Bank 0 with running links, and the inputs for its node.
struct DialingBank {
    peers: Peers,
    inputs: Receiver<Input>,
    tasks: Vec<JoinHandle<()>>,
}

impl DialingBank {
    fn start(places: &[String], seal: Seal, steplog: StepLog, timing: Timing) -> DialingBank {
        let identity = Identity { bank: bank(0), places: places.to_vec(), seal };
        let peers = Peers::with_timing(identity, founding(0), steplog, None, timing);
        let (sender, inputs) = channel(INPUTS_MAX);
        let links = peers.links(move |inputs: &mut Vec<Input>| {
            for input in inputs.drain(..) {
                let full = matches!(sender.try_send(input), Err(TrySendError::Full(_)));
                assert!(!full, "the test takes inputs as fast as they come");
            }
        });
        DialingBank { peers, inputs, tasks: links.into_iter().map(tokio::spawn).collect() }
    }

    /// The next input. Skips the peer's founding id, which comes with every link.
    async fn next(&mut self) -> Input {
        loop {
            match within("input", self.inputs.recv()).await.unwrap() {
                Input::PeerFounded { peer, founding: id } => {
                    assert_eq!((peer, id), (bank(1), founding(1)))
                }
                input => return input,
            }
        }
    }

    fn resolve(&self, numbers: std::ops::Range<usize>) {
        numbers.for_each(|number| self.peers.send(bank(1), Message::Resolve(tx(number))));
    }
}

fn answer(number: usize, reply: Option<Reply>) -> Input {
    let asked = RequestKey { tx: tx(number), verb: PeerVerb::Resolve };
    Input::Answer { peer: bank(1), asked, reply, past: None }
}

fn unknown(number: usize) -> Input {
    answer(number, Some(Reply::Unknown(tx(number))))
}

/// Bank 1: a listener, and the answering side of its links.
struct ScriptedPeer {
    listener: TcpListener,
    places: Vec<String>,
}

impl ScriptedPeer {
    async fn listen() -> ScriptedPeer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let places = vec!["127.0.0.1:9".to_owned(), listener.local_addr().unwrap().to_string()];
        ScriptedPeer { listener, places }
    }

    /// Bank 1 as seen by its own sessions. Its links never run.
    fn acceptor(&self, seal: Seal) -> Peers {
        let identity = Identity { bank: bank(1), places: self.places.clone(), seal };
        Peers::new(identity, founding(1), StepLog::off(), None)
    }

    async fn accept(&self) -> ScriptedSession {
        let (stream, _) = within("dial", self.listener.accept()).await.unwrap();
        let (read, write) = stream.into_split();
        ScriptedSession {
            lines: BufReader::new(read).lines(),
            write,
            acceptor: Acceptor::default(),
        }
    }

    /// Accepts a link and runs the handshake; also returns the inputs that follow from it.
    async fn open(&self, peers: &Peers) -> (ScriptedSession, Vec<Input>) {
        let mut session = self.accept().await;
        let mut inputs = Vec::new();
        while session.acceptor.bank().is_none() {
            let line = session.line().await.expect("the dialler sends a line");
            inputs.extend(session.answer_peer(peers, &line).await);
        }
        (session, inputs)
    }
}

struct ScriptedSession {
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
    acceptor: Acceptor,
}

impl ScriptedSession {
    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<String> {
        within("line", self.lines.next_line()).await.unwrap_or(None)
    }

    async fn send(&mut self, text: &str) {
        // If the other side is gone, its own assertion fails.
        self.write.write_all(text.as_bytes()).await.unwrap_or(());
    }

    async fn reply(&mut self, reply: &Reply) {
        let mut line = Vec::new();
        reply.write_to(&mut line);
        self.send(std::str::from_utf8(&line).unwrap()).await;
    }

    async fn answer_peer(&mut self, peers: &Peers, line: &str) -> Vec<Input> {
        let Ok(Request::Local(Local::Peer(json))) = Request::parse(line) else {
            panic!("a PEER line, not {line}")
        };
        let (reply, mut inputs) = peers.answer(&mut self.acceptor, &json);
        self.reply(&reply).await;
        inputs.retain(|input| !matches!(input, Input::PeerFounded { .. }));
        inputs
    }

    /// The next request other than PING; answers PINGs.
    async fn request(&mut self) -> Request {
        loop {
            let line = self.line().await.expect("the link sends a request");
            match Request::parse(&line).unwrap() {
                Request::Local(Local::Ping) => self.send("PONG\n").await,
                request => return request,
            }
        }
    }

    /// Answers a PING if one arrives soon.
    async fn answer_pings(&mut self) {
        let line = tokio::time::timeout(Duration::from_millis(10), self.lines.next_line()).await;
        if matches!(line, Ok(Ok(Some(line))) if line == "PING") {
            self.send("PONG\n").await;
        }
    }
}

fn quick() -> Timing {
    Timing {
        backoff_min: Duration::from_millis(5),
        backoff_max: Duration::from_millis(20),
        ..Timing::default()
    }
}

/// The text of the step log, once it contains `expected`.
async fn logged(path: &std::path::Path, expected: &str) -> String {
    let reading = async {
        loop {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.contains(expected) {
                return text;
            }
            tokio::task::yield_now().await;
        }
    };
    within(expected, reading).await
}

/// Makes one vote of each bank known to the links.
fn know(peers: &Peers, time: i64) {
    peers.update_votes(&[Time(time); BANKS_MAX], |bank| vec![vote(bank, time)]);
}

fn vote(bank: BankId, time: i64) -> (TxId, Token) {
    let token = key().token(bank, Vote::Ok, &tx(1), Some(Digest::of(b"{}")), Time(time));
    (tx(1), token)
}

fn shown(peer: usize, to: usize, time: i64) -> Input {
    let (tx, token) = vote(bank(to), time);
    Input::PeerShows { peer: bank(peer), tx, token, past: None }
}
