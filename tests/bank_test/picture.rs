//! The picture of a run, as SVG: throughput, latency, and the faults as bands over both.
//!
//! All coordinates are whole pixels of a picture that is 1,200 wide.

mod draw;

use super::history::{ClientOp, OpResult};
use super::load::CLIENTS_IN_ALL;
use super::nemesis::{FaultKind, InjectedFault, NemesisReport};
use super::report::counts;
use super::{ACCOUNTS, BANKS};
use draw::{grouped, heading, rect, rule, text, time_axis};
use std::fmt::Write;

const SECOND_US: u64 = 1_000_000;
const WIDTH: u64 = 1_200;
const LEFT: u64 = 120;
const RIGHT: u64 = WIDTH - 24;
const TOP: u64 = 118;
/// The height of each of the two panels.
const HEIGHT: u64 = 220;
/// The gap between panels, for a heading with its legend.
const GAP: u64 = 58;
const LOWER_TOP: u64 = TOP + HEIGHT + GAP;
const ROWS_TOP: u64 = LOWER_TOP + HEIGHT + GAP;
const ROW: u64 = 22;
/// The top of the latency axis, which spans five decades from 100 µs.
const SLOWEST_US: u64 = 10 * SECOND_US;

const GREEN: &str = "#1a7f37";
const RED: &str = "#cf222e";
const BLUE: &str = "#0969da";
const ORANGE: &str = "#bc4c00";
const PURPLE: &str = "#8250df";
const GREY: &str = "#59636e";
const RULE: &str = "#d1d9e0";

/// The operations that ended in one interval of the run.
#[derive(Debug, Default)]
struct Slice {
    committed: u64,
    aborted: u64,
    read: u64,
    unanswered: u64,
    /// The latencies of answered transactions and reads, sorted.
    transactions_us: Vec<u64>,
    reads_us: Vec<u64>,
}

/// The whole run, as slices of equal length.
struct Slices {
    begin_us: u64,
    slice_us: u64,
    slices: Vec<Slice>,
}

impl Slices {
    fn of(ops: &[ClientOp]) -> Slices {
        let begin_us = ops.first().map_or(0, |op| op.began_us);
        let last_us = ops.iter().map(|op| op.ended_us).max().unwrap_or(0).saturating_sub(begin_us);
        // Finer slices for a short run, and few enough for a long one that its lines stay distinct.
        let seconds = last_us.div_ceil(SECOND_US);
        let slice_us =
            if seconds < 60 { SECOND_US / 4 } else { step_for(seconds, 150) * SECOND_US };
        let count = usize::try_from(last_us / slice_us + 1).unwrap();
        let mut slices: Vec<Slice> = std::iter::repeat_with(Slice::default).take(count).collect();
        for op in ops {
            let at = usize::try_from(op.ended_us.saturating_sub(begin_us) / slice_us).unwrap();
            let slice = &mut slices[at];
            let took_us = op.ended_us - op.began_us;
            match &op.result {
                OpResult::Committed(_) | OpResult::Aborted(_) => {
                    slice.transactions_us.push(took_us)
                }
                OpResult::Value(_) | OpResult::Cut(_) => slice.reads_us.push(took_us),
                OpResult::Unknown { .. } | OpResult::NoReply => {}
            }
            *match &op.result {
                OpResult::Committed(_) => &mut slice.committed,
                OpResult::Aborted(_) => &mut slice.aborted,
                OpResult::Value(_) | OpResult::Cut(_) => &mut slice.read,
                OpResult::Unknown { .. } | OpResult::NoReply => &mut slice.unanswered,
            } += 1;
        }
        for slice in &mut slices {
            slice.transactions_us.sort_unstable();
            slice.reads_us.sort_unstable();
        }
        Slices { begin_us, slice_us, slices }
    }

    fn length_us(&self) -> u64 {
        u64::try_from(self.slices.len().max(1)).unwrap() * self.slice_us
    }

    /// The x coordinate of a time since the run's first operation.
    fn x(&self, us: u64) -> u64 {
        LEFT + us.min(self.length_us()) * (RIGHT - LEFT) / self.length_us()
    }

    fn a_second(&self, count: u64) -> u64 {
        count * SECOND_US / self.slice_us
    }

    /// Draws a line through the values that `of` returns for each slice, with gaps for none.
    fn line(
        &self,
        svg: &mut String,
        colour: &str,
        dashed: bool,
        of: impl Fn(&Slice) -> Option<u64>,
    ) {
        let mut runs: Vec<Vec<String>> = vec![Vec::new()];
        for (at, slice) in self.slices.iter().enumerate() {
            let middle = u64::try_from(at).unwrap() * self.slice_us + self.slice_us / 2;
            match of(slice) {
                Some(y) => {
                    let run = runs.last_mut().expect("it begins with one run");
                    run.push(format!("{},{y}", self.x(middle)));
                }
                None => runs.push(Vec::new()),
            }
        }
        let dash = if dashed { " stroke-dasharray=\"5 3\"" } else { "" };
        for run in runs.iter().filter(|run| !run.is_empty()) {
            // A single point becomes a dot: a line of length zero with round ends.
            let points = if run.len() == 1 { format!("{0} {0}", run[0]) } else { run.join(" ") };
            let _ = writeln!(
                svg,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" \
                 stroke-width=\"1.6\" \
                 stroke-linecap=\"round\" stroke-linejoin=\"round\"{dash}/>"
            );
        }
    }
}

