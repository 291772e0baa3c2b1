//! Tests of the step log: the text of each event.

use super::*;
use crate::line::{CpfEnd, Formatter};
use consorcio_core::bank::io::{CoreStep, DoubtCause, Outcome, OwnVote};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::message::{Message, PeerVerb, RequestKey};
use consorcio_core::ids::{AccountNumber, BankId, BankSet, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Request};
use consorcio_core::wire::token::{Digest, Seal, Token, Vote};
use consorcio_core::wire::transaction::Transaction;
use std::net::SocketAddr;

/// The time 2026-11-22T05:38:51.123456Z in microseconds.
pub(super) const AT_US: i64 = 1_795_325_931_123_456;

pub(super) fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

pub(super) fn tx(id: &str) -> TxId {
    TxId::new(id).unwrap()
}

pub(super) fn token(verdict: Vote) -> Token {
    Seal::keyed([9; 32]).token(bank(1), verdict, &tx("t1"), Some(Digest::of(b"{}")), Time(77))
}

pub(super) fn client() -> OtherEnd {
    OtherEnd::Address(SocketAddr::from(([127, 0, 0, 1], 53012)))
}

pub(super) fn line(step: Step) -> String {
    let places = vec!["127.0.0.1:8886".to_owned(), "127.0.0.1:8887".to_owned(), "-".to_owned()];
    let mut out = Vec::new();
    Formatter::new(places).write(&mut out, &Entry { at_us: AT_US, step });
    let text = String::from_utf8(out).unwrap();
    assert!(text.ends_with('\n') && !text.ends_with(" \n"), "{text:?}");
    text.trim_end_matches('\n').to_owned()
}

