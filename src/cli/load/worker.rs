//! One client of a load: as many requests under way as asked for, by one driver.

use super::plan::Plan;
use consorcio_client::{
    Client, ClientError, Driver, DriverOptions, Happened, Keeping, Redial, Writes,
};
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::limits::{
    ANSWER_WITHIN_MS, BACKOFF_MS_MAX, BACKOFF_MS_MIN, LOAD_TICK_MS, VOTE_TIMEOUT_MS,
};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::transaction::Transaction;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{interval, sleep_until};

/// After the end, what is under way gets this long.
const LEAVE_WITHIN: Duration = Duration::from_millis(2 * (VOTE_TIMEOUT_MS + ANSWER_WITHIN_MS));
/// A bank that drives answers within `ANSWER_WITHIN_MS`, or the line there and back is slow.
const EXECUTE_WITHIN: Duration = Duration::from_millis(2 * ANSWER_WITHIN_MS);
/// A client that could not reach a bank does not hurry to the next request.
const PAUSE: Duration = Duration::from_millis(BACKOFF_MS_MIN);
/// A load's driver writes once for all that a read brought about.
const DRIVER: DriverOptions = DriverOptions {
    writes: Writes::EachTurn,
    redial: Redial {
        first: Duration::from_millis(BACKOFF_MS_MIN),
        max: Duration::from_millis(BACKOFF_MS_MAX),
    },
};

/// What a client asks for, one request after the other.
pub trait Workload {
    /// The next request.
    fn next(&mut self) -> LoadRequest;
}

/// One request of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadRequest {
    /// A transaction, and a bank that could drive it.
    Change(TxId, Arc<Transaction>, BankId),
    /// A read at this bank.
    Read(BankId, Request),
}

/// Which request: what is known of it when it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The number of its client.
    pub client: u32,
    /// Its number among that client's.
    pub number: u64,
    /// When it began, or should have.
    pub due: Instant,
    /// Does it only read?
    pub reads: bool,
    /// The bank that it was sent to, where it is not driven here.
    bank: Option<BankId>,
}

/// How a request ended.
#[derive(Debug)]
pub enum LoadEnd<'a> {
    /// A transaction that this program drove.
    Verdict(&'a Verdict),
    /// A bank's reply, to EXECUTE or to a read.
    Replied(&'a Reply),
    /// Nothing came back, and the bank may have executed it.
    NotReplied,
    /// The bank is away: it was not sent.
    NotSent,
}

/// What all clients of a load count together.
pub trait LoadTally {
    /// A request begins.
    fn begun(&mut self, request: &Begun);
    /// A request has ended.
    fn ended(&mut self, request: &Begun, end: LoadEnd<'_>, plan: &Plan);
    /// A connection was lost.
    fn lost(&mut self);
    /// A client leaves, with so many requests that have not ended, and these that were due and
    /// never began.
    fn left(&mut self, open: usize, behind: impl Iterator<Item = Instant>, now: Instant);
}

/// What the loss of a connection means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// It ends: what would be measured is not what was asked for.
    End,
    /// It goes on, where banks die and come back.
    GoOn,
}

/// Who drives the transactions of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrivenBy {
    /// This program.
    Client,
    /// A bank (EXECUTE).
    Bank,
}

/// How a client works.
#[derive(Debug, Clone, Copy)]
pub struct Working {
    /// Its number among the clients.
    pub number: u32,
    /// Requests that it has under way, at most.
    pub depth: usize,
    /// Who drives.
    pub driven_by: DrivenBy,
    /// What the loss of a connection means.
    pub on_loss: OnLoss,
}

/// One client.
pub struct Worker<W, T> {
    driver: Driver<Begun>,
    work: W,
    how: Working,
    tally: Rc<RefCell<T>>,
    /// How many requests it has begun.
    begun: u64,
    /// Requests to a bank that are not answered yet, and until when they may be.
    asked: Vec<(tokio::time::Instant, Begun)>,
    /// Nothing begins before.
    pause_until: Option<tokio::time::Instant>,
    /// Where an open loop says that something is due.
    wake: Receiver<()>,
    waker: Sender<()>,
}

impl<W: Workload, T: LoadTally> Worker<W, T> {
    /// A client with connections of its own, which are not made yet.
    pub fn new(client: &Client, work: W, how: Working, tally: Rc<RefCell<T>>) -> Worker<W, T> {
        let (waker, wake) = channel(1);
        Worker {
            driver: client.driver(DRIVER),
            work,
            how,
            tally,
            begun: 0,
            asked: Vec::new(),
            pause_until: None,
            wake,
            waker,
        }
    }

    /// Connects to all banks.
    ///
    /// # Errors
    /// When one can't be reached.
    pub async fn connect(&mut self) -> Result<(), ClientError> {
        self.driver.connect().await
    }

    /// Wakes it to look what is due.
    pub fn waker(&self) -> Sender<()> {
        self.waker.clone()
    }

