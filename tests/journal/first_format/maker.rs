//! Makes the journals of a fixture: a bank works through every kind of record, and another one
//! stops.

use super::{copy_files, description, dump_of, open_copy};
use crate::journal::bank::Live;
use crate::journal::support::small;
use consorcio::bank::Identity;
use consorcio::bank::io::Input;
use consorcio::bank::record::Record;
use consorcio::commit::message::{PeerVerb, RequestKey};
use consorcio::ids::{BankId, Time, TxId};
use consorcio::journal::{FileDisk, JournalOptions, SegmentSizes};
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::token::{Seal, Token, Vote};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// Why the bank of the stopped journal stopped.
pub(super) const STOPPED: &str = "bank 1 knows a vote of this bank that its journal has not";

/// Transactions that commit at two banks: enough for several segments.
const TRANSFERS: u32 = 100;

pub(super) fn identity() -> Identity {
    let places = ["127.0.0.1:8886", "127.0.0.1:8887", "127.0.0.1:8888", "-"];
    Identity {
        bank: BankId::new(0).unwrap(),
        places: places.map(str::to_owned).to_vec(),
        seal: Seal::keyed([9; 32]),
    }
}

pub(super) fn options() -> JournalOptions {
    JournalOptions {
        sizes: SegmentSizes::all(8192),
        snapshot_after_segments: 2,
        new_id: Some(*b"the first format"),
        ..small()
    }
}

/// The options of the stopped bank's journal.
pub(super) fn options_of_the_stopped() -> JournalOptions {
    JournalOptions { sizes: SegmentSizes::all(512), ..options() }
}

/// Sends a line. Returns the reply's line, or `(waits)` if there is no reply yet.
pub(super) fn request(live: &mut Live, line: &str) -> String {
    let request = Request::parse(line).unwrap_or_else(|fault| panic!("{line}: {}", fault.text));
    live.ask(request).map_or_else(|| "(waits)".to_owned(), |reply| text_of(&reply))
}

