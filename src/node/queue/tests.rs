//! Tests of the queue's order and bounds.

use super::*;
use consorcio_core::access::Principal;
use consorcio_core::bank::io::Caller;
use consorcio_core::ids::{BankId, TxId};

#[test]
fn a_request_pushed_behind_peers_is_decided_after_their_inputs() {
    let mut queue = Queue::default();
    let peers = 2 * (URGENT_RUN_MAX + 1);
    let is_answer =
        |waiting: Option<WaitingInput>| matches!(waiting.unwrap().input, Input::PeerUp(_));
    for _ in 0..peers {
        queue.push(0, Input::PeerUp(BankId::new(1).unwrap()));
    }
    queue.push_behind_peers(0, request(1, 0, Origin::Client, false));
    assert_eq!((queue.len(), QUEUE_MAX - queue.room(0)), (peers as usize + 1, 1));
    for _ in 0..peers {
        assert!(is_answer(queue.pop()));
    }
    assert!(!is_answer(queue.pop()));
    assert_eq!((queue.is_empty(), queue.room(0)), (true, QUEUE_MAX));
}

/// A request named by session and slot: COMMIT where it is urgent, else STATUS.
fn request(session: u64, slot: u64, origin: Origin, urgent: bool) -> Input {
    let tx = TxId::new(&format!("t{session}.{slot}")).unwrap();
    let request = if urgent { Request::Commit(tx, Vec::new()) } else { Request::Status(tx) };
    let caller = Caller { session: SessionId(session), slot };
    Input::Request { caller, origin, asker: Principal::Operator, request, waited_us: 0, past: None }
}

fn name(input: &Input) -> String {
    match input {
        Input::Request { caller, request, .. } => {
            let verb = if is_urgent(request) { "c" } else { "p" };
            format!("{verb}{}.{}", caller.session.0, caller.slot)
        }
        Input::Closed(session) => format!("x{}", session.0),
        other => format!("{other:?}"),
    }
}

/// Fills a queue with inputs named as by `name`, and empties it. The prefix `l` is for requests
/// of links, `o` for those of outside coordinators.
fn order(pushed: &str) -> String {
    let mut queue = Queue::default();
    for text in pushed.split_whitespace() {
        let (origin, text) = match text.split_at(1) {
            ("l", rest) => (Origin::Link, rest),
            ("o", rest) => (Origin::Outside, rest),
            _ => (Origin::Client, text),
        };
        let (session, slot) = text[1..].split_once('.').unwrap_or((&text[1..], "0"));
        let (session, slot) = (session.parse().unwrap(), slot.parse().unwrap());
        match &text[..1] {
            "p" => queue.push(0, request(session, slot, origin, false)),
            "c" => queue.push(0, request(session, slot, origin, true)),
            "x" => queue.push(0, Input::Closed(SessionId(session))),
            _ => queue.push(0, Input::PeerUp(BankId::new(1).unwrap())),
        }
    }
    let mut order = Vec::new();
    while let Some(waiting) = queue.pop() {
        order.push(name(&waiting.input));
    }
    assert!(queue.is_empty() && queue.room(0) == QUEUE_MAX);
    order.join(" ")
}

#[test]
fn work_that_has_begun_goes_first() {
    assert_eq!(order("p1.0 p2.0 c3.0 c4.0"), "c3.0 c4.0 p1.0 p2.0");
    assert_eq!(order("p1.0 u0"), "PeerUp(BankId(1)) p1.0");
}

#[test]
fn a_quarter_is_reserved_for_new_work() {
    assert_eq!(
        order("p1.0 p2.0 c3.0 c4.0 c5.0 c6.0 c7.0 c8.0 c9.0"),
        "c3.0 c4.0 c5.0 p1.0 c6.0 c7.0 c8.0 p2.0 c9.0"
    );
}

#[test]
fn a_client_keeps_its_own_order() {
    assert_eq!(order("p1.0 c1.1 c2.0"), "c2.0 p1.0 c1.1", "COMMIT after the own PREPARE");
    assert_eq!(order("c1.0 p1.1 c1.2 p2.0"), "c1.0 p1.1 c1.2 p2.0");
    // Session 9's read comes after its COMMIT, even when new work's share is due.
    assert_eq!(order("p9.9 c1.0 c2.0 c3.0 c9.0"), "c1.0 c2.0 c3.0 p9.9 c9.0");
    assert_eq!(order("c1.0 c2.0 c3.0 c9.0 p9.1"), "c1.0 c2.0 c3.0 c9.0 p9.1");
    // Once its COMMIT is popped, its new work gets its share.
    assert_eq!(order("c9.0 c1.0 c2.0 c3.0 p9.1"), "c9.0 c1.0 c2.0 p9.1 c3.0");
    assert_eq!(
        order("op1.0 oc1.1 oc2.0"),
        "c2.0 p1.0 c1.1",
        "an outside coordinator keeps its order, too"
    );
    assert_eq!(order("op9.9 c1.0 c2.0 c3.0 oc9.0"), "c1.0 c2.0 c3.0 p9.9 c9.0");
}

