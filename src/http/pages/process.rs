//! The processes of a demonstration: each bank tells, in one folder, who it is and how it was started; whoever has a
//! panel can then stop, freeze, thaw, kill and restart any of them. For a test consortium on this machine only.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The demonstration that this bank takes part in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    folder: PathBuf,
}

/// Something about a bank's process could not be done.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder or a file in it.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
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
    /// When that process began, as the system counts, so that a number that is used again is not taken for it.
    began: u64,
    program: PathBuf,
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
    /// Takes part in the demonstration in `folder`: tells there how this bank was started.
    ///
    /// # Errors
    /// When the folder or the file can't be written.
    pub fn join(folder: &Path, bank: u8) -> Result<Demo, DemoError> {
        let demo = Demo { folder: folder.to_owned() };
        let failed = |error| DemoError::File(demo.file(bank), error);
        fs::create_dir_all(folder).map_err(failed)?;
        let pid = i32::try_from(std::process::id()).map_err(|error| failed(io::Error::other(error)))?;
        let began = stat(pid).map_or(0, |stat| stat.began);
        let started = Started {
            pid,
            began,
            program: std::env::current_exe().map_err(failed)?,
            arguments: std::env::args().skip(1).collect(),
            folder: std::env::current_dir().map_err(failed)?,
        };
        let text = serde_json::to_string(&started).map_err(|error| failed(error.into()))?;
        // Written beside and renamed, so that a reader never sees half of it.
        let beside = folder.join(format!("banco-{bank}.{pid}"));
        fs::write(&beside, text).map_err(failed)?;
        fs::rename(&beside, demo.file(bank)).map_err(failed)?;
        Ok(demo)
    }

    fn file(&self, bank: u8) -> PathBuf {
        self.folder.join(format!("banco-{bank}.json"))
    }

    fn started(&self, bank: u8) -> Result<Started, DemoError> {
        let text = fs::read_to_string(self.file(bank)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DemoError::Unknown(bank),
            _ => DemoError::File(self.file(bank), error),
        })?;
        serde_json::from_str(&text).map_err(|error| DemoError::File(self.file(bank), error.into()))
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
        let told = self.folder.join(format!("banco-{bank}.out"));
        let out = fs::File::options().create(true).append(true).open(&told);
        let out = out.map_err(|error| DemoError::File(told.clone(), error))?;
        let err = out.try_clone().map_err(|error| DemoError::File(told, error))?;
        let mut child = Command::new(&started.program)
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

    #[test]
    fn this_process_runs_and_a_number_used_again_does_not() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let began = stat(pid).unwrap().began;
        let started =
            |began| Started { pid, began, program: "/".into(), arguments: vec![], folder: "/".into() };
        assert_eq!(started(began).life(), Life::Running);
        assert_eq!(started(began + 1).life(), Life::Down);
    }

    #[test]
    fn a_bank_without_its_file_takes_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let demo = Demo::join(folder.path(), 0).unwrap();
        assert_eq!(demo.life(0), Some(Life::Running));
        assert_eq!(demo.life(1), None);
        assert!(matches!(demo.act(1, Act::Kill), Err(DemoError::Unknown(1))));
        assert!(matches!(demo.act(0, Act::Restart), Err(DemoError::Running(0))));
    }
}
