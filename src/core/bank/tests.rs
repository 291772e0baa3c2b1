//! The end of time, and records of older versions. The golden scripts in tests/stories cover what
//! banks send each other.

mod corners;
mod ends;
mod shares;

use super::*;
use crate::access::Principal;
use crate::bank::io::{Caller, Origin, SessionId, Start};
use crate::wire::Reason;
use crate::wire::reply::Reply;
use crate::wire::request::Request;
use crate::wire::token::Vote;
use crate::wire::transaction::{Op, Transaction};
use std::sync::Arc;

const BOTH: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"deposit","account":"1","amount":1},"#,
    r#"{"bank":1,"op":"deposit","account":"2","amount":1}]}"#
);
const ALONE: &str = r#"{"ops":[{"bank":0,"op":"deposit","account":"1","amount":1}]}"#;

/// A bank with its wall clock and its journal.
struct Network {
    core: Core,
    wall_us: i64,
    journal: Vec<Record>,
}

fn identity() -> Identity {
    let places = vec!["a:1".to_owned(), "b:1".to_owned()];
    Identity { bank: BankId::new(0).unwrap(), places, seal: Seal::keyed([7; 32]) }
}

impl Network {
    fn new(wall_us: i64) -> Network {
        let mut network = Network { core: Core::new(identity()), wall_us, journal: Vec::new() };
        network.input(&Input::Started(Start::default()));
        network.send(r#"CLIENT {"cpf":"12345678900","name":"P","kind":"F"}"#);
        network.send(r#"ACCOUNT {"number":"1","holders":["12345678900"],"deposit":1000}"#);
        network
    }

    fn input(&mut self, input: &Input) -> Output {
        let output = self
            .core
            .step(Now { wall_us: self.wall_us, shown_us: self.wall_us, mono_us: 5_000_000 }, input);
        self.journal.extend(output.records.iter().cloned());
        output
    }

    fn ask(&mut self, origin: Origin, request: Request) -> Reply {
        let caller = Caller { session: SessionId(1), slot: 0 };
        let what = format!("{request:?}");
        let mut output = self.input(&Input::Request {
            caller,
            origin,
            asker: Principal::Operator,
            request,
            waited_us: 0,
            past: None,
        });
        output.replies.pop().unwrap_or_else(|| panic!("{what} is answered")).reply
    }

    fn send(&mut self, line: &str) -> Reply {
        self.ask(Origin::Client, Request::parse(line).unwrap())
    }

    fn reason(&mut self, line: &str) -> Option<Reason> {
        match self.send(line) {
            Reply::Nok(_, _, reason, _)
            | Reply::Aborted(_, _, reason, _)
            | Reply::Refused(reason, _) => Some(reason),
            _ => None,
        }
    }
}

/// A peer's valid vote may have the last possible time. From then on this bank votes OK on nothing
/// and registers nothing; it still refuses, replies and restarts.
#[test]
fn at_the_end_of_time_a_bank_refuses_and_nothing_panics() {
    let mut network = Network::new(1_795_000_000_000_000);
    let Reply::Ok(tx, own) = network.send(&format!("PREPARE t1 {BOTH}")) else { panic!("an OK") };
    let outside =
        Transaction::parse(r#"{"ops":[{"bank":0,"op":"withdraw","account":"1","amount":1}]}"#)
            .unwrap();
    let ops: Vec<Op> = outside.ops().to_vec();
    let outside = Arc::new(Transaction::with_outside(BankId::new(0).unwrap(), ops).unwrap());
    for id in ["o1", "o2"] {
        let tx = TxId::new(id).unwrap();
        let vote = network.ask(Origin::Outside, Request::Prepare(tx, Arc::clone(&outside)));
        assert!(matches!(vote, Reply::Ok(..)), "{vote:?}");
    }
    let last = Time(Time::MAX.0 - 1);
    let other = identity().seal.token(BankId::new(1).unwrap(), Vote::Ok, &tx, own.digest, last);
    let committed = network.ask(Origin::Client, Request::Commit(tx, vec![own, other]));
    assert!(matches!(committed, Reply::Committed(_, time, _, _) if time == last), "{committed:?}");
    let limit = Some(Reason::Limit);
    for n in 0..3 {
        assert_eq!(network.reason(&format!("PREPARE b{n} {BOTH}")), limit);
        assert_eq!(network.reason(&format!("EXECUTE e{n} {ALONE}")), limit);
        assert_eq!(network.reason(&format!("RESOLVE r{n}")), Some(Reason::Expired));
        assert_eq!(network.reason(r#"CLIENT {"cpf":"12345678901","name":"Q","kind":"F"}"#), limit);
    }
    let opening = r#"ACCOUNT {"number":"9","holders":["12345678900"],"deposit":1}"#;
    assert_eq!(network.reason(opening), Some(Reason::Refused), "the rules are checked first");
    // An OK of the outside coordinator would need a time later than the last one.
    for (id, line) in [("o1", "COMMIT o1"), ("o2", "ABORT o2")] {
        let end = network.ask(Origin::Outside, Request::parse(line).unwrap());
        assert!(matches!(&end, Reply::Aborted(tx, ..) if tx.as_str() == id), "{end:?}");
    }
    for line in [
        "SNAPSHOT",
        "INFO",
        "HISTORY",
        "PENDING",
        "STATUS t1",
        "VALUE",
        "SNAPSHOT 9007199254740991",
    ] {
        network.send(line);
    }
    assert_eq!((network.core.clock(), network.core.undecided()), (Time::MAX, 0));
    for wall_us in [i64::MAX, i64::MIN, 0] {
        network.wall_us = wall_us;
        network.input(&Input::Tick);
        network.send("SNAPSHOT");
        assert_eq!(network.reason(&format!("PREPARE w{} {BOTH}", network.journal.len())), limit);
    }
    network.core.check_invariants();
    let mut again = Core::new(identity());
    for record in &network.journal {
        assert_eq!(again.admits(record), Ok(()), "{record:?}");
        again.apply(record);
    }
    assert!(again.same_as(&network.core));
}

#[test]
fn ok_votes_end_exactly_at_the_last_grant() {
    let mut network = Network::new(Time::LAST_GRANT.0 - 10);
    let vote = network.send(&format!("PREPARE t1 {BOTH}"));
    assert!(matches!(vote, Reply::Ok(..)), "{vote:?}");
    network.wall_us = Time::LAST_GRANT.0 + 1;
    assert_eq!(network.reason(&format!("PREPARE t2 {BOTH}")), Some(Reason::Limit));
}

/// A wall clock beyond the last possible time changes nothing.
#[test]
fn a_wall_clock_past_all_times_causes_no_panic() {
    let mut network = Network::new(1_795_000_000_000_000);
    network.wall_us = i64::MAX;
    assert_eq!(network.reason(&format!("PREPARE t1 {BOTH}")), Some(Reason::Limit));
    assert_eq!(network.reason(&format!("EXECUTE t2 {BOTH}")), Some(Reason::Limit));
    network.send("SNAPSHOT");
    network.send("INFO");
    assert_eq!(network.core.clock(), Time::MAX);
}

/// Journals contain texts that are rejected today or may be later; they are read as they are.
#[test]
fn texts_of_older_versions_are_admitted() {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
    let (cpf, number) = (text("12345678900"), text("1\u{202e}2\u{200b}."));
    let name = text(" P\u{2028}\u{200b} ");
    let records = [
        [&[5, 2][..], &cpf, &name, &text("\u{feff}")].concat(),
        [&[6, 4][..], &number, &[1], &cpf, &[6]].concat(),
        [&[2][..], &text(".."), &[6, 10]].concat(),
        [&[2][..], &text("."), &[8, 11]].concat(),
    ];
    let mut core = Core::new(identity());
    for bytes in records {
        let record: Record = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(core.admits(&record), Ok(()), "{record:?}");
        core.apply(&record);
        assert_eq!(postcard::to_stdvec(&record).unwrap(), bytes);
    }
    assert_eq!((core.ledger().totals().accounts, core.seq()), (1, 4));
}
