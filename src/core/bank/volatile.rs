//! What a crash may forget: timers, answers collected, questions under way, transactions that this
//! bank drives, and those who wait for a reply. Changed by `change` alone; nothing of it is ever
//! written.

mod change;

use crate::bank::io::{Caller, KnownVote, SessionId, Start};
use crate::bank::learn::Learning;
use crate::commit::coordinator::Coordinator;
use crate::ids::{AccountNumber, BankId, BankSet, RegisterKey, Time, TxId};
use crate::limits::{BANKS_MAX, CUT_MARK_EVERY_US, QUESTIONS_UNDER_WAY_MAX};
use crate::wire::request::SnapshotKey;
use crate::wire::token::Token;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The forgettable part of a bank.
#[derive(Debug, Clone, Default)]
pub(crate) struct Volatile {
    /// Monotonic time at the start, in microseconds.
    pub started_us: u64,
    /// One for each undecided transaction, once the bank works.
    pub in_doubt: BTreeMap<TxId, InDoubt>,
    /// Undecided transactions by the session that their driver's PREPARE came over.
    pub by_session: BTreeSet<(SessionId, TxId)>,
    /// When undecided transactions are asked about: those without patience in order of time ...
    pub timers: VecDeque<(u64, TxId)>,
    /// ... and those with it.
    pub patient_timers: BTreeSet<(u64, TxId)>,
    pub peers: [Peer; BANKS_MAX],
    /// Transactions that this bank drives.
    pub drives: BTreeMap<TxId, Drive>,
    pub drive_timers: BTreeSet<(u64, TxId)>,
    /// Who waits, by number; numbers grow with time, and so do deadlines.
    pub waiters: BTreeMap<u64, Waiter>,
    /// The same by what they wait for.
    pub waiting: BTreeSet<(Waits, u64)>,
    pub next_waiter: u64,
    /// Sessions that ended, and have transactions in `by_session` that were not asked about since.
    pub gone: BTreeSet<SessionId>,
    /// After a restart: the undecided transactions that are not watched yet.
    pub untimed: Untimed,
    /// How far this bank is with learning its registers.
    pub learning: Learning,
    /// Banks that are not waited for by a bank with a new journal ...
    pub introduce_without: BankSet,
    /// ... and those that said they have met it.
    pub met_by: BankSet,
    /// This bank forgot a promise, as a peer's word says that no record may rest on.
    pub forgot: Option<String>,
    /// The clock at moments of the monotonic clock, oldest first: what cuts may forget.
    pub cut_marks: VecDeque<(u64, Time)>,
}

/// Undecided transactions, by id, that the restarted bank has not looked at yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Untimed {
    /// No undecided transaction is without a timer.
    #[default]
    None,
    /// All of them are, as after a restart.
    All,
    /// Those after this one.
    After(TxId),
}

/// An undecided transaction, watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InDoubt {
    /// The last session over which a PREPARE of these bytes came; none with patience, or after a
    /// restart.
    pub session: Option<SessionId>,
    /// The time of the bank's own vote.
    pub voted: Time,
    /// When the bank resolves by itself, or refuses for an outside coordinator, on the monotonic
    /// clock in microseconds.
    pub deadline_us: u64,
    /// Has this transaction patience, or an outside coordinator?
    pub patient: bool,
    /// Is the bank asking the others?
    pub asking: bool,
    /// OKs learned by asking.
    pub granted: Vec<Token>,
}

/// A peer, as far as questions go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    pub up: bool,
    /// Questions that wait, oldest vote first.
    pub questions: BTreeSet<(Time, TxId)>,
    pub under_way: BTreeMap<TxId, Time>,
    /// No question goes before this moment.
    pub paused_until_us: u64,
    /// The newest vote known of it when the last link to it ended, or when this bank started.
    pub known_at_end: Option<KnownVote>,
}

/// A transaction that this bank drives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// The state of its coordinator.
    pub coordinator: Coordinator,
    /// Its time-out, on the monotonic clock in microseconds.
    pub deadline_us: Option<u64>,
}

/// Somebody who waits for a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    /// Where the reply goes.
    pub caller: Caller,
    /// The wait ends here, on the monotonic clock in microseconds.
    pub deadline_us: u64,
    /// The event that ends the wait.
    pub waits: Waits,
    /// For a cut: what was asked.
    pub cut: Option<CutAsked>,
}

/// What somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waits {
    /// The outcome of a transaction.
    Outcome(TxId),
    /// The verdict on a transaction that this bank drives and takes no part in: what it records
    /// under that id, a tombstone or a vote on other bytes, says nothing of it.
    Verdict(TxId),
    /// A register's lock to end.
    Value(RegisterKey),
    /// Undecided votes up to a time to end.
    Cut(Time),
}