    /// Works until the plan's end, then until nothing is under way.
    ///
    /// # Errors
    /// When a connection is lost, where that ends the run.
    pub async fn run(mut self, plan: Plan) -> Result<(), ClientError> {
        let mut ticks = interval(Duration::from_millis(LOAD_TICK_MS));
        loop {
            let now = Instant::now();
            self.begin_what_is_due(&plan, now);
            if self.has_ended(&plan, now) {
                let behind = plan.behind(self.how.number, self.begun);
                self.tally.borrow_mut().left(self.driver.open(), behind, now);
                return Ok(());
            }
            match self.pause_until {
                Some(until) => tokio::select! {
                    () = self.driver.turn() => {}
                    () = sleep_until(until) => self.pause_until = None,
                },
                None => tokio::select! {
                    biased;
                    () = self.driver.turn() => {}
                    Some(()) = self.wake.recv() => {}
                    _ = ticks.tick() => self.give_up_overdue(),
                },
            }
            self.take_what_happened(&plan)?;
        }
    }

    fn has_ended(&self, plan: &Plan, now: Instant) -> bool {
        if now < plan.end {
            return false;
        }
        let begins_none = plan.due(self.how.number, self.begun, now).is_none();
        (begins_none && self.driver.is_idle()) || now > plan.end + LEAVE_WITHIN
    }

    fn begin_what_is_due(&mut self, plan: &Plan, now: Instant) {
        while self.pause_until.is_none()
            && self.driver.open() < self.how.depth
            && let Some(due) = plan.due(self.how.number, self.begun, now)
        {
            let (client, number) = (self.how.number, self.begun);
            self.begun += 1;
            let request = self.work.next();
            let begun = |reads, bank| Begun { client, number, due, reads, bank };
            match request {
                LoadRequest::Change(tx, transaction, _)
                    if self.how.driven_by == DrivenBy::Client =>
                {
                    let begun = begun(false, None);
                    self.tally.borrow_mut().begun(&begun);
                    self.driver.begin(begun, tx, transaction, Keeping::Verdict);
                }
                LoadRequest::Change(tx, transaction, bank) => {
                    self.ask(begun(false, Some(bank)), bank, Request::Execute(tx, transaction));
                }
                LoadRequest::Read(bank, request) => {
                    self.ask(begun(true, Some(bank)), bank, request)
                }
            }
        }
    }

    fn ask(&mut self, begun: Begun, bank: BankId, request: Request) {
        self.tally.borrow_mut().begun(&begun);
        if self.how.on_loss == OnLoss::GoOn {
            self.asked.push((tokio::time::Instant::now() + EXECUTE_WITHIN, begun));
        }
        self.driver.ask(begun, bank, request);
    }

    /// Gives up the connection of each request that is overdue: a late answer could be taken for
    /// the next one.
    fn give_up_overdue(&mut self) {
        let now = tokio::time::Instant::now();
        let overdue = self.asked.iter().filter(|(until, _)| *until <= now);
        let banks: BankSet = overdue.filter_map(|(_, begun)| begun.bank).collect();
        banks.iter().for_each(|bank| self.driver.give_up_on(bank, "no answer in time"));
    }

    fn take_what_happened(&mut self, plan: &Plan) -> Result<(), ClientError> {
        while let Some(happened) = self.driver.next_happened() {
            match happened {
                Happened::Verdict { tag, verdict, unreachable, .. } => {
                    let verdict = if unreachable.is_empty() {
                        verdict
                    } else {
                        self.pause();
                        for_people(verdict)
                    };
                    self.tally.borrow_mut().ended(&tag, LoadEnd::Verdict(&verdict), plan);
                }
                Happened::Replied { tag, reply } => {
                    self.asked.retain(|(_, begun)| *begun != tag);
                    self.tally.borrow_mut().ended(&tag, LoadEnd::Replied(&reply), plan);
                }
                Happened::NotReplied { tag, was_sent } => {
                    self.asked.retain(|(_, begun)| *begun != tag);
                    let end = if was_sent {
                        LoadEnd::NotReplied
                    } else {
                        self.pause();
                        LoadEnd::NotSent
                    };
                    self.tally.borrow_mut().ended(&tag, end, plan);
                }
                Happened::Closed { error, .. } => match self.how.on_loss {
                    OnLoss::End => return Err(error),
                    OnLoss::GoOn => self.tally.borrow_mut().lost(),
                },
                Happened::Held { .. } | Happened::Finished { .. } => {}
            }
        }
        Ok(())
    }

    fn pause(&mut self) {
        self.pause_until = Some(tokio::time::Instant::now() + PAUSE);
    }
}

/// Where a bank was out of reach another one was asked to refuse; why is what people want to read.
fn for_people(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Aborted { by, token, text, .. } => {
            Verdict::Aborted { by, token, reason: Reason::Unreachable, text }
        }
        Verdict::Committed(_) | Verdict::Doubt(_) | Verdict::Unreached => verdict,
    }
}
