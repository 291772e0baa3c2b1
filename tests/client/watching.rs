//! `--watch`: on a terminal each round replaces the one before; in a pipe they follow each other.

use crate::support::terminal::{Terminal, plain_text};
use crate::support::{Cluster, Process};
use serde_json::Value;

const MARIA: &str = "11111111111";

/// A command of `cliente` in a pipe, with the default form of its output.
fn piped(cluster: &Cluster, arguments: &[&str]) -> Process {
    Process::start(cluster.cliente(arguments).env_remove("CONSORCIO_OUTPUT"))
}

#[test]
fn on_a_terminal_a_round_replaces_the_one_before() {
    let mut cluster = Cluster::start(2);
    cluster.open_account(0, "12345-6", MARIA, "100");
    let mut terminal = Terminal::start(&cluster.cliente(&["accounts", "--watch", "100ms"]), 80);
    terminal.expect("\x1b[?1049h");
    terminal.expect("every 100 ms · ");
    terminal.expect("R$ 100,00");
    cluster.run(&["deposit", "0/12345-6", "23"]).expect_code(0);
    terminal.expect("R$ 123,00");
    cluster.kill(1);
    terminal.expect("bank 1");
    terminal.expect("can't be reached");
    terminal.type_keys("\x03");
    terminal.expect("\x1b[?1049l");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(3), "the exit code is that of the last round: {screen}");
    let (_, left) = screen.rsplit_once("\x1b[?1049l").unwrap();
    let left = plain_text(left);
    assert!(left.contains("R$ 123,00") && left.contains("can't be reached"), "it stays: {left}");
}

#[test]
fn a_short_terminal_says_what_it_leaves_out() {
    let cluster = Cluster::start(1);
    for number in 0..30 {
        // A person has one account of their own at a bank.
        cluster.open_account(0, &format!("{number}-0"), &format!("{:011}", number + 1), "1");
    }
    let mut terminal = Terminal::start(&cluster.cliente(&["accounts", "--watch", "10s"]), 80);
    // 24 rows: the head, an empty one, the headings and 20 accounts; one of them for this text.
    terminal.expect("10 more lines: a higher window shows them");
    terminal.type_keys("\x03");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(plain_text(&screen).contains("0/29-0"), "all of them, afterwards: {screen}");
}

#[test]
fn rows_have_one_line_of_headings() {
    let mut cluster = Cluster::start(2);
    let mut rows = piped(&cluster, &["status", "--watch", "50ms"]);
    rows.expect_line("bank\taddress\tstate");
    for _ in 0..3 {
        rows.expect_line("0\t127.0.0.1");
    }
    cluster.kill(1);
    rows.expect_line("cliente: bank 1 at");
    for _ in 0..5 {
        rows.expect_line("offline");
    }
    rows.interrupt();
    let (code, lines) = ended(rows);
    assert_eq!(code, Some(3), "{lines:?}");
    let headings = lines.iter().filter(|line| line.starts_with("bank\t")).count();
    assert_eq!(headings, 1, "{lines:?}");
    let said = lines.iter().filter(|line| line.starts_with("cliente: bank 1 at")).count();
    // Said again only where the reason changes: reset at first, then refused.
    assert!(said <= 2, "{lines:?}");
}

#[test]
fn json_is_a_document_a_round() {
    let cluster = Cluster::start(1);
    let mut documents = piped(&cluster, &["pending", "--watch", "50ms", "--json"]);
    for _ in 0..3 {
        let line = documents.expect_line("answer");
        let document: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(document[0]["answer"], Value::Array(Vec::new()));
    }
    documents.terminate();
    let (code, lines) = ended(documents);
    assert_eq!(code, Some(0), "{lines:?}");
    let summary: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert!(summary["rounds"].as_u64().unwrap() >= 3 && summary["failed"] == 0, "{summary}");
}

/// Waits for the end of a program; returns its exit code and all its lines.
fn ended(mut process: Process) -> (Option<i32>, Vec<String>) {
    let code = process.wait();
    (code, process.seen().to_vec())
}
