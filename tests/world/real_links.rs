//! What goes over links between banks, and how much at a time.

use crate::world::{Seen, World};
use consorcio::bank::io::{CoreStep, Input, Origin, Outcome, SessionId};
use consorcio::bank::record::Record;
use consorcio::commit::message::{Asked, AskedVerb, Message};
use consorcio::ids::{BankId, Time, TxId};
use consorcio::limits::QUESTIONS_UNDER_WAY_MAX;
use consorcio::wire::Reason;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::token::{Digest, Said, Token};

/// Banks 0 and 1 with an account each, and so many transfers that both hold an OK on.
fn in_doubt(transfers: usize) -> World {
    let mut world = World::new(2);
    for (bank, account) in [(0, "a"), (1, "b")] {
        world.line(bank, 1, r#"CLIENT {"cpf":"00000000001","name":"Ana","kind":"F"}"#);
        let open = format!(
            r#"ACCOUNT {{"number":"{account}","holders":["00000000001"],"deposit":1000000}}"#
        );
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
    assert!(
        questions(&mut world).is_empty(),
        "the peer is down: nothing is asked, nothing is lost"
    );

    world.restart(1);
    catch_up(&mut world, 1);
    world.seen.clear();
    world.connect(0, 1);
    let first = questions(&mut world);
    let oldest: Vec<String> =
        (0..QUESTIONS_UNDER_WAY_MAX).map(|number| format!("t{number}")).collect();
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

/// One backoff for the peer and not for each transaction: an answer that says nothing pauses all
/// its questions.
#[test]
fn a_peer_has_one_backoff() {
    let mut world = in_doubt(3 * QUESTIONS_UNDER_WAY_MAX);
    world.close(0, 2);
    catch_up(&mut world, 0);
    assert_eq!(questions(&mut world).len(), QUESTIONS_UNDER_WAY_MAX);
    let link = world.link(0, 1).unwrap();
    world.cut(link);
    assert!(
        questions(&mut world).is_empty(),
        "what was under way waits again, and nothing hammers the peer"
    );
    world.connect(0, 1);
    assert_eq!(
        questions(&mut world).first().map(String::as_str),
        Some("t0"),
        "the oldest first again"
    );
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
        let verb = request.verb().name();
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
        assert!(matches!(
            &output.replies[0].reply,
            Reply::Err(Reason::Refused, text) if text.contains(verb)
        ));
    }
}

const SETS: &str =
    r#"{"ops":[{"bank":0,"op":"set","value":"1"},{"bank":1,"op":"set","value":"1"}]}"#;
const OTHER: &str =
    r#"{"ops":[{"bank":0,"op":"set","value":"2"},{"bank":1,"op":"set","value":"2"}]}"#;

fn digest(ops: &str) -> Option<Digest> {
    let Ok(Request::Prepare(_, transaction)) = Request::parse(&format!("PREPARE x {ops}")) else {
        panic!("it is a PREPARE")
    };
    Some(*transaction.digest())
}

/// Bank 0 in doubt on what both banks hold OK on; what is answered in bank 1's name is this, or
/// what the world says.
struct Asked0 {
    world: World,
    tx: TxId,
    /// Bank 1's own OK.
    theirs: Token,
}

impl Asked0 {
    fn new() -> Asked0 {
        let mut world = World::new(2);
        let tx = TxId::new("t").unwrap();
        let mut theirs = None;
        for at in [0, 1] {
            world.line(at, 2, &format!("PREPARE {tx} {SETS}"));
            let Some(Seen::Reply { reply: Reply::Ok(_, token), .. }) =
                std::mem::take(&mut world.seen)
                    .into_iter()
                    .find(|seen| matches!(seen, Seen::Reply { .. }))
            else {
                panic!("it votes OK")
            };
            theirs = Some(token);
        }
        Asked0 { world, tx, theirs: theirs.unwrap() }
    }

    fn is_answered(&mut self, reply: Reply) {
        let asked = Asked { tx: self.tx.clone(), verb: AskedVerb::Resolve };
        let input = Input::Answer { peer: self.theirs.bank, asked, reply: Some(reply), past: None };
        self.world.input(0, &input);
    }

    fn made(&self, said: Said, digest: Option<Digest>, time: i64) -> Token {
        self.world.identity(1).seal.token(self.theirs.bank, said, &self.tx, digest, Time(time))
    }

    fn is_unproved(&self) -> bool {
        let unproved =
            |seen: &Seen| matches!(seen, Seen::Step { bank: 0, step: CoreStep::Unproved(..) });
        self.world.seen.iter().any(unproved)
    }

    /// The outcome that bank 0 recorded.
    fn outcome(&self) -> Option<Outcome> {
        self.world.seen.iter().find_map(|seen| match seen {
            Seen::Recorded { bank: 0, record: Record::Decided { outcome, .. }, .. } => {
                Some(*outcome)
            }
            _ => None,
        })
    }
}

/// Whatever somebody on the way makes of an answer: what does not prove itself leaves the bank in
/// doubt, closes the link, and is asked again; the bank itself ends it then.
#[test]
fn an_answer_that_proves_nothing_changes_nothing() {
    let later =
        |one: &Asked0| Token { time: Time(one.theirs.time.0 + 3_600_000_000), ..one.theirs };
    let far = Time::MAX.0;
    type Forge<'a> = &'a dyn Fn(&Asked0) -> Reply;
    let forged: [(&str, Forge<'_>); 10] = [
        ("a later vote", &|one| Reply::Ok(one.tx.clone(), later(one))),
        ("a vote at the end of all times", &|one| {
            Reply::Ok(one.tx.clone(), Token { time: Time(far), ..one.theirs })
        }),
        ("no MAC", &|one| Reply::Ok(one.tx.clone(), Token { mac: None, ..one.theirs })),
        ("a NOK that was an OK", &|one| {
            Reply::Nok(
                one.tx.clone(),
                Token { said: Said::No, ..one.theirs },
                Reason::Refused,
                String::new(),
            )
        }),
        ("COMMITTED, of a vote that is none", &|one| {
            Reply::Committed(one.tx.clone(), one.theirs.time, later(one), None)
        }),
        ("COMMITTED, before this bank's own vote", &|one| {
            let said = one.made(Said::Committed, digest(SETS), 1);
            Reply::Committed(one.tx.clone(), Time(1), later(one), Some(said))
        }),
        ("ABORTED, with a token of another bank's name", &|one| {
            let token = Token { bank: BankId::new(7).unwrap(), ..one.made(Said::No, None, 9) };
            Reply::Aborted(one.tx.clone(), token, Reason::Expired, None)
        }),
        ("ABORTED, with this bank's own OK", &|one| {
            let own = Token { bank: BankId::new(0).unwrap(), ..one.theirs };
            Reply::Aborted(one.tx.clone(), own, Reason::Refused, None)
        }),
        ("ABORTED, of another id", &|one| {
            let other = TxId::new("other").unwrap();
            let seal = one.world.identity(1).seal;
            let token = seal.token(one.theirs.bank, Said::No, &other, None, Time(9));
            Reply::Aborted(one.tx.clone(), token, Reason::Refused, None)
        }),
        ("ABORTED, a statement with another's MAC", &|one| {
            let said = Token { mac: one.theirs.mac, ..one.made(Said::Aborted, digest(SETS), 9) };
            Reply::Aborted(one.tx.clone(), later(one), Reason::Refused, Some(said))
        }),
    ];
    for (what, forge) in forged {
        let mut one = Asked0::new();
        let reply = forge(&one);
        one.is_answered(reply);
        assert_eq!(one.world.core(0).undecided(), 1, "{what}: it stays in doubt");
        assert!(
            one.is_unproved() && one.world.link(0, 1).is_none(),
            "{what}: it is said, the link is closed"
        );
        assert!(one.world.core(0).clock() < Time(far), "{what}");
        one.world.connect_all();
        one.world.close(0, 2);
        one.world.settle();
        let Some(Outcome::Committed(time)) = one.outcome() else {
            panic!("{what}: bank 1 ends it")
        };
        assert_eq!(time, one.theirs.time, "{what}");
    }
}

/// The words, numbers and reasons around tokens have no MAC: whatever they are changed to, the
/// tokens count.
#[test]
fn what_has_no_mac_is_not_believed() {
    let far = Time::MAX;
    type Change<'a> = &'a dyn Fn(&Asked0) -> Reply;
    let changed: [(&str, Change<'_>, bool); 6] = [
        ("a bare time", &|one| Reply::Committed(one.tx.clone(), far, one.theirs, None), true),
        (
            "OK, as ABORTED",
            &|one| Reply::Aborted(one.tx.clone(), one.theirs, Reason::Refused, None),
            true,
        ),
        (
            "OK, as NOK",
            &|one| Reply::Nok(one.tx.clone(), one.theirs, Reason::Locked, String::new()),
            true,
        ),
        ("NOK, as OK", &|one| Reply::Ok(one.tx.clone(), one.made(Said::No, None, 9)), false),
        (
            "A, in COMMITTED",
            &|one| {
                let said = one.made(Said::Aborted, digest(SETS), one.theirs.time.0);
                Reply::Committed(one.tx.clone(), far, one.theirs, Some(said))
            },
            false,
        ),
        (
            "an OK on other bytes",
            &|one| Reply::Ok(one.tx.clone(), one.made(Said::Ok, digest(OTHER), 9)),
            false,
        ),
    ];
    for (what, change, commits) in changed {
        let mut one = Asked0::new();
        let reply = change(&one);
        one.is_answered(reply);
        match one.outcome() {
            Some(Outcome::Committed(time)) if commits => {
                assert_eq!(time, one.theirs.time, "{what}")
            }
            Some(Outcome::Aborted(..)) if !commits => {}
            other => panic!("{what}: {other:?}"),
        }
        assert!(!one.is_unproved(), "{what}");
    }
}

/// A bank that takes part in what this bank drives is believed no more than one that is asked.
#[test]
fn a_bank_that_drives_believes_only_what_proves_itself() {
    for commit in [true, false] {
        let mut one = Asked0::new();
        let tx = TxId::new("driven").unwrap();
        one.world = World::new(2);
        one.world.line(0, 3, &format!("EXECUTE {tx} {SETS}"));
        let seal = one.world.identity(1).seal;
        let forged = Token {
            mac: one.theirs.mac,
            ..seal.token(one.theirs.bank, Said::Ok, &tx, digest(SETS), Time::MAX)
        };
        let reply = if commit {
            Reply::Ok(tx.clone(), forged)
        } else {
            Reply::Aborted(tx.clone(), forged, Reason::Refused, None)
        };
        let asked = Asked { tx: tx.clone(), verb: AskedVerb::Prepare };
        one.world.input(
            0,
            &Input::Answer { peer: one.theirs.bank, asked, reply: Some(reply), past: None },
        );
        assert!(one.is_unproved());
        assert!(one.world.core(0).clock() < Time::MAX);
        // It was free to refuse, and silence is what it heard.
        let refused = |seen: &Seen| match seen {
            Seen::Reply { reply: Reply::Aborted(_, token, reason, _), .. } => {
                matches!(reason, Reason::Unreachable | Reason::Locked) && token.bank.index() == 0
            }
            _ => false,
        };
        assert!(one.world.seen.iter().any(refused), "{:?}", one.world.seen);
    }
}

/// A bank that takes no part hears of an abort without who refused: it tells it, and does not say
/// who it was.
#[test]
fn a_statement_says_that_it_is_aborted_and_not_who_refused() {
    let mut world = World::new(3);
    let tx = TxId::new("t").unwrap();
    world.eager_sync = true;
    world.line(
        2,
        3,
        &format!(
            "EXECUTE {tx} {}",
            SETS.replace("set", "deposit").replace("value\":\"1\"", "account\":\"a\",\"amount\":1")
        ),
    );
    let seal = world.identity(1).seal;
    let Some(Seen::Sent { message: Message::Prepare(_, transaction), .. }) =
        world.seen.iter().find(|seen| matches!(seen, Seen::Sent { .. }))
    else {
        panic!("it drives: {:?}", world.seen)
    };
    let digest = Some(*transaction.digest());
    let peer = BankId::new(1).unwrap();
    let own = seal.token(peer, Said::Ok, &tx, digest, Time(9));
    let said = seal.token(peer, Said::Aborted, &tx, digest, Time(9));
    let asked = Asked { tx: tx.clone(), verb: AskedVerb::Prepare };
    let reply = Some(Reply::Aborted(tx.clone(), own, Reason::DuplicateId, Some(said)));
    world.seen.clear();
    world.input(2, &Input::Answer { peer, asked, reply, past: None });
    let told = |seen: &Seen| match seen {
        Seen::Reply { bank: 2, reply: Reply::Aborted(_, token, _, _), .. } => *token == said,
        _ => false,
    };
    assert!(world.seen.iter().any(told), "{:?}", world.seen);
    assert!(
        !world.seen.iter().any(|seen| matches!(seen, Seen::Recorded { bank: 2, .. })),
        "{:?}",
        world.seen
    );
}
