//! Lines are read back as they were written; lines of other versions as far as possible.

use super::table::any_step;
use super::*;
use consorcio_core::ids::Time;
use proptest::prelude::*;
use proptest::strategy::Union;
use std::collections::BTreeSet;

/// The time 2026-11-22T05:38:51.123456Z in microseconds.
const AT_US: i64 = 1_795_325_931_123_456;

fn written(at_us: i64, step: Step) -> String {
    let places = (0..16).map(|bank| format!("bank-{bank}:80")).collect();
    let mut out = Vec::new();
    Formatter::new(places).write(&mut out, &Entry { at_us, step });
    String::from_utf8(out).unwrap()
}

/// Parses a line with the time above.
fn read(rest: &str) -> Option<Step> {
    LogLine::parse(format!("2026-11-22T05:38:51.123456Z {rest}").as_bytes())?.step()
}

fn events() -> Vec<&'static str> {
    any_step().iter().map(|(event, _)| *event).collect()
}

fn of_any_event() -> impl Strategy<Value = Step> {
    Union::new(any_step().into_iter().map(|(_, step)| step))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// The strategy comes from the table, so it covers every event.
    #[test]
    fn written_lines_are_read_back_equal(
        at_us in 0i64..4_000_000_000_000_000,
        step in of_any_event(),
    ) {
        let text = written(at_us, step.clone());
        let line = LogLine::parse(text.trim_end_matches('\n').as_bytes());
        prop_assert_eq!(line.as_ref().map(|line| line.at_us), Some(at_us), "{}", text);
        prop_assert_eq!(line.and_then(|line| line.step()), Some(step), "{}", text);
    }

    /// No text makes the reader fail: it returns a step or none.
    #[test]
    fn any_text_parses_to_a_step_or_none(
        event in proptest::sample::select(events()),
        detail in "[ -~]{0,60}",
    ) {
        let _ = read(&format!("{event} tx=t1 peer=1.2.3.4:5 {detail}"));
    }
}

#[test]
fn each_event_has_one_row() {
    let events = any_step();
    let words: BTreeSet<&str> = events.iter().map(|(event, _)| *event).collect();
    assert_eq!(words.len(), events.len(), "two rows share an event");
}

#[test]
fn lines_without_numbers_are_read() {
    let recv = read(
        "recv       tx=t1                       peer=10.0.0.7:9        bank=2 COMMIT tokens=1",
    );
    assert!(matches!(recv, Some(Step::Receive { n: None, load: Load::Tokens(1), .. })), "{recv:?}");
    let send = read("send tx=t1 peer=a:1 bank=0 PREPARE ops=2 banks=0,1");
    assert!(matches!(send, Some(Step::Send { id: None, load: Load::Ops(2, _), .. })), "{send:?}");
    let Some(Step::Reply { summary, n: None, text, .. }) =
        read("reply tx=t1 peer=10.0.0.9:1 NOK limit time=5 by=1 too many of them")
    else {
        panic!("no reply");
    };
    assert_eq!(
        (summary.word, summary.by.map(|bank| bank.as_u8()), &*text),
        ("NOK", Some(1), "too many of them")
    );
    let none = read("answer tx=t1 peer=a:1 bank=0 PREPARE none");
    assert!(matches!(none, Some(Step::Answer { summary: None, id: None, .. })), "{none:?}");
}

#[test]
fn fields_of_a_later_version_are_skipped() {
    let sync = read("sync tx=- peer=- queued=3 upto=9 records=2 depth=1 bytes=400 took_us=420");
    assert_eq!(sync, Some(Step::Sync { upto: 9, records: 2, bytes: 400, took_us: 420 }));
    let vote = read("vote tx=t1 peer=- OK time=5 ops=2 banks=0,1 shard=7 seq=9");
    assert_eq!(vote.and_then(|vote| vote.seq()), Some(9));
    let torn = LogLine::parse(b"2026-11-22T05:38:51.123456Z vote tx=t1").unwrap();
    assert_eq!(torn.step(), None, "half a line is no step");
    for unreadable in
        ["flies tx=t1 peer=- OK", "vote tx=t1 peer=- PERHAPS time=5 seq=9", "sync tx=- peer=-"]
    {
        assert_eq!(read(unreadable), None, "{unreadable}");
    }
}

#[test]
fn the_columns_of_a_line() {
    let text = "2026-11-22T05:38:51.123456Z answer     tx=t1                       \
                peer=127.0.0.1:8887        bank=1 PREPARE OK time=5 by=1";
    let line = LogLine::parse(text.as_bytes()).unwrap();
    assert_eq!(line.at_us, AT_US);
    assert_eq!((line.event, line.tx, line.peer), ("answer", Some("t1"), Some("127.0.0.1:8887")));
    assert_eq!((line.bank, &*line.detail), (Some(1), "PREPARE OK time=5 by=1"));
    let text = "2026-11-22T05:38:51.123456Z drive      tx=t1                       peer=-";
    let line = LogLine::parse(text.as_bytes()).unwrap();
    assert_eq!((line.event, line.peer, line.bank, &*line.detail), ("drive", None, None, ""));
    let met = read("met tx=- peer=- bank=1 id=00000000000000000000000000000000 seq=3");
    assert!(matches!(met, Some(Step::Met(..))), "its bank is a field, and no column: {met:?}");
}

#[test]
fn text_that_is_no_line_is_rejected() {
    for text in ["", "hello", "2026-11-22T05:38:51.123456Z"] {
        assert_eq!(LogLine::parse(text.as_bytes()), None, "{text}");
    }
    assert_eq!(LogLine::parse(b"2026-11-22T05:38:51.1234x6Z vote tx=t1 peer=-"), None);
    assert_eq!(LogLine::parse(b"2026-11-22T05:38:51.123456Z vote tx=t1 peer=\xff"), None);
}

#[test]
fn a_time_is_written_as_its_difference_from_the_line() {
    let tx = || consorcio_core::ids::TxId::new("t1").unwrap();
    let vote = |time_us: i64| Step::Vote {
        tx: tx(),
        time: Time(time_us),
        seq: 9,
        load: Load::Nothing,
        refusal: None,
        ops: LoggedOps::Unnamed,
        text: "".into(),
    };
    for (time_us, expected) in [
        (AT_US, "OK seq=9"),
        (AT_US + 312, "OK time=+312us seq=9"),
        (AT_US - 1, "OK time=-1us seq=9"),
        (AT_US + 1_000_000, "OK time=1795325932123456 seq=9"),
        (i64::MIN, "OK time=-9223372036854775808 seq=9"),
    ] {
        let line = written(AT_US, vote(time_us));
        assert_eq!(line, format!("2026-11-22T05:38:51.123456Z vote    tx=t1 {expected}\n"));
        assert_eq!(LogLine::parse(line.trim().as_bytes()).unwrap().step(), Some(vote(time_us)));
    }
}

#[test]
fn lines_with_empty_columns_of_earlier_versions_are_read() {
    let old = "2026-11-22T05:38:51.123456Z vote       tx=t1                       \
               peer=-                OK time=5 ops=2 banks=0,2 seq=9";
    let Some(Step::Vote { time, load, seq, .. }) =
        LogLine::parse(old.as_bytes()).and_then(|line| line.step())
    else {
        panic!("no vote");
    };
    assert_eq!((time, seq), (Time(5), 9));
    assert!(matches!(load, Load::Ops(2, _)), "{load:?}");
}
