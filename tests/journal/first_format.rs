//! A journal of the first released format still opens, and its bank says what it said on the day it
//! was made.
//!
//! `tests/fixtures/journal-format-1` is for ever: its files are never changed and never made again,
//! and their digest is pinned here. Where a test of this file fails, the program has forgotten how
//! to read what people have on their disks; the program is what must change. A new format gets a
//! folder of its own beside this one, made by `make_the_fixture`.

use crate::journal::bank::Live;
use crate::journal::support::small;
use consorcio::bank::Identity;
use consorcio::bank::io::{Input, Start};
use consorcio::bank::record::Record;
use consorcio::commit::message::{Asked, AskedVerb};
use consorcio::ids::{BankId, Time, TxId};
use consorcio::journal::{BankReplica, FileDisk, Options, Sizes, dump};
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::token::{Seal, Token, Verdict};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = "tests/fixtures/journal-format-1";

/// Of the names and bytes of all files of both journals.
const DIGEST: &str = "31c103970d1ad164207402cbe93c0f9f6857c166bdff7960455400b8e2b8705d";

/// Why the bank of the other journal was stopped.
const STOPPED: &str = "bank 1 knows a vote of this bank that its journal has not";

/// Transactions that commit with two banks: enough for several segments.
const TRANSFERS: u32 = 100;

fn identity() -> Identity {
    let places = ["127.0.0.1:8886", "127.0.0.1:8887", "127.0.0.1:8888", "-"];
    Identity {
        bank: BankId::new(0).unwrap(),
        places: places.map(str::to_owned).to_vec(),
        seal: Seal::keyed([9; 32]),
    }
}

fn options() -> Options {
    Options {
        sizes: Sizes::all(8192),
        snapshot_after_segments: 2,
        replica: Some(BankReplica::maker(identity())),
        new_id: Some(*b"the first format"),
        ..small()
    }
}

/// Those of the other journal.
fn options_of_the_stopped() -> Options {
    Options { sizes: Sizes::all(512), ..options() }
}

/// A line, and the reply's line: `(waits)` where it does not come yet.
fn say(live: &mut Live, line: &str) -> String {
    let request = Request::parse(line).unwrap_or_else(|fault| panic!("{line}: {}", fault.text));
    live.ask(request).map_or_else(|| "(waits)".to_owned(), |reply| text_of(&reply))
}

