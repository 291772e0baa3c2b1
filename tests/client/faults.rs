//! `cliente` under faults: banks down or silent, drivers killed or interrupted, outcomes not known
//! yet.

use crate::support::{
    Cluster, DEADLINE, Process, ProgramRun, cliente_path, free_ports, wait_until,
};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, sync_channel};

pub(super) const MARIA: &str = "11111111111";
const PEDRO: &str = "22222222222";
/// More lines than any test sends to a `FakeBank`.
const LINES_MAX: usize = 1_024;

pub(super) fn with_accounts() -> Cluster {
    let cluster = Cluster::start(3);
    cluster.open_account(0, "12345-6", MARIA, "1000");
    cluster.open_account(2, "78910-0", PEDRO, "0");
    cluster
}

#[test]
fn with_a_bank_down_its_transactions_abort() {
    let mut cluster = Cluster::start(3);
    cluster.open_account(0, "12345-6", MARIA, "1000");
    cluster.open_account(1, "1", PEDRO, "0");
    cluster.kill(2);
    let ran = cluster.run(&["set", "5", "--tx", "t5"]).expect_code(4).expect("aborted");
    assert!(
        ran.stdout.contains(&cluster.address(2)) && ran.stdout.contains("can't be reached"),
        "{ran:?}"
    );
    assert_eq!(cluster.json(4, &["set", "5"])["banks"][2]["vote"], "unreachable");

    let ran = cluster.run(&["get"]).expect_code(3);
    assert!(ran.stdout.contains(&cluster.address(2)), "{ran:?}");
    assert!(
        ran.stdout.contains(&format!("servidor --port {}", cluster.port(2))),
        "it names the remedy: {ran:?}"
    );
    let document = cluster.json(3, &["get"]);
    assert_eq!(document[0]["answer"]["value"], "0");
    assert_eq!(document[2]["error"]["code"], "no-connection");
    let status = cluster.json(3, &["status"]);
    assert_eq!(
        (&status["banks"][1]["online"], &status["banks"][2]["online"]),
        (&true.into(), &false.into())
    );

    cluster.run(&["transfer", "--from", "0/12345-6=1", "--to", "1/1"]).expect_code(0);
    cluster.start_bank(2);
    cluster.run(&["resolve", "t5"]).expect_code(4).expect("aborted");
    cluster.run(&["set", "6"]).expect_code(0);
}

#[test]
fn with_no_bank_at_all_nothing_is_sent() {
    let cluster = Cluster::new(3, false);
    let ran = cluster.run(&["set", "1"]).expect_code(3).expect("nothing was sent");
    assert!(ran.stdout.contains(&cluster.address(1)), "{ran:?}");
    let document = cluster.json(3, &["set", "1"]);
    assert_eq!(
        (&document["verdict"], &document["error"]["code"]),
        (&"unreached".into(), &"no-connection".into())
    );
    let ran = cluster.run(&["balance", "0/1"]).expect_code(3);
    assert!(
        ran.stderr.contains(&cluster.address(0)) && ran.stderr.contains("servidor --port"),
        "{ran:?}"
    );
    cluster.run(&["deposit", "0/1", "5", "--via", "0"]).expect_code(3);
    cluster.run(&["bench", "--yes", "--seconds", "1"]).expect_code(3);
}

/// Kills bank 2 between its OK and the COMMIT of a client that pauses before its verdict.
#[test]
fn a_bank_killed_after_its_ok_commits_when_it_is_back() {
    let mut cluster = with_accounts();
    let mut client =
        paused(&cluster, "transfer", &["--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", "t"]);
    cluster.kill(2);
    client.type_line("");
    client.expect_line("COMMITTED 1/2 bank 0");
    client.expect_line("1 of 2 banks have confirmed the outcome.");
    client.type_line("");
    client.expect_line("committed at");
    client.expect_line("bank 2 has not confirmed");
    assert_eq!(client.wait(), Some(0));
    cluster.start_bank(2);
    wait_until("bank 2 learns the outcome", || {
        (cluster.balance("2/78910-0") == 1_000).then_some(())
    });
    assert_eq!(cluster.balance("0/12345-6"), 99_000);
    cluster.run(&["resolve", "t"]).expect_code(0).expect("committed at");
}

#[test]
fn the_banks_decide_when_the_client_is_killed_after_its_prepares() {
    let cluster = with_accounts();
    let client =
        paused(&cluster, "transfer", &["--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", "t"]);
    assert_eq!(cluster.json(0, &["pending"])[0]["answer"][0]["tx"], "t");
    client.kill();
    wait_until("the banks decide without the driver", || {
        (cluster.json(0, &["balance", "0/12345-6"])["held"] == 0).then_some(())
    });
    // Every bank holds an OK, so it is committed.
    cluster.run(&["resolve", "t"]).expect_code(0).expect("committed at");
    wait_until("both banks learn the outcome", || {
        (cluster.balance("2/78910-0") == 1_000).then_some(())
    });
    assert_eq!(cluster.balance("0/12345-6"), 99_000);
}

