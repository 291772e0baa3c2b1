//! Files that are written completely, under a temporary name, before they get their own.

use super::disk::{Disk, DiskFile};
use super::{JournalError, io_error, sync_error, write_error};
use consorcio_core::limits::WHOLE_FILE_CHUNK_BYTES;
use consorcio_system::crash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file under its temporary name. It is written and synced in pieces, so that appends never wait
/// behind a large write.
pub(super) struct WholeFile<'a> {
    disk: &'a dyn Disk,
    name: &'a str,
    unfinished: String,
    file: Arc<dyn DiskFile>,
    /// What follows the bytes that are written.
    rest: Vec<u8>,
    offset: u64,
    stop: &'a AtomicBool,
}

impl<'a> WholeFile<'a> {
    /// Creates a file that will be called `name`, with `head` at its beginning.
    pub(crate) fn create(
        disk: &'a dyn Disk,
        name: &'a str,
        head: &[u8],
        stop: &'a AtomicBool,
    ) -> Result<WholeFile<'a>, JournalError> {
        let unfinished = format!("{name}.tmp");
        let file = disk
            .create(&unfinished)
            .map_err(|error| write_error(disk, &unfinished, 0, 0, error))?;
        Ok(WholeFile { disk, name, unfinished, file, rest: head.to_vec(), offset: 0, stop })
    }

    /// Adds bytes. Returns an error once the journal is closed.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) -> Result<(), JournalError> {
        while !bytes.is_empty() {
            let room = WHOLE_FILE_CHUNK_BYTES.saturating_sub(self.rest.len());
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.rest.extend_from_slice(now);
            bytes = later;
            if self.rest.len() >= WHOLE_FILE_CHUNK_BYTES {
                self.write_rest()?;
            }
        }
        Ok(())
    }

    /// Writes the beginning again, if `head` is given, and gives the file its name.
    pub(crate) fn finish(mut self, head: Option<&[u8]>) -> Result<(), JournalError> {
        self.write_rest()?;
        if let Some(head) = head {
            self.write(0, head)?;
        }
        let (disk, name) = (self.disk, self.name);
        crash::file_written(name);
        disk.rename(&self.unfinished, name)
            .map_err(|error| io_error(disk, "rename", &self.unfinished, error))?;
        crash::file_named(name);
        disk.sync_folder().map_err(|error| sync_error(disk, "", error))
    }

    fn write_rest(&mut self) -> Result<(), JournalError> {
        unless_stopped(self.stop)?;
        if !self.rest.is_empty() {
            self.write(self.offset, &self.rest)?;
            self.offset += self.rest.len() as u64;
            self.rest.clear();
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), JournalError> {
        let (disk, unfinished) = (self.disk, &self.unfinished);
        self.file
            .write_at(offset, bytes)
            .map_err(|error| write_error(disk, unfinished, offset, bytes.len(), error))?;
        self.file.sync().map_err(|error| sync_error(disk, unfinished, error))
    }
}

/// Writes a file that is in memory.
pub(super) fn write_whole(
    disk: &dyn Disk,
    name: &str,
    content: &[u8],
    stop: &AtomicBool,
) -> Result<(), JournalError> {
    let mut file = WholeFile::create(disk, name, &[], stop)?;
    file.add(content)?;
    file.finish(None)
}

/// An error once the journal is closed.
pub(super) fn unless_stopped(stop: &AtomicBool) -> Result<(), JournalError> {
    if stop.load(Ordering::Relaxed) {
        return Err(JournalError::Stopped("the journal was closed".into()));
    }
    Ok(())
}
