//! Tests of links that are lost, refused, silent or never made.

use super::*;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

#[test]
fn a_link_that_is_cut_answers_the_rest_with_nothing_exactly_once() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        let mut zero = Bank::start(&peer.places, key(), StepLog::off(), quick());
        zero.resolve(0..10);
        let (mut session, _) = peer.open(&far).await;
        for number in 0..10 {
            assert_eq!(session.request().await, Request::Resolve(tx(number)));
        }
        session.say("UNKNOWN t0\nUNKNOWN t1\nUNKNOWN t").await;
        drop(session);
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        assert_eq!(zero.next().await, unknown(0));
        assert_eq!(zero.next().await, unknown(1));
        for number in 2..10 {
            assert_eq!(zero.next().await, answer(number, None));
        }
        assert_eq!(zero.next().await, Input::PeerDown(bank(1)));
        // It is dialled again, and works.
        let (mut session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        zero.resolve(20..21);
        assert_eq!(session.request().await, Request::Resolve(tx(20)));
        session.say("UNKNOWN t20\n").await;
        assert_eq!(zero.next().await, unknown(20));
    });
}

#[test]
fn what_is_no_answer_ends_the_link() {
    runtime().block_on(async {
        for junk in ["UNKNOWN t1\n", "hello\n", "\u{0}\n", "PONG\n", "OK t0 x\n"] {
            let peer = Peer::listen().await;
            let far = peer.acceptor(key());
            let timing = Timing { ping: DEADLINE, ..quick() };
            let mut zero = Bank::start(&peer.places, key(), StepLog::off(), timing);
            let (mut session, _) = peer.open(&far).await;
            assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
            assert_eq!(session.line().await.unwrap(), "PING");
            session.say("PONG\n").await;
            if junk != "PONG\n" {
                zero.resolve(0..2);
                assert_eq!(session.request().await, Request::Resolve(tx(0)));
            }
            session.say(junk).await;
            if junk != "PONG\n" {
                assert_eq!(zero.next().await, answer(0, None), "{junk}");
                assert_eq!(zero.next().await, answer(1, None), "{junk}");
            }
            assert_eq!(zero.next().await, Input::PeerDown(bank(1)), "{junk}");
            let why = zero.peers.status()[0].why.clone().unwrap_or_default();
            assert!(!junk.starts_with("UNKNOWN") || why.ends_with("UNKNOWN t1"), "{junk}: {why}");
        }
    });
}

#[test]
fn a_silent_peer_is_left() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        let timing = Timing { silence: Duration::from_millis(200), ..quick() };
        let mut zero = Bank::start(&peer.places, key(), StepLog::off(), timing);
        let (mut session, _) = peer.open(&far).await;
        let since = Instant::now();
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        zero.resolve(0..1);
        assert_eq!(zero.next().await, answer(0, None));
        assert!(since.elapsed() >= timing.silence);
        assert_eq!(zero.next().await, Input::PeerDown(bank(1)));
        while session.line().await.is_some() {}
    });
}

/// The next PING is due long before the peer's silence would be: the link's timer is moved back to
/// it.
#[test]
fn an_idle_link_is_measured_again_and_again() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let ping = Duration::from_millis(20);
        let timing = Timing { ping, silence: 100 * DEADLINE, ..Timing::default() };
        let zero = Bank::start(&peer.places, key(), StepLog::off(), timing);
        let far = peer.acceptor(key());
        let (mut session, _) = peer.open(&far).await;
        for _ in 0..4 {
            assert_eq!(session.line().await.as_deref(), Some("PING"));
            session.say("PONG\n").await;
        }
        drop(zero);
    });
}

#[test]
fn while_nobody_listens_messages_are_answered_with_nothing() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let places = peer.places.clone();
        drop(peer);
        let mut zero = Bank::start(&places, key(), StepLog::off(), Timing::default());
        for round in 0..50 {
            zero.resolve(round..round + 1);
            assert_eq!(zero.next().await, answer(round, None));
        }
        assert_eq!(zero.inputs.try_recv().ok(), None, "what was never up does not go down");
    });
}

#[test]
fn a_place_that_was_left_answers_nothing() {
    runtime().block_on(async {
        let places = ["127.0.0.1:9".to_owned(), "-".to_owned()];
        let mut zero = Bank::start(&places, key(), StepLog::off(), Timing::default());
        for round in 0..3 {
            zero.resolve(round..round + 1);
            assert_eq!(zero.next().await, answer(round, None));
        }
        assert_eq!(zero.peers.status(), []);
    });
}

