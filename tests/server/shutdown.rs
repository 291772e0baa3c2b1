//! Shutdown: pending requests are answered, what was acknowledged is durable, and there is a
//! deadline.

use super::{SoloBank, is_full, rest, start_with};
use crate::support::{Cluster, Process, Wire, signal, wait_until};
use std::process::Command;
use std::time::{Duration, Instant};

/// A transaction that waits for bank 1.
const SLOW: &str =
    r#"EXECUTE slow {"ops":[{"bank":1,"op":"set","value":"1"},{"bank":0,"op":"set","value":"1"}]}"#;

/// Waits until bank 0 can send to bank 1.
fn linked(cluster: &Cluster) {
    let mut wire = cluster.connect(0);
    wait_until("bank 0 has its link to bank 1", || {
        (wire.ask("BANKS").matches("\"online\":true").count() == 2).then_some(())
    });
}

#[test]
fn an_idle_bank_ends_at_once_with_code_0() {
    for interrupt in [false, true] {
        let mut bank = SoloBank::start(&[]);
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
fn pending_requests_are_answered_before_the_end() {
    let mut cluster = Cluster::start(2);
    // Bank 1 is frozen, so its driver waits for it.
    linked(&cluster);
    signal("STOP", cluster.pid(1));
    let mut wire = cluster.connect(0);
    wire.send(SLOW);
    wire.send("PING");
    wait_until("PREPARE is sent", || {
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
fn a_second_signal_ends_the_bank_at_once() {
    let mut cluster = Cluster::new(2, true);
    let mut process = start_with(&cluster, 0, &[]);
    cluster.start_bank(1);
    linked(&cluster);
    signal("STOP", cluster.pid(1));
    let mut wire = cluster.connect(0);
    wire.send(SLOW);
    wait_until("PREPARE is sent", || {
        let log = cluster.log(0);
        log.lines().any(|line| line.contains("send") && line.contains("PREPARE")).then_some(())
    });
    process.interrupt();
    wait_until("the bank logs the signal", || cluster.log(0).contains("SIGINT").then_some(()));
    process.interrupt();
    assert_eq!(process.wait(), Some(130));
    signal("CONT", cluster.pid(1));
}

#[test]
fn sighup_reopens_the_log() {
    let bank = SoloBank::start(&[]);
    let port = bank.cluster.port(0);
    let folder = bank.cluster.path().join("logs");
    let (log, moved) = (folder.join(format!("servidor-{port}.log")), folder.join("moved.log"));
    wait_until("the start in the log", || bank.cluster.log(0).contains("ready").then_some(()));
    std::fs::rename(&log, &moved).expect("a log");
    signal("HUP", bank.process.pid());
    let mut wire = bank.connect();
    wait_until("a step in the new log", || {
        wire.ask("INFO");
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("INFO")).then_some(())
    });
    assert!(std::fs::read_to_string(&moved).is_ok_and(|text| text.contains("ready")));
    assert_eq!(bank.stop(), Some(0));
}

/// A client that does not read its replies delays the shutdown until the deadline, and no longer.
#[test]
fn shutdown_has_a_deadline_whatever_clients_do() {
    use consorcio::limits::SHUTDOWN_MS_MAX;
    use std::io::Write;
    let mut bank = SoloBank::start(&["--session-unread-ms", "600000"]);
    let mut stalled = std::net::TcpStream::connect(bank.cluster.address(0)).expect("it listens");
    stalled.set_write_timeout(Some(Duration::from_millis(500))).expect("a socket");
    // More replies than the sockets' buffers take: writing stalls once the bank reads no more.
    let lines = "HELP\n".repeat(10_000);
    while stalled.write_all(lines.as_bytes()).is_ok() {}
    // A record that was acknowledged before is there after the restart.
    let mut wire = bank.connect();
    let client = r#"CLIENT {"cpf":"12345678900","name":"Pessoa 1","kind":"Físico"}"#;
    assert!(wire.ask(client).starts_with("DONE"));
    let began = Instant::now();
    bank.process.terminate();
    assert_eq!(bank.process.wait(), Some(0));
    let took = began.elapsed();
    let deadline = Duration::from_millis(SHUTDOWN_MS_MAX);
    assert!(took >= deadline - Duration::from_secs(1), "it did not wait for the client: {took:?}");
    assert!(took < 3 * deadline, "{took:?}");
    assert!(bank.process.seen().iter().any(|line| line.contains("did not end in time")));
    let cluster = bank.cluster;
    let again = start_with(&cluster, 0, &[]);
    assert!(cluster.connect(0).ask("CLIENTS").contains("12345678900"));
    drop(again);
}

/// Bank 0, whose disk hangs, which it has reported; and the connection whose request waits for it.
fn bank_whose_disk_hangs(cluster: &Cluster) -> (Process, Wire) {
    let mut command = cluster.servidor(0);
    command.env(crate::support::CRASH_VARIABLE, "hang:600000@client.written");
    let mut process = Process::start(&mut command);
    process.wait_for("ready on").expect("it starts");
    let mut waits = cluster.connect(0);
    waits.send(r#"CLIENT {"cpf":"12345678900","name":"Pessoa","kind":"F"}"#);
    process.wait_for("has not finished a sync for").expect("a warning on standard error");
    (process, waits)
}

/// With a data disk that hangs, the bank warns, answers requests that need no disk, and ends at the
/// second signal.
#[test]
fn a_data_disk_that_hangs_is_reported_and_two_signals_end_the_bank() {
    let cluster = Cluster::new(1, true);
    let (mut process, _waits) = bank_whose_disk_hangs(&cluster);
    let mut wire = cluster.connect(0);
    assert_eq!(wire.ask("PING"), "PONG");
    let banks = wire.ask("BANKS");
    assert!(banks.contains("\"sync_ms\":"), "{banks}");
    wait_until("a warning in the step log", || {
        cluster.log(0).contains("not finished a sync").then_some(())
    });
    process.terminate();
    wait_until("the signal in the log", || cluster.log(0).contains("SIGTERM").then_some(()));
    let began = Instant::now();
    process.terminate();
    assert_eq!(process.wait(), Some(143));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// After one signal a bank whose disk hangs ends at the deadline, with an error code.
#[test]
fn a_data_disk_that_hangs_does_not_prevent_the_end() {
    use consorcio::limits::SHUTDOWN_MS_MAX;
    let cluster = Cluster::new(1, true);
    let (mut process, _waits) = bank_whose_disk_hangs(&cluster);
    let began = Instant::now();
    process.terminate();
    assert_eq!(process.wait(), Some(1), "{:?}", process.seen());
    assert!(began.elapsed() < 3 * Duration::from_millis(SHUTDOWN_MS_MAX), "{:?}", began.elapsed());
}

/// When the disk answers again, the bank reports that, and acknowledges what waited.
#[test]
fn a_data_disk_that_recovers_is_reported_and_loses_nothing() {
    let cluster = Cluster::new(1, true);
    let mut command = cluster.servidor(0);
    // The first warning comes after one second, or two on a busy machine; each further one after
    // twice the time.
    let (hang_ms, warnings) = if is_full() { (60_000, 5) } else { (4_500, 2) };
    command.env(crate::support::CRASH_VARIABLE, format!("hang:{hang_ms}@client.written"));
    let mut process = crate::support::Process::start(&mut command);
    process.wait_for("ready on").expect("it starts");
    let mut wire = cluster.connect(0);
    let client = r#"CLIENT {"cpf":"12345678900","name":"Pessoa","kind":"F"}"#;
    wire.send(client);
    for _ in 0..warnings {
        process.wait_for("has not finished a sync for").expect("a message");
        assert_eq!(cluster.connect(0).ask("PING"), "PONG");
    }
    process.wait_for("syncs again").expect("a message");
    assert!(wire.receive().is_some_and(|reply| reply.starts_with("DONE")));
    assert!(!wire.ask("BANKS").contains("sync_ms"));
    process.terminate();
    assert_eq!(process.wait(), Some(0));
}

/// A pipe without a reader stands for a step log on a disk that hangs.
#[test]
fn a_step_log_that_hangs_stops_neither_the_bank_nor_its_end() {
    let cluster = Cluster::new(1, true);
    let log = cluster.path().join("logs").join(format!("servidor-{}.log", cluster.port(0)));
    std::fs::create_dir_all(log.parent().expect("a folder")).expect("a folder");
    assert!(Command::new("mkfifo").arg(&log).status().is_ok_and(|made| made.success()));
    let mut process = start_with(&cluster, 0, &[]);
    let mut wire = cluster.connect(0);
    // Far more steps than the pipe and the log's buffer take.
    let each = 1_000;
    let lines: String = (0..each).map(|n| format!("STATUS {:a<60}{n}\n", "")).collect();
    for _ in 0..200 {
        wire.send_bytes(lines.as_bytes());
        for _ in 0..each {
            assert!(wire.receive().is_some_and(|reply| reply.starts_with("UNKNOWN")));
        }
    }
    process.wait_for("the step log is not written").expect("a warning that steps are dropped");
    let until = Instant::now() + Duration::from_secs(if is_full() { 60 } else { 0 });
    while Instant::now() < until {
        assert_eq!(wire.ask("PING"), "PONG");
        std::thread::sleep(Duration::from_millis(200));
    }
    let began = Instant::now();
    process.terminate();
    assert_eq!(process.wait(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// With a peer that hangs, a bank works alone, shows the peer as offline, and links again when the
/// peer answers.
#[test]
fn a_peer_that_hangs_is_reported_and_blocks_no_other_request() {
    let mut cluster = Cluster::start(2);
    linked(&cluster);
    signal("STOP", cluster.pid(1));
    let mut wire = cluster.connect(0);
    wait_until("bank 0 sees bank 1 offline", || {
        wire.ask("BANKS").contains("\"online\":false").then_some(())
    });
    wait_until("the cause in the step log", || {
        cluster.log(0).contains("silent for 3000 ms").then_some(())
    });
    assert!(
        wire.ask(r#"CLIENT {"cpf":"12345678900","name":"Pessoa","kind":"F"}"#).starts_with("DONE")
    );
    assert!(wire.ask(SLOW).starts_with("ABORTED slow"), "a driver gives up on the peer");
    let until = Instant::now() + Duration::from_secs(if is_full() { 60 } else { 0 });
    while Instant::now() < until {
        assert!(
            wire.ask(r#"CLIENT {"cpf":"12345678900","name":"Pessoa","kind":"F"}"#)
                .starts_with("DONE")
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    signal("CONT", cluster.pid(1));
    linked(&cluster);
    let set = SLOW.replace("slow", "again");
    assert!(wire.ask(&set).starts_with("COMMITTED again"));
    assert_eq!((cluster.stop(0), cluster.stop(1)), (Some(0), Some(0)));
}

/// A bank whose terminal closes shuts down in order.
#[test]
fn closing_the_terminal_shuts_the_bank_down() {
    use std::fmt::Write;
    let cluster = Cluster::new(1, true);
    let command = cluster.servidor(0);
    let mut line = "exec".to_owned();
    for word in std::iter::once(command.get_program()).chain(command.get_args()) {
        write!(line, " '{}'", word.to_string_lossy()).expect("text");
    }
    // `script` gives the bank a terminal of its own, which closes when `script` ends.
    let mut terminal = Command::new("script");
    terminal.args(["-q", "-c", &line, "/dev/null"]).current_dir(cluster.path());
    let mut terminal = crate::support::Process::start(&mut terminal);
    terminal.wait_for("ready on").expect("it starts");
    assert_eq!(cluster.connect(0).ask("PING"), "PONG");
    terminal.kill();
    let log = wait_until("the bank ends", || {
        let log = cluster.log(0);
        log.lines().last().is_some_and(|line| line.contains("exit code")).then_some(log)
    });
    assert!(log.contains("SIGHUP") && log.ends_with("exit code 0\n"), "{log}");
}
