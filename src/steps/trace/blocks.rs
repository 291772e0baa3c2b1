//! Reads files, plain or compressed, in blocks of whole lines, in bounded memory. Lines are not
//! parsed here.

use crate::compressed::LogReader;
use consorcio_core::limits::TRACE_BLOCK_BYTES;
use memchr::{memchr, memrchr};
use std::io::{self, Read};
use std::path::Path;

/// The blocks of a file. A last line without its end, torn or still being written, is left out. A
/// damaged compressed file ends where it can't be decoded.
pub(super) struct Blocks {
    /// `None` once it is known to be damaged.
    file: Option<LogReader>,
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
        let file = unless_damaged(LogReader::open(path, offset))?;
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
            let Some(file) = &mut self.file else { return Ok(None) };
            let read = match file.read(&mut self.buffer[self.filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => unless_damaged(read)?,
            };
            let Some(read) = read else {
                self.file = None;
                return Ok(None);
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

    /// Whether the file can't be decoded to its end, as far as it was read.
    pub(super) fn is_damaged(&self) -> bool {
        self.file.is_none()
    }

    fn drop_front(&mut self, bytes: usize) {
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
        self.offset += wide(bytes);
    }
}

/// `None` in place of an error of the decoder: those of the operating system have a number.
fn unless_damaged<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.raw_os_error().is_none() => Ok(None),
        other => other.map(Some),
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
