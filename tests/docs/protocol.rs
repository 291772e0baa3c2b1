//! Checks the documents: runs the tour, command by command, and compares the output; replays
//! the examples of `docs/PROTOCOL.md` against three real banks, in the order of the page.
//!
//! `support/examples.rs` parses the blocks marked `wire`. `<proof>` is computed here, as the page
//! describes it, from the key.

#[path = "../support/examples.rs"]
mod examples;
#[path = "../support/tour.rs"]
pub mod tour;

use crate::support::{Cluster, Wire, wait_until};
use consorcio::config::read_key_file;
use consorcio::limits::*;
use consorcio::wire::Reason;
use consorcio::wire::reply::Reply;
use consorcio::wire::token::Seal;
use consorcio::wire::verb::Verb;
use examples::{ExampleAction, ExampleLine, Placeholders, examples_of};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const README: &str = include_str!("../../README.md");
const TOUR: &str = include_str!("../../docs/TOUR.md");
const PAGE: &str = include_str!("../../docs/PROTOCOL.md");

/// The first word of every kind of reply.
const REPLIES: [&str; 12] = [
    "OK",
    "NOK",
    "COMMITTED",
    "ABORTED",
    "DOUBT",
    "UNKNOWN",
    "DONE",
    "REFUSED",
    "ERR",
    "HELP",
    "PONG",
    "BYE",
];

/// The proof of a bank that dials, computed as the page describes it.
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

/// The founding id of a bank's journal, from bank 0's step log.
fn founding_of(cluster: &Cluster, bank: usize) -> String {
    wait_until("bank 0 logs the introduction", || {
        let log = cluster.log(0);
        let line = log
            .lines()
            .find(|line| line.contains(" met ") && line.contains(&format!("bank={bank} ")))?;
        Some(line.split("id=").nth(1)?.split(' ').next()?.to_owned())
    })
}

