//! A disk with one fault.

use super::*;

#[derive(Clone)]
pub(super) struct FaultyDisk {
    pub(super) disk: MemDisk,
    pub(super) how: Failing,
    pub(super) times: Arc<AtomicUsize>,
    /// The next sync of the folder is lost.
    pub(super) loses: Arc<AtomicBool>,
    /// Segments that were opened, for `IndexIsLate`.
    pub(super) opened: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Failing {
    Honest,
    /// Merged indexes can't be created.
    MergeFails,
    RemoveFails,
    /// Merged indexes are never synced, without an error.
    SyncIsLost,
    /// The folder is not synced after a merged index got its name, without an error.
    NameIsLost,
    /// The first index waits until `LATE` segments are full.
    IndexIsLate,
}

impl FaultyDisk {
    pub(super) fn new(disk: &MemDisk, how: Failing) -> FaultyDisk {
        FaultyDisk {
            disk: disk.clone(),
            how,
            times: Arc::default(),
            loses: Arc::default(),
            opened: Arc::default(),
        }
    }

    pub(super) fn is(&self, how: Failing, name: &str) -> bool {
        let prefix = if how == Failing::RemoveFails { "index-" } else { "merged-" };
        let is = self.how == how && name.starts_with(prefix);
        self.times.fetch_add(usize::from(is), Ordering::Relaxed);
        is
    }
}

impl Disk for FaultyDisk {
    fn describe(&self) -> String {
        self.disk.describe()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if self.how == Failing::IndexIsLate && name.starts_with("segment-") {
            self.opened.lock().unwrap().push(name.to_owned());
        }
        self.disk.open(name)
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if self.is(Failing::MergeFails, name) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if self.how == Failing::IndexIsLate && name.starts_with(&index_name(1)) {
            while full(&self.disk) < LATE {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        if self.how == Failing::IndexIsLate && name.starts_with(&index_name(LATE)) {
            self.times.store(names(&self.disk, "merged-").len(), Ordering::Relaxed);
        }
        let file = self.disk.create(name)?;
        Ok(if self.is(Failing::SyncIsLost, name) { Arc::new(UnsyncedFile(file)) } else { file })
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.loses.store(self.is(Failing::NameIsLost, to), Ordering::Relaxed);
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        if self.is(Failing::RemoveFails, name) {
            return Err(io::Error::other("not now"));
        }
        self.disk.remove(name)
    }
    fn sync_folder(&self) -> io::Result<()> {
        if self.loses.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        self.disk.sync_folder()
    }
}

pub(super) struct UnsyncedFile(Arc<dyn DiskFile>);

impl DiskFile for UnsyncedFile {
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
