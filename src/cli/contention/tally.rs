//! The counters of a contention run, shared by its clients.

use super::super::language::say;
use super::super::load::{LoadEnd, LoadPlan, LoadTally, StartedRequest};
use super::super::output::micros;
use super::history::RunHistory;
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Latencies have this many significant digits.
const DIGITS: u8 = 3;

/// The outcome of a request, as its client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KnownOutcome {
    /// The request was a read.
    Nothing,
    Committed,
    /// It is not committed, and never will be.
    Aborted,
    /// The client does not know the outcome.
    Unknown,
}

/// The counters of all clients together.
pub(super) struct ContentionTally {
    /// Transactions that were committed.
    pub committed: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Transactions that a bank evaluated and refused, by reason.
    pub nok: BTreeMap<&'static str, u64>,
    /// Transactions that were aborted for other reasons: a bank was out of reach or silent.
    pub aborted: BTreeMap<&'static str, u64>,
    /// Transactions whose outcome their client does not know.
    pub in_doubt: u64,
    /// Reads that were not answered.
    pub unread: u64,
    /// Connections that were lost.
    pub lost: u64,
    /// Latencies of committed transactions, from when each was due.
    pub latency_us: Histogram<u64>,
    /// Cuts that added up.
    pub cuts: u64,
    /// Cuts that were not possible, because a bank was down or in doubt.
    pub no_cuts: u64,
    /// The cuts that did not add up.
    pub broken: Vec<String>,
    /// The outcomes that each client knows, by client and by request.
    pub outcomes: Vec<Vec<KnownOutcome>>,
    /// The run over time, if a report shows it.
    pub history: Option<RunHistory>,
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
            history: None,
        }
    }
}

impl LoadTally for ContentionTally {
    fn begun(&mut self, request: &StartedRequest) {
        // A client has one request under way, so requests begin in the order of their numbers.
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

    fn ended(&mut self, request: &StartedRequest, end: LoadEnd<'_>, _: &LoadPlan) {
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
        let outcome = match end {
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
        if let Some(entry) =
            self.outcomes.get_mut(client).and_then(|outcomes| outcomes.get_mut(number))
        {
            *entry = outcome;
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
        // The histogram resizes itself; its range is centuries.
        let _ = self.latency_us.record(micros(took));
        if let Some(history) = &mut self.history {
            history.committed(Instant::now(), micros(took));
        }
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
            | Reason::Limit
            | Reason::NotAllowed => &mut self.nok,
            Reason::Expired
            | Reason::Refused
            | Reason::Unreachable
            | Reason::NotIntroduced
            | Reason::DiskFull
            | Reason::Unreadable => &mut self.aborted,
        };
        *by.entry(reason.as_str()).or_default() += 1;
        if let Some(history) = &mut self.history {
            history.refused(Instant::now());
        }
        KnownOutcome::Aborted
    }

    /// The numbers of refusals, and of other aborts.
    pub(super) fn not_committed(&self) -> (u64, u64) {
        (self.nok.values().sum(), self.aborted.values().sum())
    }

    /// The counters in one line.
    pub(super) fn in_words(&self) -> String {
        let (_, aborted) = self.not_committed();
        let nok: Vec<String> =
            self.nok.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let nok = if nok.is_empty() { "0".to_owned() } else { nok.join(", ") };
        let ContentionTally { committed, in_doubt, cuts, .. } = self;
        say!(
            "{committed} committed · NOK {nok} · {aborted} aborted · {in_doubt} in doubt · {cuts} \
             cuts"
                / "{committed} efetivadas · NOK {nok} · {aborted} abortadas · {in_doubt} em \
                   dúvida · {cuts} cortes"
        )
    }
}
