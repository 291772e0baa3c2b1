//! Tests of matching requests: by port and number, and by order in logs without numbers.

use super::written::{CLIENT, ONE, TestLogs, ZERO, committed, said, without_numbers};
use super::*;

fn no_guess_noted(timeline: &Timeline) -> bool {
    timeline.notes.iter().map(said).all(|note| !note.contains("paired by their order"))
}

/// The logged times of the ends of a call, in microseconds of the test.
fn ends(timeline: &Timeline, call: &TracedCall) -> [Option<i64>; 4] {
    let at = |end: Option<usize>| end.map(|end| timeline.events[end].logged_us % 1_000_000);
    [call.sent, call.received, call.replied, call.answered].map(at)
}

fn all_ends(timeline: &Timeline) -> Vec<[Option<i64>; 4]> {
    timeline.calls.iter().map(|call| ends(timeline, call)).collect()
}

#[test]
fn numbers_match_both_ends() {
    let timeline = committed([0, 0, 0]).timeline();
    assert!(no_guess_noted(&timeline), "{:?}", timeline.notes);
    let n: Vec<Option<u64>> = timeline.calls.iter().map(|call| call.n.map(|n| n.get())).collect();
    assert_eq!(n, [Some(2), Some(2), Some(3), Some(3)]);
    assert!(all_ends(&timeline).iter().flatten().all(Option::is_some));
}

#[test]
fn logs_without_numbers_give_the_same_timeline_with_a_note() {
    let old = |text| without_numbers(text);
    let written = TestLogs::new()
        .log("cliente-1", 0, &old(CLIENT))
        .log("servidor-86", 0, &old(ZERO))
        .log("servidor-87", 0, &old(ONE));
    let (by_order, by_number) = (written.timeline(), committed([0, 0, 0]).timeline());
    assert_eq!(all_ends(&by_order), all_ends(&by_number));
    assert_eq!((&by_order.path, &by_order.spans), (&by_number.path, &by_number.spans));
    assert!(
        said(&by_order.notes[0]).contains("4 requests are paired by their order"),
        "{:?}",
        by_order.notes
    );
    // One bank of the older version: its requests from the client are matched by order.
    let written = committed([0, 0, 0]).log("servidor-87", 0, &old(ONE));
    let mixed = written.timeline();
    assert_eq!(all_ends(&mixed), all_ends(&by_number));
    assert!(
        said(&mixed.notes[0]).contains("2 requests are paired by their order"),
        "{:?}",
        mixed.notes
    );
}

/// A bank that counts one more than the client: its lines match no request of the client.
#[test]
fn shifted_numbers_match_nothing() {
    let shifted = ZERO.replace("n=3", "n=4").replace("n=2", "n=3");
    let timeline = committed([0, 0, 0]).log("servidor-86", 0, &shifted).timeline();
    let to_zero = timeline.calls.iter().filter(|call| timeline.name(call.to) == "bank 0");
    let halves = to_zero.filter(|call| call.sent.is_some() != call.received.is_some()).count();
    assert_eq!(halves, 4, "{:?}", timeline.calls);
}

const ASKING: &str = "
    0 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86,10.0.0.2:87
    100 ask t 10.0.0.2:87 bank=1 RESOLVE port=2000 n=7
    200 ask t 10.0.0.2:87 bank=1 RESOLVE port=2000 n=8
    600 answer t 10.0.0.2:87 bank=1 RESOLVE UNKNOWN port=2000 n=8";

/// The line of one reply is missing: the other reply still matches its own request.
#[test]
fn a_reply_matches_the_request_of_its_number() {
    let one = "
        0 start - - servidor 0.1.0 bank 1 of 10.0.0.1:86,10.0.0.2:87
        150 recv t 10.0.0.1:2000 bank=0 RESOLVE n=7
        250 recv t 10.0.0.1:2000 bank=0 RESOLVE n=8
        500 reply t 10.0.0.1:2000 bank=0 UNKNOWN n=8";
    let written = TestLogs::new().log("servidor-86", 0, ASKING).log("servidor-87", 0, one);
    let timeline = written.timeline();
    let expected =
        [[Some(100), Some(150), None, None], [Some(200), Some(250), Some(500), Some(600)]];
    assert_eq!(all_ends(&timeline), expected);
    assert!(no_guess_noted(&timeline), "{:?}", timeline.notes);
    // By order the reply would match the first request.
    let written = TestLogs::new().log("servidor-86", 0, &without_numbers(ASKING)).log(
        "servidor-87",
        0,
        &without_numbers(one),
    );
    assert_eq!(all_ends(&written.timeline())[0], [Some(100), Some(150), Some(500), Some(600)]);
}

