//! Places: so many sessions, some of them for banks; who is idle goes first, who is too many is
//! told so.

use super::{Alone, rest, start_with};
use crate::support::{Cluster, DEADLINE, Wire, wait_until};
use std::net::TcpStream;
use std::time::Instant;

/// Eight places for clients and two that are kept for banks.
const FEW: [&str; 4] = ["--sessions-max", "10", "--sessions-for-banks", "2"];

fn is_refused(wire: &mut Wire) -> bool {
    let lines = rest(wire);
    assert!(lines.len() <= 1, "{lines:?}");
    lines.first().is_some_and(|line| line.starts_with("ERR limit"))
}

#[test]
fn past_the_places_a_connection_is_told_so_and_closed() {
    let bank = Alone::start(&FEW);
    let mut clients: Vec<Wire> = (0..8).map(|_| bank.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "PONG");
    }
    // Who asks for anything but a link is told at once, who asks for nothing, soon.
    let mut asking = bank.connect();
    asking.send("PING");
    assert!(is_refused(&mut asking));
    let mut silent = bank.connect();
    assert!(is_refused(&mut silent));
    // ... and past all places, too, whatever was sent already.
    let mut many: Vec<Wire> = (0..30).map(|_| bank.connect()).collect();
    assert!(many.iter_mut().all(is_refused));
    // Those who have a place notice nothing.
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "PONG");
    }
    // A place that is given up is another's.
    assert_eq!(clients.pop().map(|mut client| client.ask("QUIT")).as_deref(), Some("BYE"));
    let mut next = wait_until("the place is free", || {
        let mut wire = bank.connect();
        wire.send("PING");
        (wire.receive().as_deref() == Some("PONG")).then_some(wire)
    });
    assert_eq!(next.ask("PING"), "PONG");
    assert_eq!(bank.stop(), Some(0));
}

/// Clients that take all the places they can get do not keep a bank out.
#[test]
fn places_are_kept_for_banks() {
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
fn an_idle_session_gives_its_place_to_who_comes() {
    let bank = Alone::start(&[&FEW[..], &["--session-idle-ms", "300"]].concat());
    let mut clients: Vec<Wire> = (0..8).map(|_| bank.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "PONG");
    }
    let (busy, idle) = clients.split_at_mut(7);
    let mut next = wait_until("the idle one has to go", || {
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
fn who_does_not_take_its_replies_is_closed() {
    use std::io::Write;
    let bank = Alone::start(&["--session-unread-ms", "200"]);
    let mut stream = TcpStream::connect(bank.cluster.address(0)).expect("it listens");
    stream.set_write_timeout(Some(DEADLINE)).expect("a socket");
    let lines = "HELP\n".repeat(1_000);
    let began = Instant::now();
    // It never reads, so the bank closes, and then writing fails.
    while stream.write_all(lines.as_bytes()).is_ok() {
        assert!(began.elapsed() < DEADLINE, "it is never closed");
    }
    assert_eq!(bank.connect().ask("PING"), "PONG");
    assert_eq!(bank.stop(), Some(0));
}

/// Many more requests than the queue takes, all at once: reading waits, and nobody is refused.
#[test]
fn a_full_queue_refuses_nobody() {
    use std::fmt::Write;
    let bank = Alone::start(&[]);
    let (sessions, each) = (48, 2_000);
    let mut wires: Vec<Wire> = (0..sessions).map(|_| bank.connect()).collect();
    // One each is answered first, so that all sessions are there when the flood begins.
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

/// The real bound, where the system lets a process have as many files.
#[test]
fn ten_thousand_idle_connections_are_held_and_one_more_is_refused_politely() {
    use rustix::process::{Resource, getrlimit};
    let wanted = 10_600;
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        eprintln!("skipped: only {:?} open files are allowed", limit.maximum);
        return;
    }
    super::allow_open_files(wanted);
    let bank = Alone::start(&[]);
    let mut wires: Vec<Wire> = Vec::new();
    for _ in 0..9_936 {
        wires.push(bank.connect());
        // Whoever is answered has a place; asked of a few, so that the backlog never overflows.
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
