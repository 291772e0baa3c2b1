//! What goes into a bank's pure core and what comes out of it.

use crate::bank::record::Record;
use crate::commit::founding::{FoundingId, Meeting};
use crate::commit::message::{Asked, Message};
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::wire::Reason;
use crate::wire::reply::Reply;
use crate::wire::request::Request;
use crate::wire::token::{Digest, Token};

/// The number of a record in a bank's journal, from 1 on. 0 is "no record".
pub type Seq = u64;

/// The time, given from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The wall clock as far as this bank follows it, in microseconds since 1970. It may go back.
    pub wall_us: i64,
    /// The wall clock as the machine shows it. It may show anything, and is for people alone.
    pub shown_us: i64,
    /// The monotonic clock, in microseconds since any moment. Timers run on it.
    pub mono_us: u64,
}

/// A session's number, never used twice in one run of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Where a reply goes: the session, and the request's place among its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The session.
    pub session: SessionId,
    /// The request's number in that session, from 0 on.
    pub slot: u64,
}

/// Who sits at the other end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Anyone.
    Client,
    /// A bank's link: only what is answered from the bank's own state goes over it.
    Link,
    /// An outside coordinator, which the bank can't see through: its PREPARE is of a transaction
    /// that names it, its COMMIT and ABORT are its votes. It comes from within the process alone,
    /// never from a line.
    Outside,
}

/// The outcome of an old transaction, found in the journal because memory no longer holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The record that decided it: `Refused`, `Decided`, `Executed`, or a `Voted` with a NOK.
    pub record: Record,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A request line came.
    Request {
        /// Where its reply goes.
        caller: Caller,
        /// What kind of session it came over.
        origin: Origin,
        /// The request. Ping, Help, Quit, Banks and Peer are answered before they get here.
        request: Request,
        /// How long it waited before it got here, in microseconds.
        waited_us: u64,
        /// What the journal knows of its transaction, where memory does not.
        past: Option<Past>,
    },
    /// A session ended.
    Closed(SessionId),
    /// A peer answered what was asked of it; `None` when it can't any more (link lost, silent, not
    /// reachable).
    Answer {
        /// Who.
        peer: BankId,
        /// What it was asked.
        asked: Asked,
        /// Its answer.
        reply: Option<Reply>,
        /// What the journal knows of the transaction, where memory does not.
        past: Option<Past>,
    },
    /// The link that this bank dialled to a peer is open: questions may go.
    PeerUp(BankId),
    /// That link is gone. Answers that were under way have come as `None` before this.
    PeerDown(BankId),
    /// A peer showed a vote of this bank that it knows.
    PeerShows {
        /// Who.
        peer: BankId,
        /// The vote's transaction.
        tx: TxId,
        /// The vote.
        token: Token,
        /// What the journal knows of the transaction, where memory does not.
        past: Option<Past>,
    },
    /// Time passed. Comes soon after the moment that `Core::tick_due_us` tells; at any other it
    /// changes nothing.
    Tick,
    /// A peer has proved itself, and that its journal has this founding id.
    PeerFounded {
        /// Who.
        peer: BankId,
        /// Its journal.
        founding: FoundingId,
    },
    /// A peer tells which journal of this bank it, or another one, has met.
    PeerMet {
        /// Who.
        peer: BankId,
        /// Its statement.
        meeting: Meeting,
    },
    /// The journal was read to its end; the bank begins to work. Comes once, first.
    Started(Start),
}

impl Input {
    /// The transaction that it is about, and the place for what the journal knows of it.
    pub fn about(&mut self) -> Option<(&TxId, &mut Option<Past>)> {
        match self {
            Input::Request { request, past, .. } => request.tx().map(|tx| (tx, past)),
            Input::Answer { asked, past, .. } => Some((&asked.tx, past)),
            Input::PeerShows { tx, past, .. } => Some((tx, past)),
            Input::Closed(_)
            | Input::PeerUp(_)
            | Input::PeerDown(_)
            | Input::PeerFounded { .. }
            | Input::PeerMet { .. }
            | Input::Tick
            | Input::Started(_) => None,
        }
    }
}

/// What a bank begins to work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Start {
    /// Banks that a bank with a new journal does not wait for, as its operator said.
    pub introduce_without: BankSet,
    /// Random bytes, other ones at each start.
    pub run: [u8; 16],
}

