//! Finds slow, aborted and undecided transactions: one pass over all logs, in bounded memory, each
//! node's files in order.
//!
//! The log of one node makes a transaction a candidate; the outcome comes from the candidates'
//! timelines.

use super::TraceError;
use super::blocks::{Blocks, lines};
use super::files::{Logs, NodeLog};
use super::gather::each_at_once;
use super::timeline::{Timeline, TraceVerdict};
use crate::line::{LogLine, LoggedOutcome, Step, quick_columns, time};
use consorcio_core::limits::{TRACE_CANDIDATES_PER_RESULT, TRACE_DOUBTFUL_MAX, TRACE_OPEN_MAX};
use consorcio_core::wire::verb::Verb;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::path::PathBuf;

/// The kind of transactions to find, and how many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceQuery {
    /// Those that took longest until the last bank knew the outcome, slowest first.
    Slowest(usize),
    /// The newest that were aborted.
    Aborted(usize),
    /// Those without an outcome in the logs, oldest first.
    Doubtful(usize),
}

impl TraceQuery {
    fn count(self) -> usize {
        match self {
            TraceQuery::Slowest(count)
            | TraceQuery::Aborted(count)
            | TraceQuery::Doubtful(count) => count,
        }
    }
}

/// A transaction that one node's log suggests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The value that it is ranked by; greater is better.
    pub rank: i64,
    /// The id of the transaction.
    pub tx: String,
}

/// The candidates of all logs, best first, each once; and the compressed files that can't be
/// decoded to their end.
///
/// # Errors
/// If a file can't be read.
pub(super) fn scan(logs: &Logs, query: TraceQuery) -> Result<NodeCandidates, TraceError> {
    let mut best: BTreeMap<String, i64> = BTreeMap::new();
    let mut damaged = Vec::new();
    for found in each_at_once(&logs.nodes, |node| scan_node(node, query)) {
        let (found, of_node) = found?;
        damaged.extend(of_node);
        for Candidate { rank, tx } in found {
            let known = best.entry(tx).or_insert(rank);
            *known = (*known).max(rank);
        }
    }
    let mut all: Vec<Candidate> =
        best.into_iter().map(|(tx, rank)| Candidate { rank, tx }).collect();
    all.sort_by(|one, other| other.cmp(one));
    all.truncate(candidates(query));
    Ok((all, damaged))
}

/// Candidates, and damaged files.
type NodeCandidates = (Vec<Candidate>, Vec<PathBuf>);

fn candidates(query: TraceQuery) -> usize {
    match query {
        TraceQuery::Slowest(count) | TraceQuery::Aborted(count) => {
            count.saturating_mul(TRACE_CANDIDATES_PER_RESULT)
        }
        TraceQuery::Doubtful(count) => count.max(TRACE_DOUBTFUL_MAX),
    }
}

/// The timelines that match the query, best first.
pub(super) fn choose(query: TraceQuery, mut timelines: Vec<Timeline>) -> Vec<Timeline> {
    match query {
        TraceQuery::Slowest(_) => timelines.sort_by_key(|timeline| Reverse(timeline.took_us())),
        TraceQuery::Aborted(_) => {
            timelines.retain(|timeline| timeline.verdict == TraceVerdict::Aborted);
            timelines.sort_by_key(|timeline| Reverse(timeline.began_us));
        }
        TraceQuery::Doubtful(_) => {
            timelines.retain(|timeline| timeline.verdict == TraceVerdict::Undecided);
            timelines.sort_by_key(|timeline| timeline.began_us);
        }
    }
    timelines.truncate(query.count());
    timelines
}

/// The best candidates seen so far, `most` of them.
struct TopCandidates {
    most: usize,
    heap: BinaryHeap<Reverse<Candidate>>,
}

impl TopCandidates {
    fn offer(&mut self, rank: i64, tx: &[u8]) {
        let full = self.heap.len() >= self.most;
        if full && self.heap.peek().is_none_or(|Reverse(worst)| worst.rank >= rank) {
            return;
        }
        let Ok(tx) = std::str::from_utf8(tx) else { return };
        self.heap.push(Reverse(Candidate { rank, tx: tx.to_owned() }));
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }
}

/// A transaction under way at one node.
#[derive(Debug, Clone, Copy)]
struct OpenTransaction {
    began_us: i64,
    /// This bank has voted OK.
    voted: bool,
    /// The log is that of a client that drives it.
    driven: bool,
}

struct LogScan {
    query: TraceQuery,
    open: HashMap<Box<[u8]>, OpenTransaction>,
    best: TopCandidates,
}

