//! How a connection opens: unless its first non-empty line begins with a verb, it is no client of
//! this protocol.
//!
//! Clients of other protocols can be made to connect here: a web page posts a form, a browser
//! begins TLS. An attacker may choose whole lines inside their bytes, so nothing after a wrong
//! first word is ever read. Checking for HTTP methods alone would not be enough: a TLS hello
//! carries a ticket whose bytes its issuer chose.
//!
//! Also here: HELLO, which a client sends as its own first line.

use super::verb::Verb;
use super::{Fault, Reason};
use serde::{Deserialize, Serialize};

/// The version of the protocol that HELLO announces.
pub const PROTOCOL_VERSION: u64 = 1;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Too few bytes to decide: empty, blank, or a prefix of a verb.
    Unfinished,
    /// An empty line; the next line counts as the first.
    Empty,
    /// A line that begins with a verb.
    Verb,
    /// It is another protocol.
    Stranger(Stranger),
}

/// What was received instead of a line of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// HTTP: a browser or another client.
    Http,
    /// The beginning of TLS.
    Tls,
    /// Bytes that are no text.
    Binary,
    /// A text that begins with no verb.
    Words,
}

impl Stranger {
    /// One line, for the other end and for the step log.
    pub fn as_str(self) -> &'static str {
        match self {
            Stranger::Http => {
                "this port speaks the line protocol of a bank and not HTTP (a bank serves HTTP \
                 where --http says); the connection closes"
            }
            Stranger::Tls => {
                "this port speaks the line protocol of a bank in clear text and not TLS; the \
                connection closes"
            }
            Stranger::Binary => {
                "the first line is no text; a line begins with a verb, like HELP or PING; the \
                connection closes"
            }
            Stranger::Words => {
                "the first line begins with no verb; verbs are typed in capitals, like HELP or \
                 PING; the connection closes"
            }
        }
    }
}

/// Classifies `bytes`, the first of a connection or those after its empty lines.
pub fn opening(bytes: &[u8]) -> Opening {
    let end = memchr::memchr(b'\n', bytes);
    let line = &bytes[..end.unwrap_or(bytes.len())];
    let line = if end.is_some() { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
    let start = line.iter().position(|byte| !is_blank(*byte)).unwrap_or(line.len());
    let text = &line[start..];
    let word = text.iter().position(|byte| is_blank(*byte)).map_or(text, |at| &text[..at]);
    let is_whole = end.is_some() || word.len() < text.len();
    let is_verb = |word: &[u8]| Verb::ALL.iter().any(|verb| verb.name().as_bytes() == word);
    let may_become_verb = |word: &[u8]| {
        let word = word.strip_suffix(b"\r").unwrap_or(word);
        Verb::ALL.iter().any(|verb| verb.name().as_bytes().starts_with(word))
    };
    if word.is_empty() {
        if end.is_some() { Opening::Empty } else { Opening::Unfinished }
    } else if is_whole && is_verb(word) {
        if std::str::from_utf8(line).is_ok() || end.is_none() {
            Opening::Verb
        } else {
            Opening::Stranger(Stranger::Binary)
        }
    } else if !is_whole && may_become_verb(word) {
        Opening::Unfinished
    } else {
        Opening::Stranger(stranger(text))
    }
}

/// Does a line of HTTP that names a host begin here? No verb does.
pub fn is_host(bytes: &[u8]) -> bool {
    let start = bytes.iter().position(|byte| !is_blank(*byte)).unwrap_or(bytes.len());
    bytes[start..].get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"host:"))
}

/// Is the line that begins here a HELLO, whatever follows the verb?
pub fn is_hello(bytes: &[u8]) -> bool {
    let start = bytes.iter().position(|byte| !is_blank(*byte)).unwrap_or(bytes.len());
    let rest = bytes[start..].strip_prefix(b"HELLO");
    rest.is_some_and(|rest| {
        rest.first().is_none_or(|next| is_blank(*next) || matches!(next, b'\r' | b'\n'))
    })
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn stranger(text: &[u8]) -> Stranger {
    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    let word = text.split(|byte| is_blank(*byte)).next().unwrap_or(text);
    let is_method = METHODS.iter().any(|method| word.eq_ignore_ascii_case(method.as_bytes()));
    match text {
        [0x16, 0x03, ..] => Stranger::Tls,
        _ if is_method || memchr::memmem::find(text, b"HTTP/").is_some() => Stranger::Http,
        _ if text.iter().any(|byte| byte.is_ascii_control() && *byte != b'\r')
            || std::str::from_utf8(text).is_err_and(|error| error.error_len().is_some()) =>
        {
            Stranger::Binary
        }
        _ => Stranger::Words,
    }
}

/// What a client announces when it connects: which bank it expects, and its version of the
/// protocol. Further fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The position of the bank that it expects.
    pub bank: u64,
    /// How many positions its list has.
    pub places: u64,
    /// The version of the protocol that it uses.
    pub version: u64,
}

