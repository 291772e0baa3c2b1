//! The command line of the curves.

use super::GrowthRun;
use super::curves::{CURVES, GrowthCurve};
use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use std::path::PathBuf;

/// Measures how throughput, latency and cost change with what grows.
#[derive(Debug, Clone, Parser)]
#[command(name = "growth")]
pub struct GrowthArguments {
    /// The folder of `servidor` and `cliente`.
    #[arg(long, default_value = "target/release")]
    pub programs: PathBuf,
    /// The name of what is measured, for the figures.
    #[arg(long, default_value = "this build")]
    pub build: String,
    /// Only these curves, separated by commas; all of them without it.
    #[arg(long, value_delimiter = ',')]
    pub rows: Vec<String>,
    /// Only these points, separated by commas; for one curve.
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["quick", "all"])]
    pub points: Vec<u64>,
    /// Few points and short times; unless --out is given, nothing in docs is written.
    #[arg(long)]
    pub quick: bool,
    /// Also the points that take minutes and gigabytes.
    #[arg(long, conflicts_with = "quick")]
    pub all: bool,
    /// Measured time of each point, in seconds.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: Option<u32>,
    /// Warm-up before it, in seconds.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub warmup: Option<u32>,
    /// How often each point is measured; the figures are medians.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    /// The length of the curve over time.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=720))]
    pub minutes: Option<u32>,
    /// The folder of growth.json, the pictures and the page.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Measures nothing: draws pictures and page again from growth.json.
    #[arg(long, conflicts_with_all = ["quick", "all", "rows", "points", "seconds", "minutes"])]
    pub redraw: bool,
}

impl GrowthArguments {
    /// The folder that is written to.
    pub fn out(&self) -> PathBuf {
        let default = if self.quick { "target/growth" } else { "docs" };
        self.out.clone().unwrap_or_else(|| default.into())
    }

    /// What all points have in common.
    pub(super) fn run(&self) -> Result<GrowthRun> {
        let folder = &self.programs;
        let programs =
            std::fs::canonicalize(folder).with_context(|| folder.display().to_string())?;
        for program in ["servidor", "cliente"] {
            ensure!(programs.join(program).is_file(), "no {program} in {}", programs.display());
        }
        let (seconds, warmup) = if self.quick { (2, 1) } else { (5, 2) };
        Ok(GrowthRun {
            programs,
            seconds: self.seconds.unwrap_or(seconds),
            warmup: self.warmup.unwrap_or(warmup),
            rounds: self.rounds,
        })
    }

    /// The curves to be measured, in the order of the table, each with its points.
    ///
    /// # Errors
    /// If there is no such curve, or points are given for several or can't be measured.
    pub fn points(&self) -> Result<Vec<(&'static GrowthCurve, Vec<u64>)>> {
        let known = |name: &String| CURVES.iter().any(|curve| curve.name == name);
        if let Some(unknown) = self.rows.iter().find(|name| !known(name)) {
            let names: Vec<_> = CURVES.iter().map(|curve| curve.name).collect();
            bail!("no curve is named {unknown}; there are {}", names.join(", "));
        }
        let wanted = |curve: &&GrowthCurve| {
            self.rows.is_empty() || self.rows.iter().any(|name| name == curve.name)
        };
        let curves: Vec<&GrowthCurve> = CURVES.iter().filter(wanted).collect();
        if !self.points.is_empty() {
            let [curve] = curves[..] else { bail!("--points needs one curve: --rows NAME") };
            let (least, most) = curve.range;
            if let Some(wrong) = self.points.iter().find(|x| !(least..=most).contains(*x)) {
                bail!("{}: {wrong} is not from {least} to {most}", curve.name);
            }
            let mut points = self.points.clone();
            points.sort_unstable();
            points.dedup();
            return Ok(vec![(curve, points)]);
        }
        let points = |curve: &'static GrowthCurve| match (curve.name, self.minutes) {
            ("time", Some(minutes)) => vec![u64::from(minutes) * 60],
            _ if self.quick => curve.quick.to_vec(),
            _ if self.all => [curve.points, curve.long].concat(),
            _ => curve.points.to_vec(),
        };
        Ok(curves.into_iter().map(|curve| (curve, points(curve))).collect())
    }
}
