//! A driver's stories: what it does after what.

use super::*;
use crate::wire::reply::Reply;
use crate::wire::token::{Digest, Said, Seal, Verdict as Vote};

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
    Event::Answered(bank(position), AskedVerb::Prepare, Answer::Believed(Reply::Ok(tx(), token)))
}

fn nok(driver: &Coordinator, position: usize) -> (Event, Token) {
    let token = token(driver, position, Vote::No, 7);
    let reply = Reply::Nok(tx(), token, Reason::InsufficientFunds, "a has 3".into());
    (Event::Answered(bank(position), AskedVerb::Prepare, Answer::Believed(reply)), token)
}

fn aborted(token: Token, position: usize) -> Event {
    let reply = Reply::Aborted(tx(), token, Reason::Refused, None);
    Event::Answered(bank(position), AskedVerb::Abort, Answer::Believed(reply))
}

/// What is to be done, in short words.
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
        Do::Tell(Verdict::Committed(time)) => format!("committed {time}"),
        Do::Tell(Verdict::Aborted { by, reason, .. }) => format!("aborted by {by} {reason}"),
        Do::Tell(Verdict::Doubt(banks)) => {
            format!("doubt {:?}", banks.iter().map(|bank| bank.as_u8()).collect::<Vec<_>>())
        }
        Do::Tell(Verdict::Unreached) => "unreached".into(),
    };
    todo.iter().map(word).collect()
}

#[test]
fn all_oks_commit_at_the_greatest_vote_time() {
    let mut driver = driver(Strategy::Parallel);
    assert_eq!(words(&driver.on(begin())), ["PREPARE 0", "PREPARE 1", "timer"]);
    assert!(driver.on(ok(&driver, 1, 9)).is_empty());
    assert_eq!(words(&driver.on(ok(&driver, 0, 4))), ["committed 9", "COMMIT 0 2", "COMMIT 1 2"]);
    assert!(!driver.is_done(), "a driver about to leave waits for the answers");
    for position in [0, 1] {
        let token = token(&driver, position, Vote::Ok, 4);
        let reply = Reply::Committed(tx(), Time(9), token, None);
        assert!(
            driver
                .on(Event::Answered(bank(position), AskedVerb::Commit, Answer::Believed(reply)))
                .is_empty()
        );
    }
    assert!(driver.is_done());
}

#[test]
fn one_refusal_aborts_everyone_and_a_late_ok_is_told_of_it() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    let (event, _) = nok(&driver, 0);
    assert_eq!(words(&driver.on(event)), ["aborted by 0 insufficient-funds", "ABORT 1 of 0"]);
    assert!(driver.on(ok(&driver, 1, 9)).is_empty(), "the ABORT is under way behind its PREPARE");
}

#[test]
fn a_silent_bank_is_sent_abort_alone_and_the_others_only_with_its_answer() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    driver.on(ok(&driver, 0, 4));
    assert_eq!(words(&driver.on(Event::TimeOut)), ["ABORT 1", "timer"]);
    let tombstone = Seal::keyed([1; 32]).token(bank(1), Vote::No, &tx(), None, Time(8));
    assert_eq!(words(&driver.on(aborted(tombstone, 1))), ["aborted by 1 refused", "ABORT 0 of 1"]);
}

#[test]
fn a_bank_that_passes_on_a_refusal_is_not_who_refused() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    assert_eq!(words(&driver.on(Event::TimeOut)), ["ABORT 0", "ABORT 1", "timer"]);
    let tombstone = Seal::keyed([1; 32]).token(bank(1), Vote::No, &tx(), None, Time(8));
    assert_eq!(words(&driver.on(aborted(tombstone, 0))), ["aborted by 1 refused", "ABORT 1 of 1"]);
}

#[test]
fn a_bank_that_stays_silent_leaves_doubt_and_a_late_ok_still_commits() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    driver.on(ok(&driver, 0, 4));
    driver.on(Event::TimeOut);
    assert_eq!(words(&driver.on(Event::TimeOut)), ["doubt [1]"]);
    assert_eq!(
        words(&driver.on(ok(&driver, 1, 9))),
        ["COMMIT 0 2", "COMMIT 1 2"],
        "told once only"
    );
}

#[test]
fn a_lost_connection_is_given_up_at_once() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    assert_eq!(words(&driver.on(Event::Lost(bank(1), AskedVerb::Prepare))), ["ABORT 1"]);
    assert!(driver.on(ok(&driver, 0, 4)).is_empty());
    assert_eq!(words(&driver.on(Event::Lost(bank(1), AskedVerb::Abort))), ["doubt [1]"]);
}

#[test]
fn err_counts_as_silence() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    let reply = Reply::Err(Reason::Malformed, "what".into());
    let event = Event::Answered(bank(0), AskedVerb::Prepare, Answer::Believed(reply));
    assert_eq!(words(&driver.on(event)), ["ABORT 0"]);
}

