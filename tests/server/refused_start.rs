//! Refused starts with their causes, and a start on a journal of an earlier format.

use super::start::{refused, servidor};
use super::{SoloBank, run, start_with};
use crate::support::{Cluster, Process, wait_until};
use std::path::Path;
use std::process::Command;

#[test]
fn a_damaged_journal_is_refused_with_file_and_offset() {
    let cluster = Cluster::new(1, true);
    let bank = start_with(&cluster, 0, &[]);
    let mut wire = cluster.connect(0);
    for n in 0..5 {
        wire.ask(&format!(r#"CLIENT {{"cpf":"{n:011}","name":"Pessoa {n}","kind":"F"}}"#));
    }
    bank.kill();
    let segment = std::fs::read_dir(data(&cluster, 0))
        .expect("a folder")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("segment-"))
        })
        .min()
        .expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("a segment");
    let at = bytes.windows(8).position(|window| window == b"Pessoa 1").expect("the second client");
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).expect("a segment");
    let ran = run(&mut cluster.servidor(0));
    let name = segment.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(ran.stderr.contains(&name) && ran.stderr.contains("offset"), "{ran:?}");
    ran.expect_code(1);
}

/// A bank on an old copy of its journal stops once a peer notifies it of a vote that the copy
/// lacks, and never starts on that copy again.
#[test]
fn a_bank_on_an_old_journal_stops_for_good() {
    let mut cluster = Cluster::start(2);
    assert_eq!(cluster.stop(0), Some(0));
    let (data, copy) = (data(&cluster, 0), cluster.path().join("copy"));
    copy_folder(&data, &copy);
    cluster.start_bank(0);
    let line = concat!(
        r#"EXECUTE t1 {"ops":[{"bank":0,"op":"set","value":"1"},"#,
        r#"{"bank":1,"op":"set","value":"1"}]}"#
    );
    wait_until("the links between the banks", || {
        let banks = cluster.connect(0).ask("BANKS") + &cluster.connect(1).ask("BANKS");
        (banks.matches("\"online\":true").count() == 4).then_some(())
    });
    let reply = cluster.connect(0).ask(line);
    assert!(reply.starts_with("COMMITTED t1"), "{reply}");
    wait_until("the outcome at bank 1", || {
        cluster.connect(1).ask("STATUS t1").starts_with("COMMITTED").then_some(())
    });
    cluster.kill(0);
    std::fs::remove_dir_all(&data).expect("the data");
    copy_folder(&copy, &data);
    let mut process = Process::start(&mut cluster.servidor(0));
    let line = process.expect_line("must not work");
    assert!(line.contains("journal"), "no remedy in {line}");
    assert_eq!(process.wait(), Some(1));
    refused(run(&mut cluster.servidor(0)), 1, "must not work");
}

