//! One run, with the processor time of each process in the measured seconds.

use crate::banks::SpeedBanks;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use std::io::Read;
use std::process::Child;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Between two readings of the processes' times.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// The figures of one run. Times of a processor are in microseconds a committed transaction.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Committed transactions a second.
    pub per_s: u64,
    /// Latency of an outcome, in microseconds.
    pub p50_us: u64,
    /// The latency that 99 % do not exceed.
    pub p99_us: u64,
    /// The latency of the slowest one.
    pub max_us: u64,
    /// The load generator's own code.
    pub client_user_us: f64,
    /// The load generator's system calls.
    pub client_kernel_us: f64,
    /// The banks' own code.
    pub banks_user_us: f64,
    /// The banks' system calls.
    pub banks_kernel_us: f64,
    /// Syncs of all journals a committed transaction.
    pub syncs: f64,
    /// Times that a thread of a bank went to sleep, a committed transaction.
    pub sleeps: f64,
    /// Contacts a committed transaction: the data segments that the machine sent over TCP, halved,
    /// since each contact is one there and one back.
    pub contacts: f64,
    /// Memory of all banks at the end, in MiB.
    pub memory_mib: u64,
    /// The greatest sum of the banks' memory.
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
    /// Milliseconds since 1970, as in the report of bench.
    at_ms: u64,
    client: Times,
    banks: Times,
    sleeps: u64,
    /// Data segments of all TCP connections of the machine.
    segments: u64,
    /// The memory of all banks.
    bytes: u64,
}

/// A bench that has ended: its report, and the processes while it ran.
pub struct Observed {
    /// The report, as `cliente bench --json` printed it.
    pub document: Value,
    /// When it was started, in milliseconds since 1970.
    pub began_ms: u64,
    samples: Vec<Sample>,
}

/// Processor time of all processes between two times, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct CpuTimes {
    /// That of the load generator.
    pub client_us: f64,
    /// That of all banks together.
    pub banks_us: f64,
}

/// Runs the bench with these arguments at `banks`; a committed transaction makes so many `records`.
///
/// # Errors
/// If it fails, or if a centavo is missing afterwards.
pub fn run(
    banks: &SpeedBanks,
    bench: &[&str],
    records: f64,
    seconds: u32,
    warmup: u32,
) -> Result<Measured> {
    let observed = observe(banks, bench, seconds, warmup)?;
    let mut measured = observed.measured(banks, seconds)?;
    measured.syncs = syncs_a_record(banks)? * records;
    Ok(measured)
}

/// Runs the bench with these arguments at `banks`.
///
/// # Errors
/// If it fails, or if a centavo is missing afterwards.
pub fn observe(banks: &SpeedBanks, bench: &[&str], seconds: u32, warmup: u32) -> Result<Observed> {
    let began_ms = now_ms();
    let mut client = banks.bench(bench, seconds, warmup)?;
    let samples = sample_until_end(banks, &mut client)?;
    let (status, mut out, mut err) = (client.wait()?, String::new(), String::new());
    client.stdout.take().context("piped")?.read_to_string(&mut out)?;
    client.stderr.take().context("piped")?.read_to_string(&mut err)?;
    ensure!(status.success(), "cliente bench: {status}: {err}{out}");
    let document: Value = serde_json::from_str(&out).with_context(|| out.clone())?;
    ensure!(document["conserved"] == true, "money is missing: {out}");
    ensure!(!samples.is_empty(), "the run was not seen");
    Ok(Observed { document, began_ms, samples })
}

impl Observed {
    /// A figure of the report.
    ///
    /// # Errors
    /// If it is no number.
    pub fn number(&self, pointer: &str) -> Result<u64> {
        let found = self.document.pointer(pointer).and_then(Value::as_u64);
        found.with_context(|| format!("a number at {pointer} in the report of bench"))
    }

