//! `cliente doubt` and `cliente resolve` while a bank that may have voted OK is down: they name
//! the bank that blocks, guess no outcome, and resolve what can be resolved.

use crate::support::{Cluster, Process, Wire, wait_until};
use serde_json::json;

const MARIA: &str = "11111111111";
const PEDRO: &str = "22222222222";

/// Sends PREPARE of a transfer of 10 reais from bank 0 to bank 2 to these banks only.
fn prepared(cluster: &Cluster, tx: &str, banks: &[usize]) -> Vec<Wire> {
    let text = concat!(
        r#"{"ops":[{"bank":0,"op":"debit","account":"12345-6","amount":1000},"#,
        r#"{"bank":2,"op":"credit","account":"78910-0","amount":1000}],"#,
        r#""patience_ms":300000}"#
    );
    let mut wires: Vec<Wire> = banks.iter().map(|bank| cluster.connect(*bank)).collect();
    for wire in &mut wires {
        let reply = wire.ask(&format!("PREPARE {tx} {text}"));
        assert!(reply.starts_with(&format!("OK {tx} ")), "{reply}");
    }
    wires
}

#[test]
fn the_blocking_bank_is_named_and_no_outcome_is_guessed() {
    let mut cluster = Cluster::start(3);
    cluster.open_account(0, "12345-6", MARIA, "1000");
    cluster.open_account(2, "78910-0", PEDRO, "0");
    cluster.run(&["doubt"]).expect_code(0).expect("no undecided transaction");

    let _both = prepared(&cluster, "both", &[0, 2]);
    let _one = prepared(&cluster, "one", &[0]);
    let document = cluster.json(0, &["doubt"]);
    let undecided = document["undecided"].as_array().unwrap();
    assert_eq!(undecided.len(), 2);
    assert_eq!(
        (&undecided[0]["tx"], &undecided[0]["held_by"]),
        (&"both".into(), &json!([0, 2])),
        "oldest first"
    );
    assert_eq!((&undecided[1]["tx"], &undecided[1]["waiting_for"]), (&"one".into(), &json!([2])));
    assert_eq!(undecided[1]["held_centavos"], 1_000);
    assert!(
        undecided.iter().all(|one| one["down"] == json!([]) && one["age_us"].as_i64() >= Some(0))
    );
    cluster.run(&["duvidas"]).expect_code(0).expect("R$ 10,00 of 0/12345-6").expect("resolve TX");

    cluster.kill(2);
    let document = cluster.json(3, &["doubt"]);
    assert_eq!(document["undecided"][0]["down"], json!([2]));
    assert_eq!(document["not_asked"][0]["address"], cluster.address(2));
    cluster
        .run(&["doubt"])
        .expect_code(3)
        .expect("bank 2, which is down")
        .expect(&cluster.address(2));

    let ran = cluster.run(&["resolve", "one"]).expect_code(5).expect("can't be ended safely");
    let cure = format!("bank 2 at {} is down and may have voted OK", cluster.address(2));
    assert!(ran.stdout.contains(&cure), "it names the cure: {ran:?}");
    assert!(ran.stdout.contains(&format!("servidor --port {}", cluster.port(2))), "{ran:?}");
    let document = cluster.json(5, &["resolve", "one"]);
    assert_eq!(
        (&document["outcome"], &document["waiting_for"]),
        (&"undecided".into(), &json!([2]))
    );
    // Bank 2, which is down, may have voted on it, so this is not "unknown".
    let ran = cluster.run(&["resolve", "never-heard"]).expect_code(3);
    assert!(
        ran.stdout.contains("none of the 2 banks") && ran.stdout.contains(&cluster.address(2)),
        "{ran:?}"
    );

    cluster.start_bank(2);
    cluster.run(&["resolve", "one"]).expect_code(4).expect("aborted");
    cluster.run(&["resolve", "both"]).expect_code(0).expect("committed at");
    wait_until("nothing is undecided", || {
        (cluster.json(0, &["doubt"])["undecided"] == json!([])).then_some(())
    });
    cluster.run(&["resolve", "never-heard"]).expect_code(4).expect("nothing of it has happened");
}

#[test]
fn with_the_driver_and_a_bank_killed_the_logs_show_the_doubt() {
    let mut cluster = Cluster::start(3);
    cluster.open_account(0, "12345-6", MARIA, "1000");
    cluster.open_account(2, "78910-0", PEDRO, "0");
    let arguments =
        ["transfer", "--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", "t", "--step"];
    let mut client = Process::start(&mut cluster.cliente(&arguments));
    client.expect_line("Enter sends COMMIT");
    cluster.kill(2);
    client.kill();
    // The client's log may lack its last lines; bank 0's shows its OK and its query.
    wait_until("bank 0 is in doubt", || {
        cluster.log(0).lines().any(|line| line.contains(" doubt ")).then_some(())
    });
    let document = cluster.json(0, &["trace", "t"]);
    let spans = document["spans"].as_array().unwrap();
    assert!(spans.iter().any(|span| span["kind"] == "hold" && span["open"] == true), "{spans:?}");
    cluster.start_bank(2);
    wait_until("bank 0 learns the outcome", || {
        (cluster.balance("0/12345-6") == 99_000).then_some(())
    });
    wait_until("the logs show the end of both doubts", || {
        let trace = cluster.json(0, &["trace", "t"]);
        let ended = |span: &serde_json::Value| span["kind"] == "doubt" && span["open"] == false;
        (trace["spans"].as_array().unwrap().iter().filter(|span| ended(span)).count() == 2)
            .then_some(())
    });
    let document = cluster.json(0, &["trace", "t"]);
    assert_eq!(document["verdict"], "committed");
    let started = |event: &serde_json::Value| event["event"] == "start" && event["of_tx"] == false;
    assert!(
        document["events"].as_array().unwrap().iter().any(started),
        "the timeline includes the restart"
    );
}