#[test]
fn ctrl_c_reports_the_outcome_if_it_is_known() {
    let cluster = with_accounts();
    let mut client =
        paused(&cluster, "transfer", &["--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", "t"]);
    client.interrupt();
    let line = client.expect_line("interrupted");
    assert!(line.contains("transaction t is committed (OKs 2/2)"), "every OK is in: {line}");
    assert_eq!(client.wait(), Some(130));
}

/// Starts a client that pauses with all OKs, before its verdict.
pub(super) fn paused(cluster: &Cluster, command: &str, arguments: &[&str]) -> Process {
    let all = [&[command], arguments, &["--step"]].concat();
    let mut client = Process::start(&mut cluster.cliente(&all));
    client.expect_line("Enter sends COMMIT");
    client
}

/// A bank that answers each line with the result of `answer`, if any. To HELLO it answers as the
/// bank that the client expects.
pub(super) struct FakeBank {
    port: u16,
    lines: Receiver<String>,
}

impl FakeBank {
    pub(super) fn start(answer: fn(&str) -> Option<String>) -> FakeBank {
        let listener = TcpListener::bind(("127.0.0.1", free_ports(1)[0])).expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let (sender, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    let mut out = stream.try_clone().expect("a second handle");
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        if let Some(hello) = line.strip_prefix("HELLO ") {
                            // The client may have closed the connection.
                            let _ = writeln!(out, "DONE {}", welcome(hello));
                            continue;
                        }
                        let reply = answer(&line);
                        // The test may have ended, and the client may have closed the connection.
                        let _ = sender.send(line);
                        let _ = reply.map(|reply| writeln!(out, "{reply}"));
                    }
                });
            }
        });
        FakeBank { port, lines }
    }

    pub(super) fn next_line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("a line")
    }

    pub(super) fn verbs(&self) -> Vec<String> {
        self.lines.try_iter().map(|line| line.split(' ').next().unwrap_or("").to_owned()).collect()
    }
}

/// The answer to HELLO of the bank that the client expects.
fn welcome(hello: &str) -> serde_json::Value {
    let mut welcome: serde_json::Value = serde_json::from_str(hello).expect("HELLO has JSON");
    assert!(
        welcome["bank"].is_u64() && welcome["places"] == 2 && welcome["version"] == 1,
        "{hello}"
    );
    welcome["key"] = "0123456789abcdef".into();
    welcome
}

/// A `cliente` command for a consortium of these two fakes.
pub(super) fn client_of(fakes: [&FakeBank; 2], arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(cliente_path());
    command.env("CONSORCIO_OUTPUT", "table");
    command.args(["--consortium", &format!("{},{}", fakes[0].port, fakes[1].port)]);
    command.args(["--log-dir", env!("CARGO_TARGET_TMPDIR")]).args(arguments).stdin(Stdio::null());
    command
}

/// Votes OK on PREPARE, with a token that has no MAC.
pub(super) fn votes_ok(bank: u8, line: &str) -> Option<String> {
    let (tx, transaction) = line.strip_prefix("PREPARE ")?.split_once(' ')?;
    let digest = consorcio::wire::token::Digest::of(transaction.as_bytes());
    Some(format!("OK {tx} O{bank}.{}.{digest:?}.", 1_000 + u64::from(bank)))
}

#[test]
fn with_a_silent_bank_the_outcome_is_unknown_and_only_it_receives_abort() {
    let granting = FakeBank::start(|line| votes_ok(0, line));
    let silent = FakeBank::start(|_| None);
    let output = client_of([&granting, &silent], &["set", "1", "--tx", "t"]).output().unwrap();
    let ran = ProgramRun::of(&["set"], &output)
        .expect_code(5)
        .expect("OKs 1/2")
        .expect("not known yet: bank 1 is silent");
    assert!(ran.stdout.contains("cliente resolve t"), "{ran:?}");
    assert!(silent.next_line().starts_with("PREPARE t {"));
    assert_eq!(silent.next_line(), "ABORT t", "without a token: a request to refuse");
    assert_eq!(granting.verbs(), ["PREPARE"], "a bank that voted OK receives only outcomes");

    let output = client_of([&granting, &silent], &["--json", "set", "1"]).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["verdict"]), (Some(5), &"unknown".into()));
    assert_eq!(document["error"]["code"], "not-known-yet");
}

#[test]
fn ctrl_c_while_a_bank_is_silent() {
    let granting = FakeBank::start(|line| votes_ok(0, line));
    let silent = FakeBank::start(|_| None);
    let mut client =
        Process::start(&mut client_of([&granting, &silent], &["set", "1", "--tx", "t"]));
    assert!(silent.next_line().starts_with("PREPARE t "));
    client.interrupt();
    client.expect_line("interrupted: the outcome of transaction t is not known yet");
    assert_eq!(client.wait(), Some(130));
}

