//! One transaction on one time: lanes, events in causal order, calls, spans, and where the time
//! went. How it comes to be stands in `build`, its sentences in `words`, how it is drawn in `svg`.

use crate::line::{Load, Ordinal, ReplySummary, Step};
use consorcio_core::wire::verb::Verb;
use serde::{Serialize, Serializer};

/// What became of a transaction over all nodes, and when what happened. Times are microseconds
/// since its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Its id.
    pub tx: String,
    /// What became of it, by all that the logs tell.
    pub verdict: Verdict,
    /// Why, where it was aborted: the reason on the wire.
    pub reason: Option<String>,
    /// Which bank refused.
    pub refused_by: Option<u8>,
    /// The commit's time, in microseconds since 1970.
    pub commit_time: Option<i64>,
    /// The beginning, in microseconds since 1970 by the clocks that agree best.
    pub began_us: i64,
    /// When the first of those who waited for it knew the outcome: its driver, or whoever asked the
    /// driving bank.
    pub told_us: Option<i64>,
    /// Where that was.
    pub told_at: Option<usize>,
    /// When the last bank that the logs know recorded the outcome.
    pub settled_us: Option<i64>,
    /// The banks that it names.
    pub banks: Vec<u8>,
    /// Banks whose OK is in the logs.
    pub oks: Vec<u8>,
    /// The OK that was the last to reach whoever drove, and when.
    pub last_ok: Option<(u8, i64)>,
    /// Who took part.
    pub lanes: Vec<Lane>,
    /// What happened, causes first.
    pub events: Vec<TracedEvent>,
    /// Requests and what became of them.
    pub calls: Vec<Call>,
    /// What took time in one place.
    pub spans: Vec<Span>,
    /// The way of the outcome from the beginning to whoever was told first: each leg ends where the
    /// next one begins.
    pub path: Vec<Leg>,
    /// What a reader must know about this timeline: clocks that were shifted, logs that are
    /// missing.
    pub notes: Vec<String>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every bank's OK is durable, or somebody says so.
    Committed,
    /// Some bank refused.
    Aborted,
    /// Banks hold it, and the logs tell no outcome.
    Undecided,
    /// No bank that the logs know has voted.
    Nothing,
    /// Committed in one log and aborted in another. This must not be.
    Contradiction,
}

impl Verdict {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Committed => "committed",
            Verdict::Aborted => "aborted",
            Verdict::Undecided => "undecided",
            Verdict::Nothing => "nothing happened",
            Verdict::Contradiction => "CONTRADICTION",
        }
    }
}

/// Who took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// `bank 0`, or a client's name.
    pub name: String,
    /// What it is.
    pub kind: LaneKind,
    /// Its place in the consortium, if it is a bank.
    pub bank: Option<u8>,
    /// Where it is, as far as it is known.
    pub address: Option<String>,
    /// Is there a log of it?
    pub logged: bool,
    /// What was added to its clock so that causes come before effects, in microseconds.
    pub shift_us: i64,
}

/// What a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaneKind {
    /// A client.
    Client,
    /// A bank.
    Bank,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TracedEvent {
    /// Where.
    pub lane: usize,
    /// When.
    pub at_us: i64,
    /// When by its node's own clock, in microseconds since 1970.
    pub logged_us: i64,
    /// The event's word in the step log.
    pub event: String,
    /// The rest of its line.
    pub detail: String,
    /// What it says; `None` for an event that this version does not know.
    #[serde(skip)]
    pub step: Option<Step>,
    /// Is it about the transaction, or only about its node?
    pub of_tx: bool,
    /// The bank at the other end.
    pub bank: Option<u8>,
    /// The lane at the other end of a call.
    pub other: Option<usize>,
    /// The call that it belongs to.
    pub call: Option<usize>,
}