/// Only the second request arrived, after the first was lost: its number identifies it.
#[test]
fn a_received_request_matches_the_sent_one_of_its_number() {
    let one = "
        0 start - - servidor 0.1.0 bank 1 of 10.0.0.1:86,10.0.0.2:87
        250 recv t 10.0.0.1:2000 bank=0 RESOLVE n=8
        500 reply t 10.0.0.1:2000 bank=0 UNKNOWN n=8";
    let written = TestLogs::new().log("servidor-86", 0, ASKING).log("servidor-87", 0, one);
    let expected = [[Some(100), None, None, None], [Some(200), Some(250), Some(500), Some(600)]];
    assert_eq!(all_ends(&written.timeline()), expected);
}

/// Two links, one after the other, from the same port; each request is the first of its link.
#[test]
fn a_reused_port_is_another_connection() {
    let zero = "
        0 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86,10.0.0.2:87
        100 ask t 10.0.0.2:87 bank=1 RESOLVE port=2000 n=4
        300 link-down - 10.0.0.2:87 bank=1 the connection broke
        310 answer t 10.0.0.2:87 bank=1 RESOLVE none port=2000 n=4
        400 link-up - 10.0.0.2:87 bank=1 took_us=50
        500 ask t 10.0.0.2:87 bank=1 RESOLVE port=2000 n=4
        900 answer t 10.0.0.2:87 bank=1 RESOLVE UNKNOWN port=2000 n=4";
    let received = "
        550 recv t 10.0.0.1:2000 bank=0 RESOLVE n=4
        800 reply t 10.0.0.1:2000 bank=0 UNKNOWN n=4";
    let start = "0 start - - servidor 0.1.0 bank 1 of 10.0.0.1:86,10.0.0.2:87";
    let with = |one: &str| {
        TestLogs::new().log("servidor-86", 0, zero).log("servidor-87", 0, one).timeline()
    };
    // The first was lost: the only unanswered request is the only missing one.
    let timeline = with(&format!("{start}{received}"));
    let second = [Some(500), Some(550), Some(800), Some(900)];
    assert_eq!(all_ends(&timeline), [[Some(100), None, None, Some(310)], second]);
    assert!(timeline.calls[0].lost && no_guess_noted(&timeline), "{:?}", timeline.notes);
    // The first was received, and its reply was lost.
    let timeline = with(&format!("{start}\n150 recv t 10.0.0.1:2000 bank=0 RESOLVE n=4{received}"));
    assert_eq!(all_ends(&timeline), [[Some(100), Some(150), None, Some(310)], second]);
    assert!(no_guess_noted(&timeline), "{:?}", timeline.notes);
}

/// If even numbers are ambiguous, a note says that the order was used.
#[test]
fn a_match_by_order_alone_is_noted() {
    let zero = "
        0 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86,10.0.0.2:87
        100 ask t 10.0.0.2:87 bank=1 RESOLVE port=2000 n=4
        500 ask t 10.0.0.2:87 bank=1 RESOLVE port=2000 n=4";
    let one = "
        0 start - - servidor 0.1.0 bank 1 of 10.0.0.1:86,10.0.0.2:87
        550 recv t 10.0.0.1:2000 bank=0 RESOLVE n=4";
    let written = TestLogs::new().log("servidor-86", 0, zero).log("servidor-87", 0, one);
    assert!(!no_guess_noted(&written.timeline()));
}

/// A message that was given up before it was sent has no number, and matches no request.
#[test]
fn a_message_that_was_never_sent_matches_no_request() {
    let zero = "
        0 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86,10.0.0.2:87
        100 ask t 10.0.0.2:87 bank=1 RESOLVE port=2000 n=4
        200 answer t 10.0.0.2:87 bank=1 RESOLVE none
        900 answer t 10.0.0.2:87 bank=1 RESOLVE UNKNOWN port=2000 n=4";
    let timeline = TestLogs::new().log("servidor-86", 0, zero).timeline();
    assert_eq!(all_ends(&timeline), [[Some(100), None, None, Some(900)]]);
    assert!(!timeline.calls[0].lost);
}
