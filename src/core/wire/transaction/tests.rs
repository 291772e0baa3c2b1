//! Every valid form is parsed, every invalid one is rejected with its text, and the checks over all
//! operations.

use super::*;
use crate::limits::{NAME_BYTES_MAX, OPS_MAX, PATIENCE_MS_MAX, REGISTER_VALUE_BYTES_MAX};
use proptest::prelude::*;

const COMPOSITE: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"debit","account":"12345-6","amount":20000},"#,
    r#"{"bank":1,"op":"debit","account":"45678-0","cpf":"11111111111","amount":30000},"#,
    r#"{"bank":2,"op":"credit","account":"78910-0","amount":50000}]}"#
);

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn banks(positions: &[usize]) -> BankSet {
    positions.iter().map(|position| bank(*position)).collect()
}

fn parse(text: &str) -> Transaction {
    Transaction::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn money(at: usize, flow: Flow, amount: i64) -> Op {
    let account = AccountNumber::new("12345-6").unwrap();
    Op { bank: bank(at), action: Action::Money { flow, account, cpf: None, amount: Money(amount) } }
}

fn set(at: usize, key: &str, value: &str) -> Op {
    let (key, value) = (RegisterKey::new(key).unwrap(), RegisterValue::new(value).unwrap());
    Op { bank: bank(at), action: Action::Set { key, value } }
}

#[test]
fn a_transfer_from_two_banks_to_a_third_is_parsed() {
    let transaction = parse(COMPOSITE);
    assert_eq!(transaction.text(), COMPOSITE);
    assert_eq!(transaction.digest(), &Digest::of(COMPOSITE.as_bytes()));
    assert_eq!(transaction.banks(), banks(&[0, 1, 2]));
    assert_eq!(transaction.patience_ms(), None);
    assert_eq!(transaction.ops().len(), 3);
    assert!(transaction.is_balanced());
    let ops: Vec<_> = transaction.ops_of(bank(1)).collect();
    match ops.as_slice() {
        [
            Op {
                action: Action::Money { flow: Flow::Debit, account, cpf: Some(cpf), amount }, ..
            },
        ] => {
            assert_eq!(
                (account.as_str(), cpf.as_str(), *amount),
                ("45678-0", "11111111111", Money(30_000))
            );
        }
        other => panic!("{other:?}"),
    }
    let ops = COMPOSITE.strip_prefix(r#"{"ops":"#).and_then(|text| text.strip_suffix('}')).unwrap();
    assert_eq!(transaction.ops_json(), ops);
    assert_eq!(Transaction::from_ops(transaction.ops(), None), Ok(transaction));
}

/// Any order of fields, any white space and any escapes: other bytes, but the same operations.
#[test]
fn operations_do_not_depend_on_the_form_of_the_json() {
    let text = " { \"patience_ms\" : 60000 , \"\\u006fps\" : [ {\r\
        \"value\":\"\\u00e9\\ud83e\\udd80\\\"\\\\\\/\",
        \"op\":\"s\\u0065t\",\t\"bank\":15} ] } ";
    let transaction = parse(text.trim());
    assert_eq!(transaction.ops(), [set(15, "storage", "é🦀\"\\/")]);
    assert_eq!(transaction.patience_ms(), Some(60_000));
    assert_eq!(
        transaction.ops_json(),
        r#"[{"bank":15,"op":"set","key":"storage","value":"é🦀\"\\/"}]"#
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table: one line a refusal")]
fn an_invalid_transaction_is_rejected_with_the_name_of_its_field() {
    let debit = r#""bank":0,"op":"debit","account":"1","amount":5"#;
    let op = |fields: &str| format!(r#"{{"ops":[{{{debit}}},{{{fields}}}]}}"#);
    let amount = |amount: &str| op(&format!(r#""amount":{amount}"#));
    let top = |fields: &str| format!(r#"{{"ops":[{{{debit}}}],{fields}}}"#);
    let many = format!(r#"{{"ops":[{}]}}"#, vec![format!("{{{debit}}}"); OPS_MAX + 1].join(","));
    let long = format!(r#""account":"{}""#, "x".repeat(NAME_BYTES_MAX + 1));
    let long_value = format!(r#""value":"{}""#, "x".repeat(REGISTER_VALUE_BYTES_MAX + 1));
    let huge = format!(r#"{{"ops":"{}"}}"#, "x".repeat(LINE_BYTES_MAX));
    let deep = format!(r#"{{"ops":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let deep_amount = amount(&format!("{}{}", r#"{"a":"#.repeat(9_000), "}".repeat(9_000)));
    let m = Reason::Malformed;
    for (text, reason, named) in [
        ("", m, "`transaction` must be a JSON object"),
        ("[]", m, "`transaction` must be a JSON object"),
        (" {}", m, "`transaction` must be a JSON object"),
        ("{} ", m, "`transaction` must be a JSON object"),
        ("{}", m, "`ops` is missing"),
        ("{}}", m, "expected nothing more"),
        ("{,}", m, "expected the name of a field"),
        (r#"{"ops"}"#, m, "expected a `:`"),
        (r#"{"ops":}"#, m, "`ops` must be a list, not `}`"),
        (r#"{"ops":null}"#, m, "`ops` must be a list, not `null`"),
        (r#"{"ops":[]}"#, m, "`ops` is empty"),
        (r#"{"ops":[]]}"#, m, "`ops` is empty"),
        (r#"{"ops":[5]}"#, m, "`ops[0]` must be a JSON object, not a number"),
        (&deep, m, "`ops[0]` must be a JSON object, not a list"),
        (&deep_amount, m, "`ops[1].amount` must be a whole number, not an object"),
        (&huge, Reason::Limit, "a transaction of 65"),
        (&many, Reason::Limit, "`ops` has more than 64"),
        (&top(r#""ops":[]"#), m, "`ops` is empty"),
        (&top(&format!(r#""ops":[{{{debit}}}]"#)), m, "`ops` is given twice"),
        (&top(r#""change":"x""#), m, "unknown field `change` in `transaction`"),
        (&top(""), m, "expected the name of a field"),
        (&top(r#""patience_ms":0"#), m, "`patience_ms` must be 1 to 300000, not 0"),
        (&top(r#""patience_ms":-5"#), m, "`patience_ms` must be 1 to 300000, not -5"),
        (
            &top(r#""patience_ms":300001"#),
            Reason::Limit,
            "`patience_ms` must be 1 to 300000, not 300001",
        ),
        (&top(r#""patience_ms":99999999999"#), Reason::Limit, "`patience_ms` must be"),
        (&top(r#""patience_ms":"5""#), m, "`patience_ms` must be a whole number, not a text"),
        (&top(r#""patience_ms":5,"patience_ms":5"#), m, "`patience_ms` is given twice"),
        (&op(""), m, "`ops[1].bank` is missing"),
        (&op(r#""bank":16"#), m, "`ops[1].bank` must be a position from 0 to 15, not 16"),
        (&op(r#""bank":-1"#), m, "`ops[1].bank` must be a position from 0 to 15, not -1"),
        (&op(r#""bank":"0""#), m, "`ops[1].bank` must be a whole number, not a text"),
        (&op(r#""bank":1.0"#), m, "`ops[1].bank` must be a whole number, not 1.0"),
        (&op(r#""bank":0,"bank":0"#), m, "`ops[1].bank` is given twice"),
        (&op(r#""bank":0"#), m, "`ops[1].op` is missing"),
        (
            &op(r#""op":"steal""#),
            m,
            "`ops[1].op` must be debit, credit, deposit, withdraw or set, not `steal`",
        ),
        (&op(r#""op":7"#), m, "`ops[1].op` must be a text in quotes, not a number"),
        (&op(r#""Bank":0"#), m, "unknown field `Bank` in `ops[1]`"),
        (&op(r#""bank":0,"op":"debit","amount":5"#), m, "`ops[1].account` is missing"),
        (&op(r#""bank":0,"op":"debit","account":"1""#), m, "`ops[1].amount` is missing"),
        (&op(r#""bank":0,"op":"set""#), m, "`ops[1].value` is missing"),
        (
            &op(r#""bank":0,"op":"set","value":"1","amount":5"#),
            m,
            "`ops[1].amount` does not belong to a `set`",
        ),
        (
            &op(r#""bank":0,"op":"set","value":"1","cpf":"11111111111""#),
            m,
            "`ops[1].cpf` does not belong",
        ),
        (
            &op(r#""bank":0,"op":"set","value":"1","account":"1""#),
            m,
            "`ops[1].account` does not belong",
        ),
        (&op(&format!(r#"{debit},"key":"a""#)), m, "`ops[1].key` does not belong to a `debit`"),
        (&op(&format!(r#"{debit},"value":"a""#)), m, "`ops[1].value` does not belong to a `debit`"),
        (&op(r#""value":"a","value":"a""#), m, "`ops[1].value` is given twice"),
        (&op(r#""account":"""#), m, "`ops[1].account` must be 1 to 64 bytes"),
        (&op(r#""account":"a b""#), m, "`ops[1].account` must be 1 to 64 bytes"),
        (&op(r#""account":"a\u0000""#), m, "`ops[1].account` must be 1 to 64 bytes"),
        (&op(r#""account":"\ud800""#), m, "`ops[1]"),
        (&op("\"account\":\"a\u{1}\""), m, "`ops[1].account` has a control character"),
        (&op(r#""account":"\x""#), m, "`ops[1].account` has a \\ escape"),
        (&op(r#""account":"\u12""#), m, "`ops[1].account` has a \\u escape"),
        (&op(r#""account":"\u+123""#), m, "`ops[1].account` has a \\u escape"),
        (&op(r#""account":"\udc00\ud800""#), m, "`ops[1].account` has a \\u escape"),
        (&op(r#""account":"\ud800\u0041""#), m, "`ops[1].account` has a \\u escape"),
        (r#"{"ops":[{"account":"}"#, m, "`ops[0].account` has a text without end"),
        (r#"{"ops":[{"account":"\}"#, m, "`ops[0].account` has a \\ escape"),
        (&op(&long), Reason::Limit, "`ops[1].account` has 65 bytes, more than 64"),
        (&op(&long_value), Reason::Limit, "`ops[1].value` has 257 bytes, more than 256"),
        (&op(r#""cpf":"123""#), m, "`ops[1].cpf` must be 11 digits"),
        (&op(r#""cpf":null"#), m, "`ops[1].cpf` must be a text in quotes, not `null`"),
        (&op(r#""key":"""#), m, "`ops[1].key` must be 1 to 64 bytes"),
        (&amount("0"), m, "`ops[1].amount` must be a positive number of centavos, not 0"),
        (&amount("-1"), m, "`ops[1].amount` must be a positive number of centavos, not -1"),
        (&amount("-0"), m, "`ops[1].amount` must be a positive number of centavos, not 0"),
        (&amount("1.0"), m, "`ops[1].amount` must be a whole number, not 1.0"),
        (&amount("1e2"), m, "`ops[1].amount` must be a whole number, not 1e2"),
        (&amount("1E+2"), m, "`ops[1].amount` must be a whole number, not 1E+2"),
        (&amount(r#""5""#), m, "`ops[1].amount` must be a whole number, not a text"),
        (&amount("true"), m, "`ops[1].amount` must be a whole number, not `true`"),
        (&amount("[5]"), m, "`ops[1].amount` must be a whole number, not a list"),
        (&amount("01"), m, "`ops[1].amount` must be a JSON number, not 01"),
        (&amount("-"), m, "`ops[1].amount` must be a JSON number, not -"),
        (&amount("+5"), m, "`ops[1].amount` must be a whole number, not `+`"),
        (&amount("NaN"), m, "`ops[1].amount` must be a whole number, not `NaN`"),
        (&amount("5x"), m, "expected a `,` or `}` at byte"),
        (
            &amount("9223372036854775808"),
            Reason::Limit,
            "`ops[1].amount` is 9223372036854775808, more than",
        ),
        (&amount(&"9".repeat(5000)), Reason::Limit, "`ops[1].amount` is 9999"),
        (&amount("-9223372036854775809"), m, "`ops[1].amount` must not be negative"),
    ] {
        let fault = Transaction::parse(text).expect_err(text);
        assert_eq!(fault.reason, reason, "{text}: {fault}");
        assert!(fault.text.contains(named), "{text}: {fault}");
        assert!(fault.text.len() < 200, "{fault}");
    }
}

#[test]
fn transactions_at_the_bounds_are_valid() {
    let most = Transaction::from_ops(
        vec![money(0, Flow::Deposit, i64::MAX); OPS_MAX],
        Some(PATIENCE_MS_MAX),
    );
    assert_eq!(most.map(|transaction| transaction.ops().len()), Ok(OPS_MAX));
    let (key, value) = ("\"".repeat(NAME_BYTES_MAX), "\\".repeat(REGISTER_VALUE_BYTES_MAX));
    let longest =
        Transaction::from_ops(vec![set(15, &key, &value); OPS_MAX], Some(PATIENCE_MS_MAX)).unwrap();
    assert!(longest.text().len() < TRANSACTION_BYTES_MAX, "every legal transaction fits a line");
    assert!(longest.memory_bytes() > OPS_MAX * (NAME_BYTES_MAX + REGISTER_VALUE_BYTES_MAX));
}

#[test]
fn from_ops_checks_its_operations() {
    for (ops, patience, named) in [
        (vec![], None, "`ops` is empty"),
        (vec![money(0, Flow::Debit, 0)], None, "`ops[0].amount` must be a positive"),
        (vec![money(0, Flow::Debit, -5)], None, "`ops[0].amount` must be a positive"),
        (vec![set(0, "a", "1")], Some(0), "`patience_ms` must be"),
        (vec![set(0, "a", "1")], Some(PATIENCE_MS_MAX + 1), "`patience_ms` must be"),
        (vec![set(0, "a", "1"); OPS_MAX + 1], None, "`ops` has more than"),
    ] {
        let fault = Transaction::from_ops(&ops, patience).unwrap_err();
        assert!(fault.text.contains(named), "{fault}");
    }
}

#[test]
fn only_debits_and_credits_must_balance() {
    let balanced = |ops: &[Op]| Transaction::from_ops(ops, None).unwrap().is_balanced();
    let (debit, credit) = (money(0, Flow::Debit, 5), money(1, Flow::Credit, 5));
    assert!(balanced(&[debit.clone(), credit.clone()]));
    assert!(!balanced(std::slice::from_ref(&debit)));
    assert!(!balanced(&[debit.clone(), credit.clone(), credit.clone()]));
    let cash = [money(0, Flow::Deposit, 7), money(1, Flow::Withdraw, 9), set(0, "a", "1")];
    assert!(balanced(&cash), "cash need not balance");
    assert!(balanced(&[&cash[..], &[debit, credit]].concat()));
    // The sums are wider than i64.
    let most =
        [Flow::Debit, Flow::Debit, Flow::Credit, Flow::Credit].map(|flow| money(0, flow, i64::MAX));
    assert!(balanced(&most));
    assert!(!balanced(&most[..3]));
}

/// One value at all banks: either every bank changes it or none does.
#[test]
fn registers_must_be_set_once_to_one_value_at_every_bank() {
    let all = banks(&[0, 1, 3]);
    let uniform = |ops: &[Op]| Transaction::from_ops(ops, None).unwrap().registers_are_uniform(all);
    let a = [set(0, "a", "1"), set(1, "a", "1"), set(3, "a", "1")];
    let b = [set(3, "b", "2"), set(1, "b", "2"), set(0, "b", "2")];
    assert!(uniform(&a));
    assert!(
        uniform(&[&a[..], &b[..], &[money(0, Flow::Deposit, 1)]].concat()),
        "each key is checked on its own"
    );
    assert!(uniform(&[money(0, Flow::Deposit, 1)]), "no register at all");
    assert!(!uniform(&a[..2]), "a bank is missing");
    assert!(!uniform(&[&a[..], &b[..2]].concat()), "a bank is missing for the second key");
    assert!(!uniform(&[&a[..], &a[..1]].concat()), "twice at one bank");
    assert!(!uniform(&[&a[..2], &[set(3, "a", "2")]].concat()), "two values");
    assert!(!uniform(&[&a[..], &[set(2, "a", "1")]].concat()), "a bank outside the consortium");
}

#[test]
fn it_is_stored_as_its_text() {
    let transaction = parse(COMPOSITE);
    let bytes = postcard::to_allocvec(&transaction).unwrap();
    assert!(bytes.len() < COMPOSITE.len() + 4);
    assert_eq!(postcard::from_bytes::<Transaction>(&bytes), Ok(transaction));
    let junk = postcard::to_allocvec("{}").unwrap();
    assert!(postcard::from_bytes::<Transaction>(&junk).is_err());
}

fn any_op() -> impl Strategy<Value = Op> {
    let word = || "[!-~éß€🦀]{1,16}";
    let flows =
        prop::sample::select(vec![Flow::Debit, Flow::Credit, Flow::Deposit, Flow::Withdraw]);
    let action = prop_oneof![
        (flows, word(), prop::option::of("[0-9]{11}"), 1..=i64::MAX).prop_map(
            |(flow, account, cpf, amount)| {
                let account = AccountNumber::new(&account).unwrap();
                let cpf = cpf.map(|cpf| TaxId::new(&cpf).unwrap());
                Action::Money { flow, account, cpf, amount: Money(amount) }
            }
        ),
        (word(), "[ -~éß€🦀]{0,40}").prop_map(|(key, value)| {
            Action::Set {
                key: RegisterKey::new(&key).unwrap(),
                value: RegisterValue::new(&value).unwrap(),
            }
        }),
    ];
    (0usize..16, action).prop_map(|(at, action)| Op { bank: bank(at), action })
}

proptest! {
    #[test]
    fn operations_are_parsed_back_from_the_text(
        ops in prop::collection::vec(any_op(), 1..OPS_MAX),
        patience in prop::option::of(1..=PATIENCE_MS_MAX),
    ) {
        let transaction = Transaction::from_ops(&ops, patience).unwrap();
        prop_assert_eq!(transaction.ops(), &ops[..]);
        prop_assert_eq!(transaction.patience_ms(), patience);
        // Other JSON readers must find the same operations.
        let seen: serde_json::Value = serde_json::from_str(transaction.text()).unwrap();
        let listed: serde_json::Value = serde_json::from_str(&transaction.ops_json()).unwrap();
        prop_assert_eq!(&seen["ops"], &listed);
        for (op, value) in ops.iter().zip(listed.as_array().unwrap()) {
            match &op.action {
                Action::Money { account, amount, .. } => {
                    prop_assert_eq!(value["account"].as_str(), Some(account.as_str()));
                    prop_assert_eq!(value["amount"].as_i64(), Some(amount.0));
                }
                Action::Set { key, value: set } => {
                    prop_assert_eq!(value["key"].as_str(), Some(key.as_str()));
                    prop_assert_eq!(value["value"].as_str(), Some(set.as_str()));
                }
            }
        }
    }

    /// Bytes that are accepted are JSON to other readers too, so none can read other operations
    /// from them.
    #[test]
    fn damaged_json_is_accepted_only_if_it_is_json(
        at in 0usize..COMPOSITE.len(),
        with in "[ -~]{0,2}|[\\x00-\\x20]",
        cut in 0usize..3,
    ) {
        let end = (at + cut).min(COMPOSITE.len());
        let text = format!("{}{with}{}", &COMPOSITE[..at], &COMPOSITE[end..]);
        if Transaction::parse(&text).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn parsing_never_panics(text in "\\{\\PC{0,60}\\}|[\\{\\}\\[\\]\":,0-9a-z\\\\]{0,80}") {
        let _ = Transaction::parse(&text);
    }
}

/// A transaction with an outside coordinator is made by the bank and read from its journal, but
/// rejected on a line.
#[test]
fn an_outside_coordinator_is_part_of_the_digest() {
    let withdraw = money(1, Flow::Withdraw, 5);
    let outside = Transaction::with_outside(bank(1), [withdraw.clone()]).unwrap();
    let text = r#"{"ops":[{"bank":1,"op":"withdraw","account":"12345-6","amount":5}],"outside":1}"#;
    assert_eq!(outside.text(), text);
    assert!(outside.has_outside() && outside.is_balanced());
    assert_eq!((outside.banks(), outside.ops()), (banks(&[1]), &[withdraw.clone()][..]));
    let plain = Transaction::from_ops([withdraw.clone()], None).unwrap();
    assert!(!plain.has_outside());
    assert_ne!(plain.digest(), outside.digest());

    let nothing = Transaction::with_outside(bank(2), []).unwrap();
    assert_eq!((nothing.text(), nothing.banks()), (r#"{"ops":[],"outside":2}"#, banks(&[2])));

    for transaction in [outside, nothing, plain] {
        let bytes = postcard::to_stdvec(&transaction).unwrap();
        assert_eq!(postcard::from_bytes::<Transaction>(&bytes), Ok(transaction));
    }
    for typed in [text, r#"{"outside":2,"ops":[]}"#, r#"{"outside":true}"#] {
        let fault = Transaction::parse(typed).unwrap_err();
        assert_eq!(fault, Fault::new(Reason::Malformed, "`outside` can't be typed on a line"));
    }
    for other in [money(0, Flow::Withdraw, 5), money(1, Flow::Debit, 5), set(1, "k", "v")] {
        let fault = Transaction::with_outside(bank(1), [withdraw.clone(), other]).unwrap_err();
        assert_eq!(
            fault,
            Fault::new(Reason::Malformed, "`outside` takes withdrawals at bank 1 alone")
        );
    }
    let many = vec![withdraw; OPS_MAX + 1];
    assert_eq!(
        Transaction::with_outside(bank(1), many).map_err(|fault| fault.reason),
        Err(Reason::Limit)
    );
    let with_patience = postcard::to_stdvec(r#"{"ops":[],"outside":2,"patience_ms":5}"#).unwrap();
    assert!(postcard::from_bytes::<Transaction>(&with_patience).is_err());
}
