//! `cliente monitor`: steps of all nodes as they happen.

use crate::support::terminal::Terminal;
use crate::support::{Cluster, Process};
use serde_json::Value;

const MARIA: &str = "11111111111";

fn monitor(cluster: &Cluster, arguments: &[&str]) -> Process {
    let mut command = cluster.cliente(&[&["monitor"], arguments].concat());
    let mut started = Process::start(&mut command);
    started.expect_line("following bank 0, bank 1");
    started
}

fn two_accounts() -> Cluster {
    let cluster = Cluster::start(2);
    cluster.open_account(0, "12345-6", MARIA, "100");
    cluster.open_account(1, "78910-0", MARIA, "0");
    cluster
}

#[test]
fn the_steps_of_all_nodes_are_one_stream() {
    let cluster = two_accounts();
    let mut all = monitor(&cluster, &["--tx", "t1"]);
    let pay = ["transfer", "--from", "0/12345-6=5", "--to", "1/78910-0", "--tx", "t1"];
    cluster.run(&pay).expect_code(0);
    let verdict = all.expect_line("verdict");
    assert!(verdict.contains("t1 COMMITTED"), "{verdict}");
    all.interrupt();
    let (code, lines) = ended(all);
    assert_eq!(code, Some(0), "{lines:?}");
    let seen = all_lines(&lines, &verdict);
    for (node, event) in [("bank 0 ", "vote"), ("bank 1 ", "vote"), ("cliente", "send")] {
        let found = seen.iter().any(|line| line.contains(node) && line.contains(event));
        assert!(found, "{node} {event}: {seen:#?}");
    }
    let times: Vec<&str> = seen.iter().map(|line| &line[..15]).collect();
    assert!(times.is_sorted(), "in order of time: {seen:#?}");
}

/// Serial lines, and terminals of containers and scripts, report a size of 0.
#[test]
fn a_terminal_that_does_not_know_its_size_shows_80_columns() {
    let cluster = two_accounts();
    let mut terminal = Terminal::start(&cluster.cliente(&["monitor"]), 0);
    terminal.expect("following bank 0, bank 1");
    cluster.run(&["deposit", "0/12345-6", "7", "--tx", "t9"]).expect_code(0);
    terminal.expect("outcome");
    terminal.type_keys("\x03");
    assert_eq!(terminal.end().0, Some(0));
}

/// The steps among all lines of a monitor.
fn all_lines(lines: &[String], verdict: &str) -> Vec<String> {
    assert!(lines.iter().any(|line| line == verdict), "{lines:?}");
    lines.iter().filter(|line| !line.starts_with("following")).cloned().collect()
}

#[test]
fn filters_leave_out_the_rest() {
    let cluster = two_accounts();
    let mut filtered = monitor(&cluster, &["--bank", "1", "--event", "vote,outcome"]);
    cluster.run(&["deposit", "0/12345-6", "7", "--tx", "other"]).expect_code(0);
    let pay = ["transfer", "--from", "0/12345-6=5", "--to", "1/78910-0", "--tx", "t1"];
    cluster.run(&pay).expect_code(0);
    filtered.expect_line("vote");
    filtered.expect_line("outcome");
    filtered.interrupt();
    let (code, lines) = ended(filtered);
    assert_eq!(code, Some(0), "{lines:?}");
    let mut steps = lines.iter().filter(|line| !line.starts_with("following"));
    let admitted = |line: &String| {
        line.contains(" bank 1 ")
            && (line.contains(" vote ") || line.contains(" outcome "))
            && line.contains(" t1 ")
    };
    assert!(steps.all(admitted), "{lines:#?}");
    let ran = cluster.run(&["monitor", "--event", "votes"]).expect_code(2);
    assert!(ran.stderr.contains("votes") && ran.stderr.contains("verdict"), "{ran:?}");
    let ran = cluster.run(&["monitor", "--logs", "nowhere"]).expect_code(1);
    assert!(ran.stderr.contains("nowhere"), "{ran:?}");
}

#[test]
fn programs_get_documents_and_rows() {
    let cluster = two_accounts();
    let mut json = monitor(&cluster, &["--json", "--event", "vote"]);
    let mut rows = monitor(&cluster, &["--output", "tsv"]);
    rows.expect_line("time\tnode\tbank\tevent");
    cluster.run(&["deposit", "0/12345-6", "1", "--tx", "d1"]).expect_code(0);
    let line = json.expect_line("vote");
    let step: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&step["event"], &step["bank"]), (&Value::from("vote"), &Value::from(0)));
    rows.expect_line("\t0\tvote\td1\t");
    for mut process in [json, rows] {
        process.terminate();
        assert_eq!(process.wait(), Some(0));
    }
}

#[test]
fn a_terminal_cuts_lines_at_its_width() {
    let cluster = two_accounts();
    let mut terminal = Terminal::start(&cluster.cliente(&["monitor"]), 60);
    terminal.expect("Ctrl-C ends");
    cluster
        .run(&["deposit", "0/12345-6", "1", "--tx", "a-long-id-of-a-transaction"])
        .expect_code(0);
    terminal.expect("…");
    terminal.type_keys("\x03");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0));
    // The terminal echoes Ctrl-C as `^C` wherever the cursor is, also inside of a line.
    let screen = crate::support::terminal::plain_text(&screen).replace("^C", "");
    let wide: Vec<&str> = screen.lines().filter(|line| line.chars().count() > 60).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

/// Waits for the end of a program; returns its exit code and all its lines.
fn ended(mut process: Process) -> (Option<i32>, Vec<String>) {
    let code = process.wait();
    (code, process.seen().to_vec())
}
