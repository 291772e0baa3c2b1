//! Charts of a run as inline SVG: a plot that is stretched to the width of the page, and texts
//! beside it, which are not.

use super::super::language::word;
use super::history::RunHistory;
use consorcio_steps::trace::Outage;
use std::fmt::Write;
use std::time::Duration;

/// The plot's own units: its width, and its height.
const WIDTH: u64 = 10_000;
const HEIGHT: u64 = 1_000;

/// A line or area of a chart: its class, and a value for each slice; none where there is nothing.
pub(super) struct Series {
    pub class: &'static str,
    pub values: Vec<Option<u64>>,
    pub filled: bool,
}

/// A chart over the time of a run.
pub(super) struct Chart<'a> {
    pub history: &'a RunHistory,
    pub outages: &'a [Outage],
    pub series: Vec<Series>,
    /// Whether the axis of values counts in powers of ten.
    pub is_logarithmic: bool,
    /// The text of a value at the axis.
    pub label: fn(u64) -> String,
}

impl Chart<'_> {
    pub(super) fn html(&self) -> String {
        let marks = self.marks();
        let (low, high) = (marks.first().copied().unwrap_or(0), marks.last().copied().unwrap_or(1));
        let (low, high) = (self.scaled(low), self.scaled(high));
        let y = |value: u64| {
            let above = self.scaled(value).clamp(low, high) - low;
            HEIGHT - HEIGHT * above / (high - low).max(1)
        };
        let mut plot = String::new();
        self.bands(&mut plot);
        let mut labels = String::new();
        for mark in marks {
            let at = y(mark);
            let _ = write!(
                plot,
                "<line x1=\"0\" x2=\"{WIDTH}\" y1=\"{at}\" y2=\"{at}\" class=\"rule\"/>"
            );
            let percent = at * 100 / HEIGHT;
            let _ = write!(labels, "<span style=\"top:{percent}%\">{}</span>", (self.label)(mark));
        }
        for series in &self.series {
            self.line(&mut plot, series, &y);
        }
        let whole_ms = millis(self.history.slice) * self.slices();
        let times: String =
            (0..=4).map(|part| format!("<span>{}</span>", second(whole_ms * part / 4))).collect();
        format!(
            "<div class=\"chart\"><div class=\"axis\">{labels}</div>\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\">{plot}</svg>\
             <div class=\"times\">{times}</div></div>\n"
        )
    }

    fn slices(&self) -> u64 {
        u64::try_from(self.history.slices.len()).unwrap_or(1).max(1)
    }

    /// A value on the axis: itself, or 1,024 times its binary logarithm, which is interpolated
    /// between powers of two.
    fn scaled(&self, value: u64) -> u64 {
        if !self.is_logarithmic {
            return value;
        }
        let value = value.max(1);
        let whole = value.ilog2();
        let rest = (u128::from(value) << 10 >> whole) - 1_024;
        u64::from(whole) * 1_024 + u64::try_from(rest).unwrap_or(0)
    }

    /// The values that the axis names, the least first.
    fn marks(&self) -> Vec<u64> {
        let values = || self.series.iter().flat_map(|series| &series.values).flatten().copied();
        let most = values().max().unwrap_or(1).max(1);
        if !self.is_logarithmic {
            let unit = 10_u64.pow(most.ilog10());
            let steps = [10, 12, 14, 16, 20, 24, 30, 40, 50, 60, 80, 100];
            let tops = steps.map(|step| unit.saturating_mul(step) / 10);
            let top = tops.into_iter().find(|top| *top >= most).unwrap_or(most);
            return if top < 2 { vec![0, top] } else { vec![0, top / 2, top] };
        }
        let least = values().min().unwrap_or(1).max(1);
        let (low, high) = (least.ilog10(), most.ilog10() + 1);
        (low..=high).filter_map(|power| 10_u64.checked_pow(power)).collect()
    }

    /// The x of a time in microseconds since 1970.
    fn x(&self, at_us: i64) -> u64 {
        let (from, to) = self.history.span();
        let since = u128::try_from(at_us.clamp(from, to) - from).unwrap_or(0);
        let whole = u128::try_from(to - from).unwrap_or(1).max(1);
        u64::try_from(since * u128::from(WIDTH) / whole).unwrap_or(0)
    }

    fn bands(&self, plot: &mut String) {
        for outage in self.outages {
            let (from, to) = (self.x(outage.from_us), self.x(outage.to_us));
            let class = if outage.bank.is_some() { "band" } else { "band client" };
            let _ = write!(
                plot,
                "<rect x=\"{from}\" width=\"{}\" height=\"{HEIGHT}\" class=\"{class}\">\
                 <title>{}</title></rect>",
                to.saturating_sub(from).max(WIDTH / 500),
                name(outage)
            );
        }
    }

    /// Draws a series; where it has no value its line is broken.
    fn line(&self, plot: &mut String, series: &Series, y: &dyn Fn(u64) -> u64) {
        let mut path = String::new();
        let mut open = false;
        for (number, value) in (0..).zip(&series.values) {
            let (from, to) = (WIDTH * number / self.slices(), WIDTH * (number + 1) / self.slices());
            let Some(value) = value else {
                open = false;
                continue;
            };
            let at = y(*value);
            if series.filled {
                let _ = write!(path, "M{from} {HEIGHT}V{at}H{to}V{HEIGHT}z");
            } else {
                let _ = write!(path, "{}{from} {at}H{to}", if open { "L" } else { "M" });
                open = true;
            }
        }
        let _ = write!(plot, "<path d=\"{path}\" class=\"{}\"/>", series.class);
    }
}

/// The name of the node of an outage.
pub(super) fn name(outage: &Outage) -> String {
    match outage.bank {
        Some(bank) => format!("{} {bank}", word!("bank" / "banco")),
        None => escaped(&outage.node),
    }
}

/// A time of the run from its milliseconds: `7.5 s`.
pub(super) fn second(ms: u64) -> String {
    let tenths = ms / 100 % 10;
    if ms >= 100_000 || tenths == 0 {
        format!("{} s", ms / 1_000)
    } else {
        format!("{}.{tenths} s", ms / 1_000)
    }
}

/// A duration in whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The text, escaped for HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            char => escaped.push(char),
        }
    }
    escaped
}
