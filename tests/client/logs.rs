//! The step logs of banks and clients: what a search in them finds.

use super::commands::{MARIA, PEDRO, with_accounts};
use super::faults::{FakeBank, client_of, votes_ok};
use crate::support::terminal::{Terminal, plain_text};
use crate::support::{Cluster, Process, signal, wait_until};
use std::path::Path;
use std::process::Stdio;

/// A log whose disk is full stops no command; one sentence says so.
#[test]
fn a_log_on_a_full_disk_is_reported_once() {
    let cluster = with_accounts();
    let log = cluster.path().join("logs/cliente-full.log");
    // Each write to this device fails, as on a full disk.
    std::os::unix::fs::symlink("/dev/full", log).unwrap();
    for (lang, words) in [("en", "can't be written: "), ("pt", "não pode ser escrito: não há")] {
        let set = ["--name", "full", "--lang", lang, "set", "1"];
        let ran = cluster.run(&set).expect_code(0);
        assert_eq!(ran.stderr.matches(words).count(), 1, "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        assert!(ran.stderr.contains("logs/cliente-full.log"), "{ran:?}");
    }
}

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

/// The last lines of a client's log, from its newest start on.
fn newest_run(cluster: &Cluster, name: &str) -> Vec<String> {
    let log = std::fs::read_to_string(cluster.path().join("logs").join(name)).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let start = lines.iter().rposition(|line| line.contains(" start ")).unwrap();
    lines[start..].iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn a_clients_log_has_its_command_line_each_ok_and_what_the_user_was_told() {
    let cluster = with_accounts();
    let transfer = ["transfer", "--from", "0/12345-6=1@111.111.111-11", "--to", "2/78910-0"];
    let ran = cluster.run(&transfer);
    let run = newest_run(&cluster, "cliente-1.log");
    let told = ran.stdout.lines().rev().find(|line| line.starts_with("committed at ")).unwrap();
    assert!(run[0].contains(" transfer --from 0/12345-6=1@..1111 --to 2/78910-0"), "{run:?}");
    let counts: Vec<&String> = run.iter().filter(|line| line.contains(" count ")).collect();
    assert_eq!(counts.len(), 2, "{run:?}");
    assert!(counts[0].ends_with("OK 1/2") && counts[1].ends_with("OK 2/2"), "{counts:?}");
    let last = run.last().unwrap();
    assert!(
        last.contains(" stop ") && last.ends_with(&told["committed ".len()..]),
        "{last} {told}"
    );
    assert!(last.contains(" done: transaction ") && last.contains(" is committed, "), "{last}");

    let refused = cluster.run(&["transfer", "--from", "0/12345-6=5000", "--to", "2/78910-0"]);
    let told = refused.stderr.lines().last().or(refused.stdout.lines().last()).unwrap().to_owned();
    let run = newest_run(&cluster, "cliente-1.log");
    let last = run.last().unwrap();
    let told = told.trim_start_matches("cliente: ");
    assert!(last.contains(" stop ") && last.contains(told), "{last} {told}");
}

#[test]
fn a_terminal_shows_each_ok_as_it_is_counted() {
    let granting = FakeBank::start(|line| votes_ok(0, line));
    let silent = FakeBank::start(|_| None);
    let banks = [&granting, &silent];
    let mut terminal = Terminal::start(&client_of(banks, &["set", "1", "--tx", "o1"]), 80);
    terminal.expect("OK 1/2 bank 0");
    let (_, screen) = terminal.end();
    assert!(!screen.contains("OK 2/2"), "{screen}");
    let steps = client_of(banks, &["set", "1", "--tx", "o2", "--step"]);
    let (_, screen) = Terminal::start(&steps, 80).end();
    assert_eq!(plain_text(&screen).matches("OK 1/2").count(), 1, "--step counts them: {screen}");
}

#[test]
fn ctrl_c_tells_the_log_what_it_tells_the_user() {
    let granting = FakeBank::start(|line| votes_ok(0, line));
    let silent = FakeBank::start(|_| None);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cliente-told.log");
    let _ = std::fs::remove_file(&path);
    let arguments = ["--name", "told", "set", "1", "--tx", "i1"];
    let mut client = Process::start(&mut client_of([&granting, &silent], &arguments));
    wait_until("the OK of bank 0", || {
        let log = std::fs::read_to_string(&path).unwrap_or_default();
        log.lines().any(|line| line.contains(" tx=i1 ") && line.ends_with("OK 1/2")).then_some(())
    });
    client.interrupt();
    let told =
        client.expect_line("the outcome of transaction i1 is not known yet (OKs 1/2); the banks");
    assert_eq!(client.wait(), Some(130));
    let log = std::fs::read_to_string(&path).unwrap();
    let (last, told) = (log.lines().last().unwrap(), told.trim_start_matches("cliente: "));
    assert!(last.contains(" stop ") && last.ends_with(told), "{last} {told}");
}

#[test]
fn each_client_that_runs_has_a_log_of_its_own() {
    let cluster = with_accounts();
    signal("STOP", cluster.pid(2));
    let start =
        || cluster.cliente(&["get"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log = |number: usize| {
        let path = cluster.path().join("logs").join(format!("cliente-{number}.log"));
        std::fs::read_to_string(path).unwrap_or_default()
    };
    let asks = |number: usize| log(number).lines().any(|line| line.contains(" connect "));
    let before = log(1).lines().count();
    let mut first = start();
    wait_until("the first client", || (log(1).lines().count() > before).then_some(()));
    let mut second = start();
    wait_until("the second client", || asks(2).then_some(()));
    let line = log(2).lines().next().unwrap().to_owned();
    assert!(
        line.contains(" start   cliente 0.1.0 cliente-2 --consortium ") && line.ends_with(" get"),
        "{line}"
    );
    first.kill().unwrap();
    first.wait().unwrap();
    let ended = log(1).lines().count();
    let mut third = start();
    wait_until("the number of the first client", || (log(1).lines().count() > ended).then_some(()));
    for child in [&mut second, &mut third] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    signal("CONT", cluster.pid(2));
}

/// Files of 3,000 bytes, so that a few transactions fill many.
#[test]
fn rotated_logs_are_compressed_traced_and_removed_by_their_transactions() {
    let mut cluster = with_accounts();
    let transfer = ["transfer", "--from", "0/12345-6=1", "--to", "2/78910-0", "--tx", "first"];
    cluster.run(&transfer).expect_code(0);
    let rotated = |cluster: &Cluster, number: usize| {
        let name = format!("servidor-{}.log.{number}.zst", cluster.port(0));
        cluster.path().join("logs").join(name)
    };
    let restart = |cluster: &mut Cluster, transactions: &str| {
        cluster.stop(0);
        let sizes = ["--log-max-size", "3000", "--log-keep", "100"];
        cluster.add_switches(0, &[&sizes[..], &["--log-transactions", transactions]].concat());
        cluster.start_bank(0);
    };
    restart(&mut cluster, "1000");
    let deposits = |count: usize| {
        for _ in 0..count {
            cluster.run(&["deposit", "0/12345-6", "1"]).expect_code(0);
        }
    };
    deposits(12);
    wait_until("two compressed files", || rotated(&cluster, 2).exists().then_some(()));
    assert!(!cluster.log(0).contains("tx=first "), "its lines are in a rotated file");
    let document = cluster.json(0, &["trace", "first"]);
    let is_whole = |call: &serde_json::Value| !call["received"].is_null();
    let calls = document["calls"].as_array().unwrap();
    assert!(calls.len() == 4 && calls.iter().all(is_whole), "{document}");
    assert_eq!(document["notes"], serde_json::json!([]), "{document}");

    // Rows have no place for a note. A bank that runs may still rotate what it has not written yet;
    // the lines of `first` are in the oldest file.
    cluster.stop(0);
    let oldest = (1..100).rev().find(|number| rotated(&cluster, *number).exists()).unwrap();
    std::fs::write(rotated(&cluster, oldest), "no zstd").unwrap();
    let damaged = format!(".log.{oldest}.zst is damaged: lines of it are missing");
    let rows = |query: &[&str]| cluster.run(&[&["--output", "tsv", "trace"], query].concat());
    for query in [&["first"][..], &["--slowest", "3"]] {
        let ran = rows(query).expect_code(0);
        assert!(!ran.stdout.contains("damaged"), "{ran:#?}");
        assert!(ran.stderr.contains(&damaged), "{ran:#?}");
    }
}

#[test]
fn logs_in_json_are_objects_that_trace_and_monitor_read() {
    let mut cluster = with_accounts();
    for bank in [0, 2] {
        cluster.stop(bank);
        cluster.add_switches(bank, &["--log-format", "json"]);
        cluster.start_bank(bank);
    }
    let mut monitor = Process::start(&mut cluster.cliente(&["monitor", "--tx", "j1"]));
    let transfer = ["transfer", "--from", "0/12345-6=2", "--to", "2/78910-0", "--tx", "j1"];
    // The monitor follows what is written from its start on, so a first step may be missed.
    let vote = wait_until("the vote in JSON", || {
        cluster.run(&[&["--log-format", "json"][..], &transfer].concat());
        let log = cluster.log(0);
        let line = log.lines().find(|line| line.contains(r#""event":"vote","tx":"j1""#))?;
        Some(serde_json::from_str::<serde_json::Value>(line).unwrap())
    });
    assert_eq!(vote["operations"][0], "0/12345-6 -2,00");
    assert!(vote["seq"].is_u64() && vote["time"].is_i64() && vote["vote"] == "OK", "{vote}");
    let document = wait_until("a whole timeline", || {
        let document = cluster.json(0, &["trace", "j1"]);
        let calls = document["calls"].as_array()?;
        let is_whole = |call: &serde_json::Value| !call["answered"].is_null();
        (calls.len() >= 4 && calls.iter().all(is_whole)).then_some(document)
    });
    assert_eq!(document["verdict"], "committed", "{document}");
    monitor.expect_line(" j1 ");
    monitor.kill();
}
