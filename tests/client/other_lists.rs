//! `cliente` with a list that differs from the banks', and banks without a key file or with
//! different keys.

use super::commands::{MARIA, PEDRO, with_accounts};
use crate::support::{Cluster, ProgramRun};
use serde_json::Value;
use std::process::Stdio;

pub(super) fn count(list: &Value) -> usize {
    list.as_array().unwrap_or_else(|| panic!("no list: {list}")).len()
}

#[test]
fn a_consortium_without_a_key_file_works_too() {
    let cluster = Cluster::start_with(3, false);
    cluster.run(&[]).expect_code(0).expect("OKs 3/3");
    cluster.open_account(0, "12345-6", MARIA, "1000");
    cluster.open_account(2, "78910-0", PEDRO, "0");
    let document = cluster.json(0, &["transfer", "--from", "0/12345-6=10", "--to", "2/78910-0"]);
    let confirmed = |bank: usize| document["banks"][bank]["confirmed"].as_bool();
    assert_eq!(
        (confirmed(0), confirmed(1)),
        (Some(true), Some(true)),
        "each bank queried the other: {document}"
    );
    cluster.run(&["transfer", "--from", "0/12345-6=10000", "--to", "2/78910-0"]).expect_code(4);
    cluster
        .run(&["transfer", "--from", "0/12345-6=5", "--to", "2/78910-0", "--via", "1"])
        .expect_code(0);
    assert_eq!((cluster.balance("0/12345-6"), cluster.balance("2/78910-0")), (98_500, 1_500));
}

/// Every command that sends requests to banks.
const ALL: [&[&str]; 18] = [
    &["transfer", "--from", "0/12345-6=1", "--to", "2/78910-0"],
    &["deposit", "0/12345-6", "5"],
    &["withdraw", "0/12345-6", "5", "--via", "0"],
    &["client", "add", "--bank", "0", "--cpf", "44444444444", "--name", "Ana"],
    &["account", "open", "--bank", "1", "--number", "1", "--cpf", MARIA],
    &["balance", "0/12345-6"],
    &["accounts"],
    &["clients"],
    &["history"],
    &["pending"],
    &["doubt"],
    &["get"],
    &["set", "5"],
    &["status"],
    &["ping"],
    &["audit"],
    &["resolve", "t1"],
    &["contention", "--seconds", "1"],
];

/// Runs `cliente` with another list than the cluster's own.
fn with_list(list: &str, arguments: &[&str]) -> ProgramRun {
    let folder = tempfile::TempDir::new().expect("a folder");
    let mut command = std::process::Command::new(crate::support::cliente_path());
    command.current_dir(folder.path()).args(["--consortium", list]).args(arguments);
    command.env("CONSORCIO_OUTPUT", "table").stdin(Stdio::null());
    ProgramRun::of(arguments, &command.output().expect("cliente runs"))
}

#[test]
fn a_list_in_another_order_executes_nothing() {
    let cluster = with_accounts();
    let ports: Vec<String> = (0..3).map(|bank| cluster.port(bank).to_string()).collect();
    let state = || {
        let commands = ["accounts", "clients", "history", "pending", "get"];
        commands.map(|command| cluster.json(0, &[command]).to_string())
    };
    let before = state();
    let list = [&*ports[1], &ports[2], &ports[0]].join(",");
    for arguments in ALL {
        let ran = with_list(&list, arguments).expect_code(2);
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        for words in
            ["--consortium is not the banks' own list: it names 127.0.0.1:", "this is bank"]
        {
            assert!(printed.contains(words), "no {words:?} in {ran:?}");
        }
    }
    assert_eq!(state(), before);

    // Bank 1 has its right position, but receives no PREPARE before all banks have answered HELLO.
    let list = [&*ports[2], &ports[1], &ports[0]].join(",");
    for arguments in [
        &["set", "5", "--tx", "half"][..],
        &["transfer", "--from", "0/12345-6=1", "--to", "1/45678-0"],
    ] {
        let ran = with_list(&list, arguments).expect_code(2);
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(printed.contains("--consortium is not the banks' own list"), "{ran:?}");
    }
    for bank in 0..3 {
        assert!(cluster.connect(bank).ask("STATUS half").starts_with("UNKNOWN"), "bank {bank}");
    }
    assert_eq!(state(), before);
}

#[test]
fn a_list_that_is_too_short_covers_only_its_own_banks() {
    let cluster = with_accounts();
    cluster.open_account(1, "45678-0", "33333333333", "0");
    let list = format!("{},{}", cluster.port(0), cluster.port(1));
    let warning = "--consortium names 2 of the consortium's places, and bank";
    for arguments in [
        &["transfer", "--from", "0/12345-6=1", "--to", "1/45678-0"][..],
        &["balance", "0/12345-6"],
        &["accounts"],
        &["get"],
    ] {
        let ran = with_list(&list, arguments).expect_code(0);
        let warnings: Vec<&str> = ran.stderr.lines().collect();
        assert!(
            warnings.len() == 1 && warnings[0].contains("warning") && warnings[0].contains(warning),
            "{ran:?}"
        );
    }
    for arguments in [&["status"][..], &["audit"], &["set", "5"], &["--json", "set", "5"]] {
        let ran = with_list(&list, arguments).expect_code(2);
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(printed.contains(warning) && !printed.contains("warning:"), "{ran:?}");
        for wrong in ["ADD UP", "adds up", "holds", "lost"] {
            assert!(!printed.contains(wrong), "{ran:?}");
        }
    }
    assert_eq!(cluster.balance("1/45678-0"), 100);
    assert_eq!(cluster.json(0, &["get"])[2]["answer"]["value"], "0");
}

/// Two banks with different keys are no consortium, so no command reports on them together.
#[test]
fn two_banks_with_different_keys_are_refused() {
    let mut cluster = Cluster::new(2, true);
    cluster.start_bank(0);
    let own = std::fs::read(cluster.key_file()).unwrap();
    std::fs::remove_file(cluster.key_file()).unwrap();
    let made = std::process::Command::new(crate::support::servidor_path())
        .arg("key")
        .arg(cluster.key_file())
        .output();
    assert!(made.unwrap().status.success());
    assert_ne!(std::fs::read(cluster.key_file()).unwrap(), own);
    cluster.start_bank(1);
    for arguments in [&["status"][..], &["ping"], &["audit"], &["accounts"]] {
        let ran = cluster.run(arguments).expect_code(2);
        for words in ["bank 0 has the key", "bank 1 has", "the same key file"] {
            assert!(ran.stderr.contains(words), "no {words:?} in {ran:?}");
        }
        assert_eq!(cluster.json(2, arguments)["error"]["code"], "usage");
    }
    // With one bank alone there is nothing to compare.
    cluster.run(&["ping", "--bank", "0"]).expect_code(0);
    cluster
        .run(&["client", "add", "--bank", "1", "--cpf", MARIA, "--name", "Maria"])
        .expect_code(0);
}
