//! The bound on sessions: slots for clients and for banks, eviction of idle sessions, refusals.

use super::{SoloBank, rest, start_with};
use crate::support::{Cluster, DEADLINE, Wire, wait_until};
use std::net::TcpStream;
use std::time::Instant;

/// Eight slots for clients and two that are reserved for banks.
const FEW: [&str; 4] = ["--sessions-max", "10", "--sessions-for-banks", "2"];

fn is_refused(wire: &mut Wire) -> bool {
    let lines = rest(wire);
    assert!(lines.len() <= 1, "{lines:?}");
    lines.first().is_some_and(|line| line.starts_with("ERR limit"))
}

#[test]
fn a_connection_past_the_bound_is_refused_and_closed() {
    let bank = SoloBank::start(&FEW);
    let mut clients: Vec<Wire> = (0..8).map(|_| bank.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "PONG");
    }
    // A connection that sends anything but PEER is refused at once, a silent one after a moment.
    let mut sending = bank.connect();
    sending.send("PING");
    assert!(is_refused(&mut sending));
    let mut silent = bank.connect();
    assert!(is_refused(&mut silent));
    // Connections past all slots, including those for banks, are refused too.
    let mut many: Vec<Wire> = (0..30).map(|_| bank.connect()).collect();
    assert!(many.iter_mut().all(is_refused));
    // The sessions that have slots are not affected.
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "PONG");
    }
    // A freed slot can be taken by another connection.
    assert_eq!(clients.pop().map(|mut client| client.ask("QUIT")).as_deref(), Some("BYE"));
    let mut next = wait_until("a free slot", || {
        let mut wire = bank.connect();
        wire.send("PING");
        (wire.receive().as_deref() == Some("PONG")).then_some(wire)
    });
    assert_eq!(next.ask("PING"), "PONG");
    assert_eq!(bank.stop(), Some(0));
}

/// Clients that take all of their slots do not keep a bank out.
#[test]
fn slots_are_reserved_for_banks() {
    let cluster = Cluster::new(2, true);
    let _first = start_with(&cluster, 0, &FEW);
    let clients: Vec<Wire> = (0..9).map(|_| cluster.connect(0)).collect();
    let _second = start_with(&cluster, 1, &[]);
    let mut other = cluster.connect(1);
    wait_until("bank 1 has its link to bank 0", || {
        let banks = other.ask("BANKS");
        assert!(banks.starts_with("DONE [{\"bank\":0,"), "{banks}");
        (banks.matches("\"online\":true").count() == 2).then_some(())
    });
    drop(clients);
}

#[test]
fn an_idle_session_is_evicted_for_a_new_one() {
    let bank = SoloBank::start(&[&FEW[..], &["--session-idle-ms", "300"]].concat());
    let mut clients: Vec<Wire> = (0..8).map(|_| bank.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "PONG");
    }
    let (busy, idle) = clients.split_at_mut(7);
    let mut next = wait_until("the idle session is evicted", || {
        for client in busy.iter_mut() {
            assert_eq!(client.ask("PING"), "PONG");
        }
        let mut wire = bank.connect();
        wire.send("PING");
        (wire.receive().as_deref() == Some("PONG")).then_some(wire)
    });
    assert_eq!(idle[0].receive(), None);
    assert_eq!(next.ask("PING"), "PONG");
    for client in busy {
        assert_eq!(client.ask("PING"), "PONG");
    }
    assert_eq!(bank.stop(), Some(0));
}

#[test]
fn a_session_that_does_not_read_its_replies_is_closed() {
    use std::io::Write;
    let bank = SoloBank::start(&["--session-unread-ms", "200"]);
    let mut stream = TcpStream::connect(bank.cluster.address(0)).expect("it listens");
    stream.set_write_timeout(Some(DEADLINE)).expect("a socket");
    let lines = "HELP\n".repeat(1_000);
    let began = Instant::now();
    // It never reads, so the bank closes the connection, and then writing fails.
    while stream.write_all(lines.as_bytes()).is_ok() {
        assert!(began.elapsed() < DEADLINE, "it is never closed");
    }
    assert_eq!(bank.connect().ask("PING"), "PONG");
    assert_eq!(bank.stop(), Some(0));
}

/// With many more requests than the queue takes, the bank stops reading, but refuses none.
#[test]
fn a_full_queue_refuses_no_request() {
    use std::fmt::Write;
    let bank = SoloBank::start(&[]);
    let (sessions, each) = (48, 2_000);
    let mut wires: Vec<Wire> = (0..sessions).map(|_| bank.connect()).collect();
    // One request each first, so that all sessions are open when the flood begins.
    assert!(wires.iter_mut().all(|wire| wire.ask("PING") == "PONG"));
    std::thread::scope(|scope| {
        for (s, wire) in wires.iter_mut().enumerate() {
            scope.spawn(move || {
                let mut lines = String::new();
                for n in 0..each {
                    writeln!(lines, "STATUS t{s}.{n}").expect("text");
                }
                wire.send_bytes(lines.as_bytes());
                for n in 0..each {
                    assert_eq!(wire.receive(), Some(format!("UNKNOWN t{s}.{n}")));
                }
            });
        }
    });
    assert_eq!(bank.stop(), Some(0));
}

/// The real bound, if the system allows as many open files.
#[test]
fn ten_thousand_idle_connections_are_held_and_one_more_is_refused() {
    use rustix::process::{Resource, getrlimit};
    let files = 10_600;
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < files) {
        eprintln!("skipped: only {:?} open files are allowed", limit.maximum);
        return;
    }
    super::allow_open_files(files);
    let bank = SoloBank::start(&[]);
    let mut wires: Vec<Wire> = Vec::new();
    for _ in 0..9_936 {
        wires.push(bank.connect());
        // A reply proves a slot; waiting for one now and then keeps the backlog from overflowing.
        if wires.len().is_multiple_of(64) {
            assert_eq!(wires.last_mut().map(|wire| wire.ask("PING")).as_deref(), Some("PONG"));
        }
    }
    assert_eq!(wires.last_mut().map(|wire| wire.ask("PING")).as_deref(), Some("PONG"));
    let mut one_more = bank.connect();
    one_more.send("PING");
    assert!(is_refused(&mut one_more));
    for wire in wires.iter_mut().step_by(500) {
        assert_eq!(wire.ask("PING"), "PONG");
    }
    assert_eq!(bank.stop(), Some(0));
    assert_eq!(wires[0].receive(), None);
}
