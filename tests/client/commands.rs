//! Every command of `cliente` against real banks: tables, JSON and exit codes.

use super::other_lists::count;
use crate::support::{Cluster, ProgramRun, wait_until};
use std::process::Stdio;

pub(super) const MARIA: &str = "11111111111";
pub(super) const PEDRO: &str = "22222222222";

/// Three banks with an account of 1.000,00 at bank 0 and an empty one at bank 2.
pub(super) fn with_accounts() -> Cluster {
    let cluster = Cluster::start(3);
    cluster.open_account(0, "12345-6", MARIA, "1000");
    cluster.open_account(2, "78910-0", PEDRO, "0");
    cluster
}

#[test]
fn without_a_command_storage_is_set_to_1_at_all_banks() {
    let cluster = Cluster::start(3);
    let first = cluster.json(0, &["get"]);
    assert_eq!(first[0]["answer"]["value"], "0", "the default value");
    let ran = cluster.run(&[]).expect_code(0).expect("OKs 3/3").expect("committed at ");
    for bank in 0..3 {
        let row = ran.stdout.lines().find(|line| line.contains(&cluster.address(bank))).unwrap();
        assert!(row.contains("OK") && row.contains(" ms"), "{row}");
    }
    let values = cluster.json(0, &["get", "--key", "storage"]);
    for bank in 0..3 {
        assert_eq!(values[bank]["answer"]["value"], "1");
        assert_eq!(values[bank]["address"], cluster.address(bank).as_str());
    }
}

#[test]
fn a_register_of_any_name_and_value() {
    let cluster = Cluster::start(3);
    cluster.run(&["set", "-7 graus, \"frio\"", "--key", "São-Paulo"]).expect_code(0);
    cluster.run(&["valor", "--key", "São-Paulo"]).expect_code(0).expect("-7 graus, \"frio\"");
    let document = cluster.json(0, &["set", "", "--tx", "empty-value"]);
    assert_eq!(document["tx"], "empty-value");
    assert_eq!(cluster.json(0, &["get"])[2]["answer"]["value"], "");
}

#[test]
fn clients_and_accounts() {
    let cluster = Cluster::start(2);
    let add = ["client", "add", "--bank", "1", "--cpf", "111.111.111-11", "--name", "Maria Souza"];
    for _ in 0..2 {
        cluster.run(&add).expect_code(0).expect("Maria Souza (11111111111)");
    }
    let other = ["client", "add", "--bank", "1", "--cpf", MARIA, "--name", "Mara"];
    assert_eq!(cluster.json(4, &other)["error"]["code"], "refused");

    let open = |more: &[&str]| {
        let fixed = ["account", "open", "--bank", "1"];
        cluster.run(&[&fixed[..], more].concat())
    };
    open(&["--number", "1", "--cpf", MARIA, "--deposit", "1.234,56"])
        .expect_code(0)
        .expect("R$ 1.234,56");
    open(&["--number", "1", "--cpf", MARIA, "--deposit", "1.234,56"]).expect_code(0);
    open(&["--number", "2", "--cpf", PEDRO]).expect_code(4);
    cluster
        .run(&["client", "add", "--bank", "1", "--cpf", PEDRO, "--name", "Pedro"])
        .expect_code(0);
    open(&["--number", "2", "--cpf", MARIA, "--cpf", PEDRO]).expect_code(0).expect(PEDRO);

    cluster.run(&["clients"]).expect_code(0).expect("Maria Souza").expect("Pedro");
    let all = cluster.json(0, &["accounts"]);
    assert_eq!((count(&all[0]["answer"]), count(&all[1]["answer"])), (0, 2));
    let pedros = cluster.json(0, &["accounts", "--cpf", PEDRO]);
    assert_eq!(
        (count(&pedros[0]["answer"]), count(&pedros[1]["answer"])),
        (0, 1),
        "bank 0 has no such client"
    );
    cluster.run(&["accounts", "--cpf", "99999999999"]).expect_code(4);
    cluster.run(&["balance", "1/1"]).expect_code(0).expect("R$ 1.234,56").expect(MARIA);
    let unknown = cluster.run(&["balance", "1/none"]).expect_code(4);
    assert!(unknown.stderr.contains("unknown-account"), "{unknown:?}");
}

