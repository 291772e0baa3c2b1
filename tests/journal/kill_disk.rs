//! A bank whose disk betrays it: its journal is cut or changed while it is down, or no room is left
//! while it works.

use crate::support::{Cluster, Process, Wire, wait_until};
use std::path::PathBuf;
use std::process::Command;

/// How many places of a file are tried.
const PLACES: usize = 20;

/// One bank that was killed, and the segment that all its records are in.
struct KilledBank {
    cluster: Cluster,
    folder: PathBuf,
    segment: PathBuf,
    /// That segment as it was.
    bytes: Vec<u8>,
    /// Where the batch of the last account begins.
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

    /// Puts `bytes` in the place of the segment, and nothing else of what was there since.
    fn put(&self, bytes: &[u8]) {
        std::fs::remove_dir_all(&self.folder).unwrap();
        std::fs::create_dir(&self.folder).unwrap();
        std::fs::write(&self.segment, bytes).unwrap();
    }

    /// Starts the bank and gives it up: its exit code and what it printed.
    fn refused(&self) -> (Option<i32>, String) {
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

/// Where what is written ends: batches begin at multiples of eight bytes.
fn end_of(bytes: &[u8]) -> usize {
    (last_nonzero(bytes) + 1).next_multiple_of(8)
}

fn last_nonzero(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).expect("a segment has a header")
}

/// Some places from `from` to `to`, both among them.
fn places(from: usize, to: usize) -> impl Iterator<Item = usize> {
    let count = PLACES.min(to - from);
    (0..=count).map(move |number| from + (to - from) * number / count)
}

#[test]
fn a_tail_cut_anywhere_is_told_and_costs_only_what_was_cut() {
    let mut down = KilledBank::new();
    for cut in places(down.last, down.end) {
        let mut bytes = down.bytes.clone();
        // As after a power cut: what was not synced may be zeros.
        bytes[cut..].fill(0);
        down.put(&bytes);
        let mut process = Process::start(&mut down.cluster.servidor(0));
        process.wait_for("ready on").unwrap();
        let cut_off = bytes[down.last..cut].iter().any(|byte| *byte != 0);
        process.terminate();
        assert_eq!(process.wait(), Some(0), "cut at {cut}");
        let said = process.seen().concat();
        let told = format!("segment-0000000001 at offset {}", down.last);
        assert_eq!(
            said.contains("torn tail") && said.contains(&told),
            cut_off,
            "cut at {cut}: {said}"
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

/// As an interrupted copy leaves it: not even where a batch ends.
#[test]
fn a_segment_that_ends_too_early_is_refused_by_file_and_offset() {
    let down = KilledBank::new();
    for end in [0, 63, 64, down.last, down.end, down.bytes.len() - 1] {
        down.put(&down.bytes[..end]);
        let (code, said) = down.refused();
        let offset = if end < 64 { 0 } else { end };
        let told = format!("segment-0000000001: damaged at offset {offset}: ");
        assert!(code == Some(1) && said.contains(&told), "{end} bytes: {code:?} {said}");
        let journals = down.cluster.run(&["audit", "--journals", "data"]).expect_code(1);
        assert!(journals.stdout.contains(&told), "{end} bytes: {}", journals.stdout);
    }
}

#[test]
fn a_changed_byte_of_the_past_is_refused_by_file_and_offset() {
    let mut down = KilledBank::new();
    for place in places(64, down.last - 1) {
        let mut bytes = down.bytes.clone();
        bytes[place] ^= 0x10;
        down.put(&bytes);
        let (code, said) = down.refused();
        assert_eq!(code, Some(1), "byte {place}: {said}");
        assert!(said.contains("segment-0000000001"), "byte {place}: {said}");
        let offset =
            said.split_once("damaged at offset ").and_then(|(_, rest)| rest.split(':').next());
        let offset: usize =
            offset.and_then(|offset| offset.parse().ok()).unwrap_or_else(|| panic!("{said}"));
        assert!(offset <= place && place < offset + 512, "byte {place}: {said}");
        assert!(
            std::fs::read(&down.segment).unwrap() == bytes,
            "byte {place}: a refused journal is left alone"
        );
    }
    down.put(&down.bytes);
    down.cluster.start_bank(0);
    assert!(down.cluster.connect(0).ask("BALANCE 6").contains(r#""balance":600,"#));
}

/// What bank 0 said before it stopped.
#[derive(Default)]
struct SpokenVotes {
    committed: Vec<String>,
    refused: Vec<String>,
    /// Transactions that bank 1 voted OK on, too.
    prepared: Vec<String>,
}

#[test]
fn a_full_disk_loses_no_promise_and_stops_the_bank_only_where_it_comes_unforeseen() {
    // In the segment that is in use; and past the end of the second one, so that the third one
    // can't be made, which is known long before.
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
        let spoken = talk_until_it_stops(&cluster);
        if is_foreseen {
            let told = bank.wait_for("nothing new is taken").unwrap();
            assert!(told.contains("segment-0000000003") && told.contains(LIMIT), "{told}");
            let mut wire = cluster.connect(0);
            let client = r#"CLIENT {"cpf":"98765432100","name":"Pessoa 2","kind":"Físico"}"#;
            assert!(
                wire.ask(client).starts_with("REFUSED disk-full its data disk is full"),
                "nothing new is taken"
            );
            assert!(wire.ask("BALANCE 1").starts_with("DONE"), "reads go on");
            assert!(wire.ask("BANKS").contains(r#""disk_full":true"#), "{}", wire.ask("BANKS"));
            let status = cluster.run(&["status"]);
            assert!(status.stdout.contains("the data disk of bank 0 is full"), "{status:?}");
            for tx in &spoken.prepared {
                let end = wire.ask(&format!("COMMIT {tx}"));
                assert!(end.starts_with("COMMITTED"), "outcomes go on: {end}");
            }
            check(&cluster, &spoken);
            bank.terminate();
        }
        assert_eq!(bank.wait(), Some(i32::from(!is_foreseen)), "{:?}", bank.seen());
        let said = bank.seen().concat();
        assert!(said.contains(LIMIT) && said.contains("segment-000000000"), "{said}");

        cluster.start_bank(0);
        check(&cluster, &spoken);
    }
}

/// What a bank says where a file may not grow.
const LIMIT: &str = "the limit for the size of a file is reached";

/// The command, with no file longer than so many kilobytes; a write past that fails, as on a full
/// disk.
fn with_file_limit(command: &Command, kilobytes: u32) -> Command {
    let script = format!(r#"trap '' XFSZ; ulimit -f {kilobytes}; exec "$0" "$@""#);
    let mut limited = Command::new("bash");
    limited.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
    limited.current_dir(command.get_current_dir().unwrap());
    limited
}

fn talk_until_it_stops(cluster: &Cluster) -> SpokenVotes {
    let (mut zero, mut one) = (cluster.connect(0), cluster.connect(1));
    let mut spoken = SpokenVotes::default();
    // Bytes of a transaction are kept as they came, blanks included.
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
        let spoken_now = [
            (format!("EXECUTE cash-{number} {cash}"), "COMMITTED", &mut spoken.committed),
            (format!("EXECUTE much-{number} {too_much}"), "ABORTED", &mut spoken.refused),
            (format!("PREPARE both-{number} {transfer}"), "OK", &mut spoken.prepared),
        ];
        let all = spoken_now.into_iter().all(|(line, expected, kept)| {
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
            return spoken;
        }
    }
    panic!("so much was written, and there still was room");
}

fn check(cluster: &Cluster, spoken: &SpokenVotes) {
    let SpokenVotes { committed, refused, prepared } = spoken;
    assert!(
        !committed.is_empty() && !refused.is_empty() && !prepared.is_empty(),
        "it said each of them"
    );
    let mut wires = [cluster.connect(0), cluster.connect(1)];
    wait_until("the end of all doubts at bank 0", || {
        (wires[0].ask("PENDING") == "DONE []").then_some(())
    });
    for (ids, word) in [(committed, "COMMITTED"), (refused, "ABORTED"), (prepared, "COMMITTED")] {
        for tx in ids {
            let status = wires[0].ask(&format!("STATUS {tx}"));
            assert!(status.starts_with(word), "{status}");
        }
    }
    for tx in prepared {
        // It was told by bank 0, or asks now.
        let end = wait_until("an answer that knows", || {
            let reply = wires[1].ask(&format!("COMMIT {tx}"));
            (!reply.starts_with("DOUBT")).then_some(reply)
        });
        assert!(end.starts_with("COMMITTED"), "{end}");
    }
    // The last one of each may have been written, though nobody was told.
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