fn text_of(reply: &Reply) -> String {
    let mut line = Vec::new();
    reply.write_to(&mut line);
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

/// The tokens of banks 1 and 2 that vote on the bytes of the vote `own`.
pub(super) fn theirs(own: &Token, tx: &str, verdict: Vote) -> Vec<Token> {
    let tx = TxId::new(tx).unwrap();
    let vote = |bank: usize| {
        let time = Time(own.time.0 + i64::try_from(bank).unwrap());
        identity().seal.token(BankId::new(bank).unwrap(), verdict, &tx, own.digest, time)
    };
    vec![vote(1), vote(2)]
}

/// Bank 0 votes OK; returns the token of its vote.
fn prepare(live: &mut Live, tx: &str, ops: &str) -> Token {
    let request = Request::parse(&format!(r#"PREPARE {tx} {{"ops":[{ops}]}}"#)).unwrap();
    match live.ask(request) {
        Some(Reply::Ok(_, token)) => token,
        other => panic!("{tx}: {other:?}"),
    }
}

fn commit(live: &mut Live, tx: &str, own: Token) {
    let mut tokens = vec![own];
    tokens.extend(theirs(&own, tx, Vote::Ok));
    let reply = live.ask(Request::Commit(TxId::new(tx).unwrap(), tokens));
    assert!(matches!(reply, Some(Reply::Committed(..))), "{tx}: {reply:?}");
}

pub(super) fn transfer(from: &str, amount: u32) -> String {
    format!(
        r#"{{"bank":0,"op":"debit","account":"{from}","amount":{amount}}},{{"bank":1,"op":"credit","account":"9-9","amount":{amount}}}"#
    )
}

pub(super) fn set(key: &str, value: &str) -> String {
    let at = |bank| format!(r#"{{"bank":{bank},"op":"set","key":"{key}","value":"{value}"}}"#);
    [at(0), at(1), at(2)].join(",")
}

/// Writes every kind of record except the one that stops a bank.
fn write_every_record(live: &mut Live) {
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
        assert!(request(live, line).starts_with("DONE"), "{line}");
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
        assert!(request(live, &line).starts_with(expected), "{line}");
    }
    let own = prepare(live, "first-value", &set("storage", "1"));
    let locked =
        request(live, &format!(r#"PREPARE second-value {{"ops":[{}]}}"#, set("storage", "2")));
    assert!(locked.starts_with("NOK") && locked.contains("locked"), "{locked}");
    commit(live, "first-value", own);
    let own = prepare(live, "dots", &set("ponto.de.água", "ção"));
    commit(live, "dots", own);
    let own = prepare(live, "refused-elsewhere", &transfer("1-1", 500));
    let reply = live.ask(Request::Abort(
        TxId::new("refused-elsewhere").unwrap(),
        Some(theirs(&own, "refused-elsewhere", Vote::No)[0]),
    ));
    assert!(matches!(reply, Some(Reply::Aborted(..))), "{reply:?}");
    drive(live);
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
    assert!(request(live, &format!("SNAPSHOT {ahead}")).starts_with("DONE"));
    prepare(live, "open-money", &transfer("1-1", 700));
    prepare(live, "open-value", &set("other", "3"));
}

/// Bank 0 drives a transfer for its caller and votes last.
fn drive(live: &mut Live) {
    let one = BankId::new(1).unwrap();
    live.happen(&Input::PeerUp(one));
    let line = format!(r#"EXECUTE driven {{"ops":[{}]}}"#, transfer("1-1", 250));
    let request = Request::parse(&line).unwrap();
    let Request::Execute(tx, transaction) = request.clone() else { panic!("{line}") };
    assert_eq!(live.ask(request), None, "bank 0 did not ask bank 1 first");
    let time = Time(live.core.clock().0 + 5);
    let token = identity().seal.token(one, Vote::Ok, &tx, Some(*transaction.digest()), time);
    let asked = RequestKey { tx: tx.clone(), verb: PeerVerb::Prepare };
    let reply = Some(Reply::Ok(tx, token));
    let output = live.happen(&Input::Answer { peer: one, asked, reply, past: None });
    assert!(matches!(&output.records[..], [Record::Executed { .. }]), "{output:?}");
}

/// Makes the folder `FIXTURE_OUT`, for a format without a fixture.
#[test]
#[ignore = "makes a new fixture; the existing one never changes"]
fn make_the_fixture() {
    let out =
        PathBuf::from(std::env::var_os("FIXTURE_OUT").expect("FIXTURE_OUT names a folder to make"));
    fs::create_dir(&out).expect("FIXTURE_OUT must not exist yet");
    let journal = out.join("journal");
    let (mut live, _) = Live::open(FileDisk::open(&journal).unwrap(), options(), identity());
    write_every_record(&mut live);
    live.core.check_invariants();
    live.appender.close().unwrap();
    fs::remove_file(journal.join("lock")).unwrap();
    fs::write(out.join("records.txt"), dump_of(&journal)).unwrap();
    let stopped = out.join("stopped");
    let (mut live, _) =
        Live::open(FileDisk::open(&stopped).unwrap(), options_of_the_stopped(), identity());
    live.record(Record::Consortium { bank: identity().bank, places: identity().places });
    live.record(Record::Stopped { why: STOPPED.to_owned() });
    live.appender.close().unwrap();
    fs::remove_file(stopped.join("lock")).unwrap();
    let opened = tempfile::tempdir().unwrap();
    copy_files(&journal, opened.path());
    // Leave out fields that differ by version or run.
    let without = |line: &str| {
        let Some(json) = line.strip_prefix("< DONE {") else { return line.to_owned() };
        let mut value: Value = serde_json::from_str(&format!("{{{json}")).unwrap();
        for key in ["version", "uptime_s"] {
            value.as_object_mut().unwrap().remove(key);
        }
        format!("< DONE {value}")
    };
    let (mut live, _) = open_copy(opened.path());
    let description: Vec<String> = description(&mut live).lines().map(without).collect();
    fs::write(out.join("bank.txt"), description.join("\n") + "\n").unwrap();
}
