//! Tests of links that are lost, refused, silent or never opened.

use super::*;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

#[test]
fn a_lost_link_answers_each_open_message_with_nothing_exactly_once() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let far = peer.acceptor(key());
        let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), quick());
        zero.resolve(0..10);
        let (mut session, _) = peer.open(&far).await;
        for number in 0..10 {
            assert_eq!(session.request().await, Request::Resolve(tx(number)));
        }
        session.send("UNKNOWN t0\nUNKNOWN t1\nUNKNOWN t").await;
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
        session.send("UNKNOWN t20\n").await;
        assert_eq!(zero.next().await, unknown(20));
    });
}

#[test]
fn an_invalid_answer_ends_the_link() {
    runtime().block_on(async {
        for junk in ["UNKNOWN t1\n", "hello\n", "\u{0}\n", "PONG\n", "OK t0 x\n"] {
            let peer = ScriptedPeer::listen().await;
            let far = peer.acceptor(key());
            let timing = Timing { ping: DEADLINE, ..quick() };
            let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), timing);
            let (mut session, _) = peer.open(&far).await;
            assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
            assert_eq!(session.line().await.unwrap(), "PING");
            session.send("PONG\n").await;
            if junk != "PONG\n" {
                zero.resolve(0..2);
                assert_eq!(session.request().await, Request::Resolve(tx(0)));
            }
            session.send(junk).await;
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
fn the_link_to_a_silent_peer_is_closed() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let far = peer.acceptor(key());
        let timing = Timing { silence: Duration::from_millis(200), ..quick() };
        let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), timing);
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

/// The next PING is due long before the end of the silence: the link moves its timer back to it.
#[test]
fn an_idle_link_is_pinged_repeatedly() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let ping = Duration::from_millis(20);
        let timing = Timing { ping, silence: 100 * DEADLINE, ..Timing::default() };
        let zero = DialingBank::start(&peer.places, key(), StepLog::off(), timing);
        let far = peer.acceptor(key());
        let (mut session, _) = peer.open(&far).await;
        for _ in 0..4 {
            assert_eq!(session.line().await.as_deref(), Some("PING"));
            session.send("PONG\n").await;
        }
        drop(zero);
    });
}

#[test]
fn without_a_listener_messages_are_answered_with_nothing() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let places = peer.places.clone();
        drop(peer);
        let mut zero = DialingBank::start(&places, key(), StepLog::off(), Timing::default());
        for round in 0..50 {
            zero.resolve(round..round + 1);
            assert_eq!(zero.next().await, answer(round, None));
        }
        assert_eq!(
            zero.inputs.try_recv().ok(),
            None,
            "a link that was never up is not reported as down"
        );
    });
}

#[test]
fn a_bank_that_left_answers_with_nothing() {
    runtime().block_on(async {
        let places = ["127.0.0.1:9".to_owned(), "-".to_owned()];
        let mut zero = DialingBank::start(&places, key(), StepLog::off(), Timing::default());
        for round in 0..3 {
            zero.resolve(round..round + 1);
            assert_eq!(zero.next().await, answer(round, None));
        }
        assert_eq!(zero.peers.status(), []);
    });
}

#[test]
fn failed_dials_back_off() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let timing = Timing {
            backoff_min: Duration::from_millis(20),
            backoff_max: Duration::from_millis(160),
            ..Timing::default()
        };
        let zero = DialingBank::start(&peer.places, key(), StepLog::off(), timing);
        drop(peer.accept().await);
        let mut last = Instant::now();
        for expected in [20, 40, 80, 160, 160] {
            // The session is dropped at once, so the dial fails.
            drop(peer.accept().await);
            let waited = last.elapsed();
            last = Instant::now();
            // At least half of the wait; the rest is jitter. A loaded machine only makes it longer.
            // 5 ms allow for the time between the failure and this line.
            assert!(
                waited >= Duration::from_millis(expected / 2 - 5),
                "{waited:?} of {expected} ms"
            );
        }
        drop(zero);
    });
}

/// A peer that accepts a link, answers over it and drops it soon is dialled as slowly as one that
/// is down; and `status` has the reason.
#[test]
fn a_link_that_is_dropped_soon_is_not_redialled_at_once() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let timing = Timing {
            backoff_min: 100 * DEADLINE,
            backoff_max: 100 * DEADLINE,
            ..Timing::default()
        };
        let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), timing);
        let far = peer.acceptor(key());
        let (mut session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        assert_eq!(zero.peers.status()[0].why, None);
        zero.resolve(0..1);
        // The round trip is measured before the link is dropped.
        assert_eq!(session.request().await, Request::Resolve(tx(0)));
        session.send("UNKNOWN t0\n").await;
        assert_eq!(zero.next().await, unknown(0));
        within("measured round trip", async {
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
        assert!(again.is_err(), "it was redialled at once");
    });
}

