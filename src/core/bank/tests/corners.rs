//! What single requests and records show, where no story does.

use super::*;
use crate::bank::io::{CoreStep, Outcome, OwnVote};
use crate::bank::record::Cause;
use crate::commit::message::{Asked, AskedVerb};
use crate::limits::CUT_KEPT_MS;
use crate::limits::CUT_MARK_EVERY_US;
use crate::wire::request::Read;

const WALL_US: i64 = 1_795_000_000_000_000;
const MORE: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"deposit","account":"1","amount":2},"#,
    r#"{"bank":1,"op":"deposit","account":"2","amount":2}]}"#
);
const OTHERS: &str = r#"{"ops":[{"bank":1,"op":"deposit","account":"2","amount":2}]}"#;

fn network() -> Network {
    Network::new(WALL_US)
}

/// What leaves because of this line, to which slot.
fn replies(network: &mut Network, slot: u64, line: &str) -> Vec<(u64, String)> {
    let caller = Caller { session: SessionId(1), slot };
    let (origin, request) = (Origin::Client, Request::parse(line).unwrap());
    let output =
        network.input(&Input::Request { caller, origin, request, waited_us: 0, past: None });
    output.replies.into_iter().map(|out| (out.to.slot, text(&out.reply))).collect()
}

/// Its first words, without the token.
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

/// A drive has one transaction: other bytes under its id are refused at once, and do not wait for
/// its outcome.
#[test]
fn other_bytes_under_an_id_that_is_driven_are_refused_at_once() {
    let mut network = network();
    assert_eq!(replies(&mut network, 1, &format!("EXECUTE t1 {BOTH}")), []);
    assert_eq!(replies(&mut network, 2, &format!("EXECUTE t1 {BOTH}")), [], "the same waits");
    let told = replies(&mut network, 3, &format!("EXECUTE t1 {MORE}"));
    assert!(matches!(&told[..], [(3, told)] if told.starts_with("ERR duplicate-id")), "{told:?}");
}

/// A bank votes OK on other bytes of an id that it drives: who asked for the drive hears that it is
/// aborted, though nothing records that.
#[test]
fn a_vote_on_other_bytes_ends_a_drive_and_its_caller_is_told() {
    let mut network = network();
    network.input(&Input::PeerUp(BankId::new(1).unwrap()));
    assert_eq!(replies(&mut network, 1, &format!("EXECUTE t1 {BOTH}")), []);
    let vote = replies(&mut network, 2, &format!("PREPARE t1 {MORE}"));
    let granted = parsed(BOTH);
    let token = identity().seal.token(
        BankId::new(1).unwrap(),
        Verdict::Ok,
        &id("t1"),
        Some(*granted.digest()),
        Time(WALL_US),
    );
    let asked = Asked { tx: id("t1"), verb: AskedVerb::Prepare };
    let (peer, reply) = (token.bank, Some(Reply::Ok(id("t1"), token)));
    let then = network.input(&Input::Answer { peer, asked, reply, past: None });
    let then = then.replies.iter().map(|out| (out.to.slot, text(&out.reply)));
    let told: Vec<_> = vote.into_iter().chain(then).collect();
    let vote = (2, "OK t1".to_owned());
    assert!(told.contains(&vote), "{told:?}");
    let end = told.iter().find(|(slot, _)| *slot == 1).map(|(_, text)| text.as_str());
    assert_eq!(end, Some("ABORTED t1 duplicate-id"), "{told:?}");
}

/// Banks that can't be reached end a drive in the decision that begins it.
#[test]
fn who_asks_for_what_reaches_no_bank_is_told_at_once() {
    let told = replies(&mut network(), 7, &format!("EXECUTE t1 {OTHERS}"));
    assert!(matches!(&told[..], [(7, told)] if told.starts_with("ERR unreachable")), "{told:?}");
}

#[test]
fn an_outside_coordinator_prepares_its_own_transactions_alone() {
    let mut network = network();
    let vote = network.ask(Origin::Outside, Request::Prepare(id("o1"), parsed(ALONE)));
    assert!(matches!(vote, Reply::Err(Reason::Refused, _)), "{vote:?}");
    assert_eq!(network.core.undecided(), 0);
}

#[test]
fn new_texts_that_nobody_can_see_are_answered() {
    let mut network = network();
    let before = network.core.seq();
    let lines = [
        "CLIENT {\"cpf\":\"12345678909\",\"name\":\"P\u{200b}Q\",\"kind\":\"F\"}",
        "ACCOUNT {\"number\":\"1\u{202e}2\",\"holders\":[\"12345678900\"],\"deposit\":1}",
    ];
    for line in lines {
        let told = network.say(line);
        assert!(matches!(told, Reply::Err(Reason::Malformed, _)), "{line}: {told:?}");
    }
    assert_eq!(network.core.seq(), before, "nothing is recorded");
}

