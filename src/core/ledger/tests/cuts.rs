//! Cuts: the ledger as of a commit time.

use super::*;

/// The balances in a cut, as `a=1 b=2`.
fn balances(ledger: &Ledger, time: i64) -> String {
    let then = ledger.cut_accounts_after(Time(time), None, usize::MAX);
    let each =
        then.into_iter().filter_map(|(number, money)| Some(format!("{number}={}", money?.0)));
    each.collect::<Vec<_>>().join(" ")
}

fn registers(ledger: &Ledger, time: i64) -> String {
    let then = ledger.cut_registers_after(Time(time), None, usize::MAX);
    let each = then.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?)));
    each.collect::<Vec<_>>().join(" ")
}

fn total(ledger: &Ledger, time: i64) -> i128 {
    ledger.cut(Time(time)).unwrap().balance_total
}

#[test]
fn a_cut_has_exactly_the_commits_up_to_its_time() {
    let mut ledger = with_accounts(&[100, 50]);
    run(&mut ledger, "t1", &across(&[debit("a", 10), credit("b", 10)]), 10);
    // Committed later, but with an earlier time.
    run(&mut ledger, "t2", &across(&[withdraw("a", 20)]), 7);
    run(&mut ledger, "t3", &across(&[credit("b", 5), deposit("b", 1)]), 10);
    assert_eq!(balances(&ledger, 0), "", "opened later");
    assert_eq!(balances(&ledger, 1), "a=100 b=50");
    assert_eq!(balances(&ledger, 6), "a=100 b=50");
    assert_eq!(balances(&ledger, 7), "a=80 b=50");
    assert_eq!(balances(&ledger, 9), "a=80 b=50");
    assert_eq!(balances(&ledger, 10), "a=70 b=66");
    assert_eq!(balances(&ledger, 1_000), "a=70 b=66");
    assert_eq!([0, 1, 7, 10].map(|time| total(&ledger, time)), [0, 150, 130, 136]);
    let cut = ledger.cut(Time(10)).unwrap();
    assert_eq!((cut.cash_in_total, cut.cash_out_total), (151, 20));
    assert_eq!((cut.transfers_in_total, cut.transfers_out_total), (15, 10));
    let page = ledger.cut_accounts_after(Time(7), Some(&number("a")), 5);
    assert_eq!(page, [(&number("b"), Some(Money(50)))]);
    assert_eq!(ledger.cut_accounts_after(Time(0), None, 1), [(&number("a"), None)], "opened later");
}

#[test]
fn a_cut_has_no_holds() {
    let mut ledger = with_accounts(&[100]);
    let before = ledger.cut(Time(5));
    hold(&mut ledger, "t1", &across(&[debit("a", 10), credit("a", 3)]));
    assert_eq!(ledger.cut(Time(5)), before);
    assert_eq!(balances(&ledger, 5), "a=100");
}

#[test]
fn a_cut_has_the_registers_as_of_its_time() {
    let mut ledger = Ledger::new();
    run(&mut ledger, "t1", &set("b", "1"), 10);
    run(&mut ledger, "t2", &set("a", "x"), 15);
    run(&mut ledger, "t3", &set("b", "2"), 20);
    run(&mut ledger, "t4", &set("b", "3"), 30);
    hold(&mut ledger, "t5", &set("b", "4"));
    let all = [5, 10, 19, 20, 29, 30].map(|time| registers(&ledger, time));
    assert_eq!(all, ["", "b=1", "a=x b=1", "a=x b=2", "a=x b=2", "a=x b=3"]);
    let after = key("a");
    assert_eq!(ledger.cut_registers_after(Time(20), Some(&after), 5).len(), 1);
    assert_eq!(ledger.cut_registers_after(Time(20), None, 1).len(), 1);
}

/// A cut older than the history is refused, whether the history was trimmed by time or by memory.
#[test]
fn a_cut_before_the_horizon_is_expired() {
    let mut ledger = with_accounts(&[10_000]);
    for n in 1..=5_000 {
        run_quietly(&mut ledger, &across(&[debit("a", 1)]), 10 * n);
    }
    assert_eq!(ledger.cut_horizon(), Time(0));
    ledger.trim_cuts(Time(20_005), usize::MAX);
    assert_eq!(ledger.cut_horizon(), Time(20_005));
    assert_eq!(ledger.cut(Time(20_004)), Err(Expired { horizon: Time(20_005) }));
    assert_eq!(total(&ledger, 20_005), 8_000);
    assert_eq!(total(&ledger, 20_010), 7_999);
    ledger.trim_cuts(Time(10), usize::MAX);
    assert_eq!(ledger.cut_horizon(), Time(20_005), "the horizon never goes back");

    let bytes = ledger.cut_bytes();
    ledger.trim_cuts(Time(0), bytes);
    assert_eq!(
        (ledger.cut_horizon(), ledger.cut_bytes()),
        (Time(20_005), bytes),
        "within its bound"
    );
    ledger.trim_cuts(Time(0), bytes - 1);
    let horizon = ledger.cut_horizon();
    assert!(horizon > Time(20_005) && horizon < Time(50_000), "{horizon}");
    assert!(ledger.cut_bytes() < bytes);
    assert_eq!(total(&ledger, horizon.0), 10_000 - i128::from(horizon.0 / 10));
    ledger.check_invariants();

    ledger.trim_cuts(Time(0), 0);
    assert_eq!((ledger.cut_horizon(), ledger.cut_bytes()), (Time(50_000), 0));
    assert_eq!(total(&ledger, 50_000), 5_000);
    // A commit that arrives late is in every possible cut.
    run_quietly(&mut ledger, &across(&[debit("a", 1)]), 49_999);
    assert_eq!(total(&ledger, 50_000), 4_999);
}

