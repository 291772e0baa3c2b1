//! `cliente audit` on real banks: at rest, under load, with a bank down, with a transaction in
//! doubt; and on their journals, with violations forged through the library.

use crate::support::{Cluster, Process, wait_until};
use consorcio::bank::Identity;
use consorcio::bank::io::{Outcome, OwnVote};
use consorcio::bank::record::Record;
use consorcio::ids::{BankId, Time, TxId};
use consorcio::journal::{
    self, BankReplica, FileDisk, JournalError, JournalOptions, JournalScan, Scanned,
};
use consorcio::wire::Reason;
use consorcio::wire::token::{Seal, Vote};
use consorcio::wire::transaction::Transaction;
use std::path::PathBuf;
use std::sync::Arc;

const MARIA: &str = "11111111111";
const PEDRO: &str = "22222222222";

fn with_accounts() -> Cluster {
    let cluster = Cluster::start(3);
    cluster.open_account(0, "12345-6", MARIA, "1000");
    cluster.open_account(2, "78910-0", PEDRO, "0");
    cluster
}

#[test]
fn all_banks_at_one_time_add_up() {
    let cluster = with_accounts();
    cluster.run(&["transfer", "--from", "0/12345-6=10", "--to", "2/78910-0"]).expect_code(0);
    cluster.run(&["withdraw", "2/78910-0", "1"]).expect_code(0);
    cluster.run(&["set", "7"]).expect_code(0);
    let ran = cluster.run(&["audit"]).expect_code(0).expect("It adds up");
    assert!(ran.stdout.contains("the one register is equal at all banks"), "{ran:?}");
    let document = cluster.json(0, &["auditar"]);
    assert_eq!((&document["verdict"], &document["registers"]), (&"holds".into(), &1.into()));
    let total = &document["total"];
    assert_eq!(
        [&total["balance_total"], &total["cash_in_total"], &total["cash_out_total"]],
        [99_900, 100_000, 100]
    );
    assert_eq!([&total["transfers_in_total"], &total["transfers_out_total"]], [1_000, 1_000]);
    assert!(document["banks"][0]["accounts"].is_null(), "listed only with --accounts");

    let rows = cluster.run(&["audit", "--output", "tsv"]).expect_code(0).stdout;
    let cells: Vec<Vec<&str>> = rows.lines().map(|row| row.split('\t').collect()).collect();
    assert_eq!(
        (cells[0][7], cells[1][7], cells[4][0], cells[4][2]),
        ("verdict", "holds", "all", "999.00")
    );
    let ran = cluster.run(&["audit", "--accounts"]).expect_code(0);
    assert!(
        ["0/12345-6", "2/78910-0", "storage"].iter().all(|name| ran.stdout.contains(name)),
        "{ran:?}"
    );
    let document = cluster.json(0, &["audit", "--accounts"]);
    assert_eq!(document["banks"][0]["accounts"][0]["balance"], 99_000);
    assert_eq!(document["banks"][1]["registers"]["storage"], "7");
}

#[test]
fn with_a_bank_down_there_is_no_verdict_but_the_rest_is_shown() {
    let mut cluster = with_accounts();
    cluster.kill(1);
    let ran = cluster.run(&["audit"]).expect_code(3).expect("No verdict over all banks");
    assert!(
        ran.stdout.contains(&cluster.address(1)) && ran.stdout.contains("can't be reached"),
        "{ran:?}"
    );
    let document = cluster.json(3, &["audit"]);
    assert_eq!(
        (&document["verdict"], &document["total"]),
        (&"unknown".into(), &serde_json::Value::Null)
    );
    assert_eq!(document["banks"][0]["explained"], true);
    assert_eq!(document["banks"][1]["error"]["code"], "no-connection");
    for bank in [0, 2] {
        cluster.kill(bank);
    }
    cluster.run(&["audit"]).expect_code(3);
}

