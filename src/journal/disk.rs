//! File access, behind a small trait: one folder, flat, and the few things a journal does to it.
//!
//! The contract is that of a disk: what was written is there to be read at once, but survives a crash only
//! after `sync`; a file that was created, renamed or removed only after `sync_folder`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
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

/// One file.
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// When the disk can't tell.
    fn size(&self) -> io::Result<u64>;
    /// Reads what stands at `offset`: all of `bytes`, or less at the end of the file. How much is returned.
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
    /// When that is not known to have happened. Nobody knows then what is on disk, whatever a later call says.
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
}

const LOCK_NAME: &str = "lock";

impl FileDisk {
    /// Takes a folder, made where it is not there yet, for this process alone.
    ///
    /// # Errors
    /// When another process has it, or it can't be made or locked.
    pub fn open(folder: impl Into<PathBuf>) -> Result<FileDisk, FolderError> {
        let folder = folder.into();
        let fault = |error| FolderError::Io(folder.clone(), error);
        make_folder(&folder).map_err(fault)?;
        // The file is never removed: a lock on a file that has lost its name would exclude nobody.
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(folder.join(LOCK_NAME))
            .map_err(fault)?;
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
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "this folder was opened to read only"))
        }
    }
}

/// Makes a folder and those above it, and makes them durable: each is a name in the one above. Also where they
/// were there already, for nobody knows whether whoever made them did.
fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for above in folder.canonicalize()?.ancestors().skip(1) {
        match File::open(above).and_then(|above| above.sync_all()) {
            // Made by someone with other rights than ours, and so not just now.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
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
        let file = OpenOptions::new().read(true).write(self._lock.is_some()).open(self.folder.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.may_write()?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
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
