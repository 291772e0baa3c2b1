//! The processes of a demonstration: each bank writes its process id and arguments into one folder,
//! and the panel of any bank can stop, freeze, thaw, kill and restart all of them. For a test
//! consortium on this machine only.
//!
//! The files decide which process gets a signal and how a bank is restarted. So the folder and its
//! files must belong to this user alone, links are not followed, only banks of the list are known,
//! and only this program is started.

use consorcio_core::ids::{BankId, BankSet};
use consorcio_core::limits::DEMO_FILE_BYTES_MAX;
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

/// The demonstration that this bank takes part in.
#[derive(Debug, Clone)]
pub struct Demo {
    path: PathBuf,
    /// The open folder, in case its path is replaced.
    folder: Arc<OwnedFd>,
    /// The banks of the consortium.
    banks: BankSet,
    /// The path of this program, the only one that is started.
    program: PathBuf,
}

/// Why an action on a process failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder or a file in it could not be used.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// Another user may have written the folder or a file in it.
    #[error("{0}: {1}")]
    Unsafe(PathBuf, &'static str),
    /// This bank has no file in the folder.
    #[error("banco {0} não faz parte desta demonstração")]
    Unknown(u8),
    /// The system refused the signal or the start.
    #[error("banco {0}: {1}")]
    Refused(u8, io::Error),
    /// The process is not running.
    #[error("banco {0} não está rodando")]
    NotRunning(u8),
    /// The process is already running.
    #[error("banco {0} já está rodando")]
    Running(u8),
}

/// The process and the command line of a bank.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Started {
    pid: i32,
    /// Start time of the process, in clock ticks: it distinguishes a reused process id.
    began: u64,
    arguments: Vec<String>,
    folder: PathBuf,
}

/// The state of a bank's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessStatus {
    /// The process is running.
    Running,
    /// SIGSTOP has frozen it.
    Frozen,
    /// There is no process.
    Down,
}

/// An action on a bank's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessAction {
    /// Sends SIGTERM: an orderly end.
    Stop,
    /// Sends SIGSTOP to freeze it.
    Freeze,
    /// Sends SIGCONT to thaw it.
    Thaw,
    /// Sends SIGKILL, a crash.
    Kill,
    /// Runs the same command again.
    Restart,
}

impl ProcessAction {
    /// The action of a button, by its value.
    pub(crate) fn of(word: &str) -> Option<ProcessAction> {
        match word {
            "parar" => Some(ProcessAction::Stop),
            "congelar" => Some(ProcessAction::Freeze),
            "descongelar" => Some(ProcessAction::Thaw),
            "matar" => Some(ProcessAction::Kill),
            "religar" => Some(ProcessAction::Restart),
            _ => None,
        }
    }
}