#[test]
fn deposits_transfers_and_withdrawals() {
    let cluster = with_accounts();
    cluster.run(&["deposit", "2/78910-0", "0,50"]).expect_code(0).expect("OKs 1/1");
    let transfer = ["transfer", "--from", "0/12345-6=200,50@111.111.111-11", "--to", "2/78910-0"];
    cluster.run(&transfer).expect_code(0).expect("OKs 2/2");
    cluster.run(&["withdraw", "0/12345-6", "99.50", "--cpf", MARIA]).expect_code(0);
    assert_eq!((cluster.balance("0/12345-6"), cluster.balance("2/78910-0")), (70_000, 20_100));

    let status = cluster.json(0, &["status"]);
    let cut = &status["cut"];
    assert_eq!(cut["balance_total"], 90_100);
    assert_eq!((&cut["cash_in_total"], &cut["cash_out_total"]), (&100_050.into(), &9_950.into()));
    assert_eq!(cut["adds_up"], true);
    cluster
        .run(&["status"])
        .expect_code(0)
        .expect("R$ 901,00")
        .expect("it adds up")
        .expect("online");
}

#[test]
fn a_transfer_between_several_accounts() {
    let cluster = with_accounts();
    cluster.open_account(1, "45678-0", "33333333333", "500");
    let legs = ["--from", "0/12345-6=200", "--from", "1/45678-0=300"];
    let to = ["--to", "2/78910-0=450", "--to", "1/45678-0"];
    let document = cluster.json(0, &[&["transfer"], &legs[..], &to[..]].concat());
    assert_eq!((&document["verdict"], &document["oks"]), (&"committed".into(), &3.into()));
    let balances = ["0/12345-6", "1/45678-0", "2/78910-0"].map(|account| cluster.balance(account));
    assert_eq!(balances, [80_000, 25_000, 45_000], "the leg without an amount got the rest");
}

#[test]
fn a_refusal_by_one_bank_aborts_at_all() {
    let cluster = with_accounts();
    let transfer = ["transfer", "--from", "0/12345-6=1000,01", "--to", "2/78910-0"];
    let ran = cluster.run(&transfer).expect_code(4).expect("OKs 1/2").expect("insufficient-funds");
    assert!(ran.stdout.contains("aborted. Nothing changed at any bank."), "{ran:?}");
    let document = cluster.json(4, &transfer);
    assert_eq!(document["verdict"], "aborted");
    assert_eq!((&document["by"], &document["reason"]), (&0.into(), &"insufficient-funds".into()));
    assert_eq!(document["banks"][0]["vote"], "NOK");
    assert_eq!(document["banks"][1]["vote"], "OK");
    assert_eq!(document["error"]["code"], "aborted");
    for (arguments, reason) in [
        (["transfer", "--from", "0/none=1", "--to", "2/78910-0"], "unknown-account"),
        (["transfer", "--from", "0/12345-6=1@22222222222", "--to", "2/78910-0"], "not-holder"),
    ] {
        cluster.run(&arguments).expect_code(4).expect(reason);
    }
    assert_eq!((cluster.balance("0/12345-6"), cluster.balance("2/78910-0")), (100_000, 0));
    let pending = cluster.json(0, &["pending"]);
    assert!((0..3).all(|bank| count(&pending[bank]["answer"]) == 0), "{pending}");
}

#[test]
fn a_bank_can_drive() {
    let cluster = with_accounts();
    // Bank 1 is no participant: it only drives.
    for via in ["0", "1", "2"] {
        let transfer = ["transfer", "--from", "0/12345-6=100", "--to", "2/78910-0", "--via", via];
        cluster
            .run(&transfer)
            .expect_code(0)
            .expect(&format!("driven by bank {via}"))
            .expect("committed at");
    }
    let too_much = ["transfer", "--from", "0/12345-6=9999", "--to", "2/78910-0", "--via", "2"];
    assert_eq!(cluster.json(4, &too_much)["reason"], "insufficient-funds");
    let elsewhere = ["transfer", "--from", "0/12345-6=1", "--to", "2/78910-0", "--via", "3"];
    cluster.run(&elsewhere).expect_code(2);
    assert_eq!((cluster.balance("0/12345-6"), cluster.balance("2/78910-0")), (70_000, 30_000));
}

