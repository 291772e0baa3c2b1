//! One client of a run: a connection to each bank through the proxies, and the coordinator that
//! `cliente` ships.

use super::BANKS;
use super::history::{Told, now_us};
use consorcio::commit::coordinator::{Answer, Coordinator, Do, Event, Strategy, Verdict};
use consorcio::commit::message::PeerVerb;
use consorcio::ids::{BankId, BankSet, TxId};
use consorcio::limits::VOTE_TIMEOUT_MS;
use consorcio::wire::reply::Reply;
use consorcio::wire::transaction::Transaction;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// A connection is made, and a line is taken, within this time.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// A client that knows its verdict waits this long for the banks' answers to it.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);
/// A client that drives gives up after this time, whatever happens.
const DRIVE_WITHIN: Duration = Duration::from_secs(8);

pub struct TestClient {
    ports: [u16; BANKS],
    lines: [Option<BankLine>; BANKS],
    /// Tells connections apart, so that what an old one still says is not taken for a new one's.
    made: u64,
    sender: UnboundedSender<ReceivedLine>,
    arrivals: UnboundedReceiver<ReceivedLine>,
    /// Answers that will never come, not told yet.
    lost: VecDeque<(usize, PeerVerb)>,
    /// When the verdict of what it drove last was known.
    told_us: Option<u64>,
}

/// A line from a connection, or its end.
struct ReceivedLine {
    bank: usize,
    connection: u64,
    line: Option<String>,
}

struct BankLine {
    number: u64,
    output: OwnedWriteHalf,
    reader: AbortHandle,
    owed: VecDeque<PeerVerb>,
}

impl Drop for BankLine {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl TestClient {
    /// A client that finds the banks at these ports.
    pub fn new(ports: [u16; BANKS]) -> TestClient {
        let (sender, arrivals) = unbounded_channel();
        TestClient {
            ports,
            lines: Default::default(),
            made: 0,
            sender,
            arrivals,
            lost: VecDeque::new(),
            told_us: None,
        }
    }

    /// When the verdict of what this client drove last was known; none if that was told already.
    pub fn take_told_us(&mut self) -> Option<u64> {
        self.told_us.take()
    }

    /// Drives a transaction. With `leave_after`, this client is gone for its banks after so many
    /// answers.
    pub async fn drive(&mut self, tx: &str, transaction: &str, leave_after: Option<u64>) -> Told {
        let transaction =
            Arc::new(Transaction::parse(transaction).expect("the workload makes transactions"));
        let named: Vec<usize> = transaction.banks().iter().map(BankId::index).collect();
        let mut coordinator =
            Coordinator::new(TxId::new(tx).unwrap(), transaction, Strategy::Parallel);
        let mut unreachable = BankSet::EMPTY;
        for bank in &named {
            if !self.connect(*bank).await {
                unreachable = unreachable.with(id(*bank));
            }
        }
        let end = Instant::now() + DRIVE_WITHIN;
        let mut timer = end;
        let mut told = None;
        let mut answers = 0;
        let mut events = VecDeque::from([Event::Begin { unreachable }]);
        loop {
            while let Some(event) = events.pop_front() {
                for one in coordinator.on(event) {
                    match one {
                        Do::Send(bank, message) => {
                            let verb = message.key().verb;
                            let mut line = Vec::new();
                            message.write_to(&mut line);
                            if !self.send(bank.index(), &line, verb).await {
                                events.push_back(Event::Lost(bank, verb));
                            }
                        }
                        Do::StartTimer => {
                            timer = Instant::now() + Duration::from_millis(VOTE_TIMEOUT_MS)
                        }
                        Do::Report(verdict) => {
                            self.told_us = Some(now_us());
                            timer = Instant::now() + LEAVE_WITHIN;
                            told = Some(verdict);
                        }
                        Do::VoteSelf | Do::RefuseSelf(_) => {
                            unreachable!("only a bank votes itself")
                        }
                    }
                }
            }
            let nothing_to_tell = matches!(told, Some(Verdict::Doubt(_) | Verdict::Unreached));
            if coordinator.is_done() || nothing_to_tell {
                break;
            }
            if told.is_none() && leave_after.is_some_and(|most| answers >= most) {
                self.leave();
                return Told::Unknown { left: true };
            }
            match self.next(timer.min(end)).await {
                Some((bank, verb, Some(reply))) => {
                    answers += 1;
                    events.push_back(Event::Answered(id(bank), verb, Answer::Believed(reply)));
                }
                Some((bank, verb, None)) => events.push_back(Event::Lost(id(bank), verb)),
                None if told.is_some() || Instant::now() >= end => break,
                None => {
                    timer = Instant::now() + Duration::from_millis(VOTE_TIMEOUT_MS);
                    events.push_back(Event::TimeOut);
                }
            }
        }
        self.leave_what_is_owed();
        match told {
            Some(Verdict::Committed(time)) => Told::Committed(time.0),
            Some(Verdict::Aborted { reason, .. }) => Told::Aborted(reason.to_string()),
            Some(Verdict::Unreached) => Told::Aborted("nothing was sent".into()),
            // As `cliente` does: the banks ask each other as soon as their driver is gone.
            Some(Verdict::Doubt(_)) | None => {
                self.leave();
                Told::Unknown { left: false }
            }
        }
    }

