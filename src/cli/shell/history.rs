//! The lines typed in earlier shells: a file in the user's state folder, readable by its owner
//! alone. Lines with tax numbers are not in it.

use consorcio_core::limits::SHELL_HISTORY_LINES_MAX;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file, open at its end, and the lines that it had.
#[derive(Debug, Default)]
pub(super) struct ShellHistory {
    lines: Vec<String>,
    /// `None` where there is no home, or the file can't be written: then nothing is kept.
    file: Option<File>,
}

impl ShellHistory {
    /// Opens the file of this user, and creates it if missing.
    pub(super) fn open() -> ShellHistory {
        path().and_then(|path| ShellHistory::at(&path).ok()).unwrap_or_default()
    }

    fn at(path: &Path) -> io::Result<ShellHistory> {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let text = match fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let all: Vec<&str> = text.lines().collect();
        let newest = &all[all.len().saturating_sub(SHELL_HISTORY_LINES_MAX)..];
        let lines: Vec<String> = newest.iter().map(|line| (*line).to_owned()).collect();
        if all.len() > 2 * SHELL_HISTORY_LINES_MAX {
            // Written and renamed, so that a crash leaves the old file or the new one.
            let shorter = path.with_extension(format!("new-{}", std::process::id()));
            let written = private(&shorter)
                .and_then(|mut file| file.write_all((lines.join("\n") + "\n").as_bytes()))
                .and_then(|()| fs::rename(&shorter, path));
            if written.is_err() {
                let _ = fs::remove_file(&shorter);
            }
        }
        Ok(ShellHistory { lines, file: Some(private(path)?) })
    }

    /// The lines of earlier shells, oldest first.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Keeps a line for later shells, unless it has a tax number.
    pub(super) fn append(&mut self, line: &str) {
        if names_a_person(line) {
            return;
        }
        let Some(file) = &mut self.file else { return };
        // One write for a line, so that two shells do not mix theirs. A full disk harms nothing.
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// `$XDG_STATE_HOME/consorcio/cliente-history`, by default below `~/.local/state`.
fn path() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("consorcio/cliente-history"))
}

/// Whether a line may have the tax number of a person or a company: eleven digits or more in one
/// word, points, dashes and slashes left out.
fn names_a_person(line: &str) -> bool {
    let digits = |word: &str| {
        let plain = word.chars().filter(|c| !matches!(c, '.' | '-' | '/'));
        let mut longest = 0;
        plain.fold(0, |run, c| {
            let run = if c.is_ascii_digit() { run + 1 } else { 0 };
            longest = longest.max(run);
            run
        });
        longest
    };
    line.contains("cpf")
        || line.contains("holders")
        || line.split([' ', '=', '@', '"', '\'']).any(|word| digits(word) >= 11)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn lines_are_kept_but_for_those_with_tax_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/consorcio/cliente-history");
        let mut history = ShellHistory::at(&path).unwrap();
        assert_eq!(history.take_lines(), Vec::<String>::new());
        for line in [
            "status",
            "client add --bank 0 --cpf 11111111111 --name A",
            "withdraw 0/1 5 --cpf 111.111.111-11",
            "transfer --from 0/1=5@111.111.111-11 --to 1/2",
            "> ACCOUNTS 12345678000195",
            "> CLIENT {\"cpf\":\"12345678900\"}",
            "balance 0/12345-6",
        ] {
            history.append(line);
        }
        assert_eq!(ShellHistory::at(&path).unwrap().take_lines(), ["status", "balance 0/12345-6"]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_long_file_is_shortened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cliente-history");
        let lines = 2 * SHELL_HISTORY_LINES_MAX + 1;
        let text: String = (0..lines).map(|number| format!("set {number}\n")).collect();
        fs::write(&path, text).unwrap();
        let kept = ShellHistory::at(&path).unwrap().take_lines();
        assert_eq!(kept.len(), SHELL_HISTORY_LINES_MAX);
        assert_eq!(kept.last().unwrap(), &format!("set {}", lines - 1));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), SHELL_HISTORY_LINES_MAX);
    }
}
