//! `docs/PROTOCOL.md` is true: its examples are replayed against three real banks, in the order of the page.
//!
//! A fenced block that is marked `wire` holds lines of connections: `0> PING` is sent to bank 0, `0< PONG` must come
//! back, `0<` alone is the end of the connection; `0b` is a second connection to bank 0. `<token>`, `<time>`,
//! `<number>`, `<nonce>`, `<proof>` and `<text>`, with any digits after the word, stand for anything of that shape,
//! and within their block always for the same. `<proof>` is computed here as the page says, from the key.

mod support;

use consorcio::commit::token::Seal;
use consorcio::config::read_key_file;
use consorcio::limits::*;
use consorcio::wire::Reason;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::VERBS;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use support::{Cluster, Wire, wait_until};

const PAGE: &str = include_str!("../docs/PROTOCOL.md");

/// Every kind of reply, as its line begins.
const REPLIES: [&str; 11] =
    ["OK", "NOK", "COMMITTED", "ABORTED", "DOUBT", "UNKNOWN", "DONE", "REFUSED", "ERR", "PONG", "BYE"];

/// One line of an example.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    /// In the page, from 1 on.
    number: usize,
    /// `0`, or `0b` for a second connection to bank 0.
    connection: &'a str,
    what: What<'a>,
}

