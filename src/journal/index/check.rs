//! Verifies the indexes in a folder, for people who verify a journal; the journal itself checks
//! each page when it reads it.

use super::{Index, load};
use crate::JournalError;
use crate::disk::Disk;
use crate::format::JournalId;
use crate::format::SegmentSpan;
use crate::io_error;

/// How many pages are read at once.
const PAGES_AT_ONCE: u64 = 64;

/// Checks every byte of an index.
fn is_whole(disk: &dyn Disk, index: &Index) -> Result<bool, JournalError> {
    if index.with_filter(disk)?.is_none() {
        return Ok(false);
    }
    let Some(file) = index.open(disk)? else { return Ok(false) };
    let (mut page, mut before) = (0, None);
    while page < index.pages.count() {
        let read = index.pages.read(file.as_ref(), page, PAGES_AT_ONCE);
        let read = read.map_err(|error| io_error(disk, "read", &index.span.name(), error))?;
        let Some(entries) = read else { return Ok(false) };
        for entry in entries {
            if before.is_some_and(|before| before > entry) {
                return Ok(false);
            }
            before = Some(entry);
        }
        page += PAGES_AT_ONCE;
    }
    Ok(true)
}

/// The names of the damaged indexes in the folder. One that is removed meanwhile, because a merged
/// index replaces it, is not damaged.
pub(crate) fn not_whole(disk: &dyn Disk, journal: &JournalId) -> Result<Vec<String>, JournalError> {
    let list = || disk.list().map_err(|error| io_error(disk, "list", "", error));
    let mut spans: Vec<SegmentSpan> =
        list()?.iter().filter_map(|name| SegmentSpan::named(name)).collect();
    spans.sort_unstable();
    let mut found = Vec::new();
    for span in spans {
        let whole = match load(disk, journal, span)? {
            Some(index) => is_whole(disk, &index)?,
            None => false,
        };
        if !whole && list()?.contains(&span.name()) {
            found.push(span.name());
        }
    }
    Ok(found)
}
