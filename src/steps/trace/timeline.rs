//! A transaction on one time axis: lanes, events in causal order, calls, spans, and the critical
//! path. `build` makes it, `words` has its sentences, `svg` draws it.

use super::caveats::Caveat;
use crate::line::{Load, Ordinal, ReplySummary, Step};
use consorcio_core::wire::verb::Verb;
use consorcio_words::Lang;
use serde::{Serialize, Serializer};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A transaction over all nodes. Times are microseconds since its beginning, unless stated
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// The id of the transaction.
    pub tx: String,
    /// Its outcome by all logs together.
    pub verdict: TraceVerdict,
    /// The reason on the wire, if it was aborted.
    pub reason: Option<String>,
    /// The bank that refused, if it was aborted.
    pub refused_by: Option<u8>,
    /// The commit time, in microseconds since 1970.
    pub commit_time: Option<i64>,
    /// Its beginning, in microseconds since 1970 by the clocks that agree best.
    pub began_us: i64,
    /// When its driver, or the client of the bank that drove it, first knew the outcome.
    #[serde(rename = "told_us")]
    pub known_us: Option<i64>,
    /// The lane where it was first known.
    #[serde(rename = "told_at")]
    pub known_at: Option<usize>,
    /// When the last bank with a log recorded the outcome.
    #[serde(rename = "settled_us")]
    pub known_everywhere_us: Option<i64>,
    /// The banks that it names.
    pub banks: Vec<u8>,
    /// The banks whose OK is in the logs.
    pub oks: Vec<u8>,
    /// The last OK that reached the driver: its bank, and when.
    pub last_ok: Option<(u8, i64)>,
    /// The nodes that took part.
    pub lanes: Vec<Lane>,
    /// The events, causes first.
    pub events: Vec<TracedEvent>,
    /// The requests, each with its reply.
    pub calls: Vec<TracedCall>,
    /// The activities that took time at one node.
    pub spans: Vec<TracedSpan>,
    /// The critical path from the beginning until the outcome was first known: each leg ends where
    /// the next one begins.
    pub path: Vec<Leg>,
    /// Caveats: clocks that were shifted, logs that are missing.
    pub notes: Vec<Caveat>,
}

/// The outcome of a transaction by all logs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceVerdict {
    /// Every bank's OK is durable, or a log says that it is committed.
    Committed,
    /// A bank refused it.
    Aborted,
    /// Banks voted OK, and no log has an outcome.
    Undecided,
    /// No bank with a log has voted.
    Nothing,
    /// Committed in one log and aborted in another: this breaks atomicity.
    Contradiction,
}

/// A node that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// `bank 0`, or a client's name.
    pub name: String,
    /// Whether it is a client or a bank.
    pub kind: LaneKind,
    /// Its position in the consortium, if it is a bank.
    pub bank: Option<u8>,
    /// Its address, if known.
    pub address: Option<String>,
    /// Whether its log was found.
    pub logged: bool,
    /// The shift added to its clock so that causes precede effects, in microseconds.
    pub shift_us: i64,
}

/// The kind of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaneKind {
    /// A client, which may drive transactions.
    Client,
    /// A bank of the consortium.
    Bank,
}

/// An event of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TracedEvent {
    /// The lane of the node.
    pub lane: usize,
    /// Its time on the axis of the timeline.
    pub at_us: i64,
    /// Its time by its node's own clock, in microseconds since 1970.
    pub logged_us: i64,
    /// The word of the event in the step log.
    pub event: String,
    /// The fields of its line.
    pub detail: String,
    /// The step; `None` for an event that this version does not know.
    #[serde(skip)]
    pub step: Option<Step>,
    /// Whether it concerns the transaction, and not only its node.
    pub of_tx: bool,
    /// The bank at the other end of the connection.
    pub bank: Option<u8>,
    /// The lane at the other end of a call.
    pub other: Option<usize>,
    /// The call that it belongs to.
    pub call: Option<usize>,
}

