//! Indexes: which record of the full segments decides an id.
//!
//! Each full segment gets an index of its own (`single`); eight consecutive ones are merged into
//! one (`merged`), eight of these again, and so on (`tiers`, `merge`). So the number of indexes
//! grows with the logarithm of the number of segments. If a filter is in memory, most look-ups need
//! no read; otherwise they read one page.
//!
//! An index can always be rebuilt from its segments (`repair`), so a missing or damaged one is no
//! error. Every part of it has a checksum: a wrong "not found" would let a bank vote twice. An
//! index identifies ids by their hashes; the record itself shows whether it decides the id.

mod check;
mod merge;
mod merged;
mod pages;
mod repair;
mod single;
mod tiers;

pub(super) use check::not_whole;
pub(super) use merge::{Halt, Merge};
pub(super) use repair::Repair;
pub(super) use single::{ClosedSegment, note_decided, read_closed, write_index};
pub(super) use tiers::{due, kept, last_indexed};

use super::format::SegmentSpan;

use super::disk::{Disk, DiskFile};
use super::files::{FileOf, Files};
use super::filter::BlockFilter;
use super::format::{
    JournalId, RECORD_HEADER_BYTES, Salt, check_record, decode_record, segment_name, size, u32_at,
    u64_at, usize_of,
};
use super::{JournalError, display_path, io_error};
use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use consorcio_core::ids::TxId;
use pages::Pages;
use std::io;
use std::sync::Arc;

/// A hash of ids, keyed with the journal's id, so that a client can't choose colliding ids.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdHash([u8; 32]);

impl IdHash {
    pub(crate) fn new(journal: &JournalId) -> IdHash {
        let mut key = [0; 32];
        key[..16].copy_from_slice(journal);
        key[16..].copy_from_slice(b"consorcio index.");
        IdHash(key)
    }

    pub(crate) fn of(&self, tx: &TxId) -> u64 {
        u64_at(blake3::keyed_hash(&self.0, tx.as_str().as_bytes()).as_bytes(), 0)
    }
}

/// An id that a segment decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct IndexEntry {
    pub hash: u64,
    /// The offset of the record's header in the segment.
    pub offset: u32,
}

/// The header of an index file; the entries stay on disk.
#[derive(Debug, Clone)]
pub(super) struct Index {
    pub span: SegmentSpan,
    /// The number of the first record in its segments.
    pub first: Seq,
    /// That of the last one; `first - 1` if there is none.
    pub last: Seq,
    journal: JournalId,
    pages: Pages,
    filter_at: FilterAt,
    /// The filter, if it is in memory.
    filter: Option<Arc<BlockFilter>>,
}

/// The position of the filter in the file.
#[derive(Debug, Clone, Copy)]
enum FilterAt {
    /// So many bytes after the header, with one checksum.
    Whole { bytes: u64, crc: u32 },
    /// In pages with a checksum each.
    Pages,
}

/// The result of a search in one index.
#[derive(Debug)]
pub(super) enum Lookup {
    /// The record that decides the id.
    Found(Record),
    /// These segments do not decide it.
    Not,
    /// The index file is missing or damaged.
    IndexBad,
}

/// The cost of searches.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    /// How many filters were queried.
    pub filters: u64,
    /// How many pages of indexes were read.
    pub pages: u64,
}

/// Opens an index and reads its header, without filter and entries. `None` if it is missing,
/// damaged, or of another version.
pub(super) fn load(
    disk: &dyn Disk,
    journal: &JournalId,
    span: SegmentSpan,
) -> Result<Option<Index>, JournalError> {
    let name = span.name();
    let file = match disk.open(&name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(disk, "open", &name, error)),
    };
    let found = if span.segments() == 1 {
        single::read_header(file.as_ref(), journal, span)
    } else {
        merged::read_header(file.as_ref(), journal, span)
    };
    let size = file.size().map_err(|error| io_error(disk, "read", &name, error))?;
    let found = found.map_err(|error| io_error(disk, "read", &name, error))?;
    Ok(found.filter(|index| index.pages.end() == size))
}

impl Index {
    /// How many ids it has.
    pub(crate) fn entries(&self) -> usize {
        usize_of(self.pages.entries)
    }

    /// The size of its filter in memory.
    pub(crate) fn filter_bytes(&self) -> u64 {
        match self.filter_at {
            FilterAt::Whole { bytes, .. } => bytes,
            FilterAt::Pages => merged::filter_bytes(self.pages.entries),
        }
    }