/// Replays one block; returns the verbs that were sent and the replies that were received.
fn replay(
    cluster: &Cluster,
    seal: &Seal,
    block: &[ExampleLine<'_>],
) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut values = Placeholders::default();
    values.set("key", seal.key_id().to_string());
    values.set("founding", founding_of(cluster, 1));
    let mut wires: BTreeMap<&str, Wire> = BTreeMap::new();
    let mut last_lines: BTreeMap<&str, (String, String)> = BTreeMap::new();
    let (mut verbs, mut replies) = (BTreeSet::new(), BTreeSet::new());
    let first_word = |line: &str| line.split(' ').next().unwrap_or("").to_owned();
    for ExampleLine { number, connection, action } in block {
        let fail = |cause: String| -> ! { panic!("docs/PROTOCOL.md, line {number}: {cause}") };
        let bank = usize::from(connection.as_bytes()[0] - b'0');
        let wire = wires.entry(connection).or_insert_with(|| cluster.connect(bank));
        match action {
            ExampleAction::Sent(line) => {
                if line.contains("<proof>") {
                    let (hello, welcome) = &last_lines[connection];
                    let proof = proof_of_dialler(seal, hello, welcome);
                    values.set("proof", proof);
                }
                let line = values.fill(line).unwrap_or_else(|cause| fail(cause));
                wire.send(&line);
                verbs.insert(first_word(&line));
                last_lines.entry(connection).or_default().0 = line;
            }
            ExampleAction::Received(expected) => {
                let found = wire
                    .receive()
                    .unwrap_or_else(|| fail("the bank closed the connection".to_owned()));
                values.match_line(expected, &found).unwrap_or_else(|cause| fail(cause));
                replies.insert(first_word(&found));
                last_lines.entry(connection).or_default().1 = found;
            }
            ExampleAction::Closed => {
                if let Some(line) = wire.receive() {
                    fail(format!("the connection should be closed, but received {line}"));
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
        let (sent, received) = replay(&cluster, &seal, block);
        verbs.extend(sent);
        replies.extend(received);
    }
    for verb in Verb::ALL.iter().map(|verb| verb.name()) {
        assert!(verbs.contains(verb), "no example sends {verb}");
    }
    for reply in REPLIES {
        assert!(replies.contains(reply), "no example gets {reply}");
    }
}

/// Commands whose output differs from run to run. Only its first line and its lines without a
/// number, such as the headings of tables, are compared.
const MEASURED: [&str; 6] = [
    "cliente contention",
    "cliente audit",
    "cliente trace",
    // The banks answer in any order.
    "cliente set 1 --step",
    "grep ",
    "curl ",
];

#[test]
fn the_tour_of_readme_and_of_its_page_is_true() {
    let mut tour = tour::Tour::start();
    let mut script = None;
    let (mut strict, mut measured) = (0, 0);
    let pages = [("README.md", README), ("docs/TOUR.md", TOUR)];
    let commands = pages
        .iter()
        .flat_map(|(page, text)| tour::commands(text).into_iter().map(move |typed| (*page, typed)));
    for (page, typed) in commands {
        let fail = |cause: String| -> ! {
            panic!("{page}, line {}: {}: {cause}", typed.number, typed.command)
        };
        if typed.command.starts_with("grep ") {
            replay_nc(&tour);
        }
        if typed.command.starts_with("curl ") && script.is_none() {
            script = Some(tour.start_again_by_script());
        }
        let command = typed.command.replace("--seconds 4", "--seconds 1");
        if MEASURED.iter().any(|begin| command.starts_with(begin)) {
            measured += 1;
            // Step logs are written asynchronously, so these commands are retried.
            let of_logs = command.starts_with("grep ") || command.starts_with("cliente trace");
            let until =
                Instant::now() + if of_logs { crate::support::DEADLINE } else { Duration::ZERO };
            while let Err(cause) = compare_loosely(&tour, &typed, &tour.run(&command)) {
                if Instant::now() >= until {
                    fail(cause);
                }
            }
        } else {
            strict += 1;
            let (code, printed) = tour.run(&command);
            let aborts = typed.prints.iter().any(|line| line.starts_with("aborted"));
            if code != Some(if aborts { 4 } else { 0 }) {
                fail(format!("exit code {code:?}: {printed}"));
            }
            let found: Vec<String> = printed.lines().map(|line| tour.normalised(line)).collect();
            let expected: Vec<String> = typed.prints.iter().map(|line| tour::plain(line)).collect();
            assert_eq!(found, expected, "{page}, line {}: {}", typed.number, typed.command);
        }
    }
    assert!(strict >= 8 && measured >= 5, "{strict} and {measured} commands");
    if let Some(mut script) = script {
        script.terminate();
        assert_eq!(script.wait(), Some(143));
    }
}

/// Compares measured output with the page: the first line, and the lines without a number.
fn compare_loosely(
    tour: &tour::Tour,
    typed: &tour::TourCommand<'_>,
    (code, printed): &(Option<i32>, String),
) -> Result<(), String> {
    if *code != Some(0) {
        return Err(format!("exit code {code:?}: {printed}"));
    }
    let mut rest = printed.lines().map(|line| tour::loose(&tour.normalised(line)));
    for (at, line) in typed.prints.iter().enumerate().filter(|(_, line)| **line != "...") {
        let has_number = line.contains(|c: char| c.is_ascii_digit());
        let expected = tour::loose(line);
        if (at == 0 || !has_number) && !rest.any(|found| found == expected) {
            return Err(format!("no line {expected:?} in {printed}"));
        }
    }
    Ok(())
}

/// Replays the tour's dialogue by `nc` with bank 0.
fn replay_nc(tour: &tour::Tour) {
    let mut wire = Wire::connect(&tour.address(0));
    for line in tour::nc_dialogue(TOUR) {
        let verb = line.split(' ').next().unwrap_or("");
        if Verb::read(verb).is_some() {
            wire.send(line);
        } else {
            let found = wire.receive().expect("an answer");
            let words = |line: &str| -> Vec<String> {
                line.split(' ').take(2).map(str::to_owned).collect()
            };
            let (found, expected) = (words(&found), words(line));
            let same = if verb == "DONE" { found[0] == expected[0] } else { found == expected };
            assert!(same, "TOUR.md shows {line}, but the bank replied {found:?}");
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

/// Each row of the page's table of bounds has the numbers of `limits`, in their order.
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
    let of = |values: usize| u64::try_from(values).unwrap();
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
        ("requests that wait for the bank", vec![of(QUEUE_MAX), QUEUE_FULL_MS]),
        ("undecided transactions of one bank", vec![of(UNDECIDED_MAX), of(UNDECIDED_BYTES_MAX)]),
        ("in closed mode: undecided transactions of one owner", vec![of(UNDECIDED_OF_OWNER_MAX)]),
        ("in closed mode: centavos that one operation moves", vec![MOVED_CENTAVOS_MAX]),
        (
            "in closed mode: patience of an owner who is no teller or operator",
            vec![OWNER_PATIENCE_MS_MAX],
        ),
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
        // `numbers` cannot read "2^53"; the core tests the limit itself.
        ("a time", vec![1]),
    ]);
    assert_eq!(rows, expected);
    assert_eq!(NAME_BYTES_MAX, TX_ID_BYTES_MAX, "the page has one row for both");
}

/// The numbers of a cell outside of code spans, in bytes or milliseconds where a unit follows.
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

/// The first word of a reply. The match forces a new kind of reply to be added to `REPLIES` too.
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
        Reply::Help(_) => "HELP",
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
