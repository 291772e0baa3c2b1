//! One driver for any number of transactions at a time: a connection to each bank, the replies
//! that are owed over them, timers, and a pure coordinator for each transaction.
//!
//! Nothing here decides about a transaction; that is the coordinator's, and the banks'. All I/O is
//! done in `Driver::turn`, on the task that awaits it.

mod coordination;
mod flight;
mod link;
mod turn;
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
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, Sleep};
pub use votes::{BankVote, DrivenTransaction};
use votes::{LossCause, take_standings};

/// How a driver reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverOptions {
    /// When what is sent is written.
    pub writes: Writes,
    /// When a bank that is away is dialled again.
    pub redial: Redial,
}

/// What a driver keeps of a transaction beside its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Nothing but the verdict is kept.
    Verdict,
    /// How each bank took it.
    Votes,
    /// The same; and once every bank has voted OK, nothing is sent until `Driver::release`.
    VotesHeld,
}

/// Something that a driver says. `tag` is what its caller gave it for the transaction or request.
#[derive(Debug)]
pub enum Happened<T> {
    /// Every bank has voted OK; the driver waits for `Driver::release`.
    Held {
        /// What the caller knows it by.
        tag: T,
    },
    /// A transaction has its verdict; comes once.
    Verdict {
        /// What the caller knows it by.
        tag: T,
        /// What became of the transaction.
        verdict: Verdict,
        /// Banks that could not be reached at its beginning.
        unreachable: BankSet,
        /// From when all its banks were connected.
        took: Duration,
    },
    /// A transaction has its verdict, and every message was answered or lost; comes once.
    Finished {
        /// What the caller knows it by.
        tag: T,
        /// How each bank took it, where that was kept.
        votes: Vec<BankVote>,
    },
    /// A request was answered.
    Replied {
        /// What the caller knows it by.
        tag: T,
        /// What the bank answered to it.
        reply: Reply,
    },
    /// A request stays unanswered.
    NotReplied {
        /// What the caller knows it by.
        tag: T,
        /// The bank may have executed it.
        was_sent: bool,
    },
    /// An open connection is lost.
    Closed {
        /// The bank at its other end.
        bank: BankId,
        /// The reason, as the protocol has it.
        error: ClientError,
    },
}

/// Drives transactions and asks banks, over one connection to each.
pub struct Driver<T> {
    dialer: Arc<Dialer>,
    options: DriverOptions,
    links: [Option<BankLink>; BANKS_MAX],
    /// Transactions and requests under way, by slot; slots are used again.
    under_way: Vec<Option<InFlight<T>>>,
    free: Vec<usize>,
    /// Transactions without a verdict, and requests without a reply.
    open: usize,
    /// Vote time-outs in the order in which they are due; those of slots that have ended, or have
    /// a later one, are skipped.
    timers: VecDeque<(Instant, usize)>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Replies of one turn; its room is used again.
    replies: Vec<(BankId, OwedReply, Reply)>,
    happened: VecDeque<Happened<T>>,
}

impl<T: Copy> Driver<T> {
    /// A driver for these banks, by position; with the connections that are there already.
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
            timers: VecDeque::new(),
            sleep: None,
            replies: Vec::new(),
            happened: VecDeque::new(),
        }
    }

    /// Transactions without a verdict and requests without a reply.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Is nothing under way, answers to outcomes included?
    pub fn is_idle(&self) -> bool {
        self.free.len() == self.under_way.len()
    }

    /// The next thing that happened, until `turn` is awaited again.
    pub fn next_happened(&mut self) -> Option<Happened<T>> {
        self.happened.pop_front()
    }

    /// Begins to drive `transaction`; what it sends leaves with the next turn. All banks that it
    /// names must be the driver's. Gives its slot.
    pub fn begin(
        &mut self,
        tag: T,
        tx: TxId,
        transaction: Arc<Transaction>,
        keeping: Keeping,
    ) -> usize {
        let now = Instant::now();
        let named = transaction.banks();
        let votes = match keeping {
            Keeping::Verdict => Vec::new(),
            Keeping::Votes | Keeping::VotesHeld => {
                named.iter().map(|bank| BankVote::new(bank, self.address(bank))).collect()
            }
        };
        let coordinator = Some(Coordinator::new(tx, transaction, Strategy::Parallel));
        let slot = self.insert(InFlight { coordinator, votes, ..InFlight::new(tag, keeping, now) });
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

    /// Sends one request; its reply comes as `Replied` or `NotReplied`.
    pub fn ask(&mut self, tag: T, bank: BankId, request: Request) {
        let now = Instant::now();
        let slot = self.insert(InFlight::new(tag, Keeping::Verdict, now));
        let sent = self.links[bank.index()].as_mut().is_some_and(|link| {
            let sending = QueuedRequest::Request(request);
            link.send(sending, slot, now, self.options.writes, &self.dialer).is_ok()
        });
        if !sent {
            self.unanswered(slot, false);
        }
    }

    /// Goes on with a transaction that is held.
    pub fn release(&mut self, slot: usize) {
        let held = self.under_way.get_mut(slot).and_then(Option::as_mut);
        let held = held.map(|flight| std::mem::take(&mut flight.held)).unwrap_or_default();
        let mut events = VecDeque::new();
        self.perform(slot, held, &mut events, Instant::now());
        self.go_on(slot, events, Instant::now());
    }

    /// Ends the connection to `bank`, for this reason: a late answer could be taken for the next
    /// one.
    pub fn give_up_on(&mut self, bank: BankId, why: &str) {
        let Some(link) = &mut self.links[bank.index()] else { return };
        let change = link.give_up(why.to_owned(), self.options.redial, &self.dialer);
        self.changed(bank, change, Instant::now());
    }

    /// The votes of a transaction as they stand now; none where it has ended.
    pub(crate) fn votes(&self, slot: usize) -> Vec<BankVote> {
        let Some(Some(flight)) = self.under_way.get(slot) else { return Vec::new() };
        let mut votes = flight.votes.clone();
        if let Some(coordinator) = &flight.coordinator {
            take_standings(&mut votes, coordinator);
        }
        votes
    }

    /// Connections that are open and owe nothing.
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
