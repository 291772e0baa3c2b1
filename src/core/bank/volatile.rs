//! The volatile state, which a crash may lose: timers, answers received, unanswered questions,
//! transactions that this bank drives, and waiters. It changes by `change` only, and is never
//! written.

mod change;
mod cuts;
mod fingerprint;
mod shares;

pub use cuts::CutRequest;
pub(crate) use cuts::CutWatch;
pub(crate) use shares::OwnerShares;

use crate::access::{Access, Name, Way};
use crate::bank::io::{Caller, KnownVote, SessionId, Start};
use crate::bank::learn::Learning;
use crate::commit::coordinator::Coordinator;
use crate::id_map::IdMap;
use crate::ids::{BankId, BankSet, RegisterKey, Time, TxId};
use crate::ledger::HashSeed;
use crate::limits::{BANKS_MAX, CUT_MARK_EVERY_US, QUESTIONS_UNDER_WAY_MAX};
use crate::wire::token::Token;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The volatile state of a bank.
#[derive(Debug, Clone)]
pub(crate) struct Volatile {
    /// The monotonic clock at the start, in microseconds.
    pub started_us: u64,
    /// One entry for each undecided transaction, except for those in `untimed`.
    pub in_doubt: IdMap<InDoubt>,
    /// Undecided transactions by the session of their driver's PREPARE.
    pub by_session: BTreeSet<(SessionId, TxId)>,
    /// When to ask about undecided transactions: those without patience, in order of time.
    pub timers: VecDeque<(u64, TxId)>,
    /// The same for transactions with patience, and for those with an outside coordinator.
    pub patience_timers: BTreeSet<(u64, TxId)>,
    pub peers: [PeerState; BANKS_MAX],
    /// Transactions that this bank drives.
    pub drives: BTreeMap<TxId, Drive>,
    pub drive_timers: BTreeSet<(u64, TxId)>,
    /// Waiters by number. Numbers grow with time, and so do deadlines.
    pub waiters: BTreeMap<u64, Waiter>,
    /// The numbers of waiters, by what they wait for.
    pub waiting: BTreeSet<(Waits, u64)>,
    pub next_waiter: u64,
    /// Sessions that ended and have transactions in `by_session` which have not been asked about
    /// yet.
    pub gone: BTreeSet<SessionId>,
    /// After a restart: the undecided transactions without a timer.
    pub untimed: Untimed,
    /// The progress of learning registers.
    pub learning: Learning,
    /// Banks whose introduction a bank with a new journal does not wait for.
    pub introduce_without: BankSet,
    /// Banks that have stated that they recorded this journal.
    pub met_by: BankSet,
    /// Why this bank must stop, if a peer's statement shows that it has forgotten a vote. No record
    /// can be based on that statement.
    pub forgot: Option<String>,
    /// The clock at moments of the monotonic clock, oldest first: for the age of what cuts keep.
    pub cut_marks: VecDeque<(u64, Time)>,
    /// What names may do here; in open mode nobody looks at it.
    pub access: Arc<Access>,
    /// Names that were taken out of it and have undecided transactions which have not been asked
    /// about yet: those with a greater id than this.
    pub removed: BTreeMap<Name, Option<TxId>>,
    pub shares: OwnerShares,
    pub cut_watch: CutWatch,
}

/// Undecided transactions without a timer, after a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Untimed {
    /// Every undecided transaction has a timer.
    #[default]
    None,
    /// None has a timer, as after a restart.
    All,
    /// Those with a greater id than this.
    After(TxId),
}

/// The timer and the answers for an undecided transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InDoubt {
    /// The last session with a PREPARE of these bytes; `None` if it has patience, or after a
    /// restart.
    pub session: Option<SessionId>,
    /// The time of the bank's own vote.
    pub voted: Time,
    /// When the bank starts to resolve it, or refuses for an outside coordinator, on the monotonic
    /// clock in microseconds.
    pub deadline_us: u64,
    /// Has it patience or an outside coordinator, so that the end of a session does not matter?
    pub has_patience: bool,
    /// Is the bank asking the others about it?
    pub asking: bool,
    /// Does it count for the share of its owner?
    pub is_counted: bool,
    /// The OKs learned by asking.
    pub granted: Vec<Token>,
}

/// The state of the questions to one peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct PeerState {
    pub up: bool,
    /// Questions that have not been sent, oldest vote first.
    pub questions: BTreeSet<(Time, TxId)>,
    pub under_way: BTreeMap<TxId, Time>,
    /// No question is sent before this moment.
    pub paused_until_us: u64,
    /// The newest vote known of it when the last link to it ended, or when this bank started.
    pub known_at_end: Option<KnownVote>,
}

/// A transaction that this bank drives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// The coordinator of the transaction.
    pub coordinator: Coordinator,
    /// Its time-out, on the monotonic clock in microseconds.
    pub deadline_us: Option<u64>,
    /// The way by which it was requested.
    pub way: Way,
}

