//! Closed loops: accounts, banks, clients, and time.

use super::{GrowthPoint, GrowthRun, median_of};
use crate::banks::SpeedBanks;
use crate::meter::{self, Measured, Observed, as_f64};
use anyhow::{Context, Result};

/// Banks of a usual consortium.
pub(super) const BANKS: u16 = 3;

/// Fewer accounts than this can't be told apart from the other memory of a bank.
const ACCOUNTS_WITH_MEMORY: u64 = 100_000;

/// 64 clients with 16 transfers under way each.
pub(super) const PIPELINED: [&str; 4] = ["--clients", "64", "--depth", "16"];

impl GrowthRun {
    /// Runs the bench with these arguments, and returns its figures as a point.
    ///
    /// # Errors
    /// If it fails.
    pub(super) fn bench(
        &self,
        banks: &SpeedBanks,
        x: u64,
        bench: &[&str],
    ) -> Result<(GrowthPoint, Observed)> {
        let observed = meter::observe(banks, bench, self.seconds, self.warmup)?;
        let measured = observed.measured(banks, self.seconds)?;
        let point = point_of(x, &measured);
        Ok((point, observed))
    }
}

fn point_of(x: u64, measured: &Measured) -> GrowthPoint {
    GrowthPoint::at(x)
        .with("per_s", as_f64(measured.per_s))
        .with("p50_ms", as_f64(measured.p50_us) / 1e3)
        .with("p99_ms", as_f64(measured.p99_us) / 1e3)
        .with("cpu_us", measured.cpu_us())
        .with("banks_us", measured.banks_us())
}

/// Says on standard error what was measured.
pub(super) fn report(curve: &str, point: &GrowthPoint) {
    let values = point.values.iter().map(|(key, value)| format!("{key} {value}"));
    eprintln!("{curve} {}: {}", point.x, values.collect::<Vec<_>>().join(", "));
}

/// Measures each of the points, and reports it.
fn each(
    run: &GrowthRun,
    curve: &str,
    points: &[u64],
    measure: impl Fn(u64) -> Result<GrowthPoint>,
) -> Result<Vec<GrowthPoint>> {
    let mut measured = Vec::new();
    for x in points {
        let point = median_of(run.rounds, || measure(*x)).with_context(|| x.to_string())?;
        report(curve, &point);
        measured.push(point);
    }
    Ok(measured)
}

/// Transfers, memory and restarts with more and more accounts.
///
/// # Errors
/// If a point can't be measured.
pub(super) fn accounts(run: &GrowthRun, points: &[u64]) -> Result<Vec<GrowthPoint>> {
    each(run, "accounts", points, |x| {
        let at_each = x.div_ceil(u64::from(BANKS));
        let mut banks = SpeedBanks::start(&run.programs, BANKS)?;
        let fresh = banks.memory_bytes()?;
        let accounts = at_each.to_string();
        let opening = GrowthRun { seconds: 1, warmup: 0, ..run.clone() };
        let (_, opened) = opening.bench(&banks, x, &["--clients", "1", "--accounts", &accounts])?;
        let open_ms = opened.number("/from_ms")? - opened.began_ms;
        // What opening needed for a moment is gone after a restart.
        banks.restart()?;
        let all = as_f64(at_each * u64::from(BANKS));
        let account_bytes = as_f64(banks.memory_bytes()?.saturating_sub(fresh)) / all;
        let bench = [&PIPELINED[..], &["--accounts", &accounts]].concat();
        let (mut point, observed) = run.bench(&banks, x, &bench)?;
        if x >= ACCOUNTS_WITH_MEMORY {
            point = point.with("account_bytes", account_bytes);
        }
        let peak = observed.peak_bytes().max(opened.peak_bytes());
        Ok(point
            .with("peak_mib", as_f64(peak) / f64::from(1 << 20))
            .with("open_s", as_f64(open_ms) / 1e3)
            .with("restart_ms", as_f64(banks.restart()?)))
    })
}

/// Transfers with more and more banks, and as many under way at each bank.
///
/// # Errors
/// If a point can't be measured.
pub(super) fn banks(run: &GrowthRun, points: &[u64]) -> Result<Vec<GrowthPoint>> {
    each(run, "banks", points, |x| {
        let banks = SpeedBanks::start(&run.programs, u16::try_from(x)?)?;
        let depth = (16 * x).div_ceil(u64::from(BANKS)).to_string();
        Ok(run.bench(&banks, x, &["--clients", "64", "--depth", &depth])?.0)
    })
}

/// Transfers with more and more clients.
///
/// # Errors
/// If a point can't be measured.
pub(super) fn clients(run: &GrowthRun, points: &[u64]) -> Result<Vec<GrowthPoint>> {
    each(run, "clients", points, |x| {
        let banks = SpeedBanks::start(&run.programs, BANKS)?;
        Ok(run.bench(&banks, x, &["--clients", &x.to_string()])?.0)
    })
}

/// The most points of the curve over time.
const TIMES: usize = 60;

/// Transfers over the time of one run; the point is its length in seconds.
///
/// # Errors
/// If it can't be measured.
pub(super) fn time(run: &GrowthRun, points: &[u64]) -> Result<Vec<GrowthPoint>> {
    let seconds = u32::try_from(points.iter().copied().max().context("a length")?)?;
    let banks = SpeedBanks::start(&run.programs, BANKS)?;
    let observed = meter::observe(&banks, &PIPELINED, seconds, run.warmup)?;
    let from_ms = observed.number("/from_ms")?;
    let counts = observed.document["committed_each_s"].as_array().context("counts")?;
    let slice = counts.len().div_ceil(TIMES).max(1);
    let mut over_time = Vec::new();
    for (number, counts) in (0..).zip(counts.chunks(slice)) {
        let length = u64::try_from(counts.len())?;
        let begin = number * u64::try_from(slice)?;
        let committed: u64 = counts.iter().filter_map(serde_json::Value::as_u64).sum();
        let cpu = observed.cpu(from_ms + begin * 1_000, from_ms + (begin + length) * 1_000);
        let all_us = cpu.client_us + cpu.banks_us;
        // A slice in which nothing was committed has no cost a transfer.
        let each = |us: f64| if committed == 0 { 0.0 } else { us / as_f64(committed) };
        let point = GrowthPoint::at(begin + length)
            .with("per_s", as_f64(committed / length))
            .with("cores", all_us / as_f64(length) / 1e6)
            .with("cpu_us", each(all_us))
            .with("banks_us", each(cpu.banks_us));
        over_time.push(point);
    }
    if let (Some(first), Some(last)) = (over_time.first(), over_time.last()) {
        report("time", first);
        report("time", last);
    }
    Ok(over_time)
}