/// A number that new accounts can't have goes on to be used where an account has it by an older
/// rule, and only there.
#[test]
fn an_account_of_an_older_rule_is_used_at_its_own_bank_alone() {
    let mut network = network();
    let old = "1\u{202e}2";
    network.say(r#"CLIENT {"cpf":"12345678901","name":"Q","kind":"F"}"#);
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
    let used = network.say(&prepare("t1", old, "2"));
    assert!(matches!(used, Reply::Ok(..)), "{used:?}");
    for (tx, mine, its) in [("t2", "1", old), ("t3", "3\u{202e}4", "2")] {
        let told = network.say(&prepare(tx, mine, its));
        assert!(matches!(told, Reply::Err(Reason::Malformed, _)), "{tx}: {told:?}");
    }
}

/// An answer whose token proves nothing counts as silence and is told, so that the link is made
/// anew.
#[test]
fn an_answer_that_proves_nothing_is_told_of() {
    let mut network = network();
    let peer = BankId::new(1).unwrap();
    network.input(&Input::PeerUp(peer));
    network.say(&format!("PREPARE t1 {BOTH}"));
    network.input(&Input::Closed(SessionId(1)));
    let digest = Some(*parsed(BOTH).digest());
    let forged = Seal::keyed([8; 32]).token(peer, Verdict::Ok, &id("t1"), digest, Time(WALL_US));
    let asked = Asked { tx: id("t1"), verb: AskedVerb::Resolve };
    let reply = Some(Reply::Ok(id("t1"), forged));
    let output = network.input(&Input::Answer { peer, asked, reply, past: None });
    assert!(output.steps.contains(&CoreStep::Unproved(id("t1"), peer)), "{output:?}");
    assert_eq!((output.records.len(), network.core.undecided()), (0, 1));
}

/// Its own refusal stands in the history with who refused and in what words; a drive for others is
/// no second line.
#[test]
fn the_history_tells_who_refused_and_an_id_once() {
    let mut network = network();
    network.say(r#"EXECUTE t1 {"ops":[{"bank":0,"op":"withdraw","account":"1","amount":5000}]}"#);
    let history = json(&network.say("HISTORY"));
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
    network.say(&format!("EXECUTE t2 {ALONE}"));
    let history = json(&network.say("HISTORY"));
    let ids: Vec<_> =
        history.as_array().unwrap().iter().map(|line| line["tx"].as_str().unwrap()).collect();
    assert_eq!(ids, ["t2", "t1"]);
}

#[test]
fn info_tells_the_uptime_in_seconds() {
    let mut core = Core::new(identity());
    let now = |mono_us| Now { wall_us: WALL_US, shown_us: WALL_US, mono_us };
    core.step(now(3_000_000), &Input::Started(Start::default()));
    let caller = Caller { session: SessionId(1), slot: 0 };
    let input = Input::Request {
        caller,
        origin: Origin::Client,
        request: Request::Read(Read::Info),
        waited_us: 0,
        past: None,
    };
    let output = core.step(now(10_999_999), &input);
    assert_eq!(json(&output.replies[0].reply)["uptime_s"], 7);
}

/// A cut's page holds every register that there is room for.
#[test]
fn a_cut_has_all_registers() {
    let identity = Identity { places: vec!["a:1".to_owned()], ..identity() };
    let mut network = Network { core: Core::new(identity), wall_us: WALL_US, journal: Vec::new() };
    network.input(&Input::Started(Start::default()));
    for key in ["k1", "k2", "k3"] {
        let set = format!(
            r#"EXECUTE {key} {{"ops":[{{"bank":0,"op":"set","key":"{key}","value":"v"}}]}}"#
        );
        let told = network.say(&set);
        assert!(matches!(told, Reply::Committed(..)), "{told:?}");
    }
    let cut = json(&network.say("SNAPSHOT accounts"));
    let keys: Vec<_> = cut["registers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["key"].as_str().unwrap())
        .collect();
    assert_eq!((keys, cut["next"].is_null()), (vec!["k1", "k2", "k3"], true), "{cut}");
}

/// A cut's next page begins behind the account that the page before ended with.
#[test]
fn a_page_of_a_cut_begins_behind_the_one_before() {
    let mut network = network();
    for number in ["2", "3"] {
        network.say(&format!(r#"CLIENT {{"cpf":"1234567890{number}","name":"P","kind":"F"}}"#));
        let account = format!(
            r#"ACCOUNT {{"number":"{number}","holders":["1234567890{number}"],"deposit":7}}"#
        );
        let told = network.say(&account);
        assert!(matches!(told, Reply::Done(_)), "{told:?}");
    }
    let mut numbers = |line: &str| {
        let cut = json(&network.say(line));
        let number = |line: &serde_json::Value| line["number"].as_str().unwrap().to_owned();
        cut["accounts"].as_array().unwrap().iter().map(number).collect::<Vec<_>>()
    };
    assert_eq!(numbers("SNAPSHOT accounts"), ["1", "2", "3"]);
    assert_eq!(numbers("SNAPSHOT accounts after=a:1"), ["2", "3"]);
    assert_eq!(numbers("SNAPSHOT accounts after=a:3"), [""; 0]);
    assert_eq!(numbers("SNAPSHOT accounts after=r:a"), [""; 0]);
}

/// Moments of the clock that no cut needs are let go.
#[test]
fn a_bank_that_runs_for_long_keeps_few_moments_for_cuts() {
    let mut core = Core::new(identity());
    let most = usize::try_from(CUT_KEPT_MS * 1_000 / CUT_MARK_EVERY_US).unwrap();
    let mut kept = 0;
    for turn in 0..4 * u64::try_from(most).unwrap() {
        let mono_us = turn * CUT_MARK_EVERY_US;
        let wall_us = WALL_US + i64::try_from(mono_us).unwrap();
        let input = if turn == 0 { Input::Started(Start::default()) } else { Input::Tick };
        core.step(Now { wall_us, shown_us: wall_us, mono_us }, &input);
        core.step(
            Now { wall_us, shown_us: wall_us, mono_us },
            &Input::Request {
                caller: Caller { session: SessionId(1), slot: 0 },
                origin: Origin::Client,
                request: Request::parse(&format!("RESOLVE t{turn}")).unwrap(),
                waited_us: 0,
                past: None,
            },
        );
        kept = core.volatile.cut_marks.len();
        assert!(kept <= most + 2, "{kept} moments after {turn} turns");
    }
    assert!(kept >= most, "{kept} moments of {most}");
}

/// What one tick forgets is bounded, and it says whether there is more.
#[test]
fn memory_forgets_outcomes_a_few_at_a_time() {
    let mut network = network();
    for n in 0..10 {
        network.say(&format!("RESOLVE r{n}"));
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

/// What a crash would forget is in the fingerprint: two cores that will act unlike have unlike
/// ones.
#[test]
fn a_fingerprint_tells_cores_apart_that_will_act_unlike() {
    let mut network = network();
    let mut seen = vec![network.core.fingerprint_text(5_000_000)];
    let inputs = [
        Input::PeerUp(BankId::new(1).unwrap()),
        Input::Request {
            caller: Caller { session: SessionId(1), slot: 0 },
            origin: Origin::Client,
            request: Request::parse(&format!("PREPARE t1 {BOTH}")).unwrap(),
            waited_us: 0,
            past: None,
        },
        Input::Request {
            caller: Caller { session: SessionId(2), slot: 3 },
            origin: Origin::Client,
            request: Request::parse(&format!("EXECUTE t2 {BOTH}")).unwrap(),
            waited_us: 0,
            past: None,
        },
        Input::Closed(SessionId(1)),
    ];
    for input in inputs {
        network.input(&input);
        let text = network.core.fingerprint_text(5_000_000);
        assert!(!seen.contains(&text), "{input:?} does not show in {text}");
        seen.push(text);
    }
    let text = seen.last().unwrap();
    assert!(text.contains("t1") && text.contains("t2"), "{text}");
    assert_ne!(text, &network.core.fingerprint_text(5_000_001), "less is left until a deadline");
}

/// Each thing that a journal of another machine may hold and no bank writes; each is refused, and
/// the right one beside it is not.
#[test]
fn what_no_bank_writes_is_not_admitted() {
    let mut network = network();
    let Reply::Ok(tx, own) = network.say(&format!("PREPARE t1 {BOTH}")) else { panic!("an OK") };
    let mut core = network.core;
    let clock = core.clock();
    assert_eq!(own.time, clock);
    let vote = OwnVote { verdict: Verdict::Ok, time: own.time, digest: own.digest };
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
    // Once it is decided, nothing decides it again.
    core.apply(&decided(vote, Outcome::Committed(clock)));
    let again = core.admits(&decided(vote, Outcome::Committed(next))).unwrap_err();
    assert!(again.contains("a second time"), "{again}");
}