    /// Asks a bank; none where it does not answer in time.
    pub async fn ask(&mut self, bank: usize, line: &str, within: Duration) -> Option<Reply> {
        let end = Instant::now() + within;
        // Whatever is asked here is answered by one line; the verb tells only drivers apart.
        let sent = self.connect(bank).await
            && self.send(bank, format!("{line}\n").as_bytes(), PeerVerb::Resolve).await;
        let reply = if sent { self.next(end).await.and_then(|(_, _, reply)| reply) } else { None };
        self.leave_what_is_owed();
        reply
    }

    /// The next answer, or that one will never come; none at `deadline`.
    async fn next(&mut self, deadline: Instant) -> Option<(usize, PeerVerb, Option<Reply>)> {
        loop {
            if let Some((bank, verb)) = self.lost.pop_front() {
                return Some((bank, verb, None));
            }
            let arrival = timeout_at(deadline, self.arrivals.recv()).await.ok()??;
            let slot = &mut self.lines[arrival.bank];
            let Some(line) = slot.as_mut().filter(|line| line.number == arrival.connection) else {
                continue;
            };
            if let Some(text) = arrival.line {
                let verb = line.owed.pop_front().expect("a bank answers what it was asked");
                let reply =
                    Reply::parse(&text).unwrap_or_else(|fault| panic!("{text}: {}", fault.text));
                return Some((arrival.bank, verb, Some(reply)));
            }
            self.lose(arrival.bank);
        }
    }

    /// The connection to `bank` is gone, and with it all that is owed over it; the next question
    /// takes a new one.
    fn lose(&mut self, bank: usize) {
        if let Some(mut line) = self.lines[bank].take() {
            self.lost.extend(line.owed.drain(..).map(|verb| (bank, verb)));
        }
    }

    /// Is there a connection to `bank`, or can one be made?
    async fn connect(&mut self, bank: usize) -> bool {
        if self.lines[bank].is_some() {
            return true;
        }
        let connected =
            timeout(CONNECT_WITHIN, TcpStream::connect(("127.0.0.1", self.ports[bank]))).await;
        let Ok(Ok(stream)) = connected else { return false };
        let _ = stream.set_nodelay(true);
        let (input, output) = stream.into_split();
        self.made += 1;
        let (number, sender) = (self.made, self.sender.clone());
        let reader = tokio::spawn(async move {
            let mut input = BufReader::new(input);
            loop {
                let mut text = String::new();
                // A reply that the end of the stream cuts off is no reply.
                let read = input.read_line(&mut text).await;
                let line = read.ok().and_then(|_| text.strip_suffix('\n').map(str::to_owned));
                let is_end = line.is_none();
                if sender.send(ReceivedLine { bank, connection: number, line }).is_err() || is_end {
                    return;
                }
            }
        });
        let reader = reader.abort_handle();
        self.lines[bank] = Some(BankLine { number, output, reader, owed: VecDeque::new() });
        true
    }

    /// Sends a line; where it fails, what the bank owes will be lost too.
    async fn send(&mut self, bank: usize, bytes: &[u8], verb: PeerVerb) -> bool {
        if !self.connect(bank).await {
            return false;
        }
        let Some(line) = &mut self.lines[bank] else { return false };
        match timeout(CONNECT_WITHIN, line.output.write_all(bytes)).await {
            Ok(Ok(())) => {
                line.owed.push_back(verb);
                true
            }
            // Perhaps a part of it went: nothing may follow on this connection.
            Ok(Err(_)) | Err(_) => {
                self.lose(bank);
                false
            }
        }
    }

    /// This client is gone, as far as the banks see.
    fn leave(&mut self) {
        self.lines = Default::default();
        self.lost.clear();
    }

    /// The next question must not wait behind an old one.
    fn leave_what_is_owed(&mut self) {
        for slot in &mut self.lines {
            if slot.as_ref().is_some_and(|line| !line.owed.is_empty()) {
                *slot = None;
            }
        }
        self.lost.clear();
    }
}

fn id(bank: usize) -> BankId {
    BankId::new(bank).expect("there are fewer banks than places")
}
