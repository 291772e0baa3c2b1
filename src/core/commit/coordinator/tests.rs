//! What a coordinator does after each sequence of events.

use super::*;
use crate::wire::reply::Reply;
use crate::wire::token::{Digest, Seal, TokenKind, Vote};

const BOTH: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":5},"#,
    r#"{"bank":1,"op":"credit","account":"b","amount":5}]}"#
);

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn tx() -> TxId {
    TxId::new("t1").unwrap()
}

fn driver(strategy: Strategy) -> Coordinator {
    Coordinator::new(tx(), Arc::new(Transaction::parse(BOTH).unwrap()), strategy)
}

fn begin() -> Event {
    Event::Begin { unreachable: BankSet::EMPTY }
}

fn token(driver: &Coordinator, position: usize, vote: Vote, time: i64) -> Token {
    let digest = Some(*driver.transaction().digest());
    Seal::keyed([1; 32]).token(bank(position), vote, &tx(), digest, Time(time))
}

fn ok(driver: &Coordinator, position: usize, time: i64) -> Event {
    let token = token(driver, position, Vote::Ok, time);
    Event::Answered(bank(position), PeerVerb::Prepare, Answer::Believed(Reply::Ok(tx(), token)))
}

fn nok(driver: &Coordinator, position: usize) -> (Event, Token) {
    let token = token(driver, position, Vote::No, 7);
    let reply = Reply::Nok(tx(), token, Reason::InsufficientFunds, "a has 3".into());
    (Event::Answered(bank(position), PeerVerb::Prepare, Answer::Believed(reply)), token)
}

fn aborted(token: Token, position: usize) -> Event {
    let reply = Reply::Aborted(tx(), token, Reason::Refused, None);
    Event::Answered(bank(position), PeerVerb::Abort, Answer::Believed(reply))
}

/// The actions, in short form.
fn words(todo: &[Do]) -> Vec<String> {
    let word = |todo: &Do| match todo {
        Do::Send(bank, Message::Prepare(..)) => format!("PREPARE {bank}"),
        Do::Send(bank, Message::Commit(_, tokens)) => format!("COMMIT {bank} {}", tokens.len()),
        Do::Send(bank, Message::Abort(_, None)) => format!("ABORT {bank}"),
        Do::Send(bank, Message::Abort(_, Some(token))) => format!("ABORT {bank} of {}", token.bank),
        Do::Send(bank, Message::Resolve(_)) => format!("RESOLVE {bank}"),
        Do::Send(bank, Message::Registers { .. }) => format!("REGISTERS {bank}"),
        Do::VoteSelf => "vote".into(),
        Do::RefuseSelf(_) => "refuse".into(),
        Do::StartTimer => "timer".into(),
        Do::Report(Verdict::Committed(time)) => format!("committed {time}"),
        Do::Report(Verdict::Aborted { by, reason, .. }) => format!("aborted by {by} {reason}"),
        Do::Report(Verdict::Doubt(banks)) => {
            format!("doubt {:?}", banks.iter().map(|bank| bank.as_u8()).collect::<Vec<_>>())
        }
        Do::Report(Verdict::Unreached) => "unreached".into(),
    };
    todo.iter().map(word).collect()
}

#[test]
fn all_oks_commit_at_the_greatest_vote_time() {
    let mut driver = driver(Strategy::Parallel);
    assert_eq!(words(&driver.on(begin())), ["PREPARE 0", "PREPARE 1", "timer"]);
    assert!(driver.on(ok(&driver, 1, 9)).is_empty());
    assert_eq!(words(&driver.on(ok(&driver, 0, 4))), ["committed 9", "COMMIT 0 2", "COMMIT 1 2"]);
    assert!(!driver.is_done(), "it is not done before its messages are answered");
    for position in [0, 1] {
        let token = token(&driver, position, Vote::Ok, 4);
        let reply = Reply::Committed(tx(), Time(9), token, None);
        assert!(
            driver
                .on(Event::Answered(bank(position), PeerVerb::Commit, Answer::Believed(reply)))
                .is_empty()
        );
    }
    assert!(driver.is_done());
}

#[test]
fn one_refusal_aborts_all_banks() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    let (event, _) = nok(&driver, 0);
    assert_eq!(words(&driver.on(event)), ["aborted by 0 insufficient-funds", "ABORT 1 of 0"]);
    assert!(
        driver.on(ok(&driver, 1, 9)).is_empty(),
        "the ABORT was already sent behind its PREPARE"
    );
}

