//! File access behind a small trait: one flat folder, and the operations that a journal needs.
//!
//! The contract is that of a disk: data that was written can be read at once, but survives a crash
//! only after `sync`; creating, renaming and removing a file survives only after `sync_folder`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of files, without subfolders.
pub trait Disk: Send + Sync {
    /// The name of the folder for messages.
    fn describe(&self) -> String;
    /// The names of its files, in any order.
    ///
    /// # Errors
    /// If the folder can't be read.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file that exists.
    ///
    /// # Errors
    /// If it does not exist or can't be opened.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates an empty file; replaces one that exists.
    ///
    /// # Errors
    /// If it can't be created.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames a file; replaces one that has the new name.
    ///
    /// # Errors
    /// If it can't be renamed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file that exists.
    ///
    /// # Errors
    /// If it can't be removed.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes all creations, renames and removals durable.
    ///
    /// # Errors
    /// If they are not known to be durable.
    fn sync_folder(&self) -> io::Result<()>;
}

/// An open file, read and written at offsets.
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// If the disk can't report it.
    fn size(&self) -> io::Result<u64>;
    /// Reads all of `bytes` at `offset`, or fewer at the end of the file; returns how many.
    ///
    /// # Errors
    /// If it can't be read.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`; the file grows if necessary, with zeros in a gap.
    ///
    /// # Errors
    /// If all or a part of it was not written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes all writes durable, together with the file's length.
    ///
    /// # Errors
    /// If they are not known to be durable. Then nobody knows what is on disk, even if a later call
    /// succeeds.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the file system.
#[derive(Debug)]
pub struct FileDisk {
    folder: PathBuf,
    /// Held as long as this value exists; `None` if it only reads.
    _lock: Option<File>,
}

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process uses it.
    #[error("{0}: another servidor uses this folder")]
    InUse(PathBuf),
    /// It can't be created, opened or locked.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// A folder exists where a file must be, or something else where a folder must be.
    #[error("{0}: {1}; move it away, or name another folder (--data-dir)")]
    InTheWay(PathBuf, &'static str),
    /// A parent folder can't be synced, so a name in it may not survive a power failure.
    #[error("{0}: can't sync this folder, which the data is in: {1}")]
    Sync(PathBuf, io::Error),
}

const LOCK_NAME: &str = "lock";

/// Only the owner can read the files of a bank, whatever the umask is.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

impl FileDisk {
    /// Locks a folder for this process; creates it if it does not exist.
    ///
    /// # Errors
    /// If another process uses it, or it can't be created or locked.
    pub fn open(folder: impl Into<PathBuf>) -> Result<FileDisk, FolderError> {
        let folder = folder.into();
        let fault = |error| FolderError::Io(folder.clone(), error);
        make_folder(&folder)?;
        // The file is never removed: a lock on a file without a name would exclude nobody.
        let path = folder.join(LOCK_NAME);
        let lock =
            OpenOptions::new().create(true).write(true).truncate(false).mode(FILE_MODE).open(&path);
        let lock = lock.map_err(|error| match error.kind() {
            io::ErrorKind::IsADirectory => {
                FolderError::InTheWay(path, "this is a folder, and a file must be here")
            }
            _ => fault(error),
        })?;
        match lock.try_lock() {
            Ok(()) => Ok(FileDisk { folder, _lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse(folder)),
            Err(TryLockError::Error(error)) => Err(fault(error)),
        }
    }

    /// A folder for reading only, even while another process writes to it.
    pub fn read_only(folder: impl Into<PathBuf>) -> FileDisk {
        FileDisk { folder: folder.into(), _lock: None }
    }

    fn may_write(&self) -> io::Result<()> {
        if self._lock.is_some() {
            Ok(())
        } else {
            Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "this folder was opened to read only",
            ))
        }
    }
}

/// Creates a folder and its parents, readable by the owner only, and makes them durable by syncing
/// the parent of each. That is done even for folders that existed, because they may never have been
/// synced.
fn make_folder(folder: &Path) -> Result<(), FolderError> {
    let fault = |folder: &Path, error| FolderError::Io(folder.to_owned(), error);
    if let Some(file) = folder.ancestors().find(|above| above.exists() && !above.is_dir()) {
        return Err(FolderError::InTheWay(
            file.to_owned(),
            "this is no folder, and one must be here",
        ));
    }
    let there_before = folder.ancestors().find(|above| above.is_dir()).map(Path::to_owned);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(|error| fault(folder, error))?;
    let whole = folder.canonicalize().map_err(|error| fault(folder, error))?;
    // A relative path without an existing folder begins in the working directory.
    let there_before = there_before.unwrap_or_default();
    let made_below = if there_before.as_os_str().is_empty() { ".".into() } else { there_before };
    let made_below = made_below.canonicalize().map_err(|error| fault(&made_below, error))?;
    sync_above(&whole, &made_below)
}

/// Syncs all parents of `whole`; those created just now are in `made_below` or deeper.
fn sync_above(whole: &Path, made_below: &Path) -> Result<(), FolderError> {
    for above in whole.ancestors().skip(1) {
        let synced = File::open(above).and_then(|opened| opened.sync_all());
        if let Err(error) = synced
            && !is_of_no_matter(&error, made_below.starts_with(above) && made_below != above)
        {
            return Err(FolderError::Sync(above.to_owned(), error));
        }
    }
    Ok(())
}

/// Can this error be ignored? Some file systems, mostly read-only ones, can't sync folders
/// (EINVAL), and some folders belong to other users. Neither matters unless something was created
/// in that folder just now.
fn is_of_no_matter(error: &io::Error, was_there: bool) -> bool {
    match error.kind() {
        io::ErrorKind::PermissionDenied => true,
        io::ErrorKind::InvalidInput
        | io::ErrorKind::Unsupported
        | io::ErrorKind::ReadOnlyFilesystem => was_there,
        _ => false,
    }
}

impl Disk for FileDisk {
    fn describe(&self) -> String {
        self.folder.display().to_string()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            // A name that is not UTF-8 is not a file of a journal.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(self._lock.is_some())
            .open(self.folder.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.may_write()?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(self.folder.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.may_write()?;
        std::fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.may_write()?;
        std::fs::remove_file(self.folder.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < bytes.len() {
            match self.0.read_at(&mut bytes[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(more) => done += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Linux can't sync the folders in `/proc`, like those on squashfs.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_cannot_be_synced_is_an_error_only_if_something_was_created_in_it() {
        let folder = Path::new("/proc/self/fdinfo");
        let proc = File::open("/proc").unwrap().sync_all().unwrap_err();
        assert_eq!(proc.kind(), io::ErrorKind::InvalidInput, "/proc can't be synced: {proc}");
        sync_above(folder, folder).unwrap();
        let error = sync_above(folder, Path::new("/")).unwrap_err().to_string();
        assert!(error.starts_with("/proc/self: can't sync this folder"), "{error}");
    }

    #[test]
    fn files_and_folders_belong_to_the_owner_only() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("data/bank-0");
        let disk = FileDisk::open(&folder).unwrap();
        disk.create("segment-0000000001").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&above.path().join("data")), mode(&folder)), (0o700, 0o700));
        assert_eq!(mode(&folder.join("segment-0000000001")), 0o600);
        assert_eq!(mode(&folder.join(LOCK_NAME)), 0o600);
    }
}
