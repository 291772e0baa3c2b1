//! Bytes of other protocols: unless the first line that is not empty begins with a verb, no line is
//! executed.

use super::{SoloBank, rest};
use crate::support::{Wire, wait_until};

const CPF: &str = "12345678900";

/// A request that would be executed, if the connection were not closed before.
fn registration() -> String {
    format!(r#"CLIENT {{"cpf":"{CPF}","name":"Pessoa","kind":"F"}}"#)
}

fn has_the_client(bank: &SoloBank) -> bool {
    bank.connect().ask("CLIENTS").contains(CPF)
}

/// Sends `bytes` and a request after them. The bank must reply with exactly one ERR, close the
/// connection, and not execute the request.
#[track_caller]
fn assert_refused(bank: &SoloBank, bytes: &[u8], named: &str) {
    let mut wire = bank.connect();
    wire.send_bytes(&[bytes, format!("\n{}\nPING\n", registration()).as_bytes()].concat());
    let lines = rest(&mut wire);
    let errors = lines.iter().filter(|line| !line.contains("empty line")).count();
    assert!(
        errors == 1 && lines.last().is_some_and(|line| line.starts_with("ERR malformed")),
        "{lines:?}"
    );
    assert!(lines.last().is_some_and(|line| line.contains(named)), "{named:?} is not in {lines:?}");
    assert!(!has_the_client(bank), "{bytes:?}: the request was executed");
}

#[test]
fn nothing_after_the_first_line_of_another_protocol_is_executed() {
    let bank = SoloBank::start(&[]);
    let post = format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n\r\n{}\n",
        registration()
    );
    for (bytes, named) in [
        (post.as_bytes(), "HTTP"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP"),
        (b"get / http/1.1\r\n", "HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"),
        (b"\r\n\n \t\nPOST / HTTP/1.1\r\n", "HTTP"),
        // A TLS hello with a ticket that an attacker chose.
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03ticket\nPING\nPING", "TLS"),
        (b"\x16\x03\x01\x02\x00", "TLS"),
        // STUN with a user name that an attacker chose.
        (b"\x00\x01\x00\x08\x21\x12\xa4\x42user\nPING", "no text"),
        // RESP and memcached.
        (b"*1\r\n$4\r\nPING\r\n", "verb"),
        (b"set k 0 0 4\r\nPING", "verb"),
        (b"\x1b[A", "no text"),
        (b"\xff\xfe", "no text"),
        (b"PING \xc3\x28", "no text"),
        (b"ping", "capitals"),
        (b"{\"op\":\"PING\"}", "verb"),
    ] {
        assert_refused(&bank, bytes, named);
    }
    wait_until("the refusal in the step log", || {
        let log = bank.cluster.log(0);
        log.lines().any(|line| line.contains(" bad ") && line.contains("TLS")).then_some(())
    });
    assert_eq!(bank.stop(), Some(0));
}

/// The bank replies to the first bytes of another protocol, before their line ends.
#[test]
fn another_protocol_is_refused_before_its_line_ends() {
    let bank = SoloBank::start(&[]);
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"GET", b"x", b"\0"] {
        let mut wire = bank.connect();
        wire.send_bytes(bytes);
        let lines = rest(&mut wire);
        assert!(lines.len() == 1 && lines[0].starts_with("ERR malformed"), "{bytes:?}: {lines:?}");
    }
    // The bank waits for the rest of what may be a verb.
    let mut wire = bank.connect();
    for part in ["\r\n", " ", "P", "IN", "G", "\r\n"] {
        wire.send_bytes(part.as_bytes());
        assert_eq!(bank.connect().ask("PING"), "PONG");
    }
    assert!(wire.receive().is_some_and(|line| line.starts_with("ERR malformed")), "the empty line");
    assert_eq!(wire.receive().as_deref(), Some("PONG"));
    assert_eq!(bank.stop(), Some(0));
}

#[test]
fn a_host_header_closes_the_connection_at_any_time() {
    let bank = SoloBank::start(&[]);
    for host in ["Host: 127.0.0.1:8886", "HOST:x", " \thost: x\r"] {
        let mut wire = bank.connect();
        assert_eq!(wire.ask("PING"), "PONG");
        // After a good first line a bad line does not close the connection.
        assert!(wire.ask("POST / HTTP/1.1").starts_with("ERR malformed"));
        wire.send_bytes(format!("PING\n{host}\n{}\nPING\n", registration()).as_bytes());
        let lines = rest(&mut wire);
        assert!(lines.len() == 2 && lines[0] == "PONG" && lines[1].contains("HTTP"), "{lines:?}");
        assert!(!has_the_client(&bank), "{host}");
    }
    assert_eq!(bank.stop(), Some(0));
}

/// A bank executes nothing for a client whose HELLO names another bank.
#[test]
fn a_hello_for_another_bank_closes_the_connection() {
    let bank = SoloBank::start(&[]);
    let hello = |bank: &str| format!(r#"HELLO {{"bank":{bank},"places":3,"version":1}}"#);
    for (line, reason) in [
        (hello("1"), "ERR refused"),
        (hello("99"), "ERR refused"),
        (hello("-1"), "ERR malformed"),
        ("HELLO".to_owned(), "ERR malformed"),
        (
            "HELLO {}".to_owned(),
            "ERR malformed HELLO takes the client's bank, places and version as whole numbers",
        ),
        (
            "HELLO {".to_owned(),
            "ERR malformed HELLO takes the client's bank, places and version as whole numbers",
        ),
    ] {
        let mut wire = bank.connect();
        wire.send_bytes(format!("{line}\n{}\nPING\n", registration()).as_bytes());
        let lines = rest(&mut wire);
        assert!(lines.len() == 1 && lines[0].starts_with(reason), "{line}: {lines:?}");
        assert!(!has_the_client(&bank), "{line}");
    }
    let mut wire = bank.connect();
    wire.send_bytes(format!("{}\nPING\n", hello("0")).as_bytes());
    let reply = wire.receive().unwrap_or_default();
    assert!(reply.starts_with(r#"DONE {"bank":0,"places":1,"version":1,"key":""#), "{reply}");
    assert_eq!(wire.receive().as_deref(), Some("PONG"), "later lines are executed");
    assert!(wire.ask(&hello("0")).starts_with("ERR refused"), "HELLO is for the first line");
    assert_eq!(wire.ask("PING"), "PONG");
    let mut wire: Wire = bank.connect();
    assert_eq!(wire.ask("PING"), "PONG");
    assert!(wire.ask(&hello("0")).starts_with("ERR refused"));
    assert_eq!(bank.stop(), Some(0));
}
