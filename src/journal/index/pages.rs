//! Pages of sorted entries, as in both kinds of index, and the search in them.
//!
//! ```text
//! page (4096 bytes)  entries, sorted · zeros · count u32 · crc32c
//! entry              hash u64 · in a merged index the segment u32, relative to its first one ·
//!                    offset u32
//! ```

use crate::disk::DiskFile;
use crate::format::{Salt, size, u32_at, u64_at};
use std::io;

/// The size of a page.
pub(super) const PAGE_BYTES: usize = 4096;
const TRAILER_BYTES: usize = 8;

/// Hashes are evenly distributed: a few guesses find the right page; after that the search halves.
const GUESSES: u32 = 6;

/// An entry of an index: the position of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlacedEntry {
    pub hash: u64,
    /// Its segment, relative to the index's first one.
    pub segment: u32,
    /// The offset of its header in the segment.
    pub offset: u32,
}

/// The pages of entries in a file, and the format of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages {
    /// The offset of the first page.
    pub begin: u64,
    pub entries: u64,
    /// Whether entries contain a segment.
    pub with_segment: bool,
    pub salt: Salt,
}

impl Pages {
    fn entry_bytes(self) -> usize {
        if self.with_segment { 16 } else { 12 }
    }

    /// How many entries a page has.
    pub(crate) fn in_page(self) -> usize {
        (PAGE_BYTES - TRAILER_BYTES) / self.entry_bytes()
    }

    pub(super) fn count(self) -> u64 {
        self.entries.div_ceil(self.in_page() as u64)
    }

    /// The offset after the last page.
    pub(super) fn end(self) -> u64 {
        self.offset(self.count())
    }

    fn offset(self, page: u64) -> u64 {
        self.begin.saturating_add(page.saturating_mul(PAGE_BYTES as u64))
    }

    /// Appends a page of these entries to `out`; its number is `page`.
    pub(super) fn encode(self, page: u64, entries: &[PlacedEntry], out: &mut Vec<u8>) {
        let begin = out.len();
        for entry in entries {
            out.extend_from_slice(&entry.hash.to_le_bytes());
            if self.with_segment {
                out.extend_from_slice(&entry.segment.to_le_bytes());
            }
            out.extend_from_slice(&entry.offset.to_le_bytes());
        }
        out.resize(begin + PAGE_BYTES - TRAILER_BYTES, 0);
        let count = u32::try_from(entries.len()).expect("a page has at most 340 entries");
        out.extend_from_slice(&count.to_le_bytes());
        let crc = self.salt.crc(self.offset(page), &out[begin..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// The entries in the bytes of `page`; `None` if they are damaged.
    fn decode(self, page: u64, bytes: &[u8], out: &mut Vec<PlacedEntry>) -> Option<()> {
        let crc = self.salt.crc(self.offset(page), bytes.get(..PAGE_BYTES - 4)?);
        let count = size(u32_at(bytes, PAGE_BYTES - TRAILER_BYTES));
        let left = self.entries.checked_sub(page.saturating_mul(self.in_page() as u64))?;
        let due = left.min(self.in_page() as u64);
        if crc != u32_at(bytes, PAGE_BYTES - 4) || count as u64 != due {
            return None;
        }
        out.extend(bytes.chunks_exact(self.entry_bytes()).take(count).map(|entry| PlacedEntry {
            hash: u64_at(entry, 0),
            segment: if self.with_segment { u32_at(entry, 8) } else { 0 },
            offset: u32_at(entry, self.entry_bytes() - 4),
        }));
        Some(())
    }

    /// Reads up to `most` pages from `page` on; `None` if one is damaged.
    pub(super) fn read(
        self,
        file: &dyn DiskFile,
        page: u64,
        most: u64,
    ) -> io::Result<Option<Vec<PlacedEntry>>> {
        let pages = usize::try_from(self.count().saturating_sub(page).min(most)).unwrap_or(0);
        let mut bytes = vec![0; pages * PAGE_BYTES];
        if file.read_at(self.offset(page), &mut bytes)? < bytes.len() {
            return Ok(None);
        }
        let mut entries = Vec::with_capacity(pages * self.in_page());
        for (number, bytes) in (page..).zip(bytes.chunks_exact(PAGE_BYTES)) {
            if self.decode(number, bytes, &mut entries).is_none() {
                return Ok(None);
            }
        }
        Ok(Some(entries))
    }

    /// All entries with this hash, in order; `None` if a page that it reads is damaged. `reads`
    /// counts the pages.
    pub(super) fn find(
        self,
        file: &dyn DiskFile,
        hash: u64,
        reads: &mut u64,
    ) -> io::Result<Option<Vec<PlacedEntry>>> {
        let mut read = |page| {
            *reads += 1;
            self.read(file, page, 1)
        };
        let pages = self.count();
        let distance = |hashes: u64| scaled(hashes, pages);
        // The first page whose last hash is not less than this one is in `low..=high`.
        let (mut low, mut high, mut at, mut guesses) = (0, pages, distance(hash), 0);
        let mut found = Vec::new();
        while low < high {
            let page = if guesses < GUESSES { at.clamp(low, high - 1) } else { low.midpoint(high) };
            guesses += 1;
            let Some(entries) = read(page)? else { return Ok(None) };
            let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
                return Ok(None);
            };
            if last.hash < hash {
                at = page.saturating_add(1 + distance(hash - last.hash));
                low = page + 1;
            } else {
                at = page.saturating_sub(1 + distance(first.hash.saturating_sub(hash)));
                high = page;
                if first.hash < hash {
                    low = page;
                }
                found = entries;
            }
        }
        let mut positions = Vec::new();
        while low < pages {
            positions.extend(found.iter().filter(|entry| entry.hash == hash));
            // More entries with this hash may follow in the next page.
            if found.last().is_none_or(|last| last.hash > hash) {
                break;
            }
            low += 1;
            if low < pages {
                let Some(entries) = read(low)? else { return Ok(None) };
                found = entries;
            }
        }
        Ok(Some(positions))
    }
}

/// How many of `pages` lie between two hashes at this distance, if hashes are evenly distributed.
fn scaled(hashes: u64, pages: u64) -> u64 {
    u64::try_from((u128::from(hashes) * u128::from(pages)) >> 64).unwrap_or(pages)
}
