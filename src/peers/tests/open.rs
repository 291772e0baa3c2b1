//! Tests of links that work: order, bounds, news, the step log, and the end of the process.

use super::*;

#[test]
fn an_opened_link_shows_each_side_its_known_votes() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let far = peer.acceptor(key());
        know(&far, 70);
        let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), Timing::default());
        know(&zero.peers, 60);
        assert!(!zero.peers.status()[0].online);
        let (mut session, inputs) = peer.open(&far).await;
        assert_eq!(inputs, [shown(0, 1, 60)]);
        assert_eq!(session.acceptor.origin(), consorcio_core::bank::io::Origin::Link);
        assert_eq!(zero.next().await, shown(1, 0, 70));
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        assert!(zero.peers.status()[0].online);

        // The link measures its round trip, and both sides send news.
        assert_eq!(session.line().await.unwrap(), "PING");
        session.send("PONG\n").await;
        know(&far, 80);
        know(&zero.peers, 90);
        let line = loop {
            let line = session.line().await.unwrap();
            if line != "PING" {
                break line;
            }
            session.send("PONG\n").await;
        };
        assert_eq!(session.answer_peer(&far, &line).await, [shown(0, 1, 90)]);
        assert_eq!(zero.next().await, shown(1, 0, 80));
        assert!(zero.peers.status()[0].latency_us.is_some());
    });
}

/// A vote that becomes known right after the last news is sent later by the timer alone.
#[test]
fn delayed_news_is_sent_without_another_event() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let far = peer.acceptor(key());
        let (news, never) = (Duration::from_millis(300), 100 * DEADLINE);
        let timing = Timing { news, ping: never, silence: never, ..Timing::default() };
        let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), timing);
        let (mut session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        assert_eq!(session.line().await.as_deref(), Some("PING"));
        session.send("PONG\n").await;
        know(&far, 80);
        for time in [90, 91] {
            know(&zero.peers, time);
            let line = session.line().await.expect("news");
            assert_eq!(session.answer_peer(&far, &line).await, [shown(0, 1, time)]);
            if time == 90 {
                // Its answer is read before the next news is due.
                assert_eq!(zero.next().await, shown(1, 0, 80));
            }
        }
    });
}

#[test]
fn thousands_of_messages_and_answers_keep_their_order() {
    const COUNT: usize = 5_000;
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let far = peer.acceptor(key());
        let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), Timing::default());
        zero.resolve(0..COUNT); // while it is being dialled
        let server = async {
            let (mut session, _) = peer.open(&far).await;
            let mut read = 0;
            while read < COUNT {
                // One write answers many requests.
                let mut answers = String::new();
                for _ in 0..100.min(COUNT - read) {
                    assert_eq!(session.request().await, Request::Resolve(tx(read)));
                    answers += &format!("UNKNOWN t{read}\n");
                    read += 1;
                }
                session.send(&answers).await;
            }
            session
        };
        let client = async {
            assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
            for number in 0..COUNT {
                assert_eq!(zero.next().await, unknown(number));
            }
        };
        tokio::join!(server, client);
    });
}

/// The requests under way to a peer are bounded; the next ones leave as answers arrive.
#[test]
fn no_more_is_sent_than_may_be_under_way() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let far = peer.acceptor(key());
        let zero = DialingBank::start(&peer.places, key(), StepLog::off(), Timing::default());
        zero.resolve(0..SESSION_REQUESTS_MAX + 10); // while it is being dialled
        let (mut session, _) = peer.open(&far).await;
        // A PING may be under way too, and counts until it is answered.
        for number in 0..SESSION_REQUESTS_MAX - 1 {
            assert_eq!(session.request().await, Request::Resolve(tx(number)));
        }
        let mut more = 0;
        while let Ok(request) =
            tokio::time::timeout(Duration::from_millis(300), session.request()).await
        {
            assert_eq!(request, Request::Resolve(tx(SESSION_REQUESTS_MAX - 1 + more)));
            more += 1;
        }
        assert!(more <= 1, "{more} more requests without an answer");
        session.send("UNKNOWN t0\nUNKNOWN t1\n").await;
        assert_eq!(session.request().await, Request::Resolve(tx(SESSION_REQUESTS_MAX - 1 + more)));
    });
}

#[test]
fn every_verb_is_sent_and_every_answer_received() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let far = peer.acceptor(key());
        let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), Timing::default());
        let (mut session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        let token = key().token(bank(1), Vote::Ok, &tx(1), Some(Digest::of(b"{}")), Time(5));
        zero.peers.send(bank(1), Message::Commit(tx(1), vec![token]));
        zero.peers.send(bank(1), Message::Abort(tx(2), None));
        zero.peers.send(bank(1), Message::Abort(tx(1), Some(token)));
        assert_eq!(session.request().await, Request::Commit(tx(1), vec![token]));
        assert_eq!(session.request().await, Request::Abort(tx(2), None));
        assert_eq!(session.request().await, Request::Abort(tx(1), Some(token)));
        let replies = [
            Reply::Committed(tx(1), Time(6), token, None),
            Reply::Aborted(tx(2), token, Reason::Refused, None),
            // An ERR names no transaction; the core decides what it means.
            Reply::Err(Reason::Limit, "no".to_owned()),
        ];
        for reply in &replies {
            session.reply(reply).await;
        }
        for (reply, verb) in
            replies.into_iter().zip([PeerVerb::Commit, PeerVerb::Abort, PeerVerb::Abort])
        {
            let Input::Answer { asked, reply: received, .. } = zero.next().await else {
                panic!("not an answer")
            };
            assert_eq!((asked.verb, received), (verb, Some(reply)));
        }
    });
}

#[test]
fn the_step_log_has_each_message_and_answer() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let peer = ScriptedPeer::listen().await;
        let far = peer.acceptor(key());
        let steplog = StepLog::open(
            &path,
            StepLogOptions { places: peer.places.clone(), ..StepLogOptions::default() },
        );
        let mut zero = DialingBank::start(&peer.places, key(), steplog.unwrap(), Timing::default());
        zero.resolve(0..1);
        let (mut session, _) = peer.open(&far).await;
        session.request().await;
        session.send("UNKNOWN t0\n").await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        assert_eq!(zero.next().await, unknown(0));
        drop((session, peer));
        let text = logged(&path, "link-down").await;
        let events: Vec<_> =
            text.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(events[..4], ["link-up", "ask", "answer", "link-down"], "{text}");
    });
}

#[test]
fn messages_sent_before_the_shutdown_are_delivered_and_answered() {
    runtime().block_on(async {
        let peer = ScriptedPeer::listen().await;
        let far = peer.acceptor(key());
        let mut zero = DialingBank::start(&peer.places, key(), StepLog::off(), Timing::default());
        let (mut session, _) = peer.open(&far).await;
        assert_eq!(zero.next().await, Input::PeerUp(bank(1)));
        zero.resolve(0..3);
        zero.peers.shutdown();
        for number in 0..3 {
            assert_eq!(session.request().await, Request::Resolve(tx(number)));
            session.send(&format!("UNKNOWN t{number}\n")).await;
            assert_eq!(zero.next().await, unknown(number));
        }
        assert_eq!(zero.next().await, Input::PeerDown(bank(1)));
        for task in zero.tasks {
            within("end of the link", task).await.unwrap();
        }
        assert_eq!(session.line().await, None);
    });
}