#[test]
fn a_peer_that_dials_is_dialled_back_at_once() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let timing = Timing {
            backoff_min: 100 * DEADLINE,
            backoff_max: 100 * DEADLINE,
            ..Timing::default()
        };
        let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), timing);
        zero.resolve(0..1);
        drop(peer.accept().await);
        assert_eq!(zero.next().await, answer(0, None), "the first dial failed");

        // Bank 1 is up again and dials bank 0.
        let identity = Identity { bank: bank(1), places: peer.places.clone(), seal: key() };
        let (dialling, hello) =
            super::super::handshake::Dialling::begin(&identity, founding(1), bank(0)).unwrap();
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
fn a_refused_peer_gets_no_link_and_the_reason_is_logged_once() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        type Change = fn(&mut Identity);
        let cases: [(&str, Seal, Change, &str); 3] = [
            ("key", key(), |one| one.seal = Seal::keyed([8; 32]), "bank 0 has another key"),
            ("number", key(), |one| one.bank = BankId::new(2).unwrap(), "this is bank 2, not 1"),
            ("left", key(), |one| one.places[0] = "-".into(), "bank 0 has left the consortium"),
        ];
        for (name, seal, change, expected) in cases {
            let mut peer = ScriptedPeer::listen().await;
            peer.places.push("127.0.0.1:10".to_owned());
            let mut identity = Identity { bank: bank(1), places: peer.places.clone(), seal: key() };
            change(&mut identity);
            let far = Peers::new(identity, founding(1), StepLog::off(), None);
            let path = folder.path().join(name);
            let steplog = StepLog::open(&path, StepLogOptions::default()).unwrap();
            let places = &peer.places[..];
            let mut zero = DialingBank::start(places, seal, steplog.clone(), quick());
            zero.resolve(0..1);
            for _ in 0..3 {
                // Each dial is refused, and another one follows.
                let mut session = peer.accept().await;
                while let Some(line) = session.line().await {
                    assert_eq!(session.answer_peer(&far, &line).await, [], "{name}");
                    assert_eq!(session.acceptor.bank(), None, "{name}");
                }
            }
            assert_eq!(zero.next().await, answer(0, None), "{name}");
            assert_eq!(zero.inputs.try_recv().ok(), None, "{name}");
            let text = logged(&path, expected).await;
            assert_eq!(text.matches(expected).count(), 1, "logged once: {text}");
        }
    });
}

#[test]
fn a_link_whose_answers_prove_nothing_is_closed_and_dialled_again() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let peer = ScriptedPeer::listen().await;
        let far = peer.acceptor(key());
        let steplog = StepLog::open(&path, StepLogOptions::default()).unwrap();
        let mut zero = DialingBank::start(&peer.places, key(), steplog, quick());
        let (mut session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        zero.resolve(0..1);
        session.request().await;
        zero.peers.close(bank(1));
        assert_eq!(
            zero.next().await,
            answer(0, None),
            "the message under way is answered with nothing"
        );
        assert_eq!(zero.next().await, Input::PeerDown(bank(1)));
        peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        logged(&path, "what it answers proves nothing").await;
    });
}

#[test]
fn a_full_queue_drops_the_oldest() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let far = peer.acceptor(key());
        let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), Timing::default());
        // The link is not polled in between, so all of them wait.
        zero.resolve(0..PEER_QUEUE_MAX + 10);
        let (_session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        for number in 0..10 {
            assert_eq!(zero.next().await, answer(number, None));
        }
    });
}

#[test]
fn a_peer_that_reads_nothing_does_not_delay_the_shutdown() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let far = peer.acceptor(key());
        let timing = Timing { stop: Duration::from_millis(500), ..quick() };
        let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), timing);
        let (_session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        zero.resolve(0..3);
        zero.peers.shutdown();
        for number in 0..3 {
            assert_eq!(zero.next().await, answer(number, None));
        }
        assert_eq!(zero.next().await, Input::PeerDown(bank(1)));
        for task in zero.tasks {
            within("end of the link", task).await.unwrap();
        }
    });
}

#[test]
fn a_listener_that_never_answers_is_dropped_in_time() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let timing = Timing { step: Duration::from_millis(100), ..quick() };
        let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), timing);
        zero.resolve(0..1);
        // It accepts and sends nothing.
        let (mut stream, _): (TcpStream, _) = within("dial", peer.listener.accept()).await.unwrap();
        assert_eq!(zero.next().await, answer(0, None));
        let mut all = Vec::new();
        within("end of the stream", stream.read_to_end(&mut all)).await.unwrap();
        assert!(all.starts_with(b"PEER {") && all.ends_with(b"}\n"));
    });
}

/// Each step of the handshake has its own time-out: the link to a far bank opens though all steps
/// together take longer than one may.
#[test]
fn a_link_to_a_far_bank_opens_and_its_duration_is_logged() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
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
        let mut zero = DialingBank::start(&peer.places, key(), steplog.clone(), timing);
        let mut session = peer.accept().await;
        // A waiting message times out meanwhile; later ones are answered with nothing at once.
        zero.resolve(0..1);
        assert_eq!(zero.next().await, answer(0, None));
        while session.acceptor.bank().is_none() {
            let line = session.line().await.expect("the dialler waits");
            tokio::time::sleep(delay).await;
            session.answer_peer(&far, &line).await;
        }
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)), "the link opens all the same");
        zero.resolve(2..3);
        assert_eq!(session.request().await, Request::Resolve(tx(2)));
        session.send("UNKNOWN t2\n").await;
        assert_eq!(zero.next().await, unknown(2));
        let text = logged(&path, "link-up").await;
        let line = text.lines().find(|line| line.contains("link-up")).unwrap();
        let took_us: u128 =
            line.split("took_us=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(took_us >= 2 * delay.as_micros(), "{line}");
    });
}