impl Hello {
    /// Reads the JSON after the verb HELLO.
    ///
    /// # Errors
    /// `malformed`, with a text that shows the expected form.
    pub(super) fn parse(json: &str) -> Result<Hello, Fault> {
        serde_json::from_str(json).map_err(|_| {
            let text = "HELLO takes the client's bank, places and version as whole numbers, in \
                        JSON: {\"bank\":1,\"places\":3,\"version\":1}";
            Fault::new(Reason::Malformed, text)
        })
    }

    /// Appends its line, without the line's end.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        let Hello { bank, places, version } = self;
        let line = format!(r#"HELLO {{"bank":{bank},"places":{places},"version":{version}}}"#);
        out.extend_from_slice(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classifies each prefix of `line`, and checks that a classification never changes.
    fn judge(line: &[u8]) -> Opening {
        let mut known = Opening::Unfinished;
        for end in 0..=line.len() {
            let now = opening(&line[..end]);
            if known == Opening::Verb {
                // Only the rest of the line can still show that it is no text.
                assert!(
                    matches!(now, Opening::Verb | Opening::Stranger(Stranger::Binary)),
                    "{line:?}"
                );
            } else if let Opening::Stranger(_) = known {
                assert!(matches!(now, Opening::Stranger(_)), "{line:?} at {end}: {now:?}");
            }
            known = now;
        }
        known
    }

    #[test]
    fn every_verb_opens_a_connection() {
        for verb in Verb::ALL.iter().map(|verb| verb.name()) {
            for line in [format!("{verb}\n"), format!("  {verb} x\r\n"), format!("\t{verb}\t\n")] {
                assert_eq!(judge(line.as_bytes()), Opening::Verb, "{line:?}");
            }
            assert_eq!(opening(&verb.as_bytes()[..1]), Opening::Unfinished);
            assert_eq!(judge(format!("{verb}X\n").as_bytes()), Opening::Stranger(Stranger::Words));
        }
    }

    #[test]
    fn empty_lines_before_the_first_are_skipped() {
        for line in ["\n", "\r\n", "  \t\n"] {
            assert_eq!(judge(line.as_bytes()), Opening::Empty, "{line:?}");
        }
        for part in ["", " ", "\t ", "PI", "\r"] {
            assert_eq!(opening(part.as_bytes()), Opening::Unfinished, "{part:?}");
        }
    }

    #[test]
    fn other_protocols_are_recognised_as_early_as_possible() {
        for (line, stranger) in [
            (&b"GET / HTTP/1.1\r\n"[..], Stranger::Http),
            (b"post /x HTTP/1.0\n", Stranger::Http),
            (b"PRI * HTTP/2.0\r\n", Stranger::Http),
            (b"\x16\x03\x01\x02\x00\x01\x00\nPING\n", Stranger::Tls),
            (b"\x16\x03\x01\x02", Stranger::Tls),
            (b"\x00\x01\x00\x08\x21\x12\xa4\x42\n", Stranger::Binary),
            (b"PING \xc3\x28\n", Stranger::Binary),
            (b"\xff\xfe\n", Stranger::Binary),
            (b"\x1b[A\n", Stranger::Binary),
            (b"*1\r\n", Stranger::Words),
            (b"get key\r\n", Stranger::Http),
            (b"set key 0 0 4\r\n", Stranger::Words),
            (b"ping\n", Stranger::Words),
            (b"P1NG", Stranger::Words),
            ("ação\n".as_bytes(), Stranger::Words),
        ] {
            assert_eq!(judge(line), Opening::Stranger(stranger), "{line:?}");
        }
    }

    #[test]
    fn a_host_header_is_recognised_in_any_case() {
        for line in ["Host: a", "host:", " HOST:b\r", "\thOsT: x"] {
            assert!(is_host(line.as_bytes()), "{line:?}");
        }
        for line in ["", "Host", "HOSTS: a", "PING Host:", "Ghost:"] {
            assert!(!is_host(line.as_bytes()), "{line:?}");
        }
    }

    #[test]
    fn a_hello_is_read_back_and_a_bad_one_is_rejected() {
        let hello = Hello { bank: 1, places: 3, version: 1 };
        let mut line = Vec::new();
        hello.write_to(&mut line);
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line, r#"HELLO {"bank":1,"places":3,"version":1}"#);
        assert_eq!(Hello::parse(line.strip_prefix("HELLO ").unwrap()), Ok(hello.clone()));
        assert_eq!(Hello::parse(r#"{"bank":1,"places":3,"version":1,"new":[]}"#), Ok(hello));
        for bad in
            ["", "{}", "1", r#"{"bank":-1,"places":3,"version":1}"#, r#"{"bank":1,"places":3}"#]
        {
            let fault = Hello::parse(bad).unwrap_err();
            assert!(
                fault.reason == Reason::Malformed && fault.text.contains("\"places\":3"),
                "{fault}"
            );
        }
    }
}