/// Bank 2 is down and may have voted OK. Bank 0 holds the money until it is back, and names the
/// transaction and the bank.
#[test]
fn a_transaction_in_doubt_is_named_with_the_bank_that_blocks_it() {
    let mut cluster = with_accounts();
    let transfer =
        ["transfer", "--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", "t", "--step"];
    let mut client = Process::start(&mut cluster.cliente(&transfer));
    client.expect_line("Enter sends COMMIT");
    cluster.kill(2);
    client.kill();
    let document = cluster.json(3, &["audit"]);
    assert_eq!(document["error"]["code"], "no-connection", "{document}");
    let blocked = &document["banks"][0]["blocked_by"][0];
    assert_eq!(
        (&blocked["tx"], &blocked["waiting_for"][0]),
        (&"t".into(), &2.into()),
        "{document}"
    );
    assert_eq!(document["banks"][1]["explained"], true);
    let ran = cluster.run(&["audit"]).expect_code(3);
    let sentence = "bank 0 gives no cut: transaction t, undecided there since ";
    assert!(ran.stdout.contains(sentence) && ran.stdout.contains("waits for bank 2"), "{ran:?}");
    cluster.start_bank(2);
    wait_until("bank 0 learns the outcome", || {
        (cluster.json(0, &["pending"])[0]["answer"][0].is_null()).then_some(())
    });
    cluster.run(&["audit"]).expect_code(0);
}

#[test]
fn a_slow_driver_blocks_the_cut_with_all_banks_up() {
    let cluster = with_accounts();
    let mut bank = cluster.connect(0);
    let slow = concat!(
        r#"PREPARE slow {"ops":[{"bank":0,"op":"debit","account":"12345-6","amount":5},"#,
        r#"{"bank":2,"op":"credit","account":"78910-0","amount":5}],"patience_ms":60000}"#
    );
    assert!(bank.ask(slow).starts_with("OK slow "));
    let document = cluster.json(5, &["audit"]);
    assert_eq!(document["error"]["code"], "not-known-yet");
    assert_eq!(document["banks"][0]["blocked_by"][0]["tx"], "slow");
    assert!(
        document["error"]["message"].as_str().unwrap().contains("transaction slow"),
        "{document}"
    );
}

#[test]
fn watching_ends_with_a_summary_of_failures() {
    let mut cluster = with_accounts();
    let watch =
        |cluster: &Cluster| Process::start(&mut cluster.cliente(&["audit", "--watch", "100ms"]));
    let mut watching = watch(&cluster);
    for _ in 0..3 {
        watching.expect_line("adds up");
    }
    watching.interrupt();
    watching.expect_line("0 do not, 0 without a verdict");
    assert_eq!(watching.wait(), Some(0));

    let mut watching = watch(&cluster);
    watching.expect_line("adds up");
    cluster.kill(1);
    watching.expect_line("no verdict");
    cluster.start_bank(1);
    watching.expect_line("adds up");
    watching.interrupt();
    assert_eq!(watching.wait(), Some(3), "a cut without a bank has no verdict");

    let mut lines = Process::start(&mut cluster.cliente(&["audit", "--watch", "100ms", "--json"]));
    let times: Vec<i64> = (0..3)
        .map(|_| {
            let line = lines.expect_line("verdict");
            serde_json::from_str::<serde_json::Value>(&line).unwrap()["time"].as_i64().unwrap()
        })
        .collect();
    assert!(times.is_sorted_by(|a, b| a < b), "each cut is newer: {times:?}");
}

/// Every cut adds up under full load, and so do the journals while the banks write them.
#[test]
fn audits_hold_under_load() {
    let cluster = Cluster::start(3);
    let mut load = Process::start(&mut cluster.cliente(&[
        "bench",
        "--yes",
        "--seconds",
        "4",
        "--clients",
        "8",
        "--accounts",
        "20",
    ]));
    wait_until("the load commits", || {
        (cluster.json(0, &["status"])["banks"][0]["info"]["committed"].as_u64()? > 100)
            .then_some(())
    });
    for _ in 0..3 {
        cluster.run(&["audit", "--accounts"]).expect_code(0);
        cluster.run(&["audit", "--journals", "data"]).expect_code(0);
    }
    load.expect_line("conserved");
    assert_eq!(load.wait(), Some(0));
    let proof = cluster.json(0, &["audit", "--journals", "data"]);
    let committed = cluster.json(0, &["status"])["banks"][0]["info"]["committed"].as_u64().unwrap();
    assert!(proof["committed"].as_u64().unwrap() >= committed, "{proof}");
    assert_eq!(proof["total"]["balance_total"], 3 * 20 * 100_000_000_u64);
}