/// What must be durable before a reply or a message may leave. The numbers are of records: that one
/// and all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Nothing: it says nothing of what this bank records.
    Now,
    /// Nothing any more: it rests on what was durable before.
    Durable,
    /// This record, of a vote, of an outcome or of a registration, that it tells of.
    Record(Seq),
    /// All records of the decision that makes it; this is the last of them.
    Decision(Seq),
    /// All that the bank holds: a read shows nothing newer than this record.
    Newest(Seq),
}

impl After {
    /// The number of the record that must be synced; 0 where none must.
    pub fn seq(self) -> Seq {
        match self {
            After::Now | After::Durable => 0,
            After::Record(seq) | After::Decision(seq) | After::Newest(seq) => seq,
        }
    }

    /// May it leave, once all records up to `durable` are synced?
    pub fn is_met(self, durable: Seq) -> bool {
        self.seq() <= durable
    }
}

/// A reply, and the record that must be durable before it may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Where it goes.
    pub to: Caller,
    /// What it says.
    pub reply: Reply,
    /// It leaves once this is durable.
    pub after: After,
}

/// A message to a peer, and the record that must be durable before it may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// To whom.
    pub peer: BankId,
    /// What.
    pub message: Message,
    /// It leaves once this is durable.
    pub after: After,
}

/// This bank has met a peer with this journal, and the record of it must be durable before the peer
/// is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    /// Whom.
    pub peer: BankId,
    /// Its journal.
    pub founding: FoundingId,
    /// It is told once this is durable.
    pub after: After,
}

/// What a decision brings about. All of it is done by others: `apply` the records, journal and sync
/// them, let replies and messages leave when they may.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Changes of the bank, in order; each is applied and journaled.
    pub records: Vec<Record>,
    /// Changes of what a crash may forget.
    pub changes: Vec<super::Change>,
    /// Replies.
    pub replies: Vec<Outgoing>,
    /// Messages to peers.
    pub sends: Vec<Sending>,
    /// Which peers may be told now that this bank has met them.
    pub met: Vec<Met>,
    /// Things for the step log that no record, reply or message tells.
    pub steps: Vec<CoreStep>,
}

/// A step that happens inside the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoreStep {
    /// A transaction that this bank voted OK on is asked about: why.
    Doubt(TxId, DoubtCause),
    /// This bank drives a transaction.
    Drive(TxId),
    /// A driver's time-out: these banks were silent.
    Silent(TxId, BankSet),
    /// A session's wait ended without an outcome.
    GaveUp(TxId),
    /// A peer's answer proves nothing, though it carries tokens: the link to that peer is to be
    /// closed.
    Unproved(TxId, BankId),
    /// What a peer states of having met this bank proves nothing: the link to that peer is to be
    /// closed.
    Untrue(BankId),
    /// A peer has another journal than when it was met: it has forgotten what it promised, and the
    /// link to it is to be closed.
    Replaced(BankId),
}

impl CoreStep {
    /// The peer whose link is to be closed, if this step says so.
    pub fn closes(&self) -> Option<BankId> {
        match self {
            CoreStep::Unproved(_, peer) | CoreStep::Untrue(peer) | CoreStep::Replaced(peer) => {
                Some(*peer)
            }
            CoreStep::Doubt(..)
            | CoreStep::Drive(_)
            | CoreStep::Silent(..)
            | CoreStep::GaveUp(_) => None,
        }
    }
}

/// Why a bank asks the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoubtCause {
    /// The connection of its driver closed.
    DriverGone,
    /// `resolve_after`, or the transaction's patience, is over.
    TimeOut,
    /// This bank was restarted.
    Restart,
    /// Somebody asked it to COMMIT or ABORT without convincing tokens.
    Asked,
}

impl DoubtCause {
    /// The words in the step log.
    pub fn as_str(self) -> &'static str {
        match self {
            DoubtCause::DriverGone => "driver-gone",
            DoubtCause::TimeOut => "time-out",
            DoubtCause::Restart => "restart",
            DoubtCause::Asked => "asked",
        }
    }
}

/// The outcome of a transaction at this bank. On disk: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Outcome {
    /// At this commit time.
    Committed(Time),
    /// For this reason; the token is of the vote that refused.
    Aborted(Token, Reason),
}

/// A vote of this bank, as its record holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OwnVote {
    /// OK or NOK.
    pub verdict: crate::wire::token::Verdict,
    /// Its time.
    pub time: Time,
    /// The bytes voted on; a tombstone has none.
    pub digest: Option<Digest>,
}

/// A vote of another bank, as this bank's records tell of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KnownVote {
    /// The transaction.
    pub tx: TxId,
    /// The vote.
    pub vote: OwnVote,
}
