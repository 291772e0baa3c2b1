//! Handshakes that do not go on: they end, and nobody waits for them.

use super::{LINE, SecureBanks};
use crate::support::DEADLINE;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The bounds of a bank.
const OF_ADDRESS_MAX: usize = 64;
const WITHIN: Duration = Duration::from_secs(5);

/// Waits until the bank ends a connection.
fn wait_closed(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let ended = stream.read_to_end(&mut Vec::new());
    assert_ne!(
        ended.map_err(|error| error.kind()),
        Err(ErrorKind::WouldBlock),
        "the bank keeps it"
    );
}

#[test]
fn a_stalled_handshake_ends_in_five_seconds_and_takes_nobodys_place() {
    let mut banks = SecureBanks::new(1);
    // A bank with few places: a handshake takes none.
    banks.cluster.add_switches(0, &["--sessions-max", "4", "--sessions-for-banks", "2"]);
    banks.cluster.start_bank(0);
    let began = Instant::now();
    let dial = |_| {
        let mut stream = TcpStream::connect(banks.cluster.address(0)).expect("it listens");
        stream.write_all(&[22, 3, 1]).unwrap();
        stream
    };
    let stalled: Vec<TcpStream> = (0..OF_ADDRESS_MAX - 1).map(dial).collect();
    for _ in 0..3 {
        assert_eq!(banks.dial(0, "titular1", LINE).ask("PING"), Ok("PONG".to_owned()));
    }
    let _last = dial(0);
    // One more of this address is closed at once.
    wait_closed(&dial(0));
    banks.wait_logged(0, "too many TLS handshakes of this address are under way");
    assert!(began.elapsed() < WITHIN, "the bank was slow: nothing is known of the rest");
    stalled.iter().for_each(wait_closed);
    assert!(began.elapsed() >= WITHIN - Duration::from_secs(1));
    banks.wait_logged(0, "its TLS handshake took longer than 5000 ms");
    assert_eq!(banks.dial(0, "titular1", LINE).ask("PING"), Ok("PONG".to_owned()));
}
