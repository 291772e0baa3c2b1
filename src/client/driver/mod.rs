//! A driver for any number of concurrent transactions: a connection to each bank, the replies owed
//! over it, timers, and a pure coordinator for each transaction.
//!
//! Nothing here decides a transaction; the coordinator and the banks do. All I/O is done in
//! `Driver::wait`, on the task that awaits it.

mod coordination;
mod flight;
mod link;
mod polling;
#[cfg(test)]
mod tests;
mod timers;
mod votes;

use crate::connection::Connection;
use crate::error::ClientError;
use crate::options::Dialer;
use consorcio_core::commit::coordinator::{Coordinator, Strategy, Verdict};
use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::limits::BANKS_MAX;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::transaction::Transaction;
use flight::InFlight;
use link::{BankLink, OwedReply, QueuedRequest};
pub use link::{Redial, Writes};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use timers::VoteTimers;
use tokio::time::Instant;
pub use votes::{BankVote, DrivenTransaction};
use votes::{LossCause, take_standings};

/// The options of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverOptions {
    /// When messages are written to the socket.
    pub writes: Writes,
    /// When a bank that is down is redialled.
    pub redial: Redial,
}

/// How a driver treats a transaction, beside its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriveMode {
    /// Reports the verdict alone.
    Verdict,
    /// Also reports the vote of each bank.
    Votes,
    /// As `Votes`; once the votes decide the outcome, nothing is sent until `Driver::release`.
    HeldOutcome,
}

/// An event of a driver. `tag` is the caller's tag of the transaction or request.
#[derive(Debug)]
pub enum DriverEvent<T> {
    /// The votes decide the outcome; the driver sends it to no bank before `Driver::release`.
    Held {
        /// The tag that the caller gave.
        tag: T,
        /// The outcome: committed or aborted.
        verdict: Verdict,
    },
    /// A transaction has its verdict; sent once.
    Verdict {
        /// The tag that the caller gave.
        tag: T,
        /// The verdict of the transaction.
        verdict: Verdict,
        /// Banks that could not be reached at its beginning.
        unreachable: BankSet,
        /// The time from when its banks were connected.
        took: Duration,
    },
    /// A transaction has its verdict, and every message was answered or lost; sent once.
    Finished {
        /// The tag that the caller gave.
        tag: T,
        /// The vote of each bank, unless the mode is `Verdict`.
        votes: Vec<BankVote>,
    },
    /// The reply to a request was received.
    Replied {
        /// The tag that the caller gave.
        tag: T,
        /// The reply of the bank.
        reply: Reply,
    },
    /// A request will not be answered.
    NotReplied {
        /// The tag that the caller gave.
        tag: T,
        /// Whether it was sent, so that the bank may have executed it.
        was_sent: bool,
    },
    /// An open connection is lost.
    Closed {
        /// The bank at its other end.
        bank: BankId,
        /// The error that ended it.
        error: ClientError,
    },
}

/// Drives transactions and sends requests, over one connection to each bank.
pub struct Driver<T> {
    dialer: Arc<Dialer>,
    options: DriverOptions,
    links: [Option<BankLink>; BANKS_MAX],
    /// Transactions and requests under way, by slot; slots are reused.
    under_way: Vec<Option<InFlight<T>>>,
    free: Vec<usize>,
    /// Transactions without a verdict, and requests without a reply.
    open: usize,
    timers: VoteTimers,
    /// The replies of one poll; the buffer is reused.
    replies: Vec<(BankId, OwedReply, Reply)>,
    events: VecDeque<DriverEvent<T>>,
}

