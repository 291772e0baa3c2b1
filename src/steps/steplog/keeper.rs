//! Compresses the rotated files of a log and removes the oldest, on a thread that lives for one
//! rotation: neither the bank nor the writer of the log waits for it.

use super::file::older;
use crate::compressed::{FrameList, beside, compress, unfinished};
use consorcio_system::threads::{END_WITHIN, join_within};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

/// Which rotated files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retention {
    /// At most so many files.
    pub(super) files: usize,
    /// Files are removed whose transactions are older than so many.
    pub(super) transactions: u64,
}

/// The work on the rotated files of one log.
#[derive(Debug)]
pub(super) struct LogKeeper {
    path: PathBuf,
    retention: Retention,
    work: Option<JoinHandle<io::Result<()>>>,
}

impl LogKeeper {
    pub(super) fn new(path: &Path, retention: Retention) -> LogKeeper {
        LogKeeper { path: path.to_owned(), retention, work: None }
    }

    /// Whether it works; file names must not change meanwhile.
    pub(super) fn is_busy(&self) -> bool {
        self.work.as_ref().is_some_and(|work| !work.is_finished())
    }

    /// Begins with what was rotated, or left by a process that was killed.
    pub(super) fn start(&mut self) -> io::Result<()> {
        let done = self.take_result();
        let (path, retention) = (self.path.clone(), self.retention);
        let work = thread::Builder::new().name("step-log-zstd".to_owned());
        self.work = Some(work.spawn(move || keep(&path, retention))?);
        done
    }

    /// The result of work that has ended.
    pub(super) fn take_result(&mut self) -> io::Result<()> {
        match self.work.take_if(|work| work.is_finished()) {
            Some(work) => work.join().unwrap_or_else(|_| Err(io::Error::other("a panic"))),
            None => Ok(()),
        }
    }

    /// Waits a moment for its end. What is not finished then is done at the next start.
    pub(super) fn end(&mut self) {
        if let Some(work) = self.work.take() {
            join_within(work, END_WITHIN);
        }
    }
}

/// Whether a plain file is left to be compressed.
pub(super) fn has_work(path: &Path, files: usize) -> bool {
    numbers(path, files).any(|number| older(path, number).exists())
}

/// The numbers of the rotated files that there are: they have no gaps.
fn numbers(path: &Path, files: usize) -> impl Iterator<Item = usize> {
    let path = path.to_owned();
    (1..=files).take_while(move |number| {
        let plain = older(&path, *number);
        plain.exists() || beside(&plain).exists()
    })
}

/// Compresses each plain file, and removes those that hold only transactions older than the ones to
/// keep. Runs over the rotated files.
fn keep(path: &Path, retention: Retention) -> io::Result<()> {
    let mut transactions = 0;
    for number in numbers(path, retention.files).collect::<Vec<_>>() {
        let plain = older(path, number);
        let _ = fs::remove_file(unfinished(&plain));
        if transactions >= retention.transactions {
            remove(&plain)?;
            remove(&beside(&plain))?;
            continue;
        }
        if plain.exists() {
            if beside(&plain).exists() {
                // Killed after the compressed file had its name, which it gets when it is complete.
                remove(&plain)?;
            } else {
                compress(&plain)?;
            }
        }
        let list = FrameList::read(&mut File::open(beside(&plain))?)?;
        transactions += list.map_or(0, |list| list.transactions);
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
