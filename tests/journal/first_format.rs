//! A journal of the first released format still opens, and its bank gives the same replies as when
//! the journal was made.
//!
//! `tests/fixtures/journal-format-1` is permanent: its files never change, and their digest is
//! pinned here. If a test of this file fails, the program no longer reads the journals on its
//! users' disks, and the program has to change. A new format gets a folder of its own beside this
//! one, made by `make_the_fixture`.

mod maker;

use crate::journal::bank::Live;
use consorcio::bank::io::{Input, Start};
use consorcio::ids::TxId;
use consorcio::journal::{FileDisk, dump};
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::token::Vote;
use maker::{STOPPED, identity, options, options_of_the_stopped, request, set, theirs, transfer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = "tests/fixtures/journal-format-1";

/// The digest of the names and bytes of all files of both journals.
const DIGEST: &str = "31c103970d1ad164207402cbe93c0f9f6857c166bdff7960455400b8e2b8705d";

/// The requests to the bank of an opened journal, in order. The last ones change it.
fn requests() -> Vec<String> {
    let mut lines: Vec<String> = [
        "INFO",
        "CLIENTS",
        "ACCOUNTS",
        "ACCOUNTS 22222222222",
        "BALANCE 1-1",
        "BALANCE conjunta-2",
        "BALANCE 3-3",
        "VALUE",
        "VALUE ponto.de.água",
        "VALUE other",
        "VALUE never-set",
        "PENDING",
        "HISTORY 1000",
    ]
    .map(str::to_owned)
    .to_vec();
    let ids = [
        "cash-in",
        "cash-out",
        "too-much",
        "nobody",
        "never-came",
        "given-up",
        "first-value",
        "second-value",
        "dots",
        "refused-elsewhere",
        "driven",
        "t-0",
        "t-50",
        "t-51",
        "t-99",
        "open-money",
        "open-value",
        "never-heard-of",
    ];
    lines.extend(ids.map(|tx| format!("STATUS {tx}")));
    // The bytes are recorded, too: a repeat gets the recorded vote, other bytes a refusal.
    for (tx, ops) in [
        ("t-0", transfer("1-1", 1)),
        ("t-0", transfer("1-1", 2)),
        ("open-value", set("other", "3")),
    ] {
        lines.push(format!(r#"PREPARE {tx} {{"ops":[{ops}]}}"#));
    }
    lines.push("ABORT open-value".into());
    lines
}

/// The contents of an opened journal as text: a line with `> ` is a request, `< ` its reply.
fn description(live: &mut Live) -> String {
    let mut text = String::new();
    let (bank, places) = live.core.consortium().unwrap();
    writeln!(text, "consortium: bank {bank} of {}", places.join(",")).unwrap();
    writeln!(text, "records: {}", live.core.seq()).unwrap();
    writeln!(text, "clock: {}", live.core.clock()).unwrap();
    let votes = live.core.known_votes().map(|time| time.to_string());
    writeln!(text, "known votes: {}", votes[..3].join(" ")).unwrap();
    for line in requests() {
        writeln!(text, "> {line}\n< {}", request(live, &line)).unwrap();
    }
    // An undecided transaction can be committed with the votes of the others, and then a cut adds
    // up.
    let ask = Request::parse("STATUS open-money").unwrap();
    let Some(Reply::Ok(_, own)) = live.ask(ask) else { panic!("not prepared") };
    let mut tokens = vec![own];
    tokens.extend(theirs(&own, "open-money", Vote::Ok));
    let mut line = Vec::new();
    Request::Commit(TxId::new("open-money").unwrap(), tokens).write_to(&mut line);
    let commit = String::from_utf8(line).unwrap();
    for line in [commit.trim_end(), "BALANCE 1-1", "PENDING", "INFO"] {
        writeln!(text, "> {line}\n< {}", request(live, line)).unwrap();
    }
    text
}

fn dump_of(folder: &Path) -> String {
    let mut text = Vec::new();
    let summary = dump(&FileDisk::read_only(folder), &mut text).unwrap();
    assert_eq!(summary.faults, [""; 0]);
    String::from_utf8(text).unwrap()
}

/// The journal's files, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let file = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    };
    entries.map(|entry| file(entry.unwrap())).collect()
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER)
}

/// A copy of the fixture's journal, since opening a journal writes to it.
fn copy_of_fixture() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_files(&fixture().join("journal"), folder.path());
    folder
}