#[test]
fn the_same_id_never_runs_twice() {
    let cluster = with_accounts();
    let transfer = ["transfer", "--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", "once"];
    let first = cluster.json(0, &transfer);
    let again = cluster.json(0, &transfer);
    assert_eq!(first["time"], again["time"], "the same commit");
    let other = ["transfer", "--from", "0/12345-6=20", "--to", "2/78910-0", "--tx", "once"];
    cluster.run(&other).expect_code(4).expect("duplicate-id");
    assert_eq!((cluster.balance("0/12345-6"), cluster.balance("2/78910-0")), (99_000, 1_000));
    cluster.run(&["resolve", "once"]).expect_code(0).expect("committed at");
}

/// `cliente` itself refuses ids that banks do not accept for new transactions, so that no bank
/// records a refusal.
#[test]
fn an_unacceptable_id_is_not_sent() {
    let cluster = with_accounts();
    for tx in [".", ".."] {
        let transfer = ["transfer", "--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", tx];
        let ran = cluster.run(&transfer).expect_code(2);
        assert!(ran.stderr.contains("take another one"), "{ran:?}");
        for bank in 0..3 {
            let reply = cluster.connect(bank).ask(&format!("STATUS {tx}"));
            assert!(reply.starts_with("UNKNOWN"), "bank {bank}: {reply}");
        }
    }
}

#[test]
fn history_and_resolve_report_outcomes() {
    let cluster = with_accounts();
    cluster
        .run(&["transfer", "--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", "good"])
        .expect_code(0);
    cluster
        .run(&["transfer", "--from", "0/12345-6=9999", "--to", "2/78910-0", "--tx", "bad"])
        .expect_code(4);
    let history = cluster.run(&["historico", "5"]).expect_code(0);
    let line = |tx: &str| history.stdout.lines().find(|line| line.contains(tx)).unwrap().to_owned();
    assert!(
        line("good").contains("0,2") && line("good").contains("0/12345-6 debit R$ 10,00"),
        "{history:?}"
    );
    assert!(
        line("bad").contains("aborted") && line("bad").contains("insufficient-funds"),
        "{history:?}"
    );
    let newest = cluster.json(0, &["history", "1", "--bank", "2"]);
    assert_eq!((&newest[0]["bank"], &newest[0]["answer"][0]["tx"]), (&2.into(), &"bad".into()));
    assert_eq!(count(&newest[0]["answer"]), 1);
    cluster.run(&["resolver", "bad"]).expect_code(4).expect("aborted");
    assert_eq!(cluster.json(4, &["resolve", "never-heard-of"])["outcome"], "unknown");
}

