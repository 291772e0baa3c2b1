//! Examples in the documentation, and how they are held against what really happens.
//!
//! A fenced block with the page's marker holds lines of connections: `0> PING` is sent to bank 0,
//! `0< PONG` must come back, `0<` alone is the end of the connection; `0b` is a second connection
//! to bank 0. `<token>`, `<said>`, `<time>`, `<number>`, `<nonce>`, `<proof>`, `<key>`, `<id>` and
//! `<text>`, with any digits after the word, stand for anything of that shape, and within their
//! block always for the same.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeMap;

/// One line of an example.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// In the page, from 1 on.
    pub number: usize,
    /// `0`, or `0b` for a second connection to bank 0.
    pub connection: &'a str,
    pub what: What<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum What<'a> {
    Sent(&'a str),
    Received(&'a str),
    Closed,
}

/// The examples of `page`, the blocks marked `marker`, one by one.
pub fn examples_of<'a>(page: &'a str, marker: &str) -> Result<Vec<Vec<Line<'a>>>, String> {
    let mut blocks: Vec<Vec<Line<'a>>> = Vec::new();
    let mut inside = false;
    for (at, text) in page.lines().enumerate() {
        let number = at + 1;
        if let Some(marked) = text.strip_prefix("```") {
            inside = !inside && marked == marker;
            if inside {
                blocks.push(Vec::new());
            }
        } else if inside && !text.is_empty() {
            let split =
                text.find(['<', '>']).ok_or_else(|| format!("line {number}: neither > nor <"))?;
            let (connection, rest) = text.split_at(split);
            if !matches!(connection.as_bytes(), [b'0'..=b'2'] | [b'0'..=b'2', b'a'..=b'z']) {
                return Err(format!("line {number}: no connection {connection:?}"));
            }
            let what = match rest.split_at(1) {
                ("<", "") => What::Closed,
                (arrow, rest) => match (arrow, rest.strip_prefix(' ')) {
                    (">", Some(line)) => What::Sent(line),
                    ("<", Some(line)) => What::Received(line),
                    _ => return Err(format!("line {number}: a blank must follow the arrow")),
                },
            };
            blocks.last_mut().expect("a block began").push(Line { number, connection, what });
        }
    }
    Ok(blocks)
}

/// What the placeholders of one block stand for.
#[derive(Debug, Clone, Default)]
pub struct Bound(BTreeMap<String, String>);

impl Bound {
    /// `line` with what its placeholders stand for.
    pub fn fill(&self, line: &str) -> Result<String, String> {
        let mut out = String::new();
        for part in parts_of(line) {
            match part {
                Pattern::Text(text) => out.push_str(text),
                Pattern::Placeholder(name) => {
                    shape_of(name)?;
                    out.push_str(
                        self.0
                            .get(name)
                            .ok_or_else(|| format!("<{name}> stands for nothing yet"))?,
                    );
                }
            }
        }
        Ok(out)
    }

    /// From now on `name` stands for this.
    pub fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// Is `found` what `expected` describes? Placeholders that are new here stand for what they
    /// met.
    pub fn meet(&mut self, expected: &str, found: &str) -> Result<(), String> {
        let differs =
            |at: &str| format!("expected {expected}\n   found {found}\n which differs at {at:?}");
        let parts = parts_of(expected);
        let mut rest = found;
        for (at, part) in parts.iter().enumerate() {
            let length = match part {
                Pattern::Text(text) if rest.starts_with(text) => text.len(),
                Pattern::Text(_) => return Err(differs(rest)),
                Pattern::Placeholder(name) => {
                    let fits = shape_of(name)?;
                    let next = parts.get(at + 1);
                    let length = match next {
                        // A text goes up to what follows it, and the last one as far as it can.
                        Some(Pattern::Text(text)) if fits('\u{1f980}') && at + 2 == parts.len() => {
                            rest.strip_suffix(text).map_or(0, str::len)
                        }
                        Some(Pattern::Text(text)) if fits('\u{1f980}') => {
                            rest.find(text).unwrap_or(0)
                        }
                        Some(_) | None => rest.find(|c| !fits(c)).unwrap_or(rest.len()),
                    };
                    let met = &rest[..length];
                    let known = self.0.entry((*name).to_owned()).or_insert_with(|| met.to_owned());
                    if met.is_empty() || known != met {
                        return Err(differs(rest));
                    }
                    length
                }
            };
            rest = &rest[length..];
        }
        if rest.is_empty() { Ok(()) } else { Err(differs(rest)) }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Pattern<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

fn parts_of(line: &str) -> Vec<Pattern<'_>> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some(open) = rest.find('<') {
        let Some(close) = rest[open..].find('>').map(|length| open + length) else { break };
        if open > 0 {
            parts.push(Pattern::Text(&rest[..open]));
        }
        parts.push(Pattern::Placeholder(&rest[open + 1..close]));
        rest = &rest[close + 1..];
    }
    if !rest.is_empty() {
        parts.push(Pattern::Text(rest));
    }
    parts
}

