//! A closed session, a restart and a tick with many undecided transactions: each step processes a
//! bounded slice, all transactions are processed exactly once, and the number of steps is
//! proportional.

use crate::scale::bank::{MeasuredBank, ops};
use crate::scale::{cpu_time, figure, is_full, size};
use consorcio::bank::Change;
use consorcio::bank::io::{Input, Output, SessionId, Start};
use consorcio::ids::{BankId, TxId};
use consorcio::limits::{ANSWER_WITHIN_MS, RESOLVE_AFTER_MS, STEP_ITEMS_MAX, VOTE_TIMEOUT_MS};
use std::collections::BTreeSet;
use std::time::Duration;

/// The number of transactions that the bank started to resolve; each only once.
fn resolved(outputs: &[Output]) -> usize {
    let changes = outputs.iter().flat_map(|output| &output.changes);
    let asked: Vec<&TxId> = changes
        .filter_map(|change| if let Change::Ask(tx, _) = change { Some(tx) } else { None })
        .collect();
    let distinct: BTreeSet<&TxId> = asked.iter().copied().collect();
    assert_eq!(distinct.len(), asked.len(), "a transaction was resolved twice");
    asked.len()
}

/// The greatest number of steps for `count` items; some steps process a few that are gone.
fn steps_max(count: usize) -> usize {
    2 + 2 * count.div_ceil(STEP_ITEMS_MAX)
}

fn check(what: &str, bank: &MeasuredBank, count: usize, took: Duration) {
    let steps = &bank.steps;
    assert!(steps.count <= steps_max(count), "{what}: {} steps for {count}", steps.count);
    assert!(steps.count >= count / STEP_ITEMS_MAX, "{what}: {} steps for {count}", steps.count);
    let longest = steps.longest;
    figure(
        what,
        format_args!("{count} in {} steps, {took:?}; the longest step {longest:?}", steps.count),
    );
    assert!(!is_full() || longest < Duration::from_millis(50), "{what}: a step took {longest:?}");
}

#[test]
fn a_close_is_processed_in_slices() {
    for (both, up) in [(true, false), (true, true), (false, false)] {
        let (mut bank, count) = (MeasuredBank::new(), size(5_000, 100_000));
        bank.prepare(count, both);
        if up {
            bank.input(&Input::PeerUp(BankId::new(1).expect("a position")));
        }
        let began = cpu_time();
        let outputs = bank.process_backlog(&Input::Closed(SessionId(2)));
        let took = cpu_time() - began;
        if both {
            assert_eq!((resolved(&outputs), bank.core.undecided()), (count, count));
        } else {
            assert_eq!(
                (bank.steps.records, bank.core.undecided()),
                (count, 0),
                "a transaction of one bank did not commit"
            );
        }
        check(
            &format!("close, {} banks, peer up: {up}", 1 + usize::from(both)),
            &bank,
            count,
            took,
        );
    }
}

/// Many sessions that close at once, each with a few transactions.
#[test]
fn many_closes_are_processed_in_order() {
    let (mut bank, sessions) = (MeasuredBank::new(), size(40, 1_000));
    let (each, ops) = (STEP_ITEMS_MAX + 10, ops(true));
    for session in 0..sessions {
        for n in 0..each {
            bank.request(100 + session as u64, &format!("PREPARE q{session}.{n} {ops}"));
        }
    }
    let mut outputs = Vec::new();
    for session in 0..sessions {
        outputs.push(bank.step(&Input::Closed(SessionId(100 + session as u64))));
    }
    outputs.extend(bank.process_backlog(&Input::Tick));
    assert_eq!(resolved(&outputs), sessions * each);
}

/// A PREPARE over another session takes over a transaction, even while its old session's close is
/// processed.
#[test]
fn a_transaction_that_changed_its_session_is_not_resolved() {
    let mut bank = MeasuredBank::new();
    bank.prepare(2 * STEP_ITEMS_MAX, true);
    let mut outputs = vec![bank.step(&Input::Closed(SessionId(2)))];
    let last = format!("q{}", 999);
    bank.request(3, &format!("PREPARE {last} {}", ops(true)));
    outputs.extend(bank.process_backlog(&Input::Tick));
    assert_eq!(resolved(&outputs), 2 * STEP_ITEMS_MAX - 1);
    assert_eq!(resolved(&[bank.step(&Input::Closed(SessionId(3)))]), 1);
}

#[test]
fn a_restart_is_processed_in_slices() {
    let (mut bank, count) = (MeasuredBank::new(), size(5_000, 100_000));
    bank.prepare(count, true);
    let began = cpu_time();
    let mut again = bank.restarted();
    figure("restart: reading the snapshot", format_args!("{:?}", cpu_time() - began));
    let began = cpu_time();
    let mut outputs = vec![again.step(&Input::Started(Start::default()))];
    // Before its slice a transaction may be repeated, resolved by hand, and decided.
    let repeated = again.send(&format!("PREPARE q999 {}", ops(true)));
    assert!(matches!(repeated, consorcio::wire::reply::Reply::Ok(..)), "{repeated:?}");
    outputs.push(again.request(1, "COMMIT q998"));
    outputs.extend(again.process_backlog(&Input::Tick));
    let took = cpu_time() - began;
    assert_eq!((resolved(&outputs), again.core.undecided()), (count, count));
    check("restart", &again, count, took);
}

#[test]
fn a_tick_is_processed_in_slices() {
    let (mut bank, count) = (MeasuredBank::new(), size(5_000, 100_000));
    bank.prepare(count, true);
    bank.now.mono_us += RESOLVE_AFTER_MS * 1_000;
    assert!(bank.core.tick_due_us() <= bank.now.mono_us);
    let began = cpu_time();
    let outputs = bank.process_backlog(&Input::Tick);
    let took = cpu_time() - began;
    assert_eq!(resolved(&outputs), count);
    check("tick", &bank, count, took);
    assert_eq!(bank.process_backlog(&Input::Tick).len(), 1, "a timer fired twice");
}

/// Drivers that time out record refusals with the bytes of their transactions, which may be long.
#[test]
fn timed_out_drivers_keep_batches_within_their_bound() {
    let (mut bank, count) = (MeasuredBank::new(), size(600, 5_000));
    bank.input(&Input::PeerUp(BankId::new(1).expect("a position")));
    let credit = |n: usize| {
        format!(r#"{{"bank":1,"op":"deposit","account":"{n}{}","amount":1}}"#, "é".repeat(30))
    };
    let there: Vec<String> = (0..60).map(credit).collect();
    let here = r#"{"bank":0,"op":"deposit","account":"1","amount":1}"#;
    for n in 0..count {
        bank.request(2, &format!(r#"EXECUTE e{n} {{"ops":[{here},{}]}}"#, there.join(",")));
    }
    bank.now.mono_us += VOTE_TIMEOUT_MS * 1_000;
    bank.process_backlog(&Input::Tick);
    assert_eq!(bank.steps.records, count, "not every transaction is refused once");
}

#[test]
fn ended_waits_are_answered_in_slices() {
    let (mut bank, count) = (MeasuredBank::new(), size(5_000, 100_000));
    bank.prepare(1, true);
    for _ in 0..count {
        bank.request(3, "COMMIT q0");
    }
    bank.now.mono_us += ANSWER_WITHIN_MS * 1_000;
    let began = cpu_time();
    bank.process_backlog(&Input::Tick);
    assert_eq!(bank.steps.replies, count);
    check("waits that end", &bank, count, cpu_time() - began);
}
