//! The section of docs/BENCHMARKS.md: each curve with its picture and its figures.

use super::GrowthPoint;
use super::curves::GrowthCurve;
use super::draw::grouped;
use super::figures::{CurveFigures, GrowthFigures};
use crate::meter::as_f64;
use anyhow::{Result, ensure};
use std::fmt::Write;

/// The lines between which the section is; what is between them is written anew.
const MARKS: (&str, &str) = ("<!-- growth: begin -->", "<!-- growth: end -->");

/// The text of the section, between its marks.
pub fn section(figures: &GrowthFigures) -> String {
    let mut text = String::from(
        "\n## Growth, overload, and slow disks\n\n\
         `scripts/growth.sh` measures each of these curves at banks of its own, and writes its \
         picture, its\ntable, and all figures ([growth.json](growth.json)). `--quick` takes three \
         minutes, `--rows NAME` a\nsingle curve, `--rounds N` medians. CPU is the processor time \
         of a transfer, of all processes\ntogether and of the banks alone.\n",
    );
    for (curve, measured) in figures.drawn() {
        part(&mut text, curve, measured);
    }
    text
}

fn part(text: &mut String, curve: &GrowthCurve, measured: &CurveFigures) {
    let short = if measured.is_quick { ", `--quick`" } else { "" };
    let _infallible = write!(
        text,
        "\n### {}\n\n{}\n\n![{}: {}](images/{})\n\nMeasured on {}, revision {}, by\n\
         `scripts/growth.sh --rows {}`{short}.\n\n",
        curve.title,
        curve.about,
        curve.title,
        curve.axis,
        curve.image(),
        measured.machine,
        measured.build,
        curve.name,
    );
    let used: Vec<_> = curve
        .measures
        .iter()
        .filter(|measure| measured.points.iter().any(|at| at.values.contains_key(measure.key)))
        .collect();
    let headings: Vec<_> = used.iter().map(|measure| measure.heading).collect();
    let _infallible = writeln!(text, "| {} | {} |", curve.axis, headings.join(" | "));
    let _infallible = writeln!(text, "| --- {}|", "| --- ".repeat(used.len()));
    for point in shown(&measured.points) {
        let cells: Vec<String> = used
            .iter()
            .map(|measure| {
                let value = point.values.get(measure.key);
                value.map_or(String::new(), |value| grouped(*value, measure.decimals))
            })
            .collect();
        let _infallible =
            writeln!(text, "| {} | {} |", grouped(as_f64(point.x), 0), cells.join(" | "));
    }
}

/// The points of a table: all of them, or about a dozen of many.
fn shown(points: &[GrowthPoint]) -> impl Iterator<Item = &GrowthPoint> {
    let step = points.len().div_ceil(12).max(1);
    points.iter().enumerate().filter(move |(at, _)| (at + 1).is_multiple_of(step)).map(|(_, p)| p)
}

/// The page with this section between its marks; at its end if it has none.
///
/// # Errors
/// If it has one mark without the other.
pub fn with_section(page: &str, section: &str) -> Result<String> {
    let (begin, end) = MARKS;
    let section = format!("{begin}\n{section}\n{end}");
    match (page.split_once(begin), page.split_once(end)) {
        (None, None) if page.is_empty() => Ok(section + "\n"),
        (None, None) => Ok(format!("{}\n\n{section}\n", page.trim_end())),
        (Some((before, _)), Some((_, after))) => {
            ensure!(before.len() + after.len() < page.len(), "{end} stands before {begin}");
            Ok(format!("{before}{section}{after}"))
        }
        (Some(_), None) => anyhow::bail!("the page has {begin} without {end}"),
        (None, Some(_)) => anyhow::bail!("the page has {end} without {begin}"),
    }
}
