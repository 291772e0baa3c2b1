//! One client of a contention run: a connection a bank, one request after the other. It drives with
//! the same coordinator as any other driver; what is its own is that it goes on where banks die and
//! come back.

use super::super::conversation::{Conversation, Dial, words};
use super::tally::Tally;
use super::work::{Ask, Work};
use consorcio_core::commit::coordinator::{
    Answer, Coordinator, Do, Event, Standing, Strategy, Verdict,
};
use consorcio_core::commit::message::{Asked, Message};
use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::limits::{ANSWER_WITHIN_MS, BACKOFF_MS_MAX, BACKOFF_MS_MIN, VOTE_TIMEOUT_MS};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Request, write_execute};
use consorcio_core::wire::transaction::Transaction;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

const VOTE_TIMEOUT: Duration = Duration::from_millis(VOTE_TIMEOUT_MS);
/// A bank that drives answers within `ANSWER_WITHIN_MS`, or the line there and back is slow.
const EXECUTE_WITHIN: Duration = Duration::from_millis(2 * ANSWER_WITHIN_MS);
/// After the end, what is under way gets this long.
const LEAVE_WITHIN: Duration = Duration::from_millis(2 * ANSWER_WITHIN_MS);
/// A client that could not reach a bank does not hurry to the next request.
const REST: Duration = Duration::from_millis(BACKOFF_MS_MIN);

/// What a client was told of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It only read.
    Nothing,
    /// Committed.
    Committed,
    /// Aborted: not committed, now or later.
    Aborted,
    /// It does not know.
    Unknown,
}

/// When a client works.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// From then on.
    pub begin: Instant,
    /// Nothing begins after.
    pub end: Instant,
    /// Requests a second of all clients together.
    pub rate: Option<u32>,
    /// How many clients there are.
    pub clients: u32,
}

/// One client.
pub struct Worker {
    number: u32,
    seats: Vec<Seat>,
    work: Work,
    via_bank: bool,
    dial: Dial,
    tally: Rc<RefCell<Tally>>,
    /// What it was told, by number of the request.
    told: Vec<Told>,
}

/// A bank, as this client reaches it.
struct Seat {
    bank: BankId,
    address: String,
    link: Link,
    /// What waits to be written.
    output: Vec<u8>,
    /// What replies are owed, in order.
    owed: VecDeque<Owed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Owed {
    /// To a driver's message.
    Driver(Asked),
    /// To EXECUTE or to a read.
    Answer,
}

enum Link {
    Up(Conversation),
    Down { until: Instant, wait: Duration },
}

impl Worker {
    /// Client `number`, not connected yet.
    pub fn new(
        number: u32,
        banks: Vec<(BankId, String)>,
        work: Work,
        via_bank: bool,
        dial: Dial,
        tally: Rc<RefCell<Tally>>,
    ) -> Worker {
        let wait = Duration::from_millis(BACKOFF_MS_MIN);
        let seat = |(bank, address)| Seat {
            bank,
            address,
            link: Link::Down { until: Instant::now(), wait },
            output: Vec::new(),
            owed: VecDeque::new(),
        };
        let seats = banks.into_iter().map(seat).collect();
        Worker { number, seats, work, via_bank, dial, tally, told: Vec::new() }
    }

    /// Works until the plan's end; gives what it was told, by number of the request.
    pub async fn run(mut self, plan: Plan) -> Vec<Told> {
        loop {
            let due = self.due(plan);
            if let Some(due) = due
                && due > Instant::now()
                && due < plan.end
            {
                // What is not a request's own write must not wait for the next one's.
                self.flush().await;
                sleep_until(due).await;
            }
            let now = Instant::now();
            if now >= plan.end || due.is_some_and(|due| due >= plan.end) {
                break;
            }
            let (_, tx, ask) = self.work.next();
            let began = due.unwrap_or(now);
            let told = match ask {
                Ask::Read(bank, request) => self.read(bank, &request).await,
                Ask::Change(transaction, driver) => {
                    let verdict = if self.via_bank {
                        self.execute(tx, &transaction, driver).await
                    } else {
                        self.drive(tx, transaction).await
                    };
                    self.tally.borrow_mut().told(&verdict, began.elapsed());
                    match verdict {
                        Verdict::Committed(_) => Told::Committed,
                        Verdict::Aborted { .. } | Verdict::Unreached => Told::Aborted,
                        Verdict::Doubt(_) => Told::Unknown,
                    }
                }
            };
            self.told.push(told);
        }
        let _ = timeout(LEAVE_WITHIN, self.finish()).await;
        self.dial.story.close();
        self.told
    }

    /// When the next request is due; `None` where it is at once.
    fn due(&self, plan: Plan) -> Option<Instant> {
        let rate = plan.rate?;
        let place = self.told.len() as u64 * u64::from(plan.clients) + u64::from(self.number);
        Some(plan.begin + Duration::from_micros(place.saturating_mul(1_000_000) / u64::from(rate)))
    }

