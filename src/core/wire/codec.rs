//! Splits a stream of bytes into lines.
//!
//! Architecture invariant: no socket is read here. A session fills the buffer and takes the lines
//! out of it; they borrow from the buffer, so a line costs no allocation. An unterminated line at
//! the end of the stream is never returned: a transfer of 1000 that was cut to 100 must not run.

use crate::limits::LINE_BYTES_MAX;
use bytes::BytesMut;

/// The lines of one stream.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: BytesMut,
    /// The buffer before this offset was already returned as lines.
    taken: usize,
    /// No line ends between `taken` and this offset, so the bytes of a slow sender are scanned
    /// once.
    scanned: usize,
    /// A line was too long, so the start of the next one is unknown.
    lost: bool,
}

/// Why no line could be returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The framing is lost: reply with this error, then close the connection. No line follows it.
    #[error("a line is longer than {LINE_BYTES_MAX} bytes; the connection closes")]
    TooLong,
    /// This line is not UTF-8; the next ones are not affected.
    #[error("the line is not UTF-8")]
    NotUtf8,
}

impl LineError {
    /// Must the connection close?
    pub fn is_fatal(self) -> bool {
        match self {
            LineError::TooLong => true,
            LineError::NotUtf8 => false,
        }
    }
}

impl From<LineError> for super::Fault {
    fn from(error: LineError) -> super::Fault {
        let reason = match error {
            LineError::TooLong => super::Reason::Limit,
            LineError::NotUtf8 => super::Reason::Malformed,
        };
        super::Fault::new(reason, error.to_string())
    }
}

impl Lines {
    /// The lines of a stream, before its first byte.
    pub fn new() -> Lines {
        Lines::default()
    }

    /// The buffer, with room for `room` more bytes at its end. Append the bytes of the stream to
    /// it, and nothing else.
    pub fn space(&mut self, room: usize) -> &mut BytesMut {
        // Moving the rest, usually less than a line, frees the room of lines that were returned. So
        // the buffer's capacity is all the memory that it holds.
        if self.taken > 0 {
            let rest = self.buffer.len() - self.taken;
            self.buffer.copy_within(self.taken.., 0);
            self.buffer.truncate(rest);
        }
        self.scanned -= self.taken;
        self.taken = 0;
        if self.lost {
            self.buffer.clear();
            self.scanned = 0;
        }
        self.buffer.reserve(room);
        &mut self.buffer
    }

