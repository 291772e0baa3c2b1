//! The index of several consecutive segments, merged from theirs.
//!
//! ```text
//! page 0         file header (64 bytes) · own header, to the end of the page
//! own header     crc32c · zeros u32 · first record u64 · last record u64 · entries u64 ·
//!                last segment u64 · zeros
//! filter pages   63 blocks of 64 bytes · zeros · crc32c
//! entry pages    as in `pages`
//! ```
//!
//! Ascending hashes have ascending blocks of the filter. So both parts are written sequentially,
//! and a merge needs little memory even for a large index. Querying the filter on disk reads one
//! page.

use super::merge::Halt;
use super::pages::{PAGE_BYTES, Pages, PlacedEntry};
use super::{FilterAt, Index};
use crate::disk::{Disk, DiskFile};
use crate::filter::{BLOCK_BYTES, BlockFilter, FilterBlocks, block_may_have, block_of, blocks_for};
use crate::format::SegmentSpan;
use crate::format::{
    FILE_HEADER_BYTES, FileHeader, FileKind, JournalId, Salt, u32_at, u64_at, usize_of,
};
use crate::{JournalError, display_path, sync_error, write_error};
use std::io;
use std::sync::Arc;

const OWN_HEADER_BYTES: usize = PAGE_BYTES - FILE_HEADER_BYTES;
const BLOCKS_IN_PAGE: usize = (PAGE_BYTES - 4) / BLOCK_BYTES;
/// How many pages of the filter are read at once.
const PAGES_AT_ONCE: u64 = 64;

/// The size of the filter in memory.
pub(super) fn filter_bytes(entries: u64) -> u64 {
    blocks_for(entries).saturating_mul(BLOCK_BYTES as u64)
}

/// The position of the entries in the file.
fn pages(journal: &JournalId, span: SegmentSpan, entries: u64) -> Pages {
    let filter_pages = blocks_for(entries).div_ceil(BLOCKS_IN_PAGE as u64);
    let begin = filter_pages.saturating_add(1).saturating_mul(PAGE_BYTES as u64);
    Pages { begin, entries, with_segment: true, salt: Salt::of_span(journal, span) }
}

fn filter_page_at(number: u64) -> u64 {
    (number + 1) * PAGE_BYTES as u64
}

/// The index, without its filter, from its header; `None` if that is damaged.
pub(super) fn read_header(
    file: &dyn DiskFile,
    journal: &JournalId,
    span: SegmentSpan,
) -> io::Result<Option<Index>> {
    let mut head = [0; PAGE_BYTES];
    let got = file.read_at(0, &mut head)?;
    let mut file_header = [0; FILE_HEADER_BYTES];
    file_header.copy_from_slice(&head[..FILE_HEADER_BYTES]);
    let header = &head[FILE_HEADER_BYTES..];
    let salt = Salt::of_span(journal, span);
    let known = FileHeader::decode(FileKind::Merged, &file_header)
        == Ok(FileHeader::new(*journal, span.first));
    if got < head.len()
        || !known
        || u32_at(header, 0) != salt.crc(0, &header[4..])
        || u64_at(header, 32) != span.last
    {
        return Ok(None);
    }
    Ok(Some(Index {
        span,
        first: u64_at(header, 8),
        last: u64_at(header, 16),
        journal: *journal,
        pages: pages(journal, span, u64_at(header, 24)),
        filter_at: FilterAt::Pages,
        filter: None,
    }))
}

/// Reads the whole filter; `None` if it is damaged.
pub(super) fn read_filter(file: &dyn DiskFile, pages: Pages) -> io::Result<Option<BlockFilter>> {
    let mut blocks = Vec::with_capacity(usize_of(filter_bytes(pages.entries)));
    let count = blocks_for(pages.entries).div_ceil(BLOCKS_IN_PAGE as u64);
    let mut page = 0;
    while page < count {
        let now = (count - page).min(PAGES_AT_ONCE);
        let mut bytes = vec![0; usize_of(now) * PAGE_BYTES];
        if file.read_at(filter_page_at(page), &mut bytes)? < bytes.len() {
            return Ok(None);
        }
        for (number, bytes) in (page..).zip(bytes.chunks_exact(PAGE_BYTES)) {
            let Some(of_page) = filter_page(pages.salt, number, bytes) else { return Ok(None) };
            blocks.extend_from_slice(of_page);
        }
        page += now;
    }
    blocks.truncate(usize_of(filter_bytes(pages.entries)));
    Ok(BlockFilter::from_bytes(&blocks))
}

/// Queries the filter on disk by reading one page; `None` if that is damaged.
pub(super) fn read_may_have(
    file: &dyn DiskFile,
    pages: Pages,
    hash: u64,
) -> io::Result<Option<bool>> {
    let block = block_of(hash, blocks_for(pages.entries));
    let number = block / BLOCKS_IN_PAGE as u64;
    let mut bytes = [0; PAGE_BYTES];
    let got = file.read_at(filter_page_at(number), &mut bytes)?;
    let blocks = filter_page(pages.salt, number, &bytes).filter(|_| got == PAGE_BYTES);
    let at = usize_of(block % BLOCKS_IN_PAGE as u64) * BLOCK_BYTES;
    Ok(blocks.map(|blocks| block_may_have(&blocks[at..at + BLOCK_BYTES], hash)))
}