    async fn drive(&mut self, tx: TxId, transaction: Arc<Transaction>) -> Verdict {
        let mut unreachable = BankSet::EMPTY;
        for bank in transaction.banks().iter() {
            if !self.reach(bank).await {
                unreachable = unreachable.with(bank);
            }
        }
        let mut coordinator = Coordinator::new(tx.clone(), transaction, Strategy::Parallel);
        let mut events = VecDeque::from([Event::Begin { unreachable }]);
        let mut timer = Instant::now() + VOTE_TIMEOUT;
        let verdict = loop {
            let mut verdict = None;
            while let Some(event) = events.pop_front() {
                for one in coordinator.on(event) {
                    match one {
                        Do::Send(bank, message) => {
                            let asked = message.asked();
                            if !self.post(bank, &message) {
                                events.push_back(Event::Lost(bank, asked.verb));
                            }
                        }
                        Do::StartTimer => timer = Instant::now() + VOTE_TIMEOUT,
                        Do::Tell(told) => verdict = Some(told),
                        // Only a bank votes itself.
                        Do::VoteSelf | Do::RefuseSelf(_) => {}
                    }
                }
            }
            if let Some(verdict) = verdict {
                break verdict;
            }
            for (bank, owed) in self.flush().await {
                lost_events(&tx, bank, owed, &mut events);
            }
            if !events.is_empty() {
                continue;
            }
            tokio::select! {
                (at, reply) = next_reply(&mut self.seats) => self.arrived(at, reply, &tx, &mut events),
                () = sleep_until(timer) => {
                    timer = Instant::now() + VOTE_TIMEOUT;
                    events.push_back(Event::TimeOut);
                }
            }
        };
        let ok = |(_, standing): &(BankId, &Standing)| matches!(standing, Standing::Ok(_));
        let oks = coordinator.standings().filter(ok).count();
        self.dial.story.verdict(&tx, &verdict, oks, coordinator.standings().count());
        if unreachable.is_empty() {
            return verdict;
        }
        self.flush().await;
        tokio::time::sleep(REST).await;
        match verdict {
            // Another bank was asked to refuse; why is what people want to read.
            Verdict::Aborted { by, token, text, .. } => {
                Verdict::Aborted { by, token, reason: Reason::Unreachable, text }
            }
            Verdict::Committed(_) | Verdict::Doubt(_) | Verdict::Unreached => verdict,
        }
    }

    /// Lets a bank drive.
    async fn execute(&mut self, tx: TxId, transaction: &Transaction, driver: BankId) -> Verdict {
        if !self.reach(driver).await {
            tokio::time::sleep(REST).await;
            return Verdict::Unreached;
        }
        let doubt = Verdict::Doubt(BankSet::EMPTY.with(driver));
        let mut line = Vec::new();
        write_execute(&mut line, &tx, transaction.text());
        match self.answer(driver, &line).await {
            Some(Reply::Committed(_, time, _, _)) => Verdict::Committed(time),
            Some(Reply::Aborted(_, token, reason, _)) => {
                Verdict::Aborted { by: token.bank, token, reason, text: String::new() }
            }
            Some(
                Reply::Ok(..)
                | Reply::Nok(..)
                | Reply::Doubt(..)
                | Reply::Unknown(_)
                | Reply::Done(_)
                | Reply::Refused(..)
                | Reply::Err(..)
                | Reply::Pong
                | Reply::Bye,
            )
            | None => doubt,
        }
    }

    async fn read(&mut self, bank: BankId, request: &Request) -> Told {
        let mut line = Vec::new();
        request.write_to(&mut line);
        let answer = if self.reach(bank).await { self.answer(bank, &line).await } else { None };
        let mut tally = self.tally.borrow_mut();
        if matches!(answer, Some(Reply::Done(_))) {
            tally.reads += 1
        } else {
            tally.unread += 1
        }
        Told::Nothing
    }

    /// Sends a line and waits for its answer; `None` where it does not come.
    async fn answer(&mut self, bank: BankId, line: &[u8]) -> Option<Reply> {
        let at = self.seats.iter().position(|seat| seat.bank == bank)?;
        self.seats[at].output.extend_from_slice(line);
        self.seats[at].owed.push_back(Owed::Answer);
        let until = Instant::now() + EXECUTE_WITHIN;
        let mut lost = self.flush().await;
        while lost.iter().all(|(lost, _)| *lost != bank) {
            let (from, reply) = tokio::select! {
                arrival = next_reply(&mut self.seats) => arrival,
                () = sleep_until(until) => {
                    // Nothing that comes later on this connection could be told from it.
                    self.lose(at, "no answer in time");
                    return None;
                }
            };
            match reply {
                Ok(reply) => {
                    if self.seats[from].owed.pop_front() == Some(Owed::Answer) && from == at {
                        return Some(reply);
                    }
                }
                Err(error) => lost.push((self.seats[from].bank, self.lose(from, &words(&error)))),
            }
        }
        None
    }

