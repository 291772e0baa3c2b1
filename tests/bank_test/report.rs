//! The result of a run as JSON; `picture` draws it.

use super::history::{ClientOp, OpKind, OpResult};
use super::nemesis::{FaultKind, InjectedFault, NemesisReport};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SECOND_US: u64 = 1_000_000;

/// The number of events, by their names in the result.
pub type NamedCounts = BTreeMap<String, u64>;

/// Counts the events of a run. The short run demands at least one of each kind.
pub fn counts(ops: &[ClientOp], nemesis: &NemesisReport) -> NamedCounts {
    let mut counts: NamedCounts =
        FaultKind::ALL.iter().map(|kind| (format!("fault {}", kind.as_str()), 0)).collect();
    for name in [
        "transfers committed",
        "transfers aborted",
        "transactions unknown",
        "drivers gone",
        "sets committed",
        "sets aborted",
        "cuts read",
        "registers read",
        "reads without an answer",
    ] {
        counts.insert(name.to_owned(), 0);
    }
    for fault in &nemesis.faults {
        *counts.entry(format!("fault {}", fault.kind.as_str())).or_default() += 1;
    }
    for op in ops {
        let name = match (&op.kind, &op.result) {
            (OpKind::Transfer { .. }, OpResult::Committed(_)) => "transfers committed",
            (OpKind::Transfer { .. }, OpResult::Aborted(_)) => "transfers aborted",
            (_, OpResult::Committed(_)) => "sets committed",
            (_, OpResult::Aborted(_)) => "sets aborted",
            (_, OpResult::Unknown { left: true }) => "drivers gone",
            (_, OpResult::Unknown { left: false }) => "transactions unknown",
            (_, OpResult::Cut(_)) => "cuts read",
            (_, OpResult::Value(_)) => "registers read",
            (_, OpResult::NoReply) => "reads without an answer",
        };
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts.insert("ended by a full disk".to_owned(), nemesis.full_disks);
    counts.insert("torn tails cut".to_owned(), u64::try_from(nemesis.tails_cut).unwrap());
    counts.insert("flipped bits refused".to_owned(), nemesis.flips_refused);
    for (name, count) in nemesis.network {
        counts.insert(format!("network: {name}"), count);
    }
    counts
}

/// The number of aborts by reason.
fn reasons(ops: &[ClientOp]) -> NamedCounts {
    let mut reasons = NamedCounts::new();
    for op in ops {
        if let OpResult::Aborted(reason) = &op.result {
            *reasons.entry(reason.clone()).or_default() += 1;
        }
    }
    reasons
}

/// The operations that ended in one second of a run.
#[derive(Debug, Default)]
struct Second {
    committed: u64,
    aborted: u64,
    read: u64,
    unanswered: u64,
    latencies_us: Vec<u64>,
}

impl Second {
    fn percentile(&self, percent: usize) -> u64 {
        let last = self.latencies_us.len().saturating_sub(1);
        self.latencies_us.get(last * percent / 100).copied().unwrap_or(0)
    }
}

fn seconds(ops: &[ClientOp]) -> Vec<Second> {
    let begin = ops.first().map_or(0, |op| op.began_us);
    let mut seconds: Vec<Second> = Vec::new();
    for op in ops {
        let at = usize::try_from(op.ended_us.saturating_sub(begin) / SECOND_US).unwrap();
        if seconds.len() <= at {
            seconds.resize_with(at + 1, Second::default);
        }
        let second = &mut seconds[at];
        let of = match &op.result {
            OpResult::Committed(_) => &mut second.committed,
            OpResult::Aborted(_) => &mut second.aborted,
            OpResult::Value(_) | OpResult::Cut(_) => &mut second.read,
            OpResult::Unknown { .. } | OpResult::NoReply => &mut second.unanswered,
        };
        *of += 1;
        second.latencies_us.push(op.ended_us - op.began_us);
    }
    for second in &mut seconds {
        second.latencies_us.sort_unstable();
    }
    seconds
}

/// The result of a run, with its violations, as JSON.
pub fn result(
    seed: u64,
    ops: &[ClientOp],
    nemesis: &NemesisReport,
    violations: &[String],
) -> Value {
    let begin = ops.first().map_or(0, |op| op.began_us);
    let second = |second: &Second| {
        let (p50_us, p99_us) = (second.percentile(50), second.percentile(99));
        json!({
            "committed": second.committed, "aborted": second.aborted, "read": second.read,
            "without_answer": second.unanswered, "p50_us": p50_us, "p99_us": p99_us,
        })
    };
    let fault = |fault: &InjectedFault| {
        json!({
            "kind": fault.kind.as_str(), "bank": fault.bank, "other": fault.other,
            "late_ms": fault.late_ms, "from_us": fault.began_us.saturating_sub(begin),
            "to_us": fault.ended_us.saturating_sub(begin),
        })
    };
    let seconds = seconds(ops);
    json!({
        "seed": seed,
        "valid": violations.is_empty(),
        "violations": violations,
        "seconds_of_load": seconds.len(),
        "counts": counts(ops, nemesis),
        "abort_reasons": reasons(ops),
        "faults": nemesis.faults.iter().map(fault).collect::<Vec<_>>(),
        "seconds": seconds.iter().map(second).collect::<Vec<_>>(),
    })
}
