//! Reads files, plain or compressed, in blocks of whole lines, in bounded memory. Lines are not
//! parsed here.

use crate::compressed::LogReader;
use consorcio_core::limits::TRACE_BLOCK_BYTES;
use memchr::{memchr, memrchr};
use std::io::{self, Read};
use std::path::Path;

/// The blocks of a file. A last line without its end, torn or still being written, is left out.
pub(super) struct Blocks {
    file: LogReader,
    buffer: Vec<u8>,
    /// The offset of the buffer in the file.
    offset: u64,
    filled: usize,
    /// The size of the whole lines, which were returned already.
    whole: usize,
}

impl Blocks {
    /// Opens the file at `path` for reading from the line that begins at `offset`.
    ///
    /// # Errors
    /// If it can't be opened.
    pub(super) fn open(path: &Path, offset: u64) -> io::Result<Blocks> {
        let file = LogReader::open(path, offset)?;
        Ok(Blocks { file, buffer: vec![0; TRACE_BLOCK_BYTES], offset, filled: 0, whole: 0 })
    }

    /// The next block of whole lines, and its offset in the file.
    ///
    /// # Errors
    /// If the file can't be read.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        self.drop_front(self.whole);
        self.whole = 0;
        loop {
            if self.filled == self.buffer.len() {
                // No node writes a line of that length: skip it.
                self.drop_front(self.filled);
            }
            let read = match self.file.read(&mut self.buffer[self.filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                return Ok(None);
            }
            let before = self.filled;
            self.filled += read;
            if let Some(at) = memrchr(b'\n', &self.buffer[before..self.filled]) {
                self.whole = before + at + 1;
                return Ok(Some((self.offset, &self.buffer[..self.whole])));
            }
        }
    }

    fn drop_front(&mut self, bytes: usize) {
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
        self.offset += wide(bytes);
    }
}

/// Calls `each` with every line of a block, and the offset of the line in the file, until `each`
/// returns false.
///
/// Returns whether all lines were passed.
pub(super) fn lines(offset: u64, block: &[u8], mut each: impl FnMut(u64, &[u8]) -> bool) -> bool {
    let mut begin = 0;
    while let Some(length) = memchr(b'\n', &block[begin..]) {
        if !each(offset + wide(begin), &block[begin..begin + length]) {
            return false;
        }
        begin += length + 1;
    }
    true
}

/// The line around position `at` of a block, and where in the block it begins.
pub(super) fn line_at(block: &[u8], at: usize) -> (usize, &[u8]) {
    let begin = memrchr(b'\n', &block[..at]).map_or(0, |before| before + 1);
    let end = memchr(b'\n', &block[at..]).map_or(block.len(), |length| at + length);
    (begin, &block[begin..end])
}

/// A length as an offset.
pub(super) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u64, usize)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let mut blocks = Blocks::open(file.path(), 0).unwrap();
        let mut found = Vec::new();
        while let Some((offset, block)) = blocks.next().unwrap() {
            lines(offset, block, |at, line| {
                found.push((at, line.len()));
                true
            });
        }
        found
    }

    #[test]
    fn every_whole_line_is_returned_once_with_its_offset() {
        assert_eq!(all(b""), []);
        assert_eq!(all(b"one\n\nthree\n"), [(0, 3), (4, 0), (5, 5)]);
        assert_eq!(all(b"one\ntorn"), [(0, 3)]);
        // Longer than a block, so that lines lie across the ends of reads.
        let line = [vec![b'x'; 999], vec![b'\n']].concat();
        let found = all(&line.repeat(3_000));
        assert_eq!(found.len(), 3_000);
        assert!(found.iter().zip(0u64..).all(|(found, n)| *found == (n * 1_000, 999)));
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let endless = vec![b'x'; 3 * TRACE_BLOCK_BYTES + 5];
        let found = all(&[&endless[..], b"\nnext\n"].concat());
        assert_eq!(found.last(), Some(&(wide(endless.len()) + 1, 4)));
    }

    #[test]
    fn a_line_is_found_around_a_position_in_it() {
        assert_eq!(line_at(b"one\ntwo\n", 5), (4, &b"two"[..]));
        assert_eq!(line_at(b"one\ntwo\n", 0), (0, &b"one"[..]));
    }
}
