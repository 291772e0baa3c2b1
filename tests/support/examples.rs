//! Examples in the documentation: parses them, and matches them with the replies of real banks.
//!
//! A fenced block with the page's marker holds lines of connections: `0> PING` is sent to bank 0,
//! `0< PONG` is the expected reply, `0<` alone is the end of the connection; `0b` is a second
//! connection to bank 0. `<token>`, `<said>`, `<time>`, `<number>`, `<nonce>`, `<proof>`, `<key>`,
//! `<id>` and `<text>`, with any digits after the word, match any text of that shape, and within
//! one block always the same text.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::collections::BTreeMap;

/// One line of an example.
#[derive(Debug, PartialEq, Eq)]
pub struct ExampleLine<'a> {
    /// In the page, from 1 on.
    pub number: usize,
    /// `0`, or `0b` for a second connection to bank 0.
    pub connection: &'a str,
    pub action: ExampleAction<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum ExampleAction<'a> {
    Sent(&'a str),
    Received(&'a str),
    Closed,
}

/// The examples of `page`: its fenced blocks with the marker `marker`.
pub fn examples_of<'a>(page: &'a str, marker: &str) -> Result<Vec<Vec<ExampleLine<'a>>>, String> {
    let mut blocks: Vec<Vec<ExampleLine<'a>>> = Vec::new();
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
            let action = match rest.split_at(1) {
                ("<", "") => ExampleAction::Closed,
                (arrow, rest) => match (arrow, rest.strip_prefix(' ')) {
                    (">", Some(line)) => ExampleAction::Sent(line),
                    ("<", Some(line)) => ExampleAction::Received(line),
                    _ => return Err(format!("line {number}: a blank must follow the arrow")),
                },
            };
            let line = ExampleLine { number, connection, action };
            blocks.last_mut().expect("a block began").push(line);
        }
    }
    Ok(blocks)
}

/// The values of the placeholders of one block.
#[derive(Debug, Clone, Default)]
pub struct Placeholders(BTreeMap<String, String>);

impl Placeholders {
    /// Replaces the placeholders in `line` by their values.
    pub fn fill(&self, line: &str) -> Result<String, String> {
        let mut out = String::new();
        for part in parts_of(line) {
            match part {
                TemplatePart::Text(text) => out.push_str(text),
                TemplatePart::Placeholder(name) => {
                    shape_of(name)?;
                    out.push_str(
                        self.0.get(name).ok_or_else(|| format!("<{name}> has no value yet"))?,
                    );
                }
            }
        }
        Ok(out)
    }

    /// Gives a placeholder its value.
    pub fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// Matches `found` with `expected`. Placeholders without a value get the text that they match.
    pub fn match_line(&mut self, expected: &str, found: &str) -> Result<(), String> {
        let differs =
            |at: &str| format!("expected {expected}\n   found {found}\n which differs at {at:?}");
        let parts = parts_of(expected);
        let mut rest = found;
        for (at, part) in parts.iter().enumerate() {
            let length = match part {
                TemplatePart::Text(text) if rest.starts_with(text) => text.len(),
                TemplatePart::Text(_) => return Err(differs(rest)),
                TemplatePart::Placeholder(name) => {
                    let fits = shape_of(name)?;
                    let next = parts.get(at + 1);
                    let length = match next {
                        // `<text>` ends where the next part begins; the last one is greedy.
                        Some(TemplatePart::Text(text))
                            if fits('\u{1f980}') && at + 2 == parts.len() =>
                        {
                            rest.strip_suffix(text).map_or(0, str::len)
                        }
                        Some(TemplatePart::Text(text)) if fits('\u{1f980}') => {
                            rest.find(text).unwrap_or(0)
                        }
                        Some(_) | None => rest.find(|c| !fits(c)).unwrap_or(rest.len()),
                    };
                    let value = &rest[..length];
                    let known =
                        self.0.entry((*name).to_owned()).or_insert_with(|| value.to_owned());
                    if value.is_empty() || known != value {
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
enum TemplatePart<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

fn parts_of(line: &str) -> Vec<TemplatePart<'_>> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some(open) = rest.find('<') {
        let Some(close) = rest[open..].find('>').map(|length| open + length) else { break };
        if open > 0 {
            parts.push(TemplatePart::Text(&rest[..open]));
        }
        parts.push(TemplatePart::Placeholder(&rest[open + 1..close]));
        rest = &rest[close + 1..];
    }
    if !rest.is_empty() {
        parts.push(TemplatePart::Text(rest));
    }
    parts
}

/// The characters that a placeholder may match.
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
fn examples_match_replies() {
    let matches =
        |expected: &str, found: &str| Placeholders::default().match_line(expected, found).is_ok();
    assert!(matches("<id> ok", "01m8-_.x ok"));
    assert!(matches("OK t1 <token>", "OK t1 O0.12.ab.cd"));
    assert!(matches("COMMITTED t1 <time> <token1>", "COMMITTED t1 12 O0.12.ab."));
    assert!(matches("NOK t1 <token> locked <text>", "NOK t1 N0.1.. locked by t2, still"));
    assert!(matches("DONE [<text>]", "DONE [[1],2]"));
    assert!(!matches("DONE [<text>]", "DONE [1] more"));
    assert!(matches("DONE {\"a\":<number1>,\"b\":<number2>}", "DONE {\"a\":1,\"b\":2}"));
    assert!(!matches("OK t1 <token>", "OK t1 "));
    assert!(!matches("OK t1 <token>", "OK t1 O0.1.. more"));
    assert!(!matches("OK t1 <token>", "OK t2 O0.1.."));
    assert!(!matches("PONG", "PONG "));
    assert!(!matches("DONE <number>", "DONE x"));
    assert!(!matches("DONE <number> <number>", "DONE 1 2"), "one name, one value");
    assert!(matches("DONE <number> <number>", "DONE 1 1"));
    assert!(!matches("DONE <thing>", "DONE 1"), "no shape");
    let mut values = Placeholders::default();
    assert!(values.fill("COMMIT t1 <token>").is_err());
    values.match_line("OK t1 <token>", "OK t1 O0.1..").unwrap();
    assert_eq!(values.fill("COMMIT t1 <token>").unwrap(), "COMMIT t1 O0.1..");
    assert!(values.match_line("OK t1 <token>", "OK t1 O0.2..").is_err());
}

#[test]
fn examples_are_parsed() {
    let page = "text\n```wire\n0> PING\n\n0< PONG\n0b> QUIT\n0b<\n```\n```\n7> no \
                example\n```\n```wire\n1> A > b\n```\n";
    let line = |number, connection, action| ExampleLine { number, connection, action };
    let expected = vec![
        vec![
            line(3, "0", ExampleAction::Sent("PING")),
            line(5, "0", ExampleAction::Received("PONG")),
            line(6, "0b", ExampleAction::Sent("QUIT")),
            line(7, "0b", ExampleAction::Closed),
        ],
        vec![line(13, "1", ExampleAction::Sent("A > b"))],
    ];
    assert_eq!(examples_of(page, "wire"), Ok(expected));
    for bad in
        ["```wire\nPING\n```", "```wire\n3> PING\n```", "```wire\n0>PING\n```", "```wire\nx\n```"]
    {
        assert!(examples_of(bad, "wire").is_err(), "{bad}");
    }
}
