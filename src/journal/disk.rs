//! File access, behind a small trait: one folder, flat, and the few things a journal does to it.
//!
//! The contract is that of a disk: what was written is there to be read at once, but survives a
//! crash only after `sync`; a file that was created, renamed or removed only after `sync_folder`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One folder of files.
pub trait Disk: Send + Sync {
    /// What to call it in a message.
    fn describe(&self) -> String;
    /// The names of its files, in no order.
    ///
    /// # Errors
    /// When the folder can't be read.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file that is there.
    ///
    /// # Errors
    /// When it isn't, or can't be opened.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes an empty file, in the place of any that is there.
    ///
    /// # Errors
    /// When it can't be made.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames a file, over any that has the new name.
    ///
    /// # Errors
    /// When it can't be renamed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// When it can't be removed.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes what was created, renamed and removed durable.
    ///
    /// # Errors
    /// When that is not known to have happened.
    fn sync_folder(&self) -> io::Result<()>;
}

/// A file that is open, read and written at offsets.
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// When the disk can't tell.
    fn size(&self) -> io::Result<u64>;
    /// Reads what stands at `offset`: all of `bytes`, or less at the end of the file. How much is
    /// returned.
    ///
    /// # Errors
    /// When it can't be read.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`; the file grows where needed, with zeros in a gap.
    ///
    /// # Errors
    /// When it was not written, or only a part of it.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written durable, and the file's length with it.
    ///
    /// # Errors
    /// When that is not known to have happened. Nobody knows then what is on disk, whatever a later
    /// call says.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the file system.
#[derive(Debug)]
pub struct FileDisk {
    folder: PathBuf,
    /// Held as long as this lives; `None` for one that only reads.
    _lock: Option<File>,
}

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("{0}: another servidor uses this folder")]
    InUse(PathBuf),
    /// It can't be made, opened or locked.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// A folder stands where a file must be, or something else where a folder must be.
    #[error("{0}: {1}; move it away, or name another folder (--data-dir)")]
    InTheWay(PathBuf, &'static str),
    /// A folder above it can't be synced, so a name in it may not outlive the end of power.
    #[error("{0}: can't sync this folder, which the data is in: {1}")]
    Sync(PathBuf, io::Error),
}

const LOCK_NAME: &str = "lock";

/// Only the owner reads what banks hold, whatever the umask says.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

impl FileDisk {
    /// Takes a folder, made where it is not there yet, for this process alone.
    ///
    /// # Errors
    /// When another process has it, or it can't be made or locked.
    pub fn open(folder: impl Into<PathBuf>) -> Result<FileDisk, FolderError> {
        let folder = folder.into();
        let fault = |error| FolderError::Io(folder.clone(), error);
        make_folder(&folder)?;
        // The file is never removed: a lock on a file that has lost its name would exclude nobody.
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

    /// A folder to read only, though another process may be writing it.
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

/// Makes a folder, and those above it, that only its owner can read, and makes them durable: each
/// is a name in the one above. Also where they were there already, for nobody knows whether whoever
/// made them did.
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
    // A relative path without a folder that is there begins in the one that this process works in.
    let there_before = there_before.unwrap_or_default();
    let made_below = if there_before.as_os_str().is_empty() { ".".into() } else { there_before };
    let made_below = made_below.canonicalize().map_err(|error| fault(&made_below, error))?;
    sync_above(&whole, &made_below)
}

/// Syncs all folders above `whole`; what was made just now was made in `made_below` or deeper.
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

/// Some file systems, mostly such as nobody can write to, have no sync of folders (EINVAL), and
/// some folders are made by someone with other rights than ours. Where nothing was made in a folder
/// just now, neither is a fault.
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
            // A name that is not UTF-8 is none of ours.
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

    /// Linux has no sync of the folders in `/proc`, as it has none of those on squashfs.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_without_a_sync_is_no_fault_unless_something_was_made_in_it() {
        let folder = Path::new("/proc/self/fdinfo");
        let proc = File::open("/proc").unwrap().sync_all().unwrap_err();
        assert_eq!(proc.kind(), io::ErrorKind::InvalidInput, "/proc can't be synced: {proc}");
        sync_above(folder, folder).unwrap();
        let told = sync_above(folder, Path::new("/")).unwrap_err().to_string();
        assert!(told.starts_with("/proc/self: can't sync this folder"), "{told}");
    }

    #[test]
    fn what_is_made_is_the_owners_alone() {
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
