//! One transaction on one time: lanes, events in causal order, calls, spans, and where the time
//! went. How it comes to be stands in `build`, how it is drawn in `svg`.

use super::line::{field, number};
use serde::Serialize;

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
    pub events: Vec<Event>,
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
pub struct Event {
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
    pub verb: String,
    /// What it carried.
    pub load: String,
    /// What was answered: its first words.
    pub said: Option<String>,
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
    pub fn is_shown(&self, event: &Event) -> bool {
        let is_bank = self.lanes.get(event.lane).is_some_and(|lane| lane.kind == LaneKind::Bank);
        match event.event.as_str() {
            "connect" | "disconnect" | "link-up" | "ready" => false,
            "link-down" => event.bank.is_some_and(|bank| self.banks.contains(&bank)),
            "start" | "stop" | "recover" => is_bank,
            _ => true,
        }
    }

    /// The lane's name.
    pub fn name(&self, lane: usize) -> &str {
        self.lanes.get(lane).map_or("?", |lane| lane.name.as_str())
    }
}

/// Microseconds in words: `281 µs`, `1.649 ms`, `2.961 s`, `1 h 2 min`.
pub fn duration(us: i64) -> String {
    let (sign, us) = (if us < 0 { "-" } else { "" }, us.unsigned_abs());
    let parts = |unit: u64, name: &str| {
        format!("{sign}{}.{:03} {name}", us / unit, us % unit * 1_000 / unit)
    };
    match us {
        0..1_000 => format!("{sign}{us} µs"),
        1_000..1_000_000 => parts(1_000, "ms"),
        1_000_000..60_000_000 => parts(1_000_000, "s"),
        60_000_000..3_600_000_000 => {
            format!("{sign}{} min {} s", us / 60_000_000, us % 60_000_000 / 1_000_000)
        }
        3_600_000_000.. => {
            format!("{sign}{} h {} min", us / 3_600_000_000, us % 3_600_000_000 / 60_000_000)
        }
    }
}

impl Lane {
    /// What it is, in a word.
    pub fn kind_word(&self) -> &'static str {
        match self.kind {
            LaneKind::Client => "client",
            LaneKind::Bank => "bank",
        }
    }
}

impl Timeline {
    /// The outcome in a line, without colours: what, why, how long.
    pub fn headline(&self) -> String {
        let mut line = match self.verdict {
            Verdict::Aborted => {
                let reason = self.reason.as_deref().unwrap_or("refused");
                let by = self.refused_by.map_or(String::new(), |bank| format!(" by bank {bank}"));
                format!("aborted: {reason}{by}")
            }
            Verdict::Undecided => {
                let list = |banks: &mut dyn Iterator<Item = &u8>| {
                    banks.map(u8::to_string).collect::<Vec<_>>().join(", ")
                };
                let oks = list(&mut self.oks.iter());
                let silent = list(&mut self.banks.iter().filter(|bank| !self.oks.contains(bank)));
                let silent = if silent.is_empty() {
                    "; not each of them is known to be on disk".to_owned()
                } else {
                    format!("; no vote of bank {silent} is known")
                };
                format!("undecided: OK of bank {oks}{silent}")
            }
            Verdict::Committed | Verdict::Nothing | Verdict::Contradiction => {
                self.verdict.as_str().to_owned()
            }
        };
        if let Some(told) = self.told_us {
            let (lane, took) = (self.told_at.and_then(|lane| self.lanes.get(lane)), duration(told));
            match lane.filter(|lane| lane.kind == LaneKind::Bank) {
                Some(bank) => {
                    line.push_str(&format!(" · first known at {} after {took}", bank.name))
                }
                None => line.push_str(&format!(" · told after {took}")),
            }
        }
        if let Some(settled) =
            self.settled_us.filter(|settled| self.told_us.is_none_or(|told| *settled > told))
        {
            line.push_str(&format!(" · known at every bank after {}", duration(settled)));
        }
        line
    }
}

impl Call {
    /// What was asked, for people.
    pub fn request_words(&self) -> String {
        match (field(&self.load, "tokens"), field(&self.load, "ops")) {
            (Some("0"), _) => format!("{} without tokens", self.verb),
            (Some("1"), _) => format!("{} with a token", self.verb),
            (Some(tokens), _) => format!("{} with {tokens} tokens", self.verb),
            (None, Some("1")) => format!("{} of one operation", self.verb),
            (None, Some(ops)) => format!("{} of {ops} operations", self.verb),
            (None, None) => self.verb.clone(),
        }
    }

    /// What was answered, without the numbers that stand elsewhere.
    pub fn reply_words(&self) -> String {
        said_words(self.said.as_deref().unwrap_or(""))
    }
}

/// A vote, an outcome or a reply in a few words: the reason where there is one, no times and no
/// positions.
fn said_words(said: &str) -> String {
    let mut words = said
        .split(' ')
        .filter(|word| !["time=", "by=", "seq="].iter().any(|no| word.starts_with(no)));
    match words.next().unwrap_or("") {
        word @ ("NOK" | "ABORTED") => format!("{word} {}", words.next().unwrap_or("")),
        word => word.to_owned(),
    }
}

impl Event {
    /// How long it says that it took.
    pub fn took_us(&self) -> Option<i64> {
        number(&self.detail, "took_us")
    }

    /// What a node did by itself, for people.
    pub fn in_words(&self) -> String {
        let detail = self.detail.as_str();
        let first = detail.split(' ').next().unwrap_or("");
        match self.event.as_str() {
            "vote" => format!("votes {}", said_words(detail)),
            "refuse" => format!("refuses it for ever: {first}"),
            "outcome" => format!("records {}", said_words(detail)),
            "drove" => format!("keeps for its history: {}", said_words(detail)),
            "verdict" => {
                let oks = field(detail, "oks").unwrap_or("?");
                match said_words(detail).split_once(' ') {
                    Some((word, reason)) => format!("verdict {word}, OKs {oks}: {reason}"),
                    None => format!("verdict {}, OKs {oks}", said_words(detail)),
                }
            }
            "sync" => match field(detail, "records").unwrap_or("?") {
                "1" => "one record synced".to_owned(),
                records => format!("{records} records synced"),
            },
            "doubt" => format!("in doubt: {detail}"),
            "drive" => "drives it".to_owned(),
            "timeout" => format!("time-out: {detail}"),
            "gave-up" => "tells who waited that it is not known yet".to_owned(),
            "answer" => format!("no answer to {first}"),
            "start" => "starts".to_owned(),
            "recover" => {
                format!(
                    "has read its journal, {} undecided",
                    field(detail, "undecided").unwrap_or("?")
                )
            }
            "link-down" => {
                let bank = self.bank.map_or(String::new(), |bank| format!(" to bank {bank}"));
                format!("no line{bank}: {detail}")
            }
            word => format!("{word} {detail}"),
        }
    }
}
