//! `cliente` with banks that go silent, are frozen, hang on their disk, or are no banks.

use super::faults::{FakeBank, MARIA, client_of, paused, with_accounts};
use crate::support::{Cluster, Process, ProgramRun, Wire, cliente_path, wait_until};
use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn with_a_silent_driving_bank_the_outcome_is_unknown() {
    let (silent, other) = (FakeBank::start(|_| None), FakeBank::start(|_| None));
    let mut client =
        Process::start(&mut client_of([&silent, &other], &["set", "1", "--tx", "t", "--via", "0"]));
    assert!(silent.next_line().starts_with("EXECUTE t {"));
    client.interrupt();
    client.expect_line("bank 0 goes on with transaction t");
    assert_eq!(client.wait(), Some(130));
}

/// Without `--timeout` a vote has two seconds.
#[test]
fn the_timeout_is_that_of_votes_too() {
    let (silent, other) = (FakeBank::start(|_| None), FakeBank::start(|_| None));
    let began = Instant::now();
    let line = ["set", "1", "--tx", "t", "--timeout", "100ms"];
    let mut client = Process::start(&mut client_of([&silent, &other], &line));
    assert!(silent.next_line().starts_with("PREPARE t {"));
    assert_eq!(client.wait(), Some(5));
    let took = began.elapsed();
    assert!(took < Duration::from_millis(1_900), "{took:?}");
}

/// A bank that is silent to PREPARE has used up the limit: its answer to ABORT is waited for a
/// quarter of that, and not as long again.
#[test]
fn a_silent_bank_costs_one_time_limit() {
    let (silent, other) = (FakeBank::start(|_| None), FakeBank::start(|_| None));
    let began = Instant::now();
    let line = ["set", "1", "--tx", "t", "--timeout", "4s"];
    let mut client = Process::start(&mut client_of([&silent, &other], &line));
    assert!(silent.next_line().starts_with("PREPARE t {"));
    assert!(silent.next_line().starts_with("ABORT t"));
    assert_eq!(client.wait(), Some(5));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(4) && took < Duration::from_millis(7_500), "{took:?}");
}

/// Before all banks are connected none of them gets anything, and Ctrl-C says so.
#[test]
fn an_interrupt_before_the_first_message_says_that_nothing_was_sent() {
    let cluster = Cluster::start(2);
    signal(&cluster, 1, "STOP");
    let line = ["--name", "early", "set", "1", "--tx", "t", "--timeout", "60s"];
    let mut client = Process::start(&mut cluster.cliente(&line));
    let log = cluster.path().join("logs/cliente-early.log");
    wait_until("it connects", || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        (log.matches(" connect ").count() == 2).then_some(())
    });
    client.interrupt();
    client.expect_line("nothing of transaction t was sent to any bank");
    assert_eq!(client.wait(), Some(130));
    signal(&cluster, 1, "CONT");
}

#[test]
fn resolve_ends_a_transaction_begun_by_hand() {
    let cluster = with_accounts();
    let text = concat!(
        r#"{"ops":[{"bank":0,"op":"debit","account":"12345-6","amount":500},"#,
        r#"{"bank":2,"op":"credit","account":"78910-0","amount":500}],"patience_ms":300000}"#
    );
    let mut wires: Vec<Wire> = [0, 2].iter().map(|bank| cluster.connect(*bank)).collect();
    for wire in &mut wires {
        let reply = wire.ask(&format!("PREPARE by-hand {text}"));
        assert!(reply.starts_with("OK by-hand "), "{reply}");
    }
    cluster.run(&["resolve", "by-hand"]).expect_code(0).expect("committed at");
    wait_until("bank 2 learns the outcome", || (cluster.balance("2/78910-0") == 500).then_some(()));
    assert_eq!(cluster.balance("0/12345-6"), 99_500);
}

#[test]
fn with_a_bank_down_that_may_have_voted_ok_the_outcome_is_unknown() {
    let mut cluster = with_accounts();
    let client = paused(
        &cluster,
        "transfer",
        &["--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", "t", "--patience", "300"],
    );
    cluster.kill(2);
    client.kill();
    let ran =
        cluster.run(&["resolve", "t"]).expect_code(5).expect("not known yet").expect("undecided");
    assert!(ran.stdout.contains(&cluster.address(2)), "{ran:?}");
    let pending = cluster.json(3, &["pending"]);
    assert_eq!(
        pending[0]["answer"][0]["waiting_for"],
        serde_json::json!([2]),
        "it names the bank that blocks"
    );
    assert_eq!(cluster.json(0, &["balance", "0/12345-6"])["held"], 1_000);
    cluster.start_bank(2);
    wait_until("bank 0 learns the outcome", || {
        (cluster.balance("0/12345-6") == 99_000).then_some(())
    });
    cluster.run(&["resolve", "t"]).expect_code(0).expect("committed at");
}

