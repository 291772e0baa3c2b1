//! Every verb is parsed and written; every rejection has its documented text; nothing panics.

use super::*;
use crate::ids::{BankId, ClientKind, ClientName};
use crate::limits::{LINE_BYTES_MAX, TOKENS_MAX};
use crate::money::Money;
use crate::wire::Reason;
use crate::wire::reading::Reading;
use crate::wire::token::{Digest, Seal, Vote};
use proptest::prelude::*;

const SET: &str = r#"{"ops":[{"bank":0,"op":"set","value":"1"}]}"#;

fn tx(id: &str) -> TxId {
    TxId::new(id).unwrap()
}

fn token() -> Token {
    let seal = Seal::keyed([1; 32]);
    seal.token(BankId::new(1).unwrap(), Vote::Ok, &tx("t1"), Some(Digest::of(b"{}")), Time(7))
}

fn written(request: &Request) -> String {
    let mut out = Vec::new();
    request.write_to(&mut out);
    let mut text = String::from_utf8(out).unwrap();
    assert_eq!(text.pop(), Some('\n'));
    assert!(!text.contains('\n') && text.len() < LINE_BYTES_MAX);
    text
}

#[test]
fn a_request_of_each_verb_is_parsed_and_written() {
    let token = token().to_string();
    for line in [
        &format!("PREPARE t1 {SET}"),
        &format!("EXECUTE t1 {SET}"),
        "COMMIT t1",
        &format!("COMMIT t1 {token} {token}"),
        "ABORT t1",
        &format!("ABORT t1 {token}"),
        "RESOLVE t1",
        "STATUS t1",
        r#"CLIENT {"cpf":"12345678900","name":"Pessoa \"1\"","kind":"Físico"}"#,
        concat!(
            r#"ACCOUNT {"number":"12345-6","holders":["12345678900","12ABC345678900"],"#,
            r#""deposit":100000}"#
        ),
        "CLIENTS",
        "CLIENTS after=12345678900",
        "ACCOUNTS",
        "ACCOUNTS 12345678900",
        "ACCOUNTS after=12345-6",
        "ACCOUNTS 12345678900 after=12345-6",
        "BALANCE 12345-6",
        "VALUE storage",
        "HISTORY",
        "HISTORY 5",
        "HISTORY after=t9",
        "HISTORY 5 after=t9",
        "PENDING",
        "PENDING after=t9",
        "BANKS",
        "INFO",
        "SNAPSHOT",
        "SNAPSHOT 17",
        "SNAPSHOT accounts",
        "SNAPSHOT 17 T2.18..",
        "SNAPSHOT 17 T2.18..00112233445566778899aabbccddeeff accounts",
        "SNAPSHOT 17 accounts after=a:12345-6",
        "SNAPSHOT 17 accounts after=r:storage",
        "PEER {\"bank\": 1}",
        "PING",
        "HELP",
        "HELP PREPARE",
        "QUIT",
    ] {
        let request = Request::parse(line).unwrap_or_else(|fault| panic!("{line}: {fault}"));
        assert_eq!(written(&request), line);
        assert_eq!(
            Request::parse(&format!(" \t{} ", line.replacen(' ', "   ", 1))),
            Ok(request.clone())
        );
        let verb = line.split(' ').next().unwrap();
        assert_eq!(request.verb().name(), verb);
        assert!(Verb::read(verb).is_some());
        assert_eq!(request.tx().is_some(), line.contains(" t1"), "{line}");
    }
}

#[test]
fn omitted_words_have_their_defaults() {
    assert_eq!(written(&Request::parse("VALUE").unwrap()), "VALUE storage");
    match Request::parse(r#"ACCOUNT {"holders":["12345678900"],"number":"1"}"#) {
        Ok(Request::Account(account)) => assert_eq!(account.deposit, Money::ZERO),
        other => panic!("{other:?}"),
    }
}

