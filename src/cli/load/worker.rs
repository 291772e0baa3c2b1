//! A client of a load: runs up to `depth` requests at once, over one driver.

use super::plan::LoadPlan;
use consorcio_client::{
    Client, ClientError, DriveMode, Driver, DriverEvent, DriverOptions, Redial, Writes,
};
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::limits::{
    BACKOFF_MS_MAX, BACKOFF_MS_MIN, LOAD_EXECUTE_MS_MAX, LOAD_LEAVE_MS_MAX, LOAD_TICK_MS,
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

const LEAVE_WITHIN: Duration = Duration::from_millis(LOAD_LEAVE_MS_MAX);
const EXECUTE_WITHIN: Duration = Duration::from_millis(LOAD_EXECUTE_MS_MAX);
/// The pause after a bank could not be reached.
const PAUSE: Duration = Duration::from_millis(BACKOFF_MS_MIN);
/// A driver of a load batches the messages that follow from one read.
const DRIVER: DriverOptions = DriverOptions {
    writes: Writes::EachPoll,
    redial: Redial {
        first: Duration::from_millis(BACKOFF_MS_MIN),
        max: Duration::from_millis(BACKOFF_MS_MAX),
    },
};

/// Generates the requests of a client.
pub(crate) trait Workload {
    fn next(&mut self) -> LoadRequest;
}

/// One request of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LoadRequest {
    /// A transaction, and the bank that drives it with `DrivenBy::Bank`.
    Change(TxId, Arc<Transaction>, BankId),
    /// A read at this bank.
    Read(BankId, Request),
}

/// A request that has begun: the tag by which its end is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StartedRequest {
    /// The number of its client.
    pub client: u32,
    /// Its number among the requests of that client.
    pub number: u64,
    /// When it was due.
    pub due: Instant,
    /// Whether it is a read.
    pub reads: bool,
    /// The bank that it was sent to, unless it is driven here.
    bank: Option<BankId>,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) enum LoadEnd<'a> {
    /// The verdict of a transaction that this program drove.
    Verdict(&'a Verdict),
    /// The reply of a bank to EXECUTE or to a read.
    Replied(&'a Reply),
    /// No reply was received, and the bank may have executed it.
    NotReplied,
    /// The bank is down, so it was not sent.
    NotSent,
}

/// The counters of a load, shared by its clients.
pub(crate) trait LoadTally {
    /// Counts a request that begins.
    fn begun(&mut self, request: &StartedRequest);
    /// Counts a request that has ended.
    fn ended(&mut self, request: &StartedRequest, end: LoadEnd<'_>, plan: &LoadPlan);
    /// Counts a connection that was lost.
    fn lost(&mut self);
    /// Counts a client that stops: its requests that have not ended, and those that were due and
    /// never began.
    fn left(&mut self, open: usize, behind: impl Iterator<Item = Instant>, now: Instant);
}

/// The reaction of a run to a lost connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnLoss {
    /// It ends: a measurement with fewer connections would be wrong.
    End,
    /// It continues, since banks may be killed and restarted.
    GoOn,
}

/// The driver of the transactions of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DrivenBy {
    Client,
    Bank,
}

/// The options of a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkerOptions {
    /// Its number among the clients.
    pub number: u32,
    /// The maximum of requests under way.
    pub depth: usize,
    pub driven_by: DrivenBy,
    /// The reaction to a lost connection.
    pub on_loss: OnLoss,
}

pub(crate) struct Worker<W, T> {
    driver: Driver<StartedRequest>,
    work: W,
    options: WorkerOptions,
    tally: Rc<RefCell<T>>,
    /// The number of requests that have begun.
    begun: u64,
    /// Unanswered requests to banks, with their deadlines.
    asked: Vec<(tokio::time::Instant, StartedRequest)>,
    /// No request begins before this time.
    pause_until: Option<tokio::time::Instant>,
    /// Wake-ups of an open loop: a request is due.
    wake: Receiver<()>,
    waker: Sender<()>,
}

