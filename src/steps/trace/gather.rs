//! What the logs tell of some transactions: their lines, the syncs that made their records durable,
//! and what happened to their nodes meanwhile. Files are read at the same time, each once, and then
//! a bit around what was found.

use super::Trouble;
use super::blocks::{Blocks, line_at, lines, wide};
use super::files::{Logs, NodeLog};
use super::pair;
use crate::line::{LogLine, Step};
use consorcio_core::bank::io::DoubtCause;
use memchr::memmem::Finder;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A line that a timeline needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// Whose log, by its number among the nodes.
    pub node: usize,
    /// Where it stands: the file's number among those of the node, oldest first, and the offset.
    pub place: (usize, u64),
    /// When, by the node's clock.
    pub at_us: i64,
    /// The event's word.
    pub event: String,
    /// Is it about the transaction, or only about the node?
    pub of_tx: bool,
    /// The other end's address.
    pub peer: Option<String>,
    /// The other end's bank.
    pub bank: Option<u8>,
    /// The rest.
    pub detail: String,
    /// What it says, where this version knows its event.
    pub step: Option<Step>,
}

impl Noted {
    fn of(node: usize, place: (usize, u64), line: LogLine<'_>) -> Noted {
        Noted {
            node,
            place,
            at_us: line.at_us,
            event: line.event.to_owned(),
            of_tx: line.tx.is_some(),
            peer: line.peer.map(str::to_owned),
            bank: line.bank,
            detail: line.detail.to_owned(),
            step: line.step(),
        }
    }
}

/// Lines of one transaction that are kept at most; a question that is repeated for days says the
/// same again.
const LINES_MAX: usize = 20_000;
/// A sync follows its records within this much of a log, or is not looked for.
const SYNC_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// So much of a log beyond a transaction's lines is looked through for what happened to the node.
const AROUND_BYTES: u64 = 64 * 1024;

/// What the logs tell of each transaction in `txs`, in the order of the files of each node.
///
/// # Errors
/// When a file can't be read.
pub fn gather(logs: &Logs, txs: &[String]) -> Result<Vec<Vec<Noted>>, Trouble> {
    let files: Vec<(usize, usize, &Path)> = (logs.nodes.iter().enumerate())
        .flat_map(|(node, log)| {
            log.files.iter().enumerate().map(move |(file, path)| (node, file, path.as_path()))
        })
        .collect();
    let parts = each_at_once(&files, |(node, file, path)| {
        let mut noted = vec![Vec::new(); txs.len()];
        let done = lines_of(path, txs, |which: usize, offset, line| {
            if noted[which].len() < LINES_MAX {
                noted[which].push(Noted::of(*node, (*file, offset), line));
            }
        });
        done.map(|()| noted)
            .map_err(|source| Trouble::Unreadable { path: (*path).to_owned(), source })
    });
    let mut all = vec![Vec::new(); txs.len()];
    for part in parts {
        all.iter_mut().zip(part?).for_each(|(all, part)| all.extend(part));
    }
    for noted in &mut all {
        noted.sort_by_key(|line| (line.node, line.place));
        let questions = pair::questions(noted);
        let mut number = 0..;
        noted.retain(|_| number.next().is_none_or(|number| !questions.contains(&number)));
    }
    let around = each_at_once(&all, |noted| around(logs, noted));
    for (noted, around) in all.iter_mut().zip(around) {
        noted.extend(around?);
        noted.sort_by_key(|line| (line.node, line.place));
        noted.dedup_by_key(|line| (line.node, line.place));
    }
    Ok(all)
}