/// A request whose reply waits for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    /// Where the reply goes.
    pub caller: Caller,
    /// When the wait ends without the event, on the monotonic clock in microseconds.
    pub deadline_us: u64,
    /// The event that ends the wait.
    pub waits: Waits,
    /// The request, if it is one for a cut.
    pub cut: Option<CutRequest>,
}

/// The event that a waiter waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waits {
    /// The outcome of a transaction.
    Outcome(TxId),
    /// The verdict on a transaction that this bank drives without a part in it. Records of this
    /// bank under that id, a tombstone or a vote on other bytes, do not decide it.
    Verdict(TxId),
    /// The unlocking of a register.
    Value(RegisterKey),
    /// The decision of all undecided votes up to this time.
    Cut(Time),
}

impl PeerState {
    /// Can a question be sent?
    pub(crate) fn can_ask(&self) -> bool {
        self.up && !self.questions.is_empty() && self.under_way.len() < QUESTIONS_UNDER_WAY_MAX
    }
}

impl InDoubt {
    /// An entry that the end of a session does not affect, with this deadline.
    pub fn with_deadline(voted: Time, deadline_us: u64) -> InDoubt {
        InDoubt {
            session: None,
            voted,
            deadline_us,
            has_patience: true,
            asking: false,
            is_counted: false,
            granted: Vec::new(),
        }
    }
}

/// A change of the volatile state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The bank started at this moment of the monotonic clock.
    Started(u64, Start),
    /// A peer has recorded this bank's current journal.
    MetBy(BankId),
    /// This bank must not work any more in this run of the program, for this reason.
    Forgot(String),
    /// An undecided transaction gets a timer, or another session.
    InDoubt(TxId, InDoubt),
    /// The bank asks these banks about it.
    Ask(TxId, BankSet),
    /// A bank holds OK on it.
    Granted(TxId, Token),
    /// The transaction is decided, and its timer ends.
    Ended(TxId),
    /// The question about a vote of this time was sent.
    Questioned(BankId, TxId, Time),
    /// A question was answered; if the answer proved nothing, it is sent again from this moment on.
    Answered(BankId, TxId, Option<u64>),
    /// The link to a peer opened or closed.
    Link(BankId, bool),
    /// The newest vote known of a peer when its link closed.
    KnownAtEnd(BankId, KnownVote),
    /// The connection of this session has ended.
    SessionEnded(SessionId),
    /// The bank has asked about the first so many transactions of a session that ended.
    Orphaned(SessionId, usize),
    /// The undecided transactions that still have no timer after the restart.
    Untimed(Untimed),
    /// The state of a transaction that this bank drives; `None` once it is done.
    Drive(TxId, Option<Box<Drive>>),
    /// A request waits for a lock, a cut or an outcome.
    Wait(Waiter),
    /// The wait with this number is over.
    Served(u64),
    /// A cut of this time waits; at this moment the bank asks about what is in its way.
    CutWaits(u64, Time),
    /// The first so many waits of cuts were processed, and all votes up to this time asked about.
    CutsAsked(usize, Time),
    /// The first so many timers were processed: without patience, with it, and of drives.
    TimersSeen(usize, usize, usize),
    /// A peer was asked for registers, with this id.
    LearnRequested(BankId, TxId),
    /// It sent a page; the next page begins after this key.
    LearnedPage(Option<RegisterKey>),
    /// It sent no valid page; no request is sent before this moment.
    LearnFailed(u64),
    /// The clock had this time at this moment; the past before the second time may be dropped.
    CutMark(u64, Time, Option<Time>),
    /// Names have these rights from here on, and these names were taken out.
    Access(Arc<Access>, Vec<Name>),
    /// The bank has asked about the transactions of a name that was taken out, up to this id;
    /// without one, about all of them.
    RemovedAsked(Name, Option<TxId>),
}

impl Volatile {
    pub(super) fn seeded(seed: HashSeed) -> Volatile {
        Volatile {
            started_us: 0,
            in_doubt: IdMap::seeded(seed),
            by_session: BTreeSet::new(),
            timers: VecDeque::new(),
            patience_timers: BTreeSet::new(),
            peers: Default::default(),
            drives: BTreeMap::new(),
            drive_timers: BTreeSet::new(),
            waiters: BTreeMap::new(),
            waiting: BTreeSet::new(),
            next_waiter: 0,
            gone: BTreeSet::new(),
            untimed: Untimed::None,
            learning: Learning::default(),
            introduce_without: BankSet::EMPTY,
            met_by: BankSet::EMPTY,
            forgot: None,
            cut_marks: VecDeque::new(),
            access: Arc::default(),
            removed: BTreeMap::new(),
            shares: OwnerShares::default(),
            cut_watch: CutWatch::default(),
        }
    }