impl<W: Workload, T: LoadTally> Worker<W, T> {
    /// A client that is not connected yet.
    pub(crate) fn new(
        client: &Client,
        work: W,
        options: WorkerOptions,
        tally: Rc<RefCell<T>>,
    ) -> Worker<W, T> {
        let (waker, wake) = channel(1);
        Worker {
            driver: client.driver(DRIVER),
            work,
            options,
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
    /// If one can't be reached.
    pub(crate) async fn connect(&mut self) -> Result<(), ClientError> {
        self.driver.connect().await
    }

    /// The sender of wake-ups for due requests.
    pub(crate) fn waker(&self) -> Sender<()> {
        self.waker.clone()
    }

    /// Runs until the end of the plan, then until no request is under way.
    ///
    /// # Errors
    /// If a connection is lost and that ends the run.
    pub(crate) async fn run(mut self, plan: LoadPlan) -> Result<(), ClientError> {
        let mut ticks = interval(Duration::from_millis(LOAD_TICK_MS));
        loop {
            let now = Instant::now();
            self.begin_due_requests(&plan, now);
            if self.has_ended(&plan, now) {
                let behind = plan.behind(self.options.number, self.begun);
                self.tally.borrow_mut().left(self.driver.open(), behind, now);
                return Ok(());
            }
            match self.pause_until {
                Some(until) => tokio::select! {
                    () = self.driver.wait() => {}
                    () = sleep_until(until) => self.pause_until = None,
                },
                None => tokio::select! {
                    biased;
                    () = self.driver.wait() => {}
                    Some(()) = self.wake.recv() => {}
                    _ = ticks.tick() => self.give_up_overdue(),
                },
            }
            self.handle_events(&plan)?;
        }
    }

    fn has_ended(&self, plan: &LoadPlan, now: Instant) -> bool {
        if now < plan.end {
            return false;
        }
        let begins_none = plan.due(self.options.number, self.begun, now).is_none();
        (begins_none && self.driver.is_idle()) || now > plan.end + LEAVE_WITHIN
    }

    fn begin_due_requests(&mut self, plan: &LoadPlan, now: Instant) {
        while self.pause_until.is_none()
            && self.driver.open() < self.options.depth
            && let Some(due) = plan.due(self.options.number, self.begun, now)
        {
            let (client, number) = (self.options.number, self.begun);
            self.begun += 1;
            let request = self.work.next();
            let begun = |reads, bank| StartedRequest { client, number, due, reads, bank };
            match request {
                LoadRequest::Change(tx, transaction, _)
                    if self.options.driven_by == DrivenBy::Client =>
                {
                    let begun = begun(false, None);
                    self.tally.borrow_mut().begun(&begun);
                    self.driver.begin(begun, tx, transaction, DriveMode::Verdict);
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

    fn ask(&mut self, begun: StartedRequest, bank: BankId, request: Request) {
        self.tally.borrow_mut().begun(&begun);
        if self.options.on_loss == OnLoss::GoOn {
            self.asked.push((tokio::time::Instant::now() + EXECUTE_WITHIN, begun));
        }
        self.driver.ask(begun, bank, request);
    }

    /// Closes the connection of each overdue request: a late reply could be taken for the next one.
    fn give_up_overdue(&mut self) {
        let now = tokio::time::Instant::now();
        let overdue = self.asked.iter().filter(|(until, _)| *until <= now);
        let banks: BankSet = overdue.filter_map(|(_, begun)| begun.bank).collect();
        banks.iter().for_each(|bank| self.driver.give_up_on(bank, "no answer in time"));
    }

    fn handle_events(&mut self, plan: &LoadPlan) -> Result<(), ClientError> {
        while let Some(event) = self.driver.next_event() {
            match event {
                DriverEvent::Verdict { tag, verdict, unreachable, .. } => {
                    let verdict = if unreachable.is_empty() {
                        verdict
                    } else {
                        self.pause();
                        unreachable_as_reason(verdict)
                    };
                    self.tally.borrow_mut().ended(&tag, LoadEnd::Verdict(&verdict), plan);
                }
                DriverEvent::Replied { tag, reply } => {
                    self.asked.retain(|(_, begun)| *begun != tag);
                    self.tally.borrow_mut().ended(&tag, LoadEnd::Replied(&reply), plan);
                }
                DriverEvent::NotReplied { tag, was_sent } => {
                    self.asked.retain(|(_, begun)| *begun != tag);
                    let end = if was_sent {
                        LoadEnd::NotReplied
                    } else {
                        self.pause();
                        LoadEnd::NotSent
                    };
                    self.tally.borrow_mut().ended(&tag, end, plan);
                }
                DriverEvent::Closed { error, .. } => match self.options.on_loss {
                    OnLoss::End => return Err(error),
                    OnLoss::GoOn => self.tally.borrow_mut().lost(),
                },
                DriverEvent::Held { .. } | DriverEvent::Finished { .. } => {}
            }
        }
        Ok(())
    }

    fn pause(&mut self) {
        self.pause_until = Some(tokio::time::Instant::now() + PAUSE);
    }
}

/// If a bank was out of reach, another one was asked to refuse; report the cause instead of that
/// refusal.
fn unreachable_as_reason(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Aborted { by, token, text, .. } => {
            Verdict::Aborted { by, token, reason: Reason::Unreachable, text }
        }
        Verdict::Committed(_) | Verdict::Doubt(_) | Verdict::Unreached => verdict,
    }
}