#[test]
fn dials_that_fail_come_ever_less_often() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let timing = Timing {
            backoff_min: Duration::from_millis(20),
            backoff_max: Duration::from_millis(160),
            ..Timing::default()
        };
        let zero = Bank::start(&peer.places, key(), StepLog::off(), timing);
        drop(peer.accept().await);
        let mut last = Instant::now();
        for expected in [20, 40, 80, 160, 160] {
            // Each session is dropped at once: the dial fails.
            drop(peer.accept().await);
            let waited = last.elapsed();
            last = Instant::now();
            // At least half of the wait: the rest is jitter. A loaded machine only makes it longer;
            // what the test's own clock lost between the failure and this line is forgiven.
            assert!(
                waited >= Duration::from_millis(expected / 2 - 5),
                "{waited:?} of {expected} ms"
            );
        }
        drop(zero);
    });
}

/// A peer that takes a link, answers on it and drops it soon is dialled no sooner than one that is
/// not there; and whoever asks how the link stands is told why it is down.
#[test]
fn a_link_that_is_dropped_soon_is_not_dialled_at_once() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let timing = Timing {
            backoff_min: 100 * DEADLINE,
            backoff_max: 100 * DEADLINE,
            ..Timing::default()
        };
        let mut zero = Bank::start(&peer.places, key(), StepLog::off(), timing);
        let far = peer.acceptor(key());
        let (mut session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        assert_eq!(zero.peers.status()[0].why, None);
        zero.resolve(0..1);
        // It measures the link before it is dropped.
        assert_eq!(session.request().await, Request::Resolve(tx(0)));
        session.say("UNKNOWN t0\n").await;
        assert_eq!(zero.next().await, unknown(0));
        within("a measured latency", async {
            while zero.peers.status()[0].latency_us.is_none() {
                session.answer_pings().await;
            }
        })
        .await;
        drop(session);
        assert_eq!(zero.next().await, Input::PeerDown(bank(1)));
        let status = zero.peers.status();
        assert!(status[0].why.as_ref().is_some_and(|why| !why.is_empty()), "{status:?}");
        let again = tokio::time::timeout(Duration::from_millis(300), peer.listener.accept()).await;
        assert!(again.is_err(), "it was dialled at once");
    });
}

#[test]
fn a_peer_that_shows_itself_is_dialled_at_once() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let timing = Timing {
            backoff_min: 100 * DEADLINE,
            backoff_max: 100 * DEADLINE,
            ..Timing::default()
        };
        let mut zero = Bank::start(&peer.places, key(), StepLog::off(), timing);
        zero.resolve(0..1);
        drop(peer.accept().await);
        assert_eq!(zero.next().await, answer(0, None), "the first dial failed");

        // Bank 1 is up again and dials bank 0.
        let identity = Identity { bank: bank(1), places: peer.places.clone(), seal: key() };
        let (dialling, hello) =
            handshake::Dialling::begin(&identity, founding(1), bank(0)).unwrap();
        let mut acceptor = Acceptor::default();
        let (Reply::Done(welcome), _) = zero.peers.answer(&mut acceptor, &hello) else {
            panic!("welcome")
        };
        let (proof, _) = dialling.prove(&welcome, News::default()).unwrap();
        let (Reply::Done(_), shown) = zero.peers.answer(&mut acceptor, &proof) else {
            panic!("open")
        };
        assert_eq!(shown, [Input::PeerFounded { peer: bank(1), founding: founding(1) }]);

        let far = peer.acceptor(key());
        let _open = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
    });
}

#[test]
fn a_stranger_gets_no_link_and_the_log_says_why() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        type Change = fn(&mut Identity);
        let cases: [(&str, Seal, Change, &str); 3] = [
            ("key", key(), |one| one.seal = Seal::keyed([8; 32]), "bank 0 has another key"),
            ("number", key(), |one| one.bank = BankId::new(2).unwrap(), "this is bank 2, not 1"),
            ("left", key(), |one| one.places[0] = "-".into(), "bank 0 has left the consortium"),
        ];
        for (name, seal, change, expected) in cases {
            let mut peer = Peer::listen().await;
            peer.places.push("127.0.0.1:10".to_owned());
            let mut identity = Identity { bank: bank(1), places: peer.places.clone(), seal: key() };
            change(&mut identity);
            let far = Peers::new(identity, founding(1), StepLog::off());
            let path = folder.path().join(name);
            let steplog = StepLog::open(&path, StepLogOptions::default()).unwrap();
            let places = &peer.places[..];
            let mut zero = Bank::start(places, seal, steplog.clone(), quick());
            zero.resolve(0..1);
            for _ in 0..3 {
                // Each time it is refused, and dialled again.
                let mut session = peer.accept().await;
                while let Some(line) = session.line().await {
                    assert_eq!(session.peer(&far, &line).await, [], "{name}");
                    assert_eq!(session.acceptor.bank(), None, "{name}");
                }
            }
            assert_eq!(zero.next().await, answer(0, None), "{name}");
            assert_eq!(zero.inputs.try_recv().ok(), None, "{name}");
            let text = logged(&path, expected).await;
            assert_eq!(text.matches(expected).count(), 1, "told once: {text}");
        }
    });
}