/// The blocks in the bytes of a page of the filter, if it is valid.
fn filter_page(salt: Salt, number: u64, bytes: &[u8]) -> Option<&[u8]> {
    let crc = salt.crc(filter_page_at(number), &bytes[..PAGE_BYTES - 4]);
    (crc == u32_at(bytes, PAGE_BYTES - 4)).then_some(&bytes[..BLOCKS_IN_PAGE * BLOCK_BYTES])
}

/// Writes a merged index from entries in ascending order, under a temporary name.
pub(super) struct MergedWriter {
    file: Arc<dyn DiskFile>,
    /// The temporary name of the file.
    pub name: String,
    span: SegmentSpan,
    journal: JournalId,
    pages: Pages,
    filter: FilterBlocks,
    /// Blocks of the filter that are not written yet, and the number of their page.
    blocks: Vec<u8>,
    filter_page: u64,
    /// Entries that are not written yet, and the number of their page.
    entries: Vec<PlacedEntry>,
    entry_page: u64,
    count: u64,
    last: Option<PlacedEntry>,
    ascending: bool,
}

impl MergedWriter {
    /// Creates the file for so many entries.
    pub(super) fn create(
        disk: &dyn Disk,
        journal: &JournalId,
        span: SegmentSpan,
        entries: u64,
    ) -> Result<MergedWriter, JournalError> {
        let name = format!("{}.tmp", span.name());
        let file = disk.create(&name).map_err(|error| write_error(disk, &name, 0, 0, error))?;
        Ok(MergedWriter {
            file,
            name,
            span,
            journal: *journal,
            pages: pages(journal, span, entries),
            filter: FilterBlocks::new(entries),
            blocks: Vec::new(),
            filter_page: 0,
            entries: Vec::new(),
            entry_page: 0,
            count: 0,
            last: None,
            ascending: true,
        })
    }

    /// Adds the next entry.
    pub(super) fn push(&mut self, entry: PlacedEntry) {
        self.ascending &= self.last.is_none_or(|last| last < entry);
        self.last = Some(entry);
        self.count += 1;
        self.filter.add(entry.hash, &mut self.blocks);
        self.entries.push(entry);
    }

    /// Writes the full pages, or all, and syncs them.
    pub(super) fn flush(&mut self, disk: &dyn Disk, all: bool) -> Result<(), JournalError> {
        let in_page = self.pages.in_page();
        let full = self.entries.len() / in_page * in_page;
        let taken = if all { self.entries.len() } else { full };
        let mut bytes = Vec::new();
        for entries in self.entries[..taken].chunks(in_page) {
            self.pages.encode(self.entry_page, entries, &mut bytes);
            self.entry_page += 1;
        }
        self.entries.drain(..taken);
        let end = self.pages.begin + self.entry_page * PAGE_BYTES as u64;
        self.write(disk, end - bytes.len() as u64, &bytes)?;
        bytes.clear();
        let page_bytes = BLOCKS_IN_PAGE * BLOCK_BYTES;
        let full = self.blocks.len() / page_bytes * page_bytes;
        let taken = if all { self.blocks.len() } else { full };
        let begin = filter_page_at(self.filter_page);
        for blocks in self.blocks[..taken].chunks(page_bytes) {
            let page = bytes.len();
            bytes.extend_from_slice(blocks);
            bytes.resize(page + PAGE_BYTES - 4, 0);
            let crc = self.pages.salt.crc(filter_page_at(self.filter_page), &bytes[page..]);
            bytes.extend_from_slice(&crc.to_le_bytes());
            self.filter_page += 1;
        }
        self.blocks.drain(..taken);
        self.write(disk, begin, &bytes)?;
        self.file.sync().map_err(|error| sync_error(disk, &self.name, error))
    }

    /// Writes the rest, and the header. Then the file is complete and synced, but not renamed yet.
    pub(super) fn finish(&mut self, disk: &dyn Disk, first: u64, last: u64) -> Result<Index, Halt> {
        self.filter.finish(&mut self.blocks);
        // Only a fault of this program gets here: an id that is missing in the index would be voted
        // on again.
        if self.count != self.pages.entries || !self.ascending {
            return Err(Halt::Error(JournalError::Damaged {
                file: display_path(disk, &self.name),
                offset: 0,
                why: format!(
                    "{} entries were merged where {} were due",
                    self.count, self.pages.entries
                ),
            }));
        }
        let mut head =
            FileHeader::new(self.journal, self.span.first).encode(FileKind::Merged).to_vec();
        let mut own = [0; OWN_HEADER_BYTES];
        own[8..16].copy_from_slice(&first.to_le_bytes());
        own[16..24].copy_from_slice(&last.to_le_bytes());
        own[24..32].copy_from_slice(&self.count.to_le_bytes());
        own[32..40].copy_from_slice(&self.span.last.to_le_bytes());
        let crc = self.pages.salt.crc(0, &own[4..]);
        own[..4].copy_from_slice(&crc.to_le_bytes());
        head.extend_from_slice(&own);
        self.write(disk, 0, &head)?;
        self.flush(disk, true)?;
        Ok(Index {
            span: self.span,
            first,
            last,
            journal: self.journal,
            pages: self.pages,
            filter_at: FilterAt::Pages,
            filter: None,
        })
    }

    fn write(&self, disk: &dyn Disk, offset: u64, bytes: &[u8]) -> Result<(), JournalError> {
        self.file
            .write_at(offset, bytes)
            .map_err(|error| write_error(disk, &self.name, offset, bytes.len(), error))
    }
}