#[test]
fn committed_without_our_own_oks_token_is_asked_for_again() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    driver.on(ok(&driver, 0, 4));
    driver.on(Event::Lost(bank(1), AskedVerb::Prepare));
    let own = token(&driver, 1, Vote::Ok, 9);
    let committed = Event::Answered(
        bank(1),
        AskedVerb::Abort,
        Answer::Believed(Reply::Committed(tx(), Time(9), own, None)),
    );
    assert_eq!(words(&driver.on(committed)), ["PREPARE 1"]);
    assert_eq!(words(&driver.on(ok(&driver, 1, 9))), ["committed 9", "COMMIT 0 2", "COMMIT 1 2"]);
}

/// Without a key, what a bank answers with another bank's token says nothing of its own vote.
#[test]
fn another_banks_token_counts_as_silence() {
    let driver = driver(Strategy::Parallel);
    let digest = *driver.transaction().digest();
    let (its, others) = (token(&driver, 1, Vote::Ok, 9), token(&driver, 0, Vote::Ok, 9));
    let nok = token(&driver, 0, Vote::No, 9);
    let refused = |token| Reply::Nok(tx(), token, Reason::Refused, String::new());
    let committed = |token| Reply::Committed(tx(), Time(9), token, None);
    let named = driver.transaction().banks();
    let takes = |reply| Answer::believed(bank(1), AskedVerb::Prepare, named, &digest, reply);
    assert_eq!(takes(committed(its)), Answer::SaysCommitted(Time(9), its));
    assert_eq!(takes(Reply::Ok(tx(), its)), Answer::Granted(vec![its]));
    for reply in [committed(others), Reply::Ok(tx(), others), refused(nok)] {
        assert_eq!(takes(reply.clone()), Answer::Nothing, "{reply:?}");
    }
}

/// A bank that drives other bytes under the same id, which do not name it, tells how those ended:
/// its own vote on ours is still free, and what a bank that ours do not name has voted says nothing
/// of them.
#[test]
fn the_refusal_of_a_bank_that_is_not_named_counts_as_silence() {
    let driver = driver(Strategy::Parallel);
    let (named, digest) = (driver.transaction().banks(), *driver.transaction().digest());
    let takes = |token, statement| {
        let reply = Reply::Aborted(tx(), token, Reason::Refused, statement);
        Answer::believed(bank(1), AskedVerb::Abort, named, &digest, reply)
    };
    let said = |of, said: Said| {
        Seal::keyed([1; 32]).token(bank(of), said, &tx(), Some(Digest([9; 32])), Time(7))
    };
    for said in [said(2, Said::No), said(2, Said::Aborted), said(2, Said::Ok)] {
        assert_eq!(takes(said, None), Answer::Nothing, "{said}");
    }
    let ours = token(&driver, 1, Vote::Ok, 7);
    assert_eq!(takes(ours, None), Answer::Nothing, "OK on these very bytes refuses nothing");
    let refused = |token, reason| Answer::Refused { token, reason, text: String::new() };
    for said in [said(0, Said::No), said(0, Said::Aborted), said(0, Said::Ok), said(1, Said::No)] {
        assert_eq!(takes(said, None), refused(said, Reason::Refused), "{said}");
    }
    let own = said(1, Said::Aborted);
    assert_eq!(
        takes(said(2, Said::No), Some(own)),
        refused(own, Reason::Refused),
        "its own statement is"
    );
}

#[test]
fn committed_for_other_bytes_is_a_refusal_of_ours() {
    let mut driver = driver(Strategy::Parallel);
    driver.on(begin());
    let other = Token {
        digest: Some(crate::wire::token::Digest([9; 32])),
        ..token(&driver, 1, Vote::Ok, 9)
    };
    let event = Event::Answered(
        bank(1),
        AskedVerb::Prepare,
        Answer::Believed(Reply::Committed(tx(), Time(9), other, None)),
    );
    assert_eq!(words(&driver.on(event)), ["aborted by 1 duplicate-id", "ABORT 0 of 1"]);
}

#[test]
fn a_bank_that_cannot_be_reached_ends_it_before_anything_is_held() {
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
fn the_last_agent_votes_last_and_may_refuse_until_then() {
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
fn a_last_agent_that_loses_a_bank_refuses_at_once_and_is_in_no_doubt() {
    let mut driver = driver(Strategy::LastAgent(bank(0)));
    driver.on(begin());
    assert_eq!(words(&driver.on(Event::Lost(bank(1), AskedVerb::Prepare))), ["refuse"]);
}

#[test]
fn a_last_agent_that_was_made_to_vote_early_does_not_refuse_any_more() {
    let mut driver = driver(Strategy::LastAgent(bank(0)));
    driver.on(begin());
    let own = token(&driver, 0, Vote::Ok, 3);
    assert!(driver.on(Event::OwnVote(own, None)).is_empty());
    assert_eq!(words(&driver.on(Event::TimeOut)), ["ABORT 1", "timer"], "its OK stands");
    assert_eq!(words(&driver.on(ok(&driver, 1, 9))), ["committed 9", "COMMIT 1 2"]);
}
