//! Tests of links over real loopback sockets, against a peer that is a script; those of trouble are
//! in `trouble`.

mod trouble;
mod trust;

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
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;

/// Only a broken program meets it.
const DEADLINE: Duration = Duration::from_secs(20);

/// More inputs than any test leaves unread.
const INPUTS_MAX: usize = 1_024;

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

/// The journal of the bank at this position.
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
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

/// Bank 0 with its links running, and what its node hears.
struct Bank {
    peers: Peers,
    inputs: Receiver<Input>,
    tasks: Vec<JoinHandle<()>>,
}

impl Bank {
    fn start(places: &[String], seal: Seal, steplog: StepLog, timing: Timing) -> Bank {
        let identity = Identity { bank: bank(0), places: places.to_vec(), seal };
        let peers = Peers::with_timing(identity, founding(0), steplog, timing);
        let (told, inputs) = channel(INPUTS_MAX);
        let links = peers.links(move |inputs: &mut Vec<Input>| {
            inputs.drain(..).for_each(|input| told.try_send(input).unwrap_or(()));
        });
        Bank { peers, inputs, tasks: links.into_iter().map(tokio::spawn).collect() }
    }

    /// The next input but for the peer's founding id, which comes with every link.
    async fn next(&mut self) -> Input {
        loop {
            match within("an input", self.inputs.recv()).await.unwrap() {
                Input::PeerFounded { peer, founding: told } => {
                    assert_eq!((peer, told), (bank(1), founding(1)))
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
struct Peer {
    listener: TcpListener,
    places: Vec<String>,
}

impl Peer {
    async fn listen() -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let places = vec!["127.0.0.1:9".to_owned(), listener.local_addr().unwrap().to_string()];
        Peer { listener, places }
    }

    /// As `peers` has it: its own links are never run.
    fn acceptor(&self, seal: Seal) -> Peers {
        let identity = Identity { bank: bank(1), places: self.places.clone(), seal };
        Peers::new(identity, founding(1), StepLog::off())
    }

    async fn accept(&self) -> Session {
        let (stream, _) = within("a dial", self.listener.accept()).await.unwrap();
        let (read, write) = stream.into_split();
        Session { lines: BufReader::new(read).lines(), write, acceptor: Acceptor::default() }
    }

    /// Accepts a link and opens it.
    async fn open(&self, peers: &Peers) -> (Session, Vec<Input>) {
        let mut session = self.accept().await;
        let mut learned = Vec::new();
        while session.acceptor.bank().is_none() {
            let line = session.line().await.expect("the dialler goes on");
            learned.extend(session.peer(peers, &line).await);
        }
        (session, learned)
    }
}

struct Session {
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
    acceptor: Acceptor,
}

impl Session {
    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<String> {
        within("a line", self.lines.next_line()).await.unwrap_or(None)
    }

    async fn say(&mut self, text: &str) {
        // The other side may be gone: then its own test says so.
        self.write.write_all(text.as_bytes()).await.unwrap_or(());
    }

    async fn reply(&mut self, reply: &Reply) {
        let mut line = Vec::new();
        reply.write_to(&mut line);
        self.say(std::str::from_utf8(&line).unwrap()).await;
    }

    async fn peer(&mut self, peers: &Peers, line: &str) -> Vec<Input> {
        let Ok(Request::Local(Local::Peer(json))) = Request::parse(line) else {
            panic!("a PEER line, not {line}")
        };
        let (reply, mut learned) = peers.answer(&mut self.acceptor, &json);
        self.reply(&reply).await;
        learned.retain(|input| !matches!(input, Input::PeerFounded { .. }));
        learned
    }

    /// The next request that is no PING; those are answered.
    async fn request(&mut self) -> Request {
        loop {
            let line = self.line().await.expect("a request");
            match Request::parse(&line).unwrap() {
                Request::Local(Local::Ping) => self.say("PONG\n").await,
                request => return request,
            }
        }
    }

    /// Answers a PING, if one comes soon.
    async fn answer_pings(&mut self) {
        let line = tokio::time::timeout(Duration::from_millis(10), self.lines.next_line()).await;
        if matches!(line, Ok(Ok(Some(line))) if line == "PING") {
            self.say("PONG\n").await;
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

/// The step log's text once it holds `expected`.
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

/// Tells the links of one vote of each bank.
fn know(peers: &Peers, time: i64) {
    peers.know(&[Time(time); BANKS_MAX], |bank| vec![vote(bank, time)]);
}

fn vote(bank: BankId, time: i64) -> (TxId, Token) {
    let token = key().token(bank, Vote::Ok, &tx(1), Some(Digest::of(b"{}")), Time(time));
    (tx(1), token)
}

fn shown(peer: usize, to: usize, time: i64) -> Input {
    let (tx, token) = vote(bank(to), time);
    Input::PeerShows { peer: bank(peer), tx, token, past: None }
}

#[test]
fn a_proved_link_shows_both_sides_what_is_known() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        know(&far, 70);
        let mut zero = Bank::start(&peer.places, key(), StepLog::off(), Timing::default());
        know(&zero.peers, 60);
        assert!(!zero.peers.status()[0].online);
        let (mut session, learned) = peer.open(&far).await;
        assert_eq!(learned, [shown(0, 1, 60)]);
        assert_eq!(session.acceptor.origin(), consorcio_core::bank::io::Origin::Link);
        assert_eq!(zero.next().await, shown(1, 0, 70));
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        assert!(zero.peers.status()[0].online);

        // The link is measured, and news goes over it both ways.
        assert_eq!(session.line().await.unwrap(), "PING");
        session.say("PONG\n").await;
        know(&far, 80);
        know(&zero.peers, 90);
        let line = loop {
            let line = session.line().await.unwrap();
            if line != "PING" {
                break line;
            }
            session.say("PONG\n").await;
        };
        assert_eq!(session.peer(&far, &line).await, [shown(0, 1, 90)]);
        assert_eq!(zero.next().await, shown(1, 0, 80));
        assert!(zero.peers.status()[0].latency_us.is_some());
    });
}

/// What becomes known right after the last news waits for its time, and nothing else has to wake
/// the link for it.
#[test]
fn news_that_had_to_wait_goes_out_by_itself() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        let (tell, never) = (Duration::from_millis(300), 100 * DEADLINE);
        let timing = Timing { tell, ping: never, silence: never, ..Timing::default() };
        let mut zero = Bank::start(&peer.places, key(), StepLog::off(), timing);
        let (mut session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        assert_eq!(session.line().await.as_deref(), Some("PING"));
        session.say("PONG\n").await;
        know(&far, 80);
        for time in [90, 91] {
            know(&zero.peers, time);
            let line = session.line().await.expect("news");
            assert_eq!(session.peer(&far, &line).await, [shown(0, 1, time)]);
            if time == 90 {
                // Its answer is read before the next news comes up.
                assert_eq!(zero.next().await, shown(1, 0, 80));
            }
        }
    });
}

#[test]
fn messages_and_answers_keep_their_order_however_many_are_under_way() {
    const COUNT: usize = 5_000;
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        let mut zero = Bank::start(&peer.places, key(), StepLog::off(), Timing::default());
        zero.resolve(0..COUNT); // while it is being dialled
        let server = async {
            let (mut session, _) = peer.open(&far).await;
            let mut read = 0;
            while read < COUNT {
                // Many are answered in one write, after many were read.
                let mut answers = String::new();
                for _ in 0..100.min(COUNT - read) {
                    assert_eq!(session.request().await, Request::Resolve(tx(read)));
                    answers += &format!("UNKNOWN t{read}\n");
                    read += 1;
                }
                session.say(&answers).await;
            }
            session
        };
        let client = async {
            assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
            for number in 0..COUNT {
                assert_eq!(zero.next().await, unknown(number));
            }
        };
        tokio::join!(server, client);
    });
}