impl Demo {
    /// Joins the demonstration in `folder`: writes this bank's file there. `places` is the list of
    /// the consortium.
    ///
    /// # Errors
    /// When other users have access to the folder, or the folder or file can't be written.
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
        let stat = fstat(&opened).map_err(|error| failed(error.into()))?;
        if !is_ours(&stat, Mode::RWXG | Mode::RWXO) {
            let rule = "it decides which programs are ended and started, so it must be yours and \
                        closed to others (chmod 700)";
            return Err(DemoError::Unsafe(folder.to_owned(), rule));
        }
        let known = |(position, address): (usize, &String)| {
            BankId::new(position).filter(|_| address != LEFT)
        };
        let demo = Demo {
            path: folder.to_owned(),
            folder: Arc::new(opened),
            banks: places.iter().enumerate().filter_map(known).collect(),
            program: std::env::current_exe().map_err(failed)?,
        };
        demo.write_file(bank.as_u8())
            .map_err(|error| DemoError::File(demo.file(bank.as_u8()), error))?;
        Ok(demo)
    }

    /// Writes this bank's file under a temporary name and renames it, so that readers never see
    /// half of it.
    fn write_file(&self, bank: u8) -> io::Result<()> {
        let pid = i32::try_from(std::process::id()).map_err(io::Error::other)?;
        let started = Started {
            pid,
            began: stat(pid).map_or(0, |stat| stat.began),
            arguments: std::env::args().skip(1).collect(),
            folder: std::env::current_dir()?,
        };
        let beside = format!("banco-{bank}.{pid}");
        // An earlier process may have left a file of that name.
        let _ = rustix::fs::unlinkat(&self.folder, beside.as_str(), rustix::fs::AtFlags::empty());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.folder, beside.as_str(), flags, Mode::RUSR | Mode::WUSR)?;
        fs::File::from(file).write_all(serde_json::to_string(&started)?.as_bytes())?;
        renameat(&self.folder, beside.as_str(), &self.folder, file_name(bank).as_str())?;
        Ok(())
    }

    /// The path of a bank's file, for messages.
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
        let stat = fstat(&file).map_err(|error| failed(error.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
            || !is_ours(&stat, Mode::WGRP | Mode::WOTH)
        {
            return Err(DemoError::Unsafe(
                self.file(bank),
                "others may have written it, so it is not used",
            ));
        }
        let mut text = String::new();
        fs::File::from(file).take(DEMO_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        serde_json::from_str(&text).map_err(|error| failed(error.into()))
    }

    /// The state of this bank's process; `None` if it has no file.
    pub(crate) fn status(&self, bank: u8) -> Option<ProcessStatus> {
        let started = self.started(bank).ok()?;
        Some(started.status())
    }

    /// Performs `action` on this bank's process.
    ///
    /// # Errors
    /// When the bank has no file, its process is in the wrong state, or the system refuses.
    pub(crate) fn act(&self, bank: u8, action: ProcessAction) -> Result<(), DemoError> {
        let started = self.started(bank)?;
        let signal = match action {
            ProcessAction::Stop => Signal::TERM,
            ProcessAction::Freeze => Signal::STOP,
            ProcessAction::Thaw => Signal::CONT,
            ProcessAction::Kill => Signal::KILL,
            ProcessAction::Restart => return self.restart(bank, &started),
        };
        if started.status() == ProcessStatus::Down {
            return Err(DemoError::NotRunning(bank));
        }
        let pid = Pid::from_raw(started.pid).ok_or(DemoError::NotRunning(bank))?;
        kill_process(pid, signal).map_err(|error| DemoError::Refused(bank, error.into()))
    }

    fn restart(&self, bank: u8, started: &Started) -> Result<(), DemoError> {
        if started.status() != ProcessStatus::Down {
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
            // A process group of its own: Ctrl-C for this bank must not reach the new one.
            .process_group(0)
            .spawn()
            .map_err(|error| DemoError::Refused(bank, error))?;
        // A thread reaps the child, which would stay a zombie otherwise.
        let reaper = std::thread::Builder::new().name(format!("banco-{bank}"));
        reaper.spawn(move || child.wait()).map_err(|error| DemoError::Refused(bank, error))?;
        Ok(())
    }
}

fn file_name(bank: u8) -> String {
    format!("banco-{bank}.json")
}

/// Does the file belong to this user, without any of these permissions for others?
fn is_ours(stat: &FileStat, others: Mode) -> bool {
    stat.st_uid == geteuid().as_raw() && !Mode::from_raw_mode(stat.st_mode).intersects(others)
}

impl Started {
    fn status(&self) -> ProcessStatus {
        let alive = Pid::from_raw(self.pid).is_some_and(|pid| test_kill_process(pid).is_ok());
        match stat(self.pid) {
            Some(stat) if alive && stat.began == self.began => match stat.state {
                'T' | 't' => ProcessStatus::Frozen,
                'Z' | 'X' => ProcessStatus::Down,
                _ => ProcessStatus::Running,
            },
            Some(_) | None => ProcessStatus::Down,
        }
    }
}

struct ProcessStat {
    state: char,
    began: u64,
}

/// Parses `/proc/PID/stat`, see proc(5); `None` if there is no such process.
fn stat(pid: i32) -> Option<ProcessStat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything, so fields are counted from its end.
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?.chars().next()?;
    let began = fields.nth(18)?.parse().ok()?;
    Some(ProcessStat { state, began })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_reused_process_id_counts_as_down() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let began = stat(pid).unwrap().began;
        let started = |began| Started { pid, began, arguments: vec![], folder: "/".into() };
        assert_eq!(started(began).status(), ProcessStatus::Running);
        assert_eq!(started(began + 1).status(), ProcessStatus::Down);
    }

    fn places(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("127.0.0.1:{at}")).collect()
    }

    fn join(folder: &Path) -> Result<Demo, DemoError> {
        Demo::join(folder, BankId::new(0).unwrap(), &places(3))
    }

    #[test]
    fn a_bank_without_its_file_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let demo = join(&folder.path().join("new/demo")).unwrap();
        assert_eq!(demo.status(0), Some(ProcessStatus::Running));
        assert_eq!(demo.status(1), None);
        assert!(matches!(demo.act(1, ProcessAction::Kill), Err(DemoError::Unknown(1))));
        assert!(matches!(demo.act(0, ProcessAction::Restart), Err(DemoError::Running(0))));
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

    /// A program that a file names is not run. Files that are links, or that others may have
    /// written, are not read.
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
        assert_eq!(demo.status(1), Some(ProcessStatus::Down));
        // This starts the test program itself, which lists its tests and writes no file.
        demo.act(1, ProcessAction::Restart).unwrap();
        let out = demo.path.join("banco-1.out");
        let began = std::time::Instant::now();
        while !fs::read_to_string(&out).unwrap().contains("tests") {
            assert!(began.elapsed().as_secs() < 60, "nothing was started");
            std::thread::yield_now();
        }
        assert!(!witness.exists());
        // A bank that is not in the list.
        fs::write(demo.file(7), planted.to_string()).unwrap();
        assert!(matches!(demo.act(7, ProcessAction::Restart), Err(DemoError::Unknown(7))));
        fs::set_permissions(demo.file(1), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(demo.act(1, ProcessAction::Restart), Err(DemoError::Unsafe(..))));
        std::os::unix::fs::symlink(demo.file(0), demo.file(2)).unwrap();
        assert!(matches!(demo.act(2, ProcessAction::Kill), Err(DemoError::Unsafe(..))));
    }
}