/// A request and its reply: the indexes of the events at its four ends, as far as the logs have
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TracedCall {
    /// The lane that sent the request.
    pub from: usize,
    /// The lane that received the request.
    pub to: usize,
    /// The verb of the request.
    #[serde(serialize_with = "name")]
    pub verb: Verb,
    /// The number of the request on its connection, if the logs have it.
    pub n: Ordinal,
    /// The load of the request, as in its line.
    pub load: String,
    /// The load of the request.
    #[serde(skip)]
    pub carried: Load,
    /// The reply, as in its line.
    #[serde(rename = "said")]
    pub reply_text: Option<String>,
    /// The content of the reply.
    #[serde(skip)]
    pub reply: Option<ReplySummary>,
    /// The event at which the request was sent.
    pub sent: Option<usize>,
    /// The event at which the request was received.
    pub received: Option<usize>,
    /// The event at which the reply was sent.
    pub replied: Option<usize>,
    /// The event at which the reply was received, or the request was given up.
    pub answered: Option<usize>,
    /// The request was given up, because the connection broke.
    pub lost: bool,
    /// The time from request to reply at its sender.
    pub took_us: Option<i64>,
}

/// An activity that took time at one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TracedSpan {
    /// The lane of the node.
    pub lane: usize,
    /// The kind of the activity.
    pub kind: SpanKind,
    /// The time of its beginning.
    pub from_us: i64,
    /// The time of its end.
    pub to_us: i64,
    /// Whether the logs do not have its end.
    pub open: bool,
}

/// The kind of an activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpanKind {
    /// A client or bank drives the transaction.
    Drive,
    /// A bank voted OK, and does not know the outcome.
    Hold,
    /// A bank in doubt asks its peers.
    Doubt,
    /// A request waits until the bank decides it.
    Queue,
    /// A record waits until its sync begins: another one is under way, or the batch is not full
    /// yet.
    Batch,
    /// A record is written and synced.
    Sync,
}

/// A part of the critical path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leg {
    /// The activity that took the time.
    pub kind: LegKind,
    /// The lane where it ended.
    pub lane: usize,
    /// A description for people.
    #[serde(rename = "what")]
    pub label: String,
    /// The same in Portuguese.
    #[serde(skip)]
    pub portuguese: String,
    /// The time of its beginning.
    pub from_us: i64,
    /// The time of its end.
    pub to_us: i64,
}

/// The activity that took the time of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LegKind {
    /// A message on its way between two nodes, and through their sockets.
    Network,
    /// A request waited until a bank decided it.
    Queue,
    /// A record waited until its sync began.
    Batch,
    /// A record was written and synced.
    Sync,
    /// The time from the sync to the reply.
    Release,
    /// Time inside of a bank whose log is missing.
    Bank,
    /// The driver was at work.
    Driver,
    /// A node waited for a timer, or for an event that is not in the logs.
    Wait,
}

/// The part of a kind of activity in the critical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The kind of the activity.
    pub kind: LegKind,
    /// The sum of its legs in microseconds.
    pub took_us: i64,
    /// Its part of the whole path, rounded.
    pub percent: i64,
}

impl Leg {
    /// The description in this language.
    pub fn label_in(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.label,
            Lang::Pt => &self.portuguese,
        }
    }

    /// The duration of the leg in microseconds.
    pub fn took_us(&self) -> i64 {
        self.to_us - self.from_us
    }
}

impl Timeline {
    /// The time of the critical path by kind of activity, the longest first.
    pub fn shares(&self) -> Vec<Share> {
        let mut took_us: BTreeMap<LegKind, i64> = BTreeMap::new();
        for leg in &self.path {
            *took_us.entry(leg.kind).or_default() += leg.took_us();
        }
        let whole: i64 = took_us.values().sum();
        let share = |(kind, took_us): (LegKind, i64)| {
            let percent = (took_us * 200 + whole) / (2 * whole.max(1));
            Share { kind, took_us, percent }
        };
        let mut shares: Vec<Share> = took_us.into_iter().map(share).collect();
        shares.sort_by_key(|share| Reverse(share.took_us));
        shares
    }

    /// The longest leg of the critical path.
    pub fn longest_leg(&self) -> Option<&Leg> {
        self.path.iter().max_by_key(|leg| leg.took_us())
    }

    /// The time from the beginning until the driver and every bank knew the outcome.
    pub fn took_us(&self) -> i64 {
        self.known_us.unwrap_or(0).max(self.known_everywhere_us.unwrap_or(0))
    }

    /// Whether this event is shown in a row. Events of a node alone are shown only where they can
    /// concern the transaction.
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

    /// The name of a lane.
    pub fn name(&self, lane: usize) -> &str {
        self.lanes.get(lane).map_or("?", |lane| lane.name.as_str())
    }
}

fn name<S: Serializer>(verb: &Verb, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(verb.name())
}
