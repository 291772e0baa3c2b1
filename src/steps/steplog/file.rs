//! The step log's file: appended to, rotated by size (`x.log` to `x.log.1` and on), reopened on
//! request. Only its owner may read what is made here.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Folders and files are made with these modes: steps name accounts, amounts and clients.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

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
    /// Opens `path` for appending, its folder made if need be. `bytes_max` 0 means that it is never
    /// rotated; `keep` older files stay beside it.
    pub(super) fn open(path: &Path, bytes_max: u64, keep: usize) -> io::Result<RotatedFile> {
        let (file, bytes) = open(path)?;
        Ok(RotatedFile { path: path.to_owned(), bytes_max, keep, file, bytes, torn: false })
    }

    /// Would `length` bytes more pass the file's bound?
    pub(super) fn is_full(&self, length: usize) -> bool {
        self.bytes_max > 0
            && self.bytes > 0
            && self.bytes.saturating_add(wide(length)) > self.bytes_max
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

    /// Renames the file to `.1`, those before it one further, and begins a new one. Where that
    /// fails the old one goes on, and it is tried again when as much was written once more.
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

    /// What must be typed so that others can no longer read this log, or put something else in its
    /// place; none where all is closed. Looks at the file, its folder, and the `keep` older files
    /// at most.
    pub(super) fn exposed(&self) -> Option<String> {
        let is_open = |path: &PathBuf| {
            let metadata = fs::metadata(path);
            metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o077 != 0)
        };
        let older = (1..=self.keep).map(|number| self.older(number));
        let files: Vec<PathBuf> =
            std::iter::once(self.path.clone()).chain(older).filter(is_open).collect();
        let folder = folder_of(&self.path);
        let mode =
            fs::metadata(folder).map_or(FOLDER_MODE, |metadata| metadata.permissions().mode());
        // Others may make and rename files in it; where the sticky bit is set, as in /tmp, only
        // their own.
        let writable = mode & 0o1002 == 0o002;
        if files.is_empty() && !writable {
            return None;
        }
        let mut commands = Vec::new();
        if mode & 0o1077 != 0 && mode & 0o1000 == 0 {
            commands.push(format!("chmod 700 {}", folder.display()));
        }
        if !files.is_empty() {
            let files: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
            commands.push(format!("chmod 600 {}", files.join(" ")));
        }
        Some(commands.join(" && "))
    }

    fn older(&self, number: usize) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    make_folder(folder_of(path))?;
    if path.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "this is a folder, and a file must be here",
        ));
    }
    let mut options = OpenOptions::new();
    options.append(true).read(true).mode(FILE_MODE);
    let mut file = match options.clone().create_new(true).open(path) {
        Ok(file) => {
            // A umask may have taken the owner's rights, too.
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
            file
        }
        // It is there, or another process has just made it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.create(true).open(path)?
        }
        Err(error) => return Err(error),
    };
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

/// Makes the folder, and those above it that are missing, for their owner alone. One that is there
/// stays as it is.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_folder(above)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