pub fn picture(seed: u64, ops: &[ClientOp], nemesis: &NemesisReport, valid: bool) -> String {
    let slices = Slices::of(ops);
    let kinds: Vec<FaultKind> = FaultKind::ALL
        .into_iter()
        .filter(|kind| nemesis.faults.iter().any(|fault| fault.kind == *kind))
        .collect();
    let rows_end = ROWS_TOP + u64::try_from(kinds.len()).unwrap() * ROW;
    let height = rows_end + 62;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" \
         font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    title(&mut svg, seed, ops, nemesis, valid);
    bands(&mut svg, &slices, nemesis, &kinds);
    throughput(&mut svg, &slices);
    latency(&mut svg, &slices);
    let families =
        [("processes", RED), ("disks", ORANGE), ("partitions", PURPLE), ("connections", BLUE)];
    let families = families.map(|(name, colour)| (name, colour, false));
    heading(&mut svg, ROWS_TOP, "Faults, with the number of the bank", &families);
    time_axis(&mut svg, &slices, rows_end);
    svg.push_str("</svg>\n");
    svg
}

fn title(svg: &mut String, seed: u64, ops: &[ClientOp], nemesis: &NemesisReport, valid: bool) {
    let counts = counts(ops, nemesis);
    let number = |name: &str| grouped(counts.get(name).copied().unwrap_or(0));
    let (verdict, colour) =
        if valid { ("no violation", GREEN) } else { ("VIOLATIONS: see result.json", RED) };
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"36\" font-size=\"22\" font-weight=\"bold\">Bank test, seed {seed}: \
         <tspan fill=\"{colour}\">{verdict}</tspan></text>"
    );
    let summary = format!(
        "{BANKS} banks, {ACCOUNTS} accounts, {CLIENTS_IN_ALL} clients: {} transfers and {} \
         register sets committed; {} cuts \
         and {} registers read; {} faults",
        number("transfers committed"),
        number("sets committed"),
        number("cuts read"),
        number("registers read"),
        nemesis.faults.len()
    );
    text(svg, (LEFT, 60), "start", GREY, &summary);
}

/// Draws each fault as a bar in the row of its kind, with the number of its bank, and as a shade
/// over both panels.
fn bands(svg: &mut String, slices: &Slices, nemesis: &NemesisReport, kinds: &[FaultKind]) {
    for (at, kind) in kinds.iter().enumerate() {
        let y = row_y(at);
        if at % 2 == 0 {
            rect(svg, (LEFT, y), (RIGHT - LEFT, ROW), "#f6f8fa", "1", "");
        }
        text(svg, (LEFT - 10, y + 15), "end", "black", kind.as_str());
    }
    for fault in &nemesis.faults {
        let from = slices.x(fault.began_us.saturating_sub(slices.begin_us));
        let to = slices.x(fault.ended_us.saturating_sub(slices.begin_us));
        let wide = (to - from).max(2);
        for top in [TOP, LOWER_TOP] {
            rect(svg, (from, top), (wide, HEIGHT), "#8c959f", "0.16", "");
        }
        let at = kinds.iter().position(|kind| *kind == fault.kind).unwrap_or(0);
        rect(
            svg,
            (from, row_y(at) + 3),
            (wide, ROW - 6),
            colour_of(fault.kind),
            "1",
            &tooltip(fault),
        );
        if wide >= 10 && fault.kind != FaultKind::KillAll {
            let y = row_y(at) + 15;
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{y}\" font-size=\"11\" text-anchor=\"middle\" \
                 fill=\"white\">{}</text>",
                from + wide / 2,
                fault.bank
            );
        }
    }
}

/// The text that a browser shows while the pointer rests on a fault.
fn tooltip(fault: &InjectedFault) -> String {
    let (kind, ms) = (fault.kind.as_str(), (fault.ended_us - fault.began_us) / 1_000);
    match fault.kind {
        FaultKind::KillAll => format!("{kind}, {ms} ms"),
        FaultKind::Slow => {
            format!("{kind}, bank {}, up to {} ms late, {ms} ms", fault.bank, fault.late_ms)
        }
        FaultKind::Kill
        | FaultKind::Tear
        | FaultKind::Cut
        | FaultKind::Flip
        | FaultKind::Pause
        | FaultKind::Split
        | FaultKind::Isolate
        | FaultKind::OneWay
        | FaultKind::ClientsCut
        | FaultKind::HalfOpen
        | FaultKind::Reset
        | FaultKind::DiskFull => format!("{kind}, bank {}, {ms} ms", fault.bank),
    }
}

fn row_y(row: usize) -> u64 {
    ROWS_TOP + u64::try_from(row).unwrap() * ROW
}