#[test]
fn a_link_whose_answers_prove_nothing_is_closed_and_made_anew() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        let steplog = StepLog::open(&path, StepLogOptions::default()).unwrap();
        let mut zero = Bank::start(&peer.places, key(), steplog, quick());
        let (mut session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        zero.resolve(0..1);
        session.request().await;
        zero.peers.close(bank(1));
        assert_eq!(zero.next().await, answer(0, None), "what is under way stays unanswered");
        assert_eq!(zero.next().await, Input::PeerDown(bank(1)));
        peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        logged(&path, "what it answers proves nothing").await;
    });
}

#[test]
fn a_full_queue_drops_the_oldest() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        let mut zero = Bank::start(&peer.places, key(), StepLog::off(), Timing::default());
        // Nothing is polled in between, so all of them wait.
        zero.resolve(0..PEER_QUEUE_MAX + 10);
        let (_session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        for number in 0..10 {
            assert_eq!(zero.next().await, answer(number, None));
        }
    });
}

#[test]
fn a_peer_that_reads_nothing_holds_nobody_up_at_the_end() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        let timing = Timing { stop: Duration::from_millis(500), ..quick() };
        let mut zero = Bank::start(&peer.places, key(), StepLog::off(), timing);
        let (_session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        zero.resolve(0..3);
        zero.peers.shutdown();
        for number in 0..3 {
            assert_eq!(zero.next().await, answer(number, None));
        }
        assert_eq!(zero.next().await, Input::PeerDown(bank(1)));
        for task in zero.tasks {
            within("the link's end", task).await.unwrap();
        }
    });
}

#[test]
fn a_listener_that_is_no_bank_is_left_in_time() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let timing = Timing { step: Duration::from_millis(100), ..quick() };
        let mut zero = Bank::start(&peer.places, key(), StepLog::off(), timing);
        zero.resolve(0..1);
        // It accepts and says nothing.
        let (mut stream, _): (TcpStream, _) =
            within("a dial", peer.listener.accept()).await.unwrap();
        assert_eq!(zero.next().await, answer(0, None));
        let mut all = Vec::new();
        within("the end", stream.read_to_end(&mut all)).await.unwrap();
        assert!(all.starts_with(b"PEER {") && all.ends_with(b"}\n"));
    });
}

/// Each step of making a link has its own time: a far bank is linked though all of it takes longer
/// than any one may.
#[test]
fn a_far_bank_is_linked_and_the_time_is_told() {
    runtime().block_on(async {
        let peer = Peer::listen().await;
        let far = peer.acceptor(key());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let steplog = StepLog::open(&path, StepLogOptions::default()).unwrap();
        let delay = Duration::from_millis(700);
        let timing = Timing {
            step: Duration::from_millis(1_000),
            wait: Duration::from_millis(50),
            ..quick()
        };
        let mut zero = Bank::start(&peer.places, key(), steplog.clone(), timing);
        let mut session = peer.accept().await;
        // What waits too long for it is answered with nothing meanwhile, what comes later at once.
        zero.resolve(0..1);
        assert_eq!(zero.next().await, answer(0, None));
        while session.acceptor.bank().is_none() {
            let line = session.line().await.expect("the dialler waits");
            tokio::time::sleep(delay).await;
            session.peer(&far, &line).await;
        }
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)), "it is linked all the same");
        zero.resolve(2..3);
        assert_eq!(session.request().await, Request::Resolve(tx(2)));
        session.say("UNKNOWN t2\n").await;
        assert_eq!(zero.next().await, unknown(2));
        let text = logged(&path, "link-up").await;
        let line = text.lines().find(|line| line.contains("link-up")).unwrap();
        let took: u128 =
            line.split("took_us=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(took >= 2 * delay.as_micros(), "{line}");
    });
}
