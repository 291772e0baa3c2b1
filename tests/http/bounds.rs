//! Timeouts, bounds and shutdown: connections that are silent, slow or unfinished are closed.

use crate::http::client::{HttpConnection, request};
use crate::http::{ANA, BIA, HttpCluster};
use crate::support::{Cluster, Process, free_ports, wait_until};
use std::process::Command;
use std::time::{Duration, Instant};

/// Much longer than a timeout of a few hundred milliseconds, for busy machines.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn silent_slow_and_unfinished_requests_are_closed() {
    let cluster = HttpCluster::start_with(1, &["--http-head-ms", "300", "--http-body-ms", "300"]);
    let mut silent = cluster.connect(0);
    let mut half = cluster.connect(0);
    half.send_bytes(b"GET /status HTTP/1.1\r\nhost: 127.0.0.1\r\n");
    let mut idle = cluster.connect(0);
    idle.get("/status").is(200, r#"{"status":"ok"}"#);
    for connection in [&mut silent, &mut half, &mut idle] {
        assert!(connection.is_closed_within(SOON));
    }
    let mut body = cluster.connect(0);
    let whole =
        request("POST", "/depositar", &[], r#"{"cpf":"11111111111","numero":"1","valor":1}"#);
    body.send_bytes(&whole.as_bytes()[..whole.len() - 1]);
    body.receive().expect("an answer").is_error(408, "a tempo");
    assert!(body.is_closed_within(SOON));
    // The timeout is for the whole head: single bytes do not extend it.
    let mut slow = cluster.connect(0);
    let began = Instant::now();
    let end = loop {
        if !slow.send_bytes(b"G") || began.elapsed() > SOON {
            break began.elapsed();
        }
        std::thread::park_timeout(Duration::from_millis(20));
    };
    assert!(end < SOON);
    cluster.connect(0).get("/status").is(200, r#"{"status":"ok"}"#);
}

#[test]
fn a_connection_that_does_not_read_is_closed_and_delays_no_other() {
    let cluster = HttpCluster::start_with(1, &["--http-unread-ms", "300"]);
    cluster.open(0, ANA, "1", "0");
    let stalled = cluster.connect(0);
    let many = "GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".repeat(64);
    // It sends and never reads, until the bank stops reading and then closes the connection.
    stalled.stream().set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let began = Instant::now();
    loop {
        let sent = std::io::Write::write(&mut stalled.stream(), many.as_bytes());
        let gone = sent.is_err_and(|error| {
            !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        });
        if gone {
            break;
        }
        assert!(began.elapsed() < SOON, "the connection is still open");
        assert_eq!(cluster.connect(0).get("/clientes").status, 200);
    }
}

/// A connection that reads too slowly holds memory like one that does not read.
#[test]
fn a_connection_that_reads_too_slowly_is_closed() {
    let cluster = HttpCluster::start_with(1, &["--http-unread-ms", "500"]);
    for number in 0..60 {
        let cpf = format!("{number:011}");
        let name = "x".repeat(199);
        let client = format!(r#"{{"cpf":"{cpf}","nome":"{name}","tipo":"{name:.60}"}}"#);
        assert_eq!(cluster.connect(0).post("/criar_cliente", &client).status, 201);
    }
    let whole = cluster.connect(0).get("/clientes");
    assert_eq!(whole.json().as_array().unwrap().len(), 60);
    // More than any socket's buffers take.
    let many = "GET /clientes HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".repeat(1_500);
    let slow = cluster.connect(0);
    std::io::Write::write_all(&mut slow.stream(), many.as_bytes()).unwrap();
    slow.stream().set_read_timeout(Some(SOON)).unwrap();
    let expected = 1_500 * whole.body.len();
    let (mut read, mut piece) = (0, [0; 512]);
    let began = Instant::now();
    // A pause between the pieces simulates a slow network.
    while let Ok(bytes @ 1..) = std::io::Read::read(&mut slow.stream(), &mut piece) {
        read += bytes;
        // Until the bank has filled the sockets' buffers, even on a busy machine.
        if read < 64 * 1024 || began.elapsed() < Duration::from_secs(5) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
    assert!(read < expected, "it got all of {expected} bytes");
    // A large response to a normal reader is complete.
    let again = cluster.connect(0).get("/clientes");
    assert_eq!(again.body, whole.body);
}

#[test]
fn connections_have_a_bound() {
    let cluster = HttpCluster::start_with(1, &["--http-connections-max", "4"]);
    // An event stream holds its connection while it is open.
    let mut held: Vec<HttpConnection> = (0..4)
        .map(|_| {
            let mut stream = cluster.connect(0);
            stream.send("GET", "/painel/eventos", &[], "");
            assert_eq!(stream.receive_head(), 200);
            stream
        })
        .collect();
    let mut one_more = cluster.connect(0);
    one_more.receive().expect("an answer").is_error(503, "Conexões demais");
    held.pop();
    wait_until("a free slot", || {
        let answer =
            HttpConnection::try_open(cluster.ports[0])?.try_ask("GET", "/status", &[], "")?;
        (answer.status == 200).then_some(())
    });
}

#[test]
fn http_is_off_by_default_and_a_taken_port_is_reported() {
    let mut cluster = Cluster::new(2, true);
    cluster.start_bank(0);
    assert!(!cluster.log(0).contains("http://"));
    let port = free_ports(1)[0].to_string();
    cluster.add_switches(1, &["--http", &port]);
    let _taken = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let output = cluster.servidor(1).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&port) && stderr.contains("--http"), "{stderr}");
}

#[test]
fn an_idle_bank_ends_at_once_despite_open_connections() {
    let cluster = Cluster::new(1, true);
    let port = free_ports(1)[0];
    let mut bank = Process::start(cluster.servidor(0).args(["--http", &port.to_string()]));
    bank.expect_line(&format!("serves http://127.0.0.1:{port}/"));
    bank.expect_line("ready on");
    let mut silent = HttpConnection::open(port);
    let mut half = HttpConnection::open(port);
    half.send_bytes(
        b"POST /depositar HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: \
                      application/json\r\ncontent-length: 9\r\n\r\n{",
    );
    let mut idle = HttpConnection::open(port);
    idle.get("/status").is(200, r#"{"status":"ok"}"#);
    bank.terminate();
    assert_eq!(bank.wait(), Some(0));
    for connection in [&mut silent, &mut half, &mut idle] {
        assert!(connection.is_closed_within(SOON));
    }
}

#[test]
fn pending_requests_are_answered_before_the_end() {
    let mut cluster = HttpCluster::start(2);
    cluster.open(0, ANA, "1", "10");
    cluster.open(1, BIA, "2", "0");
    let frozen = cluster.banks.pid(1);
    let signal = |name: &str| {
        let sent = Command::new("kill").args([&format!("-{name}"), &frozen.to_string()]).status();
        assert!(sent.expect("kill runs").success());
    };
    signal("STOP");
    let mut http = cluster.connect(0);
    let body = concat!(
        r#"{"participantes":[{"banco":0,"cpf":"11111111111","numero":"1","valor":5},"#,
        r#"{"banco":1,"cpf":"22222222222","numero":"2","valor":0}]}"#
    );
    http.send("POST", "/transferencia_composta", &[("idempotency-key", "slow")], body);
    wait_until("PREPARE is sent", || {
        let log = cluster.banks.log(0);
        log.lines().any(|line| line.contains("send") && line.contains("PREPARE")).then_some(())
    });
    assert_eq!(cluster.banks.stop(0), Some(0));
    let answer = http.receive().expect("an answer");
    assert!([202, 400].contains(&answer.status), "{answer:?}");
    assert_eq!(answer.json()["id"], "slow");
    signal("CONT");
}
