//! What all clients of a contention run count together while they run.

use super::super::output::micros;
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::wire::Reason;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// Latencies are told with this many digits.
const DIGITS: u8 = 3;

/// What was counted.
pub struct Tally {
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
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
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
        }
    }
}

impl Tally {
    /// A client knows what became of its transaction.
    pub fn told(&mut self, verdict: &Verdict, took: Duration) {
        match verdict {
            Verdict::Committed(_) => {
                self.committed += 1;
                // It grows as it must; what it could not hold would be centuries.
                let _ = self.latency_us.record(micros(took));
            }
            Verdict::Aborted { reason, .. } => self.refused(*reason),
            Verdict::Doubt(_) => self.in_doubt += 1,
            Verdict::Unreached => self.refused(Reason::Unreachable),
        }
    }

    fn refused(&mut self, reason: Reason) {
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
        let Tally { committed, in_doubt, cuts, .. } = self;
        format!(
            "{committed} committed · NOK {nok} · {aborted} aborted · {in_doubt} in doubt · {cuts} cuts"
        )
    }
}