/// A SNAPSHOT that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutAsked {
    /// The commit time that the cut is as of.
    pub time: Time,
    /// With balances and registers?
    pub accounts: bool,
    /// The last key of the page before.
    pub after: Option<SnapshotKey>,
}

impl Peer {
    /// Is there a question, and room for it?
    pub(crate) fn can_ask(&self) -> bool {
        self.up && !self.questions.is_empty() && self.under_way.len() < QUESTIONS_UNDER_WAY_MAX
    }
}

impl InDoubt {
    /// One that no connection's end touches, and that ends at this moment.
    pub fn patient(voted: Time, deadline_us: u64) -> InDoubt {
        InDoubt {
            session: None,
            voted,
            deadline_us,
            patient: true,
            asking: false,
            granted: Vec::new(),
        }
    }
}

impl CutAsked {
    /// The last account of the page before.
    pub(crate) fn after_account(&self) -> Option<&AccountNumber> {
        match &self.after {
            Some(SnapshotKey::Account(number)) => Some(number),
            Some(SnapshotKey::Register(_)) | None => None,
        }
    }
}

/// A change of what a crash may forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The bank began to work at this moment of the monotonic clock.
    Started(u64, Start),
    /// A peer has met this bank with its journal of now.
    MetBy(BankId),
    /// This bank must not work any more in this run of the program: why.
    Forgot(String),
    /// An undecided transaction is watched from now on, or by another session.
    InDoubt(TxId, InDoubt),
    /// These banks are asked about it.
    Ask(TxId, BankSet),
    /// A bank holds an OK on it.
    Granted(TxId, Token),
    /// The transaction is decided, and its timers end.
    Ended(TxId),
    /// The question about a vote of this time was sent.
    Questioned(BankId, TxId, Time),
    /// A question was answered; where it says nothing, it is asked again from this moment on.
    Answered(BankId, TxId, Option<u64>),
    /// The link to a peer is open, or gone.
    Link(BankId, bool),
    /// This vote is the newest known of a peer, as its link ends.
    KnownAtEnd(BankId, KnownVote),
    /// The connection of this session has ended.
    SessionEnded(SessionId),
    /// So many of the first transactions of a session that ended have been asked about.
    Orphaned(SessionId, usize),
    /// The undecided transactions of before the restart that are not watched yet.
    Untimed(Untimed),
    /// This bank drives a transaction, and this is how far it is; `None`: it is done.
    Drive(TxId, Option<Box<Drive>>),
    /// A request waits for a lock, a cut or an outcome.
    Wait(Waiter),
    /// ... and no more.
    Served(u64),
    /// So many of the first timers have been seen: without patience, with it, and of transactions
    /// that are driven.
    TimersSeen(usize, usize, usize),
    /// A peer was asked for registers; the question's id.
    LearnAsked(BankId, TxId),
    /// It told a page; the next one begins after this key.
    LearnTold(Option<RegisterKey>),
    /// It told nothing; no question goes before this moment.
    LearnFailed(u64),
    /// The clock stood here at this moment; what is older than the kept time may be forgotten up to
    /// this time.
    CutMark(u64, Time, Option<Time>),
}

impl Volatile {
    /// When the first of all that waits for time is due.
    pub(super) fn tick_due_us(&self) -> u64 {
        let questions =
            self.peers.iter().filter(|peer| peer.can_ask()).map(|peer| peer.paused_until_us);
        let mark = self.cut_marks.back().map_or(0, |(at, _)| at + CUT_MARK_EVERY_US);
        questions.fold(self.work_due_us().unwrap_or(u64::MAX).min(mark), u64::min)
    }

    /// Is something of it due by `mono_us` that a tick takes on only in part?
    pub(super) fn is_behind(&self, mono_us: u64) -> bool {
        self.work_due_us().is_some_and(|due| due <= mono_us)
    }

    /// When the first of what one tick takes on only in part is due.
    fn work_due_us(&self) -> Option<u64> {
        if !self.gone.is_empty() || self.untimed != Untimed::None {
            return Some(0);
        }
        let timers = [self.timers.front(), self.patient_timers.first(), self.drive_timers.first()];
        let timers = timers.into_iter().flatten().map(|(due, _)| *due);
        let waiter = self.waiters.values().next().map(|waiter| waiter.deadline_us);
        timers.chain(waiter).min()
    }