fn copy_files(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        fs::write(to.join(name), bytes).unwrap();
    }
}

fn open_copy(folder: &Path) -> (Live, consorcio::journal::Recovered) {
    let (mut live, recovered) = Live::open(FileDisk::open(folder).unwrap(), options(), identity());
    live.happen(&Input::Started(Start::default()));
    (live, recovered)
}

/// `found` contains everything in `expected`; replies may have gained fields.
fn contains_all(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected
            .iter()
            .all(|(key, value)| found.get(key).is_some_and(|found| contains_all(found, value))),
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| contains_all(found, expected))
        }
        (found, expected) => found == expected,
    }
}

/// Fails at the first line that differs.
fn compare(found: &str, expected: &str) {
    assert_eq!(found.lines().count(), expected.lines().count());
    let mut previous = "";
    for (found, expected) in found.lines().zip(expected.lines()) {
        let json = |line: &str| {
            line.strip_prefix("< DONE ").map(|json| serde_json::from_str(json).unwrap())
        };
        let same = match (json(found), json(expected)) {
            (Some(found), Some(expected)) => contains_all(&found, &expected),
            // COMMITTED and ABORTED may have gained a word.
            _ => found
                .strip_prefix(expected)
                .is_some_and(|more| more.is_empty() || more.starts_with(' ')),
        };
        assert!(same, "{previous}\n   found {found}\nexpected {expected}");
        previous = expected;
    }
}

#[test]
fn the_fixture_is_unchanged() {
    let mut hasher = blake3::Hasher::new();
    let all = [files(&fixture().join("journal")), files(&fixture().join("stopped"))];
    for (name, bytes) in all.iter().flatten() {
        hasher.update(name.as_bytes()).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    let sizes: Vec<_> = all.iter().flatten().map(|(name, bytes)| (name, bytes.len())).collect();
    assert_eq!(hasher.finalize().to_hex().as_str(), DIGEST, "the fixture changed: {sizes:?}");
}

#[test]
fn a_journal_of_the_first_format_is_read_exactly() {
    let journal = fixture().join("journal");
    compare(&dump_of(&journal), &fs::read_to_string(fixture().join("records.txt")).unwrap());
    let records = dump_of(&journal);
    for kind in [
        " consortium ",
        " voted ",
        " OK ",
        " NOK ",
        " refused ",
        " decided ",
        " COMMITTED ",
        " ABORTED ",
        " executed ",
        " client ",
        " account ",
        " clock ",
    ] {
        assert!(records.contains(kind), "no record with {kind:?}");
    }
}

#[test]
fn its_bank_gives_the_same_replies() {
    let expected = fs::read_to_string(fixture().join("bank.txt")).unwrap();
    let folder = copy_of_fixture();
    let (mut live, recovered) = open_copy(folder.path());
    assert!(recovered.snapshot.is_some_and(|seq| seq > 50), "{recovered}");
    assert_eq!((&recovered.torn, recovered.warnings.len()), (&None, 0), "{recovered:?}");
    live.core.check_invariants();
    let first = TxId::new("t-0").unwrap();
    assert!(
        !live.core.knows(&first) && live.past(&first).is_some(),
        "the indexes do not find an old outcome"
    );
    compare(&description(&mut live), &expected);
    live.core.check_invariants();
}

#[test]
fn without_snapshots_and_indexes_the_replies_are_the_same() {
    let expected = fs::read_to_string(fixture().join("bank.txt")).unwrap();
    let folder = copy_of_fixture();
    for name in files(folder.path()).keys().filter(|name| !name.starts_with("segment-")) {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let (mut live, recovered) = open_copy(folder.path());
    assert_eq!((recovered.snapshot, recovered.records), (None, live.core.seq()));
    compare(&description(&mut live), &expected);
}

/// The one kind of record that is not in the other journal.
#[test]
fn a_stopped_bank_stays_stopped() {
    let folder = tempfile::tempdir().unwrap();
    copy_files(&fixture().join("stopped"), folder.path());
    let (live, _) =
        Live::open(FileDisk::open(folder.path()).unwrap(), options_of_the_stopped(), identity());
    assert_eq!((live.core.seq(), live.core.stopped()), (2, Some(STOPPED)));
}
