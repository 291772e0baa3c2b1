//! Each reason, each rule of holds, registers, clients and accounts.

use super::*;

/// What a step of the ledger stops the program with.
fn panic_of(step: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(step).expect_err("it must stop");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&str>().unwrap()).to_string(),
    }
}

#[test]
fn what_is_refused_and_why() {
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
fn what_is_wrong_with_the_whole_comes_before_what_is_wrong_here() {
    let ledger = with_accounts(&[100]);
    let stranger = transaction(&[debit("zz", 5), op(7, Flow::Credit, "x", 4)]);
    assert_eq!(verdict(&ledger, &stranger), Some(Reason::Refused));
    let unbalanced = transaction(&[debit("zz", 5), op(1, Flow::Credit, "x", 4)]);
    assert_eq!(verdict(&ledger, &unbalanced), Some(Reason::Unbalanced));
    // Sums are looked at after all names are found.
    let poor_and_unknown = across(&[debit("a", 500), debit("zz", 5)]);
    assert_eq!(verdict(&ledger, &poor_and_unknown), Some(Reason::UnknownAccount));
}

#[test]
fn a_bank_looks_at_its_own_part_only() {
    let ledger = with_accounts(&[100]);
    let other = transaction(&[
        debit("a", 5),
        op(1, Flow::Credit, "zz", 5),
        op(2, Flow::Withdraw, "zz", 900),
    ]);
    assert_eq!(verdict(&ledger, &other), None);
    let left: BankSet = [bank(0), bank(1)].into_iter().collect();
    let fault = ledger.check(me(), left, &other).unwrap_err();
    assert_eq!(fault.reason, Reason::Refused, "a bank that left is refused");
    let both = transaction(&[set_at(0, "k", "1"), set_at(1, "k", "1")]);
    assert_eq!(ledger.check(me(), left, &both), Ok(()), "and registers no longer need it");
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
    assert_eq!(verdict(&ledger, &named("a", 0)), None);
    assert_eq!(verdict(&ledger, &named("a", 8)), Some(Reason::NotHolder));
    assert_eq!(verdict(&ledger, &named("joint", 0)), None);
    assert_eq!(verdict(&ledger, &named("joint", 8)), None);
    assert_eq!(verdict(&ledger, &named("joint", 9)), Some(Reason::NotHolder));
    assert_eq!(verdict(&ledger, &named("nobody", 9)), Some(Reason::UnknownAccount));
}

/// ▲ The debits of an account in one transaction are granted by their sum, without its own credits,
/// exactly when `available` covers it.
#[test]
fn debits_are_granted_by_their_sum_without_own_credits() {
    let ledger = with_accounts(&[100]);
    assert_eq!(
        verdict(&ledger, &across(&[debit("a", 60), debit("a", 40)])),
        None,
        "to the last centavo"
    );
    assert_eq!(verdict(&ledger, &across(&[debit("a", 60), withdraw("a", 40)])), None);
    let over = [
        across(&[debit("a", 60), debit("a", 41)]),
        across(&[debit("a", 60), withdraw("a", 41)]),
        across(&[credit("a", 50), debit("a", 101)]),
        across(&[debit("a", 101), deposit("a", 500)]),
        across(&[debit("a", i64::MAX), withdraw("a", i64::MAX), withdraw("a", i64::MAX)]),
    ];
    for transaction in over {
        assert_eq!(
            verdict(&ledger, &transaction),
            Some(Reason::InsufficientFunds),
            "{}",
            transaction.text()
        );
    }
    // A debit of another account between them changes nothing.
    let ledger = with_accounts(&[100, 100]);
    let spread = across(&[debit("a", 60), debit("b", 100), debit("a", 41)]);
    assert_eq!(verdict(&ledger, &spread), Some(Reason::InsufficientFunds));
}

#[test]
fn holds_are_promises_and_not_locks() {
    let mut ledger = with_accounts(&[100, 0]);
    let first = across(&[debit("a", 60), credit("b", 60)]);
    hold(&mut ledger, "t1", &first);
    assert_eq!(figures(&ledger, "a"), [100, 60, 40, 0]);
    assert_eq!(figures(&ledger, "b"), [0, 0, 0, 60]);
    assert_eq!(verdict(&ledger, &across(&[debit("a", 41)])), Some(Reason::InsufficientFunds));
    assert_eq!(
        verdict(&ledger, &across(&[debit("b", 1)])),
        Some(Reason::InsufficientFunds),
        "not yet there"
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
    ledger.settle(me(), &id("t1"), &first, Time(5));
    assert_eq!(figures(&ledger, "a"), [40, 0, 40, 0]);
    assert_eq!(figures(&ledger, "b"), [60, 0, 60, 0]);
    ledger.check_invariants();
    let totals =
        Totals { transfers_in: 60, transfers_out: 60, ..with_accounts(&[100, 0]).totals() };
    assert_eq!(ledger.totals(), totals);
}

/// ▲ Any number of undecided transactions share a hot account, and end in any order.
#[test]
fn many_holds_share_a_hot_account() {
    const COUNT: usize = 1000;
    let mut ledger = with_accounts(&[1000]);
    let transactions: Vec<_> =
        (0..COUNT).map(|_| across(&[debit("a", 1), credit("a", 2), deposit("a", 3)])).collect();
    for (n, transaction) in transactions.iter().enumerate() {
        assert_eq!(verdict(&ledger, transaction), None, "{n}");
        ledger.hold(me(), &id(&format!("t{n}")), transaction);
    }
    assert_eq!(figures(&ledger, "a"), [1000, 1000, 0, 5000]);
    assert_eq!(verdict(&ledger, &transactions[0]), Some(Reason::InsufficientFunds));
    for (n, transaction) in transactions.iter().enumerate().rev() {
        let tx = id(&format!("t{n}"));
        if n % 2 == 0 {
            ledger.release(me(), &tx, transaction);
        } else {
            ledger.settle(me(), &tx, transaction, Time(10));
        }
    }
    ledger.check_invariants();
    assert_eq!(figures(&ledger, "a"), [1000 - 500 + 2500, 0, 3000, 0]);
}

/// ▲ Credits are granted when `balance + incoming + amount` fits an i64, else `limit`.
#[test]
fn credits_must_fit_together_with_all_that_is_awaited() {
    let most = i64::MAX;
    let mut ledger = with_accounts(&[100, 0]);
    assert_eq!(verdict(&ledger, &across(&[credit("a", most - 100)])), None, "to the last centavo");
    assert_eq!(
        verdict(&ledger, &across(&[credit("a", most - 100), deposit("a", 1)])),
        Some(Reason::Limit)
    );
    // Own debits make no room: they may commit only together, but the sum is asked without them.
    assert_eq!(
        verdict(&ledger, &across(&[debit("a", 50), credit("a", most - 99)])),
        Some(Reason::Limit)
    );
    assert_eq!(
        verdict(&ledger, &across(&[deposit("b", most), deposit("b", most)])),
        Some(Reason::Limit)
    );

    let waiting = across(&[credit("a", most - 110)]);
    hold(&mut ledger, "t1", &waiting);
    assert_eq!(verdict(&ledger, &across(&[deposit("a", 11)])), Some(Reason::Limit));
    assert_eq!(verdict(&ledger, &across(&[deposit("a", 10)])), None);
    ledger.release(me(), &id("t1"), &waiting);
    assert_eq!(verdict(&ledger, &across(&[deposit("a", 11)])), None);
    // Totals are wider than any account.
    run(&mut ledger, "t2", &across(&[deposit("a", most - 100), deposit("b", most)]), 5);
    assert_eq!(ledger.totals().balance, 2 * i128::from(most));
    assert_eq!(ledger.cut(Time(5)).unwrap().cash_in_total, 2 * i128::from(most));
}

/// ▲ A register is locked by an OK until the decision; a second PREPARE meanwhile is refused.
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
    assert_eq!(verdict(&ledger, &set("other", "2")), None, "another register is free");

    ledger.release(me(), &id("t1"), &first);
    assert_eq!(ledger, Ledger::new(), "an abort leaves nothing behind");
    run(&mut ledger, "t2", &set("storage", "2"), 5);
    assert_eq!((ledger.value(&storage), ledger.locked_by(&storage)), ("2", None));
    run(&mut ledger, "t3", &set("storage", ""), 6);
    assert_eq!(ledger.value(&storage), "", "an empty value is a value");
}

#[test]
fn what_check_would_refuse_stops_the_bank() {
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
    let text = with(|ledger| ledger.settle(me(), &id("t"), &across(&[credit("a", 1)]), Time(5)));
    assert!(text.contains("account a"), "{text}");
    let text = with(|ledger| {
        let early = across(&[credit("a", 1)]);
        ledger.hold(me(), &id("t"), &early);
        ledger.settle(me(), &id("t"), &early, Time(0));
    });
    assert!(text.contains("account a") && text.contains("before its opening"), "{text}");
    let text = with(|ledger| {
        ledger.hold(me(), &id("t1"), &set("k", "1"));
        ledger.hold(me(), &id("t2"), &set("k", "1"));
    });
    assert!(text.contains("register k"), "{text}");
    let text = with(|ledger| {
        ledger.hold(me(), &id("t1"), &set("k", "1"));
        ledger.settle(me(), &id("t2"), &set("k", "1"), Time(5));
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
fn the_audit_finds_what_is_broken() {
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

#[test]
fn clients_are_registered_once() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.check_client(&client(7)), Ok(Known::New));
    ledger.add_client(&client(7), Time(1));
    assert_eq!(ledger.check_client(&client(7)), Ok(Known::Same));
    let renamed = NewClient { name: ClientName::new("Outra").unwrap(), ..client(7) };
    let other_kind = NewClient { kind: ClientKind::new("Jurídico").unwrap(), ..client(7) };
    for other in [renamed, other_kind] {
        let fault = ledger.check_client(&other).unwrap_err();
        assert_eq!(fault.reason, Reason::AlreadyExists);
        assert!(fault.text.contains(cpf(7).as_str()), "{fault}");
    }
    assert_eq!(ledger.client(&cpf(7)), Some(&client(7)));
    assert_eq!(ledger.client(&cpf(8)), None);
    assert_eq!(ledger.totals(), Totals { clients: 1, ..Totals::default() });
}

#[test]
fn accounts_belong_to_one_client_or_to_two() {
    let mut ledger = Ledger::new();
    for n in [1, 2, 3] {
        ledger.add_client(&client(n), Time(1));
    }
    let fault = ledger.check_account(&new_account("a", &[1, 9], 0)).unwrap_err();
    assert_eq!(fault.reason, Reason::UnknownClient);
    assert!(fault.text.contains(cpf(9).as_str()), "{fault}");
    for holders in [&[][..], &[1, 1], &[1, 2, 3]] {
        let fault = ledger.check_account(&new_account("a", holders, 0)).unwrap_err();
        assert_eq!(fault.reason, Reason::Malformed, "{holders:?}");
    }
    let fault = ledger.check_account(&new_account("a", &[1], -1)).unwrap_err();
    assert_eq!(fault.reason, Reason::Malformed);

    ledger.open_account(&new_account("j2", &[2, 1], 10), Time(2));
    ledger.open_account(&new_account("a", &[1], 5), Time(3));
    ledger.open_account(&new_account("j1", &[1, 2], 0), Time(4));
    ledger.open_account(&new_account("b", &[2], 0), Time(5));
    ledger.check_invariants();
    let fault = ledger.check_account(&new_account("c", &[1], 0)).unwrap_err();
    assert_eq!(fault.reason, Reason::Refused, "a second individual account");
    assert!(fault.text.contains(cpf(1).as_str()) && fault.text.contains(" a"), "{fault}");
    assert_eq!(
        ledger.check_account(&new_account("c", &[1, 3], 0)),
        Ok(Known::New),
        "any number of joint ones"
    );

    assert_eq!(ledger.check_account(&new_account("a", &[1], 5)), Ok(Known::Same));
    assert_eq!(ledger.check_account(&new_account("j2", &[2, 1], 10)), Ok(Known::Same));
    assert_eq!(
        ledger.check_account(&new_account("j2", &[1, 2], 10)),
        Ok(Known::Same),
        "in any order"
    );
    for other in [
        new_account("a", &[1], 6),
        new_account("a", &[2], 5),
        new_account("a", &[1, 2], 5),
        new_account("j2", &[1, 3], 10),
        new_account("j2", &[2], 10),
        new_account("j2", &[2, 2], 10),
        new_account("j2", &[2, 9], 10),
    ] {
        let fault = ledger.check_account(&other).unwrap_err();
        assert_eq!(fault.reason, Reason::AlreadyExists, "{other:?}");
    }
    let totals = ledger.totals();
    assert_eq!((totals.clients, totals.accounts), (3, 4));
    assert_eq!(
        (totals.balance, totals.cash_in),
        (15, 15),
        "what is brought at the opening is a deposit"
    );
    // The same content again is the same, whatever moved meanwhile.
    run(&mut ledger, "t", &across(&[debit("a", 5)]), 9);
    assert_eq!(ledger.check_account(&new_account("a", &[1], 5)), Ok(Known::Same));
}

#[test]
fn lists_are_ordered_and_go_on_after_a_key() {
    let mut ledger = Ledger::new();
    for n in [30, 10, 20] {
        ledger.add_client(&client(n), Time(1));
    }
    for (name, holders) in
        [("c", &[10, 20][..]), ("a", &[10]), ("d", &[20]), ("b", &[20, 10]), ("e", &[30])]
    {
        ledger.open_account(&new_account(name, holders, 0), Time(1));
    }
    let accounts = |cpf: Option<TaxId>, after: Option<&str>| -> String {
        let after = after.map(number);
        ledger
            .accounts_after(cpf.as_ref(), after.as_ref())
            .map(|view| view.number.to_string())
            .collect()
    };
    assert_eq!(accounts(None, None), "abcde");
    assert_eq!(accounts(None, Some("b")), "cde");
    assert_eq!(accounts(None, Some("bb")), "cde", "a key that is not there");
    assert_eq!(accounts(None, Some("e")), "");
    assert_eq!(accounts(Some(cpf(10)), None), "abc");
    assert_eq!(accounts(Some(cpf(10)), Some("a")), "bc");
    assert_eq!(accounts(Some(cpf(20)), Some("bb")), "cd");
    assert_eq!(accounts(Some(cpf(40)), None), "");
    let created: String =
        ledger.accounts_by_creation().map(|view| view.number.to_string()).collect();
    assert_eq!(created, "cadbe");

    let clients = |after: Option<u64>| -> Vec<TaxId> {
        ledger.clients_after(after.map(cpf).as_ref()).map(|client| client.cpf.clone()).collect()
    };
    assert_eq!(clients(None), [cpf(10), cpf(20), cpf(30)]);
    assert_eq!(clients(Some(10)), [cpf(20), cpf(30)]);
    let created: Vec<_> = ledger.clients_by_creation().map(|client| client.cpf.clone()).collect();
    assert_eq!(created, [cpf(30), cpf(10), cpf(20)]);
}

/// Short numbers are found by an index of their own.
#[test]
fn numbers_of_any_length_are_found() {
    let mut ledger = Ledger::new();
    let mut numbers: Vec<String> = (1..=64).map(|length| "1".repeat(length)).collect();
    numbers.extend(
        ["0", "2", "é", "ééééééééé", "1111111111111110", "11111111111111110"].map(String::from),
    );
    for n in [0, 1] {
        ledger.add_client(&client(n), Time(1));
    }
    for (deposit, name) in (0..).zip(&numbers) {
        assert_eq!(ledger.account(&number(name)), None, "{name}");
        ledger.open_account(&new_account(name, &[0, 1], deposit), Time(1));
    }
    ledger.check_invariants();
    for (deposit, name) in (0..).zip(&numbers) {
        let view = ledger.account(&number(name)).unwrap();
        assert_eq!((view.number.as_str(), view.balance), (name.as_str(), Money(deposit)));
    }
    let listed: Vec<_> =
        ledger.accounts_after(None, None).map(|view| view.number.to_string()).collect();
    numbers.sort();
    assert_eq!(listed, numbers);
    let theirs = ledger.accounts_after(Some(&cpf(1)), None).map(|view| view.number.to_string());
    assert_eq!(theirs.collect::<Vec<_>>(), numbers);
}

#[test]
fn an_account_as_json() {
    let mut ledger = with_accounts(&[100]);
    ledger.add_client(&client(8), Time(1));
    ledger.open_account(&new_account("joint", &[8, 0], 0), Time(1));
    hold(&mut ledger, "t", &across(&[debit("a", 30), credit("a", 7)]));
    let json = |account: &str| {
        serde_json::to_string(&ledger.account(&number(account)).unwrap().answer()).unwrap()
    };
    assert_eq!(
        json("a"),
        concat!(
            r#"{"number":"a","holders":["00000000000"],"#,
            r#""balance":100,"held":30,"available":70,"incoming":7}"#
        )
    );
    assert!(json("joint").contains(r#""holders":["00000000008","00000000000"]"#));
}

#[test]
fn a_snapshot_that_can_not_have_been_written_is_an_error() {
    let bytes = postcard::to_stdvec(&with_accounts(&[100])).unwrap();
    for cut in 0..bytes.len() {
        assert!(postcard::from_bytes::<Ledger>(&bytes[..cut]).is_err(), "{cut}");
    }
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        // An error or a ledger, but no panic; what the bytes say is the checksum's matter.
        drop(postcard::from_bytes::<Ledger>(&bytes));
    }
}

#[test]
fn the_greatest_transaction() {
    let mut ledger = with_accounts(&[64 * 5; 8]);
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let ops: Vec<Op> = (0..OPS_MAX)
        .map(|n| if n % 2 == 0 { debit(names[n % 8], 10) } else { credit(names[n % 8], 10) })
        .collect();
    run(&mut ledger, "t", &transaction(&ops), 5);
    assert_eq!(figures(&ledger, "a")[0], 320 - 80);
    assert_eq!(figures(&ledger, "b")[0], 320 + 80);
}
