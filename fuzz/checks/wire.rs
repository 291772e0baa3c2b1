//! The wire: lines out of any stream in any pieces, and requests, replies and tokens that are read,
//! written and read again. Nothing panics, nothing is two lines, and what was written means what
//! was read.

use consorcio::limits::LINE_BYTES_MAX;
use consorcio::wire::codec::{LineError, Lines};
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::token::Token;

type LineOrError = Result<String, LineError>;

/// In the input this byte stands for a run of `x`, 256 for each unit of the byte after it: so a
/// short input holds lines near the bound.
const RUN: u8 = 0x1e;
const STREAM_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;

pub fn check(data: &[u8]) {
    let stream = expand(data);
    let lines = split(&stream);
    for piece_bytes in [1, 7, 4096, usize::MAX] {
        // Byte by byte is slow for what is long.
        if piece_bytes > 1 || stream.len() < 2048 {
            assert_eq!(read(&stream, piece_bytes), lines, "in pieces of {piece_bytes}");
        }
    }
    for line in lines.iter().flatten() {
        request(line);
        reply(line);
        line.split([' ', '\t']).for_each(token);
    }
}

fn expand(data: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(data.len());
    let mut bytes = data.iter();
    while let Some(byte) = bytes.next() {
        match bytes.as_slice().first() {
            Some(count) if *byte == RUN => {
                bytes.next();
                let room = STREAM_BYTES_MAX.saturating_sub(stream.len());
                let run = room.min(256 * usize::from(*count));
                stream.resize(stream.len() + run, b'x');
            }
            Some(_) | None => stream.push(*byte),
        }
    }
    stream
}

/// The lines as the rules say, in the plainest way.
fn split(stream: &[u8]) -> Vec<LineOrError> {
    let mut lines = Vec::new();
    let mut rest = stream;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(rest.len()) >= LINE_BYTES_MAX {
            lines.push(Err(LineError::TooLong));
            return lines;
        }
        let Some(end) = end else { return lines };
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        lines.push(String::from_utf8(line.to_vec()).map_err(|_| LineError::NotUtf8));
        rest = &rest[end + 1..];
    }
}

/// The lines as the codec reads them, from a stream that comes in pieces.
fn read(stream: &[u8], piece_bytes: usize) -> Vec<LineOrError> {
    let mut codec = Lines::new();
    let mut lines = Vec::new();
    for piece in stream.chunks(piece_bytes) {
        codec.space(piece.len()).extend_from_slice(piece);
        while let Some(line) = codec.next() {
            lines.push(line.map(str::to_owned));
        }
        assert!(codec.waiting_bytes() <= stream.len());
    }
    lines
}

fn request(line: &str) {
    let request = match Request::parse(line) {
        Ok(request) => request,
        Err(fault) => {
            let answer = written(&Reply::from(fault.clone()));
            let Ok(Reply::Err(reason, text)) = Reply::parse(&answer) else {
                panic!("{answer:?} is no ERR")
            };
            assert_eq!(reason, fault.reason);
            assert!(!text.is_empty(), "a fault without words");
            return;
        }
    };
    assert!(line.contains(request.verb().name()));
    assert!(request.tx().is_none_or(|tx| line.contains(tx.as_str())));
    let mut out = Vec::new();
    request.write_to(&mut out);
    let text = one_line(out);
    assert_eq!(Request::parse(&text).as_ref(), Ok(&request), "{line:?} was written as {text:?}");
}

fn reply(line: &str) {
    let Ok(reply) = Reply::parse(line) else { return };
    let text = written(&reply);
    let back = Reply::parse(&text).unwrap_or_else(|fault| panic!("{text:?}: {fault}"));
    // Texts for people are made plain when they are written; after that they stay as they are. So
    // does JSON, but for blanks around it, which line ends may become.
    assert_eq!(Reply::parse(&written(&back)).as_ref(), Ok(&back));
    if !matches!(back, Reply::Done(_)) {
        assert_eq!(written(&back), text);
    }
    assert_eq!(std::mem::discriminant(&back), std::mem::discriminant(&reply), "{line:?}: {text:?}");
    assert_eq!(back.tx(), reply.tx());
    if !line.chars().any(char::is_control) {
        assert_eq!(back, reply, "{line:?} was written as {text:?}");
    }
}

fn token(word: &str) {
    if let Some(token) = Token::parse(word) {
        assert_eq!(Token::parse(&token.to_string()), Some(token), "{word}");
    }
}

fn written(reply: &Reply) -> String {
    let mut out = Vec::new();
    reply.write_to(&mut out);
    assert!(out.len() <= LINE_BYTES_MAX, "a reply of {} bytes", out.len());
    let text = one_line(out);
    // In a request JSON stays as it came; a reply goes to terminals too.
    assert!(!text.contains('\r'), "{text:?} may look like more than one line");
    text
}

/// The one line that was written, without its end.
fn one_line(out: Vec<u8>) -> String {
    let mut text = String::from_utf8(out).expect("what is written is UTF-8");
    assert_eq!(text.pop(), Some('\n'));
    assert!(!text.contains('\n'), "{text:?} is more than one line");
    text
}
