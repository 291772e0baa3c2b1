//! The result of a run as JSON, and a picture of it: throughput, latency, and the faults as bands.

use super::history::{Op, Told, What};
use super::nemesis::{Deeds, Fault, Kind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

const SECOND_US: u64 = 1_000_000;
/// The picture's measures, in its own units.
const WIDTH: u64 = 1_000;
const LEFT: u64 = 60;
const PANEL: u64 = 170;
const TOP: u64 = 40;
const SECOND_TOP: u64 = TOP + PANEL + 40;
const ROW: u64 = 14;

/// How often each interesting thing happened.
pub type Counts = BTreeMap<String, u64>;

/// Counts what happened; a run that never met one of these has shown less than it should.
pub fn counts(ops: &[Op], deeds: &Deeds) -> Counts {
    let mut counts: Counts = Kind::ALL.iter().map(|kind| (format!("fault {}", kind.as_str()), 0)).collect();
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
            "kind": fault.kind.as_str(), "bank": fault.bank, "other": fault.other, "late_ms": fault.late_ms,
            "from_us": fault.began_us.saturating_sub(begin), "to_us": fault.ended_us.saturating_sub(begin),
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

/// The picture, as SVG.
pub fn picture(seed: u64, ops: &[Op], deeds: &Deeds, valid: bool) -> String {
    let begin = ops.first().map_or(0, |op| op.began_us);
    let seconds = seconds(ops);
    let end_us = u64::try_from(seconds.len().max(1)).unwrap() * SECOND_US;
    let x = |us: u64| LEFT + us.min(end_us) * WIDTH / end_us;
    let kinds: Vec<Kind> =
        Kind::ALL.into_iter().filter(|kind| deeds.faults.iter().any(|fault| fault.kind == *kind)).collect();
    let rows_top = SECOND_TOP + PANEL + 30;
    let height = rows_top + u64::try_from(kinds.len()).unwrap() * ROW + 20;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        LEFT + WIDTH + 20
    );
    let verdict = if valid { "all that must hold held" } else { "VIOLATIONS: see the result" };
    text(&mut svg, LEFT, 16, &format!("Bank test, seed {seed}: {} s, {verdict}", seconds.len()), "black");
    for fault in &deeds.faults {
        let (from, to) = (x(fault.began_us.saturating_sub(begin)), x(fault.ended_us.saturating_sub(begin)));
        let row = kinds.iter().position(|kind| *kind == fault.kind).unwrap_or(0);
        let y = rows_top + u64::try_from(row).unwrap() * ROW;
        let (wide, colour) = ((to - from).max(1), colour(row));
        for (y, tall, opacity) in [(TOP, SECOND_TOP + PANEL - TOP, "0.10"), (y, ROW - 3, "0.9")] {
            let _ = writeln!(
                svg,
                "<rect x=\"{from}\" y=\"{y}\" width=\"{wide}\" height=\"{tall}\" fill=\"{colour}\" \
                 opacity=\"{opacity}\"><title>{} of bank {}</title></rect>",
                fault.kind.as_str(),
                fault.bank
            );
        }
    }
    for (row, kind) in kinds.iter().enumerate() {
        let y = rows_top + u64::try_from(row).unwrap() * ROW + 9;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\" font-size=\"9\">{}</text>",
            LEFT - 4,
            kind.as_str()
        );
    }
    let most = |s: &Second| s.committed.max(s.aborted).max(s.read).max(s.nothing);
    let most = seconds.iter().map(most).max().unwrap_or(1).max(1);
    let linear = |value: u64| TOP + PANEL - value * PANEL / most;
    type Of = fn(&Second) -> u64;
    let middle = |at: usize| x(u64::try_from(at).unwrap() * SECOND_US + SECOND_US / 2);
    let mut line = |colour: &str, of: Of, y: &dyn Fn(u64) -> u64| {
        let points: Vec<String> = seconds
            .iter()
            .enumerate()
            .map(|(at, second)| format!("{},{}", middle(at), y(of(second))))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\"/>",
            points.join(" ")
        );
    };
    let counts: [(&str, &str, Of); 4] = [
        ("committed a second", "#1a7f37", |s| s.committed),
        ("aborted", "#cf222e", |s| s.aborted),
        ("read", "#0969da", |s| s.read),
        ("without an answer", "#6e7781", |s| s.nothing),
    ];
    for (_, colour, of) in counts {
        line(colour, of, &linear);
    }
    let logarithmic = |us: u64| SECOND_TOP + PANEL - (logarithm(us).clamp(100, 400) - 100) * PANEL / 300;
    let latencies: [(&str, &str, Of); 2] =
        [("p50", "#0969da", |s| s.percentile(50)), ("p99", "#cf222e", |s| s.percentile(99))];
    for (_, colour, of) in latencies {
        line(colour, of, &logarithmic);
    }
    for (at, (name, colour, _)) in counts.iter().enumerate() {
        text(&mut svg, LEFT + 130 * u64::try_from(at).unwrap(), TOP - 6, name, colour);
    }
    for (at, (name, colour, _)) in latencies.iter().enumerate() {
        let x = LEFT + 130 * u64::try_from(at).unwrap();
        text(&mut svg, x, SECOND_TOP - 6, &format!("latency {name}"), colour);
    }
    text(&mut svg, 8, linear(most) + 4, &most.to_string(), "black");
    text(&mut svg, 8, linear(0), "0", "black");
    for (us, name) in [(1_000, "1 ms"), (10_000, "10 ms"), (100_000, "100 ms"), (1_000_000, "1 s")] {
        let y = logarithmic(us);
        text(&mut svg, 8, y + 4, name, "black");
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\" stroke=\"#d0d7de\"/>",
            LEFT + WIDTH
        );
    }
    text(&mut svg, LEFT, SECOND_TOP + PANEL + 14, "0 s", "black");
    text(&mut svg, LEFT + WIDTH - 20, SECOND_TOP + PANEL + 14, &format!("{} s", seconds.len()), "black");
    svg.push_str("</svg>\n");
    svg
}

fn text(svg: &mut String, x: u64, y: u64, words: &str, colour: &str) {
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{words}</text>");
}

fn colour(row: usize) -> &'static str {
    const COLOURS: [&str; 6] = ["#cf222e", "#bc4c00", "#9a6700", "#1a7f37", "#0969da", "#8250df"];
    COLOURS[row % COLOURS.len()]
}

/// 16 times the logarithm to the base 2, straight between powers: smooth enough for a picture, and without floats.
/// 64 µs are 96, about 33 s are 400.
fn logarithm(value: u64) -> u64 {
    let value = value.max(1);
    let whole = u64::from(value.ilog2());
    16 * whole + (value << 4 >> whole) - 16
}
