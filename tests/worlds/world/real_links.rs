//! Which requests banks send over links, and how many at a time.

use crate::world::{Seen, World};
use consorcio_core::access::Principal;
use consorcio_core::bank::io::{CoreStep, Input, Origin, Outcome, SessionId};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::message::{Message, PeerVerb, RequestKey};
use consorcio_core::ids::{BankId, Time, TxId};
use consorcio_core::limits::QUESTIONS_UNDER_WAY_MAX;
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::{Digest, Token, TokenKind};

/// Banks 0 and 1 with an account each, and `transfers` transfers that both hold an OK on.
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

/// Lets `bank` process its whole backlog, a slice at each tick.
fn catch_up(world: &mut World, bank: usize) {
    while world.core(bank).is_behind(world.now(bank).mono_us) {
        world.tick(bank);
    }
}

fn resolves_sent(world: &mut World) -> Vec<String> {
    let resolve = |seen: Seen| match seen {
        Seen::Sent { from: 0, message: Message::Resolve(tx), .. } => Some(tx.to_string()),
        _ => None,
    };
    std::mem::take(&mut world.seen).into_iter().filter_map(resolve).collect()
}

/// RESOLVE requests to a peer wait in one queue, oldest first; a bounded number is outstanding.
#[test]
fn resolves_are_sent_oldest_first_and_bounded() {
    let all = 2 * QUESTIONS_UNDER_WAY_MAX + 100;
    let mut world = in_doubt(all);
    world.crash(1);
    world.close(0, 2);
    catch_up(&mut world, 0);
    assert!(resolves_sent(&mut world).is_empty(), "the peer is down: no RESOLVE is sent");

    world.restart(1);
    catch_up(&mut world, 1);
    world.seen.clear();
    world.connect(0, 1);
    let first = resolves_sent(&mut world);
    let oldest: Vec<String> =
        (0..QUESTIONS_UNDER_WAY_MAX).map(|number| format!("t{number}")).collect();
    assert_eq!(first, oldest);

    // Each reply lets one more request be sent.
    world.deliver(0);
    assert!(resolves_sent(&mut world).is_empty());
    let answer = world.flights.len() - 1;
    world.deliver(answer);
    assert_eq!(resolves_sent(&mut world), [format!("t{QUESTIONS_UNDER_WAY_MAX}")]);

    world.deliver_all();
    assert_eq!((world.core(0).undecided(), world.core(1).undecided()), (0, 0));
}

/// The backoff is one a peer, not one a transaction: a reply without a proof pauses all its
/// requests.
#[test]
fn a_peer_has_one_backoff() {
    let mut world = in_doubt(3 * QUESTIONS_UNDER_WAY_MAX);
    world.close(0, 2);
    catch_up(&mut world, 0);
    assert_eq!(resolves_sent(&mut world).len(), QUESTIONS_UNDER_WAY_MAX);
    let link = world.link(0, 1).unwrap();
    world.cut(link);
    assert!(
        resolves_sent(&mut world).is_empty(),
        "outstanding requests wait again, without a retry loop"
    );
    world.connect(0, 1);
    assert_eq!(
        resolves_sent(&mut world).first().map(String::as_str),
        Some("t0"),
        "not the oldest first"
    );
    world.deliver_all();
    assert_eq!(world.core(0).undecided(), 0);
}

/// A link carries only requests that a bank answers from its own state.
#[test]
fn requests_that_may_wait_are_refused_on_a_link() {
    let world = in_doubt(0);
    let link = SessionId(world.link(0, 1).unwrap());
    for line in [
        r#"EXECUTE x {"ops":[{"bank":1,"op":"deposit","account":"b","amount":1}]}"#,
        "VALUE",
        "SNAPSHOT",
        "BALANCE b",
        "INFO",
    ] {
        // The world has no message for these requests, so the test checks the core's output.
        let request = Request::parse(line).unwrap();
        let verb = request.verb().name();
        let now = world.now(1);
        let caller = consorcio_core::bank::io::Caller { session: link, slot: 0 };
        let (origin, asker) = (Origin::Link, Principal::Operator);
        let (waited_us, past) = (0, None);
        let input = Input::Request { caller, origin, asker, request, waited_us, past };
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
        panic!("not a PREPARE")
    };
    Some(*transaction.digest())
}

/// Bank 0 in doubt on a transaction that both banks hold OK on. The test makes the replies of bank
/// 1.
struct BankInDoubt {
    world: World,
    tx: TxId,
    /// Bank 1's own OK.
    theirs: Token,
}