    /// The measured time, in milliseconds since 1970. Older programs don't report it; then it is
    /// the end of the run.
    fn measured_ms(&self, seconds: u32) -> (u64, u64) {
        let last = self.samples.last().map_or(0, |sample| sample.at_ms);
        let by_end = (last.saturating_sub(u64::from(seconds) * 1_000), last);
        match (self.number("/from_ms"), self.number("/to_ms")) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(_), _) | (_, Err(_)) => by_end,
        }
    }

    /// The first sample at this time or later, or the last one.
    fn at(&self, ms: u64) -> &Sample {
        let found = self.samples.iter().find(|sample| sample.at_ms >= ms);
        found.unwrap_or(&self.samples[self.samples.len() - 1])
    }

    /// The processor time between two times, in milliseconds since 1970.
    pub fn cpu(&self, from_ms: u64, to_ms: u64) -> CpuTimes {
        let (first, last) = (self.at(from_ms), self.at(to_ms));
        let tick_us = 1e6 / as_f64(rustix::param::clock_ticks_per_second());
        let us = |of: fn(&Sample) -> Times| {
            let (from, to) = (of(first), of(last));
            as_f64(to.user + to.kernel - from.user - from.kernel) * tick_us
        };
        CpuTimes { client_us: us(|sample| sample.client), banks_us: us(|sample| sample.banks) }
    }

    /// The greatest memory that all banks together were seen with, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.samples.iter().map(|sample| sample.bytes).max().unwrap_or(0)
    }

    /// The figures of the measured time, but for syncs.
    ///
    /// # Errors
    /// If the report lacks one.
    pub fn measured(&self, banks: &SpeedBanks, seconds: u32) -> Result<Measured> {
        let per_s = self.number("/committed_per_s")?;
        let (from_ms, to_ms) = self.measured_ms(seconds);
        let (first, last) = (self.at(from_ms), self.at(to_ms));
        let transactions = as_f64(per_s) * as_f64(last.at_ms - first.at_ms) / 1e3;
        let tick_us = 1e6 / as_f64(rustix::param::clock_ticks_per_second());
        let each = |from: u64, to: u64| as_f64(to - from) * tick_us / transactions;
        let (memory_mib, memory_peak_mib) = memory_mib(banks)?;
        Ok(Measured {
            per_s,
            p50_us: self.number("/latency_us/p50")?,
            p99_us: self.number("/latency_us/p99")?,
            max_us: self.number("/latency_us/max")?,
            client_user_us: each(first.client.user, last.client.user),
            client_kernel_us: each(first.client.kernel, last.client.kernel),
            banks_user_us: each(first.banks.user, last.banks.user),
            banks_kernel_us: each(first.banks.kernel, last.banks.kernel),
            syncs: 0.0,
            sleeps: as_f64(last.sleeps - first.sleeps) / transactions,
            contacts: as_f64(last.segments - first.segments) / 2.0 / transactions,
            memory_mib,
            memory_peak_mib,
            restart_ms: None,
        })
    }
}

impl Measured {
    /// Processor time of all processes a transaction, in microseconds.
    pub fn cpu_us(&self) -> f64 {
        self.client_us() + self.banks_us()
    }

    /// That of the load generator.
    pub fn client_us(&self) -> f64 {
        self.client_user_us + self.client_kernel_us
    }

    /// That of all banks together.
    pub fn banks_us(&self) -> f64 {
        self.banks_user_us + self.banks_kernel_us
    }
}

/// The wall clock, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A figure of a report; what it can't represent exactly doesn't matter there.
#[expect(clippy::cast_precision_loss, reason = "figures of a report")]
pub fn as_f64(number: u64) -> f64 {
    number as f64
}

fn sample_until_end(banks: &SpeedBanks, client: &mut Child) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    while client.try_wait()?.is_none() {
        let mut sample = Sample {
            at_ms: now_ms(),
            client: Times::default(),
            banks: Times::default(),
            sleeps: 0,
            segments: segments_sent()?,
            bytes: 0,
        };
        let Ok(times) = times_of(client.id()) else { break };
        sample.client = times;
        for pid in banks.pids() {
            let times = times_of(pid).context("a bank ended")?;
            sample.banks.user += times.user;
            sample.banks.kernel += times.kernel;
            sample.sleeps += sleeps_of(pid)?;
            sample.bytes += resident_bytes(pid)?;
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

/// Data segments that all TCP connections of the machine have sent, without repeated ones and those
/// that only acknowledge.
fn segments_sent() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/net/netstat")?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, numbers) = lines.next().zip(lines.next()).context("TcpExt in netstat")?;
    let mut fields = names.split(' ').zip(numbers.split(' '));
    let (_, sent) = fields.find(|(name, _)| *name == "TCPOrigDataSent").context("its segments")?;
    Ok(sent.parse()?)
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

impl SpeedBanks {
    /// The memory of all banks now, in bytes.
    ///
    /// # Errors
    /// If a bank has ended.
    pub fn memory_bytes(&self) -> Result<u64> {
        self.pids().map(resident_bytes).sum()
    }
}

/// The memory of a process that is in RAM, from `/proc/PID/statm`.
fn resident_bytes(pid: u32) -> Result<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: u64 = statm.split(' ').nth(1).context("resident pages")?.parse()?;
    Ok(pages * u64::try_from(rustix::param::page_size())?)
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