#[test]
fn journals_of_killed_banks_hold_and_a_missing_one_is_reported() {
    let mut cluster = with_accounts();
    cluster.run(&["transfer", "--from", "0/12345-6=10", "--to", "2/78910-0"]).expect_code(0);
    cluster.run(&["transfer", "--from", "0/12345-6=5000", "--to", "2/78910-0"]).expect_code(4);
    cluster.run(&["set", "7"]).expect_code(0);
    for bank in 0..3 {
        cluster.kill(bank);
    }
    let ran = cluster.run(&["audit", "--journals", "data"]).expect_code(0);
    assert!(ran.stdout.contains("at all banks that it names or at none"), "{ran:?}");
    let folders: Vec<String> =
        (0..3).map(|bank| folder(&cluster, bank).display().to_string()).collect();
    let all: Vec<&str> = folders.iter().map(String::as_str).collect();
    let proof = cluster.json(0, &[&["audit", "--journals"], &all[..]].concat());
    assert_eq!((&proof["committed"], &proof["aborted"]), (&2.into(), &1.into()), "{proof}");
    assert_eq!(proof["banks"][2]["balance_total"], 1_000);

    let proof = cluster.json(5, &["audit", "--journals", all[0], all[2]]);
    assert_eq!((&proof["missing"][0], &proof["unproven"]), (&1.into(), &1.into()), "{proof}");
    assert_eq!((&proof["verdict"], &proof["total"]), (&"unknown".into(), &serde_json::Value::Null));
    let ran = cluster.run(&["audit", "--journals", all[0], all[0]]).expect_code(1);
    assert!(ran.stderr.contains("both hold a journal of bank 0"), "{ran:?}");
    let ran = cluster.run(&["audit", "--journals", "logs"]).expect_code(1);
    assert!(ran.stderr.contains("logs: no bank's journal"), "{ran:?}");
    let ran = cluster.run(&["audit", "--journals", "nowhere"]).expect_code(1);
    assert!(ran.stderr.contains("nowhere"), "{ran:?}");
}

/// A consortium in which bank 0 has committed `t`, and bank 2 voted OK but was killed before it
/// received COMMIT.
fn half_committed() -> Cluster {
    let mut cluster = with_accounts();
    let transfer =
        ["transfer", "--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", "t", "--step"];
    let mut client = Process::start(&mut cluster.cliente(&transfer));
    client.expect_line("Enter sends COMMIT");
    cluster.kill(2);
    client.type_line("");
    client.type_line("");
    client.expect_line("committed at");
    client.wait();
    // The reply to a read leaves only when all that it shows is durable.
    wait_until("bank 0 has recorded it", || (cluster.balance("0/12345-6") == 99_000).then_some(()));
    cluster.kill(0);
    cluster.kill(1);
    cluster
}

#[test]
fn a_commit_that_one_bank_has_not_received_is_no_violation() {
    let cluster = half_committed();
    let proof = cluster.json(0, &["audit", "--journals", "data"]);
    assert_eq!((&proof["committed"], &proof["pending"]), (&1.into(), &1.into()), "{proof}");
    assert_eq!(proof["banks"][2]["balance_total"], 0, "its own ledger lacks the credit");
    assert_eq!(proof["total"]["balance_total"], 100_000, "the total includes it");
}

