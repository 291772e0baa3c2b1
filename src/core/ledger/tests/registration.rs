//! Clients and accounts: registration, lists and lookups.

use super::*;

#[test]
fn clients_are_registered_once() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.check_client(&client(7)), Ok(RegistrationState::New));
    ledger.add_client(&client(7), Time(1));
    assert_eq!(ledger.check_client(&client(7)), Ok(RegistrationState::Same));
    let renamed = NewClient { name: ClientName::new("Outra").unwrap(), ..client(7) };
    let other_kind = NewClient { kind: ClientKind::new("Jurídico").unwrap(), ..client(7) };
    for other in [renamed, other_kind] {
        let fault = ledger.check_client(&other).unwrap_err();
        assert_eq!(fault.reason, Reason::AlreadyExists);
        assert!(fault.text.contains(cpf(7).as_str()), "{fault}");
    }
    assert!(ledger.client(&cpf(7)).is_some_and(|known| known.is(&client(7))));
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
        Ok(RegistrationState::New),
        "any number of joint accounts"
    );

    assert_eq!(ledger.check_account(&new_account("a", &[1], 5)), Ok(RegistrationState::Same));
    assert_eq!(ledger.check_account(&new_account("j2", &[2, 1], 10)), Ok(RegistrationState::Same));
    assert_eq!(
        ledger.check_account(&new_account("j2", &[1, 2], 10)),
        Ok(RegistrationState::Same),
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
    assert_eq!((totals.balance, totals.cash_in), (15, 15), "the first deposit is cash in");
    // The same request again is the same, whatever moved in between.
    run(&mut ledger, "t", &across(&[debit("a", 5)]), 9);
    assert_eq!(ledger.check_account(&new_account("a", &[1], 5)), Ok(RegistrationState::Same));
}

#[test]
fn lists_are_ordered_and_continue_after_a_key() {
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
    assert_eq!(accounts(None, Some("bb")), "cde", "a key that does not exist");
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

/// Short numbers have an index of their own.
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
fn the_json_of_an_account() {
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
fn a_damaged_snapshot_is_an_error_and_no_panic() {
    let bytes = bytes_of(&with_accounts(&[100]));
    for cut in 0..bytes.len() {
        assert!(ledger_of(&bytes[..cut]).is_err(), "{cut}");
    }
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        // An error or a ledger, but no panic: detecting other damage is up to the checksum.
        drop(ledger_of(&bytes));
    }
}

#[test]
fn a_transaction_with_the_most_operations() {
    let mut ledger = with_accounts(&[64 * 5; 8]);
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let ops: Vec<Op> = (0..OPS_MAX)
        .map(|n| if n % 2 == 0 { debit(names[n % 8], 10) } else { credit(names[n % 8], 10) })
        .collect();
    run(&mut ledger, "t", &transaction(&ops), 5);
    assert_eq!(figures(&ledger, "a")[0], 320 - 80);
    assert_eq!(figures(&ledger, "b")[0], 320 + 80);
}
