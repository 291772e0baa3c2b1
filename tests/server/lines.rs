//! The line protocol: a malformed line gets one ERR, a truncated one is not executed, and replies
//! are in order.

use super::{SoloBank, rest, start_with};
use crate::support::Cluster;
use std::io::{Read, Write};
use std::net::TcpStream;

const CLIENT: &str = r#"CLIENT {"cpf":"12345678900","name":"Pessoa","kind":"Físico"}"#;

#[test]
fn a_bad_line_gets_one_err_and_the_connection_stays_open() {
    let bank = SoloBank::start(&[]);
    let mut wire = bank.connect();
    assert_eq!(wire.ask("PING"), "PONG", "the first line is a request");
    for junk in [
        "",
        " ",
        "ping",
        "GET / HTTP/1.1",
        "PREPARE",
        "PREPARE t1",
        "PREPARE t1 {",
        r#"PREPARE t1 {"ops":[]}"#,
        r#"PREPARE t1 {"ops":[{"bank":1,"op":"debit","account":"1","amount":1}]}"#,
        "COMMIT é",
        "BALANCE",
        "PING PING",
        r#"CLIENT {"cpf":"1"}"#,
    ] {
        let reply = wire.ask(junk);
        assert!(reply.starts_with("ERR ") || reply.starts_with("REFUSED "), "{junk:?}: {reply}");
        assert!(reply.len() > 10, "no cause in {reply}");
    }
    // What is no text is not a client's: nothing behind it is executed, with a good line before it.
    for bytes in [&b"\xff\xfe\n"[..], b"PING \xc3\x28\n", b"\0\0\0\n", b"STATUS \x1b[A\n"] {
        let mut wire = bank.connect();
        wire.send_bytes(&[b"PING\n", bytes, b"PING\n"].concat());
        let lines = rest(&mut wire);
        assert_eq!(lines.len(), 2, "{bytes:?}: {lines:?}");
        assert!(lines[0] == "PONG" && lines[1].starts_with("ERR "), "{bytes:?}: {lines:?}");
    }
    assert!(wire.ask("STATUS\tt1").starts_with("UNKNOWN"), "a tab is white space");
    wire.send_bytes(b"PING\r\n");
    assert_eq!(wire.receive().as_deref(), Some("PONG"));
    assert!(wire.ask("INFO").starts_with("DONE "));
    assert_eq!(bank.stop(), Some(0));
}

#[test]
fn a_line_over_the_limit_gets_its_err_and_the_connection_closes() {
    let bank = SoloBank::start(&[]);
    for tail in [&b"\nPING\n"[..], b""] {
        let mut wire = bank.connect();
        assert_eq!(wire.ask("PING"), "PONG");
        // More bytes than the bank reads are sent; the ERR must still arrive, and not a reset.
        let mut bytes = vec![b'x'; 80 * 1024];
        bytes.extend_from_slice(tail);
        wire.send_bytes(&bytes);
        let lines = rest(&mut wire);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("ERR limit"), "{lines:?}");
    }
    // A line of exactly the limit is accepted.
    let mut wire = bank.connect();
    let line = format!("PING{}", " ".repeat(64 * 1024 - 5));
    assert_eq!(wire.ask(&line), "PONG");
    assert_eq!(bank.stop(), Some(0));
}

#[test]
fn a_line_without_its_end_is_never_executed() {
    let bank = SoloBank::start(&[]);
    let mut wire = bank.connect();
    wire.send_bytes(format!("PING\n{CLIENT}").as_bytes());
    wire.finish();
    assert_eq!(rest(&mut wire), ["PONG"]);
    assert!(!bank.connect().ask("CLIENTS").contains("12345678900"));
    assert_eq!(bank.stop(), Some(0));
}

#[test]
fn slow_senders_do_not_delay_others() {
    let bank = SoloBank::start(&[]);
    let mut slow = bank.connect();
    let mut quick = bank.connect();
    for byte in format!("{CLIENT}\nPING\n").bytes() {
        slow.send_bytes(&[byte]);
        assert_eq!(quick.ask("PING"), "PONG");
    }
    assert!(slow.receive().is_some_and(|reply| reply.starts_with("DONE ")));
    assert_eq!(slow.receive().as_deref(), Some("PONG"));
    assert_eq!(bank.stop(), Some(0));
}

