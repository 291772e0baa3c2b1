//! Files that are written completely, under a temporary name, before they get their own.

use super::disk::Disk;
use super::{JournalError, io_error, sync_error, write_error};
use consorcio_core::limits::WHOLE_FILE_CHUNK_BYTES;
use consorcio_system::crash;
use std::sync::atomic::{AtomicBool, Ordering};

/// Writes a file under a temporary name, syncs it, and renames it. Returns an error once `stop` is
/// set.
pub(super) fn write_whole(
    disk: &dyn Disk,
    name: &str,
    parts: &[&[u8]],
    stop: &AtomicBool,
) -> Result<(), JournalError> {
    let unfinished = format!("{name}.tmp");
    let file =
        disk.create(&unfinished).map_err(|error| write_error(disk, &unfinished, 0, 0, error))?;
    let mut offset = 0;
    for chunk in parts.iter().flat_map(|part| part.chunks(WHOLE_FILE_CHUNK_BYTES)) {
        unless_stopped(stop)?;
        file.write_at(offset, chunk)
            .map_err(|error| write_error(disk, &unfinished, offset, chunk.len(), error))?;
        // Synced in pieces, so that appends never wait behind a large write.
        file.sync().map_err(|error| sync_error(disk, &unfinished, error))?;
        offset += chunk.len() as u64;
    }
    crash::file_written(name);
    disk.rename(&unfinished, name).map_err(|error| io_error(disk, "rename", &unfinished, error))?;
    crash::file_named(name);
    disk.sync_folder().map_err(|error| sync_error(disk, "", error))
}

/// An error once the journal is closed.
pub(super) fn unless_stopped(stop: &AtomicBool) -> Result<(), JournalError> {
    if stop.load(Ordering::Relaxed) {
        return Err(JournalError::Stopped("the journal was closed".into()));
    }
    Ok(())
}
