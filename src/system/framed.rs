//! A socket as a stream of lines and a sink of requests: `tokio_util::codec::Framed` with the
//! core's own `Lines`.
//!
//! tokio-util's own codec for lines is not used: it returns an unterminated tail as a line, and
//! `Framed` ends after any error of a codec. Here a bad line is an item, and an unterminated tail
//! is dropped.

use bytes::{Buf, BytesMut};
use consorcio_core::commit::message::Message;
use consorcio_core::limits::FRAMED_READ_BYTES;
use consorcio_core::wire::codec::{LineError, Lines};
use consorcio_core::wire::request::Request;
use std::io;
use std::mem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Decoder, Encoder, Framed};

/// Splits a stream into lines and parses each as a `T`; writes requests and messages.
#[derive(Debug)]
pub struct LineCodec<T> {
    lines: Lines,
    read: fn(&str) -> T,
    /// A reused buffer for encoding, because the core appends to vectors.
    encoded: Vec<u8>,
}

/// A socket whose items are the results of `read`, or errors of single lines.
///
/// No line follows `LineError::TooLong`. A request that is sent stays in memory until it is
/// flushed.
pub fn framed<S: AsyncRead + AsyncWrite, T>(
    socket: S,
    read: fn(&str) -> T,
) -> Framed<S, LineCodec<T>> {
    Framed::with_capacity(socket, LineCodec::new(read), FRAMED_READ_BYTES)
}

impl<T> LineCodec<T> {
    /// A codec of a stream, before its first byte.
    pub fn new(read: fn(&str) -> T) -> LineCodec<T> {
        LineCodec { lines: Lines::new(), read, encoded: Vec::new() }
    }

    /// How many bytes of an incomplete line were read.
    pub fn waiting_bytes(&self) -> usize {
        self.lines.waiting_bytes()
    }

    fn append(&mut self, out: &mut BytesMut, write: impl FnOnce(&mut Vec<u8>)) {
        self.encoded.clear();
        write(&mut self.encoded);
        out.extend_from_slice(&self.encoded);
    }
}

impl<T> Decoder for LineCodec<T> {
    type Item = Result<T, LineError>;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        if !bytes.is_empty() {
            let space = self.lines.space(FRAMED_READ_BYTES);
            if space.is_empty() {
                // No incomplete line is waiting, so the buffers are swapped without a copy.
                mem::swap(space, bytes);
            } else {
                space.extend_from_slice(bytes);
                bytes.advance(bytes.len());
            }
        }
        Ok(self.lines.next().map(|line| line.map(self.read)))
    }

    /// An unterminated tail was never a line.
    fn decode_eof(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        self.decode(bytes)
    }
}

impl<T> Encoder<&Request> for LineCodec<T> {
    type Error = io::Error;

    fn encode(&mut self, request: &Request, out: &mut BytesMut) -> io::Result<()> {
        self.append(out, |line| request.write_to(line));
        Ok(())
    }
}

impl<T> Encoder<&Message> for LineCodec<T> {
    type Error = io::Error;

    fn encode(&mut self, message: &Message, out: &mut BytesMut) -> io::Result<()> {
        self.append(out, |line| message.write_to(line));
        Ok(())
    }
}

/// Encodes complete lines as they are.
impl<T> Encoder<&[u8]> for LineCodec<T> {
    type Error = io::Error;

    fn encode(&mut self, lines: &[u8], out: &mut BytesMut) -> io::Result<()> {
        out.extend_from_slice(lines);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::limits::LINE_BYTES_MAX;
    use consorcio_core::wire::request::Local;
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    type Item = Result<String, LineError>;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// All items of a stream that arrives in these pieces and then ends.
    fn items(pieces: Vec<Vec<u8>>) -> Vec<Item> {
        block_on(async {
            let (near, mut far) = duplex(8 * LINE_BYTES_MAX);
            let mut lines = framed(near, str::to_owned);
            for piece in pieces {
                far.write_all(&piece).await.unwrap();
            }
            drop(far);
            let mut all = Vec::new();
            while let Some(item) = lines.next().await {
                all.push(item.unwrap());
            }
            all
        })
    }

    fn ok(line: &str) -> Item {
        Ok(line.to_owned())
    }

    #[test]
    fn bad_lines_are_items_and_an_unterminated_tail_is_dropped() {
        let stream: &[u8] = b"PONG\r\nb\xff\xfed\nBYE\nCOMMIT t1 of a tail that is cut o";
        let expected = [ok("PONG"), Err(LineError::NotUtf8), ok("BYE")];
        assert_eq!(items(vec![stream.to_vec()]), expected);
        let bytes = stream.iter().map(|byte| vec![*byte]).collect();
        assert_eq!(items(bytes), expected, "a byte at a time");
    }

    #[test]
    fn no_line_follows_one_that_is_too_long() {
        let mut stream = vec![b'x'; LINE_BYTES_MAX];
        stream.extend_from_slice(b"\nPING\n");
        assert_eq!(items(vec![b"PING\n".to_vec(), stream]), [ok("PING"), Err(LineError::TooLong)]);
        let longest = [vec![b'x'; LINE_BYTES_MAX - 1], b"\nPING\n".to_vec()].concat();
        assert_eq!(items(vec![longest]).last(), Some(&ok("PING")));
    }

    #[test]
    fn lines_are_complete_over_many_reads() {
        let line = "y".repeat(700);
        let count = 500;
        let stream: Vec<u8> = format!("{line}\n").repeat(count).into_bytes();
        let pieces = stream.chunks(1_009).map(<[u8]>::to_vec).collect();
        assert_eq!(items(pieces), vec![ok(&line); count]);
    }

    #[test]
    fn requests_are_written_when_flushed() {
        block_on(async {
            let (near, mut far) = duplex(1024);
            let mut lines = framed(near, str::to_owned);
            lines.feed(&Request::Local(Local::Ping)).await.unwrap();
            lines.feed(&b"HELP\n"[..]).await.unwrap();
            SinkExt::<&[u8]>::flush(&mut lines).await.unwrap();
            drop(lines);
            let mut sent = String::new();
            far.read_to_string(&mut sent).await.unwrap();
            assert_eq!(sent, "PING\nHELP\n");
        });
    }
}