#[test]
fn an_err_and_garbage_count_as_silence() {
    let granting = FakeBank::start(|line| votes_ok(0, line));
    for answer in [
        (|_| Some("ERR malformed it is broken".to_owned())) as fn(&str) -> Option<String>,
        |_| Some("gibberish".to_owned()),
        |_| Some("OK another-transaction O1.5..".to_owned()),
    ] {
        let broken = FakeBank::start(answer);
        let output = client_of([&granting, &broken], &["set", "1", "--tx", "t"]).output().unwrap();
        ProgramRun::of(&["set"], &output).expect_code(5).expect("not known yet");
        assert_eq!(broken.verbs(), ["PREPARE", "ABORT"]);
    }
}

/// If every bank replies with an ERR whose reason means that it recorded nothing, the transaction
/// is refused; any other ERR leaves it in doubt.
#[test]
fn a_transaction_that_no_bank_recorded_is_refused() {
    let granting = FakeBank::start(|line| votes_ok(0, line));
    let alone = |_: &str| {
        Some(
            "ERR not-introduced the journal of this bank is new, so it works alone until it has \
             met bank 1"
                .to_owned(),
        )
    };
    let (one, other) = (FakeBank::start(alone), FakeBank::start(alone));
    let run = |banks: [&FakeBank; 2]| {
        ProgramRun::of(&["set"], &client_of(banks, &["set", "1", "--tx", "t"]).output().unwrap())
    };
    let ran = run([&one, &other])
        .expect_code(4)
        .expect("nothing was recorded at bank 0: the journal of this bank is new");
    assert!(!ran.stdout.contains("may have voted OK"), "{ran:?}");
    // Bank 0 voted OK, so it stays in doubt until bank 1 can refuse.
    let ran = run([&granting, &one])
        .expect_code(5)
        .expect("not known yet: nothing was recorded at bank 1: ");
    assert!(!ran.stdout.contains("bank 1 is silent"), "{ran:?}");
    for unclear in [
        (|_| Some("ERR unreadable what it holds can't be read".to_owned()))
            as fn(&str) -> Option<String>,
        |_| Some("ERR of-a-later-version it is new".to_owned()),
        |_| Some("ERR limit busy".to_owned()),
    ] {
        run([&FakeBank::start(unclear), &other]).expect_code(5).expect("not known yet");
    }
}

/// A full disk is reported as the cause, not the refusal that the driver requested after it.
#[test]
fn a_full_disk_is_reported_as_the_cause() {
    let granting = FakeBank::start(|line| votes_ok(0, line));
    let full = FakeBank::start(|line| {
        let mut words = line.split(' ');
        match (words.next()?, words.next()?) {
            ("ABORT", tx) => Some(format!("ABORTED {tx} N1.5.. refused")),
            _ => Some("ERR disk-full its data disk is full".to_owned()),
        }
    });
    let output = client_of([&granting, &full], &["set", "1", "--tx", "t"]).output().unwrap();
    let ran = ProgramRun::of(&["set"], &output)
        .expect_code(4)
        .expect("aborted: bank 1: its data disk is full; nothing was");
    assert!(!ran.stdout.contains("refused: refused"), "{ran:?}");
}

/// The command in the message about a bank that is down works without changes.
#[test]
fn the_suggested_command_starts_the_bank() {
    let mut cluster = Cluster::start_with(2, false);
    cluster.kill(1);
    let ran = cluster.run(&["ping"]).expect_code(3);
    let suggested =
        ran.stdout.split("Start it with: servidor ").nth(1).and_then(|rest| rest.lines().next());
    let words = suggested.unwrap_or_else(|| panic!("no command in {ran:?}")).split_whitespace();
    let mut command = std::process::Command::new(crate::support::servidor_path());
    let mut process = Process::start(command.args(words).current_dir(cluster.path()));
    process.expect_line("bank 1 ready on");
    cluster.run(&["ping", "--wait", "30s"]).expect_code(0);
}

/// A bank that is not introduced, as the only other bank is down, refuses; nothing is in doubt.
#[test]
fn a_bank_that_is_not_introduced_refuses() {
    let mut cluster = Cluster::new(2, true);
    cluster.introduce();
    cluster.start_bank(0);
    let ran = cluster.run(&["set", "1"]).expect_code(4).expect("nothing was recorded at bank 0: ");
    assert!(!ran.stdout.contains("may have voted OK"), "{ran:?}");
    let document = cluster.json(4, &["set", "1", "--via", "0"]);
    assert_eq!(
        (&document["verdict"], &document["reason"]),
        (&"refused".into(), &"not-introduced".into()),
        "{document}"
    );
}

#[test]
fn an_ok_on_another_digest_is_a_refusal() {
    let granting = FakeBank::start(|line| votes_ok(0, line));
    let other = FakeBank::start(|line| {
        let tx = line.split(' ').nth(1)?;
        Some(format!("OK {tx} O1.5.{}.", "0".repeat(64)))
    });
    let output = client_of([&granting, &other], &["set", "1", "--tx", "t"]).output().unwrap();
    ProgramRun::of(&["set"], &output).expect_code(4).expect("duplicate-id");
    assert_eq!(granting.next_line().split(' ').next(), Some("PREPARE"));
    assert!(
        granting.next_line().starts_with("ABORT t O1.5."),
        "a bank that voted OK receives the refusing token"
    );
}
