//! One client of a benchmark: a connection a bank, and as many transactions under way as asked for.
//!
//! It drives with the same coordinator as any other driver. What is its own is only the I/O: one
//! task for all of a client's connections, reused buffers, and one write a bank for all that a read
//! brought about, so that the COMMIT of one transaction travels with the PREPARE of the next.

use super::super::Context;
use super::super::args::BenchArguments;
use super::super::conversation::{Conversation, Dial, read_line, words};
use super::super::failure::Failure;
use super::super::story::Story;
use super::pace::Plan;
use super::tally::Tally;
use super::work::Work;
use consorcio_core::commit::coordinator::{Answer, Coordinator, Do, Event, Strategy};
use consorcio_core::commit::message::AskedVerb;
use consorcio_core::ids::{BankId, BankSet};
use consorcio_core::limits::{ANSWER_WITHIN_MS, BANKS_MAX, VOTE_TIMEOUT_MS};
use consorcio_core::wire::codec::Lines;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Request, write_execute};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Interval, interval};

/// Room made for each read.
const READ_BYTES: usize = 16 * 1024;
/// Time-outs are looked at this often.
const TICK: Duration = Duration::from_millis(100);
/// After the end, what is under way gets this long.
const LEAVE_WITHIN: Duration = Duration::from_millis(2 * (VOTE_TIMEOUT_MS + ANSWER_WITHIN_MS));

/// One client.
pub struct Worker {
    dial: Dial,
    lines: [Option<Line>; BANKS_MAX],
    work: Work,
    via_bank: bool,
    /// Transactions under way, those that only wait for the answers to COMMIT included; places are
    /// used again.
    flights: Vec<Option<Flight>>,
    free: Vec<usize>,
    /// Transactions without a verdict yet.
    open: usize,
    depth: usize,
    /// Its place among the clients, and how many transactions it has begun.
    number: u32,
    begun: u64,
    /// Where an open loop says that something is due.
    wake: Receiver<()>,
    tally: Rc<RefCell<Tally>>,
}

/// A connection to a bank.
struct Line {
    bank: BankId,
    address: String,
    stream: TcpStream,
    input: Lines,
    output: Vec<u8>,
    written: usize,
    /// Whom each reply is for, in order.
    owed: VecDeque<(usize, AskedVerb)>,
}

/// A transaction under way.
struct Flight {
    /// None where a bank drives it.
    coordinator: Option<Coordinator>,
    /// When it began, or should have.
    due: Instant,
    timer: Instant,
    told: bool,
}

impl Worker {
    /// Connects client `number` to all banks; `wake` may tell it to look what is due.
    ///
    /// # Errors
    /// When one can't be reached.
    pub async fn connect(
        context: &Context,
        banks: &[BankId],
        work: Work,
        arguments: &BenchArguments,
        (number, wake): (u32, Receiver<()>),
        tally: Rc<RefCell<Tally>>,
    ) -> Result<Worker, Failure> {
        let mut lines = [const { None }; BANKS_MAX];
        let dial = Dial { story: Story::off(), ..context.dial.clone() };
        for bank in banks {
            let address = context.client.list().address(*bank).unwrap_or("-").to_owned();
            let connected = Conversation::connect(*bank, &address, &dial).await;
            let mut conversation = connected
                .map_err(|why| Failure::NoConnection(dial.unreachable(*bank, &address, &why)))?;
            // Whom it talks to is known before the first transaction is sent.
            conversation.ask(&Request::Local(Local::Ping)).await?;
            let (stream, input) = conversation.into_parts();
            lines[bank.index()] = Some(Line {
                bank: *bank,
                address,
                stream,
                input,
                output: Vec::new(),
                written: 0,
                owed: VecDeque::new(),
            });
        }
        Ok(Worker {
            dial,
            lines,
            work,
            via_bank: arguments.via_bank,
            flights: Vec::new(),
            free: Vec::new(),
            open: 0,
            depth: usize::try_from(arguments.depth()).unwrap_or(1),
            number,
            begun: 0,
            wake,
            tally,
        })
    }

    /// Works until the plan's end, then until nothing is under way.
    ///
    /// # Errors
    /// When a connection is lost.
    pub async fn run(mut self, plan: Plan) -> Result<(), Failure> {
        let mut ticks = interval(TICK);
        loop {
            let now = Instant::now();
            while self.open < self.depth
                && let Some(due) = plan.due(self.number, self.begun, now)
            {
                self.begin(due, now);
            }
            let is_over = plan.due(self.number, self.begun, now).is_none() && now >= plan.end;
            if (is_over && self.free.len() == self.flights.len()) || now > plan.end + LEAVE_WITHIN {
                let mut tally = self.tally.borrow_mut();
                tally.left += self.open;
                tally.behind(plan.behind(self.number, self.begun), now);
                return Ok(());
            }
            let (replies, ticked) = self.next(&mut ticks).await?;
            for (at, bank, verb, reply) in replies {
                self.answered(at, bank, verb, reply, plan);
            }
            if ticked {
                self.time_outs(plan);
            }
        }
    }