/// A peer is sent no more than it can have under way; what waits goes as answers come.
#[test]
fn no_more_is_sent_than_may_be_under_way() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        let zero = Bank::start(&peer.places, key(), StepLog::off(), Timing::default());
        zero.resolve(0..SESSION_REQUESTS_MAX + 10); // while it is being dialled
        let (mut session, _) = peer.open(&far).await;
        // A PING may be under way too, and takes one's place until it is answered.
        for number in 0..SESSION_REQUESTS_MAX - 1 {
            assert_eq!(session.request().await, Request::Resolve(tx(number)));
        }
        let mut more = 0;
        while let Ok(request) =
            tokio::time::timeout(Duration::from_millis(300), session.request()).await
        {
            assert_eq!(request, Request::Resolve(tx(SESSION_REQUESTS_MAX - 1 + more)));
            more += 1;
        }
        assert!(more <= 1, "{more} more without an answer");
        session.say("UNKNOWN t0\nUNKNOWN t1\n").await;
        assert_eq!(session.request().await, Request::Resolve(tx(SESSION_REQUESTS_MAX - 1 + more)));
    });
}

#[test]
fn every_verb_goes_out_and_every_answer_comes_back() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        let mut zero = Bank::start(&peer.places, key(), StepLog::off(), Timing::default());
        let (mut session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        let token = key().token(bank(1), Vote::Ok, &tx(1), Some(Digest::of(b"{}")), Time(5));
        zero.peers.send(bank(1), Message::Commit(tx(1), vec![token]));
        zero.peers.send(bank(1), Message::Abort(tx(2), None));
        zero.peers.send(bank(1), Message::Abort(tx(1), Some(token)));
        assert_eq!(session.request().await, Request::Commit(tx(1), vec![token]));
        assert_eq!(session.request().await, Request::Abort(tx(2), None));
        assert_eq!(session.request().await, Request::Abort(tx(1), Some(token)));
        let replies = [
            Reply::Committed(tx(1), Time(6), token, None),
            Reply::Aborted(tx(2), token, Reason::Refused, None),
            // An ERR names no transaction; what it counts for is not decided here.
            Reply::Err(Reason::Limit, "no".to_owned()),
        ];
        for reply in &replies {
            session.reply(reply).await;
        }
        for (reply, verb) in
            replies.into_iter().zip([PeerVerb::Commit, PeerVerb::Abort, PeerVerb::Abort])
        {
            let Input::Answer { asked, reply: given, .. } = zero.next().await else {
                panic!("an answer")
            };
            assert_eq!((asked.verb, given), (verb, Some(reply)));
        }
    });
}

