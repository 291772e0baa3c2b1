//! Follows the step logs of all nodes while they are written: one stream of steps, in the order of
//! their times. `file` reads what is appended to one log, over its rotations.
//!
//! Architecture invariant: nothing here connects to a bank, prints, or waits; the caller polls.

mod file;
#[cfg(test)]
mod tests;

use crate::line::{LogLine, Step};
use crate::trace::{Logs, NodeLog, TraceError};
use consorcio_core::limits::{FOLLOW_HELD_MAX, FOLLOW_HOLD_US};
use file::FollowedFile;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// A step of some node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedStep {
    /// Microseconds since 1970 by the node's wall clock.
    pub at_us: i64,
    /// The node whose log has it.
    pub node: Arc<FollowedNode>,
    /// The word of the event.
    pub event: String,
    /// The transaction, if the step concerns one.
    pub tx: Option<String>,
    /// Address and port of the other end.
    pub peer: Option<String>,
    /// The bank at the other end.
    pub other: Option<u8>,
    /// The fields, as in the line.
    pub detail: String,
}

/// The node that wrote a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedNode {
    /// From the name of its log: `servidor-8886` or `cliente-1`.
    pub name: String,
    /// Its position in the consortium, if it is a bank.
    pub bank: Option<u8>,
}

impl FollowedStep {
    /// The step with its fields. `None` where this version has no such event, or another form.
    pub fn step(&self) -> Option<Step> {
        let line = LogLine {
            at_us: self.at_us,
            event: &self.event,
            tx: self.tx.as_deref(),
            peer: self.peer.as_deref(),
            bank: self.other,
            detail: Cow::Borrowed(&self.detail),
        };
        line.step()
    }
}

/// What one poll has found.
#[derive(Debug, Default)]
pub struct FollowedBatch {
    /// Steps in the order of their times, each later than those of the poll before unless its node
    /// wrote it late.
    pub steps: Vec<FollowedStep>,
    /// Whether more is in the files already: poll again at once.
    pub more: bool,
}

/// Follows all logs in some folders, those that appear later included.
pub struct StepFollower {
    folders: Vec<PathBuf>,
    files: BTreeMap<PathBuf, FollowedFile>,
    /// Steps that wait for earlier ones of other nodes, by time and by order of reading.
    held: BTreeMap<(i64, u64), FollowedStep>,
    read: u64,
}

impl StepFollower {
    /// Follows from now on: what the logs have already is left out.
    ///
    /// # Errors
    /// If a folder can't be read, or none holds a log.
    pub fn open(folders: &[PathBuf]) -> Result<StepFollower, TraceError> {
        let logs = Logs::open(folders)?;
        let mut follower = StepFollower {
            folders: folders.to_vec(),
            files: BTreeMap::new(),
            held: BTreeMap::new(),
            read: 0,
        };
        for node in &logs.nodes {
            if let Some(path) = node.files.last() {
                let mut file = FollowedFile::new(path.clone(), of_node(node));
                file.skip_to_end();
                follower.files.insert(path.clone(), file);
            }
        }
        Ok(follower)
    }

    /// The nodes whose logs are followed now.
    pub fn nodes(&self) -> impl Iterator<Item = &FollowedNode> {
        self.files.values().map(FollowedFile::node)
    }

    /// Leaves out what the logs have and was not read yet, for a caller that can't keep up.
    pub fn skip_to_end(&mut self) {
        self.held.clear();
        self.files.values_mut().for_each(FollowedFile::skip_to_end);
    }

    /// Looks for logs that are new since the last call.
    ///
    /// # Errors
    /// If a folder can't be read.
    pub fn find_new(&mut self) -> Result<(), TraceError> {
        let logs = match Logs::open(&self.folders) {
            Ok(logs) => logs,
            // The logs may be removed while they are followed; others may come.
            Err(TraceError::NoLogs(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let current: BTreeSet<PathBuf> =
            logs.nodes.iter().filter_map(|node| node.files.last().cloned()).collect();
        self.files.retain(|path, file| current.contains(path) || file.is_open());
        for node in &logs.nodes {
            let Some(path) = node.files.last() else { continue };
            let file = self.files.entry(path.clone());
            let file = file.or_insert_with(|| FollowedFile::new(path.clone(), of_node(node)));
            file.name(node.bank);
        }
        Ok(())
    }

    /// Reads what was appended. Steps younger than `FOLLOW_HOLD_US` at the time `now_us` wait for
    /// the next poll, as another node may still write an earlier one.
    ///
    /// # Errors
    /// If a log can't be read; the others were.
    pub fn poll(&mut self, now_us: i64) -> Result<FollowedBatch, TraceError> {
        let mut more = false;
        let mut failed = None;
        for file in self.files.values_mut() {
            let node = file.shared_node();
            let (held, read) = (&mut self.held, &mut self.read);
            let result = file.read(|line| {
                let Some(line) = LogLine::parse(line) else { return };
                *read += 1;
                held.insert((line.at_us, *read), followed(&line, &node));
            });
            match result {
                Ok(is_behind) => more |= is_behind,
                Err(source) => {
                    let path = file.path().to_owned();
                    failed.get_or_insert(TraceError::Unreadable { path, source });
                }
            }
        }
        let mut steps = Vec::new();
        while let Some(first) = self.held.first_entry() {
            let is_old = first.key().0 <= now_us - FOLLOW_HOLD_US;
            if !is_old && self.held.len() <= FOLLOW_HELD_MAX {
                break;
            }
            let (_, step) = self.held.pop_first().expect("there is a first one");
            steps.push(step);
        }
        match failed {
            Some(error) if steps.is_empty() => Err(error),
            Some(_) | None => Ok(FollowedBatch { steps, more }),
        }
    }
}

fn of_node(node: &NodeLog) -> FollowedNode {
    FollowedNode { name: node.name.clone(), bank: node.bank }
}

fn followed(line: &LogLine<'_>, node: &Arc<FollowedNode>) -> FollowedStep {
    FollowedStep {
        at_us: line.at_us,
        node: Arc::clone(node),
        event: line.event.to_owned(),
        tx: line.tx.map(str::to_owned),
        peer: line.peer.map(str::to_owned),
        other: line.bank,
        detail: line.detail.clone().into_owned(),
    }
}