/// The line without its time, with single spaces.
pub(super) fn words(step: Step) -> String {
    let line = line(step);
    assert_eq!(&line[..28], "2026-11-22T05:38:51.123456Z ");
    line[28..].split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_line_has_its_columns() {
    let short = line(Step::of_request(&Request::Resolve(tx("t1")), client(), 0));
    assert_eq!(short, "2026-11-22T05:38:51.123456Z recv    tx=t1 peer=127.0.0.1:53012 RESOLVE");
    let long = tx(&"x".repeat(64));
    let long = line(Step::of_request(&Request::Resolve(long), client(), 1));
    assert!(long.contains(&format!(" tx={} peer=", "x".repeat(64))), "{long}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table: one line an event")]
fn every_event_is_formatted() {
    let two: BankSet = [bank(0), bank(2)].into_iter().collect();
    let at = SocketAddr::from(([10, 0, 0, 7], 9));
    let v6: SocketAddr = "[::1]:80".parse().unwrap();
    let id = RequestId::new(4567, 17);
    let asked = |verb| RequestKey { tx: tx("t1"), verb };
    let cases: Vec<(Step, &str)> = vec![
        (Step::Start("0.1.0".into()), "start 0.1.0"),
        (Step::Node("servidor 0.1.0".into()), "node servidor 0.1.0"),
        (Step::Ready("3 places".into()), "ready 3 places"),
        (
            Step::Recover {
                records: 3,
                seq: 9,
                undecided: 1,
                took_us: 12,
                text: "torn tail\ncut".into(),
            },
            "recover records=3 seq=9 undecided=1 took_us=12 torn tail cut",
        ),
        (Step::Connect(client(), None), "connect peer=127.0.0.1:53012"),
        (
            Step::Connect(OtherEnd::Bank(bank(1)), Some(at)),
            "connect peer=127.0.0.1:8887 bank=1 from=10.0.0.7:9",
        ),
        (Step::Disconnect(OtherEnd::Address(v6), "end".into()), "disconnect peer=[::1]:80 end"),
        (
            Step::of_request(
                &Request::Commit(tx("t1"), vec![token(Vote::Ok)]),
                OtherEnd::Link(at, bank(2)),
                17,
            ),
            "recv tx=t1 peer=10.0.0.7:9 bank=2 COMMIT tokens=1 n=17",
        ),
        (
            Step::of_request(&Request::Local(Local::Ping), client(), 2),
            "recv peer=127.0.0.1:53012 PING n=2",
        ),
        (
            Step::Bad(client(), Reason::Malformed, "no verb `x`".into()),
            "bad peer=127.0.0.1:53012 malformed no verb `x`",
        ),
        (
            Step::Vote {
                tx: tx("t1"),
                time: Time(5),
                seq: 2,
                load: Load::Ops(3, two),
                refusal: None,
                ops: LoggedOps::default(),
                text: "".into(),
            },
            "vote tx=t1 OK time=5 ops=3 banks=0,2 seq=2",
        ),
        (
            Step::Vote {
                tx: tx("t1"),
                time: Time(5),
                seq: 2,
                load: Load::OpsOutside(1, two),
                refusal: None,
                ops: LoggedOps::default(),
                text: "".into(),
            },
            "vote tx=t1 OK time=5 ops=1 banks=0,2 outside seq=2",
        ),
        (
            Step::Vote {
                tx: tx("t1"),
                time: Time(5),
                seq: 2,
                load: Load::Ops(1, BankSet::EMPTY),
                refusal: Some(Reason::Locked),
                ops: LoggedOps::default(),
                text: "storage".into(),
            },
            "vote tx=t1 NOK locked time=5 ops=1 banks=- seq=2 storage",
        ),
        (
            Step::of_record(
                &Record::Refused { tx: tx("t1"), time: Time(5), reason: Reason::Expired },
                4,
                |_| None,
            ),
            "refuse tx=t1 expired time=5 seq=4",
        ),
        (
            Step::Drove {
                tx: tx("t1"),
                ending: LoggedOutcome::Aborted(bank(2), Reason::Locked),
                seq: 3,
                ops: LoggedOps::default(),
            },
            "drove tx=t1 ABORTED locked by=2 seq=3",
        ),
        (
            Step::Outcome {
                tx: tx("t1"),
                ending: LoggedOutcome::Committed(Time(8)),
                seq: 3,
                voted: Some(Time(7)),
                ops: LoggedOps::default(),
            },
            "outcome tx=t1 COMMITTED time=8 voted=7 seq=3",
        ),
        (
            Step::Outcome {
                tx: tx("t1"),
                ending: LoggedOutcome::Aborted(bank(2), Reason::Refused),
                seq: 3,
                voted: None,
                ops: LoggedOps::default(),
            },
            "outcome tx=t1 ABORTED refused by=2 seq=3",
        ),
        (Step::Client(CpfEnd::of("12345678900"), 6), "client cpf=..8900 seq=6"),
        (Step::Account(AccountNumber::new("12345-6").unwrap(), 7), "account number=12345-6 seq=7"),
        (
            Step::of_record(
                &Record::Consortium { bank: bank(1), places: vec![String::new(); 3] },
                1,
                |_| None,
            ),
            "consortium bank=1 places=3 seq=1",
        ),
        (
            Step::of_record(&Record::ClockMoved { time: Time(-3) }, 8, |_| None),
            "clock time=-3 seq=8",
        ),
        (
            Step::of_record(&Record::Stopped { why: "forgot a vote".into() }, 8, |_| None),
            "fault forgot a vote",
        ),
        (
            Step::of_message(&Message::Abort(tx("t1"), None), bank(0), id),
            "send tx=t1 bank=0 ABORT tokens=0 port=4567 n=17",
        ),
        (Step::of_message(&Message::Resolve(tx("t1")), bank(1), None), "ask tx=t1 bank=1 RESOLVE"),
        (
            Step::of_reply(&Reply::Ok(tx("t1"), token(Vote::Ok)), client(), 3),
            "reply tx=t1 peer=127.0.0.1:53012 OK time=77 by=1 n=3",
        ),
        (
            Step::of_reply(
                &Reply::Nok(tx("t1"), token(Vote::No), Reason::NotHolder, "cpf".into()),
                client(),
                4,
            ),
            "reply tx=t1 peer=127.0.0.1:53012 NOK not-holder time=77 by=1 n=4 cpf",
        ),
        (
            Step::of_reply(
                &Reply::Committed(tx("t1"), Time(99), token(Vote::Ok), None),
                client(),
                5,
            ),
            "reply tx=t1 peer=127.0.0.1:53012 COMMITTED time=99 by=1 n=5",
        ),
        (
            Step::of_reply(&Reply::Done("{}".into()), client(), 6),
            "reply peer=127.0.0.1:53012 DONE n=6",
        ),
        (
            Step::of_reply(&Reply::Err(Reason::Limit, "line".into()), client(), 7),
            "reply peer=127.0.0.1:53012 ERR limit n=7 line",
        ),
        (
            Step::of_answer(
                bank(1),
                &asked(PeerVerb::Resolve),
                Some(&Reply::Aborted(tx("t1"), token(Vote::No), Reason::Refused, None)),
                id,
            ),
            "answer tx=t1 bank=1 RESOLVE ABORTED refused by=1 port=4567 n=17",
        ),
        (
            Step::of_answer(bank(1), &asked(PeerVerb::Prepare), None, id),
            "answer tx=t1 bank=1 PREPARE none port=4567 n=17",
        ),
        (
            Step::of_core(&CoreStep::Doubt(tx("t1"), DoubtCause::DriverGone)),
            "doubt tx=t1 driver-gone",
        ),
        (Step::of_core(&CoreStep::Drive(tx("t1"))), "drive tx=t1"),
        (Step::of_core(&CoreStep::Silent(tx("t1"), two)), "timeout tx=t1 silent=0,2"),
        (Step::of_core(&CoreStep::GaveUp(tx("t1"))), "gave-up tx=t1"),
        (
            Step::Count { tx: tx("t1"), from: bank(1), oks: OkCount(2, 3) },
            "count tx=t1 bank=1 OK 2/3",
        ),
        (
            Step::Verdict { tx: tx("t1"), ending: LoggedOutcome::Unknown(two), oks: (1, 3) },
            "verdict tx=t1 UNKNOWN silent=0,2 oks=1/3",
        ),
        (
            Step::Verdict { tx: tx("t1"), ending: LoggedOutcome::Unreached, oks: (0, 3) },
            "verdict tx=t1 UNREACHED oks=0/3",
        ),
        (
            Step::Sync { upto: 10, records: 4, bytes: 800, took_us: 213 },
            "sync upto=10 records=4 bytes=800 took_us=213",
        ),
        (Step::LinkUp(bank(0), 75), "link-up peer=127.0.0.1:8886 bank=0 took_us=75"),
        (Step::LinkDown(bank(2), "closed".into()), "link-down peer=- bank=2 closed"),
        (Step::Known(bank(0), Time(6)), "known bank=0 time=6"),
        (Step::Fault("disk full".into()), "fault disk full"),
        (Step::Stop("SIGTERM".into()), "stop SIGTERM"),
    ];
    for (step, expected) in cases {
        let shown = format!("{step:?}");
        // A peer without an address, because its bank left the list, is written as in the list.
        assert_eq!(words(step), expected, "{shown}");
    }
}

#[test]
fn a_transaction_is_logged_with_its_size_and_banks() {
    let text = r#"{"ops":[{"bank":0,"op":"set","value":"1"},{"bank":2,"op":"set","value":"1"}]}"#;
    let transaction = Arc::new(Transaction::parse(text).unwrap());
    let with = |refusal| Record::Voted {
        tx: tx("t1"),
        time: Time(5),
        transaction: Arc::clone(&transaction),
        refusal,
    };
    let own = OwnVote { vote: Vote::Ok, time: Time(5), digest: None };
    let decided = |outcome| Record::Decided { tx: tx("t1"), own, outcome, votes: Vec::new() };
    let outside = |refusal| Record::OutsideVoted { tx: tx("t1"), own, time: Time(9), refusal };
    let cases = [
        (
            Step::of_record(&outside(None), 8, |_| None),
            "outcome tx=t1 COMMITTED time=9 by=outside seq=8",
        ),
        (
            Step::of_record(&outside(Some(Reason::Expired)), 8, |_| None),
            "outcome tx=t1 ABORTED expired time=9 by=outside seq=8",
        ),
        (
            Step::of_request(&Request::Execute(tx("t1"), Arc::clone(&transaction)), client(), 0),
            "recv tx=t1 peer=127.0.0.1:53012 EXECUTE ops=2 banks=0,2 [storage=1]",
        ),
        (
            Step::of_message(&Message::Prepare(tx("t1"), Arc::clone(&transaction)), bank(0), None),
            "send tx=t1 bank=0 PREPARE ops=2 banks=0,2 [storage=1]",
        ),
        (
            Step::of_record(&with(None), 7, |_| None),
            "vote tx=t1 OK time=5 ops=2 banks=0,2 seq=7 [storage=1]",
        ),
        (
            Step::of_record(&with(Some((Reason::Locked, "storage".into()))), 7, |_| None),
            "vote tx=t1 NOK locked time=5 ops=2 banks=0,2 seq=7 [storage=1] storage",
        ),
        (
            Step::of_record(
                &Record::Executed {
                    tx: tx("t1"),
                    time: Time(5),
                    committed: Time(6),
                    transaction: Arc::clone(&transaction),
                    votes: Vec::new(),
                },
                8,
                |_| None,
            ),
            "outcome tx=t1 COMMITTED time=6 voted=5 seq=8 [storage=1]",
        ),
        (
            Step::of_record(&decided(Outcome::Committed(Time(9))), 8, |_| Some(&transaction)),
            "outcome tx=t1 COMMITTED time=9 seq=8 [storage=1]",
        ),
        (
            Step::of_record(&decided(Outcome::Aborted(token(Vote::No), Reason::Limit)), 8, |_| {
                None
            }),
            "outcome tx=t1 ABORTED limit by=1 seq=8",
        ),
    ];
    for (step, expected) in cases {
        assert_eq!(words(step), expected);
    }
}

#[test]
fn times_follow_the_calendar_and_never_fail() {
    let mut formatter = Formatter::new(Vec::new());
    let mut time = |at_us| {
        let mut out = Vec::new();
        formatter.write(&mut out, &Entry { at_us, step: Step::Stop("".into()) });
        String::from_utf8(out).unwrap().split(' ').next().unwrap().to_owned()
    };
    assert_eq!(time(0), "1970-01-01T00:00:00.000000Z");
    assert_eq!(time(999_999), "1970-01-01T00:00:00.999999Z");
    assert_eq!(time(1_709_251_199_000_001), "2024-02-29T23:59:59.000001Z");
    assert_eq!(time(-1), "1969-12-31T23:59:59.999999Z");
    assert_eq!(time(i64::MAX), "9223372036854.775807Z");
}

#[test]
fn a_text_stays_one_bounded_line() {
    let line = line(Step::Fault("é\r\n\u{85}x".repeat(1000).into()));
    assert!(!line.chars().any(char::is_control));
    assert!(line.ends_with("...") && line.len() < 600, "{}", line.len());
}
