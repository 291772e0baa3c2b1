//! Each verb, for each role, for what belongs to the asker and for what does not, on a session and
//! over a link, compared with the table as text.

use super::super::{Role, Roles};
use super::*;
use crate::ids::{BankSet, TaxId, Time};
use crate::wire::request::{NewAccount, NewClient};
use crate::wire::verb::Verb;
use std::collections::BTreeSet;

/// The columns are those of `COLUMNS`. ✓ all, own, c with a consent or over a trusted link, – no.
const TABLE: &str = "\
| PING HELP QUIT BANKS     | ✓ | ✓   | ✓      | ✓ | ✓   | ✓   | ✓ |
| HELLO                    | – | ✓   | ✓      | ✓ | ✓   | ✓   | ✓ |
| PREPARE: credit          | ✓ | ✓   | ✓      | ✓ | ✓   | ✓   | ✓ |
| PREPARE: debit, withdraw | c | c   | own, c | ✓ | c   | c   | ✓ |
| PREPARE: deposit         | c | c   | c      | ✓ | c   | c   | ✓ |
| PREPARE: set             | c | c   | c      | c | ✓   | c   | ✓ |
| EXECUTE                  | – | –   | ✓      | ✓ | ✓   | –   | ✓ |
| with tokens: COMMIT ABORT | ✓ | ✓  | ✓      | ✓ | ✓   | ✓   | ✓ |
| COMMIT ABORT RESOLVE     | ✓ | own | own    | own | own | own | ✓ |
| STATUS                   | ✓ | own | own    | ✓ | own | ✓   | ✓ |
| CLIENT ACCOUNT           | – | –   | –      | ✓ | –   | –   | ✓ |
| BALANCE ACCOUNTS-cpf     | – | –   | own    | ✓ | –   | ✓   | ✓ |
| CLIENTS ACCOUNTS INFO    | – | –   | –      | ✓ | –   | ✓   | ✓ |
| VALUE                    | – | –   | ✓      | ✓ | ✓   | ✓   | ✓ |
| HISTORY PENDING          | – | own | own    | ✓ | own | ✓   | ✓ |
| SNAPSHOT                 | ✓ | –   | –      | –  | –   | ✓   | ✓ |
| SNAPSHOT-accounts        | – | –   | –      | –  | –   | ✓   | ✓ |
| PEER REGISTERS           | ✓ | –   | –      | –  | –   | –   | – |
";
const COLUMNS: [&str; 7] = ["link", "named", "holder", "teller", "writer", "auditor", "operator"];
/// Account 1 and tax number 1 are Ana's.
const HER_CPF: &str = "11111111111";
const OTHER_CPF: &str = "22222222222";

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn bank(position: usize) -> BankId {
    BankId::new(position).expect("a position")
}

