//! A real bank whose journal is truncated or changed while it is down, or whose disk fills up while
//! it runs.

use crate::support::{Cluster, Process, Wire, wait_until};
use std::path::PathBuf;
use std::process::Command;

/// Positions of a file that are tried.
const PLACES: usize = 20;

/// One killed bank, and the segment with all its records.
struct KilledBank {
    cluster: Cluster,
    folder: PathBuf,
    segment: PathBuf,
    /// The original bytes of that segment.
    bytes: Vec<u8>,
    /// The start of the batch of the last account.
    last: usize,
    /// The last byte that is not zero.
    end: usize,
}

impl KilledBank {
    /// Opens accounts 1 to 6, and kills the bank.
    fn new() -> KilledBank {
        let mut cluster = Cluster::start(1);
        let folder = cluster.path().join("data/bank-0");
        let segment = folder.join("segment-0000000001");
        let mut wire = cluster.connect(0);
        let client = wire.ask(r#"CLIENT {"cpf":"12345678900","name":"Pessoa 1","kind":"Físico"}"#);
        assert!(client.starts_with("DONE"), "{client}");
        let joint = wire.ask(r#"CLIENT {"cpf":"98765432100","name":"Pessoa 2","kind":"Físico"}"#);
        assert!(joint.starts_with("DONE"), "{joint}");
        for number in 1..6 {
            open_account(&mut wire, number);
        }
        let last = end_of(&std::fs::read(&segment).unwrap());
        open_account(&mut wire, 6);
        cluster.kill(0);
        let bytes = std::fs::read(&segment).unwrap();
        let end = last_nonzero(&bytes);
        assert!(last + 8 < end, "the last account was written");
        KilledBank { cluster, folder, segment, bytes, last, end }
    }

    /// Replaces the segment by `bytes`, and removes all newer files.
    fn put(&self, bytes: &[u8]) {
        std::fs::remove_dir_all(&self.folder).unwrap();
        std::fs::create_dir(&self.folder).unwrap();
        std::fs::write(&self.segment, bytes).unwrap();
    }

    /// Starts the bank, which must fail: its exit code and output.
    fn refused_start(&self) -> (Option<i32>, String) {
        let output = self.cluster.servidor(0).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn open_account(wire: &mut Wire, number: u32) {
    let line = format!(
        r#"ACCOUNT {{"number":"{number}","holders":["12345678900","98765432100"],"deposit":{number}00}}"#
    );
    let opened = wire.ask(&line);
    assert!(opened.starts_with("DONE"), "{opened}");
}

/// The end of the written part: batches begin at multiples of eight bytes.
fn end_of(bytes: &[u8]) -> usize {
    (last_nonzero(bytes) + 1).next_multiple_of(8)
}

fn last_nonzero(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).expect("a segment has a header")
}

/// Some positions from `from` to `to`, both included.
fn places(from: usize, to: usize) -> impl Iterator<Item = usize> {
    let count = PLACES.min(to - from);
    (0..=count).map(move |number| from + (to - from) * number / count)
}

#[test]
fn a_truncated_tail_is_reported_and_loses_only_the_cut_batches() {
    let mut down = KilledBank::new();
    for cut in places(down.last, down.end) {
        let mut bytes = down.bytes.clone();
        // As after a power failure: un-synced bytes may be zeros.
        bytes[cut..].fill(0);
        down.put(&bytes);
        let mut process = Process::start(&mut down.cluster.servidor(0));
        process.wait_for("ready on").unwrap();
        let cut_off = bytes[down.last..cut].iter().any(|byte| *byte != 0);
        process.terminate();
        assert_eq!(process.wait(), Some(0), "cut at {cut}");
        let output = process.seen().concat();
        let expected = format!("segment-0000000001 at offset {}", down.last);
        assert_eq!(
            output.contains("torn tail") && output.contains(&expected),
            cut_off,
            "cut at {cut}: {output}"
        );

        down.cluster.start_bank(0);
        let mut wire = down.cluster.connect(0);
        for number in 1..6 {
            let balance = wire.ask(&format!("BALANCE {number}"));
            assert!(
                balance.contains(&format!(r#""balance":{number}00,"#)),
                "cut at {cut}: {balance}"
            );
        }
        assert_eq!(
            wire.ask("BALANCE 6").split(' ').nth(1),
            Some("unknown-account"),
            "cut at {cut}"
        );
        open_account(&mut wire, 6);
        down.cluster.kill(0);
    }
}

/// An interrupted copy is refused, even at the end of a batch.
#[test]
fn a_truncated_segment_is_refused_with_file_and_offset() {
    let down = KilledBank::new();
    for end in [0, 63, 64, down.last, down.end, down.bytes.len() - 1] {
        down.put(&down.bytes[..end]);
        let (code, output) = down.refused_start();
        let offset = if end < 64 { 0 } else { end };
        let expected = format!("segment-0000000001: damaged at offset {offset}: ");
        assert!(code == Some(1) && output.contains(&expected), "{end} bytes: {code:?} {output}");
        let journals = down.cluster.run(&["audit", "--journals", "data"]).expect_code(1);
        assert!(journals.stdout.contains(&expected), "{end} bytes: {}", journals.stdout);
    }
}

#[test]
fn a_changed_durable_byte_is_refused_with_file_and_offset() {
    let mut down = KilledBank::new();
    for place in places(64, down.last - 1) {
        let mut bytes = down.bytes.clone();
        bytes[place] ^= 0x10;
        down.put(&bytes);
        let (code, output) = down.refused_start();
        assert_eq!(code, Some(1), "byte {place}: {output}");
        assert!(output.contains("segment-0000000001"), "byte {place}: {output}");
        let offset =
            output.split_once("damaged at offset ").and_then(|(_, rest)| rest.split(':').next());
        let offset: usize =
            offset.and_then(|offset| offset.parse().ok()).unwrap_or_else(|| panic!("{output}"));
        assert!(offset <= place && place < offset + 512, "byte {place}: {output}");
        assert!(
            std::fs::read(&down.segment).unwrap() == bytes,
            "byte {place}: a refused journal was changed"
        );
    }
    down.put(&down.bytes);
    down.cluster.start_bank(0);
    assert!(down.cluster.connect(0).ask("BALANCE 6").contains(r#""balance":600,"#));
}

/// The votes and outcomes that bank 0 sent before it stopped.
#[derive(Default)]
struct SentVotes {
    committed: Vec<String>,
    refused: Vec<String>,
    /// Transactions that bank 1 voted OK on, too.
    prepared: Vec<String>,
}

#[test]
fn a_full_disk_loses_no_vote_and_stops_only_a_bank_that_did_not_foresee_it() {
    // The limit lies within the segment in use; or past the end of the second one, so that the
    // third one can't be created, which the bank detects long before.
    for (kilobytes, is_foreseen) in [(400, false), (2_100, true)] {
        let mut cluster = Cluster::new(2, true);
        cluster.start_bank(1);
        cluster.start_bank(0);
        let second = cluster.path().join("data/bank-0/segment-0000000002");
        wait_until("the second segment", || second.exists().then_some(()));
        cluster.kill(0);
        let mut bank = Process::start(&mut with_file_limit(&cluster.servidor(0), kilobytes));
        bank.wait_for("ready on").unwrap();
        for number in 0..2 {
            let mut wire = cluster.connect(number);
            for line in [
                r#"CLIENT {"cpf":"12345678900","name":"Pessoa 1","kind":"Físico"}"#,
                r#"ACCOUNT {"number":"1","holders":["12345678900"],"deposit":1000000}"#,
            ] {
                let reply = wire.ask(line);
                assert!(reply.starts_with("DONE"), "{reply}");
            }
        }
        let sent = send_until_it_stops(&cluster);
        if is_foreseen {
            let warning = bank.wait_for("nothing new is taken").unwrap();
            assert!(warning.contains("segment-0000000003") && warning.contains(LIMIT), "{warning}");
            let mut wire = cluster.connect(0);
            let client = r#"CLIENT {"cpf":"98765432100","name":"Pessoa 2","kind":"Físico"}"#;
            assert!(
                wire.ask(client).starts_with("REFUSED disk-full its data disk is full"),
                "a new request was accepted"
            );
            assert!(wire.ask("BALANCE 1").starts_with("DONE"), "reads fail");
            assert!(wire.ask("BANKS").contains(r#""disk_full":true"#), "{}", wire.ask("BANKS"));
            let status = cluster.run(&["status"]);
            assert!(status.stdout.contains("the data disk of bank 0 is full"), "{status:?}");
            for tx in &sent.prepared {
                let end = wire.ask(&format!("COMMIT {tx}"));
                assert!(end.starts_with("COMMITTED"), "outcomes fail: {end}");
            }
            check(&cluster, &sent);
            bank.terminate();
        }
        assert_eq!(bank.wait(), Some(i32::from(!is_foreseen)), "{:?}", bank.seen());
        let output = bank.seen().concat();
        assert!(output.contains(LIMIT) && output.contains("segment-000000000"), "{output}");

        cluster.start_bank(0);
        check(&cluster, &sent);
    }
}

/// The error of a write past the size limit of a file.
const LIMIT: &str = "the limit for the size of a file is reached";

/// The command with a size limit for its files; a write past it fails, as on a full disk.
fn with_file_limit(command: &Command, kilobytes: u32) -> Command {
    let script = format!(r#"trap '' XFSZ; ulimit -f {kilobytes}; exec "$0" "$@""#);
    let mut limited = Command::new("bash");
    limited.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
    limited.current_dir(command.get_current_dir().unwrap());
    limited
}

fn send_until_it_stops(cluster: &Cluster) -> SentVotes {
    let (mut zero, mut one) = (cluster.connect(0), cluster.connect(1));
    let mut sent = SentVotes::default();
    // The journal keeps the bytes of a transaction as received, blanks included.
    let blanks = " ".repeat(20_000);
    let money = |bank: u32, op: &str, amount: u32| {
        format!(r#"{{"bank":{bank},"op":"{op}","account":"1","amount":{amount}}}"#)
    };
    for number in 0..1_000 {
        let cash = format!(r#"{{"ops":[{}]{blanks}}}"#, money(0, "deposit", 1));
        let too_much = format!(r#"{{"ops":[{}]{blanks}}}"#, money(0, "withdraw", 2_000_000));
        let both = [money(0, "debit", 10), money(1, "credit", 10)].join(",");
        let transfer = format!(r#"{{"ops":[{both}],"patience_ms":300000{blanks}}}"#);
        assert!(one.ask(&format!("PREPARE both-{number} {transfer}")).starts_with("OK "));
        let sent_now = [
            (format!("EXECUTE cash-{number} {cash}"), "COMMITTED", &mut sent.committed),
            (format!("EXECUTE much-{number} {too_much}"), "ABORTED", &mut sent.refused),
            (format!("PREPARE both-{number} {transfer}"), "OK", &mut sent.prepared),
        ];
        let all = sent_now.into_iter().all(|(line, expected, kept)| {
            let Some(reply) = zero.try_ask(&line) else { return false };
            if reply.starts_with("ERR disk-full ") {
                return false;
            }
            let words: Vec<&str> = reply.split(' ').collect();
            assert_eq!(words[0], expected, "{reply}");
            kept.push(words[1].to_owned());
            true
        });
        if !all {
            return sent;
        }
    }
    panic!("the disk never filled up");
}

fn check(cluster: &Cluster, sent: &SentVotes) {
    let SentVotes { committed, refused, prepared } = sent;
    assert!(
        !committed.is_empty() && !refused.is_empty() && !prepared.is_empty(),
        "a kind of vote was never sent"
    );
    let mut wires = [cluster.connect(0), cluster.connect(1)];
    wait_until("bank 0 to resolve all transactions", || {
        (wires[0].ask("PENDING") == "DONE []").then_some(())
    });
    for (ids, word) in [(committed, "COMMITTED"), (refused, "ABORTED"), (prepared, "COMMITTED")] {
        for tx in ids {
            let status = wires[0].ask(&format!("STATUS {tx}"));
            assert!(status.starts_with(word), "{status}");
        }
    }
    for tx in prepared {
        // It learned the outcome from bank 0, or asks now.
        let end = wait_until("a reply with the outcome", || {
            let reply = wires[1].ask(&format!("COMMIT {tx}"));
            (!reply.starts_with("DOUBT")).then_some(reply)
        });
        assert!(end.starts_with("COMMITTED"), "{end}");
    }
    // The last transaction of each kind may be recorded although no reply was sent.
    let balance = wires[0].ask("BALANCE 1");
    let (cash, transfers) = (committed.len(), prepared.len());
    let possible = [(0, 0), (1, 0), (0, 1)].map(|(more_cash, more_transfers)| {
        format!(
            r#""balance":{},"#,
            1_000_000 + cash + more_cash - 10 * (transfers + more_transfers)
        )
    });
    assert!(possible.iter().any(|one| balance.contains(one)), "{cash} {transfers}: {balance}");
}