/// A transaction's bytes are those from the first `{` to the last `}` of its line, including blanks
/// between them.
#[test]
fn the_bytes_of_a_transaction_are_kept_exactly() {
    for spaced in [SET.to_owned(), SET.replace(':', " : "), SET.replace(',', "\t,")] {
        match Request::parse(&format!("PREPARE  t1 \t {spaced}  ")) {
            Ok(Request::Prepare(id, transaction)) => {
                assert_eq!((id, transaction.text()), (tx("t1"), spaced.as_str()));
                assert_eq!(transaction.digest(), &Digest::of(spaced.as_bytes()));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn words_that_are_no_tokens_are_ignored() {
    let good = token();
    assert_eq!(
        Request::parse(&format!("COMMIT t1 junk {good} O1")),
        Ok(Request::Commit(tx("t1"), vec![good]))
    );
    assert_eq!(Request::parse("ABORT t1 junk"), Ok(Request::Abort(tx("t1"), None)));
    let most = format!("COMMIT t1{}", format!(" {good}").repeat(TOKENS_MAX));
    assert_eq!(Request::parse(&most), Ok(Request::Commit(tx("t1"), vec![good; TOKENS_MAX])));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table: one line a refusal")]
fn a_bad_line_is_rejected_with_a_fault_that_names_it() {
    let many = format!("COMMIT t1{}", " x".repeat(TOKENS_MAX + 1));
    let long_id = format!("STATUS {}", "x".repeat(65));
    let long_name = format!(r#"CLIENT {{"name":"{}"}}"#, "x".repeat(201));
    let account = |fields: &str| format!(r#"ACCOUNT {{"number":"1",{fields}}}"#);
    for (line, reason, named) in [
        ("", Reason::Malformed, "empty line"),
        ("  ", Reason::Malformed, "empty line"),
        ("ping", Reason::Malformed, "`ping`; verbs are typed in capitals; HELP"),
        ("HELP JUMP", Reason::Malformed, "there is no verb `JUMP`; HELP lists them"),
        ("HELP PING now", Reason::Malformed, "HELP does not take `now`; see HELP HELP"),
        ("JUMP x", Reason::Malformed, "unknown verb `JUMP`; HELP"),
        ("PING x", Reason::Malformed, "PING does not take `x`"),
        ("STATUS", Reason::Malformed, "STATUS needs a transaction id"),
        ("STATUS é", Reason::Malformed, "STATUS `é`: transaction id"),
        (&long_id, Reason::Malformed, "transaction id: 1 to 64"),
        ("STATUS t1 t2", Reason::Malformed, "STATUS does not take `t2`"),
        ("RESOLVE t1 t2", Reason::Malformed, "RESOLVE does not take `t2`"),
        ("ABORT t1 x y", Reason::Malformed, "ABORT does not take `y`"),
        (&many, Reason::Limit, "COMMIT takes at most 16 tokens"),
        ("PREPARE", Reason::Malformed, "PREPARE needs a transaction id"),
        ("PREPARE t1", Reason::Malformed, "PREPARE needs a transaction after its id"),
        ("PREPARE {}", Reason::Malformed, "PREPARE `{}`: transaction id"),
        ("PREPARE t1{}", Reason::Malformed, "PREPARE `t1{}`: transaction id"),
        ("EXECUTE t1 t2 {}", Reason::Malformed, "EXECUTE: `t2` stands between"),
        ("PREPARE t1 {} more", Reason::Malformed, "PREPARE: `more` stands after"),
        ("PREPARE t1 {", Reason::Malformed, "`transaction` must be a JSON object"),
        ("PREPARE t1 {}", Reason::Malformed, "`ops` is missing"),
        ("CLIENTS 1", Reason::Malformed, "CLIENTS does not take `1`"),
        ("CLIENTS after=1", Reason::Malformed, "CLIENTS after=: cpf"),
        ("ACCOUNTS 1", Reason::Malformed, "ACCOUNTS: cpf"),
        ("BALANCE", Reason::Malformed, "BALANCE needs an account number"),
        ("HISTORY 0", Reason::Malformed, "HISTORY takes a number from 1 on, not `0`"),
        ("HISTORY -1", Reason::Malformed, "not `-1`"),
        ("HISTORY 1.5", Reason::Malformed, "not `1.5`"),
        ("HISTORY 99999999999999999999", Reason::Malformed, "HISTORY takes"),
        ("SNAPSHOT 1x", Reason::Malformed, "SNAPSHOT: `1x`"),
        ("SNAPSHOT T2.18..", Reason::Malformed, "SNAPSHOT does not take `T2.18..`"),
        ("SNAPSHOT 17 T2.18.", Reason::Malformed, "SNAPSHOT: `T2.18.` is no bank's reading"),
        ("SNAPSHOT 17 O2.18..", Reason::Malformed, "SNAPSHOT does not take `O2.18..`"),
        ("SNAPSHOT -1", Reason::Malformed, "SNAPSHOT does not take `-1`"),
        ("SNAPSHOT 9007199254740992", Reason::Limit, "SNAPSHOT: time"),
        ("SNAPSHOT after=x:1", Reason::Malformed, "SNAPSHOT after=: key"),
        ("PEER", Reason::Malformed, "PEER needs"),
        ("CLIENT", Reason::Malformed, "`CLIENT` must be a JSON object, not the end"),
        ("CLIENT {}", Reason::Malformed, "`cpf` is missing"),
        (r#"CLIENT {"cpf":1}"#, Reason::Malformed, "`cpf` must be a text"),
        (r#"CLIENT {"cpf":"1"}"#, Reason::Malformed, "`cpf` must be 11 digits"),
        (r#"CLIENT {"name":""}"#, Reason::Malformed, "`name` must be 1 to 200"),
        (r#"CLIENT {"name":"a\nb"}"#, Reason::Malformed, "`name` must be 1 to 200"),
        (&long_name, Reason::Limit, "`name` has 201 bytes"),
        (r#"CLIENT {"kind":"a","kind":"a"}"#, Reason::Malformed, "`kind` is given twice"),
        (r#"CLIENT {"age":3}"#, Reason::Malformed, "unknown field `age` in `CLIENT`"),
        (r#"CLIENT {"cpf":"12345678900","name":"a"}"#, Reason::Malformed, "`kind` is missing"),
        (r#"CLIENT {"kind":"a"} x"#, Reason::Malformed, "expected nothing more"),
        (&account(r#""holders":[]"#), Reason::Malformed, "`holders` is empty"),
        (&account(r#""holders":"12345678900""#), Reason::Malformed, "`holders` must be a list"),
        (&account(r#""holders":["1"]"#), Reason::Malformed, "`holders[0]` must be 11 digits"),
        (
            &account(r#""holders":["12345678900","12345678900"]"#),
            Reason::Malformed,
            "`holders` names 12345678900 twice",
        ),
        (
            &account(r#""holders":["12345678900","12345678901","12345678902"]"#),
            Reason::Limit,
            "`holders` has more than 2",
        ),
        (&account(r#""deposit":-1"#), Reason::Malformed, "`deposit` must not be negative"),
        (
            &account(r#""deposit":1.0"#),
            Reason::Malformed,
            "`deposit` must be a whole number, not 1.0",
        ),
        (
            &account(r#""deposit":null"#),
            Reason::Malformed,
            "`deposit` must be a whole number, not `null`",
        ),
        (
            &account(r#""deposit":9223372036854775808"#),
            Reason::Limit,
            "`deposit` is 9223372036854775808",
        ),
        (&account(r#""deposit":0"#), Reason::Malformed, "`holders` is missing"),
        (&account(r#""owner":0"#), Reason::Malformed, "unknown field `owner` in `ACCOUNT`"),
    ] {
        let fault = Request::parse(line).expect_err(line);
        assert_eq!(fault.reason, reason, "{line}: {fault}");
        assert!(fault.text.contains(named), "{line}: {fault}");
    }
}

fn requests() -> impl Strategy<Value = Request> {
    let ids = || "[A-Za-z0-9._-]{1,64}".prop_map(|id| TxId::new(&id).unwrap());
    let numbers = || "[!-~éß€🦀]{1,16}".prop_map(|text| AccountNumber::new(&text).unwrap());
    let keys = || "[!-~éß€🦀]{1,16}".prop_map(|text| RegisterKey::new(&text).unwrap());
    let cpfs = || "[0-9]{11}|[0-9A-Z]{14}".prop_map(|text| TaxId::new(&text).unwrap());
    let plain = || "[ -~éß€🦀]{1,40}";
    let kinds = plain().prop_filter_map("short", |text| ClientKind::new(&text).ok());
    let names = plain().prop_map(|text| ClientName::new(&text).unwrap());
    let snapshot_keys = prop_oneof![
        numbers().prop_map(SnapshotKey::Account),
        keys().prop_map(SnapshotKey::Register)
    ];
    let maybe = prop::option::of::<proptest::strategy::BoxedStrategy<TxId>>;
    prop_oneof![
        (ids(), 0..4usize).prop_map(|(tx, n)| Request::Commit(tx, vec![token(); n])),
        (ids(), any::<bool>()).prop_map(|(tx, given)| Request::Abort(tx, given.then(token))),
        ids().prop_map(Request::Resolve),
        ids().prop_map(Request::Status),
        (cpfs(), names, kinds).prop_map(|(cpf, name, kind)| Request::Client(NewClient {
            cpf,
            name,
            kind
        })),
        (numbers(), cpfs(), prop::option::of(cpfs()), 0..=i64::MAX).prop_map(
            |(number, first, second, deposit)| {
                let second = second.filter(|second| *second != first);
                let holders = std::iter::once(first).chain(second).collect();
                Request::Account(NewAccount { number, holders, deposit: Money(deposit) })
            }
        ),
        prop::option::of(cpfs()).prop_map(|after| Request::Read(Read::Clients { after })),
        (prop::option::of(cpfs()), prop::option::of(numbers()))
            .prop_map(|(cpf, after)| Request::Read(Read::Accounts { cpf, after })),
        numbers().prop_map(|number| Request::Read(Read::Balance(number))),
        keys().prop_map(|key| Request::Read(Read::Value(key))),
        (prop::option::of(1usize..), maybe(ids().boxed())).prop_map(
            |(count, after)| Request::Read(Read::History {
                count: count.map(|n| n >> 1 | 1),
                after
            })
        ),
        maybe(ids().boxed()).prop_map(|after| Request::Read(Read::Pending { after })),
        (
            prop::option::of((0..=Time::MAX.0, prop::option::of(readings()))),
            any::<bool>(),
            prop::option::of(snapshot_keys)
        )
            .prop_map(|(cut_time, accounts, after)| {
                let (time, reading) =
                    cut_time.map_or((None, None), |(time, reading)| (Some(Time(time)), reading));
                Request::Read(Read::Snapshot { time, reading, accounts, after })
            }),
    ]
}

fn readings() -> impl Strategy<Value = Reading> {
    (0usize..16, 0..=Time::MAX.0, prop::option::of(any::<[u8; 16]>())).prop_map(
        |(bank, time, mac)| Reading { bank: BankId::new(bank).unwrap(), time: Time(time), mac },
    )
}

proptest! {
    #[test]
    fn a_request_is_parsed_back_from_its_line(request in requests()) {
        prop_assert_eq!(Request::parse(&written(&request)), Ok(request));
    }

    #[test]
    fn parsing_a_request_never_panics(line in "[A-Z]{0,9}[ -~é]{0,60}|\\PC{0,60}") {
        let _ = Request::parse(&line);
    }

    /// A good line with one byte changed, cut or doubled gives a result, never a panic.
    #[test]
    fn parsing_a_damaged_line_never_panics(at in 0usize..150, with in "\\PC{0,2}|[\\x00-\\x20]") {
        for line in [
            format!("PREPARE t1 {SET}"),
            concat!(
                r#"ACCOUNT {"number":"12345-6","holders":["12345678900","12345678901"],"#,
                r#""deposit":100000}"#
            )
            .to_owned(),
            r#"CLIENT {"cpf":"12345678900","name":"Pessoa \u00e9 \ud83e\udd80","kind":"Físico"}"#
                .to_owned(),
        ] {
            let at = line.floor_char_boundary(at.min(line.len()));
            let next = line.ceil_char_boundary((at + 1).min(line.len()));
            let _ = Request::parse(&format!("{}{with}{}", &line[..at], &line[next..]));
            let _ = Request::parse(&format!("{}{with}{}", &line[..at], &line[at..]));
            let _ = Request::parse(&line[..at]);
        }
    }
}
