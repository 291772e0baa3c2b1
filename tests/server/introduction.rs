//! Banks with a lost disk, or an old copy of it, while peers are down or up.

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

/// Three banks with an account each, stopped: all voted OK on `t1`, and bank 0 has committed it.
fn committed_at_bank_0() -> Cluster {
    let mut cluster = Cluster::start(3);
    let mut wires: Vec<Wire> = (0..3).map(|bank| cluster.connect(bank)).collect();
    wires.iter_mut().for_each(open_account);
    let tokens: Vec<String> = wires
        .iter_mut()
        .map(|wire| {
            let vote = wire.ask(&format!("PREPARE t1 {OPS}"));
            vote.strip_prefix("OK t1 ").unwrap_or_else(|| panic!("{vote}")).to_owned()
        })
        .collect();
    let reply = wires[0].ask(&format!("COMMIT t1 {}", tokens.join(" ")));
    assert!(reply.starts_with("COMMITTED t1 "), "{reply}");
    // The tokens prove the outcome, so that reply does not wait for its record; this one does.
    assert!(wires[0].ask("STATUS t1").starts_with("COMMITTED t1 "));
    (0..3).for_each(|bank| cluster.kill(bank));
    cluster
}

/// Checks that a bank stops with this cause.
#[track_caller]
fn assert_stops(mut process: Process, cause: &str) {
    process.expect_line(cause);
    assert_eq!(process.wait(), Some(1));
}

#[test]
fn a_lost_disk_breaks_no_atomicity_while_the_bank_that_knows_is_down() {
    let mut cluster = committed_at_bank_0();
    std::fs::remove_dir_all(data(&cluster, 1)).unwrap();
    // Bank 0, which knows bank 1's vote, is down. Bank 2 is in doubt and queries bank 1.
    cluster.start_bank(2);
    for _ in 0..2 {
        assert_stops(start_with(&cluster, 1, &[]), "bank 2 met this bank with another journal");
    }
    let mut two = cluster.connect(2);
    assert!(two.ask("STATUS t1").starts_with("OK t1 "), "bank 2 stays in doubt");
    cluster.start_bank(0);
    // Bank 0 knows the outcome.
    wait_until("the outcome at bank 2", || {
        two.ask("STATUS t1").starts_with("COMMITTED t1 ").then_some(())
    });
    assert!(two.ask("BALANCE a").contains(r#""balance":1400,"#));
}

#[test]
fn a_bank_with_a_new_journal_works_alone_until_it_is_introduced() {
    let mut cluster = committed_at_bank_0();
    std::fs::remove_dir_all(data(&cluster, 1)).unwrap();
    let mut process = start_with(&cluster, 1, &[]);
    process.wait_for("until it has met bank 0, 2").expect("a message about the introduction");
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
    // Bank 0 comes back, and knows another journal of bank 1.
    cluster.start_bank(0);
    assert_stops(process, "bank 0 met this bank with another journal");
}

#[test]
fn the_operator_can_leave_out_banks_that_are_down() {
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
    // It stays introduced, and those that were left out are introduced to it later.
    (0..3).for_each(|bank| cluster.start_bank(bank));
    (0..3).for_each(|bank| cluster.wait_introduced(bank));
    (0..3).for_each(|bank| open_account(&mut cluster.connect(bank)));
    let reply = cluster.connect(1).ask(&format!("EXECUTE t2 {OPS}"));
    assert!(reply.starts_with("COMMITTED t2 "), "{reply}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A bank delays refusals after its start for 250 ms, so that its peers can notify it first. If a
/// loaded machine needs longer for the links, the attempt proves nothing and is repeated.
#[test]
fn an_old_copy_is_notified_of_lost_votes_before_it_can_refuse() {
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
        let reply = cluster.connect(0).ask(&format!("EXECUTE t3 {OPS}"));
        assert!(reply.starts_with("COMMITTED t3 "), "{reply}");
        cluster.kill(1);
        std::fs::remove_dir_all(data(&cluster, 1)).unwrap();
        std::fs::rename(&old, data(&cluster, 1)).unwrap();
        let began = Instant::now();
        let process = start_with(&cluster, 1, &[]);
        // As soon as it listens it receives a request to refuse a transaction on which it voted OK.
        let reply = cluster.connect(1).try_ask("RESOLVE t3");
        let took = began.elapsed();
        if reply.is_none() {
            return assert_stops(process, "forgot a promise");
        }
        let delay = Duration::from_millis(consorcio::limits::LINKS_WAIT_MS_MAX);
        assert!(took >= delay, "it refuses its own OK after {took:?}: {reply:?}");
    }
    panic!("in five attempts no link was made in time");
}
