//! A bank that lost its disk, or runs on an old copy of it, while others are away or there.

use super::start::refused;
use super::{run, start_with};
use crate::support::{Cluster, Process, Wire, wait_until};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const OPS: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":700},"#,
    r#"{"bank":1,"op":"credit","account":"a","amount":300},"#,
    r#"{"bank":2,"op":"credit","account":"a","amount":400}],"patience_ms":60000}"#
);

fn data(cluster: &Cluster, bank: usize) -> PathBuf {
    cluster.path().join(format!("data/bank-{bank}"))
}

fn open_account(wire: &mut Wire) {
    let client = wire.ask(r#"CLIENT {"cpf":"11111111111","name":"A","kind":"F"}"#);
    let account = wire.ask(r#"ACCOUNT {"number":"a","holders":["11111111111"],"deposit":1000}"#);
    assert!(client.starts_with("DONE") && account.starts_with("DONE"), "{client} {account}");
}

/// Three banks with an account each, all of which voted OK on `t1`; bank 0 has committed it. None
/// of them runs.
fn committed_at_bank_0() -> Cluster {
    let mut cluster = Cluster::start(3);
    let mut wires: Vec<Wire> = (0..3).map(|bank| cluster.connect(bank)).collect();
    wires.iter_mut().for_each(open_account);
    let tokens: Vec<String> = wires
        .iter_mut()
        .map(|wire| {
            let voted = wire.ask(&format!("PREPARE t1 {OPS}"));
            voted.strip_prefix("OK t1 ").unwrap_or_else(|| panic!("{voted}")).to_owned()
        })
        .collect();
    let told = wires[0].ask(&format!("COMMIT t1 {}", tokens.join(" ")));
    assert!(told.starts_with("COMMITTED t1 "), "{told}");
    // The tokens prove it, so that answer waits for no record of it; this one does.
    assert!(wires[0].ask("STATUS t1").starts_with("COMMITTED t1 "));
    (0..3).for_each(|bank| cluster.kill(bank));
    cluster
}

/// Starts `bank`, waits until it says why it must not work any more, and looks how it ends.
fn ends(mut process: Process, why: &str) {
    process.wait_for(why).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(process.wait(), Some(1));
}

#[test]
fn a_lost_disk_with_the_one_away_that_knows_splits_nothing() {
    let mut cluster = committed_at_bank_0();
    std::fs::remove_dir_all(data(&cluster, 1)).unwrap();
    // Bank 0, which knows bank 1's vote, is away. Bank 2 is in doubt and asks bank 1.
    cluster.start_bank(2);
    for _ in 0..2 {
        ends(start_with(&cluster, 1, &[]), "bank 2 met this bank with another journal");
    }
    let mut two = cluster.connect(2);
    assert!(two.ask("STATUS t1").starts_with("OK t1 "), "it stays in doubt, and tells no outcome");
    cluster.start_bank(0);
    // What bank 0 knows ends the doubt.
    wait_until("the outcome at bank 2", || {
        two.ask("STATUS t1").starts_with("COMMITTED t1 ").then_some(())
    });
    assert!(two.ask("BALANCE a").contains(r#""balance":1400,"#));
}

#[test]
fn a_bank_with_a_new_journal_works_alone_until_it_is_met() {
    let mut cluster = committed_at_bank_0();
    std::fs::remove_dir_all(data(&cluster, 1)).unwrap();
    let mut process = start_with(&cluster, 1, &[]);
    process.wait_for("until it has met bank 0, 2").expect("it says what it waits for");
    let mut wire = cluster.connect(1);
    assert!(wire.ask("INFO").contains(r#""unmet":[0,2]"#));
    open_account(&mut wire);
    let own = r#"EXECUTE own {"ops":[{"bank":1,"op":"deposit","account":"a","amount":1}]}"#;
    assert!(wire.ask(own).starts_with("COMMITTED own "));
    let new = "the journal of this bank is new, so it works alone until it has met bank 0, 2";
    for line in
        [&format!("PREPARE t1 {OPS}"), &format!("EXECUTE t1 {OPS}"), "RESOLVE t1", "ABORT t1"]
    {
        assert_eq!(wire.ask(line), format!("ERR not-introduced {new}"), "{line}");
    }
    assert_eq!(wire.ask("VALUE storage"), format!("REFUSED not-introduced {new}"));
    assert!(wire.ask("STATUS t1").starts_with("UNKNOWN t1"));
    // Bank 0 comes back, and has met another one.
    cluster.start_bank(0);
    ends(process, "bank 0 met this bank with another journal");
}

#[test]
fn banks_that_are_down_are_left_out_by_the_operators_word() {
    let mut cluster = Cluster::new(3, true);
    cluster.introduce();
    refused(
        run(cluster.servidor(0).args(["--introduce-without", "7"])),
        2,
        "--introduce-without 7: no bank",
    );
    let mut process = start_with(&cluster, 0, &["--introduce-without", "1,2"]);
    let mut wire = cluster.connect(0);
    assert!(!wire.ask("INFO").contains("unmet"));
    assert!(wire.ask("RESOLVE t1").starts_with("ABORTED t1 "));
    process.terminate();
    assert_eq!(process.wait(), Some(0));
    // It stays introduced, and those that were left out meet it later.
    (0..3).for_each(|bank| cluster.start_bank(bank));
    (0..3).for_each(|bank| cluster.wait_introduced(bank));
    (0..3).for_each(|bank| open_account(&mut cluster.connect(bank)));
    let told = cluster.connect(1).ask(&format!("EXECUTE t2 {OPS}"));
    assert!(told.starts_with("COMMITTED t2 "), "{told}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The wait is 250 ms long: where a loaded machine took longer to make the links, nothing is shown,
/// and it is tried anew.
#[test]
fn an_old_copy_refuses_nothing_before_it_hears_of_what_it_forgot() {
    for _ in 0..5 {
        let mut cluster = Cluster::start(3);
        (0..3).for_each(|bank| open_account(&mut cluster.connect(bank)));
        cluster.kill(1);
        let old = cluster.path().join("old");
        copy(&data(&cluster, 1), &old);
        cluster.start_bank(1);
        wait_until("the links of bank 0", || {
            (!cluster.connect(0).ask("BANKS").contains(r#""online":false"#)).then_some(())
        });
        let told = cluster.connect(0).ask(&format!("EXECUTE t3 {OPS}"));
        assert!(told.starts_with("COMMITTED t3 "), "{told}");
        cluster.kill(1);
        std::fs::remove_dir_all(data(&cluster, 1)).unwrap();
        std::fs::rename(&old, data(&cluster, 1)).unwrap();
        let began = Instant::now();
        let process = start_with(&cluster, 1, &[]);
        // As soon as it listens it is asked to refuse what it voted for.
        let answer = cluster.connect(1).try_ask("RESOLVE t3");
        let took = began.elapsed();
        if answer.is_none() {
            return ends(process, "forgot a promise");
        }
        let over = Duration::from_millis(consorcio::limits::LINKS_WAIT_MS_MAX);
        assert!(took >= over, "after {took:?} it refuses what it voted for: {answer:?}");
    }
    panic!("in five attempts no link was made in time");
}
