//! Open loops: latency below the capacity, and overload above it.

use super::closed::{BANKS, PIPELINED, report};
use super::probe::Prober;
use super::{GrowthPoint, GrowthRun, median_of};
use crate::banks::SpeedBanks;
use crate::meter::as_f64;
use anyhow::{Context, Result};
use serde_json::Value;
use std::time::Duration;

/// The time without overload that another client is measured in, before and after.
const QUIET: Duration = Duration::from_secs(2);

/// The overload's clients and what each has under way, at most.
const OVERLOAD: [&str; 4] = ["--clients", "64", "--depth", "250"];

/// All points depend on the capacity, so it is the median of at least this many runs.
const CAPACITY_RUNS: u32 = 3;

/// Banks, and what they commit a second in a closed loop.
fn at_capacity(run: &GrowthRun) -> Result<(SpeedBanks, u64)> {
    let banks = SpeedBanks::start(&run.programs, BANKS)?;
    let mut found = Vec::new();
    for _ in 0..run.rounds.max(CAPACITY_RUNS) {
        let (_, observed) = run.bench(&banks, 0, &PIPELINED)?;
        found.push(observed.number("/committed_per_s")?);
    }
    found.sort_unstable();
    let capacity = found[found.len() / 2];
    eprintln!("capacity: {capacity} transfers a second");
    Ok((banks, capacity.max(1)))
}

/// Latency from the due time, at parts of the capacity.
///
/// # Errors
/// If a point can't be measured.
pub(super) fn latency(run: &GrowthRun, points: &[u64]) -> Result<Vec<GrowthPoint>> {
    let (banks, capacity) = at_capacity(run)?;
    let mut measured = Vec::new();
    for x in points {
        let rate = (capacity * x / 100).max(1);
        let point = median_of(run.rounds, || {
            let bench = ["--clients", "64", "--rate", &rate.to_string()];
            let (point, observed) = run.bench(&banks, *x, &bench)?;
            Ok(point
                .with("offered_per_s", as_f64(rate))
                .with("p90_ms", as_f64(observed.number("/latency_us/p90")?) / 1e3)
                .with("max_ms", as_f64(observed.number("/latency_us/max")?) / 1e3))
        })
        .with_context(|| format!("{x} %"))?;
        report("open-loop", &point);
        measured.push(point);
    }
    Ok(measured)
}

/// What is committed at multiples of the capacity, and how long banks are slow afterwards.
///
/// # Errors
/// If a point can't be measured.
pub(super) fn overload(run: &GrowthRun, points: &[u64]) -> Result<Vec<GrowthPoint>> {
    let (banks, capacity) = at_capacity(run)?;
    let mut measured = Vec::new();
    for x in points {
        let point = median_of(run.rounds, || overload_at(run, &banks, capacity, *x))
            .with_context(|| format!("{x} times"))?;
        report("overload", &point);
        measured.push(point);
    }
    Ok(measured)
}

fn overload_at(run: &GrowthRun, banks: &SpeedBanks, capacity: u64, x: u64) -> Result<GrowthPoint> {
    let addresses = banks.addresses();
    let prober = Prober::start(addresses.first().context("a bank")?)?;
    std::thread::sleep(QUIET);
    let rate = (capacity * x).to_string();
    // Far above the capacity, nothing that is due after a warm-up would be reached in time.
    let run = GrowthRun { warmup: 0, ..run.clone() };
    let (_, observed) = run.bench(banks, x, &[&OVERLOAD[..], &["--rate", &rate]].concat())?;
    std::thread::sleep(QUIET);
    let probes = prober.stop()?;
    let (from_ms, to_ms) = (observed.number("/from_ms")?, observed.number("/to_ms")?);
    let per_s = observed.number("/committed_per_s")?;
    let refused = observed.document["not_committed"].as_object();
    let refused: u64 = refused.into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
    let left = observed.document.get("without_verdict").and_then(Value::as_u64).unwrap_or(0);
    let before = probes.median_us(0, observed.began_ms);
    Ok(GrowthPoint::at(x)
        .with("offered_per_s", as_f64(capacity * x))
        .with("per_s", as_f64(per_s))
        .with("goodput_percent", as_f64(per_s) * 100.0 / as_f64(capacity))
        .with("probe_ms", as_f64(probes.median_us(from_ms, to_ms)) / 1e3)
        .with("recovery_ms", as_f64(probes.recovery_ms(to_ms, before)))
        .with("probes_refused", as_f64(u64::try_from(probes.refused(0, u64::MAX))?))
        .with("refused", as_f64(refused + left)))
}
