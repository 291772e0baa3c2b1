//! The step logs of banks and clients: what a search in them finds.

use super::commands::{MARIA, PEDRO, with_accounts};
use crate::support::wait_until;

#[test]
fn the_log_has_each_step() {
    let cluster = with_accounts();
    let transfer = [
        "--name",
        "cliente-9",
        "transfer",
        "--from",
        "0/12345-6=1",
        "--to",
        "2/78910-0",
        "--tx",
        "logged",
    ];
    cluster.run(&transfer).expect_code(0);
    cluster.run(&["--name", "maria", "get"]).expect_code(0);
    let read =
        |name: &str| std::fs::read_to_string(cluster.path().join("logs").join(name)).unwrap();
    let log = read("cliente-9.log");
    let steps = |event: &str, bank: usize, detail: &str| {
        let of = |line: &&str| {
            line.contains(&format!(" {event} "))
                && line.contains(&format!(" bank={bank} "))
                && line.contains(detail)
        };
        log.lines().filter(of).count()
    };
    for bank in [0, 2] {
        assert_eq!(steps("connect", bank, ""), 1, "{log}");
        assert_eq!(steps("send", bank, "PREPARE"), 1, "{log}");
        assert_eq!(steps("answer", bank, "PREPARE OK"), 1, "{log}");
        assert_eq!(steps("send", bank, "COMMIT"), 1, "{log}");
        assert_eq!(steps("answer", bank, "COMMIT COMMITTED"), 1, "{log}");
    }
    assert!(
        log.lines().any(|line| line.contains(" verdict ") && line.contains("tx=logged")),
        "{log}"
    );
    assert!(read("cliente-maria.log").contains("VALUE"));
    assert!(!read("cliente-1.log").contains(MARIA), "the log has no CPF");
}

#[test]
fn a_search_for_an_account_or_a_value_finds_what_changed_it() {
    let cluster = with_accounts();
    let transfer = ["transfer", "--from", "0/12345-6=200,50", "--to", "2/78910-0", "--tx", "t1"];
    cluster.run(&transfer).expect_code(0);
    cluster.run(&["deposit", "2/78910-0", "7", "--tx", "d1"]).expect_code(0);
    cluster.run(&["deposit", "2/78910-0", "8", "--tx", "d2", "--via", "2"]).expect_code(0);
    cluster.run(&["set", "42", "--tx", "s1"]).expect_code(0);
    let found = |bank: usize, tx: &str, event: &str, ops: &str| {
        wait_until(&format!("{event} of {tx} with {ops} at bank {bank}"), || {
            let log = cluster.log(bank);
            let is_it = |line: &str| {
                line.contains(&format!(" {event} ")) && line.contains(&format!(" tx={tx} "))
            };
            log.lines().any(|line| is_it(line) && line.ends_with(ops)).then_some(())
        });
    };
    for bank in [0, 2] {
        found(bank, "t1", "vote", "[0/12345-6 -200,50 · 2/78910-0 +200,50]");
        found(bank, "t1", "outcome", "[0/12345-6 -200,50 · 2/78910-0 +200,50]");
    }
    found(2, "d1", "outcome", "[2/78910-0 +7,00 deposit]");
    found(2, "d2", "recv", "EXECUTE n=2 [2/78910-0 +8,00 deposit]");
    (0..3).for_each(|bank| found(bank, "s1", "vote", "[storage=42]"));
    let logs = (0..3).map(|bank| cluster.log(bank)).collect::<Vec<_>>().concat();
    assert!(!logs.contains(MARIA) && !logs.contains(PEDRO), "the logs have no CPF");
}

/// The text of a refusal has the whole number for the caller, and its end in the log.
#[test]
fn a_refusal_in_the_log_has_no_whole_tax_number() {
    let cluster = with_accounts();
    let other = ["withdraw", "0/12345-6", "1", "--cpf", PEDRO, "--tx", "w1"];
    let ran = cluster.run(&other);
    assert!(ran.stdout.contains(PEDRO) || ran.stderr.contains(PEDRO), "{ran:?}");
    let line = wait_until("the refusal", || {
        let log = cluster.log(0);
        log.lines().find(|line| line.contains(" reply ") && line.contains("NOK")).map(str::to_owned)
    });
    let end = format!("..{} does not hold", &PEDRO[PEDRO.len() - 4..]);
    assert!(line.contains(&end), "{line}");
    assert!(!cluster.log(0).contains(PEDRO));
}
