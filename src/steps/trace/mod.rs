//! One transaction over all nodes: reads the step logs of banks and clients, merges what they tell
//! of it into one timeline in which causes come before effects whatever the clocks say, and draws
//! that.
//!
//! `files` finds the logs, `blocks` reads them, `gather` takes out what one transaction
//! needs and `scan` finds the transactions worth looking at. `pair` joins what was sent with what
//! came, `clocks` and `order` put all of it on one time, `build` makes the `Timeline`, `path` says
//! where its time went, `words` and `svg` show it.
//!
//! Architecture invariant: nothing here talks to a bank or prints. A log is a story for people:
//! what is missing, torn or unknown in it makes a timeline poorer, never an error.

mod blocks;
mod build;
mod clocks;
mod files;
mod gather;
mod judge;
mod order;
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

pub use files::{Logs, NodeLog};
pub use scan::{Found, Wanted};
pub use svg::Embedding;
pub use timeline::{
    Call, Lane, LaneKind, Leg, LegKind, Span, SpanKind, Timeline, TracedEvent, Verdict,
};
pub use words::duration;

use std::io;
use std::path::PathBuf;

/// Why there is no timeline.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// There is no log where logs were looked for.
    #[error("no step log (*.log) in {0}; --logs names the folders of the nodes' logs")]
    NoLogs(String),
    /// A file or folder can't be read.
    #[error("{path} can't be read: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No log tells of this transaction.
    #[error("no step log tells of transaction {tx}; looked into {looked}")]
    Unknown {
        /// Its id.
        tx: String,
        /// Where was looked.
        looked: String,
    },
}

impl Logs {
    /// The timeline of `tx`.
    ///
    /// # Errors
    /// When no log tells of it, or one can't be read.
    pub fn timeline(&self, tx: &str) -> Result<Timeline, Trouble> {
        let gathered = gather::gather(self, &[tx.to_owned()])?;
        let noted = gathered.into_iter().next().unwrap_or_default();
        if noted.is_empty() {
            return Err(Trouble::Unknown { tx: tx.to_owned(), looked: self.in_words() });
        }
        Ok(build::build(self, tx, noted))
    }

    /// The timelines of the transactions that `wanted` asks for, the first of them first.
    ///
    /// # Errors
    /// When a log can't be read.
    pub fn find(&self, wanted: Wanted) -> Result<Vec<Timeline>, Trouble> {
        let candidates = scan::scan(self, wanted)?;
        let ids: Vec<String> = candidates.iter().map(|found| found.tx.clone()).collect();
        let gathered = gather::gather(self, &ids)?;
        let timelines = ids.iter().zip(gathered).filter(|(_, noted)| !noted.is_empty());
        let timelines = timelines.map(|(tx, noted)| build::build(self, tx, noted)).collect();
        Ok(scan::choose(wanted, timelines))
    }
}