/// More requests in one write than a session may have in flight, slow ones and immediate ones.
#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let cluster = Cluster::new(2, true);
    let _bank = start_with(&cluster, 0, &[]);
    let mut wire = cluster.connect(0);
    let mut lines = String::new();
    let mut expected = Vec::new();
    for n in 0..5_000 {
        let (line, reply) = match n % 5 {
            _ if n == 7 => (
                // Bank 1 is down: all later replies wait until the driver gives up on it.
                format!(
                    r#"EXECUTE slow {{"ops":[{{"bank":1,"op":"set","value":"{n}"}},{{"bank":0,"op":"set","value":"{n}"}}]}}"#
                ),
                "ABORTED slow".to_owned(),
            ),
            0 => (format!("STATUS t{n}"), format!("UNKNOWN t{n}")),
            1 => ("PING".to_owned(), "PONG".to_owned()),
            2 => (format!("RESOLVE t{n}"), format!("ABORTED t{n}")),
            3 => ("what".to_owned(), "ERR malformed".to_owned()),
            _ => (format!("BALANCE n{n}"), "REFUSED unknown-account".to_owned()),
        };
        lines.push_str(&line);
        lines.push('\n');
        expected.push(reply);
    }
    wire.send_bytes(lines.as_bytes());
    wire.finish();
    for (n, expected) in expected.iter().enumerate() {
        let reply = wire.receive().expect("a reply for each request");
        assert!(reply.starts_with(expected), "{n}: {reply}, not {expected}");
    }
    assert_eq!(wire.receive(), None, "one reply for each request");
}

#[test]
fn replies_are_sent_after_a_half_close() {
    let bank = SoloBank::start(&[]);
    let mut wire = bank.connect();
    wire.send_bytes(format!("{CLIENT}\nCLIENTS\nPING\n").as_bytes());
    wire.finish();
    let replies = rest(&mut wire);
    assert_eq!(replies.len(), 3, "{replies:?}");
    assert!(replies[1].contains("12345678900") && replies[2] == "PONG", "{replies:?}");
    assert_eq!(bank.stop(), Some(0));
}

#[test]
fn requests_after_quit_are_ignored() {
    let bank = SoloBank::start(&[]);
    let mut wire = bank.connect();
    wire.send_bytes(format!("PING\nQUIT\n{CLIENT}\n").as_bytes());
    assert_eq!(rest(&mut wire), ["PONG", "BYE"]);
    assert!(!bank.connect().ask("CLIENTS").contains("12345678900"));
    assert_eq!(bank.stop(), Some(0));
}

/// The bank stops reading from a session that does not read its replies, serves the others, and
/// drops no reply.
#[test]
fn a_session_that_does_not_read_is_not_read() {
    const LINE: &str = "BANKS\n";
    let bank = SoloBank::start(&[]);
    let mut stream = TcpStream::connect(bank.cluster.address(0)).expect("it listens");
    stream.set_nonblocking(true).expect("a socket");
    let lines = LINE.repeat(10_000);
    let mut sent = 0;
    let mut refusals = 0;
    // After many refused writes in a row, with other requests between, the bank no longer reads.
    let mut other = bank.connect();
    while refusals < 200 {
        match stream.write(&lines.as_bytes()[sent % LINE.len()..]) {
            Ok(bytes) => {
                sent += bytes;
                refusals = 0;
                assert!(sent < 64 << 20, "the bank reads without end");
            }
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                refusals += 1;
            }
        }
        assert_eq!(other.ask("PING"), "PONG");
    }
    stream.set_nonblocking(false).expect("a socket");
    stream.set_read_timeout(Some(crate::support::DEADLINE)).expect("a socket");
    stream.set_write_timeout(Some(crate::support::DEADLINE)).expect("a socket");
    // A thread sends the rest of the last line, as both directions must move at once.
    let mut writer = stream.try_clone().expect("a socket");
    let rest = lines.as_bytes()[sent % LINE.len()..LINE.len()].to_vec();
    let cut = sent % LINE.len() != 0;
    let sender = std::thread::spawn(move || {
        if cut {
            writer.write_all(&rest).expect("the bank reads again");
        }
        writer.shutdown(std::net::Shutdown::Write).expect("an open connection");
    });
    let mut replies = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = match stream.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read.expect("replies within the deadline"),
        };
        if read == 0 {
            break;
        }
        replies += memchr::memchr_iter(b'\n', &buffer[..read]).count();
    }
    sender.join().expect("it sent all");
    assert_eq!(replies, sent.div_ceil(LINE.len()));
    assert_eq!(bank.stop(), Some(0));
}
