//! The documents are true. README's tour is walked: each command works as printed, in the order
//! printed. `docs/PROTOCOL.md`: its examples are replayed against three real banks, in the order of
//! the page.
//!
//! The blocks marked `wire` are read by `support/examples.rs`: `0> PING` is sent to bank 0, `0<
//! PONG` must come back. `<proof>` is computed here as the page says, from the key.

#[path = "../support/examples.rs"]
mod examples;
#[path = "../support/tour.rs"]
mod tour;

use crate::support::{Cluster, Wire, wait_until};
use consorcio::config::read_key_file;
use consorcio::limits::*;
use consorcio::wire::Reason;
use consorcio::wire::reply::Reply;
use consorcio::wire::token::Seal;
use consorcio::wire::verb::Verb;
use examples::{Bound, Line, What, examples_of};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const README: &str = include_str!("../../README.md");
const PAGE: &str = include_str!("../../docs/PROTOCOL.md");

/// Every kind of reply, as its line begins.
const REPLIES: [&str; 11] = [
    "OK",
    "NOK",
    "COMMITTED",
    "ABORTED",
    "DOUBT",
    "UNKNOWN",
    "DONE",
    "REFUSED",
    "ERR",
    "PONG",
    "BYE",
];

/// What a bank that dials proves itself with, put together by the page's own description.
fn proof_of_dialler(seal: &Seal, hello: &str, welcome: &str) -> String {
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
    let parts: [&[u8]; 8] = [
        b"dialler",
        &[byte(&hello["bank"]), byte(&welcome["bank"])],
        &hello["places"].as_u64().expect("a number").to_le_bytes(),
        &welcome["places"].as_u64().expect("a number").to_le_bytes(),
        &bytes(&hello["nonce"]),
        &bytes(&welcome["nonce"]),
        &bytes(&hello["founding"]),
        &bytes(&welcome["founding"]),
    ];
    seal.mac("consorcio link 3", &parts).to_hex().to_string()
}

/// The founding id of a bank's journal, as bank 0 met it.
fn founding_of(cluster: &Cluster, bank: usize) -> String {
    wait_until("bank 0 tells whom it met", || {
        let log = cluster.log(0);
        let line = log
            .lines()
            .find(|line| line.contains(" met ") && line.contains(&format!("bank={bank} ")))?;
        Some(line.split("id=").nth(1)?.split(' ').next()?.to_owned())
    })
}

/// Replays one block; gives the verbs that were sent and the replies that came.
fn replay(
    cluster: &Cluster,
    seal: &Seal,
    block: &[Line<'_>],
) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut bound = Bound::default();
    bound.set("key", seal.key_id().to_string());
    bound.set("founding", founding_of(cluster, 1));
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
                    let proof = proof_of_dialler(seal, hello, welcome);
                    bound.set("proof", proof);
                }
                let line = bound.fill(line).unwrap_or_else(|why| fail(why));
                wire.send(&line);
                verbs.insert(first_word(&line));
                last_lines.entry(connection).or_default().0 = line;
            }
            What::Received(expected) => {
                let found = wire
                    .receive()
                    .unwrap_or_else(|| fail("the bank closed the connection".to_owned()));
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
    let blocks = examples_of(PAGE, "wire").unwrap();
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
    for verb in Verb::ALL.iter().map(|verb| verb.name()) {
        assert!(verbs.contains(verb), "no example sends {verb}");
    }
    for reply in REPLIES {
        assert!(replies.contains(reply), "no example gets {reply}");
    }
}

/// What a command of README prints that was measured, or is another one each time, is held against
/// it more loosely: its first line, and each line without a number, which is how tables begin.
const MEASURED: [&str; 5] =
    ["cliente contention", "cliente audit", "cliente trace", "grep ", "curl "];

#[test]
fn the_tour_of_the_readme_is_true() {
    let mut tour = tour::Tour::start();
    let mut script = None;
    let (mut strict, mut measured) = (0, 0);
    for typed in tour::commands(README) {
        let fail = |why: String| -> ! {
            panic!("README.md, line {}: {}: {why}", typed.number, typed.command)
        };
        if typed.command.starts_with("grep ") {
            type_by_hand(&tour);
        }
        if typed.command.starts_with("curl ") && script.is_none() {
            script = Some(tour.start_again_by_script());
        }
        let command = typed.command.replace("--seconds 4", "--seconds 1");
        if MEASURED.iter().any(|begin| command.starts_with(begin)) {
            measured += 1;
            // Step logs are written a moment late.
            let of_logs = command.starts_with("grep ") || command.starts_with("cliente trace");
            let until =
                Instant::now() + if of_logs { crate::support::DEADLINE } else { Duration::ZERO };
            while let Err(why) = measured_as_printed(&tour, &typed, &tour.run(&command)) {
                if Instant::now() >= until {
                    fail(why);
                }
            }
        } else {
            strict += 1;
            let (code, printed) = tour.run(&command);
            let aborts = typed.prints.iter().any(|line| line.starts_with("aborted"));
            if code != Some(if aborts { 4 } else { 0 }) {
                fail(format!("exit code {code:?}: {printed}"));
            }
            let found: Vec<String> =
                printed.lines().map(|line| tour.as_in_the_page(line)).collect();
            let wanted: Vec<String> = typed.prints.iter().map(|line| tour::plain(line)).collect();
            assert_eq!(found, wanted, "README.md, line {}: {}", typed.number, typed.command);
        }
    }
    assert!(strict >= 8 && measured >= 5, "{strict} and {measured} commands");
    if let Some(mut script) = script {
        script.terminate();
        assert_eq!(script.wait(), Some(143));
    }
}

