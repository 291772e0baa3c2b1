//! The transactions of the lines of a file that is compressed.

use super::hash;
use consorcio_core::limits::COMPRESSED_IDS_MAX;

/// Collects the transactions of lines, over blocks that cut lines.
#[derive(Default)]
pub(super) struct ListedLines {
    begun: Vec<u8>,
    pub(super) ended: u64,
    /// The hashes of ids, not sorted and some of them twice: up to twice as many as are listed.
    ids: Vec<u32>,
}

impl ListedLines {
    pub(super) fn take(&mut self, block: &[u8]) {
        let mut rest = block;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.begun.extend_from_slice(&rest[..end]);
            self.line();
            self.begun.clear();
            rest = &rest[end + 1..];
        }
        self.begun.extend_from_slice(rest);
    }

    /// Takes the line that is complete.
    fn line(&mut self) {
        let Some((event, Some(tx))) = crate::line::quick_columns(&self.begun) else { return };
        self.ended += u64::from(crate::line::ends_a_transaction(event, &self.begun));
        let hash = hash(tx);
        // Most lines are about the transaction of the line before.
        if self.ids.last() != Some(&hash) {
            if self.ids.len() >= 2 * IDS_MAX {
                self.sort();
            }
            self.ids.push(hash);
        }
    }

    fn sort(&mut self) {
        self.ids.sort_unstable();
        self.ids.dedup();
        // There are too many: one more is enough to know it.
        self.ids.truncate(IDS_MAX + 1);
    }

    /// The hashes in order; `None` if there are too many.
    pub(super) fn ids(mut self) -> Option<Vec<u32>> {
        self.sort();
        (self.ids.len() <= IDS_MAX).then_some(self.ids)
    }
}

/// How many ids a file lists at most.
const IDS_MAX: usize = COMPRESSED_IDS_MAX as usize;
