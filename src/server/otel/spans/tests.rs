//! Spans of made-up steps.

use super::*;
use consorcio_core::bank::io::Seq;
use consorcio_core::ids::{BankSet, Time};
use consorcio_steps::steplog::{Load, LoggedOps, LoggedOutcome};

const ONE: Seq = 1;
const TWO: Seq = 2;

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn tx() -> TxId {
    TxId::new("t1").unwrap()
}

fn run(builder: &mut SpanBuilder, steps: Vec<(i64, Step)>) -> Vec<EndedSpan> {
    let mut ended = Vec::new();
    steps.into_iter().for_each(|(at_us, step)| builder.step(&Entry { at_us, step }, &mut ended));
    ended
}

fn receive(peer: OtherEnd, verb: &'static str) -> Step {
    let ops = r#"{"ops":[{"bank":0,"op":"deposit","account":"1","amount":5}]}"#;
    let line = format!("{verb} t1 {ops}");
    let request = consorcio_core::wire::request::Request::parse(&line).unwrap();
    let step = Step::of_request(&request, peer, 1);
    assert!(matches!(&step, Step::Receive { verb: found, .. } if found.name() == verb));
    step
}

fn vote(seq: Seq) -> Step {
    Step::Vote {
        tx: tx(),
        time: Time(1),
        seq,
        load: Load::Ops(2, BankSet::EMPTY),
        refusal: None,
        ops: LoggedOps::default(),
        text: "".into(),
    }
}

fn committed(seq: Seq) -> Step {
    Step::Outcome {
        tx: tx(),
        ending: LoggedOutcome::Committed(Time(2)),
        seq,
        voted: None,
        ops: LoggedOps::default(),
    }
}

fn sync(upto: Seq, took_us: u64) -> Step {
    Step::Sync { upto, records: 1, bytes: 100, took_us }
}

fn reply(peer: OtherEnd) -> Step {
    let line = "DOUBT t1 text";
    Step::of_reply(&consorcio_core::wire::reply::Reply::parse(line).unwrap(), peer, 1)
}

fn from_bank_zero() -> OtherEnd {
    OtherEnd::Link("127.0.0.1:4000".parse().unwrap(), bank(0))
}

#[test]
fn a_vote_is_queue_vote_sync_and_reply_below_the_span_of_the_bank_that_asked() {
    let mut builder = SpanBuilder::new(bank(1));
    let spans = run(
        &mut builder,
        vec![
            (100, receive(from_bank_zero(), "PREPARE")),
            (130, vote(ONE)),
            (400, sync(ONE, 250)),
            (410, reply(from_bank_zero())),
        ],
    );
    let parts: Vec<_> = spans.iter().map(|span| (span.name, span.start_us, span.end_us)).collect();
    let expected =
        [("queue", 100, 130), ("vote", 130, 150), ("sync", 150, 400), ("reply", 400, 410)];
    assert_eq!(parts, expected);
    assert!(spans.iter().all(|span| span.parent == Some(bank_span_id(&tx(), bank(1)))));
    let rest = run(&mut builder, vec![(700, committed(TWO)), (900, sync(TWO, 100))]);
    let whole = rest.last().unwrap();
    assert_eq!((whole.name, whole.start_us, whole.end_us), ("transaction", 100, 900));
    assert_eq!(whole.detail, "COMMITTED");
    assert_eq!(whole.parent, Some(bank_span_id(&tx(), bank(0))));
    let all = || spans.iter().chain(&rest);
    assert!(all().all(|span| span.trace == trace_id(&tx())));
    let mut ids: Vec<_> = all().map(|span| span.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), spans.len() + rest.len(), "each span has its own id");
}

#[test]
fn an_undecided_transaction_ends_after_a_silence() {
    let mut builder = SpanBuilder::new(bank(1));
    let vote =
        vec![(100, receive(from_bank_zero(), "PREPARE")), (130, vote(ONE)), (400, sync(ONE, 250))];
    run(&mut builder, vote);
    let mut ended = Vec::new();
    builder.expire(399 + OTEL_IDLE_US_MAX, &mut ended);
    assert_eq!(ended, []);
    builder.expire(400 + OTEL_IDLE_US_MAX, &mut ended);
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].name, ended[0].detail), ("transaction", "UNDECIDED"));
}

#[test]
fn transactions_past_the_bound_are_counted() {
    let mut builder = SpanBuilder::new(bank(1));
    for number in 0..OTEL_TRANSACTIONS_MAX + 2 {
        let id = TxId::new(&format!("t{number}")).unwrap();
        builder.received(&id, "PREPARE", from_bank_zero(), 1);
    }
    assert_eq!((builder.take_dropped(), builder.take_dropped()), (2, 0));
    let mut ended = Vec::new();
    builder.end_all(&mut ended);
    assert_eq!(ended.len(), OTEL_TRANSACTIONS_MAX);
}

#[test]
fn a_driver_waits_for_other_banks_and_not_in_the_queue() {
    let mut builder = SpanBuilder::new(bank(0));
    let client = OtherEnd::Address("127.0.0.1:5000".parse().unwrap());
    let decided = Step::Outcome {
        tx: tx(),
        ending: LoggedOutcome::Committed(Time(2)),
        seq: ONE,
        voted: Some(Time(1)),
        ops: LoggedOps::default(),
    };
    let spans = run(
        &mut builder,
        vec![
            (10, receive(client, "EXECUTE")),
            (15, Step::Drive(tx())),
            (80, decided),
            (95, sync(ONE, 10)),
            (97, reply(client)),
        ],
    );
    let parts: Vec<_> = spans.iter().map(|span| (span.name, span.start_us, span.end_us)).collect();
    let expected = [
        ("queue", 10, 15),
        ("others", 15, 80),
        ("vote", 80, 85),
        ("sync", 85, 95),
        ("reply", 95, 97),
        ("transaction", 10, 97),
    ];
    assert_eq!(parts, expected);
    assert_eq!(spans.last().map(|span| span.parent), Some(None), "a client sent the request");
}

/// The disk hangs for longer than a silent span is kept, and a client repeats its request
/// meanwhile.
#[test]
fn a_span_with_unsynced_records_does_not_expire() {
    let mut builder = SpanBuilder::new(bank(1));
    let mut ended =
        run(&mut builder, vec![(100, receive(from_bank_zero(), "PREPARE")), (130, vote(ONE))]);
    builder.expire(130 + OTEL_IDLE_US_MAX, &mut ended);
    let late = 200 + OTEL_IDLE_US_MAX;
    let again = vec![(late, receive(from_bank_zero(), "PREPARE")), (late + 50, sync(ONE, 40))];
    ended.extend(run(&mut builder, again));
    let syncs = ended.iter().filter(|span| span.name == "sync").count();
    let wholes = ended.iter().filter(|span| span.name == "transaction").count();
    assert_eq!((syncs, wholes), (1, 0), "{ended:?}");
    builder.expire(late + 50 + OTEL_IDLE_US_MAX, &mut ended);
    assert_eq!(ended.last().unwrap().name, "transaction", "{ended:?}");
}
