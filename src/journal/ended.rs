//! The mark of an orderly end: an empty file whose name tells the last record there was.
//!
//! A journal only grows, so whatever is found later holds that record, or files of it are gone:
//! segments that are missing from the end leave no gap, and what would prove them, an index or a
//! snapshot, may be gone with them.

use super::disk::Disk;
use super::format::number_in;
use super::{JournalError, io_error, sync_error};
use consorcio_core::bank::io::Seq;

/// The name of the mark of an end with record `last`.
pub(super) fn ended_name(last: Seq) -> String {
    format!("ended-{last:020}")
}

/// The greatest record that a mark among these names tells.
pub(super) fn last_ended(names: &[String]) -> Option<Seq> {
    ends(names).max()
}

fn ends(names: &[String]) -> impl Iterator<Item = Seq> {
    names.iter().filter_map(|name| number_in(name, "ended-", ended_name))
}

/// Leaves the mark, durable, and removes older ones.
pub(super) fn leave(disk: &dyn Disk, last: Seq) -> Result<(), JournalError> {
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