/// A request and its answer: the numbers of the events that are its four ends, as far as the logs
/// know them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Who asked.
    pub from: usize,
    /// Whom.
    pub to: usize,
    /// The request's verb.
    #[serde(serialize_with = "name")]
    pub verb: Verb,
    /// Its number on its connection, where the logs have it.
    pub n: Ordinal,
    /// What it carried: its size.
    pub load: String,
    /// The same.
    #[serde(skip)]
    pub carried: Load,
    /// What was answered: its first words.
    pub said: Option<String>,
    /// The same.
    #[serde(skip)]
    pub reply: Option<ReplySummary>,
    /// It left.
    pub sent: Option<usize>,
    /// It came.
    pub received: Option<usize>,
    /// The reply left.
    pub replied: Option<usize>,
    /// The reply came; or it was given up.
    pub answered: Option<usize>,
    /// It was given up: the connection broke.
    pub lost: bool,
    /// From request to reply where it was asked.
    pub took_us: Option<i64>,
}

/// Something that took time in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Where.
    pub lane: usize,
    /// What.
    pub kind: SpanKind,
    /// From when.
    pub from_us: i64,
    /// Until when.
    pub to_us: i64,
    /// Did it not end in what the logs tell?
    pub open: bool,
}

/// What takes time in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpanKind {
    /// Somebody drives it.
    Drive,
    /// A bank has promised, and does not know the outcome.
    Hold,
    /// ... and asks.
    Doubt,
    /// A request waits until the bank decides on it.
    Queue,
    /// A record waits until its sync begins: another one is under way, or the batch is not full
    /// yet.
    Batch,
    /// A record is written and synced.
    Sync,
}

impl SpanKind {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            SpanKind::Drive => "drives",
            SpanKind::Hold => "holds",
            SpanKind::Doubt => "in doubt",
            SpanKind::Queue => "queue",
            SpanKind::Batch => "waits for its sync",
            SpanKind::Sync => "sync",
        }
    }
}

/// A part of the way to the outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leg {
    /// What took the time.
    pub kind: LegKind,
    /// Where it ended.
    pub lane: usize,
    /// In words.
    pub what: String,
    /// From when.
    pub from_us: i64,
    /// Until when.
    pub to_us: i64,
}

/// What took the time of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LegKind {
    /// On its way between two nodes, and through their sockets.
    Network,
    /// A request waited until a bank decided on it.
    Queue,
    /// A record waited until its sync began.
    Batch,
    /// Write and sync.
    Sync,
    /// From the sync to the reply.
    Release,
    /// Inside a bank whose log is missing.
    Bank,
    /// Whoever drove it thought.
    Driver,
    /// A node waited for a timer, or for something that the logs don't tell.
    Wait,
}

impl LegKind {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            LegKind::Network => "network",
            LegKind::Queue => "queue",
            LegKind::Batch => "wait for sync",
            LegKind::Sync => "sync",
            LegKind::Release => "reply",
            LegKind::Bank => "bank",
            LegKind::Driver => "driver",
            LegKind::Wait => "waits",
        }
    }
}

impl Leg {
    /// How long it took.
    pub fn took_us(&self) -> i64 {
        self.to_us - self.from_us
    }
}

impl Timeline {
    /// The leg that took longest.
    pub fn longest_leg(&self) -> Option<&Leg> {
        self.path.iter().max_by_key(|leg| leg.took_us())
    }

    /// From the beginning until the last who had to know it knew the outcome.
    pub fn took_us(&self) -> i64 {
        self.told_us.unwrap_or(0).max(self.settled_us.unwrap_or(0))
    }

    /// Is this event worth a row? What a node does besides is only where it has to do with the
    /// transaction.
    pub fn is_shown(&self, event: &TracedEvent) -> bool {
        let is_bank = self.lanes.get(event.lane).is_some_and(|lane| lane.kind == LaneKind::Bank);
        match event.step {
            Some(Step::Connect(..) | Step::Disconnect(..) | Step::LinkUp(..) | Step::Ready(_)) => {
                false
            }
            Some(Step::LinkDown(bank, _)) => self.banks.contains(&bank.as_u8()),
            Some(Step::Start(_) | Step::Stop(_) | Step::Recover { .. }) => is_bank,
            _ => true,
        }
    }

    /// The lane's name.
    pub fn name(&self, lane: usize) -> &str {
        self.lanes.get(lane).map_or("?", |lane| lane.name.as_str())
    }
}

fn name<S: Serializer>(verb: &Verb, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(verb.name())
}