#[derive(Debug, PartialEq, Eq)]
enum What<'a> {
    Sent(&'a str),
    Received(&'a str),
    Closed,
}

/// The examples of `page`, block by block.
fn examples_of(page: &str) -> Result<Vec<Vec<Line<'_>>>, String> {
    let mut blocks: Vec<Vec<Line<'_>>> = Vec::new();
    let mut inside = false;
    for (at, text) in page.lines().enumerate() {
        let number = at + 1;
        if let Some(marked) = text.strip_prefix("```") {
            inside = !inside && marked == "wire";
            if inside {
                blocks.push(Vec::new());
            }
        } else if inside && !text.is_empty() {
            let split = text.find(['<', '>']).ok_or_else(|| format!("line {number}: neither > nor <"))?;
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
#[derive(Debug, Default)]
struct Bound(BTreeMap<String, String>);

impl Bound {
    /// `line` with what its placeholders stand for.
    fn fill(&self, line: &str) -> Result<String, String> {
        let mut out = String::new();
        for part in parts_of(line) {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Placeholder(name) => {
                    shape_of(name)?;
                    out.push_str(self.0.get(name).ok_or_else(|| format!("<{name}> stands for nothing yet"))?);
                }
            }
        }
        Ok(out)
    }

    /// Is `found` what `expected` describes? Placeholders that are new here stand for what they met.
    fn meet(&mut self, expected: &str, found: &str) -> Result<(), String> {
        let differs = |at: &str| format!("expected {expected}\n   found {found}\n which differs at {at:?}");
        let parts = parts_of(expected);
        let mut rest = found;
        for (at, part) in parts.iter().enumerate() {
            let length = match part {
                Part::Text(text) if rest.starts_with(text) => text.len(),
                Part::Text(_) => return Err(differs(rest)),
                Part::Placeholder(name) => {
                    let fits = shape_of(name)?;
                    let next = parts.get(at + 1);
                    let length = match next {
                        // A text goes up to what follows it, and the last one as far as it can.
                        Some(Part::Text(text)) if fits('\u{1f980}') && at + 2 == parts.len() => {
                            rest.strip_suffix(text).map_or(0, str::len)
                        }
                        Some(Part::Text(text)) if fits('\u{1f980}') => rest.find(text).unwrap_or(0),
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
enum Part<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

fn parts_of(line: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some(open) = rest.find('<') {
        let Some(close) = rest[open..].find('>').map(|length| open + length) else { break };
        if open > 0 {
            parts.push(Part::Text(&rest[..open]));
        }
        parts.push(Part::Placeholder(&rest[open + 1..close]));
        rest = &rest[close + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// The characters that a placeholder may stand for.
fn shape_of(name: &str) -> Result<fn(char) -> bool, String> {
    match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "token" => Ok(|c| c.is_ascii_alphanumeric() || c == '.'),
        "time" | "number" => Ok(|c| c.is_ascii_digit()),
        "nonce" | "proof" => Ok(|c| c.is_ascii_hexdigit()),
        "text" => Ok(|_| true),
        _ => Err(format!("<{name}> has no shape")),
    }
}

/// What a bank that dials proves itself with, put together by the page's own description.
fn proof_of_dialler(seal: &Seal, hello: &str, welcome: &str, seen: i64) -> String {
    let json = |line: &str| -> Value {
        serde_json::from_str(&line[line.find('{').expect("JSON")..]).expect("JSON of the handshake")
    };
    let (hello, welcome) = (json(hello), json(welcome));
    let byte = |value: &Value| u8::try_from(value.as_u64().expect("a number")).expect("a byte");
    let bytes = |value: &Value| {
        let hex = value.as_str().expect("hex");
        (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex digits"))
            .collect::<Vec<_>>()
    };
    let parts: [&[u8]; 6] = [
        b"dialler",
        &[byte(&hello["bank"]), byte(&welcome["bank"])],
        &hello["places"].as_u64().expect("a number").to_le_bytes(),
        &bytes(&hello["nonce"]),
        &bytes(&welcome["nonce"]),
        &seen.to_le_bytes(),
    ];
    seal.mac("consorcio link 1", &parts).expect("the banks have a key").to_hex().to_string()
}

/// Replays one block; gives the verbs that were sent and the replies that came.
fn replay(cluster: &Cluster, seal: &Seal, block: &[Line<'_>]) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut bound = Bound::default();
    let mut wires: BTreeMap<&str, Wire> = BTreeMap::new();
    let mut last_lines: BTreeMap<&str, (String, String)> = BTreeMap::new();
    let (mut verbs, mut replies) = (BTreeSet::new(), BTreeSet::new());
    let first_word = |line: &str| line.split(' ').next().unwrap_or("").to_owned();
    for Line { number, connection, what } in block {
        let fail = |why: String| -> ! { panic!("docs/PROTOCOL.md, line {number}: {why}") };
        let bank = usize::from(connection.as_bytes()[0] - b'0');
        let wire = wires.entry(connection).or_insert_with(|| cluster.connect(bank));
        match what {
            What::Sent(line) => {
                if line.contains("<proof>") {
                    let (hello, welcome) = &last_lines[connection];
                    let proof = proof_of_dialler(seal, hello, welcome, 0);
                    bound.0.insert("proof".to_owned(), proof);
                }
                let line = bound.fill(line).unwrap_or_else(|why| fail(why));
                wire.send(&line);
                verbs.insert(first_word(&line));
                last_lines.entry(connection).or_default().0 = line;
            }
            What::Received(expected) => {
                let found =
                    wire.receive().unwrap_or_else(|| fail("the bank closed the connection".to_owned()));
                bound.meet(expected, &found).unwrap_or_else(|why| fail(why));
                replies.insert(first_word(&found));
                last_lines.entry(connection).or_default().1 = found;
            }
            What::Closed => {
                if let Some(line) = wire.receive() {
                    fail(format!("the connection should be closed, but there came {line}"));
                }
            }
        }
    }
    (verbs, replies)
}

#[test]
fn every_example_is_true() {
    let blocks = examples_of(PAGE).unwrap();
    let cluster = Cluster::start(3);
    let seal = Seal::keyed(read_key_file(&cluster.key_file()).unwrap());
    for bank in 0..3 {
        let mut wire = cluster.connect(bank);
        wait_until("the links between the banks", || {
            let banks = wire.ask("BANKS");
            let linked = !banks.contains("\"online\":false") && !banks.contains("null");
            linked.then_some(())
        });
    }
    let (mut verbs, mut replies) = (BTreeSet::new(), BTreeSet::new());
    for block in &blocks {
        let (sent, came) = replay(&cluster, &seal, block);
        verbs.extend(sent);
        replies.extend(came);
    }
    for verb in VERBS {
        assert!(verbs.contains(verb), "no example sends {verb}");
    }
    for reply in REPLIES {
        assert!(replies.contains(reply), "no example gets {reply}");
    }
}

#[test]
fn every_verb_reply_and_reason_is_explained() {
    let has_line = |start: String| PAGE.lines().any(|line| line.starts_with(&start));
    for verb in VERBS {
        assert!(has_line(format!("### {verb}")), "no heading for {verb}");
    }
    for reply in REPLIES {
        let row = [format!("| `{reply} "), format!("| `{reply}` ")].map(has_line);
        assert!(row.contains(&true), "no row for {reply}");
    }
    for reason in Reason::ALL {
        assert!(has_line(format!("| `{reason}` ")), "no row for the reason {reason}");
    }
}

/// The table of bounds says what `limits` says: each row with its numbers, in their order.
#[test]
fn the_bounds_of_the_page_are_those_of_the_program() {
    let table = PAGE.split("\n## Bounds\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let rows: BTreeMap<&str, Vec<u64>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---") && !line.starts_with("| what  "))
        .map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            (cells.next().unwrap(), cells.take(2).flat_map(numbers).collect())
        })
        .collect();
    let of = |bound: usize| u64::try_from(bound).unwrap();
    let expected = BTreeMap::from([
        ("a line", vec![of(LINE_BYTES_MAX)]),
        ("operations in a transaction", vec![of(OPS_MAX)]),
        ("patience of a transaction", vec![u64::from(PATIENCE_MS_MAX)]),
        ("tokens in a COMMIT", vec![of(TOKENS_MAX)]),
        ("places of a consortium", vec![of(BANKS_MAX)]),
        ("holders of an account", vec![of(HOLDERS_MAX)]),
        ("id, account number, key, kind", vec![of(TX_ID_BYTES_MAX)]),
        ("a register's value", vec![of(REGISTER_VALUE_BYTES_MAX)]),
        ("a client's name", vec![of(CLIENT_NAME_BYTES_MAX)]),
        ("connections of one bank", vec![of(SESSIONS_MAX), of(SESSIONS_FOR_BANKS), SESSION_IDLE_MS_MAX]),
        ("a session's unanswered requests", vec![of(SESSION_REQUESTS_MAX), of(SESSION_INPUT_BYTES_MAX)]),
        (
            "a session's replies that it does not take",
            vec![of(SESSION_OUTPUT_BYTES_MAX), SESSION_UNREAD_MS_MAX],
        ),
        ("what all sessions hold together", vec![of(SESSIONS_BYTES_MAX)]),
        ("requests that wait for the bank", vec![of(QUEUE_MAX)]),
        ("undecided transactions of one bank", vec![of(UNDECIDED_MAX), of(UNDECIDED_BYTES_MAX)]),
        ("an outside coordinator's time to vote", vec![OUTSIDE_VOTE_MS_MAX]),
        ("waiting before the first look", vec![QUEUE_WAIT_MS_MAX]),
        ("waiting for a lock, a cut or other banks", vec![ANSWER_WITHIN_MS]),
        ("an orderly end", vec![SHUTDOWN_MS_MAX]),
    ]);
    assert_eq!(rows, expected);
    assert_eq!(NAME_BYTES_MAX, TX_ID_BYTES_MAX, "the page has one row for both");
}

/// The numbers of a cell, in bytes and milliseconds where it says a unit. What stands in code is no number.
fn numbers(cell: &str) -> Vec<u64> {
    let words: Vec<&str> = cell.split('`').step_by(2).flat_map(str::split_whitespace).collect();
    let number = |(at, word): (usize, &&str)| {
        let number: u64 = word.trim_end_matches(',').replace(',', "").parse().ok()?;
        let unit = words.get(at + 1).map_or("", |unit| unit.trim_end_matches([',', ';', '.']));
        let times = match unit {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "s" => 1_000,
            "minutes" => 60_000,
            _ => 1,
        };
        Some(number * times)
    };
    words.iter().enumerate().filter_map(number).collect()
}

/// A reply that is new does not compile here until it has its word in `REPLIES`.
fn word_of(reply: &Reply) -> &'static str {
    match reply {
        Reply::Ok(..) => "OK",
        Reply::Nok(..) => "NOK",
        Reply::Committed(..) => "COMMITTED",
        Reply::Aborted(..) => "ABORTED",
        Reply::Doubt(..) => "DOUBT",
        Reply::Unknown(..) => "UNKNOWN",
        Reply::Done(..) => "DONE",
        Reply::Refused(..) => "REFUSED",
        Reply::Err(..) => "ERR",
        Reply::Pong => "PONG",
        Reply::Bye => "BYE",
    }
}

#[test]
fn the_replies_of_the_page_are_those_of_the_wire() {
    for (line, word) in [("PONG", "PONG"), ("BYE", "BYE"), ("DONE {}", "DONE"), ("REFUSED locked", "REFUSED")]
    {
        let word_found = word_of(&Reply::parse(line).unwrap());
        assert_eq!(word_found, word);
        assert!(REPLIES.contains(&word_found));
    }
}

#[test]
fn what_an_example_says_must_be_met() {
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
    let page = "text\n```wire\n0> PING\n\n0< PONG\n0b> QUIT\n0b<\n```\n```\n7> no example\n```\n```wire\n1> A > b\n```\n";
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
    assert_eq!(examples_of(page), Ok(expected));
    for bad in ["```wire\nPING\n```", "```wire\n3> PING\n```", "```wire\n0>PING\n```", "```wire\nx\n```"] {
        assert!(examples_of(bad).is_err(), "{bad}");
    }
}
