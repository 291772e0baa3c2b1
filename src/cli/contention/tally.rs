//! What all clients of a contention run count together while they run.

use super::super::load::{Begun, LoadEnd, LoadTally, Plan};
use super::super::output::micros;
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Latencies are told with this many digits.
const DIGITS: u8 = 3;

/// What a client knows of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownOutcome {
    /// It only read.
    Nothing,
    /// Committed.
    Committed,
    /// Aborted: not committed, now or later.
    Aborted,
    /// It does not know.
    Unknown,
}

/// What was counted.
pub struct ContentionTally {
    /// Transactions that were committed.
    pub committed: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Transactions that a bank looked at and refused, by reason.
    pub nok: BTreeMap<&'static str, u64>,
    /// Transactions that were aborted for other reasons: a bank was out of reach or silent.
    pub aborted: BTreeMap<&'static str, u64>,
    /// Transactions whose outcome their client does not know.
    pub in_doubt: u64,
    /// Reads that were not answered.
    pub unread: u64,
    /// Connections that were lost.
    pub lost: u64,
    /// From the beginning, or when it was due, to the verdict, of committed transactions.
    pub latency_us: Histogram<u64>,
    /// Cuts that added up.
    pub cuts: u64,
    /// Times that a cut was not possible, for a bank was down or in doubt.
    pub no_cuts: u64,
    /// What did not add up.
    pub broken: Vec<String>,
    /// What each client knows of each of its requests, both by number.
    pub outcomes: Vec<Vec<KnownOutcome>>,
}

impl Default for ContentionTally {
    fn default() -> ContentionTally {
        ContentionTally {
            committed: 0,
            reads: 0,
            nok: BTreeMap::new(),
            aborted: BTreeMap::new(),
            in_doubt: 0,
            unread: 0,
            lost: 0,
            latency_us: Histogram::new(DIGITS).expect("3 digits are allowed"),
            cuts: 0,
            no_cuts: 0,
            broken: Vec::new(),
            outcomes: Vec::new(),
        }
    }
}

impl LoadTally for ContentionTally {
    fn begun(&mut self, request: &Begun) {
        // A client has one request under way, so they begin in the order of their numbers.
        let client = usize::try_from(request.client).unwrap_or(0);
        if self.outcomes.len() <= client {
            self.outcomes.resize_with(client + 1, Vec::new);
        }
        self.outcomes[client].push(if request.reads {
            KnownOutcome::Nothing
        } else {
            KnownOutcome::Unknown
        });
    }

    fn ended(&mut self, request: &Begun, end: LoadEnd<'_>, _: &Plan) {
        if request.reads {
            match end {
                LoadEnd::Replied(Reply::Done(_)) => self.reads += 1,
                LoadEnd::Replied(_)
                | LoadEnd::Verdict(_)
                | LoadEnd::NotReplied
                | LoadEnd::NotSent => self.unread += 1,
            }
            return;
        }
        let told = match end {
            LoadEnd::Verdict(Verdict::Committed(_)) | LoadEnd::Replied(Reply::Committed(..)) => {
                self.committed(request.due.elapsed())
            }
            LoadEnd::Verdict(Verdict::Aborted { reason, .. })
            | LoadEnd::Replied(Reply::Aborted(_, _, reason, _)) => self.refused(*reason),
            LoadEnd::Verdict(Verdict::Unreached) | LoadEnd::NotSent => {
                self.refused(Reason::Unreachable)
            }
            LoadEnd::Verdict(Verdict::Doubt(_)) | LoadEnd::Replied(_) | LoadEnd::NotReplied => {
                self.in_doubt += 1;
                KnownOutcome::Unknown
            }
        };
        let client = usize::try_from(request.client).unwrap_or(0);
        let number = usize::try_from(request.number).unwrap_or(usize::MAX);
        if let Some(entry) = self.outcomes.get_mut(client).and_then(|told| told.get_mut(number)) {
            *entry = told;
        }
    }

    fn lost(&mut self) {
        self.lost += 1;
    }

    fn left(&mut self, _: usize, _: impl Iterator<Item = Instant>, _: Instant) {}
}

impl ContentionTally {
    fn committed(&mut self, took: Duration) -> KnownOutcome {
        self.committed += 1;
        // It grows as it must; what it could not hold would be centuries.
        let _ = self.latency_us.record(micros(took));
        KnownOutcome::Committed
    }

    fn refused(&mut self, reason: Reason) -> KnownOutcome {
        let by = match reason {
            Reason::InsufficientFunds
            | Reason::UnknownAccount
            | Reason::UnknownClient
            | Reason::NotHolder
            | Reason::Locked
            | Reason::Unbalanced
            | Reason::DuplicateId
            | Reason::AlreadyExists
            | Reason::Malformed
            | Reason::Limit => &mut self.nok,
            Reason::Expired
            | Reason::Refused
            | Reason::Unreachable
            | Reason::NotIntroduced
            | Reason::DiskFull
            | Reason::Unreadable => &mut self.aborted,
        };
        *by.entry(reason.as_str()).or_default() += 1;
        KnownOutcome::Aborted
    }

    /// All refusals together, and all other aborts.
    pub fn not_committed(&self) -> (u64, u64) {
        (self.nok.values().sum(), self.aborted.values().sum())
    }

    /// In one line, for who waits.
    pub fn in_words(&self) -> String {
        let (_, aborted) = self.not_committed();
        let nok: Vec<String> =
            self.nok.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let nok = if nok.is_empty() { "0".to_owned() } else { nok.join(", ") };
        let ContentionTally { committed, in_doubt, cuts, .. } = self;
        format!(
            "{committed} committed · NOK {nok} · {aborted} aborted · {in_doubt} in doubt · {cuts} \
                cuts"
        )
    }
}
