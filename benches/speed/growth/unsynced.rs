//! The disk of the loader: a folder of the file system whose syncs wait until all is written. The
//! loader's thousands of syncs would tire the disk that is measured afterwards.

use anyhow::{Context, Result};
use consorcio_journal::{Disk, DiskFile, FileDisk};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A folder that is synced by `sync_all` alone; a crash before it loses journals.
pub(super) struct LoaderDisk(FileDisk);

/// A file in that folder.
struct LoaderFile(Arc<dyn DiskFile>);

impl LoaderDisk {
    /// Locks the folder.
    ///
    /// # Errors
    /// If another process uses it.
    pub(super) fn open(folder: &Path) -> Result<LoaderDisk> {
        Ok(LoaderDisk(FileDisk::open(folder)?))
    }
}

/// Writes all that the file system of this folder has to the disk.
///
/// # Errors
/// If it can't be written.
pub(super) fn sync_all(folder: &Path) -> Result<()> {
    let open = std::fs::File::open(folder).with_context(|| folder.display().to_string())?;
    Ok(rustix::fs::syncfs(open)?)
}

impl Disk for LoaderDisk {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(LoaderFile(Disk::open(&self.0, name)?)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(LoaderFile(self.0.create(name)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for LoaderFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