    /// The next line, without its end; `None` until more bytes arrive.
    ///
    /// # Errors
    /// See `LineError`; after `TooLong` no line follows.
    #[expect(clippy::should_implement_trait, reason = "an iterator could not lend its lines")]
    pub fn next(&mut self) -> Option<Result<&str, LineError>> {
        if self.lost {
            return None;
        }
        let found = memchr::memchr(b'\n', &self.buffer[self.scanned..]);
        let end = found.map_or(self.buffer.len(), |offset| self.scanned + offset);
        // The bound includes the line's end: without one, so many bytes can't become a line any
        // more.
        if end - self.taken >= LINE_BYTES_MAX {
            self.lost = true;
            return Some(Err(LineError::TooLong));
        }
        self.scanned = end;
        found?;
        let start = self.taken;
        self.taken = end + 1;
        self.scanned = end + 1;
        let line = &self.buffer[start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(std::str::from_utf8(line).map_err(|_| LineError::NotUtf8))
    }

    /// The bytes that were read but not yet returned as lines.
    pub fn waiting(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// How many bytes were read but not yet returned as lines.
    pub fn waiting_bytes(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// Frees the memory beyond the bytes that are waiting; returns how much it freed.
    pub fn shrink(&mut self) -> usize {
        let before = self.buffer.capacity();
        self.buffer = BytesMut::from(&self.buffer[self.taken..]);
        self.scanned -= self.taken;
        self.taken = 0;
        before - self.buffer.capacity()
    }

    /// Takes a buffer that another stream has used, in place of none.
    pub fn adopt(&mut self, mut buffer: BytesMut) {
        if self.buffer.capacity() == 0 {
            buffer.clear();
            self.buffer = buffer;
        }
    }

    /// Gives its buffer away, if no byte in it is waiting.
    pub fn release(&mut self) -> Option<BytesMut> {
        if self.waiting_bytes() > 0 || self.lost {
            return None;
        }
        (self.taken, self.scanned) = (0, 0);
        Some(std::mem::take(&mut self.buffer))
    }

    /// How much memory it holds.
    pub fn memory_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Owned = Result<String, LineError>;

    /// All lines of a stream that arrives in these pieces.
    fn lines<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
        let mut lines = Lines::new();
        let mut all = Vec::new();
        for piece in pieces {
            lines.space(piece.len()).extend_from_slice(piece);
            while let Some(line) = lines.next() {
                all.push(line.map(str::to_owned));
            }
        }
        all
    }

    fn ok(line: &str) -> Owned {
        Ok(line.to_owned())
    }

    #[test]
    fn lines_do_not_depend_on_how_the_stream_is_split() {
        let stream: &[u8] =
            b"PING\r\n\n\r\nb\xff\xfed\na\rb\n\xc3\xa9 1\nABORT t1\ntail that is cut o";
        let expected = vec![
            ok("PING"),
            ok(""),
            ok(""),
            Err(LineError::NotUtf8),
            ok("a\rb"),
            ok("é 1"),
            ok("ABORT t1"),
        ];
        assert_eq!(lines([stream]), expected);
        assert_eq!(lines(stream.chunks(1)), expected, "a byte at a time");
        for at in 0..=stream.len() {
            assert_eq!(lines([&stream[..at], &stream[at..]]), expected, "split at {at}");
        }
    }

    #[test]
    fn an_unterminated_tail_is_no_line() {
        assert_eq!(lines([&b"COMMIT t1"[..]]), vec![]);
        assert_eq!(lines([&b"COMMIT t1"[..], b"\n"]), vec![ok("COMMIT t1")]);
    }

    #[test]
    fn the_bound_includes_the_line_end() {
        for (bytes, end, fits) in [
            (LINE_BYTES_MAX - 1, "\n", true),
            (LINE_BYTES_MAX, "\n", false),
            (LINE_BYTES_MAX - 2, "\r\n", true),
            (LINE_BYTES_MAX - 1, "\r\n", false),
        ] {
            let mut stream = "x".repeat(bytes);
            stream.push_str(end);
            stream.push_str("PING\n");
            let expected = match fits {
                true => vec![ok(&"x".repeat(bytes)), ok("PING")],
                false => vec![Err(LineError::TooLong)],
            };
            assert_eq!(lines([stream.as_bytes()]), expected, "{bytes} at once");
            assert_eq!(lines(stream.as_bytes().chunks(4096)), expected, "{bytes} in pieces");
        }
    }

    #[test]
    fn too_long_is_reported_once_without_waiting_for_the_line_end() {
        let mut lines = Lines::new();
        lines.space(0).extend_from_slice(&vec![b'x'; LINE_BYTES_MAX - 1]);
        assert_eq!(lines.next(), None);
        lines.space(0).extend_from_slice(b"x");
        assert_eq!(lines.next(), Some(Err(LineError::TooLong)));
        lines.space(0).extend_from_slice(b"\nPING\n");
        assert_eq!(lines.next(), None);
        assert!(LineError::TooLong.is_fatal() && !LineError::NotUtf8.is_fatal());
    }

    /// A sender of single bytes must not make each read scan all bytes before it.
    #[test]
    fn bytes_are_scanned_once() {
        let mut lines = Lines::new();
        for sent in 1..=1000 {
            lines.space(1).extend_from_slice(b"x");
            assert_eq!(lines.next(), None);
            assert_eq!(lines.scanned, sent);
        }
    }

    #[test]
    fn a_stream_of_many_lines_reuses_its_buffer() {
        let mut lines = Lines::new();
        let piece = b"PING\nPI".repeat(100);
        for _ in 0..1000 {
            lines.space(piece.len()).extend_from_slice(&piece);
            while lines.next().is_some() {}
        }
        assert!(lines.memory_bytes() < 16 * 1024, "{}", lines.memory_bytes());
        assert!(lines.waiting_bytes() < 8);
    }

    #[test]
    fn waiting_bytes_survive_shrink() {
        let mut lines = Lines::new();
        lines.space(64 * 1024).extend_from_slice(b"PING\nSTATUS t1\nQU");
        assert_eq!(lines.next(), Some(Ok("PING")));
        let before = lines.memory_bytes();
        assert_eq!(lines.shrink(), before - lines.memory_bytes());
        assert!(lines.memory_bytes() < 100, "{}", lines.memory_bytes());
        assert_eq!(lines.next(), Some(Ok("STATUS t1")));
        assert_eq!(lines.next(), None);
        lines.shrink();
        lines.space(3).extend_from_slice(b"IT\n");
        assert_eq!(lines.next(), Some(Ok("QUIT")));
    }

    #[test]
    fn a_buffer_goes_from_one_stream_to_the_next() {
        let (mut one, mut other) = (Lines::new(), Lines::new());
        one.space(4096).extend_from_slice(b"PING\nPI");
        assert_eq!(one.next(), Some(Ok("PING")));
        assert!(one.release().is_none(), "a begun line stays");
        one.space(3).extend_from_slice(b"NG\n");
        assert_eq!(one.next(), Some(Ok("PING")));
        let buffer = one.release().unwrap();
        assert_eq!((one.memory_bytes(), buffer.capacity() >= 4096), (0, true));
        other.adopt(buffer);
        other.space(10).extend_from_slice(b"QUIT\n");
        assert_eq!(other.next(), Some(Ok("QUIT")));
        assert_eq!(other.next(), None);
        one.space(10).extend_from_slice(b"A\nB\n");
        assert_eq!(one.next(), Some(Ok("A")));
        assert_eq!(one.next(), Some(Ok("B")));
        assert_eq!(one.next(), None);
    }

    proptest! {
        #[test]
        fn any_stream_gives_the_same_lines_in_any_pieces(
            stream in prop::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()],
                0..200,
            ),
            size in 1usize..50,
        ) {
            let whole = lines([&stream[..]]);
            prop_assert_eq!(&lines(stream.chunks(size)), &whole);
            prop_assert_eq!(whole.len(), stream.iter().filter(|b| **b == b'\n').count());
        }
    }
}
