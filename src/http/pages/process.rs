//! The processes of a demonstration: each bank tells, in one folder, who it is and how it was
//! started; whoever has a panel can then stop, freeze, thaw, kill and restart any of them. For a
//! test consortium on this machine only.
//!
//! What stands in the folder decides which process is ended and how a bank is started again. So the
//! folder and its files must belong to this user alone, no link is followed, only banks of the list
//! are known, and what is started is always this very program.

use consorcio_core::ids::{BankId, BankSet};
use consorcio_system::config::LEFT;
use rustix::fs::{FileType, Mode, OFlags, Stat as FileStat, fstat, open, openat, renameat};
use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// A bank's file is far shorter; what is longer is none.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// The demonstration that this bank takes part in.
#[derive(Debug, Clone)]
pub struct Demo {
    path: PathBuf,
    /// The folder itself: its path may come to lead elsewhere.
    folder: Arc<OwnedFd>,
    /// Banks that stand in the list.
    banks: BankSet,
    /// This very program, which alone is started.
    program: PathBuf,
}

/// Something about a bank's process could not be done.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder or a file in it.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// The folder or a file in it might be somebody else's.
    #[error("{0}: {1}")]
    Unsafe(PathBuf, &'static str),
    /// This bank never told how it was started.
    #[error("banco {0} não faz parte desta demonstração")]
    Unknown(u8),
    /// The system refused.
    #[error("banco {0}: {1}")]
    Refused(u8, io::Error),
    /// It is not in the state that this needs.
    #[error("banco {0} não está rodando")]
    NotRunning(u8),
    /// It is running already.
    #[error("banco {0} já está rodando")]
    Running(u8),
}

/// How a bank was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Started {
    pid: i32,
    /// When that process began, as the system counts, so that a number that is used again is not
    /// taken for it.
    began: u64,
    arguments: Vec<String>,
    folder: PathBuf,
}

/// How a bank's process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Running,
    /// It is frozen.
    Frozen,
    /// There is none.
    Down,
}

/// What can be done to a bank's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// SIGTERM: an orderly end.
    Stop,
    /// SIGSTOP.
    Freeze,
    /// SIGCONT.
    Thaw,
    /// SIGKILL.
    Kill,
    /// The same command again.
    Restart,
}

impl Act {
    /// The word of its button.
    pub fn of(word: &str) -> Option<Act> {
        match word {
            "parar" => Some(Act::Stop),
            "congelar" => Some(Act::Freeze),
            "descongelar" => Some(Act::Thaw),
            "matar" => Some(Act::Kill),
            "religar" => Some(Act::Restart),
            _ => None,
        }
    }
}

impl Demo {
    /// Takes part in the demonstration in `folder`: tells there how this bank was started. `places`
    /// is the list.
    ///
    /// # Errors
    /// When the folder is not this user's alone, or it or the file can't be written.
    pub fn join(folder: &Path, bank: BankId, places: &[String]) -> Result<Demo, DemoError> {
        let failed = |error: io::Error| DemoError::File(folder.to_owned(), error);
        if let Some(above) = folder.parent() {
            fs::create_dir_all(above).map_err(failed)?;
        }
        match fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            Ok(()) | Err(_) => (),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = open(folder, flags, Mode::empty()).map_err(|error| match error {
            rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => {
                DemoError::Unsafe(folder.to_owned(), "it must be a folder, and no link")
            }
            other => failed(other.into()),
        })?;
        let is = fstat(&opened).map_err(|error| failed(error.into()))?;
        if !is_ours(&is, Mode::RWXG | Mode::RWXO) {
            let rule = "it decides which programs are ended and started, so it must be yours and \
                        closed to others (chmod 700)";
            return Err(DemoError::Unsafe(folder.to_owned(), rule));
        }
        let known =
            |(position, place): (usize, &String)| BankId::new(position).filter(|_| place != LEFT);
        let demo = Demo {
            path: folder.to_owned(),
            folder: Arc::new(opened),
            banks: places.iter().enumerate().filter_map(known).collect(),
            program: std::env::current_exe().map_err(failed)?,
        };
        demo.tell(bank.as_u8()).map_err(|error| DemoError::File(demo.file(bank.as_u8()), error))?;
        Ok(demo)
    }

