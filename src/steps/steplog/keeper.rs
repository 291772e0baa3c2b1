//! Compresses the rotated files of a log and removes the oldest, on a thread that ends when nothing
//! is left to do. It runs only while the processor has nothing better to do: a bank under full load
//! rotates on, and its older files are compressed once it has time. They are bounded meanwhile, by
//! their number and size.

use super::file::{older, present};
use crate::compressed::{beside, compress_to, transactions_of, unfinished};
use consorcio_core::limits::LOG_KEEPER_NICENESS;
use consorcio_system::threads::{END_WITHIN, join_within, lower_priority};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Which rotated files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retention {
    /// At most so many files.
    pub(super) files: usize,
    /// Files are removed whose transactions are older than so many. Only compressed files tell
    /// theirs.
    pub(super) transactions: u64,
}

/// The work on the rotated files of one log.
#[derive(Debug)]
pub(super) struct LogKeeper {
    path: PathBuf,
    retention: Retention,
    names: Arc<Mutex<FileNames>>,
    work: Option<JoinHandle<io::Result<()>>>,
}

/// What the names of the rotated files are now. Whoever renames one of them holds its lock.
#[derive(Debug, Default)]
pub(super) struct FileNames {
    /// How often all numbers grew by one.
    shifts: usize,
    /// The thread will look for plain files again.
    working: bool,
}

impl FileNames {
    /// Renames each rotated file to the next number; one that is too old is removed. Runs over the
    /// numbers of the files that are kept.
    pub(super) fn shift(&mut self, path: &Path, files: usize) -> io::Result<()> {
        both(path, files).iter().try_for_each(|path| remove(path))?;
        for number in (1..files).rev() {
            for (from, to) in both(path, number).iter().zip(both(path, number + 1)) {
                present(fs::rename(from, to))?;
            }
        }
        self.shifts += 1;
        Ok(())
    }
}

impl LogKeeper {
    pub(super) fn new(path: &Path, retention: Retention) -> LogKeeper {
        LogKeeper { path: path.to_owned(), retention, names: Arc::default(), work: None }
    }

    /// The names, which do not change meanwhile. The thread holds this lock for some renames, and
    /// never while it reads or writes a file.
    pub(super) fn names(&self) -> MutexGuard<'_, FileNames> {
        locked(&self.names)
    }

    /// Begins with what was rotated, or left by a process that was killed, unless it is at work.
    pub(super) fn start(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.names().working, true) {
            return Ok(());
        }
        let done = self.take_result();
        let work = KeeperWork {
            path: self.path.clone(),
            retention: self.retention,
            names: Arc::clone(&self.names),
        };
        let thread = thread::Builder::new().name("step-log-zstd".to_owned());
        match thread.spawn(move || work.run()) {
            Ok(thread) => self.work = Some(thread),
            Err(error) => {
                self.names().working = false;
                return Err(error);
            }
        }
        done
    }

    /// The result of work that has ended.
    pub(super) fn take_result(&mut self) -> io::Result<()> {
        let is_working = self.names().working;
        match self.work.take_if(|work| !is_working || work.is_finished()) {
            Some(work) => work.join().unwrap_or_else(|_| {
                self.names().working = false;
                Err(io::Error::other("a panic"))
            }),
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

/// What the thread `step-log-zstd` does and needs.
struct KeeperWork {
    path: PathBuf,
    retention: Retention,
    names: Arc<Mutex<FileNames>>,
}

impl KeeperWork {
    fn run(self) -> io::Result<()> {
        lower_priority(LOG_KEEPER_NICENESS);
        let done = self.compress_all();
        if done.is_err() {
            locked(&self.names).working = false;
        }
        done
    }

    /// Compresses plain files until there is none, the newest first: those are read, and the oldest
    /// may go before their turn comes.
    fn compress_all(&self) -> io::Result<()> {
        loop {
            self.remove_old()?;
            let (number, shifts) = {
                let mut names = locked(&self.names);
                let mut numbers = numbers(&self.path, self.retention.files);
                let Some(number) = numbers.find(|number| older(&self.path, *number).exists())
                else {
                    names.working = false;
                    return Ok(());
                };
                (number, names.shifts)
            };
            self.compress(number, shifts)?;
        }
    }

    /// Compresses the file that had this number when there had been so many shifts. Killed
    /// anywhere, it leaves one complete file or two: a complete copy, its sync, its name, and the
    /// end of the plain one, in this order.
    fn compress(&self, number: usize, shifts: usize) -> io::Result<()> {
        let now = |names: &FileNames| number + (names.shifts - shifts);
        let is_kept = |number: usize| number <= self.retention.files;
        let copy = unfinished(&self.path);
        let plain = {
            let names = locked(&self.names);
            let [compressed, plain] = both(&self.path, now(&names));
            if compressed.exists() {
                // Killed after the compressed file had its name, which it gets when it is complete.
                return remove(&plain);
            }
            // A file that an earlier version did not complete.
            remove(&unfinished(&plain))?;
            match File::open(plain) {
                // A rotation has removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                opened => opened?,
            }
        };
        if let Err(error) = compress_to(plain, &copy) {
            let _ = fs::remove_file(&copy);
            return Err(error);
        }
        {
            let names = locked(&self.names);
            if !is_kept(now(&names)) {
                return remove(&copy);
            }
            fs::rename(&copy, &both(&self.path, now(&names))[0])?;
        }
        // The name is durable before the lines go.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        let names = locked(&self.names);
        if is_kept(now(&names)) { remove(&both(&self.path, now(&names))[1]) } else { Ok(()) }
    }

    /// Removes the files whose transactions are all older than those to keep. Runs over the rotated
    /// files.
    fn remove_old(&self) -> io::Result<()> {
        let (opened, shifts) = {
            let names = locked(&self.names);
            let mut opened = Vec::new();
            for number in numbers(&self.path, self.retention.files) {
                let [compressed, plain] = both(&self.path, number);
                let is_plain = plain.exists();
                opened.push((number, if is_plain { None } else { File::open(compressed).ok() }));
            }
            (opened, names.shifts)
        };
        let mut transactions = 0;
        for (number, file) in opened {
            if transactions >= self.retention.transactions {
                let names = locked(&self.names);
                let now = number + (names.shifts - shifts);
                if now <= self.retention.files {
                    both(&self.path, now).iter().try_for_each(|path| remove(path))?;
                }
            } else if let Some(mut file) = file {
                transactions += transactions_of(&mut file)?;
            }
        }
        Ok(())
    }
}

/// The numbers of the rotated files that there are: they have no gaps.
fn numbers(path: &Path, files: usize) -> impl Iterator<Item = usize> {
    let path = path.to_owned();
    (1..=files).take_while(move |number| both(&path, *number).iter().any(|path| path.exists()))
}

/// The compressed file with this number, and the plain one.
fn both(path: &Path, number: usize) -> [PathBuf; 2] {
    let plain = older(path, number);
    [beside(&plain), plain]
}

fn remove(path: &Path) -> io::Result<()> {
    present(fs::remove_file(path))
}

fn locked(names: &Mutex<FileNames>) -> MutexGuard<'_, FileNames> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}
