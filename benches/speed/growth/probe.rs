//! Another client beside a load: a transfer by EXECUTE every 10 ms, timed from when it was due.

use crate::meter::now_ms;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between the due times of two transfers.
const EVERY: Duration = Duration::from_millis(10);

/// A bank that is silent for this long is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// A transfer that is slower by this than usual is slow.
const SLOW_US: u64 = 10_000;

/// So many transfers in a row that are not slow end a recovery: those of 100 ms.
const CALM: usize = 10;

/// The client, while it sends.
pub(super) struct Prober {
    stream: TcpStream,
    stop: Arc<AtomicBool>,
    sender: JoinHandle<Result<Vec<DueProbe>>>,
    reader: JoinHandle<Result<Vec<(Instant, bool)>>>,
}

/// When a transfer was due.
#[derive(Debug, Clone, Copy)]
struct DueProbe {
    at_ms: u64,
    at: Instant,
}

/// A transfer's due time, in milliseconds since 1970, and the time until its reply.
#[derive(Debug, Clone, Copy)]
pub struct TimedProbe {
    /// When it was due.
    pub due_ms: u64,
    /// The time from then until its reply.
    pub took_us: u64,
    /// Whether it was committed; an overloaded bank may refuse it.
    pub is_committed: bool,
}

/// All transfers of a client, in order.
#[derive(Debug, Clone)]
pub struct Probes(pub Vec<TimedProbe>);

impl Prober {
    /// Begins to send to the bank at this address, which is bank 0.
    ///
    /// # Errors
    /// If it can't be reached.
    pub(super) fn start(address: &str) -> Result<Prober> {
        let stream = TcpStream::connect(address).with_context(|| address.to_owned())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (writing, reading) = (stream.try_clone()?, stream.try_clone()?);
        let stopped = Arc::clone(&stop);
        let sender = std::thread::spawn(move || send(writing, &stopped));
        let reader = std::thread::spawn(move || receive(reading));
        Ok(Prober { stream, stop, sender, reader })
    }

    /// Stops sending, waits for the replies, and returns all times.
    ///
    /// # Errors
    /// If a transfer has no reply, or one that makes no sense.
    pub(super) fn stop(self) -> Result<Probes> {
        self.stop.store(true, Relaxed);
        let due = self.sender.join().ok().context("the sender ended")??;
        // The bank answers what it has read, and closes its side.
        self.stream.shutdown(Shutdown::Write)?;
        let replied = self.reader.join().ok().context("the reader ended")??;
        ensure!(due.len() == replied.len(), "{} of {} replies", replied.len(), due.len());
        let probes = due.iter().zip(&replied).map(|(due, (replied, committed))| TimedProbe {
            due_ms: due.at_ms,
            took_us: u64::try_from(replied.duration_since(due.at).as_micros()).unwrap_or(u64::MAX),
            is_committed: *committed,
        });
        Ok(Probes(probes.collect()))
    }
}

/// Sends a transfer whenever one is due, until it is told to stop.
fn send(mut stream: TcpStream, stop: &AtomicBool) -> Result<Vec<DueProbe>> {
    let (began, began_ms) = (Instant::now(), now_ms());
    let mut due = Vec::new();
    for number in 0u32.. {
        let after = EVERY * number;
        std::thread::sleep((began + after).saturating_duration_since(Instant::now()));
        if stop.load(Relaxed) {
            break;
        }
        let line = format!(
            "EXECUTE probe-{began_ms}-{number} {{\"ops\":[\
             {{\"bank\":0,\"op\":\"debit\",\"account\":\"bench-0\",\"amount\":1}},\
             {{\"bank\":1,\"op\":\"credit\",\"account\":\"bench-1\",\"amount\":1}}]}}\n"
        );
        let at_ms = began_ms + u64::try_from(after.as_millis())?;
        due.push(DueProbe { at_ms, at: began + after });
        stream.write_all(line.as_bytes())?;
    }
    Ok(due)
}

/// The times of the replies, and whether they are commits, until the bank closes the connection.
fn receive(stream: TcpStream) -> Result<Vec<(Instant, bool)>> {
    let mut replied = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let is_committed = line.starts_with("COMMITTED ");
        ensure!(is_committed || line.starts_with("ABORTED "), "beside the load: {line}");
        replied.push((Instant::now(), is_committed));
    }
    Ok(replied)
}

impl Probes {
    /// The median of those that were due between two times; 0 if there are none.
    pub fn median_us(&self, from_ms: u64, to_ms: u64) -> u64 {
        let due = self.0.iter().filter(|probe| (from_ms..to_ms).contains(&probe.due_ms));
        let mut took: Vec<u64> = due.map(|probe| probe.took_us).collect();
        took.sort_unstable();
        took.get(took.len() / 2).copied().unwrap_or(0)
    }

    /// How many of those that were due between two times were not committed.
    pub fn refused(&self, from_ms: u64, to_ms: u64) -> usize {
        let due = self.0.iter().filter(|probe| (from_ms..to_ms).contains(&probe.due_ms));
        due.filter(|probe| !probe.is_committed).count()
    }

    /// The milliseconds from `end_ms` until the last slow transfer ended that is followed by enough
    /// that are not: those that are committed at most 10 ms later than `usual_us`.
    pub fn recovery_ms(&self, end_ms: u64, usual_us: u64) -> u64 {
        let later: Vec<_> = self.0.iter().filter(|probe| probe.due_ms >= end_ms).collect();
        let is_slow =
            |probe: &&TimedProbe| !probe.is_committed || probe.took_us > usual_us + SLOW_US;
        let calm =
            (0..later.len()).find(|at| !later[*at..later.len().min(at + CALM)].iter().any(is_slow));
        let Some(last) = calm.unwrap_or(later.len()).checked_sub(1) else { return 0 };
        later[last].due_ms + later[last].took_us / 1_000 - end_ms
    }
}