/// Accounts 1 and 2, of Ana and of another one, and the joint account 3.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new();
    for cpf in [HER_CPF, OTHER_CPF] {
        let line = format!(r#"CLIENT {{"cpf":"{cpf}","name":"P","kind":"F"}}"#);
        let Ok(Request::Client(client)) = Request::parse(&line) else { panic!("{line}") };
        let client: NewClient = client;
        ledger.add_client(&client, Time(1));
    }
    for (number, holders) in [
        ("1", format!(r#""{HER_CPF}""#)),
        ("2", format!(r#""{OTHER_CPF}""#)),
        ("3", format!(r#""{OTHER_CPF}","{HER_CPF}""#)),
    ] {
        let line = format!(r#"ACCOUNT {{"number":"{number}","holders":[{holders}]}}"#);
        let Ok(Request::Account(account)) = Request::parse(&line) else { panic!("{line}") };
        let account: NewAccount = account;
        ledger.open_account(&account, Time(2));
    }
    ledger
}

/// Ana with these roles, and the other one as holder; bank 1 is trusted, bank 2 is not.
fn access(roles: Roles) -> Access {
    let cpf = |text: &str| vec![TaxId::new(text).expect("a cpf")];
    let ana = Grant { roles, cpfs: cpf(HER_CPF), ..Grant::of(name("ana")) };
    let roles = Roles::NONE.with(Role::Holder);
    let other = Grant { roles, cpfs: cpf(OTHER_CPF), ..Grant::of(name("other")) };
    Access::new(vec![ana, other], BankSet::EMPTY.with(bank(1))).expect("two names")
}

fn request(line: &str) -> Request {
    Request::parse(line).unwrap_or_else(|fault| panic!("{line}: {fault}"))
}

fn operation(op: &str, own: bool) -> String {
    let account = if own { 1 } else { 2 };
    match op {
        "set" => r#"{"bank":0,"op":"set","value":"v"}"#.to_owned(),
        op => format!(r#"{{"bank":0,"op":"{op}","account":"{account}","amount":1}}"#),
    }
}

/// The line of a verb of the table, about what is Ana's or about what is not.
fn line(verb: &str, own: bool) -> String {
    let (tx, cpf) = if own { ("ana.t", HER_CPF) } else { ("other.t", OTHER_CPF) };
    let account = if own { 1 } else { 2 };
    match verb {
        "COMMIT" | "ABORT" | "RESOLVE" | "STATUS" => format!("{verb} {tx}"),
        "EXECUTE" => format!(r#"EXECUTE ana.t {{"ops":[{}]}}"#, operation("credit", own)),
        "CLIENT" => r#"CLIENT {"cpf":"33333333333","name":"P","kind":"F"}"#.to_owned(),
        "ACCOUNT" => format!(r#"ACCOUNT {{"number":"9","holders":["{cpf}"]}}"#),
        "BALANCE" => format!("BALANCE {account}"),
        "ACCOUNTS-cpf" => format!("ACCOUNTS {cpf}"),
        "SNAPSHOT-accounts" => "SNAPSHOT accounts".to_owned(),
        "REGISTERS" => "REGISTERS 1 n".to_owned(),
        "HELLO" => r#"HELLO {"bank":0,"places":3,"version":1}"#.to_owned(),
        "PEER" => "PEER {}".to_owned(),
        plain => plain.to_owned(),
    }
}

/// What a cell says for the owner's connection.
fn cell_allows(cell: &str, own: bool) -> bool {
    match cell {
        "✓" => true,
        "own" | "own, c" => own,
        "c" | "–" => false,
        cell => panic!("{cell}"),
    }
}

struct TableRow {
    verbs: &'static str,
    cells: Vec<&'static str>,
}

fn rows() -> impl Iterator<Item = TableRow> {
    TABLE.lines().map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let verbs = cells.next().expect("a row has verbs");
        let cells: Vec<&str> = cells.collect();
        assert_eq!(cells.len(), COLUMNS.len(), "{line}");
        TableRow { verbs, cells }
    })
}

/// The roles of a column, and the principal that asks.
fn roles(column: &str) -> Roles {
    Role::parse(column).into_iter().collect()
}

#[test]
fn each_verb_is_allowed_where_the_table_says_so() {
    let (ledger, ana) = (ledger(), Principal::Named(name("ana")));
    let mut seen = BTreeSet::from([Verb::Prepare]);
    for row in rows().filter(|row| !row.verbs.starts_with("PREPARE")) {
        let proves = row.verbs.strip_prefix("with tokens: ");
        for verb in proves.unwrap_or(row.verbs).split(' ') {
            for (column, cell) in COLUMNS.into_iter().zip(&row.cells) {
                for own in [true, false] {
                    let access = access(roles(column));
                    let line = line(verb, own);
                    let asker =
                        if column == "link" { Principal::Bank(bank(2)) } else { ana.clone() };
                    let got = may(&access, &asker, &request(&line), &ledger);
                    let is_list = matches!(verb, "HISTORY" | "PENDING");
                    let expected = match cell_allows(cell, own || is_list) {
                        false => vec![Permission::No, Permission::Proof],
                        true if proves.is_some() => vec![Permission::All, Permission::Proof],
                        true if is_list && *cell == "own" => vec![Permission::Own],
                        true => vec![Permission::All],
                    };
                    assert!(expected.contains(&got), "{column}: {line}: {got:?}");
                    let is_end = matches!(verb, "COMMIT" | "ABORT");
                    assert!(is_end || got != Permission::Proof, "{column}: {line}: {got:?}");
                    // What may be done may be asked.
                    let asked = may_ask(&access, &asker, &request(&line));
                    assert!(asked || got == Permission::No, "{column}: {line}");
                    assert!(asked || *cell == "–", "{column}: {line}");
                    seen.insert(request(&line).verb());
                }
            }
        }
    }
    let left_out = Verb::ALL.iter().find(|verb| !seen.contains(verb));
    assert_eq!(left_out, None, "a verb is left out");
}

#[test]
fn each_operation_is_allowed_where_the_table_says_so() {
    let (ledger, tx) = (ledger(), TxId::new("ana.t").expect("an id"));
    let mut seen = 0;
    for row in rows() {
        let Some(ops) = row.verbs.strip_prefix("PREPARE: ") else { continue };
        for op in ops.split(", ") {
            let over_link = row.cells[0];
            for (column, cell) in COLUMNS.into_iter().zip(&row.cells).skip(1) {
                for own in [true, false] {
                    let access = access(roles(column));
                    let text = format!(r#"{{"ops":[{}]}}"#, operation(op, own));
                    let transaction = Transaction::parse(&text).expect("a transaction");
                    let allowed = |way| {
                        let me = bank(0);
                        not_allowed(&access, (&tx, way), me, &transaction, &ledger).is_none()
                    };
                    let here = cell_allows(cell, own);
                    assert_eq!(allowed(Way::Session), here, "{column}: {op} {own}");
                    // Over a trusted link the owner's own right counts.
                    let trusted = over_link == "✓" || here;
                    assert_eq!(allowed(Way::Link(bank(1))), trusted, "{column}: {op} {own}");
                    let untrusted = over_link == "✓";
                    assert_eq!(allowed(Way::Link(bank(2))), untrusted, "{column}: {op} {own}");
                    assert!(allowed(Way::Open));
                    let line = format!("PREPARE ana.t {text}");
                    let asker = Principal::Named(name("ana"));
                    let may = may(&access, &asker, &request(&line), &ledger);
                    assert_eq!(may, Permission::All, "the vote says so, and is recorded: {line}");
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 5 * 6 * 2, "an operation is left out");
}

#[test]
fn roles_add_up() {
    let all: Roles = [Role::Holder, Role::Writer, Role::Auditor].into_iter().collect();
    let scopes = [Privilege::Draw, Privilege::Set, Privilege::Snapshot, Privilege::Register]
        .map(|privilege| privilege.for_roles(all));
    assert_eq!(scopes, [Scope::OwnOrConsent, Scope::All, Scope::All, Scope::No]);
}

#[test]
fn nobody_begins_a_transaction_in_anothers_name() {
    let ledger = ledger();
    let credit = operation("credit", true);
    for role in Role::ALL {
        let access = access(Roles::NONE.with(role));
        let ana = Principal::Named(name("ana"));
        for verb in ["PREPARE", "EXECUTE"] {
            for tx in ["other.t", "anab.t", "an.t", "ana", "t", ".ana", "ANA.t", "-.ana.t"] {
                let line = format!(r#"{verb} {tx} {{"ops":[{credit}]}}"#);
                assert_eq!(may(&access, &ana, &request(&line), &ledger), Permission::No, "{line}");
            }
        }
    }
    let access = access(Roles::NONE);
    for (tx, from, allowed) in [
        ("ana.t", 1, true),
        ("nobody.t", 2, true),
        ("caixa-2.t", 2, true),
        ("caixa-2.t", 1, false),
        ("bank-0.t", 1, false),
        ("t1", 1, false),
        ("Ana.t", 1, false),
    ] {
        let line = format!(r#"PREPARE {tx} {{"ops":[{credit}]}}"#);
        let permission = may(&access, &Principal::Bank(bank(from)), &request(&line), &ledger);
        assert_eq!(permission == Permission::All, allowed, "bank {from}: {line}");
    }
}

#[test]
fn a_name_that_has_ended_has_no_right_and_one_that_is_not_listed_has_no_role() {
    let ledger = ledger();
    let ana =
        Grant { gone: true, roles: Role::ALL.into_iter().collect(), ..Grant::of(name("ana")) };
    let gone = Access::new(vec![ana], BankSet::EMPTY).expect("one name");
    for row in rows().filter(|row| !row.verbs.contains(':')) {
        for verb in row.verbs.split(' ') {
            let request = request(&line(verb, true));
            let asker = Principal::Named(name("ana"));
            assert_eq!(may(&gone, &asker, &request, &ledger), Permission::No, "{verb}");
            assert!(!may_ask(&gone, &asker, &request), "{verb}");
            assert_eq!(may(&gone, &Principal::Operator, &request, &ledger), Permission::All);
            let unlisted = may(&gone, &Principal::Named(name("new")), &request, &ledger);
            let named = may(&access(Roles::NONE), &asker, &request, &ledger);
            if row.cells[1] != "own" {
                assert_eq!(unlisted, named, "{verb}");
            }
        }
    }
    assert!(!gone.lists("ana") && !gone.lists("new") && access(Roles::NONE).lists("ana"));
}

#[test]
fn a_joint_account_is_each_holders_and_an_unknown_one_is_nobodys() {
    let (ledger, access) = (ledger(), access(Roles::NONE.with(Role::Holder)));
    let draws = |account: &str| {
        let text =
            format!(r#"{{"ops":[{{"bank":0,"op":"withdraw","account":"{account}","amount":1}}]}}"#);
        let (tx, transaction) = (TxId::new("ana.t"), Transaction::parse(&text));
        let (tx, transaction) = (tx.expect("an id"), transaction.expect("a transaction"));
        not_allowed(&access, (&tx, Way::Session), bank(0), &transaction, &ledger).is_none()
    };
    assert_eq!(["1", "2", "3", "4"].map(draws), [true, false, true, false]);
}

/// Operations of other banks are theirs to judge.
#[test]
fn only_operations_of_this_bank_are_judged() {
    let (ledger, access) = (ledger(), access(Roles::NONE.with(Role::Holder)));
    let text = concat!(
        r#"{"ops":[{"bank":0,"op":"debit","account":"1","amount":1},"#,
        r#"{"bank":1,"op":"deposit","account":"9","amount":1},"#,
        r#"{"bank":0,"op":"debit","account":"2","amount":1}]}"#
    );
    let transaction = Transaction::parse(text).expect("a transaction");
    let tx = TxId::new("ana.t").expect("an id");
    let found = not_allowed(&access, (&tx, Way::Session), bank(0), &transaction, &ledger);
    assert_eq!(found, Some(&transaction.ops()[2]), "the one that is not allowed is named");
    let there = not_allowed(&access, (&tx, Way::Session), bank(2), &transaction, &ledger);
    assert_eq!(there, None);
}
