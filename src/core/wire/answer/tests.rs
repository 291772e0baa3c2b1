//! Each answer is written as the documented JSON and read back from it.

use super::*;
use crate::ids::{AccountNumber, BankId, ClientKind, ClientName, RegisterKey, TaxId, Time, TxId};
use crate::limits::{LIST_BYTES_MAX, OPS_MAX};
use crate::money::Money;
use crate::wire::Reason;
use crate::wire::transaction::Transaction;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::fmt::Debug;

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn tx() -> Cow<'static, TxId> {
    Cow::Owned(TxId::new("t1").unwrap())
}

fn cpf() -> Cow<'static, TaxId> {
    Cow::Owned(TaxId::new("11111111111").unwrap())
}

/// Checks that `answer` is written as `json` and read back from it, even with a field that a later
/// version adds.
#[track_caller]
fn as_on_the_wire<T>(answer: &T, json: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    assert_eq!(serde_json::to_string(answer).unwrap(), json);
    assert_eq!(&serde_json::from_str::<T>(json).unwrap(), answer);
    let longer = json.replacen('{', r#"{"later":[{"x":1}],"#, 1);
    assert_eq!(&serde_json::from_str::<T>(&longer).unwrap(), answer);
}

#[test]
fn clients_accounts_and_registers() {
    let client = ClientAnswer {
        cpf: cpf(),
        name: Cow::Owned(ClientName::new("Ana").unwrap()),
        kind: Cow::Owned(ClientKind::new("Físico").unwrap()),
        created: None,
    };
    as_on_the_wire(&client, r#"{"cpf":"11111111111","name":"Ana","kind":"Físico"}"#);
    let listed = ClientAnswer { created: Some(Time(7)), ..client };
    as_on_the_wire(&listed, r#"{"cpf":"11111111111","name":"Ana","kind":"Físico","created":7}"#);
    let account = AccountAnswer {
        number: Cow::Owned(AccountNumber::new("12345-6").unwrap()),
        holders: AccountHolders { first: cpf(), second: None },
        balance: Money(100),
        held: Money(30),
        available: Money(70),
        incoming: Money(5),
        created: None,
    };
    let rest = r#""balance":100,"held":30,"available":70,"incoming":5"#;
    as_on_the_wire(
        &account,
        &format!(r#"{{"number":"12345-6","holders":["11111111111"],{rest}}}"#),
    );
    let second = Some(Cow::Owned(TaxId::new("22222222222").unwrap()));
    let joint = AccountAnswer {
        holders: AccountHolders { first: cpf(), second },
        created: Some(Time(9)),
        ..account
    };
    let holders = r#""holders":["11111111111","22222222222"]"#;
    as_on_the_wire(&joint, &format!(r#"{{"number":"12345-6",{holders},{rest},"created":9}}"#));
    for holders in ["[]", r#"["1"]"#, r#"["11111111111","22222222222","33333333333"]"#] {
        let json = format!(r#"{{"number":"12345-6","holders":{holders},{rest}}}"#);
        assert!(serde_json::from_str::<AccountAnswer<'static>>(&json).is_err(), "{holders}");
    }
    let key = Cow::Owned(RegisterKey::new("storage").unwrap());
    as_on_the_wire(
        &RegisterAnswer { key, value: "1 \"2\"".into() },
        r#"{"key":"storage","value":"1 \"2\""}"#,
    );
}

/// One operation of each kind, with texts that need escapes.
const OPS: &str = concat!(
    r#"[{"bank":0,"op":"debit","account":"a\"\\","cpf":"11111111111","amount":7},"#,
    r#"{"bank":1,"op":"credit","account":"é","amount":7},"#,
    r#"{"bank":1,"op":"deposit","account":"é","amount":1},"#,
    r#"{"bank":1,"op":"withdraw","account":"é","amount":2},"#,
    r#"{"bank":0,"op":"set","key":"storage","value":"x\"y"}]"#,
);

#[test]
fn operations_are_written_as_in_a_transaction() {
    let transaction = Transaction::parse(&format!(r#"{{"ops":{OPS}}}"#)).unwrap();
    assert_eq!(transaction.ops_json(), OPS);
    let ops = OpAnswer::all_of(&transaction);
    as_on_the_wire(&ops, OPS);
    let later = r#"[{"bank":0,"op":"freeze","account":"a","until":9}]"#;
    let read: Vec<OpAnswer<'static>> = serde_json::from_str(later).unwrap();
    assert_eq!((&*read[0].op, read[0].amount), ("freeze", None));
}

/// An item of PENDING with the longest transaction still fits a page.
#[test]
fn all_operations_of_the_longest_transaction_fit_a_list() {
    let (key, value) = (r#"\""#.repeat(64), r#"\\"#.repeat(256));
    let op = format!(r#"{{"bank":15,"op":"set","key":"{key}","value":"{value}"}}"#);
    let text = format!(r#"{{"ops":[{}]}}"#, vec![op; OPS_MAX].join(","));
    let transaction = Transaction::parse(&text).unwrap();
    let line = PendingAnswer {
        tx: tx(),
        since: Time::MAX,
        waiting_for: Vec::new(),
        ops: Some(OpAnswer::all_of(&transaction)),
        outside: false,
    };
    let mut page = PageWriter::new(LIST_BYTES_MAX, None);
    assert!(page.push("t1", &line));
}

#[test]
fn outcomes_and_what_is_undecided() {
    let committed = HistoryAnswer {
        tx: tx(),
        outcome: HistoryOutcome::Committed,
        time: Time(12),
        reason: None,
        ops: Some(Vec::new()),
        outside: false,
        driven: true,
        by: None,
        text: "".into(),
    };
    as_on_the_wire(
        &committed,
        r#"{"tx":"t1","outcome":"committed","time":12,"reason":null,"ops":[],"driven":true}"#,
    );
    let aborted = HistoryAnswer {
        outcome: HistoryOutcome::Aborted,
        reason: Some(Reason::NotHolder.as_str().into()),
        ops: None,
        outside: true,
        driven: false,
        by: Some(bank(2)),
        text: "no".into(),
        ..committed
    };
    as_on_the_wire(
        &aborted,
        concat!(
            r#"{"tx":"t1","outcome":"aborted","time":12,"reason":"not-holder","ops":null,"#,
            r#""outside":true,"by":2,"text":"no"}"#,
        ),
    );
    assert_eq!(aborted.reason(), Some(Reason::NotHolder));
    let later = HistoryAnswer { reason: Some("full-moon".into()), ..aborted };
    assert!(later.reason().is_none() && !later.is_committed());
    let pending = PendingAnswer {
        tx: tx(),
        since: Time(5),
        waiting_for: vec![bank(1), bank(2)],
        ops: None,
        outside: false,
    };
    as_on_the_wire(&pending, r#"{"tx":"t1","since":5,"waiting_for":[1,2],"ops":null}"#);
    let outside = PendingAnswer { outside: true, waiting_for: Vec::new(), ..pending };
    as_on_the_wire(&outside, r#"{"tx":"t1","since":5,"waiting_for":[],"ops":null,"outside":true}"#);
}

fn info() -> InfoAnswer<'static> {
    InfoAnswer {
        bank: bank(1),
        version: "0.1.0".into(),
        time: Time(12),
        wall: Some(Time(11)),
        reading: Some(Reading { bank: bank(1), time: Time(12), mac: None }),
        uptime_s: 3,
        clients: 1,
        accounts: 2,
        balance_total: 1 << 70,
        held_total: 1,
        incoming_total: -(1 << 70),
        undecided: 4,
        registers_known: true,
        unmet: Vec::new(),
        committed: 5,
        aborted: 6,
    }
}

#[test]
fn a_bank_in_numbers() {
    let head = concat!(
        r#"{"bank":1,"version":"0.1.0","time":12,"wall":11,"reading":"T1.12..","uptime_s":3,"#,
        r#""clients":1,"accounts":2,"balance_total":1180591620717411303424,"held_total":1,"#,
        r#""incoming_total":-1180591620717411303424,"undecided":4,"#,
    );
    as_on_the_wire(&info(), &format!(r#"{head}"committed":5,"aborted":6}}"#));
    let young = InfoAnswer { registers_known: false, unmet: vec![bank(0), bank(2)], ..info() };
    let more = r#""registers_known":false,"unmet":[0,2],"#;
    as_on_the_wire(&young, &format!(r#"{head}{more}"committed":5,"aborted":6}}"#));
    // Fields that earlier versions did not send, and a reading that this version can't parse.
    let json = serde_json::to_string(&info()).unwrap();
    for (without, with) in [
        (r#""wall":11,"reading":"T1.12..","#, ""),
        (r#""wall":11,"reading":"T1.12..","#, r#""reading":"Z1.12..","#),
    ] {
        let read: InfoAnswer<'static> = serde_json::from_str(&json.replace(without, with)).unwrap();
        assert_eq!(read, InfoAnswer { wall: None, reading: None, ..info() });
    }
    assert!(serde_json::from_str::<InfoAnswer<'static>>(&json.replace("committed", "x")).is_err());
}

#[test]
fn banks_and_the_greeting() {
    let bare = BankAnswer {
        bank: bank(0),
        address: "127.0.0.1:5000".into(),
        online: false,
        latency_us: None,
        clock_us: None,
        why: None,
        http: None,
        sync_ms: None,
        disk_full: false,
        certificate_end_us: None,
    };
    let head = r#"{"bank":0,"address":"127.0.0.1:5000","online":"#;
    as_on_the_wire(&bare, &format!(r#"{head}false,"latency_us":null}}"#));
    let full = BankAnswer {
        online: true,
        latency_us: Some(7),
        clock_us: Some(-3),
        why: Some("a \"b\"".into()),
        http: Some("127.0.0.1:5030".into()),
        sync_ms: Some(900),
        disk_full: true,
        certificate_end_us: Some(7),
        ..bare
    };
    as_on_the_wire(
        &full,
        &format!(
            "{head}{}",
            concat!(
                r#"true,"latency_us":7,"clock_us":-3,"why":"a \"b\"","http":"127.0.0.1:5030","#,
                r#""sync_ms":900,"disk_full":true,"certificate_end_us":7}"#,
            )
        ),
    );
    let hello = HelloAnswer { bank: bank(2), places: 3, version: 1, key: "k".into() };
    as_on_the_wire(&hello, r#"{"bank":2,"places":3,"version":1,"key":"k"}"#);
    let early: HelloAnswer<'static> = serde_json::from_str(r#"{"bank":2,"places":3}"#).unwrap();
    assert_eq!(early, HelloAnswer { version: 0, key: "".into(), ..hello });
}

#[test]
fn a_page_of_a_cut() {
    let sums: CutAnswer = CutAnswer {
        bank: bank(1),
        time: Time(9),
        balance_total: 3,
        cash_in_total: 4,
        cash_out_total: 1,
        transfers_in_total: 1 << 70,
        transfers_out_total: 1 << 70,
        reading: Some(Reading { bank: bank(1), time: Time(9), mac: None }),
        accounts: None,
        registers: None,
        registers_known: true,
        next: None,
    };
    let head = concat!(
        r#"{"bank":1,"time":9,"balance_total":3,"cash_in_total":4,"cash_out_total":1,"#,
        r#""transfers_in_total":1180591620717411303424,"#,
        r#""transfers_out_total":1180591620717411303424,"reading":"T1.9..""#,
    );
    as_on_the_wire(&sums, &format!("{head}}}"));
    let number = Cow::Owned(AccountNumber::new("a").unwrap());
    let listed = CutAnswer {
        accounts: Some(vec![CutAccount { number, balance: Money(3) }]),
        registers: Some(Vec::new()),
        registers_known: false,
        next: Some("a:a".to_owned()),
        ..sums.clone()
    };
    let lists = r#""accounts":[{"number":"a","balance":3}],"registers":[]"#;
    let tail = r#""registers_known":false,"next":"a:a"}"#;
    as_on_the_wire(&listed, &format!("{head},{lists},{tail}"));
    // A bank has the JSON of the lists already.
    let raw = |json: &str| RawValue::from_string(json.to_owned()).ok();
    let written = CutAnswer {
        bank: sums.bank,
        time: sums.time,
        balance_total: sums.balance_total,
        cash_in_total: sums.cash_in_total,
        cash_out_total: sums.cash_out_total,
        transfers_in_total: sums.transfers_in_total,
        transfers_out_total: sums.transfers_out_total,
        reading: sums.reading,
        accounts: raw(r#"[{"number":"a","balance":3}]"#),
        registers: raw("[]"),
        registers_known: false,
        next: Some("a:a".to_owned()),
    };
    assert_eq!(serde_json::to_string(&written).unwrap(), format!("{head},{lists},{tail}"));
}
