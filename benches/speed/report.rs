//! The report: medians of each build, and the ratios of the pairs.

use crate::rows::SpeedRow;
use consorcio_speed::machine;
use consorcio_speed::meter::Measured;
use std::collections::BTreeMap;
use std::fmt::Write;

/// All runs, by row and by build.
pub struct Report {
    builds: Vec<String>,
    runs: BTreeMap<&'static str, Vec<Vec<Measured>>>,
}

impl Report {
    /// An empty report about these builds.
    pub fn new<'a>(builds: impl Iterator<Item = &'a str>) -> Report {
        Report { builds: builds.map(str::to_owned).collect(), runs: BTreeMap::new() }
    }

    /// Adds a run of the build at this position.
    pub fn add(&mut self, row: &'static str, build: usize, measured: Measured) {
        let builds = self.builds.len();
        self.runs.entry(row).or_insert_with(|| vec![Vec::new(); builds])[build].push(measured);
    }

    /// All runs as JSON: for each row, for each build, its runs in order.
    pub fn json(&self) -> String {
        let document = serde_json::json!({ "builds": self.builds, "rows": self.runs });
        format!("{document:#}\n")
    }

    /// The report as Markdown.
    pub fn markdown(&self, rows: &[&'static SpeedRow]) -> String {
        let mut out = format!("machine: {}, load now {}\n", machine::name(), machine::load());
        out += "\n| work | build | a second | ratio of pairs (least–most) | p50 · p99 · max, ms | \
                CPU, µs: client user + kernel · banks user + kernel · sum | ratio | syncs · sleeps \
                · contacts | memory · peak, MiB | restart, ms |\n";
        out += "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
        for row in rows {
            let Some(builds) = self.runs.get(row.name) else { continue };
            for (at, runs) in builds.iter().enumerate() {
                self.line(&mut out, row, at, runs, builds.get(1));
            }
        }
        out
    }

    fn line(
        &self,
        out: &mut String,
        row: &SpeedRow,
        at: usize,
        runs: &[Measured],
        other: Option<&Vec<Measured>>,
    ) {
        let of = |figure: fn(&Measured) -> f64| median(runs.iter().map(figure).collect());
        let ms = |figure: fn(&Measured) -> u64| {
            let us = median(runs.iter().map(|run| float(figure(run))).collect());
            format!("{:.2}", us / 1000.0)
        };
        let other = other.filter(|_| at == 0).map_or(&[][..], Vec::as_slice);
        let ratio = |figure: fn(&Measured) -> f64| ratios(runs, other, figure);
        let what = if at == 0 { row.what } else { "" };
        let restart = runs.iter().filter_map(|run| run.restart_ms).map(float).collect::<Vec<_>>();
        let restart =
            if restart.is_empty() { String::new() } else { format!("{:.0}", median(restart)) };
        let _infallible = writeln!(
            out,
            "| {what} | {} | {:.0} | {} | {} · {} · {} | {:.1} + {:.1} · {:.1} + {:.1} · {:.1} | \
             {} | {:.3} · {:.2} · {:.2} | {:.0} · {:.0} | {restart} |",
            self.builds[at],
            of(|run| float(run.per_s)),
            ratio(|run| float(run.per_s)),
            ms(|run| run.p50_us),
            ms(|run| run.p99_us),
            ms(|run| run.max_us),
            of(|run| run.client_user_us),
            of(|run| run.client_kernel_us),
            of(|run| run.banks_user_us),
            of(|run| run.banks_kernel_us),
            of(Measured::cpu_us),
            ratio(Measured::cpu_us),
            of(|run| run.syncs),
            of(|run| run.sleeps),
            of(|run| run.contacts),
            of(|run| float(run.memory_mib)),
            of(|run| float(run.memory_peak_mib)),
        );
    }
}

/// The ratio of each pair: the median, the least and the most.
fn ratios(runs: &[Measured], other: &[Measured], figure: fn(&Measured) -> f64) -> String {
    let pairs: Vec<f64> =
        runs.iter().zip(other).map(|(one, other)| figure(one) / figure(other)).collect();
    if pairs.is_empty() {
        return String::new();
    }
    let least = pairs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = pairs.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({least:.2}–{most:.2})", median(pairs))
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get((all.len().max(1) - 1) / 2).copied().unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "figures of a report")]
fn float(number: u64) -> f64 {
    number as f64
}