/// One id with two contents is two transactions, and two rows.
#[test]
fn history_separates_transactions_that_share_an_id() {
    let cluster = with_accounts();
    for (bank, account) in [(0, "12345-6"), (2, "78910-0")] {
        let op = format!(r#"{{"bank":{bank},"op":"deposit","account":"{account}","amount":5}}"#);
        let reply = cluster.connect(bank).ask(&format!(r#"EXECUTE same {{"ops":[{op}]}}"#));
        assert!(reply.starts_with("COMMITTED same"), "{reply}");
    }
    // One transaction of two banks is one row, even if a bank without a part in it refused its id.
    let refused =
        [&["transfer", "--from", "0/12345-6=99999", "--to", "2/78910-0", "--tx", "much"][..]];
    refused.iter().for_each(|arguments| drop(cluster.run(arguments).expect_code(4)));
    cluster.connect(1).ask("ABORT much");
    let ran = cluster.run(&["history"]).expect_code(0);
    let rows =
        |id: &str| -> Vec<&str> { ran.stdout.lines().filter(|line| line.contains(id)).collect() };
    let same = rows(" same ");
    assert_eq!(same.len(), 2, "{ran:?}");
    assert!(same.iter().any(|row| row.contains("0/12345-6 deposit")), "{ran:?}");
    assert!(same.iter().any(|row| row.contains("2/78910-0 deposit")), "{ran:?}");
    assert_eq!(rows(" much ").len(), 1, "{ran:?}");
}

#[test]
fn invalid_arguments_are_refused_before_anything_is_sent() {
    let cluster = Cluster::start(1);
    for (arguments, message) in [
        (&["transfer", "--from", "0/1=1.234", "--to", "0/2"][..], "1.234"),
        (&["transfer", "--from", "0/1=1,234", "--to", "0/2"], "1,234"),
        (&["transfer", "--from", "0/1=-1", "--to", "0/2"], "sign"),
        (&["transfer", "--from", "0/1=0", "--to", "0/2"], "more than zero"),
        (
            &["transfer", "--from", "0/1=99999999999999999999", "--to", "0/2"],
            "99999999999999999999",
        ),
        (&["transfer", "--from", "0/1=5", "--to", "0/2=4"], "equal"),
        (&["transfer", "--from", "0/1=5"], "--to"),
        (&["transfer", "--from", "1/1=5", "--to", "0/2"], "bank 1 is not in the consortium"),
        (&["balance", "8886/1"], "position"),
        (&["set", "line\nbreak"], "control"),
        (&["resolve", "a b"], "transaction id"),
        (&["set", "1", "--patience", "301"], "301"),
        (&["nonsense"], "nonsense"),
    ] {
        let ran = cluster.run(arguments).expect_code(2);
        assert!(ran.stderr.contains(message), "no {message:?} in {ran:?}");
        let document = cluster.json(2, arguments);
        assert_eq!(document["error"]["code"], "usage");
        assert!(
            document["error"]["message"].as_str().unwrap().contains(message),
            "no {message:?} in {document}"
        );
    }
    let history = cluster.json(0, &["history"]);
    assert_eq!(count(&history[0]["answer"]), 0);
}

#[test]
fn a_pipe_gets_no_colours_and_may_close() {
    let cluster = Cluster::start(1);
    let escapes = |ran: &ProgramRun| ran.stdout.contains('\x1b');
    assert!(!escapes(&cluster.run(&["set", "1"])));
    let run = |variable: &str| {
        let output =
            cluster.cliente(&["set", "1"]).env_remove("NO_COLOR").env(variable, "1").output();
        ProgramRun::of(&["set", "1"], &output.unwrap()).expect_code(0)
    };
    assert!(escapes(&run("CLICOLOR_FORCE")));
    assert!(!escapes(&run("NO_COLOR")));

    let mut child = cluster
        .cliente(&["history"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
        (Some(0), "")
    );
}

#[test]
fn a_list_longer_than_a_line_is_complete() {
    let cluster = Cluster::start(1);
    let mut wire = cluster.connect(0);
    let total = 1_500;
    let mut lines = String::new();
    for number in 0..total {
        let cpf = format!("7{number:010}");
        lines.push_str(&format!(
            "CLIENT {{\"cpf\":\"{cpf}\",\"name\":\"Pessoa {number}\",\"kind\":\"Físico\"}}\n\
             ACCOUNT {{\"number\":\"{number:05}-{}\",\"holders\":[\"{cpf}\"],\"deposit\":1}}\n",
            "x".repeat(40)
        ));
    }
    wire.send_bytes(lines.as_bytes());
    for _ in 0..2 * total {
        let reply = wire.receive().unwrap();
        assert!(reply.starts_with("DONE "), "{reply}");
    }
    let accounts = cluster.json(0, &["accounts"]);
    let numbers: Vec<&str> = accounts[0]["answer"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["number"].as_str().unwrap())
        .collect();
    assert_eq!(numbers.len(), total);
    assert!(numbers.is_sorted(), "each once, in order");
    assert_eq!(count(&cluster.json(0, &["clients"])[0]["answer"]), total);
}

#[test]
fn pending_lists_what_is_undecided() {
    let cluster = Cluster::start(3);
    let mut wire = cluster.connect(0);
    let sets: Vec<String> =
        (0..3).map(|bank| format!("{{\"bank\":{bank},\"op\":\"set\",\"value\":\"7\"}}")).collect();
    let reply =
        wire.ask(&format!("PREPARE open {{\"ops\":[{}],\"patience_ms\":300000}}", sets.join(",")));
    assert!(reply.starts_with("OK open "), "{reply}");
    cluster.run(&["pending"]).expect_code(0).expect("open").expect("0: storage=7");
    assert_eq!(cluster.json(0, &["pending"])[0]["answer"][0]["tx"], "open");
    // Another client's set conflicts with the lock.
    cluster.run(&["set", "8"]).expect_code(4).expect("locked");
    // `resolve` does not wait for the patience: banks 1 and 2 have not voted, so they refuse.
    cluster.run(&["resolve", "open"]).expect_code(4).expect("aborted");
    wait_until("nothing is pending", || {
        (count(&cluster.json(0, &["pending"])[0]["answer"]) == 0).then_some(())
    });
    cluster.run(&["set", "8"]).expect_code(0);
}
