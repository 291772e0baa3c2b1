//! Curves of what grows: accounts, banks, segments, clients, time, offered load, and slow syncs.
//!
//! `curves` is the table of them, `arguments` the command line; `closed`, `open` and `segments`
//! measure points; `figures` keeps them as JSON; `draw` makes the pictures, and `page` the section
//! of docs/BENCHMARKS.md.

mod arguments;
mod closed;
mod curves;
mod draw;
mod figures;
mod open;
mod page;
mod panel;
mod probe;
mod segments;
mod slow_disk;
mod unsynced;

pub use arguments::GrowthArguments;
pub use curves::{CURVES, GrowthCurve};
pub use draw::svg;
pub use figures::{CurveFigures, GrowthFigures, GrowthPoint};
pub use page::{section, with_section};
pub use probe::{Probes, TimedProbe};

use crate::machine;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// What all points of a run have in common.
#[derive(Debug, Clone)]
pub struct GrowthRun {
    /// The folder of `servidor` and `cliente`.
    pub programs: PathBuf,
    /// Measured time of a point, in seconds.
    pub seconds: u32,
    /// Warm-up before it, in seconds.
    pub warmup: u32,
    /// How often a point is measured; its figures are medians.
    pub rounds: u32,
}

/// Measures the curves that the arguments name, and writes figures, pictures and page after each.
///
/// # Errors
/// If a curve can't be measured or nothing can be written. The other curves are measured anyway.
pub fn run(arguments: &GrowthArguments) -> Result<()> {
    let folder = arguments.out();
    let mut figures = GrowthFigures::read(&folder.join("growth.json"))?;
    let mut failed = Vec::new();
    if !arguments.redraw {
        let run = arguments.run()?;
        for (curve, points) in arguments.points()? {
            match (curve.measure)(&run, &points) {
                Ok(points) => {
                    let measured = CurveFigures {
                        machine: machine::name(),
                        build: arguments.build.clone(),
                        is_quick: arguments.quick,
                        points,
                    };
                    figures.curves.insert(curve.name.to_owned(), measured);
                    write(&folder, &figures)?;
                }
                Err(error) => {
                    eprintln!("growth: {}: {error:#}", curve.name);
                    failed.push(curve.name);
                }
            }
        }
    }
    write(&folder, &figures)?;
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    eprintln!("growth: written to {}", folder.display());
    Ok(())
}

/// Writes the figures, a picture of each curve, and the section of the page.
fn write(folder: &Path, figures: &GrowthFigures) -> Result<()> {
    let save = |path: PathBuf, text: String| {
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    };
    let (images, page) = (folder.join("images"), folder.join("BENCHMARKS.md"));
    std::fs::create_dir_all(&images).with_context(|| images.display().to_string())?;
    save(folder.join("growth.json"), figures.json())?;
    for (curve, measured) in figures.drawn() {
        save(images.join(curve.image()), svg(curve, &measured.points))?;
    }
    let before = if page.exists() { std::fs::read_to_string(&page)? } else { String::new() };
    save(page, with_section(&before, &section(figures))?)
}

/// Measures one point `rounds` times; each of its figures is the median of them.
fn median_of(rounds: u32, mut measure: impl FnMut() -> Result<GrowthPoint>) -> Result<GrowthPoint> {
    let mut all = Vec::new();
    for _ in 0..rounds.max(1) {
        all.push(measure()?);
    }
    Ok(GrowthPoint::median(&all))
}
