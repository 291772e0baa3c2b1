//! Consortiums whose list changes: new banks, and banks that leave.

use super::{run, start_with};
use crate::support::{Cluster, Process, wait_until};
use serde_json::Value;

/// A list without a bank is refused while an undecided transaction names that bank.
#[test]
fn a_bank_cannot_leave_while_something_undecided_names_it() {
    let mut cluster = Cluster::start(2);
    for (bank, cpf) in [(0, "11111111111"), (1, "22222222222")] {
        let mut wire = cluster.connect(bank);
        wire.ask(&format!(r#"CLIENT {{"cpf":"{cpf}","name":"P","kind":"F"}}"#));
        let account =
            format!(r#"ACCOUNT {{"number":"{bank}-1","holders":["{cpf}"],"deposit":1000}}"#);
        assert!(wire.ask(&account).starts_with("DONE"));
    }
    let transfer = concat!(
        r#"{"ops":[{"bank":0,"op":"debit","account":"0-1","amount":5},"#,
        r#"{"bank":1,"op":"credit","account":"1-1","amount":5}]}"#
    );
    for bank in 0..2 {
        // Kept open until the bank is killed: a closed driver would make bank 0 resolve, and bank 1
        // refuse.
        let mut wire = cluster.connect(bank);
        let vote = wire.ask(&format!("PREPARE t1 {transfer}"));
        assert!(vote.starts_with("OK t1"), "{vote}");
        cluster.kill(bank);
    }
    let list = format!("{},-", cluster.port(0));
    let refused = run(cluster.servidor(0).args(["--consortium", &list]));
    let expected = "servidor: the list marks bank 1 as left, and transaction t1, which names it, \
                    is undecided here: start with the old list until it is decided";
    assert_eq!(refused.stderr.trim(), expected, "{refused:#?}");
    refused.expect_code(1);

    // With the old list it is decided; then the bank may leave.
    cluster.start_bank(0);
    cluster.start_bank(1);
    wait_until("the outcome", || {
        let status = cluster.connect(0).ask("STATUS t1");
        status.starts_with("COMMITTED t1").then_some(())
    });
    assert_eq!(cluster.stop(0), Some(0));
    let process = start_with(&cluster, 0, &["--consortium", &list]);
    assert!(process.seen().concat().contains("(2 places"), "{:?}", process.seen());
}

/// Each bank's reply to `VALUE` of the default register.
fn values(cluster: &Cluster, banks: usize) -> Vec<String> {
    let value = |bank: usize| cluster.connect(bank).ask("VALUE");
    (0..banks).map(value).collect()
}

/// Sets the default register at `banks` banks; the bank `by` drives.
fn set(cluster: &Cluster, by: usize, banks: usize, value: &str) -> String {
    let op = |bank| format!(r#"{{"bank":{bank},"op":"set","value":"{value}"}}"#);
    let ops: Vec<String> = (0..banks).map(op).collect();
    cluster.connect(by).ask(&format!(r#"EXECUTE set-{value} {{"ops":[{}]}}"#, ops.join(",")))
}

/// The reply to `VALUE` of a bank whose default register is `value`.
fn value_reply(value: &str) -> String {
    format!(r#"DONE {{"key":"storage","value":"{value}"}}"#)
}

/// Waits until the default register is `value` at the first `banks` banks.
#[track_caller]
fn wait_for_value(cluster: &Cluster, banks: usize, value: &str) {
    let all = vec![value_reply(value); banks];
    wait_until(&format!("{value} at {banks} banks"), || {
        (values(cluster, banks) == all).then_some(())
    });
}

/// Waits until a bank has links to `links` others.
fn wait_linked(cluster: &Cluster, bank: usize, links: usize) {
    wait_until(&format!("links of bank {bank}"), || {
        let banks = cluster.connect(bank).ask("BANKS");
        // The bank lists itself as online too.
        (banks.matches(r#""online":true"#).count() > links).then_some(())
    });
}

/// Runs the online and the offline audit, which must hold.
#[track_caller]
fn audits_hold(cluster: &Cluster, banks: usize) {
    let ran = cluster.run(&["audit"]).expect_code(0).expect("It adds up");
    assert!(
        ran.stdout.contains("equal at all banks.") && !ran.stdout.contains("not known"),
        "{ran:#?}"
    );
    let journals = cluster.run(&["audit", "--journals", "data"]).expect_code(0);
    assert!(journals.stdout.contains(&format!("data/bank-{}", banks - 1)), "{journals:#?}");
}

/// Whether a bank does not know a register yet: it is not introduced, or has not learned it.
fn is_unknown(reply: &str) -> bool {
    reply.starts_with("REFUSED not-introduced ") || reply.starts_with("REFUSED unreachable ")
}

#[test]
fn three_banks_become_four_under_contention() {
    let mut cluster = Cluster::start(3);
    wait_for_value(&cluster, 3, "0");
    assert!(set(&cluster, 0, 3, "42").starts_with("COMMITTED"));
    let arguments = ["contention", "--clients", "4", "--seconds", "8", "--settle", "5s", "--json"];
    let mut contention = Process::start(&mut cluster.cliente(&arguments));
    let committed = |cluster: &Cluster, bank| {
        let info = cluster.connect(bank).ask("INFO");
        let info: Value = serde_json::from_str(info.strip_prefix("DONE ")?).ok()?;
        info["committed"].as_u64()
    };
    wait_until("clients commit", || committed(&cluster, 2).filter(|count| *count > 20));

    assert_eq!(cluster.add_bank(), 3);
    cluster.start_bank(3);
    let early = cluster.connect(3).ask("VALUE");
    assert!(is_unknown(&early), "no bank has the longer list yet: {early}");
    // A register that it does not know yet is no violation, and is not compared.
    let ran = cluster.run(&["audit"]).expect_code(0).expect("It adds up");
    for words in [
        "bank 3 came later and did not know its registers yet at that time",
        "equal at all banks that know theirs",
    ] {
        assert!(ran.stdout.contains(words), "{ran:#?}");
    }
    cluster.run(&["audit", "--journals", "data"]).expect_code(0);
    let cuts = cluster.json(0, &["audit", "--accounts"]);
    assert_eq!(
        (&cuts["banks"][3]["registers_known"], &cuts["banks"][3]["registers"]),
        (&false.into(), &Value::Null)
    );
    assert_eq!(cuts["banks"][0]["registers"]["storage"], "42", "{cuts}");
    for bank in [1, 2, 0] {
        let before = committed(&cluster, bank).unwrap();
        assert!(before > 0 && is_unknown(&cluster.connect(3).ask("VALUE")));
        cluster.kill(bank);
        cluster.start_bank(bank);
        wait_until("more commits", || {
            committed(&cluster, bank).filter(|count| *count > before + 5)
        });
    }
    wait_for_value(&cluster, 4, "42");
    wait_linked(&cluster, 3, 3);
    assert!(set(&cluster, 3, 4, "43").starts_with("COMMITTED"));
    wait_for_value(&cluster, 4, "43");

    // All outcomes are as reported, but the clients' list is too short for an audit of all banks.
    let report: Value = serde_json::from_str(&contention.expect_line("verdict")).unwrap();
    assert_eq!(contention.wait(), Some(5), "{report}");
    assert_eq!(report["error"]["code"], "not-known-yet", "{report}");
    assert_eq!(report["verdict"]["as_told"], true, "{report}");
    assert!(report["error"]["message"].as_str().unwrap().contains("knows 4"), "{report}");
    audits_hold(&cluster, 4);
    let again = ["contention", "--clients", "4", "--seconds", "1"];
    cluster.run(&again).expect_code(0).expect("All of it holds.");
    audits_hold(&cluster, 4);
}

/// Three banks with the default register at 42, of which bank 2 is down and the others have the
/// longer list. Bank 3 is not started yet.
fn grown_with_one_down() -> Cluster {
    let mut cluster = Cluster::start(3);
    wait_for_value(&cluster, 3, "0");
    assert!(set(&cluster, 0, 3, "42").starts_with("COMMITTED"));
    wait_for_value(&cluster, 3, "42");
    cluster.kill(2);
    assert_eq!(cluster.add_bank(), 3);
    for bank in 0..2 {
        cluster.kill(bank);
        cluster.start_bank(bank);
    }
    cluster
}

#[test]
fn a_bank_that_is_down_delays_the_new_one() {
    let mut cluster = grown_with_one_down();
    cluster.start_bank(3);
    wait_linked(&cluster, 3, 2);
    let value = cluster.connect(3).ask("VALUE");
    assert!(is_unknown(&value), "{value}");
    cluster.start_bank(2);
    wait_for_value(&cluster, 4, "42");
    wait_linked(&cluster, 2, 3);
    assert!(set(&cluster, 2, 4, "43").starts_with("COMMITTED"));
    wait_for_value(&cluster, 4, "43");
    audits_hold(&cluster, 4);
}

#[test]
fn a_bank_that_is_down_can_be_left_out_of_the_introduction() {
    let mut cluster = grown_with_one_down();
    cluster.add_switches(3, &["--introduce-without", "2"]);
    cluster.start_bank(3);
    let learned = value_reply("42");
    wait_until("bank 3 learns", || (cluster.connect(3).ask("VALUE") == learned).then_some(()));
    cluster.start_bank(2);
    wait_for_value(&cluster, 4, "42");
    wait_linked(&cluster, 3, 3);
    assert!(set(&cluster, 3, 4, "43").starts_with("COMMITTED"));
    wait_for_value(&cluster, 4, "43");
    audits_hold(&cluster, 4);
}
