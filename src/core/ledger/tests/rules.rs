//! Each reason of a refusal, and each rule of holds and registers.

use super::*;

/// The message with which a step of the ledger panics.
fn panic_of(step: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(step).expect_err("it must stop");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&str>().unwrap()).to_string(),
    }
}

#[test]
fn each_refusal_has_its_reason() {
    let ledger = with_accounts(&[100, 100]);
    let reasons = [
        (transaction(&[debit("a", 5), op(7, Flow::Credit, "x", 5)]), Reason::Refused, "bank 7"),
        (
            transaction(&[debit("a", 5), op(1, Flow::Credit, "x", 4)]),
            Reason::Unbalanced,
            "debits and credits",
        ),
        (transaction(&[debit("a", 5)]), Reason::Unbalanced, "debits and credits"),
        (transaction(&[set_at(0, "k", "1"), set_at(1, "k", "1")]), Reason::Unbalanced, "register"),
        (transaction(&[0, 1, 2, 0].map(|b| set_at(b, "k", "1"))), Reason::Unbalanced, "register"),
        (
            transaction(&[set_at(0, "k", "1"), set_at(1, "k", "1"), set_at(2, "k", "2")]),
            Reason::Unbalanced,
            "register",
        ),
        (across(&[debit("zz", 5)]), Reason::UnknownAccount, "zz"),
        (across(&[deposit("zz", 5)]), Reason::UnknownAccount, "zz"),
        (across(&[debit("a", 101)]), Reason::InsufficientFunds, "account a has 100"),
        (across(&[withdraw("b", 101)]), Reason::InsufficientFunds, "account b has 100"),
        (across(&[deposit("a", i64::MAX - 99)]), Reason::Limit, "account a"),
        (across(&[credit("a", i64::MAX - 99)]), Reason::Limit, "account a"),
    ];
    for (transaction, reason, names) in reasons {
        let fault = ledger.check(me(), consortium(), &transaction).unwrap_err();
        assert_eq!(fault.reason, reason, "{fault}");
        assert!(fault.text.contains(names), "{fault}");
    }
}

#[test]
fn rules_for_the_whole_transaction_are_checked_before_local_ones() {
    let ledger = with_accounts(&[100]);
    let not_a_member = transaction(&[debit("zz", 5), op(7, Flow::Credit, "x", 4)]);
    assert_eq!(refusal(&ledger, &not_a_member), Some(Reason::Refused));
    let unbalanced = transaction(&[debit("zz", 5), op(1, Flow::Credit, "x", 4)]);
    assert_eq!(refusal(&ledger, &unbalanced), Some(Reason::Unbalanced));
    // Sums are checked after all accounts are found.
    let poor_and_unknown = across(&[debit("a", 500), debit("zz", 5)]);
    assert_eq!(refusal(&ledger, &poor_and_unknown), Some(Reason::UnknownAccount));
}

#[test]
fn a_bank_checks_only_its_own_part() {
    let ledger = with_accounts(&[100]);
    let other = transaction(&[
        debit("a", 5),
        op(1, Flow::Credit, "zz", 5),
        op(2, Flow::Withdraw, "zz", 900),
    ]);
    assert_eq!(refusal(&ledger, &other), None);
    let left: BankSet = [bank(0), bank(1)].into_iter().collect();
    let fault = ledger.check(me(), left, &other).unwrap_err();
    assert_eq!(fault.reason, Reason::Refused, "a bank that left is refused");
    let both = transaction(&[set_at(0, "k", "1"), set_at(1, "k", "1")]);
    assert_eq!(ledger.check(me(), left, &both), Ok(()), "registers no longer need it");
}

#[test]
fn a_named_cpf_must_hold_the_account() {
    let mut ledger = with_accounts(&[100]);
    ledger.add_client(&client(8), Time(1));
    ledger.open_account(&new_account("joint", &[0, 8], 50), Time(1));
    let named = |account: &str, n: u64| {
        let action = Action::Money {
            flow: Flow::Withdraw,
            account: number(account),
            cpf: Some(cpf(n)),
            amount: Money(5),
        };
        transaction(&[Op { bank: me(), action }])
    };
    assert_eq!(refusal(&ledger, &named("a", 0)), None);
    assert_eq!(refusal(&ledger, &named("a", 8)), Some(Reason::NotHolder));
    assert_eq!(refusal(&ledger, &named("joint", 0)), None);
    assert_eq!(refusal(&ledger, &named("joint", 8)), None);
    assert_eq!(refusal(&ledger, &named("joint", 9)), Some(Reason::NotHolder));
    assert_eq!(refusal(&ledger, &named("nobody", 9)), Some(Reason::UnknownAccount));
}