#[test]
fn on_a_link_urgent_verbs_overtake() {
    assert_eq!(order("lp1.0 lp1.1 lc1.2"), "c1.2 p1.0 p1.1");
    // A link's PREPAREs get their share, too.
    assert_eq!(order("lp1.0 lc1.1 lc1.2 lc1.3 lc1.4"), "c1.1 c1.2 c1.3 p1.0 c1.4");
}

#[test]
fn the_end_of_a_session_comes_after_all_its_requests() {
    assert_eq!(order("p1.0 c1.1 x1 c2.0"), "c2.0 p1.0 c1.1 x1");
    assert_eq!(order("c1.0 x1 p2.0"), "c1.0 x1 p2.0");
    assert_eq!(order("lp1.0 lc1.1 x1"), "c1.1 p1.0 x1");
    assert_eq!(order("p2.0 x1"), "x1 p2.0");
}

#[test]
fn the_bound_is_on_requests() {
    let mut queue = Queue::with_bound(2);
    queue.push(5, request(1, 0, Origin::Client, false));
    queue.push(6, Input::PeerUp(BankId::new(1).unwrap()));
    assert_eq!(queue.room(0), 1);
    queue.push(7, request(1, 1, Origin::Client, true));
    assert_eq!((queue.room(0), queue.len()), (0, 3));
    assert_eq!(queue.pop().map(|w| w.since_us), Some(6));
    assert_eq!(queue.room(0), 0);
    assert_eq!(queue.pop().map(|w| w.since_us), Some(5));
    assert_eq!(queue.room(0), 1);
}

#[test]
fn a_queue_whose_next_request_waits_long_is_full() {
    let mut queue = Queue::default();
    let full_us = QUEUE_FULL_MS * 1_000;
    queue.push(1, request(1, 0, Origin::Client, false));
    queue.push(2, request(2, 0, Origin::Client, false));
    // What has begun goes first in any case, and old inputs of peers are no overload.
    queue.push(0, request(3, 0, Origin::Client, true));
    queue.push(0, Input::PeerUp(BankId::new(1).unwrap()));
    assert_eq!(queue.room(full_us), QUEUE_MAX - 3);
    assert_eq!(queue.room(full_us + 1), 0);
    for expected in [0, 0, 1] {
        assert_eq!(queue.pop().map(|waiting| waiting.since_us), Some(expected));
    }
    assert_eq!((queue.room(full_us + 1), queue.room(full_us + 2)), (QUEUE_MAX - 1, 0));
    assert_eq!(queue.pop().map(|waiting| waiting.since_us), Some(2));
    assert_eq!(queue.room(u64::MAX), QUEUE_MAX);
}

/// Random pushes and pops of a few sessions: no input is lost, and each client's order holds.
#[test]
fn a_random_mix_keeps_every_clients_order() {
    let mut seed = 7u64;
    for _ in 0..500 {
        let mut queue = Queue::default();
        let (mut next, mut seen, mut pushed) = ([0u64; 4], [0u64; 4], 0);
        for _ in 0..60 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let session = usize::try_from(seed >> 60).unwrap() % 4;
            if seed >> 59 & 1 == 0 {
                let urgent = seed >> 40 & 1 == 0;
                queue.push(0, request(session as u64, next[session], Origin::Client, urgent));
                next[session] += 1;
                pushed += 1;
            } else if let Some(waiting) = queue.pop() {
                check(&waiting, &mut seen);
                pushed -= 1;
            }
        }
        while let Some(waiting) = queue.pop() {
            check(&waiting, &mut seen);
            pushed -= 1;
        }
        assert_eq!((pushed, seen), (0, next));
    }
    fn check(waiting: &WaitingInput, seen: &mut [u64; 4]) {
        let Input::Request { caller, .. } = &waiting.input else {
            panic!("only requests were pushed")
        };
        let next = &mut seen[usize::try_from(caller.session.0).unwrap()];
        assert_eq!(caller.slot, *next, "session {:?}", caller.session);
        *next += 1;
    }
}
