//! One client of a run: a connection to each bank through the proxies, and the coordinator of
//! `cliente`.

use super::BANKS;
use super::history::{OpResult, now_us};
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
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// The timeout of a connect, and of a write.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long a driver waits for the banks' acknowledgements of its verdict.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);
/// The timeout of one transaction.
const DRIVE_WITHIN: Duration = Duration::from_secs(8);
/// Lines of all connections that wait for the client; past it the connections are not read.
const LINES_MAX: usize = 256;

pub struct TestClient {
    ports: [u16; BANKS],
    lines: [Option<BankLine>; BANKS],
    /// Numbers the connections, so that a late line of a closed one is dropped.
    connected: u64,
    sender: Sender<ReceivedLine>,
    received: Receiver<ReceivedLine>,
    /// Replies that will never arrive and that `next` has not returned yet.
    lost: VecDeque<(usize, PeerVerb)>,
    /// When it reached the verdict on the last transaction that it drove.
    verdict_us: Option<u64>,
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
    /// The requests without a reply, in order.
    owed: VecDeque<PeerVerb>,
}

impl Drop for BankLine {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl TestClient {
    /// A client of the banks at these ports.
    pub fn new(ports: [u16; BANKS]) -> TestClient {
        let (sender, received) = channel(LINES_MAX);
        TestClient {
            ports,
            lines: Default::default(),
            connected: 0,
            sender,
            received,
            lost: VecDeque::new(),
            verdict_us: None,
        }
    }

    /// When this client reached its last verdict; none if this was called since.
    pub fn take_verdict_us(&mut self) -> Option<u64> {
        self.verdict_us.take()
    }

    /// Drives a transaction. With `leave_after`, the client closes its connections after so many
    /// replies.
    pub async fn drive(
        &mut self,
        tx: &str,
        transaction: &str,
        leave_after: Option<u64>,
    ) -> OpResult {
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
        let mut verdict = None;
        let mut replies = 0;
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
                        Do::Report(reached) => {
                            self.verdict_us = Some(now_us());
                            timer = Instant::now() + LEAVE_WITHIN;
                            verdict = Some(reached);
                        }
                        Do::VoteSelf | Do::RefuseSelf(_) => {
                            unreachable!("only a bank votes itself")
                        }
                    }
                }
            }
            let undecided = matches!(verdict, Some(Verdict::Doubt(_) | Verdict::Unreached));
            if coordinator.is_done() || undecided {
                break;
            }
            if verdict.is_none() && leave_after.is_some_and(|most| replies >= most) {
                self.leave();
                return OpResult::Unknown { left: true };
            }
            match self.next(timer.min(end)).await {
                Some((bank, verb, Some(reply))) => {
                    replies += 1;
                    events.push_back(Event::Answered(id(bank), verb, Answer::Believed(reply)));
                }
                Some((bank, verb, None)) => events.push_back(Event::Lost(id(bank), verb)),
                None if verdict.is_some() || Instant::now() >= end => break,
                None => {
                    timer = Instant::now() + Duration::from_millis(VOTE_TIMEOUT_MS);
                    events.push_back(Event::TimeOut);
                }
            }
        }
        self.drop_pending();
        match verdict {
            Some(Verdict::Committed(time)) => OpResult::Committed(time.0),
            Some(Verdict::Aborted { reason, .. }) => OpResult::Aborted(reason.to_string()),
            Some(Verdict::Unreached) => OpResult::Aborted("nothing was sent".into()),
            // As `cliente` does: once the driver's connections close, the banks resolve.
            Some(Verdict::Doubt(_)) | None => {
                self.leave();
                OpResult::Unknown { left: false }
            }
        }
    }

    /// Sends a line to a bank and returns the reply; none if it does not arrive in time.
    pub async fn ask(&mut self, bank: usize, line: &str, within: Duration) -> Option<Reply> {
        let end = Instant::now() + within;
        // The verb only matters to `drive`; here it is any that has a one-line reply.
        let sent = self.connect(bank).await
            && self.send(bank, format!("{line}\n").as_bytes(), PeerVerb::Resolve).await;
        let reply = if sent { self.next(end).await.and_then(|(_, _, reply)| reply) } else { None };
        self.drop_pending();
        reply
    }

    /// The next reply, or the loss of one; none at `deadline`.
    async fn next(&mut self, deadline: Instant) -> Option<(usize, PeerVerb, Option<Reply>)> {
        loop {
            if let Some((bank, verb)) = self.lost.pop_front() {
                return Some((bank, verb, None));
            }
            let arrival = timeout_at(deadline, self.received.recv()).await.ok()??;
            let slot = &mut self.lines[arrival.bank];
            let Some(line) = slot.as_mut().filter(|line| line.number == arrival.connection) else {
                continue;
            };
            if let Some(text) = arrival.line {
                let verb = line.owed.pop_front().expect("one reply for each request");
                let reply =
                    Reply::parse(&text).unwrap_or_else(|fault| panic!("{text}: {}", fault.text));
                return Some((arrival.bank, verb, Some(reply)));
            }
            self.lose(arrival.bank);
        }
    }

    /// Drops the connection to `bank` and marks its pending replies as lost. The next request
    /// opens a new connection.
    fn lose(&mut self, bank: usize) {
        if let Some(mut line) = self.lines[bank].take() {
            self.lost.extend(line.owed.drain(..).map(|verb| (bank, verb)));
        }
    }

    /// Connects to `bank` unless it is connected; returns whether that worked.
    async fn connect(&mut self, bank: usize) -> bool {
        if self.lines[bank].is_some() {
            return true;
        }
        let connected =
            timeout(CONNECT_WITHIN, TcpStream::connect(("127.0.0.1", self.ports[bank]))).await;
        let Ok(Ok(stream)) = connected else { return false };
        let _ = stream.set_nodelay(true);
        let (input, output) = stream.into_split();
        self.connected += 1;
        let (number, sender) = (self.connected, self.sender.clone());
        let reader = tokio::spawn(async move {
            let mut input = BufReader::new(input);
            loop {
                let mut text = String::new();
                // A reply without a line break was cut off by the end of the stream.
                let read = input.read_line(&mut text).await;
                let line = read.ok().and_then(|_| text.strip_suffix('\n').map(str::to_owned));
                let is_end = line.is_none();
                let received = ReceivedLine { bank, connection: number, line };
                if sender.send(received).await.is_err() || is_end {
                    return;
                }
            }
        });
        let reader = reader.abort_handle();
        self.lines[bank] = Some(BankLine { number, output, reader, owed: VecDeque::new() });
        true
    }

    /// Sends a line. If that fails, all pending replies of the bank are lost too.
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
            // A part of the line may have been sent, so the connection cannot be reused.
            Ok(Err(_)) | Err(_) => {
                self.lose(bank);
                false
            }
        }
    }

    /// Closes all connections, so that the banks see no driver any more.
    fn leave(&mut self) {
        self.lines = Default::default();
        self.lost.clear();
    }

    /// Closes each connection with a pending reply, so that it cannot delay the next request.
    fn drop_pending(&mut self) {
        for slot in &mut self.lines {
            if slot.as_ref().is_some_and(|line| !line.owed.is_empty()) {
                *slot = None;
            }
        }
        self.lost.clear();
    }
}

fn id(bank: usize) -> BankId {
    BankId::new(bank).expect("BANKS is below the bound")
}