impl<T: Copy> Driver<T> {
    /// A driver for these banks, by position, with connections that are open already.
    pub(crate) fn new(
        dialer: Arc<Dialer>,
        options: DriverOptions,
        banks: impl Iterator<Item = (BankId, String, Option<Connection>)>,
    ) -> Driver<T> {
        let mut links = [const { None }; BANKS_MAX];
        for (bank, address, open) in banks {
            links[bank.index()] = Some(BankLink::new(bank, address, open, options.redial));
        }
        Driver {
            dialer,
            options,
            links,
            under_way: Vec::new(),
            free: Vec::new(),
            open: 0,
            timers: VoteTimers::default(),
            replies: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// Transactions without a verdict and requests without a reply.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Whether nothing is under way, replies to outcomes included.
    pub fn is_idle(&self) -> bool {
        self.free.len() == self.under_way.len()
    }

    /// The next event; none until `wait` is awaited again.
    pub fn next_event(&mut self) -> Option<DriverEvent<T>> {
        self.events.pop_front()
    }

    /// Starts to drive `transaction`; messages are written by the next `wait`. All banks that it
    /// names must be those of the driver. Returns its slot.
    pub fn begin(
        &mut self,
        tag: T,
        tx: TxId,
        transaction: Arc<Transaction>,
        mode: DriveMode,
    ) -> usize {
        let now = Instant::now();
        let named = transaction.banks();
        let votes = match mode {
            DriveMode::Verdict => Vec::new(),
            DriveMode::Votes | DriveMode::HeldOutcome => {
                named.iter().map(|bank| BankVote::new(bank, self.address(bank))).collect()
            }
        };
        let coordinator = Some(Coordinator::new(tx, transaction, Strategy::Parallel));
        let slot = self.insert(InFlight { coordinator, votes, ..InFlight::new(tag, mode, now) });
        for bank in named.iter() {
            let (mut opening, mut away) = (false, None);
            match &mut self.links[bank.index()] {
                Some(link) => match link.dial(now, &self.dialer) {
                    Ok(()) => opening = link.is_dialling(),
                    Err(why) => away = Some(LossCause { why, nothing_done: None }),
                },
                None => away = Some(LossCause { why: "not listed".into(), nothing_done: None }),
            }
            if let Some(flight) = &mut self.under_way[slot] {
                if opening {
                    flight.opening = flight.opening.with(bank);
                } else if let Some(cause) = away {
                    flight.not_opened(bank, &cause);
                }
            }
        }
        self.start_if_opened(slot, now);
        slot
    }

    /// Sends a request; the event `Replied` or `NotReplied` follows.
    pub fn ask(&mut self, tag: T, bank: BankId, request: Request) {
        let now = Instant::now();
        let slot = self.insert(InFlight::new(tag, DriveMode::Verdict, now));
        let sent = self.links[bank.index()].as_mut().is_some_and(|link| {
            let sending = QueuedRequest::Request(request);
            link.send(sending, slot, now, self.options.writes, &self.dialer).is_ok()
        });
        if !sent {
            self.unanswered(slot, false);
        }
    }

    /// Continues a transaction that is held.
    pub fn release(&mut self, slot: usize) {
        let held = self.under_way.get_mut(slot).and_then(Option::as_mut);
        let held = held.map(|flight| std::mem::take(&mut flight.held)).unwrap_or_default();
        let mut events = VecDeque::new();
        self.perform(slot, held, &mut events, Instant::now());
        self.go_on(slot, events, Instant::now());
    }

    /// Closes the connection to `bank`, for this reason: a late reply could be taken for the next
    /// one.
    pub fn give_up_on(&mut self, bank: BankId, why: &str) {
        let Some(link) = &mut self.links[bank.index()] else { return };
        let change = link.give_up(why.to_owned(), self.options.redial, &self.dialer);
        self.changed(bank, change, Instant::now());
    }

    /// The current votes of a transaction; empty if it has ended.
    pub(crate) fn votes(&self, slot: usize) -> Vec<BankVote> {
        let Some(Some(flight)) = self.under_way.get(slot) else { return Vec::new() };
        let mut votes = flight.votes.clone();
        if let Some(coordinator) = &flight.coordinator {
            take_standings(&mut votes, coordinator);
        }
        votes
    }

    /// The open connections over which no reply is owed.
    pub(crate) fn into_idle(self) -> impl Iterator<Item = Connection> {
        self.links.into_iter().flatten().filter_map(BankLink::into_idle)
    }

    fn address(&self, bank: BankId) -> String {
        self.links[bank.index()].as_ref().map_or("-", |link| &link.address).to_owned()
    }

    fn insert(&mut self, flight: InFlight<T>) -> usize {
        self.open += 1;
        match self.free.pop() {
            Some(slot) => {
                self.under_way[slot] = Some(flight);
                slot
            }
            None => {
                self.under_way.push(Some(flight));
                self.under_way.len() - 1
            }
        }
    }

    fn remove(&mut self, slot: usize) -> Option<InFlight<T>> {
        let flight = self.under_way[slot].take();
        if flight.is_some() {
            self.free.push(slot);
        }
        flight
    }
}
