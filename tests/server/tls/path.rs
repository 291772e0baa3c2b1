//! An attacker on the path, who sees, changes and repeats bytes: he can only cut.

use super::client::TlsClient;
use super::{LINE, SecureBanks};
use crate::support::wait_until;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// What goes on between one client and a bank.
#[derive(Default)]
struct WatchedPath {
    /// Changes the last byte of the next bytes to the bank, or to the client.
    to_bank: AtomicBool,
    to_client: AtomicBool,
    /// All bytes to the bank.
    seen: Mutex<Vec<u8>>,
}

/// A path to `bank` for any number of connections; returns its address.
fn lay(bank: String) -> (String, Arc<WatchedPath>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let path = Arc::new(WatchedPath::default());
    let shared = Arc::clone(&path);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(bank) = TcpStream::connect(&bank) else { return };
            let ends = (client.try_clone().unwrap(), bank.try_clone().unwrap());
            let path = Arc::clone(&shared);
            std::thread::spawn(move || {
                pass(client, bank, &path.to_bank, Some(&path.seen));
            });
            let path = Arc::clone(&shared);
            std::thread::spawn(move || pass(ends.1, ends.0, &path.to_client, None));
        }
    });
    (address, path)
}

/// Passes bytes on until one side ends.
fn pass(mut from: TcpStream, mut to: TcpStream, flips: &AtomicBool, seen: Option<&Mutex<Vec<u8>>>) {
    let mut bytes = [0; 4096];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 {
            break;
        }
        if flips.swap(false, SeqCst) {
            bytes[count - 1] ^= 1;
        }
        if let Some(seen) = seen {
            seen.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn registration(cpf: &str) -> String {
    format!(r#"CLIENT {{"cpf":"{cpf}","name":"Pessoa","kind":"F"}}"#)
}

#[test]
fn a_changed_byte_ends_that_connection_and_nothing_else() {
    let banks = SecureBanks::start(1);
    let mut other = banks.dial(0, "titular1", LINE);
    assert_eq!(other.ask("PING"), Ok("PONG".to_owned()));
    let (address, path) = lay(banks.cluster.address(0));
    let dial = || TlsClient::dial(&address, &banks.file(""), Some("caixa1"), 0, &[LINE]);

    let mut client = dial();
    assert_eq!(client.ask("PING"), Ok("PONG".to_owned()));
    path.to_bank.store(true, SeqCst);
    let told = client.ask(&registration("11111111111"));
    assert!(told.as_ref().is_err_and(|why| why.contains("BadRecordMac")), "{told:?}");
    let mut client = dial();
    assert_eq!(client.ask("PING"), Ok("PONG".to_owned()));
    path.to_client.store(true, SeqCst);
    assert!(client.ask("PING").is_err());
    // In the handshake, too; on paths of their own, as ended connections still send alerts.
    for of_bank in [true, false] {
        let (address, path) = lay(banks.cluster.address(0));
        if of_bank { &path.to_bank } else { &path.to_client }.store(true, SeqCst);
        let mut client = TlsClient::dial(&address, &banks.file(""), Some("caixa1"), 0, &[LINE]);
        assert!(client.ask("PING").is_err());
    }
    assert!(!other.ask("CLIENTS").unwrap().contains("11111111111"), "it was executed");
    assert_eq!(other.ask("PING"), Ok("PONG".to_owned()));
    assert_eq!(dial().ask("PING"), Ok("PONG".to_owned()));
}

#[test]
fn a_recorded_session_does_nothing_when_it_is_repeated() {
    let banks = SecureBanks::start(1);
    let (address, path) = lay(banks.cluster.address(0));
    let mut client = TlsClient::dial(&address, &banks.file(""), Some("caixa1"), 0, &[LINE]);
    assert!(client.ask(&registration("11111111111")).unwrap().starts_with("DONE"));
    drop(client);
    let recorded = path.seen.lock().unwrap().clone();
    let count = |text: &str| banks.cluster.log(0).matches(text).count();
    wait_until("the first session", || (count(" CLIENT ") > 0).then_some(()));
    let (sessions, requests) = (count(" connect "), count(" recv "));
    let mut again = TcpStream::connect(banks.cluster.address(0)).unwrap();
    again.write_all(&recorded).unwrap();
    let mut answer = Vec::new();
    let _ = again.read_to_end(&mut answer);
    // rustls may wait for records that it can decrypt, up to the bound of a handshake.
    banks.wait_logged(0, " refused ");
    assert_eq!((count(" connect "), count(" recv ")), (sessions, requests), "it had a session");
}