    /// When the next timer, question or clock mark is due.
    pub(super) fn tick_due_us(&self) -> u64 {
        let questions =
            self.peers.iter().filter(|peer| peer.can_ask()).map(|peer| peer.paused_until_us);
        let mark = self.cut_marks.back().map_or(0, |(at, _)| at + CUT_MARK_EVERY_US);
        questions.fold(self.work_due_us().unwrap_or(u64::MAX).min(mark), u64::min)
    }

    /// Is work due by `mono_us` of which a tick may process only a part?
    pub(super) fn is_behind(&self, mono_us: u64) -> bool {
        self.work_due_us().is_some_and(|due| due <= mono_us)
    }

    /// When the first work is due of which a tick may process only a part.
    fn work_due_us(&self) -> Option<u64> {
        if !self.gone.is_empty() || !self.removed.is_empty() || self.untimed != Untimed::None {
            return Some(0);
        }
        let timers = [self.timers.front(), self.patience_timers.first(), self.drive_timers.first()];
        let timers = timers.into_iter().flatten().map(|(due, _)| *due);
        let timers = timers.chain(self.cut_watch.due_us());
        let waiter = self.waiters.values().next().map(|waiter| waiter.deadline_us);
        timers.chain(waiter).min()
    }

    /// The transactions of a session, in the order of their ids.
    pub(crate) fn of_session(&self, session: SessionId) -> impl Iterator<Item = &TxId> {
        let mine = move |(other, _): &&(SessionId, TxId)| *other == session;
        let from = TxId::new("-").ok().map(|least| (session, least));
        let range = match from {
            Some(from) => self.by_session.range(from..),
            None => self.by_session.range(..),
        };
        range.take_while(mine).map(|(_, tx)| tx)
    }

    /// The waiters for this event.
    pub(crate) fn waiters_for(&self, waits: &Waits) -> impl Iterator<Item = u64> {
        self.waiting
            .range((waits.clone(), 0)..=(waits.clone(), u64::MAX))
            .map(|(_, waiter)| *waiter)
    }

    /// The waiters for cuts before `end`, in order of their times; without `end`, all of them.
    pub(crate) fn cut_waiters_before(&self, end: Option<Time>) -> impl Iterator<Item = u64> {
        let before = move |cut: &Time| end.is_none_or(|end| *cut < end);
        let cuts = self.waiting.range((Waits::Cut(Time(i64::MIN)), 0)..);
        cuts.map_while(move |(waits, waiter)| match waits {
            Waits::Cut(time) if before(time) => Some(*waiter),
            Waits::Cut(_) | Waits::Outcome(_) | Waits::Verdict(_) | Waits::Value(_) => None,
        })
    }

    fn first_of(&self, session: SessionId) -> Option<(SessionId, TxId)> {
        self.of_session(session).next().map(|tx| (session, tx.clone()))
    }

    fn in_doubt(&mut self, tx: &TxId, in_doubt: &InDoubt) {
        if in_doubt.is_counted && !self.in_doubt.has(tx) {
            self.shares.take(tx);
        }
        if let Some(before) = self.in_doubt.insert(tx.clone(), in_doubt.clone()) {
            if let Some(session) = before.session {
                self.by_session.remove(&(session, tx.clone()));
            }
        } else if in_doubt.has_patience {
            self.patience_timers.insert((in_doubt.deadline_us, tx.clone()));
        } else {
            self.timers.push_back((in_doubt.deadline_us, tx.clone()));
        }
        if let Some(session) = in_doubt.session {
            self.by_session.insert((session, tx.clone()));
        }
    }

    fn ended(&mut self, tx: &TxId) {
        // The timer of a transaction without patience stays in the queue, and does nothing when it
        // is due.
        let Some(in_doubt) = self.in_doubt.remove(tx) else { return };
        if in_doubt.is_counted {
            self.shares.give_back(tx);
        }
        if let Some(session) = in_doubt.session {
            self.by_session.remove(&(session, tx.clone()));
        }
        if in_doubt.has_patience {
            self.patience_timers.remove(&(in_doubt.deadline_us, tx.clone()));
        }
        if in_doubt.asking {
            for peer in &mut self.peers {
                peer.questions.remove(&(in_doubt.voted, tx.clone()));
            }
        }
    }

    fn drive(&mut self, tx: &TxId, drive: Option<&Drive>) {
        let before = self.drives.get(tx).and_then(|drive| drive.deadline_us);
        if let Some(due) = before {
            self.drive_timers.remove(&(due, tx.clone()));
        }
        match drive {
            None => {
                self.drives.remove(tx);
            }
            Some(drive) => {
                if let Some(due) = drive.deadline_us {
                    self.drive_timers.insert((due, tx.clone()));
                }
                self.drives.insert(tx.clone(), drive.clone());
            }
        }
    }

    fn served(&mut self, waiter: u64) {
        if let Some(gone) = self.waiters.remove(&waiter) {
            self.waiting.remove(&(gone.waits, waiter));
        }
    }
}
