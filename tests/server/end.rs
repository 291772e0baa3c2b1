//! Ends: what was asked is answered, what was answered is durable, and it does not take long.

use super::{Alone, rest, start_with};
use crate::support::{Cluster, wait_until};
use std::process::Command;
use std::time::{Duration, Instant};

/// A transaction that waits for bank 1.
const SLOW: &str =
    r#"EXECUTE slow {"ops":[{"bank":1,"op":"set","value":"1"},{"bank":0,"op":"set","value":"1"}]}"#;

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// Waits until bank 0 can send to bank 1.
fn linked(cluster: &Cluster) {
    let mut wire = cluster.connect(0);
    wait_until("bank 0 has its link to bank 1", || {
        (wire.ask("BANKS").matches("\"online\":true").count() == 2).then_some(())
    });
}

#[test]
fn an_idle_bank_ends_at_once_and_in_order() {
    for interrupt in [false, true] {
        let mut bank = Alone::start(&[]);
        let mut idle: Vec<_> = (0..20).map(|_| bank.connect()).collect();
        assert_eq!(idle[0].ask("PING"), "PONG");
        let began = Instant::now();
        if interrupt {
            bank.process.interrupt()
        } else {
            bank.process.terminate()
        }
        assert_eq!(bank.process.wait(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(idle.iter_mut().all(|wire| wire.receive().is_none()));
        let log = bank.cluster.log(0);
        assert!(log.lines().last().is_some_and(|line| line.contains("stop")), "{log}");
    }
}

#[test]
fn what_was_asked_is_answered_before_the_end() {
    let mut cluster = Cluster::start(2);
    // A bank that is there and silent: its driver waits for it.
    linked(&cluster);
    signal("STOP", cluster.pid(1));
    let mut wire = cluster.connect(0);
    wire.send(SLOW);
    wire.send("PING");
    wait_until("it is under way", || {
        let pending = cluster.log(0);
        pending.lines().any(|line| line.contains("send") && line.contains("PREPARE")).then_some(())
    });
    assert_eq!(cluster.stop(0), Some(0));
    let replies = rest(&mut wire);
    assert_eq!(replies.len(), 2, "{replies:?}");
    assert!(!replies[0].starts_with("COMMITTED"), "{replies:?}");
    signal("CONT", cluster.pid(1));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut cluster = Cluster::new(2, true);
    let mut process = start_with(&cluster, 0, &[]);
    cluster.start_bank(1);
    linked(&cluster);
    signal("STOP", cluster.pid(1));
    let mut wire = cluster.connect(0);
    wire.send(SLOW);
    wait_until("it is under way", || {
        let log = cluster.log(0);
        log.lines().any(|line| line.contains("send") && line.contains("PREPARE")).then_some(())
    });
    process.interrupt();
    wait_until("it ends in order", || cluster.log(0).contains("SIGINT").then_some(()));
    process.interrupt();
    assert_eq!(process.wait(), Some(130));
    signal("CONT", cluster.pid(1));
}

#[test]
fn after_sighup_the_log_is_a_new_file() {
    let bank = Alone::start(&[]);
    let port = bank.cluster.port(0);
    let folder = bank.cluster.path().join("logs");
    let (log, moved) = (folder.join(format!("servidor-{port}.log")), folder.join("moved.log"));
    wait_until("the start is told", || bank.cluster.log(0).contains("ready").then_some(()));
    std::fs::rename(&log, &moved).expect("a log");
    signal("HUP", bank.process.pid());
    let mut wire = bank.connect();
    wait_until("a step is told in the new file", || {
        wire.ask("INFO");
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("INFO")).then_some(())
    });
    assert!(std::fs::read_to_string(&moved).is_ok_and(|text| text.contains("ready")));
    assert_eq!(bank.stop(), Some(0));
}

/// A client that does not take its replies keeps a bank from its end for as long as its deadline, and no longer.
#[test]
fn an_end_has_a_deadline_whatever_clients_do() {
    use consorcio::limits::SHUTDOWN_MS_MAX;
    use std::io::Write;
    let mut bank = Alone::start(&["--session-unread-ms", "600000"]);
    let mut deaf = std::net::TcpStream::connect(bank.cluster.address(0)).expect("it listens");
    deaf.set_write_timeout(Some(Duration::from_millis(500))).expect("a socket");
    // More replies than the sockets' buffers take: writing stalls once the bank reads no more.
    let lines = "HELP\n".repeat(10_000);
    while deaf.write_all(lines.as_bytes()).is_ok() {}
    // It has been durable before, and is after.
    let mut wire = bank.connect();
    let client = r#"CLIENT {"cpf":"12345678900","name":"Pessoa 1","kind":"Físico"}"#;
    assert!(wire.ask(client).starts_with("DONE"));
    let began = Instant::now();
    bank.process.terminate();
    assert_eq!(bank.process.wait(), Some(0));
    let took = began.elapsed();
    let deadline = Duration::from_millis(SHUTDOWN_MS_MAX);
    assert!(took >= deadline - Duration::from_secs(1), "it did not wait for who was there: {took:?}");
    assert!(took < 3 * deadline, "{took:?}");
    assert!(bank.process.seen().iter().any(|line| line.contains("did not end in time")));
    let cluster = bank.cluster;
    let again = start_with(&cluster, 0, &[]);
    assert!(cluster.connect(0).ask("CLIENTS").contains("12345678900"));
    drop(again);
}
