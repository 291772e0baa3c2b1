//! What an operator sees of a bank without `-v`: a line for each change that a person would want to
//! know, and none for a request.

use super::start_with;
use crate::support::{Cluster, Process};

/// The number of lines with `text` that were read from a bank so far.
fn count(process: &Process, text: &str) -> usize {
    process.seen().iter().filter(|line| line.contains(text)).count()
}

#[test]
fn clients_banks_and_the_end_have_one_line_each() {
    let mut cluster = Cluster::new(2, true);
    let mut bank = start_with(&cluster, 0, &[]);
    cluster.start_bank(1);
    bank.expect_line("servidor: bank 1 is up");
    for _ in 0..3 {
        cluster.run(&["ping"]).expect_code(0);
    }
    bank.expect_line("servidor: a client connects from 127.0.0.1 for the first time");
    cluster.kill(1);
    bank.expect_line("servidor: bank 1 is down: ");
    cluster.start_bank(1);
    bank.expect_line("servidor: bank 1 is up");
    bank.terminate();
    assert_eq!(bank.wait(), Some(0));
    let seen = bank.seen();
    assert_eq!(count(&bank, "a client connects"), 1, "{seen:#?}");
    assert_eq!(count(&bank, "is down"), 1, "its own end is not another bank's: {seen:#?}");
    assert_eq!(count(&bank, "SIGTERM: "), 1, "{seen:#?}");
    assert!(seen.iter().all(|line| line.starts_with("servidor: ")), "no step: {seen:#?}");
    // Ready, up, client, down, up, end.
    assert_eq!(seen.len(), 6, "{seen:#?}");
}

/// A transaction that stays in doubt is named, and its end is reported.
#[test]
fn a_lasting_doubt_and_its_end_are_reported() {
    let mut cluster = Cluster::new(2, true);
    let mut bank = start_with(&cluster, 0, &[]);
    let set = concat!(
        r#"PREPARE t1 {"ops":[{"bank":0,"op":"set","value":"1"},"#,
        r#"{"bank":1,"op":"set","value":"1"}],"patience_ms":100}"#
    );
    // Its driver leaves with the connection.
    let reply = cluster.connect(0).ask(set);
    assert!(reply.starts_with("OK t1"), "{reply}");
    let line = bank.expect_line("in doubt");
    let expected = "servidor: transaction t1 has been in doubt for 5 s; cliente doubt shows";
    assert!(line.starts_with(expected), "{line}");
    cluster.start_bank(1);
    bank.expect_line("servidor: every transaction is decided again");
    assert_eq!(count(&bank, "in doubt"), 1, "{:#?}", bank.seen());
}
