//! Pages of sorted entries, as both kinds of index have them, and the search in them.
//!
//! ```text
//! page (4096 bytes)  entries, sorted · zeros · count u32 · crc32c
//! entry              hash u64 · in a merged index the segment, counted from its first one, u32 ·
//! offset u32
//! ```

use crate::disk::DiskFile;
use crate::format::{Salt, size, u32_at, u64_at};
use std::io;

/// Bytes of a page.
pub(super) const PAGE_BYTES: usize = 4096;
const TRAILER_BYTES: usize = 8;

/// Hashes are even over their range: a few guesses lead to the right page, or else halving does.
const GUESSES: u32 = 6;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Placed {
    pub hash: u64,
    /// Its segment, counted from the index's first one.
    pub segment: u32,
    /// Where its header begins, in the segment.
    pub offset: u32,
}

/// Where pages of entries stand in a file, and what is in each entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages {
    /// Where the first begins.
    pub begin: u64,
    pub entries: u64,
    /// Do entries name a segment?
    pub with_segment: bool,
    pub salt: Salt,
}

impl Pages {
    fn entry_bytes(self) -> usize {
        if self.with_segment { 16 } else { 12 }
    }

    /// Entries in a page.
    pub(crate) fn in_page(self) -> usize {
        (PAGE_BYTES - TRAILER_BYTES) / self.entry_bytes()
    }

    pub(super) fn count(self) -> u64 {
        self.entries.div_ceil(self.in_page() as u64)
    }

    /// Where the last one ends.
    pub(super) fn end(self) -> u64 {
        self.offset(self.count())
    }

    fn offset(self, page: u64) -> u64 {
        self.begin.saturating_add(page.saturating_mul(PAGE_BYTES as u64))
    }

    /// Adds a page of these entries, which is to stand at `page`, to `out`.
    pub(super) fn encode(self, page: u64, entries: &[Placed], out: &mut Vec<u8>) {
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

    /// The entries in the bytes of `page`; `None` where they are not as they were written.
    fn decode(self, page: u64, bytes: &[u8], out: &mut Vec<Placed>) -> Option<()> {
        let crc = self.salt.crc(self.offset(page), bytes.get(..PAGE_BYTES - 4)?);
        let count = size(u32_at(bytes, PAGE_BYTES - TRAILER_BYTES));
        let left = self.entries.checked_sub(page.saturating_mul(self.in_page() as u64))?;
        let due = left.min(self.in_page() as u64);
        if crc != u32_at(bytes, PAGE_BYTES - 4) || count as u64 != due {
            return None;
        }
        out.extend(bytes.chunks_exact(self.entry_bytes()).take(count).map(|entry| Placed {
            hash: u64_at(entry, 0),
            segment: if self.with_segment { u32_at(entry, 8) } else { 0 },
            offset: u32_at(entry, self.entry_bytes() - 4),
        }));
        Some(())
    }

    /// Reads up to `most` pages from `page` on; `None` where one is not as it was written.
    pub(super) fn read(
        self,
        file: &dyn DiskFile,
        page: u64,
        most: u64,
    ) -> io::Result<Option<Vec<Placed>>> {
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

    /// All entries with this hash, in order; `None` where a page on the way is not as it was
    /// written. `reads` counts the pages.
    pub(super) fn find(
        self,
        file: &dyn DiskFile,
        hash: u64,
        reads: &mut u64,
    ) -> io::Result<Option<Vec<Placed>>> {
        let mut read = |page| {
            *reads += 1;
            self.read(file, page, 1)
        };
        let pages = self.count();
        let distance = |hashes: u64| scaled(hashes, pages);
        // The first page whose last hash is not before this one is not before `low`, and not behind
        // `high`.
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
        let mut places = Vec::new();
        while low < pages {
            places.extend(found.iter().filter(|entry| entry.hash == hash));
            // Others with this hash may follow in the next page.
            if found.last().is_none_or(|last| last.hash > hash) {
                break;
            }
            low += 1;
            if low < pages {
                let Some(entries) = read(low)? else { return Ok(None) };
                found = entries;
            }
        }
        Ok(Some(places))
    }
}

/// How many of `pages` lie between two hashes that are so far from each other, where hashes are
/// even.
fn scaled(hashes: u64, pages: u64) -> u64 {
    u64::try_from((u128::from(hashes) * u128::from(pages)) >> 64).unwrap_or(pages)
}
