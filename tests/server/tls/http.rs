//! HTTP over TLS: a client certificate is optional there.

use super::client::TlsClient;
use super::{LINE, SecureBanks};
use crate::support::{ProgramRun, Wire, free_ports};
use std::path::Path;

const HTTP: &[u8] = b"http/1.1";

fn get(address: &str, folder: &Path, name: Option<&str>, protocols: &[&[u8]]) -> String {
    let mut client = TlsClient::dial(address, folder, name, 0, protocols);
    let request =
        "GET /status HTTP/1.1\r\nHost: bank-0.consorcio.internal\r\nConnection: close\r\n\r\n";
    match client.send(request.as_bytes()) {
        Ok(()) => client.rest(),
        Err(error) => error,
    }
}

#[test]
fn http_is_served_over_tls_with_and_without_a_certificate() {
    let mut banks = SecureBanks::new(1);
    let port = free_ports(1)[0].to_string();
    banks.cluster.add_switches(0, &["--http", &port, "--http-host", "painel.example"]);
    banks.cluster.start_bank(0);
    let (address, folder) = (format!("127.0.0.1:{port}"), banks.file(""));
    for name in [None, Some("titular1")] {
        let answer = get(&address, &folder, name, &[HTTP]);
        assert!(answer.starts_with("HTTP/1.1 200"), "{name:?}: {answer}");
    }
    // Neither a line, nor nothing, nor a bank's certificate.
    for (name, protocols) in [(None, &[LINE][..]), (None, &[]), (Some("bank-0"), &[HTTP])] {
        let answer = get(&address, &folder, name, protocols);
        assert!(!answer.contains("HTTP/1.1 200"), "{name:?}: {answer}");
    }
    banks.wait_logged(0, "it offers no protocol (ALPN)");
    let mut plain = Wire::connect(&address);
    plain.send("GET /status HTTP/1.1\r\nHost: x\r\n\r");
    assert_eq!(plain.try_receive().filter(|line| line.contains("200")), None);
    // The names of the certificate and of the operator are its hosts, and others are not.
    for (host, status) in [
        ("painel.example", 200),
        ("PAINEL.example:443", 200),
        ("evil.example", 403),
        ("painel.example.evil.example", 403),
    ] {
        let mut client = TlsClient::dial(&address, &folder, None, 0, &[HTTP]);
        let head = format!("GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        client.send(head.as_bytes()).unwrap();
        assert!(client.rest().starts_with(&format!("HTTP/1.1 {status}")), "{host}");
    }
}

#[test]
fn browsers_are_shown_a_certificate_with_names_of_its_own() {
    let mut banks = SecureBanks::new(1);
    banks.certs(&["bank", "0", "--renew", "--host", "banco0.example"]).expect_code(0);
    banks.hand_out(0);
    let port = free_ports(1)[0].to_string();
    banks.cluster.add_switches(0, &["--http", &port]);
    banks.cluster.start_bank(0);
    // The bank's own name is not on it.
    let answer = get(&format!("127.0.0.1:{port}"), &banks.file(""), None, &[HTTP]);
    assert!(answer.contains("not valid for name"), "{answer}");
    let ran: ProgramRun = banks.cliente("titular1", &["ping"]);
    ran.expect_code(0);
}
