//! The step log's file: appended to, rotated by size (`x.log` to `x.log.1` and on), reopened on request.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that is renamed away when it grows past a bound.
#[derive(Debug)]
pub(super) struct RotatedFile {
    path: PathBuf,
    bytes_max: u64,
    keep: usize,
    file: File,
    bytes: u64,
    torn: bool,
}

impl RotatedFile {
    /// Opens `path` for appending, its folder made if need be. `bytes_max` 0 means that it is never rotated;
    /// `keep` older files stay beside it.
    pub(super) fn open(path: &Path, bytes_max: u64, keep: usize) -> io::Result<RotatedFile> {
        let (file, bytes) = open(path)?;
        Ok(RotatedFile { path: path.to_owned(), bytes_max, keep, file, bytes, torn: false })
    }

    /// Would `length` bytes more pass the file's bound?
    pub(super) fn is_full(&self, length: usize) -> bool {
        self.bytes_max > 0 && self.bytes > 0 && self.bytes.saturating_add(wide(length)) > self.bytes_max
    }

    /// Appends whole lines in one write, so that programs which share a file don't mix theirs.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        // A write that fails may have gone half-way; then what follows begins on a line of its own.
        self.file.write_all(lines).inspect_err(|_| self.torn = true)?;
        self.bytes = self.bytes.saturating_add(wide(lines.len()));
        Ok(())
    }

    /// Opens the path anew, for whoever renamed or removed the file.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.bytes) = open(&self.path)?;
        self.torn = false;
        Ok(())
    }

    /// Renames the file to `.1`, those before it one further, and begins a new one. Where that fails the old
    /// one goes on, and it is tried again when as much was written once more.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        self.bytes = 0;
        if self.keep == 0 {
            remove(&self.path)?;
        } else {
            remove(&self.older(self.keep))?;
            for number in (1..self.keep).rev() {
                rename(&self.older(number), &self.older(number + 1))?;
            }
            rename(&self.path, &self.older(1))?;
        }
        self.reopen()
    }

    fn older(&self, number: usize) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    let bytes = file.metadata()?.len();
    if bytes > 0 {
        // A program that was killed may have left half a line; the next one begins on its own.
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

fn remove(path: &Path) -> io::Result<()> {
    present(fs::remove_file(path))
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    present(fs::rename(from, to))
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// What is not there needs no renaming or removing.
fn present(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