    /// Writes this bank's file beside its place and renames it, so that a reader never sees half of
    /// it.
    fn tell(&self, bank: u8) -> io::Result<()> {
        let pid = i32::try_from(std::process::id()).map_err(io::Error::other)?;
        let started = Started {
            pid,
            began: stat(pid).map_or(0, |stat| stat.began),
            arguments: std::env::args().skip(1).collect(),
            folder: std::env::current_dir()?,
        };
        let beside = format!("banco-{bank}.{pid}");
        // A file of that name is one that an earlier process left.
        let _ = rustix::fs::unlinkat(&self.folder, beside.as_str(), rustix::fs::AtFlags::empty());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.folder, beside.as_str(), flags, Mode::RUSR | Mode::WUSR)?;
        fs::File::from(file).write_all(serde_json::to_string(&started)?.as_bytes())?;
        renameat(&self.folder, beside.as_str(), &self.folder, file_name(bank).as_str())?;
        Ok(())
    }

    /// Where a bank's file is, for people.
    fn file(&self, bank: u8) -> PathBuf {
        self.path.join(file_name(bank))
    }

    fn started(&self, bank: u8) -> Result<Started, DemoError> {
        let known = BankId::new(usize::from(bank)).is_some_and(|bank| self.banks.has(bank));
        if !known {
            return Err(DemoError::Unknown(bank));
        }
        let failed = |error: io::Error| DemoError::File(self.file(bank), error);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.folder, file_name(bank).as_str(), flags, Mode::empty()) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) => return Err(DemoError::Unknown(bank)),
            Err(rustix::io::Errno::LOOP) => {
                return Err(DemoError::Unsafe(
                    self.file(bank),
                    "it is a link, and none is followed",
                ));
            }
            Err(error) => return Err(failed(error.into())),
        };
        let is = fstat(&file).map_err(|error| failed(error.into()))?;
        if FileType::from_raw_mode(is.st_mode) != FileType::RegularFile
            || !is_ours(&is, Mode::WGRP | Mode::WOTH)
        {
            return Err(DemoError::Unsafe(
                self.file(bank),
                "others may have written it, so it is not used",
            ));
        }
        let mut text = String::new();
        fs::File::from(file).take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        serde_json::from_str(&text).map_err(|error| failed(error.into()))
    }

    /// How this bank's process is; `None` where it takes no part.
    pub fn life(&self, bank: u8) -> Option<Life> {
        let started = self.started(bank).ok()?;
        Some(started.life())
    }

    /// Does `act` to this bank's process.
    ///
    /// # Errors
    /// When the bank takes no part, is not in the state that this needs, or the system refuses.
    pub fn act(&self, bank: u8, act: Act) -> Result<(), DemoError> {
        let started = self.started(bank)?;
        let signal = match act {
            Act::Stop => Signal::TERM,
            Act::Freeze => Signal::STOP,
            Act::Thaw => Signal::CONT,
            Act::Kill => Signal::KILL,
            Act::Restart => return self.restart(bank, &started),
        };
        if started.life() == Life::Down {
            return Err(DemoError::NotRunning(bank));
        }
        let pid = Pid::from_raw(started.pid).ok_or(DemoError::NotRunning(bank))?;
        kill_process(pid, signal).map_err(|error| DemoError::Refused(bank, error.into()))
    }

    fn restart(&self, bank: u8, started: &Started) -> Result<(), DemoError> {
        if started.life() != Life::Down {
            return Err(DemoError::Running(bank));
        }
        let name = format!("banco-{bank}.out");
        let failed = |error| DemoError::File(self.path.join(&name), error);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let out = openat(&self.folder, name.as_str(), flags, Mode::RUSR | Mode::WUSR);
        let out = fs::File::from(out.map_err(|error| failed(error.into()))?);
        let err = out.try_clone().map_err(failed)?;
        let mut child = Command::new(&self.program)
            .args(&started.arguments)
            .current_dir(&started.folder)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            // A group of its own: an interrupt typed for this bank is not meant for that one.
            .process_group(0)
            .spawn()
            .map_err(|error| DemoError::Refused(bank, error))?;
        // Somebody must take note of its end, or it stays behind as a dead entry.
        let reaper = std::thread::Builder::new().name(format!("banco-{bank}"));
        reaper.spawn(move || child.wait()).map_err(|error| DemoError::Refused(bank, error))?;
        Ok(())
    }
}

