//! The measurements of `scripts/speed.sh`: the same work by two builds of the programs, in turn.
//!
//! For each row and round each build starts new banks, runs its own `cliente bench`, and stops
//! them. Both figures of a pair are measured within seconds of each other, so the ratio of a pair
//! is steadier than either figure on a machine that others use too.

#![expect(clippy::float_arithmetic, reason = "figures of a report, no money")]

mod report;
mod rows;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use consorcio_speed::banks::SpeedBanks;
use consorcio_speed::meter::{self, Measured};
use report::Report;
use rows::{ROWS, SpeedRow};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

/// Measures one build, or two in turn.
#[derive(Debug, Clone, Parser)]
struct SpeedArguments {
    /// A name and a folder with `servidor` and `cliente`: NAME=FOLDER; the second one is what the
    /// first is compared with.
    #[arg(long = "build", required = true, num_args = 1, value_name = "NAME=FOLDER")]
    builds: Vec<Build>,
    /// Rounds; each measures every row with every build.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Measured time of each run, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Warm-up before it, in seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=3600))]
    warmup: u32,
    /// Only these rows, separated by commas; without it those that take seconds.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Only the rows of the short run.
    #[arg(long, conflicts_with = "rows")]
    quick: bool,
    /// Writes all figures to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// A build of the programs.
#[derive(Debug, Clone)]
struct Build {
    name: String,
    folder: PathBuf,
}

impl FromStr for Build {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Build> {
        let (name, folder) = text.split_once('=').context("it is NAME=FOLDER")?;
        let folder = std::fs::canonicalize(folder).with_context(|| folder.to_owned())?;
        for program in ["servidor", "cliente"] {
            ensure!(folder.join(program).is_file(), "no {program} in {}", folder.display());
        }
        Ok(Build { name: name.to_owned(), folder })
    }
}

impl SpeedArguments {
    /// The rows to be measured, in the order of the table.
    fn rows(&self) -> Result<Vec<&'static SpeedRow>> {
        if let Some(unknown) = self.rows.iter().find(|name| ROWS.iter().all(|r| r.name != **name)) {
            let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
            bail!("no row is named {unknown}; there are {}", names.join(", "));
        }
        let wanted = |row: &&SpeedRow| {
            if self.rows.is_empty() {
                if self.quick { row.is_quick } else { !row.is_long }
            } else {
                self.rows.iter().any(|name| name == row.name)
            }
        };
        Ok(ROWS.iter().filter(wanted).collect())
    }
}

fn main() -> ExitCode {
    match measure(&SpeedArguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("speed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &SpeedArguments) -> Result<()> {
    ensure!(arguments.builds.len() <= 2, "one build or two are measured");
    let rows = arguments.rows()?;
    let mut report = Report::new(arguments.builds.iter().map(|build| build.name.as_str()));
    for round in 0..arguments.rounds {
        for row in &rows {
            for turn in 0..arguments.builds.len() {
                // Each build begins every other round.
                let at = (turn + usize::try_from(round)?) % arguments.builds.len();
                let build = &arguments.builds[at];
                let measured = measure_row(row, build, arguments)
                    .with_context(|| format!("{} with {}", row.name, build.name))?;
                eprintln!(
                    "round {} of {}, {}, {}: {} a second, p50 {} us",
                    round + 1,
                    arguments.rounds,
                    row.name,
                    build.name,
                    measured.per_s,
                    measured.p50_us
                );
                report.add(row.name, at, measured);
            }
        }
    }
    print!("{}", report.markdown(&rows));
    if let Some(file) = &arguments.json {
        std::fs::write(file, report.json()).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn measure_row(row: &SpeedRow, build: &Build, arguments: &SpeedArguments) -> Result<Measured> {
    let mut banks = SpeedBanks::start(&build.folder, row.banks)?;
    let mut measured =
        meter::run(&banks, row.bench, row.records(), arguments.seconds, arguments.warmup)?;
    if row.is_restarted {
        measured.restart_ms = Some(banks.restart()?);
    }
    Ok(measured)
}