    /// How much memory its filter takes now.
    pub(crate) fn kept_bytes(&self) -> u64 {
        self.filter.as_ref().map_or(0, |filter| filter.bytes())
    }

    /// Is the filter in memory?
    pub(crate) fn has_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// The same index without the filter in memory.
    pub(crate) fn without_filter(&self) -> Index {
        Index { filter: None, ..self.clone() }
    }

    /// The same index with its filter in memory; `None` if the filter is damaged.
    pub(crate) fn with_filter(&self, disk: &dyn Disk) -> Result<Option<Index>, JournalError> {
        let name = self.span.name();
        let file = match disk.open(&name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(disk, "open", &name, error)),
        };
        let filter = match self.filter_at {
            FilterAt::Whole { bytes, crc } => {
                single::read_filter(file.as_ref(), self.pages.salt, bytes, crc)
            }
            FilterAt::Pages => merged::read_filter(file.as_ref(), self.pages),
        };
        let filter = filter.map_err(|error| io_error(disk, "read", &name, error))?;
        Ok(filter.map(|filter| Index { filter: Some(Arc::new(filter)), ..self.clone() }))
    }

    /// Searches the record that decides `tx`, whose hash is `hash`; without a read if a filter in
    /// memory excludes it.
    pub(crate) fn find(
        &self,
        files: &Files,
        tx: &TxId,
        hash: u64,
        cost: &mut Cost,
    ) -> Result<Lookup, JournalError> {
        if let Some(filter) = &self.filter {
            cost.filters += 1;
            if !filter.may_have(hash) {
                return Ok(Lookup::Not);
            }
        }
        let (disk, name) = (files.disk.as_ref(), self.span.name());
        let file = match files.get(FileOf::Index(self.span)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lookup::IndexBad),
            Err(error) => return Err(io_error(disk, "open", &name, error)),
        };
        let read = |error| io_error(disk, "read", &name, error);
        if self.filter.is_none()
            && let FilterAt::Pages = self.filter_at
        {
            cost.filters += 1;
            cost.pages += 1;
            match merged::read_may_have(file.as_ref(), self.pages, hash).map_err(read)? {
                Some(true) => {}
                Some(false) => return Ok(Lookup::Not),
                None => return Ok(Lookup::IndexBad),
            }
        }
        let positions = self.pages.find(file.as_ref(), hash, &mut cost.pages).map_err(read)?;
        let Some(positions) = positions else { return Ok(Lookup::IndexBad) };
        // The last record about an id is its outcome.
        for found in positions.iter().rev() {
            let record =
                self.read_record(files, self.span.first + u64::from(found.segment), found.offset)?;
            if record.decides() == Some(tx) {
                return Ok(Lookup::Found(record));
            }
        }
        Ok(Lookup::Not)
    }

    fn read_record(
        &self,
        files: &Files,
        segment: u64,
        offset: u32,
    ) -> Result<Record, JournalError> {
        let (disk, name) = (files.disk.as_ref(), segment_name(segment));
        let read = |error| io_error(disk, "read", &name, error);
        let damaged = |why: &str| JournalError::Damaged {
            file: display_path(disk, &name),
            offset: u64::from(offset),
            why: why.into(),
        };
        let file = files.get(FileOf::Segment(segment));
        let file = file.map_err(|error| io_error(disk, "open", &name, error))?;
        // Most records fit this size; the rest of a longer one is read once its length is known.
        let mut bytes = vec![0; 1024];
        let got = file.read_at(u64::from(offset), &mut bytes).map_err(read)?;
        bytes.truncate(got);
        if bytes.len() >= RECORD_HEADER_BYTES {
            let whole = RECORD_HEADER_BYTES + size(u32_at(&bytes, 0));
            let left = usize_of(file.size().map_err(read)?.saturating_sub(u64::from(offset)));
            bytes.resize(whole.min(left), 0);
            if whole > got {
                let got = file.read_at(u64::from(offset), &mut bytes).map_err(read)?;
                bytes.truncate(got);
            }
        }
        let salt = Salt::new(&self.journal, segment);
        let length = check_record(salt, u64::from(offset), &bytes).ok_or_else(|| {
            damaged("the record that the index points at is not as it was written")
        })?;
        decode_record(&bytes[RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length])
            .map_err(|why| damaged(&format!("this program can't read the record: {why}")))
    }

    /// Opens the file separately from the cache of look-ups.
    fn open(&self, disk: &dyn Disk) -> Result<Option<Arc<dyn DiskFile>>, JournalError> {
        match disk.open(&self.span.name()) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(disk, "open", &self.span.name(), error)),
        }
    }
}
