//! Disks whose syncs take longer: a library that is loaded into the banks delays them.

use super::closed::{BANKS, PIPELINED, report};
use super::{GrowthPoint, GrowthRun, median_of};
use crate::banks::SpeedBanks;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The source of the library: a program of Rust without `unsafe` can't replace a function of libc.
const SOURCE: &str = include_str!("slow_sync.c");

/// Throughput and latency where each sync takes some milliseconds longer.
///
/// # Errors
/// If there is no C compiler, or a point can't be measured.
pub(super) fn measure(run: &GrowthRun, points: &[u64]) -> Result<Vec<GrowthPoint>> {
    let folder = tempfile::Builder::new().prefix("consorcio-sync").tempdir()?;
    let library = compiled(folder.path())?;
    let mut measured = Vec::new();
    for x in points {
        let point = median_of(run.rounds, || measure_at(run, &library, *x))
            .with_context(|| format!("{x} ms"))?;
        report("slow-disk", &point);
        measured.push(point);
    }
    Ok(measured)
}

fn compiled(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("slow_sync.c"), folder.join("slow_sync.so"));
    std::fs::write(&source, SOURCE)?;
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let made = Command::new(&compiler)
        .args(["-O2", "-Wall", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .output()
        .with_context(|| format!("the C compiler {}", compiler.display()))?;
    ensure!(made.status.success(), "slow_sync.c: {}", String::from_utf8_lossy(&made.stderr));
    Ok(library)
}

fn measure_at(run: &GrowthRun, library: &Path, ms: u64) -> Result<GrowthPoint> {
    let us = (ms * 1_000).to_string();
    let slow = [("LD_PRELOAD", library.as_os_str()), ("SLOW_SYNC_US", us.as_ref())];
    let slow = if ms == 0 { &[][..] } else { &slow[..] };
    let banks = SpeedBanks::start_with(&run.programs, BANKS, slow)?;
    let (mut point, _) = run.bench(&banks, ms, &PIPELINED)?;
    let (clients, _) = run.bench(&banks, ms, &["--clients", "64"])?;
    let (alone, _) = run.bench(&banks, ms, &["--clients", "1"])?;
    for (key, of, figure) in [
        ("clients_per_s", &clients, "per_s"),
        ("alone_per_s", &alone, "per_s"),
        ("alone_p50_ms", &alone, "p50_ms"),
        ("alone_p99_ms", &alone, "p99_ms"),
    ] {
        point = point.with(key, of.values[figure]);
    }
    Ok(point)
}