#[test]
fn the_memory_of_registers_counts() {
    let mut ledger = Ledger::new();
    run(&mut ledger, "t1", &set("k", &"v".repeat(256)), 1);
    let bytes = ledger.cut_bytes();
    run(&mut ledger, "t2", &set("k", ""), 2);
    assert!(ledger.cut_bytes() > bytes + 256, "the value before is kept");
    ledger.trim_cuts(Time(2), usize::MAX);
    assert_eq!(ledger.cut_bytes(), 0);
}

#[test]
fn after_a_snapshot_cuts_are_possible_from_a_given_time() {
    let mut ledger = with_accounts(&[100]);
    let waiting = across(&[debit("a", 1)]);
    hold(&mut ledger, "t1", &waiting);
    run(&mut ledger, "t2", &across(&[debit("a", 10)]), 20);
    let mut read = ledger_of(&bytes_of(&ledger)).unwrap();
    assert_eq!(read, ledger);
    assert!(read.cut(Time(1_000)).is_err(), "no cut is possible before the call");
    read.begin_cuts_at(Time(25));
    assert_eq!(read.cut(Time(24)), Err(Expired { horizon: Time(25) }));
    assert_eq!(total(&read, 25), 90);
    read.commit(me(), &id("t1"), &waiting, Time(30));
    assert_eq!((total(&read, 29), total(&read, 30)), (90, 89));
    read.check_invariants();
}

#[test]
fn a_page_of_an_expired_cut_panics() {
    let mut ledger = with_accounts(&[100]);
    ledger.trim_cuts(Time(10), usize::MAX);
    for page in [
        |l: &Ledger| l.cut_accounts_after(Time(9), None, 9).len(),
        |l: &Ledger| l.cut_registers_after(Time(9), None, 9).len(),
    ] {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| page(&ledger))).is_err());
    }
}

/// A bank that was down receives thousands of old commits among newer ones.
#[test]
fn old_commits_may_arrive_late() {
    let mut ledger = with_accounts(&[1_000_000]);
    let one = across(&[debit("a", 1)]);
    for n in 1..=5_000 {
        run_quietly(&mut ledger, &one, 1_000 + 2 * n);
    }
    for n in (1..=5_000).rev() {
        run_quietly(&mut ledger, &one, 1_000 + 2 * n - 1);
    }
    for _ in 0..5_000 {
        run_quietly(&mut ledger, &one, 4_000); // all with the same time
    }
    run_quietly(&mut ledger, &one, 2);
    ledger.check_invariants();
    for time in [1, 2, 1_000, 1_001, 1_002, 3_999, 4_000, 4_001, 10_999, 11_000, 20_000] {
        let commits = i128::from(time >= 2)
            + i128::from((time - 1_000).clamp(0, 10_000))
            + if time >= 4_000 { 5_000 } else { 0 };
        assert_eq!(total(&ledger, time), 1_000_000 - commits, "{time}");
        assert_eq!(balances(&ledger, time), format!("a={}", 1_000_000 - commits));
    }
}

/// No account ever had a negative balance: a history that implies one is wrong, and no cut uses it.
#[test]
fn a_history_with_a_negative_balance_panics() {
    let ledger = with_accounts(&[100]);
    let slot = AccountSlot::default();
    assert_eq!(ledger.book.accounts.at(slot, Time(5), 100), (&number("a"), Some(Money(0))));
    let stops = std::panic::AssertUnwindSafe(|| ledger.book.accounts.at(slot, Time(5), 101).1);
    let panic = std::panic::catch_unwind(stops).expect_err("it must stop");
    assert_eq!(*panic.downcast::<String>().unwrap(), "account a: its balance at 5 was -1");
}

/// Without the audit after each step.
fn run_quietly(ledger: &mut Ledger, transaction: &Transaction, time: i64) {
    ledger.hold(me(), &id("t"), transaction);
    ledger.commit(me(), &id("t"), transaction, Time(time));
}

/// Ledgers with the same content are equal whatever their history, and others are not.
#[test]
fn ledgers_are_equal_only_with_the_same_content() {
    assert!(with_accounts(&[100]) == with_accounts(&[100]));
    assert!(with_accounts(&[100]) != with_accounts(&[101]));
    assert!(with_accounts(&[100]) != with_accounts(&[100, 0]));
}
