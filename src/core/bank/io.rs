//! The inputs and outputs of a bank's pure core.

use crate::access::{Access, Principal};
use crate::bank::record::Record;
use crate::commit::founding::{FoundingId, Meeting};
use crate::commit::message::{Message, RequestKey};
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::wire::Reason;
use crate::wire::reply::Reply;
use crate::wire::request::Request;
use crate::wire::token::{Digest, Token};
use std::sync::Arc;

/// The number of a record in a bank's journal, from 1 on. 0 is "no record".
pub type Seq = u64;

/// The time, as the node passes it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The wall clock as far as this bank follows it, in microseconds since 1970. It can go back.
    pub wall_us: i64,
    /// The wall clock as the machine shows it. It can have any value; only people see it.
    pub shown_us: i64,
    /// The monotonic clock, in microseconds since an arbitrary moment. Timers use it.
    pub mono_us: u64,
}

/// A session's number, never used twice in one run of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Where a reply goes: a session, and the request's number in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The session that sent the request.
    pub session: SessionId,
    /// The request's number in that session, from 0 on.
    pub slot: u64,
}

/// The other end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client, which is trusted with nothing.
    Client,
    /// A link from another bank: only requests that this bank answers from its own state are valid.
    Link,
    /// An outside coordinator, whose state the bank can't see: its PREPARE is of a transaction with
    /// an outside coordinator, its COMMIT and ABORT are its votes. It exists within the process
    /// only, never on a line.
    Outside,
}

/// The outcome of an old transaction, found in the journal because memory no longer holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The record that decided it: `Refused`, `Decided`, `Executed`, `OutsideVoted`, or a `Voted`
    /// with a NOK.
    pub record: Record,
}

/// An event that the core decides on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A request was received.
    Request {
        /// Where its reply goes.
        caller: Caller,
        /// The kind of session that it was received on.
        origin: Origin,
        /// Who is at the other end of that session.
        asker: Principal,
        /// The request. The session itself answers those that need no bank.
        request: Request,
        /// How long it waited in the queue, in microseconds.
        waited_us: u64,
        /// What the journal knows of its transaction, if memory does not.
        past: Option<Past>,
    },
    /// A session has ended.
    Closed(SessionId),
    /// A peer answered a request; `None` if it can't any more (link lost, time-out, unreachable).
    Answer {
        /// The peer that answered.
        peer: BankId,
        /// The request that it answers.
        asked: RequestKey,
        /// The reply to that request.
        reply: Option<Reply>,
        /// What the journal knows of the transaction, if memory does not.
        past: Option<Past>,
    },
    /// The link that this bank dialled to a peer is open, so requests can be sent.
    PeerUp(BankId),
    /// That link is closed. Each unanswered request has been passed in as an `Answer` with `None`.
    PeerDown(BankId),
    /// A peer sent a vote of this bank that it knows.
    PeerShows {
        /// The peer that sent it.
        peer: BankId,
        /// The transaction of the vote.
        tx: TxId,
        /// The token of the vote.
        token: Token,
        /// What the journal knows of the transaction, if memory does not.
        past: Option<Past>,
    },
    /// Time passed. It must follow soon after the moment that `Core::tick_due_us` returns; at any
    /// other moment it changes nothing.
    Tick,
    /// A peer has proved its identity, and that its journal has this founding id.
    PeerFounded {
        /// The peer that proved it.
        peer: BankId,
        /// The founding id of its journal.
        founding: FoundingId,
    },
    /// A peer sent a statement about which journal of this bank, or of another bank, it has
    /// recorded.
    PeerMet {
        /// The peer that sent it.
        peer: BankId,
        /// The statement, not verified yet.
        meeting: Meeting,
    },
    /// Recovery is complete and the bank starts to work. The first input, and only once.
    Started(Start),
    /// From here on names have these rights, in closed mode. Until the first such input they have
    /// none.
    AccessChanged(Arc<Access>),
}

impl Input {
    /// The transaction that it is about, and the field for what the journal knows of it.
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
            | Input::AccessChanged(_)
            | Input::Started(_) => None,
        }
    }
}

/// What a bank gets at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Start {
    /// Banks whose introduction a bank with a new journal does not wait for, by its operator's
    /// choice.
    pub introduce_without: BankSet,
    /// Random bytes, different at each start.
    pub run: [u8; 16],
}