    /// The transactions of a session, one after the other.
    pub(crate) fn of_session(&self, session: SessionId) -> impl Iterator<Item = &TxId> {
        let mine = move |(other, _): &&(SessionId, TxId)| *other == session;
        let from = TxId::new("-").ok().map(|least| (session, least));
        let range = match from {
            Some(from) => self.by_session.range(from..),
            None => self.by_session.range(..),
        };
        range.take_while(mine).map(|(_, tx)| tx)
    }

    /// Who waits for this.
    pub(crate) fn waiters_for(&self, waits: &Waits) -> impl Iterator<Item = u64> {
        self.waiting
            .range((waits.clone(), 0)..=(waits.clone(), u64::MAX))
            .map(|(_, waiter)| *waiter)
    }

    /// Who waits for cuts before `end`, by their times; all of them without it.
    pub(crate) fn cut_waiters_before(&self, end: Option<Time>) -> impl Iterator<Item = u64> {
        let before = move |cut: &Time| end.is_none_or(|end| *cut < end);
        let cuts = self.waiting.range((Waits::Cut(Time(i64::MIN)), 0)..);
        cuts.map_while(move |(waits, waiter)| match waits {
            Waits::Cut(time) if before(time) => Some(*waiter),
            Waits::Cut(_) | Waits::Outcome(_) | Waits::Verdict(_) | Waits::Value(_) => None,
        })
    }

    /// All that makes one volatile state act unlike another, as text. Numbers and moments that only
    /// count up
    /// are told by their order and by what is left; left out is what only cuts and the uptime need.
    pub(super) fn fingerprint_text(&self, mono_us: u64) -> String {
        let left = |due: u64| due.saturating_sub(mono_us);
        let in_doubt: Vec<_> = self
            .in_doubt
            .iter()
            .map(|(tx, in_doubt)| {
                let armed = |(due, of): &(u64, TxId)| *due == in_doubt.deadline_us && of == tx;
                let timer = self.timers.iter().chain(&self.patient_timers).any(armed);
                (
                    tx,
                    in_doubt.session,
                    left(in_doubt.deadline_us),
                    timer,
                    in_doubt.asking,
                    &in_doubt.granted,
                )
            })
            .collect();
        let peer = |peer: &Peer| {
            let Peer { up, questions, under_way, known_at_end, .. } = peer;
            format!("{up} {questions:?} {under_way:?} {known_at_end:?}")
        };
        let peers: Vec<_> = self.peers.iter().map(|p| (peer(p), left(p.paused_until_us))).collect();
        let drives: Vec<_> = self
            .drives
            .iter()
            .map(|(tx, drive)| (tx, &drive.coordinator, drive.deadline_us.map(left)))
            .collect();
        let waiters: Vec<_> = self
            .waiters
            .values()
            .map(|waiter| (waiter.caller, left(waiter.deadline_us), &waiter.waits, &waiter.cut))
            .collect();
        let Learning { under_way, after, last, failed, paused_until_us, run: _, asked: _ } =
            &self.learning;
        let learning = (under_way.is_some(), after, last, failed, left(*paused_until_us));
        // A session without such transactions says nothing.
        let gone = (&self.gone, &self.untimed);
        let met = (self.introduce_without, self.met_by, &self.forgot);
        format!("{in_doubt:?} {peers:?} {drives:?} {waiters:?} {gone:?} {learning:?} {met:?}")
    }

    fn first_of(&self, session: SessionId) -> Option<(SessionId, TxId)> {
        self.of_session(session).next().map(|tx| (session, tx.clone()))
    }

    fn in_doubt(&mut self, tx: &TxId, in_doubt: &InDoubt) {
        if let Some(before) = self.in_doubt.insert(tx.clone(), in_doubt.clone()) {
            if let Some(session) = before.session {
                self.by_session.remove(&(session, tx.clone()));
            }
        } else if in_doubt.patient {
            self.patient_timers.insert((in_doubt.deadline_us, tx.clone()));
        } else {
            self.timers.push_back((in_doubt.deadline_us, tx.clone()));
        }
        if let Some(session) = in_doubt.session {
            self.by_session.insert((session, tx.clone()));
        }
    }

    fn ended(&mut self, tx: &TxId) {
        // A timer without patience is left behind: it finds nothing when it is due.
        let Some(in_doubt) = self.in_doubt.remove(tx) else { return };
        if let Some(session) = in_doubt.session {
            self.by_session.remove(&(session, tx.clone()));
        }
        if in_doubt.patient {
            self.patient_timers.remove(&(in_doubt.deadline_us, tx.clone()));
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
