//! Consortiums whose list changes: banks that come, and banks that leave.

use super::{run, start_with};
use crate::support::{Cluster, Process, wait_until};
use serde_json::Value;

/// What a bank that leaves has voted on is decided before.
#[test]
fn a_bank_does_not_leave_while_something_undecided_names_it() {
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
        // A connection that closes would have its bank ask the other one, which then refuses.
        let mut wire = cluster.connect(bank);
        let vote = wire.ask(&format!("PREPARE t1 {transfer}"));
        assert!(vote.starts_with("OK t1"), "{vote}");
        cluster.kill(bank);
    }
    let list = format!("{},-", cluster.port(0));
    let refused = run(cluster.servidor(0).args(["--consortium", &list]));
    let told = "servidor: the list marks bank 1 as left, and transaction t1, which names it, is \
                undecided here: start \
                with the old list until it is decided";
    assert_eq!(refused.stderr.trim(), told, "{refused:#?}");
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

/// `storage` at each bank, or why it is not told.
fn values(cluster: &Cluster, banks: usize) -> Vec<String> {
    let value = |bank: usize| cluster.connect(bank).ask("VALUE");
    (0..banks).map(value).collect()
}

/// Sets `storage` at so many banks, driven by the bank `by`.
fn set(cluster: &Cluster, by: usize, banks: usize, value: &str) -> String {
    let op = |bank| format!(r#"{{"bank":{bank},"op":"set","value":"{value}"}}"#);
    let ops: Vec<String> = (0..banks).map(op).collect();
    cluster.connect(by).ask(&format!(r#"EXECUTE set-{value} {{"ops":[{}]}}"#, ops.join(",")))
}

fn told(value: &str) -> String {
    format!(r#"DONE {{"key":"storage","value":"{value}"}}"#)
}

/// Waits until `storage` is this at all of so many banks.
#[track_caller]
fn wait_for_value(cluster: &Cluster, banks: usize, value: &str) {
    let all = vec![told(value); banks];
    wait_until(&format!("{value} at {banks} banks"), || {
        (values(cluster, banks) == all).then_some(())
    });
}

/// Waits until a bank has links to so many others.
fn wait_linked(cluster: &Cluster, bank: usize, links: usize) {
    wait_until(&format!("links of bank {bank}"), || {
        let banks = cluster.connect(bank).ask("BANKS");
        // It tells itself as online, too.
        (banks.matches(r#""online":true"#).count() > links).then_some(())
    });
}

/// Both audits, of all that there is now.
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

/// Does a bank say of a register that it can't know it yet: it has not met the others, or not asked
/// them?
fn is_unknown(reply: &str) -> bool {
    reply.starts_with("REFUSED not-introduced ") || reply.starts_with("REFUSED unreachable ")
}

#[test]
fn three_banks_become_four_while_clients_fight() {
    let mut cluster = Cluster::start(3);
    wait_for_value(&cluster, 3, "0");
    assert!(set(&cluster, 0, 3, "42").starts_with("COMMITTED"));
    let fight = ["contention", "--clients", "4", "--seconds", "8", "--settle", "5s", "--json"];
    let mut fighting = Process::start(&mut cluster.cliente(&fight));
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
    // What it does not know yet is no fault, and not compared.
    let ran = cluster.run(&["audit"]).expect_code(0).expect("It adds up");
    let said = "bank 3 came later and did not know its registers yet at that time";
    assert!(
        ran.stdout.contains(said) && ran.stdout.contains("equal at all banks that know theirs"),
        "{ran:#?}"
    );
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
        wait_until("they go on", || committed(&cluster, bank).filter(|count| *count > before + 5));
    }
    wait_for_value(&cluster, 4, "42");
    wait_linked(&cluster, 3, 3);
    assert!(set(&cluster, 3, 4, "43").starts_with("COMMITTED"));
    wait_for_value(&cluster, 4, "43");

    // What the clients were told is so; of all banks their list says too little now.
    let report: Value = serde_json::from_str(&fighting.expect_line("verdict")).unwrap();
    assert_eq!(fighting.wait(), Some(5), "{report}");
    assert_eq!(report["error"]["code"], "not-known-yet", "{report}");
    assert_eq!(report["verdict"]["as_told"], true, "{report}");
    assert!(report["error"]["message"].as_str().unwrap().contains("knows 4"), "{report}");
    audits_hold(&cluster, 4);
    let again = ["contention", "--clients", "4", "--seconds", "1"];
    cluster.run(&again).expect_code(0).expect("All of it holds.");
    audits_hold(&cluster, 4);
}

/// Three banks with `storage` at 42, of which bank 2 is down; the others have the longer list, and
/// bank 3 is started.
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
    let learned = vec![told("42"); 1];
    wait_until("bank 3 learns", || {
        (vec![cluster.connect(3).ask("VALUE")] == learned).then_some(())
    });
    cluster.start_bank(2);
    wait_for_value(&cluster, 4, "42");
    wait_linked(&cluster, 3, 3);
    assert!(set(&cluster, 3, 4, "43").starts_with("COMMITTED"));
    wait_for_value(&cluster, 4, "43");
    audits_hold(&cluster, 4);
}