/// Sends a signal to a bank's process.
fn signal(cluster: &Cluster, bank: usize, name: &str) {
    let sent = std::process::Command::new("kill")
        .args([&format!("-{name}"), &cluster.pid(bank).to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

/// A bank that accepts connections and never replies costs each command its timeout only once.
#[test]
fn with_a_frozen_bank_the_others_are_shown_within_the_timeout() {
    let mut cluster = Cluster::start(3);
    signal(&cluster, 1, "STOP");
    let commands = [
        &["status"][..],
        &["ping"],
        &["audit"],
        &["accounts"],
        &["clients"],
        &["pending"],
        &["doubt"],
        &["history"],
        &["get"],
        &["audit", "--timeout", "300ms"],
    ];
    let began = Instant::now();
    let running: Vec<_> = commands
        .iter()
        .map(|arguments| {
            let mut command = cluster.cliente(arguments);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            (arguments, command.spawn().unwrap())
        })
        .collect();
    for (arguments, child) in running {
        let ran = ProgramRun::of(arguments, &child.wait_with_output().unwrap()).expect_code(3);
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        let limit = match arguments {
            ["audit", "--timeout", _] => "no answer within 300 ms",
            // Longer, as the bank itself waits for a locked register.
            ["get"] => "no answer within 5 s",
            _ => "no answer within 2 s",
        };
        assert!(printed.contains(limit), "{ran:?}");
        assert!(!printed.contains(&format!("bank 2 at {} can't", cluster.address(2))), "{ran:?}");
    }
    // All run at once, so this is the longest timeout, that of `get`, with a margin.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(12), "{took:?}");
    signal(&cluster, 1, "CONT");
    cluster.run(&["ping", "--wait", "30s"]).expect_code(0);
    assert_eq!(cluster.stop(1), Some(0));
}

/// The question about a silent bank's disk is part of its time-out, and does not follow it.
#[test]
fn a_frozen_bank_costs_no_more_than_the_timeout() {
    let cluster = Cluster::start(2);
    signal(&cluster, 1, "STOP");
    let ran = cluster.run(&["--name", "timed", "status", "--timeout", "2s"]).expect_code(3);
    signal(&cluster, 1, "CONT");
    let log = std::fs::read_to_string(cluster.path().join("logs/cliente-timed.log")).unwrap();
    let line = |event: &str| {
        let found = |line: &&str| line.contains(event) && line.contains("bank=1");
        log.lines().enumerate().filter(|(_, line)| found(line)).map(|(at, _)| at).last()
    };
    let (asked, ended) = (line(" connect ").unwrap(), line(" disconnect ").unwrap());
    assert_eq!(log.matches(" connect ").count(), 3, "its disk is asked about: {log}");
    assert!(asked < ended, "before the time-out: {ran:?}\n{log}");
}

/// A bank whose disk hangs is reported with that cause, not as a bank to start.
#[cfg(debug_assertions)]
#[test]
fn a_bank_whose_disk_hangs_is_reported_with_the_cause() {
    let mut cluster = Cluster::new(2, true);
    cluster.start_bank(0);
    let mut command = cluster.servidor(1);
    command.env(crate::support::CRASH_VARIABLE, "hang:600000@client.written");
    let mut process = Process::start(&mut command);
    process.expect_line("ready on");
    wait_until("the banks are linked", || {
        (cluster.connect(0).ask("BANKS").matches("\"online\":true").count() == 2).then_some(())
    });
    cluster.connect(1).send(r#"CLIENT {"cpf":"11111111111","name":"Ana","kind":"F"}"#);
    process.expect_line("has not finished a sync for");
    let sentence = "bank 1: its disk has not answered for ";
    for arguments in [&["status"][..], &["ping"], &["accounts"], &["audit"], &["get"], &["pending"]]
    {
        let ran =
            cluster.run(&[&["--timeout", "1"], arguments].concat()).expect_code(3).expect(sentence);
        assert!(
            !ran.stdout.contains("is it running") && !ran.stdout.contains("offline"),
            "{ran:?}"
        );
    }
    for arguments in [&["--timeout", "1", "status"], &["--timeout", "1", "ping"]] {
        cluster.run(arguments).expect("disk hangs");
        let document = cluster.json(3, arguments);
        assert_eq!(document["error"]["code"], "disk-hangs", "{document}");
        assert_eq!(
            (&document["banks"][0]["online"], &document["banks"][1]["online"]),
            (&true.into(), &false.into())
        );
    }
    let ran = cluster.run(&["set", "1"]).expect_code(5);
    assert!(ran.stdout.contains("bank 1 is silent (its disk has not answered for "), "{ran:?}");
}

/// A listener that is no bank and greets each connection with `greeting`; returns its port.
fn no_bank(greeting: &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            // The client may have closed the connection.
            let _ = stream.write_all(greeting.as_bytes());
            std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
    port
}

/// Every command reports a listener that is no bank with the same sentence and exit code, without
/// debug output.
#[test]
fn a_listener_that_is_no_bank_is_reported_in_one_sentence() {
    for greeting in
        ["SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"]
    {
        let port = no_bank(greeting).to_string();
        let folder = tempfile::TempDir::new().unwrap();
        for arguments in [
            &["ping"][..],
            &["status"],
            &["balance", "0/1"],
            &["accounts"],
            &["clients"],
            &["get"],
            &["audit"],
            &["history"],
            &["pending"],
            &["resolve", "t1"],
            &["client", "add", "--bank", "0", "--cpf", MARIA, "--name", "Maria"],
            &["set", "1"],
            &["deposit", "0/1", "5"],
            &["deposit", "0/1", "5", "--via", "0"],
            &["bench", "--yes", "--kind", "single"],
        ] {
            let run = |json: bool| {
                let mut command = std::process::Command::new(cliente_path());
                command.current_dir(folder.path()).args(["--consortium", &port]).args(arguments);
                command.env("CONSORCIO_OUTPUT", if json { "json" } else { "table" });
                ProgramRun::of(arguments, &command.stdin(Stdio::null()).output().unwrap())
                    .expect_code(3)
            };
            let ran = run(false);
            let printed = format!("{}{}", ran.stdout, ran.stderr);
            let first = greeting.split("\r\n").next().unwrap();
            let expected =
                format!("what answers at 127.0.0.1:{port} is no bank (it says \"{first}\")");
            assert!(printed.contains(&expected), "no {expected:?} in {ran:?}");
            for debug in ["Err(", "Malformed", "DONE", "Ok("] {
                assert!(!printed.contains(debug), "{ran:?}");
            }
            assert!(run(true).stdout.contains("no-connection"), "{arguments:?}");
        }
    }
}