#[test]
fn different_outcomes_are_named() {
    let cluster = half_committed();
    forge(&cluster, 2, |records| {
        let (tx, own) = vote_on("t", records);
        let token = Seal::keyed([7; 32]).token(bank(0), Vote::No, &tx, None, Time(own.time.0 + 1));
        let outcome = Outcome::Aborted(token, Reason::Refused);
        Record::Decided { tx, own, outcome, votes: vec![] }
    });
    let ran = cluster.run(&["audit", "--journals", "data"]).expect_code(1);
    assert!(
        ran.stdout.contains("transaction t: it is committed at bank 0 and aborted at bank 2"),
        "{ran:?}"
    );
    let all = ran.stdout.lines().find(|line| line.starts_with("all"));
    assert!(all.is_some_and(|line| line.ends_with("BROKEN")), "the row of all banks: {ran:?}");
    let proof = cluster.json(1, &["audit", "--journals", "data"]);
    let violation = &proof["violations"][0];
    assert_eq!(
        (&violation["tx"], &violation["banks"]),
        (&"t".into(), &serde_json::json!([0, 2])),
        "{proof}"
    );
    assert_eq!(proof["verdict"], "broken");
}

#[test]
fn a_second_outcome_and_a_commit_without_a_vote_are_named() {
    let cluster = half_committed();
    forge(&cluster, 0, |records| {
        let (tx, own) = vote_on("t", records);
        Record::Decided {
            tx,
            own,
            outcome: Outcome::Committed(Time(own.time.0 + 9)),
            votes: vec![],
        }
    });
    let ran = cluster.run(&["audit", "--journals", "data"]).expect_code(1);
    assert!(ran.stdout.contains("bank 0 decides t a second time: committed before"), "{ran:?}");

    let cluster = half_committed();
    forge(&cluster, 0, |records| {
        let (_, own) = vote_on("t", records);
        let text = concat!(
            r#"{"ops":[{"bank":0,"op":"debit","account":"12345-6","amount":5},"#,
            r#"{"bank":1,"op":"credit","account":"9","amount":5}]}"#
        );
        let time = Time(own.time.0 + 60_000_000);
        let transaction = Arc::new(Transaction::parse(text).unwrap());
        let tx = TxId::new("alone").unwrap();
        Record::Executed { tx, time, committed: time, transaction, votes: vec![] }
    });
    let ran = cluster.run(&["audit", "--journals", "data"]).expect_code(1);
    let text = "transaction alone: it is committed at bank 0, but bank 1 never voted on it";
    assert!(ran.stdout.contains(text), "{ran:?}");
}

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn folder(cluster: &Cluster, bank: usize) -> PathBuf {
    cluster.path().join(format!("data/bank-{bank}"))
}

/// Appends the record that `make` computes from the existing ones, as if the bank had written it.
fn forge(cluster: &Cluster, position: usize, make: impl FnOnce(&[Record]) -> Record) {
    let path = folder(cluster, position);
    let mut records = Vec::new();
    let disk = FileDisk::read_only(&path);
    let torn = JournalScan::new(&disk).read::<JournalError>(|scanned| {
        if let Scanned::Record { record, .. } = scanned {
            records.push(record);
        }
        Ok(())
    });
    assert_eq!(torn.unwrap(), None);
    let Record::Consortium { places, .. } = &records[0] else { panic!("{:?}", records[0]) };
    let identity =
        Identity { bank: bank(position), places: places.clone(), seal: Seal::keyed([7; 32]) };
    let options = JournalOptions { threads: false, ..JournalOptions::default() };
    let disk = Arc::new(FileDisk::open(&path).unwrap());
    let (mut appender, ..) = journal::open(disk, options, &mut BankReplica::new(identity)).unwrap();
    let mut batch = appender.batch();
    batch.push(appender.last() + 1, &make(&records));
    appender.append(&mut batch).unwrap();
    appender.close().unwrap();
}

/// The bank's OK on `id` among these records.
fn vote_on(id: &str, records: &[Record]) -> (TxId, OwnVote) {
    let vote = records.iter().find_map(|record| match record {
        Record::Voted { tx, time, transaction, refusal: None } if tx.as_str() == id => {
            let digest = Some(*transaction.digest());
            Some((tx.clone(), OwnVote { vote: Vote::Ok, time: *time, digest }))
        }
        _ => None,
    });
    vote.unwrap_or_else(|| panic!("no OK on {id}"))
}
