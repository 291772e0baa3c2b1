//! Bytes of other protocols: the first line that is not empty begins with a verb, or nothing of
//! them is executed.

use super::{Alone, rest};
use crate::support::{Wire, wait_until};

const CPF: &str = "12345678900";

/// A line that a stranger would have executed.
fn registers() -> String {
    format!(r#"CLIENT {{"cpf":"{CPF}","name":"Pessoa","kind":"F"}}"#)
}

fn knows_the_client(bank: &Alone) -> bool {
    bank.connect().ask("CLIENTS").contains(CPF)
}

/// Sends `bytes`, with a request behind them; exactly one ERR must come, then the end, and nothing
/// may be done.
#[track_caller]
fn is_refused(bank: &Alone, bytes: &[u8], named: &str) {
    let mut wire = bank.connect();
    wire.send_bytes(&[bytes, format!("\n{}\nPING\n", registers()).as_bytes()].concat());
    let lines = rest(&mut wire);
    let errors = lines.iter().filter(|line| !line.contains("empty line")).count();
    assert!(
        errors == 1 && lines.last().is_some_and(|line| line.starts_with("ERR malformed")),
        "{lines:?}"
    );
    assert!(lines.last().is_some_and(|line| line.contains(named)), "{named:?} is not in {lines:?}");
    assert!(!knows_the_client(bank), "{bytes:?}: what stood behind it was executed");
}

#[test]
fn nothing_behind_the_first_line_of_another_protocol_is_executed() {
    let bank = Alone::start(&[]);
    let post = format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n\r\n{}\n",
        registers()
    );
    for (bytes, named) in [
        (post.as_bytes(), "HTTP"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP"),
        (b"get / http/1.1\r\n", "HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"),
        (b"\r\n\n \t\nPOST / HTTP/1.1\r\n", "HTTP"),
        // A hello of TLS with a ticket that its maker chose.
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03ticket\nPING\nPING", "TLS"),
        (b"\x16\x03\x01\x02\x00", "TLS"),
        // STUN, with a user name that its maker chose.
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
        is_refused(&bank, bytes, named);
    }
    wait_until("the step log tells it", || {
        let log = bank.cluster.log(0);
        log.lines().any(|line| line.contains(" bad ") && line.contains("TLS")).then_some(())
    });
    assert_eq!(bank.stop(), Some(0));
}

/// Such a program need not send the end of a line to be told.
#[test]
fn a_stranger_is_told_before_its_line_ends() {
    let bank = Alone::start(&[]);
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"GET", b"x", b"\0"] {
        let mut wire = bank.connect();
        wire.send_bytes(bytes);
        let lines = rest(&mut wire);
        assert!(lines.len() == 1 && lines[0].starts_with("ERR malformed"), "{bytes:?}: {lines:?}");
    }
    // The beginning of a verb is waited for.
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
fn a_line_that_names_a_host_closes_the_connection_whenever_it_comes() {
    let bank = Alone::start(&[]);
    for host in ["Host: 127.0.0.1:8886", "HOST:x", " \thost: x\r"] {
        let mut wire = bank.connect();
        assert_eq!(wire.ask("PING"), "PONG");
        // After one good first line a bad line is only answered.
        assert!(wire.ask("POST / HTTP/1.1").starts_with("ERR malformed"));
        wire.send_bytes(format!("PING\n{host}\n{}\nPING\n", registers()).as_bytes());
        let lines = rest(&mut wire);
        assert!(lines.len() == 2 && lines[0] == "PONG" && lines[1].contains("HTTP"), "{lines:?}");
        assert!(!knows_the_client(&bank), "{host}");
    }
    assert_eq!(bank.stop(), Some(0));
}

/// A client that means another bank does nothing at this one, whatever it sent with its HELLO.
#[test]
fn a_hello_for_another_bank_closes_the_connection() {
    let bank = Alone::start(&[]);
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
        wire.send_bytes(format!("{line}\n{}\nPING\n", registers()).as_bytes());
        let lines = rest(&mut wire);
        assert!(lines.len() == 1 && lines[0].starts_with(reason), "{line}: {lines:?}");
        assert!(!knows_the_client(&bank), "{line}");
    }
    let mut wire = bank.connect();
    wire.send_bytes(format!("{}\nPING\n", hello("0")).as_bytes());
    let told = wire.receive().unwrap_or_default();
    assert!(told.starts_with(r#"DONE {"bank":0,"places":1,"version":1,"key":""#), "{told}");
    assert_eq!(wire.receive().as_deref(), Some("PONG"), "what follows it is executed");
    assert!(wire.ask(&hello("0")).starts_with("ERR refused"), "only the first line may be one");
    assert_eq!(wire.ask("PING"), "PONG");
    let mut wire: Wire = bank.connect();
    assert_eq!(wire.ask("PING"), "PONG");
    assert!(wire.ask(&hello("0")).starts_with("ERR refused"));
    assert_eq!(bank.stop(), Some(0));
}
