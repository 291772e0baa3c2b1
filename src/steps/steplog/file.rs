//! The file of the step log: appended to, rotated by size (`x.log` becomes `x.log.1`, which
//! `keeper` compresses, and so on), reopened on request. Only the owner may read the files made
//! here.

use super::keeper::{self, LogKeeper, Retention};
use crate::compressed::beside;
use consorcio_core::limits::STEP_LOOK_MS;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Modes of new folders and files: steps name accounts, amounts and clients.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A file that is renamed once it exceeds a size.
#[derive(Debug)]
pub(super) struct RotatedFile {
    path: PathBuf,
    bytes_max: u64,
    retention: Retention,
    keeper: LogKeeper,
    file: File,
    bytes: u64,
    torn: bool,
    /// Each file is locked while it is written.
    is_locked: bool,
    /// It has taken the place of another one, or was emptied, and does not name its node yet.
    is_new: bool,
    /// When the path was last looked at.
    looked: Instant,
}

impl RotatedFile {
    /// Opens `path` for appending, and creates its folder if needed. With `bytes_max` 0 it is never
    /// rotated; older files are kept beside it, compressed, as `retention` says.
    pub(super) fn open(
        path: &Path,
        bytes_max: u64,
        retention: Retention,
    ) -> io::Result<RotatedFile> {
        let (file, bytes) = open(path)?;
        let keeper = LogKeeper::new(path, retention);
        Ok(RotatedFile {
            path: path.to_owned(),
            bytes_max,
            retention,
            keeper,
            file,
            bytes,
            torn: false,
            is_locked: false,
            is_new: false,
            looked: Instant::now(),
        })
    }

    /// Compresses the older files that a killed process left plain.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        if self.bytes_max > 0 && keeper::has_work(&self.path, self.retention.files) {
            self.keeper.start()?;
        }
        Ok(())
    }

    /// Locks the file against other processes that would; returns false if one has done so. The
    /// lock ends with the process, however that ends.
    pub(super) fn lock(&mut self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => self.is_locked = true,
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(true)
    }

    /// Whether another `length` bytes would exceed the size at which the file is rotated.
    pub(super) fn is_full(&self, length: usize) -> bool {
        self.bytes_max > 0
            && self.bytes > 0
            && self.bytes.saturating_add(wide(length)) > self.bytes_max
    }

    /// Appends whole lines in one write, so that the lines of programs that share a file do not
    /// interleave.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        // A failed write may have been partial; then the next write begins a new line.
        self.file.write_all(lines).inspect_err(|_| self.torn = true)?;
        self.bytes = self.bytes.saturating_add(wide(lines.len()));
        self.is_new = false;
        Ok(())
    }

    /// Whether the next line must name the node: it is the first one of another file of this run,
    /// or of one that was emptied.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Opens the path anew if its file was removed or replaced, or notes that it was emptied. Looks
    /// at most once in `STEP_LOOK_MS`. Returns whether another file is open now.
    pub(super) fn look(&mut self) -> io::Result<bool> {
        if self.looked.elapsed() < Duration::from_millis(STEP_LOOK_MS) {
            return Ok(false);
        }
        self.looked = Instant::now();
        let own = self.file.metadata()?;
        let is_same = match fs::metadata(&self.path) {
            Ok(there) => (there.dev(), there.ino()) == (own.dev(), own.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !is_same {
            self.reopen()?;
        } else if own.len() < self.bytes {
            (self.bytes, self.is_new) = (own.len(), true);
        }
        Ok(!is_same)
    }

    /// Reopens the path, after the file was renamed or removed.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let (file, bytes) = open(&self.path)?;
        if self.is_locked {
            // Another process may have got the new file in this moment; then both write to it,
            // whole lines each.
            let _ = file.try_lock();
        }
        (self.file, self.bytes) = (file, bytes);
        (self.torn, self.is_new) = (false, bytes == 0);
        Ok(())
    }

    /// Renames the file to `.1`, each older one to the next number, opens a new file, and has the
    /// old one compressed. If that fails, the current file stays in use, and rotation is retried
    /// after as many bytes again.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        self.bytes = 0;
        let failed = self.keeper.take_result();
        if self.retention.files == 0 {
            present(fs::remove_file(&self.path))?;
            return self.reopen();
        }
        let mut names = self.keeper.names();
        names.shift(&self.path, self.retention.files)?;
        present(fs::rename(&self.path, older(&self.path, 1)))?;
        drop(names);
        self.reopen()?;
        self.keeper.start()?;
        failed
    }

    /// Waits a moment for the compression of the last file.
    pub(super) fn end(&mut self) {
        self.keeper.end();
    }

    /// The commands that stop other users from reading or replacing this log; `None` if they can't.
    /// Checks the file, its folder, and the older files that may be kept.
    pub(super) fn exposed(&self) -> Option<String> {
        let is_open = |path: &PathBuf| {
            let metadata = fs::metadata(path);
            metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o077 != 0)
        };
        let older = (1..=self.retention.files).flat_map(|number| {
            let plain = older(&self.path, number);
            [beside(&plain), plain]
        });
        let files: Vec<PathBuf> =
            std::iter::once(self.path.clone()).chain(older).filter(is_open).collect();
        let folder = folder_of(&self.path);
        let mode =
            fs::metadata(folder).map_or(FOLDER_MODE, |metadata| metadata.permissions().mode());
        // Other users may create and rename files in it; with the sticky bit set, as in /tmp, only
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
}

/// The path of the file that is `number` rotations old, before it is compressed.
pub(super) fn older(path: &Path, number: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
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
            // A umask may have removed permissions of the owner, too.
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
            file
        }
        // It exists, or another process has just created it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.create(true).open(path)?
        }
        Err(error) => return Err(error),
    };
    let bytes = file.metadata()?.len();
    if bytes > 0 {
        // A killed program may have left a partial line; end it.
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

/// Creates the folder and its missing parents, for their owner alone. An existing folder is not
/// changed.
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

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A missing file needs no renaming or removing.
pub(super) fn present(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
