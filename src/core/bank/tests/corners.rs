//! Effects of single requests and records that no golden script covers.

use super::*;
use crate::bank::io::{CoreStep, Outcome, OwnVote};
use crate::bank::record::Cause;
use crate::commit::message::{PeerVerb, RequestKey};
use crate::limits::CUT_KEPT_MS;
use crate::limits::CUT_MARK_EVERY_US;

const WALL_US: i64 = 1_795_000_000_000_000;
const MORE: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"deposit","account":"1","amount":2},"#,
    r#"{"bank":1,"op":"deposit","account":"2","amount":2}]}"#
);
const OTHERS: &str = r#"{"ops":[{"bank":1,"op":"deposit","account":"2","amount":2}]}"#;

fn network() -> Network {
    Network::new(WALL_US)
}

/// The replies that this line causes, with their slots.
fn replies(network: &mut Network, slot: u64, line: &str) -> Vec<(u64, String)> {
    let caller = Caller { session: SessionId(1), slot };
    let (origin, request) = (Origin::Client, Request::parse(line).unwrap());
    let output = network.input(&Input::Request {
        caller,
        origin,
        asker: Principal::Operator,
        request,
        waited_us: 0,
        past: None,
    });
    output.replies.into_iter().map(|out| (out.to.slot, text(&out.reply))).collect()
}

/// The first words of a reply, without its token.
fn text(reply: &Reply) -> String {
    let mut line = Vec::new();
    reply.write_to(&mut line);
    let line = String::from_utf8(line).unwrap();
    line.split_whitespace().filter(|word| !word.contains('.')).take(3).collect::<Vec<_>>().join(" ")
}

fn json(reply: &Reply) -> serde_json::Value {
    let Reply::Done(json) = reply else { panic!("JSON, not {reply:?}") };
    serde_json::from_str(json).unwrap()
}

fn id(text: &str) -> TxId {
    TxId::new(text).unwrap()
}

fn parsed(text: &str) -> Arc<Transaction> {
    Arc::new(Transaction::parse(text).unwrap())
}

/// A drive has one transaction: other bytes under its id are rejected at once and do not wait for
/// its outcome.
#[test]
fn other_bytes_under_an_id_that_is_driven_are_rejected_at_once() {
    let mut network = network();
    assert_eq!(replies(&mut network, 1, &format!("EXECUTE t1 {BOTH}")), []);
    assert_eq!(replies(&mut network, 2, &format!("EXECUTE t1 {BOTH}")), [], "the same bytes wait");
    let reply = replies(&mut network, 3, &format!("EXECUTE t1 {MORE}"));
    assert!(matches!(&reply[..], [(3, text)] if text.starts_with("ERR duplicate-id")), "{reply:?}");
}

/// A bank votes OK on other bytes of an id that it drives: the caller of the drive gets ABORTED,
/// although no record says so.
#[test]
fn a_vote_on_other_bytes_aborts_a_drive_and_its_caller_gets_a_reply() {
    let mut network = network();
    network.input(&Input::PeerUp(BankId::new(1).unwrap()));
    assert_eq!(replies(&mut network, 1, &format!("EXECUTE t1 {BOTH}")), []);
    let vote = replies(&mut network, 2, &format!("PREPARE t1 {MORE}"));
    let granted = parsed(BOTH);
    let token = identity().seal.token(
        BankId::new(1).unwrap(),
        Vote::Ok,
        &id("t1"),
        Some(*granted.digest()),
        Time(WALL_US),
    );
    let asked = RequestKey { tx: id("t1"), verb: PeerVerb::Prepare };
    let (peer, reply) = (token.bank, Some(Reply::Ok(id("t1"), token)));
    let then = network.input(&Input::Answer { peer, asked, reply, past: None });
    let then = then.replies.iter().map(|out| (out.to.slot, text(&out.reply)));
    let reply: Vec<_> = vote.into_iter().chain(then).collect();
    let vote = (2, "OK t1".to_owned());
    assert!(reply.contains(&vote), "{reply:?}");
    let end = reply.iter().find(|(slot, _)| *slot == 1).map(|(_, text)| text.as_str());
    assert_eq!(end, Some("ABORTED t1 duplicate-id"), "{reply:?}");
}

/// If no bank is reachable, a drive ends in the decision that begins it.
#[test]
fn a_drive_that_reaches_no_bank_is_answered_at_once() {
    let reply = replies(&mut network(), 7, &format!("EXECUTE t1 {OTHERS}"));
    assert!(matches!(&reply[..], [(7, text)] if text.starts_with("ERR unreachable")), "{reply:?}");
}

