//! The picture of a curve: its panels side by side, light or dark as the reader prefers.

use super::GrowthPoint;
use super::curves::{AxisScale, GrowthCurve};
use super::panel::{Ruler, draw_panel, escaped};
use std::fmt::Write;

/// The size of a panel with its titles and labels, in pixels.
pub(super) const CELL: (f64, f64) = (380.0, 226.0);

/// The class of each line of a panel, in order; the style sheet has as many.
pub(super) const LINES: [&str; 4] = ["a", "b", "c", "d"];

/// Colours are written out twice and not as variables, which not all viewers know.
const STYLE: &str = "\
text{font:12px system-ui,'Segoe UI','DejaVu Sans',sans-serif;fill:#1f2933}\
.title{font-size:13px;font-weight:600}.quiet{fill:#5b6673}.paper{fill:#fff}\
.rule{stroke:#dfe3e6}.axis{stroke:#98a4b0}path{fill:none;stroke-width:2}\
.b{stroke-dasharray:7 3}.c{stroke-dasharray:2 3}.d{stroke-dasharray:9 3 2 3}\
path.a{stroke:#1d4ed8}path.b{stroke:#c2410c}path.c{stroke:#15803d}path.d{stroke:#7c3aed}\
circle.a{fill:#1d4ed8}circle.b{fill:#c2410c}circle.c{fill:#15803d}circle.d{fill:#7c3aed}\
@media (prefers-color-scheme:dark){text{fill:#e6ebef}.quiet{fill:#98a4b0}.paper{fill:#1a2225}\
.rule{stroke:#33404a}.axis{stroke:#5b6673}\
path.a{stroke:#7db0ff}path.b{stroke:#fb923c}path.c{stroke:#4ade80}path.d{stroke:#b794f6}\
circle.a{fill:#7db0ff}circle.b{fill:#fb923c}circle.c{fill:#4ade80}circle.d{fill:#b794f6}}";

/// The picture of these points. Equal points give equal bytes.
pub fn svg(curve: &GrowthCurve, points: &[GrowthPoint]) -> String {
    let columns = curve.panels.len().min(2);
    let rows = curve.panels.len().div_ceil(2);
    let (width, height) = (CELL.0 * count(columns), CELL.1 * count(rows));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n<title>{}</title>\n\
         <style>{STYLE}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" class=\"paper\"/>\n",
        escaped(&format!("{}: {}", curve.title, curve.axis))
    );
    for (at, panel) in curve.panels.iter().enumerate() {
        let corner = (CELL.0 * count(at % 2), CELL.1 * count(at / 2));
        draw_panel(&mut svg, curve, panel, corner, points);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where the points of a curve are along its axis, from 0 to 1, with a label for each mark.
pub(super) fn along(scale: AxisScale, points: &[GrowthPoint]) -> (Vec<f64>, Vec<(f64, String)>) {
    let xs: Vec<f64> = points.iter().map(|point| crate::meter::as_f64(point.x)).collect();
    if scale == AxisScale::Linear {
        let ruler = Ruler::linear(xs.iter().copied());
        let marks = ruler.marks.iter().map(|mark| (ruler.part(*mark), label(*mark, scale)));
        return (xs.iter().map(|x| ruler.part(*x)).collect(), marks.collect());
    }
    let place = |at: usize| match scale {
        AxisScale::Logarithmic => xs[at].max(1.0).log10(),
        AxisScale::Linear | AxisScale::Steps => count(at),
    };
    let last = xs.len().saturating_sub(1);
    let span = if xs.is_empty() { 0.0 } else { place(last) - place(0) };
    let part = |at: usize| {
        // The outer points keep a distance from the edges.
        if span > 0.0 { 0.06 + 0.88 * (place(at) - place(0)) / span } else { 0.5 }
    };
    let parts: Vec<f64> = (0..xs.len()).map(part).collect();
    let marks = parts.iter().zip(&xs).map(|(part, x)| (*part, label(*x, scale))).collect();
    (parts, marks)
}

/// A number as a label of an axis: `1,500`, `0.25`; where equal distances are ratios, `10⁶`.
pub(super) fn label(value: f64, scale: AxisScale) -> String {
    let is_ratio = scale == AxisScale::Logarithmic;
    if is_ratio && value >= 1e4 && (value.log10() - value.log10().round()).abs() < 1e-9 {
        let power = format!("{:.0}", value.log10());
        let raised = |digit: char| {
            let digit = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
            digit.and_then(|digit| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit)).unwrap_or('?')
        };
        return format!("10{}", power.chars().map(raised).collect::<String>());
    }
    let decimals = if value >= 10.0 || value.fract() == 0.0 { 0 } else { 2 };
    let text = grouped(value, decimals);
    if text.contains('.') { text.trim_end_matches('0').to_owned() } else { text }
}

/// A number with commas between thousands.
pub(super) fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let _infallible = write!(grouped, "{rest}");
    grouped
}

/// A count of what is drawn, which is small.
pub(super) fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(0.0, f64::from)
}
