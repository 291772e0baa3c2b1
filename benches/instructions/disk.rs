//! A disk that discards what is written: a row counts the work of a journal, not that of a disk.

use consorcio_journal::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// A folder of files that have a length and no content.
#[derive(Default)]
pub struct DiscardingDisk(Mutex<BTreeMap<String, Arc<DiscardingFile>>>);

/// A file that keeps the length of what was written to it.
#[derive(Default)]
struct DiscardingFile(AtomicU64);

impl DiscardingDisk {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Arc<DiscardingFile>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Disk for DiscardingDisk {
    fn describe(&self) -> String {
        "nowhere".to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.with(|files| files.keys().cloned().collect()))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.with(|files| files.get(name).cloned());
        Ok(file.ok_or(io::ErrorKind::NotFound)?)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = Arc::new(DiscardingFile::default());
        self.with(|files| files.insert(name.to_owned(), Arc::clone(&file)));
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(|files| {
            let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
            files.insert(to.to_owned(), file);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|files| files.remove(name))
            .map_or(Err(io::ErrorKind::NotFound.into()), |_| Ok(()))
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for DiscardingFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.load(Relaxed))
    }

    fn read_at(&self, _offset: u64, _bytes: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("nothing that was written is kept"))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.fetch_max(offset + bytes.len() as u64, Relaxed);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