fn scan_node(log: &NodeLog, query: TraceQuery) -> Result<NodeCandidates, TraceError> {
    let mut damaged = Vec::new();
    let best = TopCandidates { most: candidates(query), heap: BinaryHeap::new() };
    let mut scan = LogScan { query, open: HashMap::new(), best };
    for path in &log.files {
        let failed = |source| TraceError::Unreadable { path: path.clone(), source };
        let mut blocks = Blocks::open(path, 0).map_err(failed)?;
        while let Some((offset, block)) = blocks.next().map_err(failed)? {
            lines(offset, block, |_, line| {
                scan.line(line);
                true
            });
        }
        if blocks.is_damaged() {
            damaged.push(path.clone());
        }
    }
    if let TraceQuery::Doubtful(_) = query {
        let left = scan.open.iter().filter(|(_, open)| open.voted || open.driven);
        for (tx, open) in left {
            scan.best.offer(-open.began_us, tx);
        }
    }
    Ok((scan.best.heap.into_iter().map(|Reverse(found)| found).collect(), damaged))
}

impl LogScan {
    fn line(&mut self, line: &[u8]) {
        let Some((event, Some(tx))) = quick_columns(line) else { return };
        // A line is parsed only if it can matter.
        let matters = match event {
            b"recv" | b"send" | b"vote" | b"refuse" | b"outcome" | b"verdict" => true,
            b"reply" | b"answer" => self.open.get(tx).is_some_and(|open| !open.voted),
            _ => false,
        };
        if !matters {
            return;
        }
        let Some(step) = LogLine::parse(line).and_then(|line| line.step()) else { return };
        match step {
            Step::Receive { verb: Verb::Prepare | Verb::Execute, .. } => {
                self.begin(line, tx, false)
            }
            Step::Send { verb: Verb::Prepare | Verb::Execute, .. } => self.begin(line, tx, true),
            Step::Vote { refusal: Some(_), .. } => self.end(line, tx, true),
            Step::Vote { refusal: None, .. } => {
                if let Some(open) = self.open.get_mut(tx) {
                    open.voted = true;
                }
            }
            Step::Refuse { .. } => {
                self.begin(line, tx, false);
                self.end(line, tx, true);
            }
            Step::Outcome { ending, .. } | Step::Verdict { ending, .. } => match ending {
                LoggedOutcome::Unknown(_) => {}
                LoggedOutcome::Aborted(..) | LoggedOutcome::Outside(_, Some(_)) => {
                    self.end(line, tx, true)
                }
                LoggedOutcome::Committed(_)
                | LoggedOutcome::Outside(_, None)
                | LoggedOutcome::Unreached => self.end(line, tx, false),
            },
            // A node that does not vote knows the outcome from its reply to EXECUTE, or from the
            // reply that it received. A reply with a verb belongs to a driver, which logs a
            // verdict.
            Step::Reply { summary, .. } => match summary.word {
                "ABORTED" => self.end(line, tx, true),
                "COMMITTED" => self.end(line, tx, false),
                _ => {
                    self.open.remove(tx);
                }
            },
            Step::Answer { verb: None, summary: Some(summary), .. } => match summary.word {
                "ABORTED" => self.end(line, tx, true),
                "COMMITTED" => self.end(line, tx, false),
                _ => {}
            },
            _ => {}
        }
    }

    fn begin(&mut self, line: &[u8], tx: &[u8], driven: bool) {
        if self.open.contains_key(tx) {
            return;
        }
        let Some(began_us) = time(line) else { return };
        if self.open.len() >= TRACE_OPEN_MAX {
            let mut times: Vec<i64> = self.open.values().map(|open| open.began_us).collect();
            let (_, median, _) = times.select_nth_unstable(TRACE_OPEN_MAX / 2);
            let median = *median;
            self.open.retain(|_, open| open.began_us > median);
        }
        self.open.insert(tx.into(), OpenTransaction { began_us, voted: false, driven });
    }

    fn end(&mut self, line: &[u8], tx: &[u8], aborted: bool) {
        let Some(open) = self.open.remove(tx) else { return };
        match self.query {
            TraceQuery::Slowest(_) => {
                let took = time(line).unwrap_or(open.began_us) - open.began_us;
                self.best.offer(took, tx);
            }
            TraceQuery::Aborted(_) if aborted => self.best.offer(open.began_us, tx),
            TraceQuery::Aborted(_) | TraceQuery::Doubtful(_) => {}
        }
    }
}
