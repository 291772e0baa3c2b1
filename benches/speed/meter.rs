//! One run, with the processor time of each process in the measured seconds.

use crate::banks::SpeedBanks;
use crate::rows::SpeedRow;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use std::io::Read;
use std::process::Child;
use std::time::{Duration, Instant};

/// Between two readings of the processes' times.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// The figures of one run. Times of a processor are in microseconds a committed transaction.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Committed transactions a second.
    pub per_s: u64,
    /// Latency of an outcome, in microseconds.
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
    pub client_user_us: f64,
    pub client_kernel_us: f64,
    pub banks_user_us: f64,
    pub banks_kernel_us: f64,
    /// Syncs of all journals a committed transaction.
    pub syncs: f64,
    /// Times that a thread of a bank went to sleep, a committed transaction.
    pub sleeps: f64,
    /// Memory of all banks at the end and its peak, in MiB.
    pub memory_mib: u64,
    pub memory_peak_mib: u64,
    /// Milliseconds until all banks were ready after they were killed.
    pub restart_ms: Option<u64>,
}

/// Processor time of one process so far, in ticks of the kernel.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    user: u64,
    kernel: u64,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    client: Times,
    banks: Times,
    sleeps: u64,
}

/// Runs the bench of `row` at `banks`.
///
/// # Errors
/// If it fails, or if a centavo is missing afterwards.
pub fn run(banks: &SpeedBanks, row: &SpeedRow, seconds: u32, warmup: u32) -> Result<Measured> {
    let mut client = banks.bench(row, seconds, warmup)?;
    let samples = sample_until_end(banks, &mut client)?;
    let (status, mut out, mut err) = (client.wait()?, String::new(), String::new());
    client.stdout.take().context("piped")?.read_to_string(&mut out)?;
    client.stderr.take().context("piped")?.read_to_string(&mut err)?;
    ensure!(status.success(), "cliente bench: {status}: {err}{out}");
    let document: Value = serde_json::from_str(&out).with_context(|| out.clone())?;
    ensure!(document["conserved"] == true, "money is missing: {out}");
    let number = |value: &Value| value.as_u64().context("a number in the report of bench");
    let latency = &document["latency_us"];
    let per_s = number(&document["committed_per_s"])?;

    let last = samples.last().context("the run was seen")?;
    let from = last.at - Duration::from_secs(u64::from(seconds));
    let first = samples.iter().find(|sample| sample.at >= from).context("the run was seen")?;
    let measured_s = (last.at - first.at).as_secs_f64();
    let transactions = as_f64(per_s) * measured_s;
    let tick_us = 1e6 / as_f64(rustix::param::clock_ticks_per_second());
    let each = |from: u64, to: u64| as_f64(to - from) * tick_us / transactions;
    let (memory_mib, memory_peak_mib) = memory_mib(banks)?;
    Ok(Measured {
        per_s,
        p50_us: number(&latency["p50"])?,
        p99_us: number(&latency["p99"])?,
        max_us: number(&latency["max"])?,
        client_user_us: each(first.client.user, last.client.user),
        client_kernel_us: each(first.client.kernel, last.client.kernel),
        banks_user_us: each(first.banks.user, last.banks.user),
        banks_kernel_us: each(first.banks.kernel, last.banks.kernel),
        syncs: syncs_a_record(banks)? * records_a_transaction(row),
        sleeps: as_f64(last.sleeps - first.sleeps) / transactions,
        memory_mib,
        memory_peak_mib,
        restart_ms: None,
    })
}

#[expect(clippy::cast_precision_loss, reason = "figures of a report")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

/// Each participant of a transfer records its vote and the outcome; a bank that executes a
/// transaction of its own records both at once.
fn records_a_transaction(row: &SpeedRow) -> f64 {
    match (row.banks, row.bench.contains(&"--via-bank")) {
        (1, true) => 1.0,
        (1, false) => 2.0,
        _ => 4.0,
    }
}

fn sample_until_end(banks: &SpeedBanks, client: &mut Child) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    while client.try_wait()?.is_none() {
        let mut sample = Sample {
            at: Instant::now(),
            client: Times::default(),
            banks: Times::default(),
            sleeps: 0,
        };
        let Ok(times) = times_of(client.id()) else { break };
        sample.client = times;
        for pid in banks.pids() {
            let times = times_of(pid).context("a bank ended")?;
            sample.banks.user += times.user;
            sample.banks.kernel += times.kernel;
            sample.sleeps += sleeps_of(pid)?;
        }
        // A process that has ended and was not waited for has no times any more.
        if sample.client.user + sample.client.kernel > 0 {
            samples.push(sample);
        }
        std::thread::sleep(SAMPLE_EVERY);
    }
    Ok(samples)
}

/// The times of a process, from `/proc/PID/stat`; its name may contain spaces.
fn times_of(pid: u32) -> Result<Times> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("a name in brackets")?;
    let field = |at: usize| -> Result<u64> {
        Ok(rest.split_whitespace().nth(at).context("a field")?.parse()?)
    };
    Ok(Times { user: field(11)?, kernel: field(12)? })
}

fn sleeps_of(pid: u32) -> Result<u64> {
    let mut sleeps = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while its folder is read.
        let Ok(status) = std::fs::read_to_string(task?.path().join("status")) else { continue };
        sleeps += field_of(&status, "voluntary_ctxt_switches:").unwrap_or(0);
    }
    Ok(sleeps)
}

fn memory_mib(banks: &SpeedBanks) -> Result<(u64, u64)> {
    let (mut now, mut peak) = (0, 0);
    for pid in banks.pids() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        now += field_of(&status, "VmRSS:").context("VmRSS")?;
        peak += field_of(&status, "VmHWM:").context("VmHWM")?;
    }
    Ok((now / 1024, peak / 1024))
}

fn field_of(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Syncs for each journal record, from the lines of the step logs in use: `sync ... records=N`.
fn syncs_a_record(banks: &SpeedBanks) -> Result<f64> {
    let (mut syncs, mut records) = (0u64, 0u64);
    for file in std::fs::read_dir(banks.logs())? {
        let path = file?.path();
        let is_bank = path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with("servidor-") && name.ends_with(".log")
        });
        if !is_bank {
            continue;
        }
        for line in std::fs::read_to_string(&path)?.lines() {
            if line.get(27..).is_some_and(|rest| rest.trim_start().starts_with("sync ")) {
                let count = line.split(" records=").nth(1);
                let count = count.and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
                syncs += 1;
                records += count.unwrap_or(0);
            }
        }
    }
    Ok(as_f64(syncs) / as_f64(records.max(1)))
}