#[test]
fn the_log_tells_what_went_and_came() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        let steplog = StepLog::open(
            &path,
            StepLogOptions { places: peer.places.clone(), ..StepLogOptions::default() },
        );
        let mut zero = Bank::start(&peer.places, key(), steplog.unwrap(), Timing::default());
        zero.resolve(0..1);
        let (mut session, _) = peer.open(&far).await;
        session.request().await;
        session.say("UNKNOWN t0\n").await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        assert_eq!(zero.next().await, unknown(0));
        drop((session, peer));
        let text = logged(&path, "link-down").await;
        let events: Vec<_> =
            text.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(events[..4], ["link-up", "ask", "answer", "link-down"], "{text}");
    });
}

#[test]
fn what_was_sent_before_the_end_goes_out_and_is_waited_for() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        let mut zero = Bank::start(&peer.places, key(), StepLog::off(), Timing::default());
        let (mut session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        zero.resolve(0..3);
        zero.peers.shutdown();
        for number in 0..3 {
            assert_eq!(session.request().await, Request::Resolve(tx(number)));
            session.say(&format!("UNKNOWN t{number}\n")).await;
            assert_eq!(zero.next().await, unknown(number));
        }
        assert_eq!(zero.next().await, Input::PeerDown(bank(1)));
        for task in zero.tasks {
            within("the link's end", task).await.unwrap();
        }
        assert_eq!(session.line().await, None);
    });
}