    /// Is `bank` connected, or can it be now?
    async fn reach(&mut self, bank: BankId) -> bool {
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.bank == bank) else { return false };
        let wait = match &seat.link {
            Link::Up(_) => return true,
            Link::Down { until, .. } if *until > Instant::now() => return false,
            Link::Down { wait, .. } => *wait,
        };
        match Conversation::connect(bank, &seat.address, &self.dial).await {
            Ok(conversation) => {
                seat.link = Link::Up(conversation);
                true
            }
            Err(_) => {
                let next = (2 * wait).min(Duration::from_millis(BACKOFF_MS_MAX));
                seat.link = Link::Down { until: Instant::now() + wait, wait: next };
                false
            }
        }
    }

    /// Puts a message where the next write takes it; `false` where the bank is not connected.
    fn post(&mut self, bank: BankId, message: &Message) -> bool {
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.bank == bank) else { return false };
        if matches!(seat.link, Link::Down { .. }) {
            return false;
        }
        message.write_to(&mut seat.output);
        self.dial.story.sent(bank, message);
        seat.owed.push_back(Owed::Driver(message.asked()));
        true
    }

    /// Writes what waits; gives what is owed by banks whose connection is lost.
    async fn flush(&mut self) -> Vec<(BankId, VecDeque<Owed>)> {
        let mut lost = Vec::new();
        for at in 0..self.seats.len() {
            let seat = &mut self.seats[at];
            let Link::Up(conversation) = &mut seat.link else { continue };
            if seat.output.is_empty() {
                continue;
            }
            let why = match timeout(VOTE_TIMEOUT, conversation.send(&seat.output)).await {
                Ok(Ok(())) => {
                    seat.output.clear();
                    continue;
                }
                Ok(Err(error)) => words(&error),
                Err(_) => "it takes nothing".to_owned(),
            };
            lost.push((self.seats[at].bank, self.lose(at, &why)));
        }
        lost
    }

    /// A reply came, or a connection is lost.
    fn arrived(
        &mut self,
        at: usize,
        reply: io::Result<Reply>,
        tx: &TxId,
        events: &mut VecDeque<Event>,
    ) {
        let bank = self.seats[at].bank;
        match reply {
            Ok(reply) => match self.seats[at].owed.pop_front() {
                Some(Owed::Driver(asked)) => {
                    self.dial.story.received(bank, &asked, &reply);
                    if asked.tx == *tx {
                        // An answer about another transaction is no answer; it counts as silence.
                        let about = reply.tx().is_none_or(|other| other == tx);
                        events.push_back(if about {
                            Event::Answered(bank, asked.verb, Answer::Believed(reply))
                        } else {
                            Event::Lost(bank, asked.verb)
                        });
                    }
                }
                Some(Owed::Answer) => {}
                None => {
                    self.lose(at, "it answered what it was not asked");
                }
            },
            Err(error) => {
                let owed = self.lose(at, &words(&error));
                lost_events(tx, bank, owed, events);
            }
        }
    }

    /// The connection is gone; gives what was owed over it.
    fn lose(&mut self, at: usize, why: &str) -> VecDeque<Owed> {
        let seat = &mut self.seats[at];
        self.dial.story.cut(seat.bank, why);
        self.tally.borrow_mut().lost += 1;
        let wait = Duration::from_millis(BACKOFF_MS_MIN);
        seat.link = Link::Down { until: Instant::now() + wait, wait };
        seat.output.clear();
        std::mem::take(&mut seat.owed)
    }

    /// Tells the banks the last outcomes, and waits for their answers.
    async fn finish(&mut self) {
        self.flush().await;
        while self
            .seats
            .iter()
            .any(|seat| matches!(seat.link, Link::Up(_)) && !seat.owed.is_empty())
        {
            let (at, reply) = next_reply(&mut self.seats).await;
            match reply {
                Ok(_) => {
                    self.seats[at].owed.pop_front();
                }
                Err(error) => {
                    self.lose(at, &words(&error));
                }
            }
        }
    }
}

/// What of a lost connection's debts is about `tx`, as events of its driver.
fn lost_events(tx: &TxId, bank: BankId, owed: VecDeque<Owed>, events: &mut VecDeque<Event>) {
    for owed in owed {
        if let Owed::Driver(Asked { tx: other, verb }) = owed
            && other == *tx
        {
            events.push_back(Event::Lost(bank, verb));
        }
    }
}

/// The next reply of any bank that is connected, or the end of its connection.
async fn next_reply(seats: &mut [Seat]) -> (usize, io::Result<Reply>) {
    poll_fn(|task| {
        for (at, seat) in seats.iter_mut().enumerate() {
            if let Link::Up(conversation) = &mut seat.link
                && let Poll::Ready(reply) = pin!(conversation.next_reply()).poll(task)
            {
                return Poll::Ready((at, reply));
            }
        }
        Poll::Pending
    })
    .await
}