fn file_name(bank: u8) -> String {
    format!("banco-{bank}.json")
}

/// Does it belong to this user, and have none of these rights for others?
fn is_ours(is: &FileStat, others: Mode) -> bool {
    is.st_uid == geteuid().as_raw() && !Mode::from_raw_mode(is.st_mode).intersects(others)
}

impl Started {
    fn life(&self) -> Life {
        let alive = Pid::from_raw(self.pid).is_some_and(|pid| test_kill_process(pid).is_ok());
        match stat(self.pid) {
            Some(stat) if alive && stat.began == self.began => match stat.state {
                'T' | 't' => Life::Frozen,
                'Z' | 'X' => Life::Down,
                _ => Life::Running,
            },
            Some(_) | None => Life::Down,
        }
    }
}

struct Stat {
    state: char,
    began: u64,
}

/// What the system tells of a process; `None` where there is none. The format is that of proc(5).
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything, so the fields are counted from its end.
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?.chars().next()?;
    let began = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, began })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn this_process_runs_and_a_number_used_again_does_not() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let began = stat(pid).unwrap().began;
        let started = |began| Started { pid, began, arguments: vec![], folder: "/".into() };
        assert_eq!(started(began).life(), Life::Running);
        assert_eq!(started(began + 1).life(), Life::Down);
    }

    fn places(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("127.0.0.1:{at}")).collect()
    }

    fn join(folder: &Path) -> Result<Demo, DemoError> {
        Demo::join(folder, BankId::new(0).unwrap(), &places(3))
    }

    #[test]
    fn a_bank_without_its_file_takes_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let demo = join(&folder.path().join("new/demo")).unwrap();
        assert_eq!(demo.life(0), Some(Life::Running));
        assert_eq!(demo.life(1), None);
        assert!(matches!(demo.act(1, Act::Kill), Err(DemoError::Unknown(1))));
        assert!(matches!(demo.act(0, Act::Restart), Err(DemoError::Running(0))));
    }

    #[test]
    fn a_folder_that_others_may_write_or_that_is_a_link_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        for mode in [0o770, 0o707, 0o755] {
            fs::DirBuilder::new().recursive(true).create(&open).unwrap();
            fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
            let error = join(&open).unwrap_err().to_string();
            assert!(error.contains("chmod 700") && error.contains("open"), "{mode:o}: {error}");
        }
        fs::set_permissions(&open, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(join(&open).is_ok());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&open, &link).unwrap();
        assert!(join(&link).unwrap_err().to_string().contains("no link"));
    }

    /// A program that a file names is not run; files that are links or that others may have written
    /// are not read.
    #[test]
    fn only_this_program_is_started_and_only_from_own_files() {
        let folder = tempfile::tempdir().unwrap();
        let demo = join(&folder.path().join("demo")).unwrap();
        let witness = folder.path().join("witness");
        let planted = serde_json::json!({
            "pid": 0, "began": 0, "program": "/usr/bin/touch", "folder": "/",
            "arguments": ["--list", witness],
        });
        fs::write(demo.file(1), planted.to_string()).unwrap();
        assert_eq!(demo.life(1), Some(Life::Down));
        // What is started is this test's own program, which lists its tests and writes nothing.
        demo.act(1, Act::Restart).unwrap();
        let out = demo.path.join("banco-1.out");
        let began = std::time::Instant::now();
        while !fs::read_to_string(&out).unwrap().contains("tests") {
            assert!(began.elapsed().as_secs() < 60, "nothing was started");
            std::thread::yield_now();
        }
        assert!(!witness.exists());
        // A bank that is not in the list.
        fs::write(demo.file(7), planted.to_string()).unwrap();
        assert!(matches!(demo.act(7, Act::Restart), Err(DemoError::Unknown(7))));
        fs::set_permissions(demo.file(1), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(demo.act(1, Act::Restart), Err(DemoError::Unsafe(..))));
        std::os::unix::fs::symlink(demo.file(0), demo.file(2)).unwrap();
        assert!(matches!(demo.act(2, Act::Kill), Err(DemoError::Unsafe(..))));
    }
}
