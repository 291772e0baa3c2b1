//! Finds the transactions worth looking at: one pass over all logs, in bounded memory, each node's
//! files in their order.
//!
//! What one node tells is enough to be a candidate; the candidates' timelines then say what became
//! of them.

use super::Trouble;
use super::blocks::{Blocks, lines};
use super::files::{Logs, NodeLog};
use super::gather::each_at_once;
use super::timeline::{Timeline, Verdict};
use crate::line::{Ending, LogLine, Step, time};
use consorcio_core::wire::verb::Verb;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

/// Which transactions, and how many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those that took longest until the last bank knew, slowest first.
    Slowest(usize),
    /// The newest that were aborted.
    Aborted(usize),
    /// Those that the logs tell no outcome of, oldest first.
    Doubtful(usize),
}

impl Wanted {
    fn count(self) -> usize {
        match self {
            Wanted::Slowest(count) | Wanted::Aborted(count) | Wanted::Doubtful(count) => count,
        }
    }
}

/// A transaction as one node's log tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// What it is chosen by; greater is better.
    pub rank: i64,
    /// Its id.
    pub tx: String,
}

/// Transactions under way that are remembered for each node. Past that the oldest half is
/// forgotten: their ends would be behind millions of other lines, or are not in this log.
const OPEN_MAX: usize = 1_000_000;
/// Candidates are so many more than are wanted: one node's view may be wrong, another's may say
/// more.
const SPARE: usize = 4;
/// ... and of doubtful ones at most so many are looked at closely.
const DOUBTFUL_MAX: usize = 500;

/// Candidates over all logs, best first, each once.
///
/// # Errors
/// When a file can't be read.
pub fn scan(logs: &Logs, wanted: Wanted) -> Result<Vec<Found>, Trouble> {
    let mut best: BTreeMap<String, i64> = BTreeMap::new();
    for found in each_at_once(&logs.nodes, |node| scan_node(node, wanted)) {
        for Found { rank, tx } in found? {
            let known = best.entry(tx).or_insert(rank);
            *known = (*known).max(rank);
        }
    }
    let mut all: Vec<Found> = best.into_iter().map(|(tx, rank)| Found { rank, tx }).collect();
    all.sort_by(|one, other| other.cmp(one));
    all.truncate(candidates(wanted));
    Ok(all)
}

fn candidates(wanted: Wanted) -> usize {
    match wanted {
        Wanted::Slowest(count) | Wanted::Aborted(count) => count.saturating_mul(SPARE),
        Wanted::Doubtful(count) => count.max(DOUBTFUL_MAX),
    }
}

/// Of the candidates' timelines those that are what was wanted, best first.
pub fn choose(wanted: Wanted, mut timelines: Vec<Timeline>) -> Vec<Timeline> {
    match wanted {
        Wanted::Slowest(_) => timelines.sort_by_key(|timeline| Reverse(timeline.took_us())),
        Wanted::Aborted(_) => {
            timelines.retain(|timeline| timeline.verdict == Verdict::Aborted);
            timelines.sort_by_key(|timeline| Reverse(timeline.began_us));
        }
        Wanted::Doubtful(_) => {
            timelines.retain(|timeline| timeline.verdict == Verdict::Undecided);
            timelines.sort_by_key(|timeline| timeline.began_us);
        }
    }
    timelines.truncate(wanted.count());
    timelines
}

/// The best of what was seen, so many at most.
struct Best {
    most: usize,
    heap: BinaryHeap<Reverse<Found>>,
}

impl Best {
    fn offer(&mut self, rank: i64, tx: &[u8]) {
        let full = self.heap.len() >= self.most;
        if full && self.heap.peek().is_none_or(|Reverse(worst)| worst.rank >= rank) {
            return;
        }
        let Ok(tx) = std::str::from_utf8(tx) else { return };
        self.heap.push(Reverse(Found { rank, tx: tx.to_owned() }));
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }
}

/// A transaction under way at one node.
#[derive(Debug, Clone, Copy)]
struct Open {
    began_us: i64,
    /// This bank has promised.
    voted: bool,
    /// Some client drives it.
    driven: bool,
}

struct Scan {
    wanted: Wanted,
    open: HashMap<Box<[u8]>, Open>,
    best: Best,
}

fn scan_node(log: &NodeLog, wanted: Wanted) -> Result<Vec<Found>, Trouble> {
    let best = Best { most: candidates(wanted), heap: BinaryHeap::new() };
    let mut scan = Scan { wanted, open: HashMap::new(), best };
    for path in &log.files {
        let failed = |source| Trouble::Unreadable { path: path.clone(), source };
        let mut blocks = Blocks::open(path, 0).map_err(failed)?;
        while let Some((offset, block)) = blocks.next().map_err(failed)? {
            lines(offset, block, |_, line| {
                scan.line(line);
                true
            });
        }
    }
    if let Wanted::Doubtful(_) = wanted {
        let left = scan.open.iter().filter(|(_, open)| open.voted || open.driven);
        for (tx, open) in left {
            scan.best.offer(-open.began_us, tx);
        }
    }
    Ok(scan.best.heap.into_iter().map(|Reverse(found)| found).collect())
}

/// The event of a line and its transaction.
fn columns(line: &[u8]) -> Option<(&[u8], &[u8])> {
    const EVENT_AT: usize = 28;
    let (event, rest) = word(line.get(EVENT_AT..)?)?;
    let (tx, _) = word(rest)?;
    Some((event, tx.strip_prefix(b"tx=")?))
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = &text[text.iter().position(|byte| *byte != b' ')?..];
    Some(text.split_at(memchr::memchr(b' ', text).unwrap_or(text.len())))
}

impl Scan {
    fn line(&mut self, line: &[u8]) {
        let Some((event, tx)) = columns(line) else { return };
        // The whole of a line is read only where it can matter.
        let matters = match event {
            b"recv" | b"send" | b"vote" | b"refuse" | b"outcome" | b"verdict" => tx != b"-",
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
                Ending::Unknown(_) => {}
                Ending::Aborted(..) | Ending::Outside(_, Some(_)) => self.end(line, tx, true),
                Ending::Committed(_) | Ending::Outside(_, None) | Ending::Unreached => {
                    self.end(line, tx, false)
                }
            },
            // One that does not vote itself knows an outcome by what it replies, or hears, to an
            // EXECUTE; an answer that names its verb is a driver's, who has a verdict.
            Step::Reply { said, .. } => match said.word {
                "ABORTED" => self.end(line, tx, true),
                "COMMITTED" => self.end(line, tx, false),
                _ => {
                    self.open.remove(tx);
                }
            },
            Step::Answer { verb: None, said: Some(said), .. } => match said.word {
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
        if self.open.len() >= OPEN_MAX {
            let mut times: Vec<i64> = self.open.values().map(|open| open.began_us).collect();
            let (_, median, _) = times.select_nth_unstable(OPEN_MAX / 2);
            let median = *median;
            self.open.retain(|_, open| open.began_us > median);
        }
        self.open.insert(tx.into(), Open { began_us, voted: false, driven });
    }

    fn end(&mut self, line: &[u8], tx: &[u8], aborted: bool) {
        let Some(open) = self.open.remove(tx) else { return };
        match self.wanted {
            Wanted::Slowest(_) => {
                let took = time(line).unwrap_or(open.began_us) - open.began_us;
                self.best.offer(took, tx);
            }
            Wanted::Aborted(_) if aborted => self.best.offer(open.began_us, tx),
            Wanted::Aborted(_) | Wanted::Doubtful(_) => {}
        }
    }
}