/// The colour of a fault's family: processes, disks, partitions, connections.
fn colour_of(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Kill | FaultKind::KillAll | FaultKind::Pause => RED,
        FaultKind::Tear | FaultKind::Cut | FaultKind::Flip | FaultKind::DiskFull => ORANGE,
        FaultKind::Split | FaultKind::Isolate | FaultKind::OneWay | FaultKind::ClientsCut => PURPLE,
        FaultKind::Slow | FaultKind::HalfOpen | FaultKind::Reset => BLUE,
    }
}

fn throughput(svg: &mut String, slices: &Slices) {
    let most =
        |slice: &Slice| slice.committed.max(slice.aborted).max(slice.read).max(slice.unanswered);
    let most = slices.a_second(slices.slices.iter().map(most).max().unwrap_or(0)).max(1);
    let step = step_for(most, 5);
    let top = most.next_multiple_of(step);
    let y = |value: u64| TOP + HEIGHT - value * HEIGHT / top;
    for value in (0..=top).step_by(usize::try_from(step).unwrap()) {
        rule(svg, y(value), &grouped(value));
    }
    type Of = fn(&Slice) -> u64;
    let lines: [(&str, &str, Of); 4] = [
        ("reads answered", BLUE, |slice| slice.read),
        ("transactions committed", GREEN, |slice| slice.committed),
        ("aborted", ORANGE, |slice| slice.aborted),
        ("without an answer", RED, |slice| slice.unanswered),
    ];
    for (_, colour, of) in lines {
        slices.line(svg, colour, false, |slice| Some(y(slices.a_second(of(slice)))));
    }
    heading(
        svg,
        TOP,
        "Throughput, operations a second",
        &lines.map(|(name, colour, _)| (name, colour, false)),
    );
}

fn latency(svg: &mut String, slices: &Slices) {
    for (us, name) in [
        (100, "100 µs"),
        (1_000, "1 ms"),
        (10_000, "10 ms"),
        (100_000, "100 ms"),
        (SECOND_US, "1 s"),
    ] {
        rule(svg, latency_y(us), name);
    }
    rule(svg, latency_y(SLOWEST_US), "10 s");
    type Of = fn(&Slice) -> &Vec<u64>;
    let transactions: Of = |slice| &slice.transactions_us;
    let reads: Of = |slice| &slice.reads_us;
    let lines = [
        ("transactions p50", GREEN, false, transactions, 50),
        ("transactions p99", GREEN, true, transactions, 99),
        ("reads p50", BLUE, false, reads, 50),
        ("reads p99", BLUE, true, reads, 99),
    ];
    for (_, colour, dashed, of, percent) in lines {
        slices.line(svg, colour, dashed, |slice| percentile(of(slice), percent).map(latency_y));
    }
    let legend = lines.map(|(name, colour, dashed, ..)| (name, colour, dashed));
    heading(svg, LOWER_TOP, "Latency of answered operations", &legend);
}

fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied()
}

fn latency_y(us: u64) -> u64 {
    let (from, to) = (logarithm(100), logarithm(SLOWEST_US));
    LOWER_TOP + HEIGHT - (logarithm(us).clamp(from, to) - from) * HEIGHT / (to - from)
}

/// 1,000 times the logarithm to the base 2, linear between powers of 2, without floats.
fn logarithm(value: u64) -> u64 {
    let value = value.max(1);
    let whole = u64::from(value.ilog2());
    1_000 * whole + ((value * 1_000) >> whole) - 1_000
}

/// The smallest of 1, 2, 5, 10, 20, 50, … that divides `most` into at most `steps` steps.
fn step_for(most: u64, steps: u64) -> u64 {
    let mut unit = 1;
    loop {
        if let Some(step) =
            [1, 2, 5].into_iter().map(|times| times * unit).find(|step| most <= steps * step)
        {
            return step;
        }
        unit *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::OpKind;
    use super::*;

    #[test]
    fn axes_have_few_round_steps() {
        assert_eq!([1, 5, 6, 90, 501, 612].map(|most| step_for(most, 5)), [1, 1, 2, 20, 200, 200]);
        assert_eq!(
            [0, 7, 1_000, 1_234_567].map(grouped),
            ["0", "7", "1,000", "1,234,567"].map(str::to_owned)
        );
    }

    #[test]
    fn higher_latencies_are_drawn_higher() {
        assert_eq!((latency_y(1), latency_y(100)), (LOWER_TOP + HEIGHT, LOWER_TOP + HEIGHT));
        assert_eq!(latency_y(60 * SECOND_US), LOWER_TOP);
        assert!((1..10_000).all(|at| latency_y(at * 1_000) >= latency_y((at + 1) * 1_000)));
    }

    #[test]
    fn an_empty_run_is_drawn() {
        let op = ClientOp {
            kind: OpKind::Get { key: "r".into() },
            began_us: 5,
            ended_us: 6,
            verdict_us: None,
            result: OpResult::NoReply,
        };
        for ops in [&[][..], &[op]] {
            let svg = picture(1, ops, &NemesisReport::default(), true);
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        }
    }
}
