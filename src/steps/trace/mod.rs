//! One transaction over all nodes: reads the step logs of banks and clients, merges their lines
//! into one timeline in which causes precede effects whatever the clocks show, and draws it.
//!
//! `files` finds the logs, `blocks` reads them, `gather` collects the lines of a transaction,
//! `scan` finds slow, aborted and undecided ones. `pair` matches sent requests with received ones,
//! `clocks` and `order` put all events on one time, `build` makes the `Timeline`, `judge` derives
//! its outcome, `path` attributes its duration, `words` and `svg` render it.
//!
//! Architecture invariant: nothing here connects to a bank or prints. Logs are for people: lines
//! that are missing, torn or unknown make a timeline incomplete, never an error.

mod blocks;
mod build;
mod caveats;
mod clocks;
#[cfg(test)]
mod file_tests;
mod files;
mod gather;
mod judge;
mod order;
mod outages;
mod pair;
#[cfg(test)]
mod pair_tests;
mod path;
mod scan;
mod spans;
mod svg;
#[cfg(test)]
mod tests;
mod timeline;
mod words;
#[cfg(test)]
mod written;

pub use caveats::Caveat;
pub use files::{Logs, NodeLog};
pub use outages::Outage;
pub use scan::{Candidate, TraceQuery};
pub use svg::Embedding;
pub use timeline::{
    Lane, LaneKind, Leg, LegKind, Share, SpanKind, Timeline, TraceVerdict, TracedCall, TracedEvent,
    TracedSpan,
};
pub use words::{duration, reason_in_words};

use consorcio_core::limits::TRACE_READS_MAX;
use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

/// Why there is no timeline.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The folders that were searched hold no log.
    #[error("no step log (*.log) in {0}; --logs names the folders of the nodes' logs")]
    NoLogs(String),
    /// A file or folder can't be read.
    #[error("{path} can't be read: {source}")]
    Unreadable {
        /// The path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// No log has a line of this transaction.
    #[error("no step log has transaction {tx}; searched {searched}")]
    Unknown {
        /// The id of the transaction.
        tx: String,
        /// The logs that were searched.
        searched: String,
    },
}

/// The result of a search over all logs.
#[derive(Debug, Clone)]
pub struct FoundTransactions {
    /// The timelines, best first.
    pub timelines: Vec<Timeline>,
    /// Compressed files that can't be decoded to their end: they may have had more.
    pub damaged: Vec<PathBuf>,
}

impl Logs {
    /// The timeline of `tx`.
    ///
    /// # Errors
    /// If no log has a line of it, or one can't be read.
    pub fn timeline(&self, tx: &str) -> Result<Timeline, TraceError> {
        self.steadily(|logs| {
            let gathered = gather::gather(logs, &[tx.to_owned()])?;
            let lines = gathered.lines.into_iter().next().unwrap_or_default();
            if lines.is_empty() {
                let damaged = gathered.damaged.iter().cloned().map(|path| {
                    format!(
                        "; {}",
                        Caveat::Damaged(path).in_words(consorcio_words::process::lang())
                    )
                });
                let searched =
                    logs.in_words() + &logs.cuts_in_words() + &damaged.collect::<String>();
                return Err(TraceError::Unknown { tx: tx.to_owned(), searched });
            }
            Ok(with_damage(build::build(logs, tx, lines), &gathered.damaged))
        })
    }

    /// The transactions that `query` selects, in its order.
    ///
    /// # Errors
    /// If a log can't be read.
    pub fn find(&self, query: TraceQuery) -> Result<FoundTransactions, TraceError> {
        self.steadily(|logs| {
            let (candidates, mut all_damaged) = scan::scan(logs, query)?;
            let ids: Vec<String> =
                candidates.iter().map(|candidate| candidate.tx.clone()).collect();
            let gathered = gather::gather(logs, &ids)?;
            let gather::GatheredLines { lines, damaged } = gathered;
            let found = ids.iter().zip(lines).filter(|(_, lines)| !lines.is_empty());
            let timelines =
                found.map(|(tx, lines)| with_damage(build::build(logs, tx, lines), &damaged));
            let timelines = scan::choose(query, timelines.collect());
            all_damaged.extend(damaged);
            all_damaged.sort();
            all_damaged.dedup();
            Ok(FoundTransactions { timelines, damaged: all_damaged })
        })
    }

    /// Reads these logs, and those found anew if a file was rotated, and so renamed, meanwhile.
    fn steadily<T>(&self, read: impl Fn(&Logs) -> Result<T, TraceError>) -> Result<T, TraceError> {
        let mut logs = Cow::Borrowed(self);
        for _ in 1..TRACE_READS_MAX {
            match read(&logs) {
                Err(TraceError::Unreadable { source, .. })
                    if source.kind() == io::ErrorKind::NotFound =>
                {
                    logs = Cow::Owned(self.found_anew()?);
                }
                done => return done,
            }
        }
        read(&logs)
    }
}

/// Notes the damaged files, which may have had lines of the transaction.
fn with_damage(mut timeline: Timeline, damaged: &[PathBuf]) -> Timeline {
    timeline.notes.extend(damaged.iter().cloned().map(Caveat::Damaged));
    timeline
}