/// Does `work` for each of `items` on as many threads as there are processors; results are in the
/// order of the items.
pub fn each_at_once<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((at, item)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    items.get(at).map(|item| (at, item))
                } {
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(at, result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// Every line of a file that is about one of `txs`. One id is looked for as bytes, several line by
/// line.
fn lines_of(
    path: &Path,
    txs: &[String],
    mut each: impl FnMut(usize, u64, LogLine<'_>),
) -> std::io::Result<()> {
    let mut blocks = Blocks::open(path, 0)?;
    if let [tx] = txs {
        let needle = format!(" tx={tx} ");
        let finder = Finder::new(&needle);
        while let Some((offset, block)) = blocks.next()? {
            for at in finder.find_iter(block) {
                let (begin, line) = line_at(block, at);
                // Words of people may hold the same letters.
                if let Some(line) = LogLine::parse(line).filter(|line| line.tx == Some(tx)) {
                    each(0, offset + wide(begin), line);
                }
            }
        }
    } else {
        let numbers: HashMap<&str, usize> = txs.iter().map(String::as_str).zip(0..).collect();
        while let Some((offset, block)) = blocks.next()? {
            lines(offset, block, |at, bytes| {
                if let Some(which) = tx_of(bytes).and_then(|tx| numbers.get(tx))
                    && let Some(line) = LogLine::parse(bytes)
                {
                    each(*which, at, line);
                }
                true
            });
        }
    }
    Ok(())
}

/// The transaction in the column where most lines have it, without a look at the rest.
pub fn tx_of(line: &[u8]) -> Option<&str> {
    const EVENT_AT: usize = 28;
    let rest = line.get(EVENT_AT..)?;
    let gap = memchr::memchr(b' ', rest)?;
    let rest = rest.get(gap..)?.trim_ascii_start().strip_prefix(b"tx=")?;
    let tx = &rest[..memchr::memchr(b' ', rest)?];
    if tx == b"-" { None } else { std::str::from_utf8(tx).ok() }
}

/// What happened around a transaction's lines: syncs of its records, and its nodes' own lives.
fn around(logs: &Logs, noted: &[Noted]) -> Result<Vec<Noted>, Trouble> {
    let mut found = Vec::new();
    for (node, log) in logs.nodes.iter().enumerate() {
        let own: Vec<&Noted> = noted.iter().filter(|line| line.node == node).collect();
        let (Some(first), Some(last)) = (own.first(), own.last()) else { continue };
        for record in &own {
            found.extend(sync_of(log, node, record)?);
        }
        let begun = found.len();
        life(log, node, first, last, &mut found)?;
        if !log.is_of_a_bank() {
            keep_own_runs(&mut found, begun, &own);
        }
    }
    Ok(found)
}

/// The first sync behind a record's line that covers it; none if the process ended before.
fn sync_of(log: &NodeLog, node: usize, record: &Noted) -> Result<Option<Noted>, Trouble> {
    let Some(seq) = record.step.as_ref().and_then(Step::seq) else { return Ok(None) };
    let mut sync = None;
    read_on(log, record.place, SYNC_BYTES_MAX, |place, bytes| {
        let Some(line) = LogLine::parse(bytes).filter(|line| line.tx.is_none()) else {
            return ControlFlow::Continue(());
        };
        match line.event {
            "sync" => match line.step() {
                Some(Step::Sync { upto, .. }) if upto >= seq => {
                    sync = Some(Noted::of(node, place, line));
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            },
            "start" => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    })?;
    Ok(sync)
}

/// Starts, ends, faults and lost links of a node from shortly before its first line about the
/// transaction until shortly after its last, and where a client's connections to the banks came
/// from.
fn life(
    log: &NodeLog,
    node: usize,
    first: &Noted,
    last: &Noted,
    found: &mut Vec<Noted>,
) -> Result<(), Trouble> {
    let begin = (first.place.0, first.place.1.saturating_sub(AROUND_BYTES));
    let length =
        if first.place.0 == last.place.0 { last.place.1 - begin.1 } else { SYNC_BYTES_MAX };
    // What a restarted bank does first is of that restart, whatever was lost of its log before.
    let restarted = matches!(first.step, Some(Step::Doubt(_, DoubtCause::Restart)));
    let mut before = Vec::new();
    let mut down = BTreeSet::new();
    read_on(log, begin, (length + AROUND_BYTES).min(SYNC_BYTES_MAX), |place, bytes| {
        let Some(line) = LogLine::parse(bytes).filter(|line| line.tx.is_none()) else {
            return ControlFlow::Continue(());
        };
        let of_links = matches!(line.event, "link-down" | "link-up" | "connect" | "disconnect")
            && line.bank.is_some();
        if place < first.place {
            // Of what was before only the way to the banks counts, as the same process went it.
            if line.event == "start" {
                before.clear();
            }
            if (of_links && line.event == "connect") || (restarted && is_of_the_node(&line)) {
                before.push(Noted::of(node, place, line));
            }
        } else if !is_news(&mut down, &line) {
            // The same line is tried again and again.
        } else if (is_of_the_node(&line) || of_links)
            && (place < last.place || line.at_us <= last.at_us)
        {
            found.push(Noted::of(node, place, line));
        }
        ControlFlow::Continue(())
    })?;
    found.extend(before);
    Ok(())
}

/// A client's log is shared by all runs of that name, and most runs have nothing to do with this
/// transaction. Keeps of what was found since `begun` the lines of those that have: from a start to
/// the line before the next one.
fn keep_own_runs(found: &mut Vec<Noted>, begun: usize, own: &[&Noted]) {
    let lives = found.split_off(begun);
    let starts: Vec<(usize, u64)> =
        lives.iter().filter(|line| line.event == "start").map(|line| line.place).collect();
    // A run is known by how many starts stand before it.
    let run = |place: (usize, u64)| starts.partition_point(|start| *start <= place);
    let runs: BTreeSet<usize> = own.iter().map(|line| run(line.place)).collect();
    found.extend(lives.into_iter().filter(|line| runs.contains(&run(line.place))));
}

/// Is it a line of a node's own life: a start, an end, something that broke?
fn is_of_the_node(line: &LogLine<'_>) -> bool {
    matches!(line.event, "start" | "recover" | "ready" | "stop" | "fault")
}

/// Does a line tell something new of the line to a bank? `down` are those that are known to be
/// lost.
fn is_news(down: &mut BTreeSet<u8>, line: &LogLine<'_>) -> bool {
    match (line.event, line.bank) {
        ("link-down", Some(bank)) => down.insert(bank),
        ("link-up", Some(bank)) => {
            down.remove(&bank);
            true
        }
        _ => true,
    }
}

/// Reads on from a place through the node's newer files, at most so many bytes.
fn read_on(
    log: &NodeLog,
    from: (usize, u64),
    bytes_max: u64,
    mut each: impl FnMut((usize, u64), &[u8]) -> ControlFlow<()>,
) -> Result<(), Trouble> {
    let mut read = 0;
    for (file, path) in log.files.iter().enumerate().skip(from.0) {
        let failed = |source| Trouble::Unreadable { path: path.clone(), source };
        let offset = if file == from.0 { from.1 } else { 0 };
        let mut blocks = Blocks::open(path, offset).map_err(failed)?;
        while let Some((offset, block)) = blocks.next().map_err(failed)? {
            let mut rest = bytes_max.saturating_sub(read);
            let goes_on = lines(offset, block, |at, line| {
                let enough = rest == 0;
                rest = rest.saturating_sub(wide(line.len()) + 1);
                !enough && each((file, at), line).is_continue()
            });
            read += wide(block.len());
            if !goes_on {
                return Ok(());
            }
        }
    }
    Ok(())
}