    /// Begins a transaction that was due then; what it sends waits for the next write.
    fn begin(&mut self, due: Instant, now: Instant) {
        self.begun += 1;
        let (tx, transaction, driver) = self.work.next();
        let at = self.free.pop().unwrap_or_else(|| {
            self.flights.push(None);
            self.flights.len() - 1
        });
        self.open += 1;
        let timer = now + Duration::from_millis(VOTE_TIMEOUT_MS);
        if self.via_bank {
            if let Some(line) = &mut self.lines[driver.index()] {
                write_execute(&mut line.output, &tx, transaction.text());
                line.owed.push_back((at, AskedVerb::Commit));
            }
            self.flights[at] = Some(Flight { coordinator: None, due, timer, told: false });
        } else {
            let mut coordinator = Coordinator::new(tx, transaction, Strategy::Parallel);
            let todo = coordinator.on(Event::Begin { unreachable: BankSet::EMPTY });
            self.flights[at] =
                Some(Flight { coordinator: Some(coordinator), due, timer, told: false });
            self.perform(at, todo, None);
        }
    }

    fn answered(&mut self, at: usize, bank: BankId, verb: AskedVerb, reply: Reply, plan: Plan) {
        let Some(flight) = &mut self.flights[at] else { return };
        match &mut flight.coordinator {
            Some(coordinator) => {
                let todo = coordinator.on(Event::Answered(bank, verb, Answer::Believed(reply)));
                self.perform(at, todo, Some(plan));
            }
            None => {
                let due = flight.due;
                self.open -= 1;
                self.flights[at] = None;
                self.free.push(at);
                self.tally.borrow_mut().executed(&reply, due, plan);
            }
        }
    }

    fn time_outs(&mut self, plan: Plan) {
        let now = Instant::now();
        for at in 0..self.flights.len() {
            if let Some(flight) = &mut self.flights[at]
                && !flight.told
                && flight.timer < now
                && let Some(coordinator) = &mut flight.coordinator
            {
                flight.timer = now + Duration::from_millis(VOTE_TIMEOUT_MS);
                let todo = coordinator.on(Event::TimeOut);
                self.perform(at, todo, Some(plan));
            }
        }
    }

    fn perform(&mut self, at: usize, todo: Vec<Do>, plan: Option<Plan>) {
        let Some(flight) = &mut self.flights[at] else { return };
        for one in todo {
            match one {
                Do::Send(bank, message) => {
                    if let Some(line) = &mut self.lines[bank.index()] {
                        message.write_to(&mut line.output);
                        line.owed.push_back((at, message.asked().verb));
                    }
                }
                Do::StartTimer => {
                    flight.timer = Instant::now() + Duration::from_millis(VOTE_TIMEOUT_MS)
                }
                Do::Tell(verdict) => {
                    flight.told = true;
                    self.open -= 1;
                    if let Some(plan) = plan {
                        self.tally.borrow_mut().told(&verdict, flight.due, plan);
                    }
                }
                // Only a bank votes itself.
                Do::VoteSelf | Do::RefuseSelf(_) => {}
            }
        }
        if flight.coordinator.as_ref().is_none_or(Coordinator::is_done) {
            self.flights[at] = None;
            self.free.push(at);
        }
    }

    /// Writes what waits, and gives the replies that came; or says that it is time to look at
    /// time-outs. It also ends when something is due.
    async fn next(
        &mut self,
        ticks: &mut Interval,
    ) -> Result<(Vec<(usize, BankId, AskedVerb, Reply)>, bool), Failure> {
        let (dial, lines, wake) = (&self.dial, &mut self.lines, &mut self.wake);
        poll_fn(|task| {
            let mut replies = Vec::new();
            for line in lines.iter_mut().flatten() {
                if let Err(error) = line.poll(task, &mut replies) {
                    let text = dial.unreachable(line.bank, &line.address, &words(&error));
                    return Poll::Ready(Err(Failure::NoConnection(text)));
                }
            }
            let ticked = ticks.poll_tick(task).is_ready();
            let woken = matches!(wake.poll_recv(task), Poll::Ready(Some(())));
            if replies.is_empty() && !ticked && !woken {
                Poll::Pending
            } else {
                Poll::Ready(Ok((replies, ticked)))
            }
        })
        .await
    }
}

impl Line {
    /// Writes what can be written and reads what can be read, until both would block.
    fn poll(
        &mut self,
        task: &mut std::task::Context<'_>,
        replies: &mut Vec<(usize, BankId, AskedVerb, Reply)>,
    ) -> io::Result<()> {
        while self.written < self.output.len() {
            match Pin::new(&mut self.stream).poll_write(task, &self.output[self.written..]) {
                Poll::Ready(written) => self.written += written?,
                Poll::Pending => break,
            }
        }
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
        loop {
            let read = pin!(self.stream.read_buf(self.input.space(READ_BYTES))).poll(task);
            match read {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(Ok(_)) => self.take_replies(replies)?,
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
    }

    fn take_replies(
        &mut self,
        replies: &mut Vec<(usize, BankId, AskedVerb, Reply)>,
    ) -> io::Result<()> {
        while let Some(line) = self.input.next() {
            let reply = read_line(line.map_err(io::Error::other)?);
            let Some((at, verb)) = self.owed.pop_front() else {
                return Err(io::Error::other("it answered what it was not asked"));
            };
            replies.push((at, self.bank, verb, reply));
        }
        Ok(())
    }
}
