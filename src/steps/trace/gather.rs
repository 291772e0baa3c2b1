//! Collects the lines of some transactions, the syncs that made their records durable, and the
//! events of their nodes meanwhile. Files are read in parallel, each once; then the neighbourhood
//! of the lines found is read.

use super::TraceError;
use super::blocks::{Blocks, line_at, lines, wide};
use super::files::{Logs, NodeLog};
use super::pair;
use crate::compressed::may_have;
use crate::line::{LogLine, Step, quick_columns};
use consorcio_core::bank::io::DoubtCause;
use consorcio_core::limits::{TRACE_AROUND_BYTES, TRACE_LINES_MAX, TRACE_SYNC_BYTES_MAX};
use memchr::memmem::Finder;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A line that belongs to a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GatheredLine {
    /// The node of the log, by its index.
    pub node: usize,
    /// Its position: the index of its file, oldest first, and the offset in it.
    pub place: (usize, u64),
    /// Its time by the node's clock, in microseconds since 1970.
    pub at_us: i64,
    /// The word of the event.
    pub event: String,
    /// Whether it concerns the transaction, and not only the node.
    pub of_tx: bool,
    /// The address of the other end.
    pub peer: Option<String>,
    /// The bank at the other end.
    pub bank: Option<u8>,
    /// The fields of the line.
    pub detail: String,
    /// The step, if this version knows its event.
    pub step: Option<Step>,
}

impl GatheredLine {
    fn of(node: usize, place: (usize, u64), line: LogLine<'_>) -> GatheredLine {
        GatheredLine {
            node,
            place,
            at_us: line.at_us,
            event: line.event.to_owned(),
            of_tx: line.tx.is_some(),
            peer: line.peer.map(str::to_owned),
            bank: line.bank,
            step: line.step(),
            detail: line.detail.into_owned(),
        }
    }
}

/// What the logs have of some transactions.
pub(super) struct GatheredLines {
    /// The lines of each, in the order of the files of each node.
    pub lines: Vec<Vec<GatheredLine>>,
    /// Compressed files that can't be decoded to their end: lines of any of them may be missing.
    pub damaged: Vec<PathBuf>,
}

/// The lines of each transaction in `txs`.
///
/// # Errors
/// If a file can't be read.
pub(super) fn gather(logs: &Logs, txs: &[String]) -> Result<GatheredLines, TraceError> {
    let files: Vec<(usize, usize, &Path)> = (logs.nodes.iter().enumerate())
        .flat_map(|(node, log)| {
            log.files.iter().enumerate().map(move |(file, path)| (node, file, path.as_path()))
        })
        .collect();
    let parts = each_at_once(&files, |(node, file, path)| {
        let mut gathered = vec![Vec::new(); txs.len()];
        let done = lines_of(path, txs, |which: usize, offset, line| {
            if gathered[which].len() < TRACE_LINES_MAX {
                gathered[which].push(GatheredLine::of(*node, (*file, offset), line));
            }
        });
        done.map(|is_damaged| (gathered, is_damaged.then(|| (*path).to_owned())))
            .map_err(|source| TraceError::Unreadable { path: (*path).to_owned(), source })
    });
    let mut all = vec![Vec::new(); txs.len()];
    let mut damaged = Vec::new();
    for part in parts {
        let (part, is_damaged) = part?;
        all.iter_mut().zip(part).for_each(|(all, part)| all.extend(part));
        damaged.extend(is_damaged);
    }
    for lines in &mut all {
        lines.sort_by_key(|line| (line.node, line.place));
        let questions = pair::questions(lines);
        let mut number = 0..;
        lines.retain(|_| number.next().is_none_or(|number| !questions.contains(&number)));
    }
    let around = each_at_once(&all, |lines| around(logs, lines));
    for (lines, around) in all.iter_mut().zip(around) {
        lines.extend(around?);
        lines.sort_by_key(|line| (line.node, line.place));
        lines.dedup_by_key(|line| (line.node, line.place));
    }
    Ok(GatheredLines { lines: all, damaged })
}

/// Runs `work` on each of `items`, on as many threads as there are processors. Results are in the
/// order of the items.
pub(super) fn each_at_once<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
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

