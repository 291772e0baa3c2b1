//! Lists: every item is on one of the pages, and a page names a next one whenever items are left.

use crate::scale::bank::{CPF, MeasuredBank, ops};
use crate::scale::size;
use consorcio::bank::record::Record;
use consorcio::ids::{Time, TxId};
use consorcio::limits::{LINE_BYTES_MAX, STEP_ITEMS_MAX};
use consorcio::wire::Reason;
use consorcio::wire::transaction::Transaction;
use serde_json::Value;
use std::sync::Arc;

/// All items of a list, page by page; `field` is their key.
fn whole(bank: &mut MeasuredBank, list: &str, field: &str) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let Value::Array(mut page) = bank.done(&format!("{list}{after}")) else {
            panic!("{list} returned no list")
        };
        let next = page.last().and_then(|last| last.get("next")).cloned();
        if next.is_some() {
            page.pop();
        }
        assert!(next.is_none() || !page.is_empty(), "{list}{after}: an empty page with a next one");
        all.extend(page.iter().map(|item| item[field].as_str().unwrap().to_owned()));
        let Some(next) = next else { return all };
        after = format!(" after={}", next.as_str().unwrap());
    }
}

/// All accounts and registers of a cut, page by page.
pub fn whole_cut(bank: &mut MeasuredBank) -> (Vec<String>, Vec<String>, usize) {
    let (mut accounts, mut registers, mut pages) = (Vec::new(), Vec::new(), 0);
    let mut request = "SNAPSHOT accounts".to_owned();
    loop {
        let page = bank.done(&request);
        pages += 1;
        let names = |list: &str, field: &str| -> Vec<String> {
            let items = page[list].as_array().map_or(&[][..], Vec::as_slice);
            items.iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
        };
        accounts.extend(names("accounts", "number"));
        registers.extend(names("registers", "key"));
        let Some(next) = page["next"].as_str() else { return (accounts, registers, pages) };
        request = format!("SNAPSHOT {} accounts after={next}", page["time"]);
    }
}

