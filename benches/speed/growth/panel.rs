//! One panel of a picture: rules, labels, and lines.

use super::GrowthPoint;
use super::curves::{AxisScale, GrowthCurve, GrowthPanel};
use super::draw::{LINES, along, count, grouped, label};
use std::fmt::Write;

/// The plot within a panel: left, top, width and height.
const PLOT: (f64, f64, f64, f64) = (56.0, 46.0, 308.0, 132.0);

/// Labels of the axis are at least this far apart.
const LABELS_APART: f64 = 34.0;

/// More points than this get no dots.
const DOTTED: usize = 20;

/// The scale of an axis: its marks, the least first.
#[derive(Debug, Clone)]
pub(super) struct Ruler {
    pub(super) marks: Vec<f64>,
    is_logarithmic: bool,
}

impl Ruler {
    /// From 0 to the least round number that is not below any of the values.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Ruler {
        let most = values.fold(0.0, f64::max);
        let most = if most > 0.0 { most } else { 1.0 };
        let unit = 10f64.powf(most.log10().floor());
        let steps = [0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0].map(|step| step * unit);
        let step = steps.into_iter().find(|step| most / step <= 4.5).unwrap_or(unit * 5.0);
        let marks = (0u32..).map(|at| f64::from(at) * step);
        let mut taken = Vec::new();
        for mark in marks {
            taken.push(mark);
            if mark >= most * 0.999_999 {
                break;
            }
        }
        Ruler { marks: taken, is_logarithmic: false }
    }

    /// Powers of ten around the values; with 2 and 5 of each if they are few.
    pub(super) fn logarithmic(values: impl Iterator<Item = f64>) -> Ruler {
        let values: Vec<f64> = values.filter(|value| *value > 0.0).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        if values.is_empty() {
            return Ruler { marks: vec![1.0, 10.0], is_logarithmic: true };
        }
        let (low, high) = (least.log10().floor(), (most * 1.000_001).log10().ceil());
        let parts: &[f64] = if high - low <= 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut marks: Vec<f64> = Vec::new();
        let mut power = low;
        while power <= high {
            marks.extend(parts.iter().map(|part| part * 10f64.powf(power)));
            power += 1.0;
        }
        // Only what is needed around the values, and a whole power at least.
        let mut first = marks.iter().rposition(|mark| *mark <= least).unwrap_or(0);
        let last = marks.iter().position(|mark| *mark >= most).unwrap_or(marks.len() - 1);
        while first > 0 && marks[last] / marks[first] < 9.9 {
            first -= 1;
        }
        let last = (first..marks.len()).find(|at| *at >= last && marks[*at] / marks[first] >= 9.9);
        let last = last.unwrap_or(marks.len() - 1);
        Ruler { marks: marks[first..=last].to_vec(), is_logarithmic: true }
    }

    /// Where a value is, from 0 to 1.
    pub(super) fn part(&self, value: f64) -> f64 {
        let (Some(low), Some(high)) = (self.marks.first(), self.marks.last()) else { return 0.0 };
        let place = |value: f64| if self.is_logarithmic { value.log10() } else { value };
        ((place(value.max(*low)) - place(*low)) / (place(*high) - place(*low))).clamp(0.0, 1.0)
    }
}

/// Draws a panel with its upper left corner at `corner`.
pub(super) fn draw_panel(
    svg: &mut String,
    curve: &GrowthCurve,
    panel: &GrowthPanel,
    corner: (f64, f64),
    points: &[GrowthPoint],
) {
    let (left, top) = (corner.0 + PLOT.0, corner.1 + PLOT.1);
    let (right, bottom) = (left + PLOT.2, top + PLOT.3);
    let values =
        panel.keys.iter().flat_map(|key| points.iter().map(|point| point.values.get(*key)));
    let values = values.flatten().copied();
    let ruler = match panel.scale {
        AxisScale::Logarithmic => Ruler::logarithmic(values),
        AxisScale::Linear | AxisScale::Steps => Ruler::linear(values),
    };
    let y = |value: f64| bottom - PLOT.3 * ruler.part(value);
    text(svg, (left, corner.1 + 20.0), "start", "title", panel.title);
    for mark in &ruler.marks {
        let at = y(*mark);
        line(svg, (left, at), (right, at), "rule");
        text(svg, (left - 7.0, at + 4.0), "end", "quiet", &label(*mark, panel.scale));
    }
    line(svg, (left, bottom), (right, bottom), "axis");
    let (parts, marks) = along(curve.scale, points);
    let mut free_from = f64::NEG_INFINITY;
    for (part, words) in marks {
        let at = left + PLOT.2 * part;
        line(svg, (at, bottom), (at, bottom + 4.0), "axis");
        if at >= free_from {
            text(svg, (at, bottom + 17.0), "middle", "quiet", &words);
            free_from = at + LABELS_APART;
        }
    }
    text(svg, (left + PLOT.2 / 2.0, bottom + 34.0), "middle", "quiet", curve.axis);
    if panel.keys.len() > 1 {
        legend(svg, curve, panel, (left, corner.1 + 36.0));
    }
    for (key, class) in panel.keys.iter().zip(LINES) {
        let places = parts.iter().zip(points).map(|(part, point)| {
            let value = point.values.get(*key).copied();
            value.map(|value| (left + PLOT.2 * part, y(value), value))
        });
        curve_line(svg, class, &places.collect::<Vec<_>>());
    }
}

/// The name of a line.
fn name_of(curve: &GrowthCurve, key: &str) -> &'static str {
    curve.measures.iter().find(|measure| measure.key == key).map_or("", |measure| measure.name)
}

/// The names of all lines, each after a piece of its line.
fn legend(svg: &mut String, curve: &GrowthCurve, panel: &GrowthPanel, (x, y): (f64, f64)) {
    let mut x = x;
    for (key, class) in panel.keys.iter().zip(LINES) {
        let name = name_of(curve, key);
        let (from, to) = (x, x + 20.0);
        let at = y - 4.0;
        let _infallible =
            writeln!(svg, "<path d=\"M{from:.1} {at:.1}H{to:.1}\" class=\"{class}\"/>");
        text(svg, (to + 4.0, y), "start", "quiet", name);
        x = to + 12.0 + 6.3 * count(name.chars().count());
    }
}

/// A line through these places, broken where there is none, with a dot at each.
fn curve_line(svg: &mut String, class: &str, places: &[Option<(f64, f64, f64)>]) {
    let mut path = String::new();
    let mut is_open = false;
    for place in places {
        if let Some((x, y, _)) = place {
            let word = if is_open { 'L' } else { 'M' };
            let _infallible = write!(path, "{word}{x:.1} {y:.1}");
        }
        is_open = place.is_some();
    }
    let _infallible = writeln!(svg, "<path d=\"{path}\" class=\"{class}\"/>");
    if places.len() > DOTTED {
        return;
    }
    for (x, y, value) in places.iter().flatten() {
        let decimals = if *value < 100.0 { 2 } else { 0 };
        let _infallible = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" class=\"{class}\"><title>{}</title>\
             </circle>",
            grouped(*value, decimals)
        );
    }
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), class: &str) {
    let _infallible = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" class=\"{class}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, class: &str, words: &str) {
    let _infallible = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>",
        escaped(words)
    );
}

/// The text, escaped for XML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