/// What must be durable before a reply or message may leave. A number means that record and all
/// before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Nothing: it depends on no record.
    Now,
    /// Nothing more: it depends on records that are already durable.
    Durable,
    /// This record, of a vote, an outcome or a registration, which it reveals.
    Record(Seq),
    /// All records of its decision; this is the last of them.
    Decision(Seq),
    /// All that the bank holds: a read reflects no newer record than this.
    Newest(Seq),
}

impl After {
    /// The number of the record that must be synced; 0 for none.
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

/// A reply, and what must be durable before it may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The request that it answers.
    pub to: Caller,
    /// The reply to that request.
    pub reply: Reply,
    /// What must be durable before it leaves.
    pub after: After,
}

/// A message to a peer, and what must be durable before it may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// The peer that receives it.
    pub peer: BankId,
    /// The request to that peer.
    pub message: Message,
    /// What must be durable before it leaves.
    pub after: After,
}

/// This bank has recorded a peer's journal; the record must be durable before the peer is notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeetingNotice {
    /// The peer to be notified.
    pub peer: BankId,
    /// The founding id of its journal.
    pub founding: FoundingId,
    /// What must be durable before it is notified.
    pub after: After,
}

/// The results of a decision. Its caller applies the records, writes and syncs them, and sends
/// replies and messages once they may leave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Changes of the durable state, in order; each is applied and journaled.
    pub records: Vec<Record>,
    /// Changes of the volatile state, in order.
    pub changes: Vec<super::Change>,
    /// Replies to clients and peers.
    pub replies: Vec<Outgoing>,
    /// Messages to peers, in order.
    pub sends: Vec<Sending>,
    /// Peers to be notified that this bank has recorded their journals.
    pub met: Vec<MeetingNotice>,
    /// Events for the step log that no record, reply or message shows.
    pub steps: Vec<CoreStep>,
}

/// A step that happens inside the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoreStep {
    /// The bank asks the others about a transaction that it voted OK on.
    Doubt(TxId, DoubtCause),
    /// The bank starts to drive a transaction.
    Drive(TxId),
    /// A driver's time-out: these banks did not answer.
    Silent(TxId, BankSet),
    /// A session's wait ended without an outcome.
    GaveUp(TxId),
    /// A peer's answer has tokens, but they prove nothing: the link to it must be closed.
    Unproved(TxId, BankId),
    /// A peer's statement about this bank's journal proves nothing: the link to it must be closed.
    Untrue(BankId),
    /// A peer has another journal than the recorded one: it has forgotten its votes, and the link
    /// to it must be closed.
    Replaced(BankId),
}

impl CoreStep {
    /// The peer whose link must be closed after this step, if any.
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

/// Why a bank starts to ask the others about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoubtCause {
    /// The connection of its driver closed.
    DriverGone,
    /// `RESOLVE_AFTER_MS`, or the transaction's patience, is over.
    TimeOut,
    /// This bank was restarted.
    Restart,
    /// It received a COMMIT or ABORT whose tokens do not prove the outcome.
    Asked,
    /// Its owner's name was taken out of the access of this bank.
    OwnerGone,
    /// A cut has waited for it.
    CutWaits,
}

impl DoubtCause {
    /// The word in the step log.
    pub fn as_str(self) -> &'static str {
        match self {
            DoubtCause::DriverGone => "driver-gone",
            DoubtCause::TimeOut => "time-out",
            DoubtCause::Restart => "restart",
            DoubtCause::Asked => "asked",
            DoubtCause::OwnerGone => "owner-gone",
            DoubtCause::CutWaits => "cut-waits",
        }
    }
}

/// The outcome of a transaction at this bank. On disk: new variants are only added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Outcome {
    /// Committed at this commit time.
    Committed(Time),
    /// Aborted for this reason; the token is of the vote that refused.
    Aborted(Token, Reason),
}

/// A vote of this bank, as its record holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OwnVote {
    /// OK or NOK, permanently.
    pub vote: crate::wire::token::Vote,
    /// The time of the vote.
    pub time: Time,
    /// The bytes voted on; absent for a tombstone.
    pub digest: Option<Digest>,
}

/// A vote of another bank, as far as this bank's records show it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KnownVote {
    /// The id of the transaction.
    pub tx: TxId,
    /// The vote of that bank.
    pub vote: OwnVote,
}