fn text_of(reply: &Reply) -> String {
    let mut line = Vec::new();
    reply.write_to(&mut line);
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

/// The tokens by which banks 1 and 2 agree to the bytes of the vote `own`, or refuse them.
fn theirs(own: &Token, tx: &str, verdict: Verdict) -> Vec<Token> {
    let tx = TxId::new(tx).unwrap();
    let vote = |bank: usize| {
        let time = Time(own.time.0 + i64::try_from(bank).unwrap());
        identity().seal.token(BankId::new(bank).unwrap(), verdict, &tx, own.digest, time)
    };
    vec![vote(1), vote(2)]
}

/// Bank 0 votes OK; the token of its vote.
fn prepare(live: &mut Live, tx: &str, ops: &str) -> Token {
    let request = Request::parse(&format!(r#"PREPARE {tx} {{"ops":[{ops}]}}"#)).unwrap();
    match live.ask(request) {
        Some(Reply::Ok(_, token)) => token,
        other => panic!("{tx}: {other:?}"),
    }
}

fn commit(live: &mut Live, tx: &str, own: Token) {
    let mut tokens = vec![own];
    tokens.extend(theirs(&own, tx, Verdict::Ok));
    let reply = live.ask(Request::Commit(TxId::new(tx).unwrap(), tokens));
    assert!(matches!(reply, Some(Reply::Committed(..))), "{tx}: {reply:?}");
}

fn transfer(from: &str, amount: u32) -> String {
    format!(
        r#"{{"bank":0,"op":"debit","account":"{from}","amount":{amount}}},{{"bank":1,"op":"credit","account":"9-9","amount":{amount}}}"#
    )
}

fn set(key: &str, value: &str) -> String {
    let at = |bank| format!(r#"{{"bank":{bank},"op":"set","key":"{key}","value":"{value}"}}"#);
    [at(0), at(1), at(2)].join(",")
}

/// All that a bank's journal can hold, but for the record that stops it.
fn live_a_life(live: &mut Live) {
    let mut places = identity().places;
    places[2] = "127.0.0.1:9999".into();
    places.truncate(3);
    live.record(Record::Consortium { bank: BankId::new(0).unwrap(), places });
    for line in [
        r#"CLIENT {"cpf":"11111111111","name":"Maria Souza","kind":"Físico"}"#,
        r#"CLIENT {"cpf":"22222222222","name":"João \"Zé\" Ávila","kind":"Físico"}"#,
        r#"CLIENT {"cpf":"12ABC34501DE35","name":"Empresa de Águas","kind":"Jurídico"}"#,
        r#"ACCOUNT {"number":"1-1","holders":["11111111111"],"deposit":100000}"#,
        r#"ACCOUNT {"number":"conjunta-2","holders":["11111111111","22222222222"],"deposit":0}"#,
        r#"ACCOUNT {"number":"3-3","holders":["12ABC34501DE35"],"deposit":9007199254740993}"#,
    ] {
        assert!(say(live, line).starts_with("DONE"), "{line}");
    }
    let cash = |op: &str, account: &str, amount: u64| {
        format!(r#"{{"ops":[{{"bank":0,"op":"{op}","account":"{account}","amount":{amount}}}]}}"#)
    };
    for (line, expected) in [
        (format!("EXECUTE cash-in {}", cash("deposit", "conjunta-2", 5050)), "COMMITTED"),
        (format!("EXECUTE cash-out {}", cash("withdraw", "1-1", 1)), "COMMITTED"),
        (format!("EXECUTE too-much {}", cash("withdraw", "conjunta-2", 5051)), "ABORTED"),
        (format!("PREPARE nobody {{\"ops\":[{}]}}", transfer("no-such", 1)), "NOK"),
        ("RESOLVE never-came".into(), "ABORTED"),
        ("ABORT given-up".into(), "ABORTED"),
    ] {
        assert!(say(live, &line).starts_with(expected), "{line}");
    }
    let own = prepare(live, "first-value", &set("storage", "1"));
    let locked = say(live, &format!(r#"PREPARE second-value {{"ops":[{}]}}"#, set("storage", "2")));
    assert!(locked.starts_with("NOK") && locked.contains("locked"), "{locked}");
    commit(live, "first-value", own);
    let own = prepare(live, "dots", &set("ponto.de.água", "ção"));
    commit(live, "dots", own);
    let own = prepare(live, "refused-elsewhere", &transfer("1-1", 500));
    let reply = live.ask(Request::Abort(
        TxId::new("refused-elsewhere").unwrap(),
        Some(theirs(&own, "refused-elsewhere", Verdict::No)[0]),
    ));
    assert!(matches!(reply, Some(Reply::Aborted(..))), "{reply:?}");
    driven(live);
    for number in 0..TRANSFERS {
        let tx = format!("t-{number}");
        let own = prepare(live, &tx, &transfer("1-1", number + 1));
        commit(live, &tx, own);
        if number == TRANSFERS / 2 {
            let places = identity().places;
            live.record(Record::Consortium { bank: BankId::new(0).unwrap(), places });
        }
    }
    let ahead = live.core.clock().0 + 500_000;
    assert!(say(live, &format!("SNAPSHOT {ahead}")).starts_with("DONE"));
    prepare(live, "open-money", &transfer("1-1", 700));
    prepare(live, "open-value", &set("other", "3"));
}

/// Bank 0 drives a transfer for its caller and votes last.
fn driven(live: &mut Live) {
    let one = BankId::new(1).unwrap();
    live.happen(&Input::PeerUp(one));
    let line = format!(r#"EXECUTE driven {{"ops":[{}]}}"#, transfer("1-1", 250));
    let request = Request::parse(&line).unwrap();
    let Request::Execute(tx, transaction) = request.clone() else { panic!("{line}") };
    assert_eq!(live.ask(request), None, "it asks bank 1 first");
    let time = Time(live.core.clock().0 + 5);
    let token = identity().seal.token(one, Verdict::Ok, &tx, Some(*transaction.digest()), time);
    let asked = Asked { tx: tx.clone(), verb: AskedVerb::Prepare };
    let reply = Some(Reply::Ok(tx, token));
    let output = live.happen(&Input::Answer { peer: one, asked, reply, past: None });
    assert!(matches!(&output.records[..], [Record::Executed { .. }]), "{output:?}");
}

/// What the bank is asked when its journal was opened, in this order. The last lines change it.
fn questions() -> Vec<String> {
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
    // The bytes are known, too: a repeat gets the recorded vote, others a refusal.
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

/// What an opened journal holds, as text: lines that begin with `> ` are asked, `< ` is the answer.
fn described(live: &mut Live) -> String {
    let mut text = String::new();
    let (bank, places) = live.core.consortium().unwrap();
    writeln!(text, "consortium: bank {bank} of {}", places.join(",")).unwrap();
    writeln!(text, "records: {}", live.core.seq()).unwrap();
    writeln!(text, "clock: {}", live.core.clock()).unwrap();
    let votes = live.core.known_votes().map(|time| time.to_string());
    writeln!(text, "known votes: {}", votes[..3].join(" ")).unwrap();
    for line in questions() {
        writeln!(text, "> {line}\n< {}", say(live, &line)).unwrap();
    }
    // What is undecided can be committed with the votes of the others, and then a cut adds up.
    let ask = Request::parse("STATUS open-money").unwrap();
    let Some(Reply::Ok(_, own)) = live.ask(ask) else { panic!("it is prepared") };
    let mut tokens = vec![own];
    tokens.extend(theirs(&own, "open-money", Verdict::Ok));
    let mut line = Vec::new();
    Request::Commit(TxId::new("open-money").unwrap(), tokens).write_to(&mut line);
    let commit = String::from_utf8(line).unwrap();
    for line in [commit.trim_end(), "BALANCE 1-1", "PENDING", "INFO"] {
        writeln!(text, "> {line}\n< {}", say(live, line)).unwrap();
    }
    text
}

fn dumped(folder: &Path) -> String {
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

/// A copy of the fixture's journal, since opening one writes into it.
fn copy() -> tempfile::TempDir {
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

/// Is everything that `expected` says in `found`? Replies may have got more fields since.
fn says(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected
            .iter()
            .all(|(key, value)| found.get(key).is_some_and(|found| says(found, value))),
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| says(found, expected))
        }
        (found, expected) => found == expected,
    }
}

/// Fails at the first line that does not say what it said.
fn compare(found: &str, expected: &str) {
    assert_eq!(found.lines().count(), expected.lines().count());
    let mut question = "";
    for (found, expected) in found.lines().zip(expected.lines()) {
        let json = |line: &str| {
            line.strip_prefix("< DONE ").map(|json| serde_json::from_str(json).unwrap())
        };
        let same = match (json(found), json(expected)) {
            (Some(found), Some(expected)) => says(&found, &expected),
            // So may COMMITTED and ABORTED have got a word.
            _ => found
                .strip_prefix(expected)
                .is_some_and(|more| more.is_empty() || more.starts_with(' ')),
        };
        assert!(same, "{question}\n   found {found}\nexpected {expected}");
        question = expected;
    }
}

#[test]
fn the_fixture_is_as_it_was_made() {
    let mut hasher = blake3::Hasher::new();
    let all = [files(&fixture().join("journal")), files(&fixture().join("stopped"))];
    for (name, bytes) in all.iter().flatten() {
        hasher.update(name.as_bytes()).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    let sizes: Vec<_> = all.iter().flatten().map(|(name, bytes)| (name, bytes.len())).collect();
    assert_eq!(hasher.finalize().to_hex().as_str(), DIGEST, "it is never changed: {sizes:?}");
}

#[test]
fn a_journal_of_the_first_format_is_read_to_the_letter() {
    let journal = fixture().join("journal");
    compare(&dumped(&journal), &fs::read_to_string(fixture().join("records.txt")).unwrap());
    let records = dumped(&journal);
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
        assert!(records.contains(kind), "no {kind:?} in it");
    }
}

#[test]
fn its_bank_says_what_it_said() {
    let expected = fs::read_to_string(fixture().join("bank.txt")).unwrap();
    let folder = copy();
    let (mut live, recovered) = open_copy(folder.path());
    assert!(recovered.snapshot.is_some_and(|seq| seq > 50), "{recovered}");
    assert_eq!((&recovered.torn, recovered.warnings.len()), (&None, 0), "{recovered:?}");
    live.core.check_invariants();
    let first = TxId::new("t-0").unwrap();
    assert!(
        !live.core.knows(&first) && live.past(&first).is_some(),
        "old outcomes are found by the indexes"
    );
    compare(&described(&mut live), &expected);
    live.core.check_invariants();
}

#[test]
fn without_snapshots_and_indexes_it_is_the_same() {
    let expected = fs::read_to_string(fixture().join("bank.txt")).unwrap();
    let folder = copy();
    for name in files(folder.path()).keys().filter(|name| !name.starts_with("segment-")) {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let (mut live, recovered) = open_copy(folder.path());
    assert_eq!((recovered.snapshot, recovered.records), (None, live.core.seq()));
    compare(&described(&mut live), &expected);
}

/// The one record that the other journal has not.
#[test]
fn a_bank_that_was_stopped_stays_stopped() {
    let folder = tempfile::tempdir().unwrap();
    copy_files(&fixture().join("stopped"), folder.path());
    let (live, _) =
        Live::open(FileDisk::open(folder.path()).unwrap(), options_of_the_stopped(), identity());
    assert_eq!((live.core.seq(), live.core.stopped()), (2, Some(STOPPED)));
}

/// Makes the folder `FIXTURE_OUT`, for a format that has no fixture yet.
#[test]
#[ignore = "makes a new fixture; the one that is there stays as it is"]
fn make_the_fixture() {
    let out =
        PathBuf::from(std::env::var_os("FIXTURE_OUT").expect("FIXTURE_OUT names a folder to make"));
    fs::create_dir(&out).expect("a folder that is not there yet");
    let journal = out.join("journal");
    let (mut live, _) = Live::open(FileDisk::open(&journal).unwrap(), options(), identity());
    live_a_life(&mut live);
    live.core.check_invariants();
    live.appender.close().unwrap();
    fs::remove_file(journal.join("lock")).unwrap();
    fs::write(out.join("records.txt"), dumped(&journal)).unwrap();
    let stopped = out.join("stopped");
    let (mut live, _) =
        Live::open(FileDisk::open(&stopped).unwrap(), options_of_the_stopped(), identity());
    live.record(Record::Consortium { bank: identity().bank, places: identity().places });
    live.record(Record::Stopped { why: STOPPED.to_owned() });
    live.appender.close().unwrap();
    fs::remove_file(stopped.join("lock")).unwrap();
    let opened = tempfile::tempdir().unwrap();
    copy_files(&journal, opened.path());
    // What differs from version to version, or from run to run, is not expected.
    let without = |line: &str| {
        let Some(json) = line.strip_prefix("< DONE {") else { return line.to_owned() };
        let mut value: Value = serde_json::from_str(&format!("{{{json}")).unwrap();
        for key in ["version", "uptime_s"] {
            value.as_object_mut().unwrap().remove(key);
        }
        format!("< DONE {value}")
    };
    let (mut live, _) = open_copy(opened.path());
    let described: Vec<String> = described(&mut live).lines().map(without).collect();
    fs::write(out.join("bank.txt"), described.join("\n") + "\n").unwrap();
}