#[test]
fn abort_goes_to_the_silent_bank_first_and_with_its_refusal_to_the_others() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    driver.on(ok(&driver, 0, 4));
    assert_eq!(words(&driver.on(Event::TimeOut)), ["ABORT 1", "timer"]);
    let tombstone = Seal::keyed([1; 32]).token(bank(1), Vote::No, &tx(), None, Time(8));
    assert_eq!(words(&driver.on(aborted(tombstone, 1))), ["aborted by 1 refused", "ABORT 0 of 1"]);
}

#[test]
fn the_verdict_names_the_bank_that_refused_not_the_one_that_passed_it_on() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    assert_eq!(words(&driver.on(Event::TimeOut)), ["ABORT 0", "ABORT 1", "timer"]);
    let tombstone = Seal::keyed([1; 32]).token(bank(1), Vote::No, &tx(), None, Time(8));
    assert_eq!(words(&driver.on(aborted(tombstone, 0))), ["aborted by 1 refused", "ABORT 1 of 1"]);
}

#[test]
fn a_silent_bank_leaves_doubt_and_its_late_ok_still_commits() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    driver.on(ok(&driver, 0, 4));
    driver.on(Event::TimeOut);
    assert_eq!(words(&driver.on(Event::TimeOut)), ["doubt [1]"]);
    assert_eq!(
        words(&driver.on(ok(&driver, 1, 9))),
        ["COMMIT 0 2", "COMMIT 1 2"],
        "the verdict is reported once"
    );
}

#[test]
fn a_lost_connection_is_followed_by_abort_without_a_time_out() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    assert_eq!(words(&driver.on(Event::Lost(bank(1), PeerVerb::Prepare))), ["ABORT 1"]);
    assert!(driver.on(ok(&driver, 0, 4)).is_empty());
    assert_eq!(words(&driver.on(Event::Lost(bank(1), PeerVerb::Abort))), ["doubt [1]"]);
}

#[test]
fn an_err_counts_as_no_answer() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    let reply = Reply::Err(Reason::Malformed, "bad line".into());
    let event = Event::Answered(bank(0), PeerVerb::Prepare, Answer::Believed(reply));
    assert_eq!(words(&driver.on(event)), ["ABORT 0"]);
}

#[test]
fn committed_without_the_token_of_our_prepare_is_followed_by_prepare() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    driver.on(ok(&driver, 0, 4));
    driver.on(Event::Lost(bank(1), PeerVerb::Prepare));
    let own = token(&driver, 1, Vote::Ok, 9);
    let committed = Event::Answered(
        bank(1),
        PeerVerb::Abort,
        Answer::Believed(Reply::Committed(tx(), Time(9), own, None)),
    );
    assert_eq!(words(&driver.on(committed)), ["PREPARE 1"]);
    assert_eq!(words(&driver.on(ok(&driver, 1, 9))), ["committed 9", "COMMIT 0 2", "COMMIT 1 2"]);
}

/// For a driver without the key, an answer with another bank's token proves nothing.
#[test]
fn another_banks_token_counts_as_no_answer() {
    let driver = driver(Strategy::Parallel);
    let digest = *driver.transaction().digest();
    let (its, others) = (token(&driver, 1, Vote::Ok, 9), token(&driver, 0, Vote::Ok, 9));
    let nok = token(&driver, 0, Vote::No, 9);
    let refused = |token| Reply::Nok(tx(), token, Reason::Refused, String::new());
    let committed = |token| Reply::Committed(tx(), Time(9), token, None);
    let named = driver.transaction().banks();
    let concludes = |reply| Answer::believed(bank(1), PeerVerb::Prepare, named, &digest, reply);
    assert_eq!(concludes(committed(its)), Answer::RepliedCommitted(Time(9), its));
    assert_eq!(concludes(Reply::Ok(tx(), its)), Answer::Granted(vec![its]));
    for reply in [committed(others), Reply::Ok(tx(), others), refused(nok)] {
        assert_eq!(concludes(reply.clone()), Answer::Nothing, "{reply:?}");
    }
}