impl BankInDoubt {
    fn new() -> BankInDoubt {
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
                panic!("no OK")
            };
            theirs = Some(token);
        }
        BankInDoubt { world, tx, theirs: theirs.unwrap() }
    }

    fn receive(&mut self, reply: Reply) {
        let asked = RequestKey { tx: self.tx.clone(), verb: PeerVerb::Resolve };
        let input = Input::Answer { peer: self.theirs.bank, asked, reply: Some(reply), past: None };
        self.world.input(0, &input);
    }

    fn token(&self, said: TokenKind, digest: Option<Digest>, time: i64) -> Token {
        self.world.identity(1).seal.token(self.theirs.bank, said, &self.tx, digest, Time(time))
    }

    fn is_unproved(&self) -> bool {
        let unproved =
            |seen: &Seen| matches!(seen, Seen::Step { bank: 0, step: CoreStep::Unproved(..) });
        self.world.seen.iter().any(unproved)
    }

    fn outcome(&self) -> Option<Outcome> {
        self.world.seen.iter().find_map(|seen| match seen {
            Seen::Recorded { bank: 0, record: Record::Decided { outcome, .. }, .. } => {
                Some(*outcome)
            }
            _ => None,
        })
    }
}

/// A forged reply without a proof leaves the bank in doubt and closes the link. The bank asks
/// again, and then the real bank 1 resolves it.
#[test]
fn a_reply_without_a_proof_changes_nothing() {
    let later =
        |one: &BankInDoubt| Token { time: Time(one.theirs.time.0 + 3_600_000_000), ..one.theirs };
    let far = Time::MAX.0;
    type Forge<'a> = &'a dyn Fn(&BankInDoubt) -> Reply;
    let forged: [(&str, Forge<'_>); 10] = [
        ("a later vote", &|one| Reply::Ok(one.tx.clone(), later(one))),
        ("a vote at the greatest time", &|one| {
            Reply::Ok(one.tx.clone(), Token { time: Time(far), ..one.theirs })
        }),
        ("no MAC", &|one| Reply::Ok(one.tx.clone(), Token { mac: None, ..one.theirs })),
        ("an OK changed to NOK", &|one| {
            Reply::Nok(
                one.tx.clone(),
                Token { kind: TokenKind::No, ..one.theirs },
                Reason::Refused,
                String::new(),
            )
        }),
        ("COMMITTED with a forged vote", &|one| {
            Reply::Committed(one.tx.clone(), one.theirs.time, later(one), None)
        }),
        ("COMMITTED before this bank's own vote", &|one| {
            let said = one.token(TokenKind::Committed, digest(SETS), 1);
            Reply::Committed(one.tx.clone(), Time(1), later(one), Some(said))
        }),
        ("ABORTED with a token that names another bank", &|one| {
            let token =
                Token { bank: BankId::new(7).unwrap(), ..one.token(TokenKind::No, None, 9) };
            Reply::Aborted(one.tx.clone(), token, Reason::Expired, None)
        }),
        ("ABORTED with this bank's own OK", &|one| {
            let own = Token { bank: BankId::new(0).unwrap(), ..one.theirs };
            Reply::Aborted(one.tx.clone(), own, Reason::Refused, None)
        }),
        ("ABORTED for another id", &|one| {
            let other = TxId::new("other").unwrap();
            let seal = one.world.identity(1).seal;
            let token = seal.token(one.theirs.bank, TokenKind::No, &other, None, Time(9));
            Reply::Aborted(one.tx.clone(), token, Reason::Refused, None)
        }),
        ("ABORTED with a statement under another token's MAC", &|one| {
            let said =
                Token { mac: one.theirs.mac, ..one.token(TokenKind::Aborted, digest(SETS), 9) };
            Reply::Aborted(one.tx.clone(), later(one), Reason::Refused, Some(said))
        }),
    ];
    for (what, forge) in forged {
        let mut one = BankInDoubt::new();
        let reply = forge(&one);
        one.receive(reply);
        assert_eq!(one.world.core(0).undecided(), 1, "{what}: the bank must stay in doubt");
        assert!(
            one.is_unproved() && one.world.link(0, 1).is_none(),
            "{what}: the fault is logged and the link closed"
        );
        assert!(one.world.core(0).clock() < Time(far), "{what}");
        one.world.connect_all();
        one.world.close(0, 2);
        one.world.deliver_all();
        let Some(Outcome::Committed(time)) = one.outcome() else {
            panic!("{what}: not resolved by bank 1")
        };
        assert_eq!(time, one.theirs.time, "{what}");
    }
}

/// The words, numbers and reasons beside tokens have no MAC and no effect: only the tokens count.
#[test]
fn words_without_a_mac_have_no_effect() {
    let far = Time::MAX;
    type Change<'a> = &'a dyn Fn(&BankInDoubt) -> Reply;
    let changed: [(&str, Change<'_>, bool); 6] = [
        ("a bare time", &|one| Reply::Committed(one.tx.clone(), far, one.theirs, None), true),
        (
            "OK relabelled as ABORTED",
            &|one| Reply::Aborted(one.tx.clone(), one.theirs, Reason::Refused, None),
            true,
        ),
        (
            "OK relabelled as NOK",
            &|one| Reply::Nok(one.tx.clone(), one.theirs, Reason::Locked, String::new()),
            true,
        ),
        (
            "NOK relabelled as OK",
            &|one| Reply::Ok(one.tx.clone(), one.token(TokenKind::No, None, 9)),
            false,
        ),
        (
            "A in COMMITTED",
            &|one| {
                let said = one.token(TokenKind::Aborted, digest(SETS), one.theirs.time.0);
                Reply::Committed(one.tx.clone(), far, one.theirs, Some(said))
            },
            false,
        ),
        (
            "an OK on other bytes",
            &|one| Reply::Ok(one.tx.clone(), one.token(TokenKind::Ok, digest(OTHER), 9)),
            false,
        ),
    ];
    for (what, change, commits) in changed {
        let mut one = BankInDoubt::new();
        let reply = change(&one);
        one.receive(reply);
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

/// A driving bank requires proofs from the participants, too.
#[test]
fn a_driving_bank_accepts_only_proofs() {
    for commit in [true, false] {
        let mut one = BankInDoubt::new();
        let tx = TxId::new("driven").unwrap();
        one.world = World::new(2);
        one.world.line(0, 3, &format!("EXECUTE {tx} {SETS}"));
        let seal = one.world.identity(1).seal;
        let forged = Token {
            mac: one.theirs.mac,
            ..seal.token(one.theirs.bank, TokenKind::Ok, &tx, digest(SETS), Time::MAX)
        };
        let reply = if commit {
            Reply::Ok(tx.clone(), forged)
        } else {
            Reply::Aborted(tx.clone(), forged, Reason::Refused, None)
        };
        let asked = RequestKey { tx: tx.clone(), verb: PeerVerb::Prepare };
        one.world.input(
            0,
            &Input::Answer { peer: one.theirs.bank, asked, reply: Some(reply), past: None },
        );
        assert!(one.is_unproved());
        assert!(one.world.core(0).clock() < Time::MAX);
        // It had not voted, so it refuses, as after silence.
        let refused = |seen: &Seen| match seen {
            Seen::Reply { reply: Reply::Aborted(_, token, reason, _), .. } => {
                matches!(reason, Reason::Unreachable | Reason::Locked) && token.bank.index() == 0
            }
            _ => false,
        };
        assert!(one.world.seen.iter().any(refused), "{:?}", one.world.seen);
    }
}

/// A bank that takes no part learns of an abort by a statement that does not name the refusing
/// bank: it reports ABORTED and records no refusing bank.
#[test]
fn a_statement_of_an_abort_does_not_name_the_refusing_bank() {
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
        panic!("bank 2 does not drive: {:?}", world.seen)
    };
    let digest = Some(*transaction.digest());
    let peer = BankId::new(1).unwrap();
    let own = seal.token(peer, TokenKind::Ok, &tx, digest, Time(9));
    let said = seal.token(peer, TokenKind::Aborted, &tx, digest, Time(9));
    let asked = RequestKey { tx: tx.clone(), verb: PeerVerb::Prepare };
    let reply = Some(Reply::Aborted(tx.clone(), own, Reason::DuplicateId, Some(said)));
    world.seen.clear();
    world.input(2, &Input::Answer { peer, asked, reply, past: None });
    let reported = |seen: &Seen| match seen {
        Seen::Reply { bank: 2, reply: Reply::Aborted(_, token, _, _), .. } => *token == said,
        _ => false,
    };
    assert!(world.seen.iter().any(reported), "{:?}", world.seen);
    assert!(
        !world.seen.iter().any(|seen| matches!(seen, Seen::Recorded { bank: 2, .. })),
        "{:?}",
        world.seen
    );
}