/// Is what was printed the same kind of text as in README?
fn measured_as_printed(
    tour: &tour::Tour,
    typed: &tour::TourCommand<'_>,
    (code, printed): &(Option<i32>, String),
) -> Result<(), String> {
    if *code != Some(0) {
        return Err(format!("exit code {code:?}: {printed}"));
    }
    let mut rest = printed.lines().map(|line| tour::loose(&tour.as_in_the_page(line)));
    for (at, line) in typed.prints.iter().enumerate().filter(|(_, line)| **line != "...") {
        let has_number = line.contains(|c: char| c.is_ascii_digit());
        let wanted = tour::loose(line);
        if (at == 0 || !has_number) && !rest.any(|found| found == wanted) {
            return Err(format!("no line {wanted:?} in {printed}"));
        }
    }
    Ok(())
}

/// README's conversation by `nc` with bank 0.
fn type_by_hand(tour: &tour::Tour) {
    let mut wire = Wire::connect(&tour.address(0));
    for line in tour::conversation(README) {
        let verb = line.split(' ').next().unwrap_or("");
        if Verb::read(verb).is_some() {
            wire.send(line);
        } else {
            let found = wire.receive().expect("an answer");
            let words = |line: &str| -> Vec<String> {
                line.split(' ').take(2).map(str::to_owned).collect()
            };
            let (found, wanted) = (words(&found), words(line));
            let same = if verb == "DONE" { found[0] == wanted[0] } else { found == wanted };
            assert!(same, "README says {line}, and there came {found:?}");
        }
    }
}

#[test]
fn every_verb_reply_and_reason_is_explained() {
    let has_line = |start: String| PAGE.lines().any(|line| line.starts_with(&start));
    for verb in Verb::ALL {
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
    let table =
        PAGE.split("\n## Bounds\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let rows: BTreeMap<&str, Vec<u64>> = table
        .lines()
        .filter(|line| {
            line.starts_with("| ") && !line.starts_with("| ---") && !line.starts_with("| bound ")
        })
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
        (
            "connections of one bank",
            vec![of(SESSIONS_MAX), of(SESSIONS_FOR_BANKS), SESSION_IDLE_MS_MAX],
        ),
        (
            "a session's unanswered requests",
            vec![of(SESSION_REQUESTS_MAX), of(SESSION_INPUT_BYTES_MAX)],
        ),
        ("a session's unread replies", vec![of(SESSION_OUTPUT_BYTES_MAX), SESSION_UNREAD_MS_MAX]),
        ("memory of all sessions together", vec![of(SESSIONS_BYTES_MAX)]),
        ("requests that wait for the bank", vec![of(QUEUE_MAX)]),
        ("undecided transactions of one bank", vec![of(UNDECIDED_MAX), of(UNDECIDED_BYTES_MAX)]),
        ("an outside coordinator's time to vote", vec![OUTSIDE_VOTE_MS_MAX]),
        ("a request's wait before it is decided", vec![QUEUE_WAIT_MS_MAX]),
        ("waiting for a lock, a cut or other banks", vec![ANSWER_WITHIN_MS]),
        ("connections that wait to be accepted", vec![u64::from(LISTEN_BACKLOG), 1_000]),
        (
            "after a start: requests that concern other banks wait for links",
            vec![LINKS_WAIT_MS_MAX, INTRODUCTION_WAIT_MS_MAX],
        ),
        (
            "each step of opening a link between banks",
            vec![PEER_STEP_MS_MAX, PEER_DIAL_WAIT_MS_MAX],
        ),
        ("steps that wait to be logged", vec![of(STEP_MEMORY_BYTES_MAX)]),
        ("an orderly end", vec![SHUTDOWN_MS_MAX]),
        (
            "the rest of a journal whose disk has no room for the next segment",
            vec![
                JOURNAL_LEFT_FOR_NEW_BYTES,
                OUTCOME_BATCH_BYTES_MAX,
                JOURNAL_LEFT_FOR_UNKNOWN_BYTES,
            ],
        ),
        // "2^53 minus 1" is no number here; the limit itself is tested in the core.
        ("a time", vec![1]),
    ]);
    assert_eq!(rows, expected);
    assert_eq!(NAME_BYTES_MAX, TX_ID_BYTES_MAX, "the page has one row for both");
}

/// The numbers of a cell, in bytes and milliseconds where it says a unit. What stands in code is no
/// number.
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
    for (line, word) in
        [("PONG", "PONG"), ("BYE", "BYE"), ("DONE {}", "DONE"), ("REFUSED locked", "REFUSED")]
    {
        let word_found = word_of(&Reply::parse(line).unwrap());
        assert_eq!(word_found, word);
        assert!(REPLIES.contains(&word_found));
    }
}