/// A bank that drives other bytes under the same id, which do not name it, replies with their
/// outcome: its vote on our bytes is still free. A refusal by a bank that our bytes do not name
/// proves nothing about them either.
#[test]
fn the_refusal_of_a_bank_that_is_not_named_counts_as_no_answer() {
    let driver = driver(Strategy::Parallel);
    let (named, digest) = (driver.transaction().banks(), *driver.transaction().digest());
    let concludes = |token, statement| {
        let reply = Reply::Aborted(tx(), token, Reason::Refused, statement);
        Answer::believed(bank(1), PeerVerb::Abort, named, &digest, reply)
    };
    let said = |of, said: TokenKind| {
        Seal::keyed([1; 32]).token(bank(of), said, &tx(), Some(Digest([9; 32])), Time(7))
    };
    for said in [said(2, TokenKind::No), said(2, TokenKind::Aborted), said(2, TokenKind::Ok)] {
        assert_eq!(concludes(said, None), Answer::Nothing, "{said}");
    }
    let ours = token(&driver, 1, Vote::Ok, 7);
    assert_eq!(concludes(ours, None), Answer::Nothing, "OK on these very bytes refuses nothing");
    let refused = |token, reason| Answer::Refused { token, reason, text: String::new() };
    for said in [
        said(0, TokenKind::No),
        said(0, TokenKind::Aborted),
        said(0, TokenKind::Ok),
        said(1, TokenKind::No),
    ] {
        assert_eq!(concludes(said, None), refused(said, Reason::Refused), "{said}");
    }
    let own = said(1, TokenKind::Aborted);
    assert_eq!(
        concludes(said(2, TokenKind::No), Some(own)),
        refused(own, Reason::Refused),
        "its own statement counts"
    );
}

#[test]
fn committed_for_other_bytes_refuses_ours() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    let other = Token {
        digest: Some(crate::wire::token::Digest([9; 32])),
        ..token(&driver, 1, Vote::Ok, 9)
    };
    let event = Event::Answered(
        bank(1),
        PeerVerb::Prepare,
        Answer::Believed(Reply::Committed(tx(), Time(9), other, None)),
    );
    assert_eq!(words(&driver.on(event)), ["aborted by 1 duplicate-id", "ABORT 0 of 1"]);
}

#[test]
fn an_unreachable_bank_aborts_it_before_any_bank_votes_ok() {
    let mut driver = driver(Strategy::Parallel);
    let unreachable = BankSet::EMPTY.with(bank(0));
    assert_eq!(words(&driver.on(Event::Begin { unreachable })), ["ABORT 1", "timer"]);
    let tombstone = Seal::keyed([1; 32]).token(bank(1), Vote::No, &tx(), None, Time(8));
    assert_eq!(words(&driver.on(aborted(tombstone, 1))), ["aborted by 1 refused"]);
    let mut driver = self::driver(Strategy::Parallel);
    let unreachable = BankSet::EMPTY.with(bank(0)).with(bank(1));
    assert_eq!(words(&driver.on(Event::Begin { unreachable })), ["timer", "unreached"]);
}

#[test]
fn the_last_agent_votes_last_and_can_refuse_until_then() {
    let mut driver = driver(Strategy::LastAgent(bank(0)));
    assert_eq!(words(&driver.on(begin())), ["PREPARE 1", "timer"]);
    assert_eq!(words(&driver.on(ok(&driver, 1, 9))), ["vote"]);
    let own = token(&driver, 0, Vote::Ok, 10);
    assert_eq!(words(&driver.on(Event::OwnVote(own, None))), ["committed 10", "COMMIT 1 2"]);

    let mut driver = self::driver(Strategy::LastAgent(bank(0)));
    driver.on(begin());
    assert_eq!(words(&driver.on(Event::TimeOut)), ["refuse"]);
    let own = token(&driver, 0, Vote::No, 10);
    let refusal = Some((Reason::Unreachable, String::new()));
    assert_eq!(
        words(&driver.on(Event::OwnVote(own, refusal))),
        ["aborted by 0 unreachable", "ABORT 1 of 0"]
    );
}

#[test]
fn a_last_agent_that_loses_a_bank_refuses_at_once() {
    let mut driver = driver(Strategy::LastAgent(bank(0)));
    driver.on(begin());
    assert_eq!(words(&driver.on(Event::Lost(bank(1), PeerVerb::Prepare))), ["refuse"]);
}

#[test]
fn a_last_agent_that_has_already_voted_does_not_refuse() {
    let mut driver = driver(Strategy::LastAgent(bank(0)));
    driver.on(begin());
    let own = token(&driver, 0, Vote::Ok, 3);
    assert!(driver.on(Event::OwnVote(own, None)).is_empty());
    assert_eq!(words(&driver.on(Event::TimeOut)), ["ABORT 1", "timer"], "its OK stands");
    assert_eq!(words(&driver.on(ok(&driver, 1, 9))), ["committed 9", "COMMIT 1 2"]);
}
