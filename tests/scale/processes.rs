//! A real bank with many undecided transactions: neither a client that closes its connection nor a
//! restart delays other clients.

use crate::scale::{figure, is_full, size};
use crate::support::{Cluster, Wire};
use std::time::{Duration, Instant};

/// Makes undecided transactions of two banks over one connection; returns that connection.
fn prepare(cluster: &Cluster, count: usize, patience: &str) -> Wire {
    let mut wire = cluster.connect(0);
    let ops = concat!(
        r#"[{"bank":0,"op":"deposit","account":"1-1","amount":1},"#,
        r#"{"bank":1,"op":"deposit","account":"2-2","amount":1}]"#
    );
    for first in (0..count).step_by(500) {
        let last = count.min(first + 500);
        let lines: String =
            (first..last).map(|n| format!("PREPARE q{n} {{\"ops\":{ops}{patience}}}\n")).collect();
        wire.send_bytes(lines.as_bytes());
        for n in first..last {
            let reply = wire.receive().unwrap_or_default();
            assert!(reply.starts_with(&format!("OK q{n} ")), "{reply}");
        }
    }
    wire
}

fn undecided(wire: &mut Wire) -> usize {
    let info: serde_json::Value = serde_json::from_str(&wire.ask("INFO")["DONE ".len()..]).unwrap();
    usize::try_from(info["undecided"].as_u64().unwrap()).unwrap()
}

fn cluster() -> Cluster {
    let cluster = Cluster::start(2);
    cluster.open_account(0, "1-1", "11111111111", "10");
    cluster.open_account(1, "2-2", "22222222222", "10");
    cluster
}

#[test]
fn a_closed_connection_delays_no_other_client() {
    let (cluster, count) = (cluster(), size(2_000, 100_000));
    // Transactions older than three seconds are resolved before the close.
    let gone = prepare(&cluster, count, "");
    let mut other = cluster.connect(0);
    drop(gone);
    let (began, mut longest, mut asked) = (Instant::now(), Duration::ZERO, 0);
    while undecided(&mut other) > 0 {
        let sent = Instant::now();
        other.ask("STATUS unused");
        longest = longest.max(sent.elapsed());
        asked += 1;
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "{} are still undecided",
            undecided(&mut other)
        );
    }
    figure(
        "close of a real bank",
        format_args!(
            "{count} ended within {:?}; the longest of {asked} replies {longest:?}",
            began.elapsed()
        ),
    );
    assert!(!is_full() || longest < Duration::from_millis(50), "a reply took {longest:?}");
}

#[test]
fn a_restart_replies_soon() {
    let (mut cluster, count) = (cluster(), size(2_000, 100_000));
    drop(prepare(&cluster, count, r#","patience_ms":300000"#));
    cluster.kill(1);
    cluster.kill(0);
    let began = Instant::now();
    cluster.start_bank(0);
    let mut wire = cluster.connect(0);
    assert_eq!(undecided(&mut wire), count);
    let took = began.elapsed();
    figure("restart of a real bank", format_args!("{count} undecided, answers after {took:?}"));
    assert!(!is_full() || took < Duration::from_secs(2), "the first answer took {took:?}");
}
