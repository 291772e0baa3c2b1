//! Consortiums whose list changes: banks that come, and banks that leave.

use super::{run, start_with};
use crate::support::{Cluster, wait_until};

/// What a bank that leaves has voted on is decided before.
#[test]
fn a_bank_does_not_leave_while_something_undecided_names_it() {
    let mut cluster = Cluster::start(2);
    for (bank, cpf) in [(0, "11111111111"), (1, "22222222222")] {
        let mut wire = cluster.connect(bank);
        wire.ask(&format!(r#"CLIENT {{"cpf":"{cpf}","name":"P","kind":"F"}}"#));
        let account = format!(r#"ACCOUNT {{"number":"{bank}-1","holders":["{cpf}"],"deposit":1000}}"#);
        assert!(wire.ask(&account).starts_with("DONE"));
    }
    let transfer = r#"{"ops":[{"bank":0,"op":"debit","account":"0-1","amount":5},{"bank":1,"op":"credit","account":"1-1","amount":5}]}"#;
    for bank in 0..2 {
        let vote = cluster.connect(bank).ask(&format!("PREPARE t1 {transfer}"));
        assert!(vote.starts_with("OK t1"), "{vote}");
        cluster.kill(bank);
    }
    let list = format!("{},-", cluster.port(0));
    let refused = run(cluster.servidor(0).args(["--consortium", &list]));
    let told = "servidor: the list marks bank 1 as left, and transaction t1, which names it, is undecided here: start \
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
