//! What goes over links between banks, and how much at a time.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod world;

use consorcio::bank::io::{Asked, AskedVerb, Input, Message, Origin, SessionId};
use consorcio::commit::token::Verdict;
use consorcio::ids::{BankId, Time, TxId};
use consorcio::limits::QUESTIONS_UNDER_WAY_MAX;
use consorcio::wire::Reason;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use world::{Seen, World};

/// Banks 0 and 1 with an account each, and so many transfers that both hold an OK on.
fn in_doubt(transfers: usize) -> World {
    let mut world = World::new(2, true);
    for (bank, account) in [(0, "a"), (1, "b")] {
        world.line(bank, 1, r#"CLIENT {"cpf":"00000000001","name":"Ana","kind":"F"}"#);
        let open = format!(r#"ACCOUNT {{"number":"{account}","holders":["00000000001"],"deposit":1000000}}"#);
        world.line(bank, 1, &open);
    }
    for number in 0..transfers {
        let line = format!(
            r#"PREPARE t{number} {{"ops":[{{"bank":0,"op":"debit","account":"a","amount":1}},{{"bank":1,"op":"credit","account":"b","amount":1}}]}}"#
        );
        world.line(0, 2, &line);
        world.line(1, 2, &line);
    }
    world.seen.clear();
    world
}

/// A backlog is taken on a share at a time: lets `bank` take on all of it.
fn catch_up(world: &mut World, bank: usize) {
    while world.core(bank).is_behind(world.now(bank).mono_us) {
        world.tick(bank);
    }
}

fn questions(world: &mut World) -> Vec<String> {
    let question = |seen: Seen| match seen {
        Seen::Sent { from: 0, message: Message::Resolve(tx), .. } => Some(tx.to_string()),
        _ => None,
    };
    std::mem::take(&mut world.seen).into_iter().filter_map(question).collect()
}

/// Questions to a peer wait in one queue, oldest first, a bounded number under way.
#[test]
fn questions_go_oldest_first_and_few_at_a_time() {
    let all = 2 * QUESTIONS_UNDER_WAY_MAX + 100;
    let mut world = in_doubt(all);
    world.crash(1);
    world.close(0, 2);
    catch_up(&mut world, 0);
    assert!(questions(&mut world).is_empty(), "the peer is down: nothing is asked, nothing is lost");

    world.restart(1);
    catch_up(&mut world, 1);
    world.seen.clear();
    world.connect(0, 1);
    let first = questions(&mut world);
    let oldest: Vec<String> = (0..QUESTIONS_UNDER_WAY_MAX).map(|number| format!("t{number}")).collect();
    assert_eq!(first, oldest);

    // Each answer makes room for one more.
    world.deliver(0);
    assert!(questions(&mut world).is_empty());
    let answer = world.flights.len() - 1;
    world.deliver(answer);
    assert_eq!(questions(&mut world), [format!("t{QUESTIONS_UNDER_WAY_MAX}")]);

    world.settle();
    assert_eq!((world.core(0).undecided(), world.core(1).undecided()), (0, 0));
}

/// One backoff for the peer and not for each transaction: an answer that says nothing pauses all its questions.
#[test]
fn a_peer_has_one_backoff() {
    let mut world = in_doubt(3 * QUESTIONS_UNDER_WAY_MAX);
    world.close(0, 2);
    catch_up(&mut world, 0);
    assert_eq!(questions(&mut world).len(), QUESTIONS_UNDER_WAY_MAX);
    let link = world.link(0, 1).unwrap();
    world.cut(link);
    assert!(questions(&mut world).is_empty(), "what was under way waits again, and nothing hammers the peer");
    world.connect(0, 1);
    assert_eq!(questions(&mut world).first().map(String::as_str), Some("t0"), "the oldest first again");
    world.settle();
    assert_eq!(world.core(0).undecided(), 0);
}

/// A link carries only what is answered from the bank's own state.
#[test]
fn what_could_wait_does_not_go_over_a_link() {
    let world = in_doubt(0);
    let link = SessionId(world.link(0, 1).unwrap());
    for line in [
        r#"EXECUTE x {"ops":[{"bank":1,"op":"deposit","account":"b","amount":1}]}"#,
        "VALUE",
        "SNAPSHOT",
        "BALANCE b",
        "INFO",
    ] {
        // The world knows no question for it, so its answer is looked for in the core's own output.
        let request = Request::parse(line).unwrap();
        let verb = request.verb();
        let now = world.now(1);
        let caller = consorcio::bank::io::Caller { session: link, slot: 0 };
        let input = consorcio::bank::io::Input::Request {
            caller,
            origin: Origin::Link,
            request,
            waited_us: 0,
            past: None,
        };
        let output = world.core(1).decide(now, &input);
        assert!(output.records.is_empty(), "{verb}");
        assert!(matches!(&output.replies[0].reply, Reply::Err(Reason::Refused, text) if text.contains(verb)));
    }
}

/// Without a key anyone who has got a bank's port answers for it. A time at the end of all times would leave this bank
/// none for its next vote.
#[test]
fn without_a_key_a_time_that_no_clock_shows_is_not_believed() {
    const OPS: &str = r#"{"ops":[{"bank":0,"op":"set","value":"1"},{"bank":1,"op":"set","value":"1"}]}"#;
    let mut world = World::new(2, false);
    let peer = BankId::new(1).unwrap();
    let far = |world: &World, verdict: Verdict, tx: &TxId, time: Time| {
        let Request::Prepare(_, transaction) = Request::parse(&format!("PREPARE x {OPS}")).unwrap() else {
            panic!("it is a PREPARE")
        };
        world.identity(1).seal.token(peer, verdict, tx, Some(*transaction.digest()), time)
    };
    let answer = |tx: &TxId, verb: AskedVerb, reply: Reply| Input::Answer {
        peer,
        asked: Asked { tx: tx.clone(), verb },
        reply: Some(reply),
        past: None,
    };
    for (number, time) in [Time::MAX, Time(1 << 52)].into_iter().enumerate() {
        // As the bank that is asked about a doubt ...
        let doubt = TxId::new(&format!("doubt{number}")).unwrap();
        world.line(0, 2, &format!("PREPARE {doubt} {OPS}"));
        assert!(votes_ok(&mut world));
        world.cut(world.link(0, 1).unwrap());
        world.close(0, 2);
        let token = far(&world, Verdict::Ok, &doubt, time);
        for reply in [Reply::Committed(doubt.clone(), time, token), Reply::Ok(doubt.clone(), token)] {
            world.input(0, &answer(&doubt, AskedVerb::Resolve, reply));
            assert_eq!(world.core(0).undecided(), 1, "it stays in doubt");
        }
        world.connect(0, 1);
        world.pass(2_000_000);
        world.tick(0);
        world.settle();
        assert_eq!(world.core(0).undecided(), 0, "the bank itself ends it");
        // ... and as one that takes part in what this bank drives.
        let driven = TxId::new(&format!("driven{number}")).unwrap();
        world.line(0, 3, &format!("EXECUTE {driven} {OPS}"));
        let token = far(&world, Verdict::Ok, &driven, time);
        world.input(0, &answer(&driven, AskedVerb::Prepare, Reply::Ok(driven.clone(), token)));
        assert!(world.core(0).clock() < time);
        world.settle();
        world.line(0, 4, &format!("PREPARE after{number} {OPS}"));
        assert!(votes_ok(&mut world), "it still votes");
        world.close(0, 4);
        world.settle();
    }
}

/// Is the last reply that was seen an OK?
fn votes_ok(world: &mut World) -> bool {
    let reply = |seen: Seen| match seen {
        Seen::Reply { reply, .. } => Some(reply),
        _ => None,
    };
    let last = std::mem::take(&mut world.seen).into_iter().filter_map(reply).last();
    matches!(last, Some(Reply::Ok(..)))
}
