//! Which lines are ends of one call: by port and number, and by order where logs have none.

use super::written::{CLIENT, ONE, Written, ZERO, committed, without_numbers};
use super::*;

fn unguessed(timeline: &Timeline) -> bool {
    timeline.notes.iter().all(|note| !note.contains("paired by their order"))
}

/// The logged times of a call's ends, in microseconds of the test.
fn ends(timeline: &Timeline, call: &Call) -> [Option<i64>; 4] {
    let at = |end: Option<usize>| end.map(|end| timeline.events[end].logged_us % 1_000_000);
    [call.sent, call.received, call.replied, call.answered].map(at)
}

fn all_ends(timeline: &Timeline) -> Vec<[Option<i64>; 4]> {
    timeline.calls.iter().map(|call| ends(timeline, call)).collect()
}

#[test]
fn numbers_join_both_ends() {
    let timeline = committed([0, 0, 0]).timeline();
    assert!(unguessed(&timeline), "{:?}", timeline.notes);
    let n: Vec<Option<u64>> = timeline.calls.iter().map(|call| call.n.map(|n| n.get())).collect();
    assert_eq!(n, [Some(2), Some(2), Some(3), Some(3)]);
    assert!(all_ends(&timeline).iter().flatten().all(Option::is_some));
}

#[test]
fn logs_without_numbers_give_the_same_timeline_and_say_so() {
    let old = |text| without_numbers(text);
    let written = Written::new()
        .log("cliente-1", 0, &old(CLIENT))
        .log("servidor-86", 0, &old(ZERO))
        .log("servidor-87", 0, &old(ONE));
    let (guessed, sure) = (written.timeline(), committed([0, 0, 0]).timeline());
    assert_eq!(all_ends(&guessed), all_ends(&sure));
    assert_eq!((&guessed.path, &guessed.spans), (&sure.path, &sure.spans));
    assert!(
        guessed.notes[0].contains("4 requests are paired by their order"),
        "{:?}",
        guessed.notes
    );
    // One bank of the older version: what goes between it and the client is joined by order.
    let written = committed([0, 0, 0]).log("servidor-87", 0, &old(ONE));
    let mixed = written.timeline();
    assert_eq!(all_ends(&mixed), all_ends(&sure));
    assert!(mixed.notes[0].contains("2 requests are paired by their order"), "{:?}", mixed.notes);
}

