//! The result of a run as JSON. Its picture is in `picture`.

use super::history::{Op, Told, What};
use super::nemesis::{Deeds, Fault, Kind};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SECOND_US: u64 = 1_000_000;

/// How often each interesting thing happened.
pub type Counts = BTreeMap<String, u64>;

/// Counts what happened; a run that never met one of these has shown less than it should.
pub fn counts(ops: &[Op], deeds: &Deeds) -> Counts {
    let mut counts: Counts =
        Kind::ALL.iter().map(|kind| (format!("fault {}", kind.as_str()), 0)).collect();
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
    for fault in &deeds.faults {
        *counts.entry(format!("fault {}", fault.kind.as_str())).or_default() += 1;
    }
    for op in ops {
        let name = match (&op.what, &op.told) {
            (What::Transfer { .. }, Told::Committed(_)) => "transfers committed",
            (What::Transfer { .. }, Told::Aborted(_)) => "transfers aborted",
            (_, Told::Committed(_)) => "sets committed",
            (_, Told::Aborted(_)) => "sets aborted",
            (_, Told::Unknown { left: true }) => "drivers gone",
            (_, Told::Unknown { left: false }) => "transactions unknown",
            (_, Told::Cut(_)) => "cuts read",
            (_, Told::Value(_)) => "registers read",
            (_, Told::Nothing) => "reads without an answer",
        };
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts.insert("ended by a full disk".to_owned(), deeds.full_disks);
    counts.insert("torn tails cut".to_owned(), u64::try_from(deeds.tails_cut).unwrap());
    counts.insert("flipped bits refused".to_owned(), deeds.flips_refused);
    for (name, count) in deeds.damage {
        counts.insert(format!("network: {name}"), count);
    }
    counts
}

/// Why transactions were aborted, and how often.
fn reasons(ops: &[Op]) -> Counts {
    let mut reasons = Counts::new();
    for op in ops {
        if let Told::Aborted(reason) = &op.told {
            *reasons.entry(reason.clone()).or_default() += 1;
        }
    }
    reasons
}

/// One second of a run.
#[derive(Debug, Default)]
struct Second {
    committed: u64,
    aborted: u64,
    read: u64,
    nothing: u64,
    latencies_us: Vec<u64>,
}

impl Second {
    fn percentile(&self, percent: usize) -> u64 {
        let last = self.latencies_us.len().saturating_sub(1);
        self.latencies_us.get(last * percent / 100).copied().unwrap_or(0)
    }
}

fn seconds(ops: &[Op]) -> Vec<Second> {
    let begin = ops.first().map_or(0, |op| op.began_us);
    let mut seconds: Vec<Second> = Vec::new();
    for op in ops {
        let at = usize::try_from(op.ended_us.saturating_sub(begin) / SECOND_US).unwrap();
        if seconds.len() <= at {
            seconds.resize_with(at + 1, Second::default);
        }
        let second = &mut seconds[at];
        let of = match &op.told {
            Told::Committed(_) => &mut second.committed,
            Told::Aborted(_) => &mut second.aborted,
            Told::Value(_) | Told::Cut(_) => &mut second.read,
            Told::Unknown { .. } | Told::Nothing => &mut second.nothing,
        };
        *of += 1;
        second.latencies_us.push(op.ended_us - op.began_us);
    }
    for second in &mut seconds {
        second.latencies_us.sort_unstable();
    }
    seconds
}

/// The result as JSON.
pub fn result(seed: u64, ops: &[Op], deeds: &Deeds, faults: &[String]) -> Value {
    let begin = ops.first().map_or(0, |op| op.began_us);
    let second = |second: &Second| {
        let (p50_us, p99_us) = (second.percentile(50), second.percentile(99));
        json!({
            "committed": second.committed, "aborted": second.aborted, "read": second.read,
            "without_answer": second.nothing, "p50_us": p50_us, "p99_us": p99_us,
        })
    };
    let fault = |fault: &Fault| {
        json!({
            "kind": fault.kind.as_str(), "bank": fault.bank, "other": fault.other,
            "late_ms": fault.late_ms, "from_us": fault.began_us.saturating_sub(begin),
            "to_us": fault.ended_us.saturating_sub(begin),
        })
    };
    let seconds = seconds(ops);
    json!({
        "seed": seed,
        "valid": faults.is_empty(),
        "violations": faults,
        "seconds_of_load": seconds.len(),
        "counts": counts(ops, deeds),
        "abort_reasons": reasons(ops),
        "faults": deeds.faults.iter().map(fault).collect::<Vec<_>>(),
        "seconds": seconds.iter().map(second).collect::<Vec<_>>(),
    })
}