/// The debits of an account in one transaction are granted exactly if `available` covers their sum,
/// without the account's own credits.
#[test]
fn debits_are_checked_by_their_sum_without_own_credits() {
    let ledger = with_accounts(&[100]);
    assert_eq!(
        refusal(&ledger, &across(&[debit("a", 60), debit("a", 40)])),
        None,
        "to the last centavo"
    );
    assert_eq!(refusal(&ledger, &across(&[debit("a", 60), withdraw("a", 40)])), None);
    let over = [
        across(&[debit("a", 60), debit("a", 41)]),
        across(&[debit("a", 60), withdraw("a", 41)]),
        across(&[credit("a", 50), debit("a", 101)]),
        across(&[debit("a", 101), deposit("a", 500)]),
        across(&[debit("a", i64::MAX), withdraw("a", i64::MAX), withdraw("a", i64::MAX)]),
    ];
    for transaction in over {
        assert_eq!(
            refusal(&ledger, &transaction),
            Some(Reason::InsufficientFunds),
            "{}",
            transaction.text()
        );
    }
    // A debit of another account between them changes nothing.
    let ledger = with_accounts(&[100, 100]);
    let spread = across(&[debit("a", 60), debit("b", 100), debit("a", 41)]);
    assert_eq!(refusal(&ledger, &spread), Some(Reason::InsufficientFunds));
}

#[test]
fn holds_reserve_money_and_lock_nothing() {
    let mut ledger = with_accounts(&[100, 0]);
    let first = across(&[debit("a", 60), credit("b", 60)]);
    hold(&mut ledger, "t1", &first);
    assert_eq!(figures(&ledger, "a"), [100, 60, 40, 0]);
    assert_eq!(figures(&ledger, "b"), [0, 0, 0, 60]);
    assert_eq!(refusal(&ledger, &across(&[debit("a", 41)])), Some(Reason::InsufficientFunds));
    assert_eq!(
        refusal(&ledger, &across(&[debit("b", 1)])),
        Some(Reason::InsufficientFunds),
        "it is not committed yet"
    );
    let second = across(&[debit("a", 40)]);
    hold(&mut ledger, "t2", &second);
    assert_eq!(figures(&ledger, "a"), [100, 100, 0, 0]);
    assert_eq!(
        ledger.totals(),
        Totals { held: 100, incoming: 60, ..with_accounts(&[100, 0]).totals() }
    );

    ledger.release(me(), &id("t2"), &second);
    assert_eq!(figures(&ledger, "a"), [100, 60, 40, 0]);
    ledger.commit(me(), &id("t1"), &first, Time(5));
    assert_eq!(figures(&ledger, "a"), [40, 0, 40, 0]);
    assert_eq!(figures(&ledger, "b"), [60, 0, 60, 0]);
    ledger.check_invariants();
    let totals =
        Totals { transfers_in: 60, transfers_out: 60, ..with_accounts(&[100, 0]).totals() };
    assert_eq!(ledger.totals(), totals);
}

/// Any number of undecided transactions share a hot account, and are decided in any order.
#[test]
fn many_holds_share_a_hot_account() {
    const COUNT: usize = 1000;
    let mut ledger = with_accounts(&[1000]);
    let transactions: Vec<_> =
        (0..COUNT).map(|_| across(&[debit("a", 1), credit("a", 2), deposit("a", 3)])).collect();
    for (n, transaction) in transactions.iter().enumerate() {
        assert_eq!(refusal(&ledger, transaction), None, "{n}");
        ledger.hold(me(), &id(&format!("t{n}")), transaction);
    }
    assert_eq!(figures(&ledger, "a"), [1000, 1000, 0, 5000]);
    assert_eq!(refusal(&ledger, &transactions[0]), Some(Reason::InsufficientFunds));
    for (n, transaction) in transactions.iter().enumerate().rev() {
        let tx = id(&format!("t{n}"));
        if n % 2 == 0 {
            ledger.release(me(), &tx, transaction);
        } else {
            ledger.commit(me(), &tx, transaction, Time(10));
        }
    }
    ledger.check_invariants();
    assert_eq!(figures(&ledger, "a"), [1000 - 500 + 2500, 0, 3000, 0]);
}

/// Credits are granted if `balance + incoming + amount` fits an i64; else the reason is `limit`.
#[test]
fn credits_must_fit_together_with_all_that_is_incoming() {
    let most = i64::MAX;
    let mut ledger = with_accounts(&[100, 0]);
    assert_eq!(refusal(&ledger, &across(&[credit("a", most - 100)])), None, "to the last centavo");
    assert_eq!(
        refusal(&ledger, &across(&[credit("a", most - 100), deposit("a", 1)])),
        Some(Reason::Limit)
    );
    // Own debits make no room: they commit together, but the sum is checked without them.
    assert_eq!(
        refusal(&ledger, &across(&[debit("a", 50), credit("a", most - 99)])),
        Some(Reason::Limit)
    );
    assert_eq!(
        refusal(&ledger, &across(&[deposit("b", most), deposit("b", most)])),
        Some(Reason::Limit)
    );

    let waiting = across(&[credit("a", most - 110)]);
    hold(&mut ledger, "t1", &waiting);
    assert_eq!(refusal(&ledger, &across(&[deposit("a", 11)])), Some(Reason::Limit));
    assert_eq!(refusal(&ledger, &across(&[deposit("a", 10)])), None);
    ledger.release(me(), &id("t1"), &waiting);
    assert_eq!(refusal(&ledger, &across(&[deposit("a", 11)])), None);
    // Totals are wider than the balance of any account.
    run(&mut ledger, "t2", &across(&[deposit("a", most - 100), deposit("b", most)]), 5);
    assert_eq!(ledger.totals().balance, 2 * i128::from(most));
    assert_eq!(ledger.cut(Time(5)).unwrap().cash_in_total, 2 * i128::from(most));
}