pub(super) fn data(cluster: &Cluster, bank: usize) -> std::path::PathBuf {
    cluster.path().join(format!("data/bank-{bank}"))
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").filter_map(Result::ok) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

/// A journal of the first format; `tests/journal/first_format.rs` describes the fixture.
#[test]
fn a_bank_starts_on_a_journal_of_the_first_format() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-format-1");
    let cluster = Cluster::new(3, true);
    let ports: Vec<String> = (0..3).map(|bank| cluster.port(bank).to_string()).collect();
    let list = format!("{},-", ports.join(","));
    std::fs::write(cluster.key_file(), "09".repeat(32)).expect("a key");
    let bank = |journal: &str| {
        let data = cluster.path().join(journal).join("bank-0");
        std::fs::create_dir_all(&data).expect("a folder");
        for entry in std::fs::read_dir(fixture.join(journal)).expect("the fixture exists") {
            let entry = entry.expect("a readable folder");
            std::fs::copy(entry.path(), data.join(entry.file_name())).expect("a copy");
        }
        let mut command =
            servidor(cluster.path(), &format!("--port {} --consortium {list}", ports[0]));
        command
            .arg("--key-file")
            .arg(cluster.key_file())
            .arg("--data-dir")
            .arg(cluster.path().join(journal));
        // The banks of the fixture had the default ports.
        command.arg("--moved");
        command
    };
    let ran = run(servidor(cluster.path(), "journal").arg(fixture.join("journal"))).expect_code(0);
    let records = std::fs::read_to_string(fixture.join("records.txt")).expect("the fixture exists");
    assert_eq!(ran.stdout, records);

    let mut process = Process::start(&mut bank("journal"));
    process.wait_for("ready on").expect("it starts");
    let mut wire = cluster.connect(0);
    // The fixture lists requests, each with its reply; this checks those of STATUS.
    let dialogue = std::fs::read_to_string(fixture.join("bank.txt")).expect("the fixture exists");
    let mut requests = 0;
    for (request, reply) in dialogue.lines().zip(dialogue.lines().skip(1)) {
        let (Some(tx), Some(reply)) = (request.strip_prefix("> STATUS "), reply.strip_prefix("< "))
        else {
            continue;
        };
        // Later versions add a word to COMMITTED and ABORTED.
        let found = wire.ask(&format!("STATUS {tx}"));
        let added = found.strip_prefix(reply);
        assert!(
            added.is_some_and(|added| added.is_empty() || added.starts_with(' ')),
            "{found}, not {reply}"
        );
        requests += 1;
    }
    assert!(requests > 10, "only {requests} requests");
    assert!(wire.ask("VALUE").contains(r#""value":"1""#));
    process.terminate();
    assert_eq!(process.wait(), Some(0), "{:?}", process.seen());

    refused(run(&mut bank("stopped")), 1, "must not work any more: bank 1 knows a vote");
}

/// A refused start is in the step log too, and its error names each cause only once.
#[test]
fn a_refused_start_logs_its_cause() {
    let cluster = Cluster::new(1, true);
    let ran = run(cluster.servidor(0).args(["--bank", "7"])).expect_code(2);
    assert!(ran.stderr.contains("--bank 7"), "{ran:?}");
    assert!(cluster.log(0).contains("the start is refused: --bank 7"), "{}", cluster.log(0));

    let bank = SoloBank::start(&[]);
    let port = bank.cluster.port(0);
    run(&mut bank.cluster.servidor(0)).expect_code(1);
    wait_until("the refusal in the log of the running bank", || {
        bank.cluster
            .log(0)
            .contains(&format!("the start is refused: port {port} is taken"))
            .then_some(())
    });
    assert_eq!(bank.stop(), Some(0));

    // A log that cannot be opened is reported once, with its cause once.
    std::fs::write(cluster.path().join("file"), "").expect("a file");
    let ran = run(cluster.servidor(0).args(["--log-dir", "file/logs"])).expect_code(1);
    let line = ran.stderr.lines().next().unwrap_or_default();
    let parts: Vec<&str> = line.split(": ").collect();
    let distinct: std::collections::BTreeSet<&&str> = parts.iter().collect();
    assert_eq!(distinct.len(), parts.len(), "a cause twice: {line}");
}

/// Both programs treat an empty environment variable as unset.
#[test]
fn an_empty_variable_counts_as_unset() {
    let cluster = Cluster::new(1, true);
    let variables = [
        "PORT",
        "HOST",
        "CONSORTIUM",
        "BANK",
        "DATA_DIR",
        "LOG_DIR",
        "KEY_FILE",
        "HTTP",
        "HTTP_ORIGIN",
        "DEMO",
        "LOG_STEPS",
        "LOG_MAX_SIZE",
        "LOG_KEEP",
        "OUTPUT",
        "NAME",
    ];
    let emptied = |command: &mut Command| {
        for name in variables {
            command.env(format!("CONSORCIO_{name}"), "");
        }
    };
    let mut command = cluster.servidor(0);
    emptied(&mut command);
    let mut process = Process::start(&mut command);
    process.wait_for("ready on").expect("it starts");
    let mut command = cluster.cliente(&["ping"]);
    emptied(&mut command);
    run(&mut command).expect_code(0);
    // A variable with a value counts.
    let ran = run(cluster.servidor(0).env("CONSORCIO_LOG_KEEP", "x"));
    assert!(ran.stderr.contains("--log-keep"), "{ran:?}");
    ran.expect_code(2);
}