#[test]
fn an_outside_coordinator_prepares_only_its_own_transactions() {
    let mut network = network();
    let vote = network.ask(Origin::Outside, Request::Prepare(id("o1"), parsed(ALONE)));
    assert!(matches!(vote, Reply::Err(Reason::Refused, _)), "{vote:?}");
    assert_eq!(network.core.undecided(), 0);
}

#[test]
fn new_texts_with_invisible_characters_are_rejected() {
    let mut network = network();
    let before = network.core.seq();
    let lines = [
        "CLIENT {\"cpf\":\"12345678909\",\"name\":\"P\u{200b}Q\",\"kind\":\"F\"}",
        "ACCOUNT {\"number\":\"1\u{202e}2\",\"holders\":[\"12345678900\"],\"deposit\":1}",
    ];
    for line in lines {
        let reply = network.send(line);
        assert!(matches!(reply, Reply::Err(Reason::Malformed, _)), "{line}: {reply:?}");
    }
    assert_eq!(network.core.seq(), before, "nothing is recorded");
}

/// An account whose number is not valid for new accounts any more remains usable at its bank, and
/// only there.
#[test]
fn an_account_of_an_older_rule_is_usable_at_its_own_bank_only() {
    let mut network = network();
    let old = "1\u{202e}2";
    network.send(r#"CLIENT {"cpf":"12345678901","name":"Q","kind":"F"}"#);
    let sized = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
    let bytes = [&[6, 4][..], &sized(old), &[1], &sized("12345678901"), &[6]].concat();
    let record: Record = postcard::from_bytes(&bytes).unwrap();
    network.core.apply(&record);
    let op = |bank: u8, account: &str| {
        format!(r#"{{"bank":{bank},"op":"deposit","account":"{account}","amount":1}}"#)
    };
    let prepare = |tx: &str, mine: &str, its: &str| {
        format!(r#"PREPARE {tx} {{"ops":[{},{}]}}"#, op(0, mine), op(1, its))
    };
    let used = network.send(&prepare("t1", old, "2"));
    assert!(matches!(used, Reply::Ok(..)), "{used:?}");
    for (tx, mine, its) in [("t2", "1", old), ("t3", "3\u{202e}4", "2")] {
        let reply = network.send(&prepare(tx, mine, its));
        assert!(matches!(reply, Reply::Err(Reason::Malformed, _)), "{tx}: {reply:?}");
    }
}

/// An answer whose token proves nothing counts as none and is reported, so that the link is opened
/// again.
#[test]
fn an_answer_that_proves_nothing_is_reported() {
    let mut network = network();
    let peer = BankId::new(1).unwrap();
    network.input(&Input::PeerUp(peer));
    network.send(&format!("PREPARE t1 {BOTH}"));
    network.input(&Input::Closed(SessionId(1)));
    let digest = Some(*parsed(BOTH).digest());
    let forged = Seal::keyed([8; 32]).token(peer, Vote::Ok, &id("t1"), digest, Time(WALL_US));
    let asked = RequestKey { tx: id("t1"), verb: PeerVerb::Resolve };
    let reply = Some(Reply::Ok(id("t1"), forged));
    let output = network.input(&Input::Answer { peer, asked, reply, past: None });
    assert!(output.steps.contains(&CoreStep::Unproved(id("t1"), peer)), "{output:?}");
    assert_eq!((output.records.len(), network.core.undecided()), (0, 1));
}

/// This bank's own refusal is in the history with its bank and its text; a drive for others adds no
/// second entry.
#[test]
fn the_history_names_the_refusing_bank_and_has_each_id_once() {
    let mut network = network();
    network.send(r#"EXECUTE t1 {"ops":[{"bank":0,"op":"withdraw","account":"1","amount":5000}]}"#);
    let history = json(&network.send("HISTORY"));
    let line = &history[0];
    assert_eq!((&line["tx"], &line["by"]), (&"t1".into(), &0.into()), "{line}");
    assert!(line["text"].as_str().is_some_and(|text| text.contains("1000")), "{line}");

    let drove = Record::Drove {
        tx: id("t2"),
        time: Time(WALL_US),
        transaction: parsed(OTHERS),
        refusal: None,
    };
    network.core.apply(&drove);
    network.send(&format!("EXECUTE t2 {ALONE}"));
    let history = json(&network.send("HISTORY"));
    let ids: Vec<_> =
        history.as_array().unwrap().iter().map(|line| line["tx"].as_str().unwrap()).collect();
    assert_eq!(ids, ["t2", "t1"]);
}

fn line(session: u64, slot: u64, text: &str) -> Input {
    let caller = Caller { session: SessionId(session), slot };
    let (origin, request) = (Origin::Client, Request::parse(text).unwrap());
    let asker = Principal::Operator;
    Input::Request { caller, origin, asker, request, waited_us: 0, past: None }
}

#[test]
fn info_has_the_uptime_in_seconds() {
    let mut core = Core::new(identity());
    let now = |mono_us| Now { wall_us: WALL_US, shown_us: WALL_US, mono_us };
    core.step(now(3_000_000), &Input::Started(Start::default()));
    let output = core.step(now(10_999_999), &line(1, 0, "INFO"));
    assert_eq!(json(&output.replies[0].reply)["uptime_s"], 7);
}

/// A page of a cut has all registers that fit it.
#[test]
fn a_cut_has_all_registers() {
    let identity = Identity { places: vec!["a:1".to_owned()], ..identity() };
    let mut network = Network { core: Core::new(identity), wall_us: WALL_US, journal: Vec::new() };
    network.input(&Input::Started(Start::default()));
    for key in ["k1", "k2", "k3"] {
        let set = format!(
            r#"EXECUTE {key} {{"ops":[{{"bank":0,"op":"set","key":"{key}","value":"v"}}]}}"#
        );
        let reply = network.send(&set);
        assert!(matches!(reply, Reply::Committed(..)), "{reply:?}");
    }
    let cut = json(&network.send("SNAPSHOT accounts"));
    let keys: Vec<_> = cut["registers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["key"].as_str().unwrap())
        .collect();
    assert_eq!((keys, cut["next"].is_null()), (vec!["k1", "k2", "k3"], true), "{cut}");
}

/// The next page of a cut begins after the last account of the page before.
#[test]
fn a_page_of_a_cut_begins_after_the_one_before() {
    let mut network = network();
    for number in ["2", "3"] {
        network.send(&format!(r#"CLIENT {{"cpf":"1234567890{number}","name":"P","kind":"F"}}"#));
        let account = format!(
            r#"ACCOUNT {{"number":"{number}","holders":["1234567890{number}"],"deposit":7}}"#
        );
        let reply = network.send(&account);
        assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
    }
    let mut numbers = |line: &str| {
        let cut = json(&network.send(line));
        let number = |line: &serde_json::Value| line["number"].as_str().unwrap().to_owned();
        cut["accounts"].as_array().unwrap().iter().map(number).collect::<Vec<_>>()
    };
    assert_eq!(numbers("SNAPSHOT accounts"), ["1", "2", "3"]);
    assert_eq!(numbers("SNAPSHOT accounts after=a:1"), ["2", "3"]);
    assert_eq!(numbers("SNAPSHOT accounts after=a:3"), [""; 0]);
    assert_eq!(numbers("SNAPSHOT accounts after=r:a"), [""; 0]);
}

/// Records of the clock that no cut needs any more are dropped.
#[test]
fn a_long_run_keeps_a_bounded_number_of_clock_marks() {
    let mut core = Core::new(identity());
    let most = usize::try_from(CUT_KEPT_MS * 1_000 / CUT_MARK_EVERY_US).unwrap();
    let mut kept = 0;
    for tick in 0..4 * u64::try_from(most).unwrap() {
        let mono_us = tick * CUT_MARK_EVERY_US;
        let wall_us = WALL_US + i64::try_from(mono_us).unwrap();
        let input = if tick == 0 { Input::Started(Start::default()) } else { Input::Tick };
        core.step(Now { wall_us, shown_us: wall_us, mono_us }, &input);
        core.step(
            Now { wall_us, shown_us: wall_us, mono_us },
            &line(1, 0, &format!("RESOLVE t{tick}")),
        );
        kept = core.volatile.cut_marks.len();
        assert!(kept <= most + 2, "{kept} marks after {tick} ticks");
    }
    assert!(kept >= most, "{kept} marks of {most}");
}

/// One call drops a bounded number of outcomes, and returns whether more are left.
#[test]
fn outcomes_are_dropped_from_memory_a_few_at_a_time() {
    let mut network = network();
    for n in 0..10 {
        network.send(&format!("RESOLVE r{n}"));
    }
    let known = |core: &Core| (0..10).filter(|n| core.knows(&id(&format!("r{n}")))).count();
    let seq = network.core.seq();
    let mut left = vec![(known(&network.core), true)];
    for _ in 0..3 {
        let more = network.core.forget_some_outcomes(seq, 2, 3);
        left.push((known(&network.core), more));
    }
    assert_eq!(left, [(10, true), (7, true), (4, true), (2, false)]);
    network.core.forget_outcomes(seq, 1);
    assert_eq!(known(&network.core), 1);
}

/// The volatile state is in the fingerprint: two cores that will act differently have different
/// ones.
#[test]
fn cores_that_will_act_differently_have_different_fingerprints() {
    let mut network = network();
    let mut seen = vec![network.core.fingerprint_text(5_000_000)];
    let inputs = [
        Input::PeerUp(BankId::new(1).unwrap()),
        line(1, 0, &format!("PREPARE t1 {BOTH}")),
        line(2, 3, &format!("EXECUTE t2 {BOTH}")),
        Input::Closed(SessionId(1)),
    ];
    for input in inputs {
        network.input(&input);
        let text = network.core.fingerprint_text(5_000_000);
        assert!(!seen.contains(&text), "{input:?} is missing from {text}");
        seen.push(text);
    }
    let text = seen.last().unwrap();
    assert!(text.contains("t1") && text.contains("t2"), "{text}");
    assert_ne!(
        text,
        &network.core.fingerprint_text(5_000_001),
        "less time is left until a deadline"
    );
}

/// Each record that a foreign journal may contain but no bank writes is rejected, and the valid
/// record beside it is not.
#[test]
fn a_record_that_no_bank_writes_is_not_admitted() {
    let mut network = network();
    let Reply::Ok(tx, own) = network.send(&format!("PREPARE t1 {BOTH}")) else { panic!("an OK") };
    let mut core = network.core;
    let clock = core.clock();
    assert_eq!(own.time, clock);
    let vote = OwnVote { vote: Vote::Ok, time: own.time, digest: own.digest };
    let decided =
        |own, outcome| Record::Decided { tx: tx.clone(), own, outcome, votes: Vec::new() };
    let refused = |time| Record::Refused { tx: id("t2"), time, reason: Reason::Expired };
    let voted = |tx: &str, time, of: &str, refusal| Record::Voted {
        tx: id(tx),
        time,
        transaction: parsed(of),
        refusal,
    };
    let executed = |time: Time, committed| Record::Executed {
        tx: id("t2"),
        time,
        committed,
        transaction: parsed(ALONE),
        votes: Vec::new(),
    };
    let (before, next) = (Time(clock.0 - 1), Time(clock.0 + 1));
    let poor = r#"{"ops":[{"bank":0,"op":"withdraw","account":"1","amount":5000}]}"#;
    let by =
        |bank| Record::Consortium { bank: BankId::new(bank).unwrap(), places: identity().places };
    let cause = || Some((Reason::Refused, Cause::from("no".to_owned())));
    let table = [
        (by(1), Some("as its owner")),
        (by(0), None),
        (voted("t1", next, BOTH, None), Some("a second time")),
        (voted("t2", clock, BOTH, None), Some("not later than its clock")),
        (voted("t2", next, poor, None), Some("does not grant")),
        (voted("t2", next, poor, cause()), None),
        (voted("t2", next, BOTH, None), None),
        (refused(before), Some("not later than its clock")),
        (refused(clock), Some("not later than its clock")),
        (refused(next), None),
        (executed(next, clock), Some("before this bank's own vote")),
        (executed(next, next), None),
        (decided(vote, Outcome::Committed(before)), Some("before this bank's own vote")),
        (decided(OwnVote { time: next, ..vote }, Outcome::Committed(next)), Some("another vote")),
        (decided(vote, Outcome::Committed(clock)), None),
        (decided(vote, Outcome::Committed(next)), None),
        (decided(vote, Outcome::Aborted(own, Reason::Refused)), None),
    ];
    for (record, fault) in &table {
        match (core.admits(record), fault) {
            (Ok(()), None) => {}
            (Err(text), Some(fault)) => assert!(text.contains(fault), "{record:?}: {text}"),
            (answer, fault) => panic!("{record:?}: {answer:?}, not {fault:?}"),
        }
    }
    // Once a transaction is decided, no second decision is admitted.
    core.apply(&decided(vote, Outcome::Committed(clock)));
    let again = core.admits(&decided(vote, Outcome::Committed(next))).unwrap_err();
    assert!(again.contains("a second time"), "{again}");
}