/// An OK locks a register until the decision; a second PREPARE is refused meanwhile.
#[test]
fn a_register_is_locked_until_the_decision() {
    let mut ledger = Ledger::new();
    let storage = key("storage");
    assert_eq!((ledger.value(&storage), ledger.locked_by(&storage)), ("0", None));
    let first = set("storage", "1");
    hold(&mut ledger, "t1", &first);
    assert_eq!((ledger.value(&storage), ledger.locked_by(&storage)), ("0", Some(&id("t1"))));
    let fault = ledger.check(me(), consortium(), &set("storage", "2")).unwrap_err();
    assert_eq!(fault.reason, Reason::Locked);
    assert!(fault.text.contains("storage") && fault.text.contains("t1"), "{fault}");
    assert_eq!(refusal(&ledger, &set("other", "2")), None, "another register is free");

    ledger.release(me(), &id("t1"), &first);
    assert_eq!(ledger, Ledger::new(), "an abort undoes everything");
    run(&mut ledger, "t2", &set("storage", "2"), 5);
    assert_eq!((ledger.value(&storage), ledger.locked_by(&storage)), ("2", None));
    run(&mut ledger, "t3", &set("storage", ""), 6);
    assert_eq!(ledger.value(&storage), "", "an empty value is a value");
}

#[test]
fn a_step_that_check_would_refuse_panics() {
    let ledger = with_accounts(&[100]);
    let with = |step: fn(&mut Ledger)| {
        let mut ledger = ledger.clone();
        panic_of(std::panic::AssertUnwindSafe(move || step(&mut ledger)))
    };
    let text = with(|ledger| ledger.hold(me(), &id("t"), &across(&[debit("a", 101)])));
    assert!(
        text.contains("account a") && text.contains("101") && text.contains("Money(100)"),
        "{text}"
    );
    let text = with(|ledger| ledger.hold(me(), &id("t"), &across(&[deposit("a", i64::MAX)])));
    assert!(text.contains("account a") && text.contains("deposit"), "{text}");
    let text = with(|ledger| ledger.hold(me(), &id("t"), &across(&[deposit("zz", 1)])));
    assert!(text.contains("account zz"), "{text}");
    let text = with(|ledger| ledger.release(me(), &id("t"), &across(&[debit("a", 1)])));
    assert!(text.contains("account a"), "{text}");
    let text = with(|ledger| ledger.commit(me(), &id("t"), &across(&[credit("a", 1)]), Time(5)));
    assert!(text.contains("account a"), "{text}");
    let text = with(|ledger| {
        let early = across(&[credit("a", 1)]);
        ledger.hold(me(), &id("t"), &early);
        ledger.commit(me(), &id("t"), &early, Time(0));
    });
    assert!(text.contains("account a") && text.contains("before its opening"), "{text}");
    let text = with(|ledger| {
        ledger.hold(me(), &id("t1"), &set("k", "1"));
        ledger.hold(me(), &id("t2"), &set("k", "1"));
    });
    assert!(text.contains("register k"), "{text}");
    let text = with(|ledger| {
        ledger.hold(me(), &id("t1"), &set("k", "1"));
        ledger.commit(me(), &id("t2"), &set("k", "1"), Time(5));
    });
    assert!(text.contains("register k"), "{text}");
    let text = with(|ledger| {
        run(ledger, "t1", &set("k", "1"), 5);
        run(ledger, "t2", &set("k", "1"), 4);
    });
    assert!(text.contains("register k"), "{text}");
    let text = with(|ledger| ledger.open_account(&new_account("a", &[0], 100), Time(2)));
    assert!(text.contains("account a"), "{text}");
}

#[test]
fn the_audit_finds_wrong_sums() {
    let sound = with_accounts(&[100]);
    let audit =
        |broken: Ledger| panic_of(std::panic::AssertUnwindSafe(move || broken.check_invariants()));
    let mut broken = sound.clone();
    broken.book.sums.balance += 1;
    broken.book.sums.flows.cash_in += 1;
    assert!(audit(broken).contains("totals"));
    let mut broken = sound.clone();
    broken.book.sums.flows.transfers_in += 1;
    assert!(audit(broken).contains("add up"));
    let mut broken = sound.clone();
    broken.book.sums.held = -1;
    assert!(audit(broken).contains("totals"));
}