fn set(bank: &mut MeasuredBank, tx: &str, key: &str, value: &str) {
    // As if bank 1 had driven it: the votes of both are in one record.
    let op = |bank| format!(r#"{{"bank":{bank},"op":"set","key":"{key}","value":"{value}"}}"#);
    let transaction = Transaction::parse(&format!(r#"{{"ops":[{},{}]}}"#, op(0), op(1))).unwrap();
    let time = Time(bank.core.clock().0 + 1);
    let (tx, transaction) = (TxId::new(tx).unwrap(), Arc::new(transaction));
    bank.core.apply(&Record::Executed {
        tx,
        time,
        committed: time,
        transaction,
        votes: Vec::new(),
    });
}

fn account(bank: &mut MeasuredBank, number: &str, cpf: &str) {
    let holders = format!(r#"["{CPF}","{cpf}"]"#);
    bank.done(&format!(r#"ACCOUNT {{"number":"{number}","holders":{holders}}}"#));
}

/// The accounts of a cut leave space for some bytes, none, or half a register: no register is lost.
#[test]
fn each_register_of_a_cut_is_on_a_page() {
    let mut bank = MeasuredBank::new();
    bank.done(r#"CLIENT {"cpf":"11111111111","name":"Q","kind":"F"}"#);
    set(&mut bank, "s1", "k1", &"v".repeat(100));
    set(&mut bank, "s2", "k2", "w");
    let line = |number: &str| format!(r#"{{"number":"{number}","balance":0}},"#).len();
    let mut left = LINE_BYTES_MAX - 2_048 - r#"[{"number":"1","balance":1000}]"#.len() - 1;
    let mut count = 1;
    while left > 3 * line(&"x".repeat(60)) {
        let number = format!("z{count:059}");
        account(&mut bank, &number, "11111111111");
        (left, count) = (left - line(&number), count + 1);
    }
    // The last account leaves less and less space.
    let mut seen = [false; 3];
    for length in 1..=64 {
        let mut bank = MeasuredBank {
            core: bank.core.clone(),
            now: bank.now,
            steps: crate::scale::bank::Steps::default(),
        };
        for n in ["p", "q", "r"] {
            account(&mut bank, &format!("{n}{}", "y".repeat(length - 1)), "11111111111");
        }
        let first = bank.done("SNAPSHOT accounts");
        let (accounts, registers, pages) = whole_cut(&mut bank);
        assert_eq!(
            (accounts.len(), registers.len()),
            (count + 3, 2),
            "numbers of {length} bytes, {first}"
        );
        let on_first = first["registers"].as_array().map_or(0, Vec::len);
        seen[on_first] = true;
        assert_eq!(pages, if on_first == 2 { 1 } else { 2 }, "numbers of {length} bytes");
    }
    assert_eq!(seen, [true; 3], "first pages without registers, with one, with both");
}

#[test]
fn each_list_is_complete() {
    let (mut bank, count) = (MeasuredBank::new(), size(3_000, 100_000));
    for n in 0..count {
        let name = "\\\"n".repeat(1 + n % 60);
        bank.done(&format!(r#"CLIENT {{"cpf":"1{n:010}","name":"{name}","kind":"F"}}"#));
        account(&mut bank, &format!("a{n}"), &format!("1{n:010}"));
    }
    bank.prepare(count, true);
    let lists = [
        ("CLIENTS", "cpf", 1 + count),
        ("ACCOUNTS", "number", 1 + count),
        (&format!("ACCOUNTS {CPF}"), "number", 1 + count),
        ("ACCOUNTS 10000000000", "number", 1),
        ("PENDING", "tx", count),
    ];
    for (list, field, count) in lists {
        let all = whole(&mut bank, list, field);
        assert!(all.is_sorted_by(|a, b| a < b), "{list} is out of order");
        assert_eq!(all.len(), count, "{list}");
    }
}

/// HISTORY lists 1,000 outcomes. An entry that does not fit in a page is shortened, and the ones
/// after it are still listed.
#[test]
fn history_continues_after_an_oversized_entry() {
    let mut bank = MeasuredBank::new();
    for n in 0..10 {
        bank.done(&format!(r#"CLIENT {{"cpf":"1000000000{n}","name":"P","kind":"F"}}"#));
        let text = if n == 5 { "x\"".repeat(LINE_BYTES_MAX / 2) } else { "x".repeat(9_000) };
        let time = Time(bank.core.clock().0 + 1);
        let tx = TxId::new(&format!("h{n}")).unwrap();
        let transaction = Arc::new(Transaction::parse(&ops(true)).unwrap());
        bank.core.apply(&Record::Voted {
            tx,
            time,
            transaction,
            refusal: Some((Reason::Refused, text.into())),
        });
    }
    let listed = whole(&mut bank, "HISTORY", "tx");
    assert_eq!(listed, (0..10).rev().map(|n| format!("h{n}")).collect::<Vec<_>>());
}

/// An outcome is still in memory when the readers of its registers are woken, even if the step
/// decides many.
#[test]
fn readers_are_woken_by_a_step_with_many_outcomes() {
    let mut bank = MeasuredBank::new();
    bank.prepare(2 * STEP_ITEMS_MAX, false);
    let op = |bank| format!(r#"{{"bank":{bank},"op":"set","key":"k","value":"1"}}"#);
    let output = bank.request(2, &format!(r#"PREPARE a0 {{"ops":[{},{}]}}"#, op(0), op(1)));
    assert_eq!(output.records.len(), 1);
    assert!(bank.request(5, "VALUE k").replies.is_empty(), "VALUE does not wait for a0");
    let refused = bank.request(6, &format!("ABORT a0 {}", token_of_bank_1("a0")));
    assert_eq!(refused.replies.len(), 2, "{:?}", refused.replies);
}

fn token_of_bank_1(tx: &str) -> String {
    use consorcio::wire::token::Vote;
    let bank = consorcio::ids::BankId::new(1).unwrap();
    let token = crate::scale::bank::identity().seal.token(
        bank,
        Vote::No,
        &TxId::new(tx).unwrap(),
        None,
        Time(5),
    );
    let mut text = Vec::new();
    token.write_to(&mut text);
    String::from_utf8(text).unwrap()
}