/// Calls `each` with every line of a file about one of `txs`, and returns whether the file is
/// damaged. One id is searched for as bytes, several ids line by line.
fn lines_of(
    path: &Path,
    txs: &[String],
    mut each: impl FnMut(usize, u64, LogLine<'_>),
) -> std::io::Result<bool> {
    if !may_have(path, txs)? {
        return Ok(false);
    }
    let mut blocks = Blocks::open(path, 0)?;
    if let [tx] = txs {
        // A line may end with its id.
        let needles = [format!(" tx={tx}"), format!("\"tx\":\"{tx}\"")];
        let finders = needles.each_ref().map(Finder::new);
        while let Some((offset, block)) = blocks.next()? {
            for at in finders.iter().flat_map(|finder| finder.find_iter(block)) {
                let (begin, line) = line_at(block, at);
                // A text for people may contain the same bytes.
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
    Ok(blocks.is_damaged())
}

/// The transaction id in its column, without parsing the rest of the line.
fn tx_of(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(quick_columns(line)?.1?).ok()
}

/// The lines around those of a transaction: syncs of its records, and events of its nodes.
fn around(logs: &Logs, lines: &[GatheredLine]) -> Result<Vec<GatheredLine>, TraceError> {
    let mut found = Vec::new();
    for (node, log) in logs.nodes.iter().enumerate() {
        let own: Vec<&GatheredLine> = lines.iter().filter(|line| line.node == node).collect();
        let (Some(first), Some(last)) = (own.first(), own.last()) else { continue };
        for record in &own {
            found.extend(sync_of(log, node, record)?);
        }
        let begun = found.len();
        node_events(log, node, first, last, &mut found)?;
        if !log.is_of_a_bank() {
            keep_own_runs(&mut found, begun, &own);
        }
    }
    Ok(found)
}

/// The first sync after the line of a record that covers it; none if the process ended before.
fn sync_of(
    log: &NodeLog,
    node: usize,
    record: &GatheredLine,
) -> Result<Option<GatheredLine>, TraceError> {
    let Some(seq) = record.step.as_ref().and_then(Step::seq) else { return Ok(None) };
    let mut sync = None;
    read_on(log, record.place, TRACE_SYNC_BYTES_MAX, |place, bytes| {
        let Some(line) = LogLine::parse(bytes).filter(|line| line.tx.is_none()) else {
            return ControlFlow::Continue(());
        };
        match line.event {
            "sync" => match line.step() {
                Some(Step::Sync { upto, .. }) if upto >= seq => {
                    sync = Some(GatheredLine::of(node, place, line));
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

/// Starts, ends, faults and lost links of a node, from shortly before its first line about the
/// transaction until shortly after its last; and the connections of a client to the banks, whose
/// lines have its ports.
fn node_events(
    log: &NodeLog,
    node: usize,
    first: &GatheredLine,
    last: &GatheredLine,
    found: &mut Vec<GatheredLine>,
) -> Result<(), TraceError> {
    let begin = (first.place.0, first.place.1.saturating_sub(TRACE_AROUND_BYTES));
    let length =
        if first.place.0 == last.place.0 { last.place.1 - begin.1 } else { TRACE_SYNC_BYTES_MAX };
    // If the first line is the doubt after a restart, the restart itself belongs to the timeline.
    let restarted = matches!(first.step, Some(Step::Doubt(_, DoubtCause::Restart)));
    let mut before = Vec::new();
    let mut down = BTreeSet::new();
    read_on(
        log,
        begin,
        (length + TRACE_AROUND_BYTES).min(TRACE_SYNC_BYTES_MAX),
        |place, bytes| {
            let Some(line) = LogLine::parse(bytes).filter(|line| line.tx.is_none()) else {
                return ControlFlow::Continue(());
            };
            let of_links = matches!(line.event, "link-down" | "link-up" | "connect" | "disconnect")
                && line.bank.is_some();
            if place < first.place {
                // Of earlier lines only connections to banks count, those of the same process.
                if line.event == "start" {
                    before.clear();
                }
                if (of_links && line.event == "connect") || (restarted && is_node_event(&line)) {
                    before.push(GatheredLine::of(node, place, line));
                }
            } else if !is_news(&mut down, &line) {
                // The same link is retried repeatedly.
            } else if (is_node_event(&line) || of_links)
                && (place < last.place || line.at_us <= last.at_us)
            {
                found.push(GatheredLine::of(node, place, line));
            }
            ControlFlow::Continue(())
        },
    )?;
    found.extend(before);
    Ok(())
}

/// A client's log is shared by all runs of that name, and most runs do not concern this
/// transaction. Keeps, of the lines found since `begun`, those of runs that do: from a start up to
/// the next one.
fn keep_own_runs(found: &mut Vec<GatheredLine>, begun: usize, own: &[&GatheredLine]) {
    let recent = found.split_off(begun);
    let starts: Vec<(usize, u64)> =
        recent.iter().filter(|line| line.event == "start").map(|line| line.place).collect();
    // A run is identified by the number of starts before it.
    let run = |place: (usize, u64)| starts.partition_point(|start| *start <= place);
    let runs: BTreeSet<usize> = own.iter().map(|line| run(line.place)).collect();
    found.extend(recent.into_iter().filter(|line| runs.contains(&run(line.place))));
}

/// Whether the line is about the node itself: a start, an end, a fault.
fn is_node_event(line: &LogLine<'_>) -> bool {
    matches!(line.event, "start" | "recover" | "ready" | "stop" | "fault")
}

/// Whether the line changes the known state of a link; `down` are the banks with lost links.
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

/// Reads on from a position through the node's newer files, at most `bytes_max` bytes.
fn read_on(
    log: &NodeLog,
    from: (usize, u64),
    bytes_max: u64,
    mut each: impl FnMut((usize, u64), &[u8]) -> ControlFlow<()>,
) -> Result<(), TraceError> {
    let mut read = 0;
    for (file, path) in log.files.iter().enumerate().skip(from.0) {
        let failed = |source| TraceError::Unreadable { path: path.clone(), source };
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
