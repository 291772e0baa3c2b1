//! A session that ends, a restart and a tick, with many undecided transactions: each step takes on
//! a bounded share, all of them are done in the end, once, and the number of steps is in
//! proportion.

use crate::scale::bank::{Bank, ops};
use crate::scale::{computed, figure, is_full, size};
use consorcio::bank::Change;
use consorcio::bank::io::{Input, Output, SessionId, Start};
use consorcio::ids::{BankId, TxId};
use consorcio::limits::{ANSWER_WITHIN_MS, RESOLVE_AFTER_MS, STEP_ITEMS_MAX, VOTE_TIMEOUT_MS};
use std::collections::BTreeSet;
use std::time::Duration;

/// The transactions that were begun to be asked about; each once.
fn asked(outputs: &[Output]) -> usize {
    let changes = outputs.iter().flat_map(|output| &output.changes);
    let asked: Vec<&TxId> = changes
        .filter_map(|change| if let Change::Ask(tx, _) = change { Some(tx) } else { None })
        .collect();
    let distinct: BTreeSet<&TxId> = asked.iter().copied().collect();
    assert_eq!(distinct.len(), asked.len(), "each is asked about once");
    asked.len()
}

/// So many steps may `count` things take; some take on a few that are gone.
fn steps_max(count: usize) -> usize {
    2 + 2 * count.div_ceil(STEP_ITEMS_MAX)
}

fn check(what: &str, bank: &Bank, count: usize, took: Duration) {
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
fn a_close_takes_on_a_share_at_a_time() {
    for (both, up) in [(true, false), (true, true), (false, false)] {
        let (mut bank, count) = (Bank::new(), size(5_000, 100_000));
        bank.prepare(count, both);
        if up {
            bank.input(&Input::PeerUp(BankId::new(1).expect("a position")));
        }
        let began = computed();
        let outputs = bank.work_off(&Input::Closed(SessionId(2)));
        let took = computed() - began;
        if both {
            assert_eq!((asked(&outputs), bank.core.undecided()), (count, count));
        } else {
            assert_eq!(
                (bank.steps.records, bank.core.undecided()),
                (count, 0),
                "one bank alone commits"
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

/// Many sessions that end at once, each with a few.
#[test]
fn many_closes_are_worked_off_in_turn() {
    let (mut bank, sessions) = (Bank::new(), size(40, 1_000));
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
    outputs.extend(bank.work_off(&Input::Tick));
    assert_eq!(asked(&outputs), sessions * each);
}

/// A PREPARE that comes over another session takes a transaction along, also while its old
/// session's end is worked off.
#[test]
fn a_transaction_that_moved_on_is_not_asked_about() {
    let mut bank = Bank::new();
    bank.prepare(2 * STEP_ITEMS_MAX, true);
    let mut outputs = vec![bank.step(&Input::Closed(SessionId(2)))];
    let last = format!("q{}", 999);
    bank.request(3, &format!("PREPARE {last} {}", ops(true)));
    outputs.extend(bank.work_off(&Input::Tick));
    assert_eq!(asked(&outputs), 2 * STEP_ITEMS_MAX - 1);
    assert_eq!(asked(&[bank.step(&Input::Closed(SessionId(3)))]), 1);
}

#[test]
fn a_restart_takes_on_a_share_at_a_time() {
    let (mut bank, count) = (Bank::new(), size(5_000, 100_000));
    bank.prepare(count, true);
    let began = computed();
    let mut again = bank.restarted();
    figure("restart: reading the snapshot", format_args!("{:?}", computed() - began));
    let began = computed();
    let mut outputs = vec![again.step(&Input::Started(Start::default()))];
    // Before it is looked at, one may be repeated, asked about by hand, and decided.
    let repeated = again.say(&format!("PREPARE q999 {}", ops(true)));
    assert!(matches!(repeated, consorcio::wire::reply::Reply::Ok(..)), "{repeated:?}");
    outputs.push(again.request(1, "COMMIT q998"));
    outputs.extend(again.work_off(&Input::Tick));
    let took = computed() - began;
    assert_eq!((asked(&outputs), again.core.undecided()), (count, count));
    check("restart", &again, count, took);
}

#[test]
fn a_tick_takes_on_a_share_at_a_time() {
    let (mut bank, count) = (Bank::new(), size(5_000, 100_000));
    bank.prepare(count, true);
    bank.now.mono_us += RESOLVE_AFTER_MS * 1_000;
    assert!(bank.core.tick_due_us() <= bank.now.mono_us);
    let began = computed();
    let outputs = bank.work_off(&Input::Tick);
    let took = computed() - began;
    assert_eq!(asked(&outputs), count);
    check("tick", &bank, count, took);
    assert_eq!(bank.work_off(&Input::Tick).len(), 1, "nothing is due twice");
}

/// Drivers that give up refuse with the bytes of their transactions, which may be long.
#[test]
fn drivers_that_give_up_fill_no_batch_past_its_bound() {
    let (mut bank, count) = (Bank::new(), size(600, 5_000));
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
    bank.work_off(&Input::Tick);
    assert_eq!(bank.steps.records, count, "each is refused, once");
}

#[test]
fn waits_that_end_are_answered_a_share_at_a_time() {
    let (mut bank, count) = (Bank::new(), size(5_000, 100_000));
    bank.prepare(1, true);
    for _ in 0..count {
        bank.request(3, "COMMIT q0");
    }
    bank.now.mono_us += ANSWER_WITHIN_MS * 1_000;
    let began = computed();
    bank.work_off(&Input::Tick);
    assert_eq!(bank.steps.replies, count);
    check("waits that end", &bank, count, computed() - began);
}