/// A bank that counts one more than the client: its lines belong to no request of the client's.
#[test]
fn numbers_that_are_shifted_join_nothing() {
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

/// The line of one reply is not in the log: the other one stays the reply to its own request.
#[test]
fn a_reply_belongs_to_the_request_of_its_number() {
    let one = "
        0 start - - servidor 0.1.0 bank 1 of 10.0.0.1:86,10.0.0.2:87
        150 recv t 10.0.0.1:2000 bank=0 RESOLVE n=7
        250 recv t 10.0.0.1:2000 bank=0 RESOLVE n=8
        500 reply t 10.0.0.1:2000 bank=0 UNKNOWN n=8";
    let written = Written::new().log("servidor-86", 0, ASKING).log("servidor-87", 0, one);
    let timeline = written.timeline();
    let expected =
        [[Some(100), Some(150), None, None], [Some(200), Some(250), Some(500), Some(600)]];
    assert_eq!(all_ends(&timeline), expected);
    assert!(unguessed(&timeline), "{:?}", timeline.notes);
    // By their order the reply would be the first request's.
    let written = Written::new().log("servidor-86", 0, &without_numbers(ASKING)).log(
        "servidor-87",
        0,
        &without_numbers(one),
    );
    assert_eq!(all_ends(&written.timeline())[0], [Some(100), Some(150), Some(500), Some(600)]);
}

/// Only the second request arrived, after the first was lost: its number says which.
#[test]
fn a_request_that_came_is_the_one_of_its_number() {
    let one = "
        0 start - - servidor 0.1.0 bank 1 of 10.0.0.1:86,10.0.0.2:87
        250 recv t 10.0.0.1:2000 bank=0 RESOLVE n=8
        500 reply t 10.0.0.1:2000 bank=0 UNKNOWN n=8";
    let written = Written::new().log("servidor-86", 0, ASKING).log("servidor-87", 0, one);
    let expected = [[Some(100), None, None, None], [Some(200), Some(250), Some(500), Some(600)]];
    assert_eq!(all_ends(&written.timeline()), expected);
}

/// Two links, one after the other, from the same port; each request is the first of its link.
#[test]
fn a_port_that_is_used_again_is_another_connection() {
    let zero = "
        0 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86,10.0.0.2:87
        100 ask t 10.0.0.2:87 bank=1 RESOLVE port=2000 n=4
        300 link-down - 10.0.0.2:87 bank=1 the connection broke
        310 answer t 10.0.0.2:87 bank=1 RESOLVE none port=2000 n=4
        400 link-up - 10.0.0.2:87 bank=1 took_us=50
        500 ask t 10.0.0.2:87 bank=1 RESOLVE port=2000 n=4
        900 answer t 10.0.0.2:87 bank=1 RESOLVE UNKNOWN port=2000 n=4";
    let came = "
        550 recv t 10.0.0.1:2000 bank=0 RESOLVE n=4
        800 reply t 10.0.0.1:2000 bank=0 UNKNOWN n=4";
    let start = "0 start - - servidor 0.1.0 bank 1 of 10.0.0.1:86,10.0.0.2:87";
    let with = |one: &str| {
        Written::new().log("servidor-86", 0, zero).log("servidor-87", 0, one).timeline()
    };
    // The first was lost: the only one that was not answered is the only one that is missing.
    let timeline = with(&format!("{start}{came}"));
    let second = [Some(500), Some(550), Some(800), Some(900)];
    assert_eq!(all_ends(&timeline), [[Some(100), None, None, Some(310)], second]);
    assert!(timeline.calls[0].lost && unguessed(&timeline), "{:?}", timeline.notes);
    // It came, and its reply was lost.
    let timeline = with(&format!("{start}\n150 recv t 10.0.0.1:2000 bank=0 RESOLVE n=4{came}"));
    assert_eq!(all_ends(&timeline), [[Some(100), Some(150), None, Some(310)], second]);
    assert!(unguessed(&timeline), "{:?}", timeline.notes);
}

/// Where even numbers can't say which of two came, the timeline says that it guessed.
#[test]
fn what_only_the_order_can_tell_is_said() {
    let zero = "
        0 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86,10.0.0.2:87
        100 ask t 10.0.0.2:87 bank=1 RESOLVE port=2000 n=4
        500 ask t 10.0.0.2:87 bank=1 RESOLVE port=2000 n=4";
    let one = "
        0 start - - servidor 0.1.0 bank 1 of 10.0.0.1:86,10.0.0.2:87
        550 recv t 10.0.0.1:2000 bank=0 RESOLVE n=4";
    let written = Written::new().log("servidor-86", 0, zero).log("servidor-87", 0, one);
    assert!(!unguessed(&written.timeline()));
}

/// A message that was given up before it was sent has no number, and is the answer to none.
#[test]
fn what_was_never_sent_is_no_answer() {
    let zero = "
        0 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86,10.0.0.2:87
        100 ask t 10.0.0.2:87 bank=1 RESOLVE port=2000 n=4
        200 answer t 10.0.0.2:87 bank=1 RESOLVE none
        900 answer t 10.0.0.2:87 bank=1 RESOLVE UNKNOWN port=2000 n=4";
    let timeline = Written::new().log("servidor-86", 0, zero).timeline();
    assert_eq!(all_ends(&timeline), [[Some(100), None, None, Some(900)]]);
    assert!(!timeline.calls[0].lost);
}