/// The characters that a placeholder may stand for.
fn shape_of(name: &str) -> Result<fn(char) -> bool, String> {
    match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "token" | "said" | "met" => Ok(|c| c.is_ascii_alphanumeric() || c == '.'),
        "time" | "number" => Ok(|c| c.is_ascii_digit()),
        "nonce" | "proof" | "key" | "founding" => Ok(|c| c.is_ascii_hexdigit()),
        "id" => Ok(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')),
        "text" => Ok(|_| true),
        _ => Err(format!("<{name}> has no shape")),
    }
}

#[test]
fn what_an_example_says_must_be_met() {
    assert!(Bound::default().meet("<id> ok", "01m8-_.x ok").is_ok());
    let meet = |expected: &str, found: &str| Bound::default().meet(expected, found).is_ok();
    assert!(meet("OK t1 <token>", "OK t1 O0.12.ab.cd"));
    assert!(meet("COMMITTED t1 <time> <token1>", "COMMITTED t1 12 O0.12.ab."));
    assert!(meet("NOK t1 <token> locked <text>", "NOK t1 N0.1.. locked by t2, still"));
    assert!(meet("DONE [<text>]", "DONE [[1],2]"));
    assert!(!meet("DONE [<text>]", "DONE [1] more"));
    assert!(meet("DONE {\"a\":<number1>,\"b\":<number2>}", "DONE {\"a\":1,\"b\":2}"));
    assert!(!meet("OK t1 <token>", "OK t1 "));
    assert!(!meet("OK t1 <token>", "OK t1 O0.1.. more"));
    assert!(!meet("OK t1 <token>", "OK t2 O0.1.."));
    assert!(!meet("PONG", "PONG "));
    assert!(!meet("DONE <number>", "DONE x"));
    assert!(!meet("DONE <number> <number>", "DONE 1 2"), "one name, one value");
    assert!(meet("DONE <number> <number>", "DONE 1 1"));
    assert!(!meet("DONE <thing>", "DONE 1"), "no shape");
    let mut bound = Bound::default();
    assert!(bound.fill("COMMIT t1 <token>").is_err());
    bound.meet("OK t1 <token>", "OK t1 O0.1..").unwrap();
    assert_eq!(bound.fill("COMMIT t1 <token>").unwrap(), "COMMIT t1 O0.1..");
    assert!(bound.meet("OK t1 <token>", "OK t1 O0.2..").is_err());
}

#[test]
fn examples_are_read_as_they_are_written() {
    let page = "text\n```wire\n0> PING\n\n0< PONG\n0b> QUIT\n0b<\n```\n```\n7> no \
                example\n```\n```wire\n1> A > b\n```\n";
    let line = |number, connection, what| Line { number, connection, what };
    let expected = vec![
        vec![
            line(3, "0", What::Sent("PING")),
            line(5, "0", What::Received("PONG")),
            line(6, "0b", What::Sent("QUIT")),
            line(7, "0b", What::Closed),
        ],
        vec![line(13, "1", What::Sent("A > b"))],
    ];
    assert_eq!(examples_of(page, "wire"), Ok(expected));
    for bad in
        ["```wire\nPING\n```", "```wire\n3> PING\n```", "```wire\n0>PING\n```", "```wire\nx\n```"]
    {
        assert!(examples_of(bad, "wire").is_err(), "{bad}");
    }
}
