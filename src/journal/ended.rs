//! The mark of an orderly end: an empty file whose name has the number of the last record.
//!
//! A journal only grows, so it must contain that record later, or files are missing: if the last
//! segments are missing there is no gap, and their indexes or snapshots, which would prove it, may
//! be missing too.

use super::disk::Disk;
use super::format::number_in;
use super::{JournalError, io_error, sync_error};
use consorcio_core::bank::io::Seq;

/// The name of the mark after record `last`.
pub(super) fn ended_name(last: Seq) -> String {
    format!("ended-{last:020}")
}

/// The greatest record that a mark among these names proves.
pub(super) fn last_ended(names: &[String]) -> Option<Seq> {
    ends(names).max()
}

fn ends(names: &[String]) -> impl Iterator<Item = Seq> {
    names.iter().filter_map(|name| number_in(name, "ended-", ended_name))
}

/// Creates the mark, makes it durable, and removes older ones.
pub(super) fn write_mark(disk: &dyn Disk, last: Seq) -> Result<(), JournalError> {
    let names = disk.list().map_err(|error| io_error(disk, "list", "", error))?;
    let name = ended_name(last);
    if last_ended(&names) != Some(last) {
        disk.create(&name).map_err(|error| io_error(disk, "make", &name, error))?;
        disk.sync_folder().map_err(|error| sync_error(disk, "", error))?;
    }
    for older in ends(&names).filter(|ended| *ended < last) {
        let name = ended_name(older);
        disk.remove(&name).map_err(|error| io_error(disk, "remove", &name, error))?;
    }
    Ok(())
}
