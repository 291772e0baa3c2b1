//! `scripts/banks.sh`: three banks with HTTP that end together.

use crate::client::Connection;
use crate::support::{Process, free_ports, servidor_path, wait_until};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// The first of six ports in a row that nobody listens on.
fn six_ports() -> u16 {
    loop {
        let first = free_ports(1)[0];
        if (0..6).all(|further| TcpListener::bind(("127.0.0.1", first + further)).is_ok()) {
            return first;
        }
    }
}

#[test]
fn three_banks_run_until_they_are_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let port = six_ports();
    let http = port + 3;
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/banks.sh"));
    command.current_dir(folder.path());
    command.env("CONSORCIO_PORT", port.to_string()).env("CONSORCIO_HTTP_PORT", http.to_string());
    command.env("CONSORCIO_PROGRAMS", Path::new(servidor_path()).parent().unwrap());
    let mut script = Process::start(&mut command);
    for _ in 0..3 {
        script.expect_line("ready on");
    }
    for bank in 0..3 {
        let mut connection = Connection::open(http + bank);
        connection.get("/status").is(200, r#"{"status":"ok"}"#);
        wait_until("all banks are linked", || {
            (connection.get("/bancos_on").json().as_array()?.len() == 3).then_some(())
        });
    }
    script.interrupt();
    assert_eq!(script.wait(), Some(130));
    for bank in 0..3 {
        assert!(Connection::try_open(http + bank).is_none(), "bank {bank} is still there");
    }
}
