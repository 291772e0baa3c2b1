//! Memory of sessions that do not read their replies: for every verb at most the documented bound,
//! measured as the process's resident memory.

use super::start_with;
use crate::support::{Cluster, Process, Wire, wait_until};
use std::io::{ErrorKind, Write};
use std::net::TcpStream;

const CPF: &str = "12345678900";

/// A line for each kind of reply: short ones, ones as long as a line, ones of the session itself.
pub fn lines() -> Vec<(&'static str, String)> {
    let set = r#"{"ops":[{"bank":0,"op":"deposit","account":"1","amount":1}]}"#;
    let registers = format!(r#"{{"cpf":"{CPF}","name":"{}","kind":"F"}}"#, "n".repeat(200));
    vec![
        ("PREPARE", format!("PREPARE prepared {set}")),
        ("COMMIT", "COMMIT unknown".to_owned()),
        ("ABORT", format!("ABORT {}", "a".repeat(64))),
        ("RESOLVE", format!("RESOLVE {}", "r".repeat(64))),
        ("STATUS", format!("STATUS {}", "s".repeat(64))),
        ("EXECUTE", format!("EXECUTE executed {set}")),
        ("CLIENT", format!("CLIENT {registers}")),
        ("ACCOUNT", format!(r#"ACCOUNT {{"number":"1","holders":["{CPF}"]}}"#)),
        ("CLIENTS", "CLIENTS".to_owned()),
        ("ACCOUNTS", "ACCOUNTS".to_owned()),
        ("BALANCE", "BALANCE 1".to_owned()),
        ("VALUE", "VALUE".to_owned()),
        ("HISTORY", "HISTORY".to_owned()),
        ("PENDING", "PENDING".to_owned()),
        ("BANKS", "BANKS".to_owned()),
        ("INFO", "INFO".to_owned()),
        ("SNAPSHOT", "SNAPSHOT accounts".to_owned()),
        ("PEER", "PEER {}".to_owned()),
        ("HELLO", r#"HELLO {"bank":0,"places":1,"version":1}"#.to_owned()),
        ("PING", "PING".to_owned()),
        ("HELP", "HELP".to_owned()),
        ("a bad line", "x".repeat(300)),
    ]
}

/// Registers enough clients that a list of them is as long as a line.
fn fill_lists(wire: &mut Wire) {
    for n in 0..250 {
        let cpf = if n == 0 { CPF.to_owned() } else { format!("{n:011}") };
        let client = format!(r#"CLIENT {{"cpf":"{cpf}","name":"{}","kind":"F"}}"#, "n".repeat(200));
        assert!(wire.ask(&client).starts_with("DONE"), "{client}");
    }
    let account = format!(r#"ACCOUNT {{"number":"1","holders":["{CPF}"]}}"#);
    assert!(wire.ask(&account).starts_with("DONE"));
}

/// The resident memory of the process, in bytes.
fn resident_bytes(process: &Process) -> usize {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", process.pid())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of Linux");
    let kib: usize = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kib * 1024
}

/// Opens connections that send `line` repeatedly and read nothing, until the bank stops reading
/// them.
fn stalled(address: &str, count: usize, line: &str, other: &mut Wire) -> Vec<TcpStream> {
    let lines = format!("{line}\n").repeat((256 * 1024 / (line.len() + 1)).max(1));
    let mut streams: Vec<(TcpStream, usize)> = (0..count)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("it listens");
            // The first line of a connection must be a request.
            stream.write_all(b"PING\n").expect("a socket takes a line");
            stream.set_nonblocking(true).expect("a socket");
            (stream, 0)
        })
        .collect();
    // After enough rounds without progress, each with a reply on another connection, the bank has
    // stopped reading.
    let mut idle_rounds = 0;
    while idle_rounds < 20 {
        let mut progress = false;
        for (stream, sent) in &mut streams {
            match stream.write(&lines.as_bytes()[*sent % (line.len() + 1)..]) {
                Ok(bytes) => {
                    *sent += bytes;
                    progress = true;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{line}"),
            }
        }
        assert_eq!(other.ask("PING"), "PONG");
        idle_rounds = if progress { 0 } else { idle_rounds + 1 };
    }
    streams.into_iter().map(|(stream, _)| stream).collect()
}

/// For each verb, fills a new bank with `sessions` that do not read; returns the memory that they
/// hold.
fn held_by_each_verb(
    sessions: usize,
    switches: &[&str],
    verbs: &[&str],
) -> Vec<(&'static str, usize)> {
    let mut all = Vec::new();
    for (verb, line) in
        lines().into_iter().filter(|(verb, _)| verbs.is_empty() || verbs.contains(verb))
    {
        let cluster = Cluster::new(1, true);
        let process = start_with(&cluster, 0, &[&["--log-steps", "off"], switches].concat());
        let mut other = cluster.connect(0);
        if matches!(verb, "CLIENTS" | "ACCOUNTS" | "BALANCE" | "EXECUTE" | "PREPARE") {
            fill_lists(&mut other);
        }
        let before = resident_bytes(&process);
        let streams = stalled(&cluster.address(0), sessions, &line, &mut other);
        let held = resident_bytes(&process).saturating_sub(before);
        all.push((verb, held));
        drop(streams);
        wait_until("the bank still answers", || (other.ask("PING") == "PONG").then_some(()));
    }
    all
}

#[track_caller]
fn assert_within(bound: usize, all: &[(&str, usize)]) {
    let mib = |bytes: usize| format!("{} KiB", bytes / 1024);
    for (verb, held) in all {
        println!("{verb:11} {} of {}", mib(*held), mib(bound));
    }
    let worst = all.iter().max_by_key(|(_, held)| *held).expect("some verb");
    assert!(worst.1 <= bound, "{}: {} is more than {}", worst.0, mib(worst.1), mib(bound));
}

/// A small bound and few sessions. The tolerance is for tasks and the allocator, and for pages that
/// a process of any size touches later.
#[test]
fn sessions_that_do_not_read_hold_no_more_than_the_bound() {
    let (sessions, bytes) = (60, 16 << 20);
    let switches =
        ["--sessions-max", "120", "--sessions-for-banks", "2", "--sessions-bytes-max", "16777216"];
    let verbs = ["COMMIT", "CLIENTS", "BANKS", "HELLO", "HELP", "a bad line"];
    let all = held_by_each_verb(sessions, &switches, &verbs);
    assert_eq!(all.len(), verbs.len());
    assert_within(bytes + bytes / 4 + (2 << 20), &all);
    // The sessions did use the memory; otherwise this test proves nothing.
    assert!(all.iter().any(|(_, held)| *held > bytes / 3), "{all:?}");
}

/// The real bound with 10,000 sessions, for each verb.
#[test]
#[ignore = "it takes minutes and half a gigabyte; scripts/scale.sh runs it"]
fn ten_thousand_sessions_that_do_not_read_hold_no_more_than_the_bound() {
    use consorcio::limits::{SESSIONS_BYTES_MAX, SESSIONS_FOR_BANKS, SESSIONS_MAX};
    super::allow_open_files(11_000);
    let sessions = SESSIONS_MAX - SESSIONS_FOR_BANKS - 1;
    let all = held_by_each_verb(sessions, &["--session-unread-ms", "600000"], &[]);
    assert_eq!(all.len(), lines().len());
    assert_within(SESSIONS_BYTES_MAX + SESSIONS_BYTES_MAX / 8, &all);
}
