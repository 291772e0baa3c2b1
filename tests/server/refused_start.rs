//! Starts that are refused, each with its reason, and journals of earlier versions.

use super::start::{refused, servidor};
use super::{Alone, run, start_with};
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

/// An old copy of its journal makes a bank a danger to all: its peers know better, it stops, and
/// stays so.
#[test]
fn a_bank_that_forgot_a_promise_stops_for_good() {
    let mut cluster = Cluster::start(2);
    assert_eq!(cluster.stop(0), Some(0));
    let (data, copy) = (data(&cluster, 0), cluster.path().join("copy"));
    copy_folder(&data, &copy);
    cluster.start_bank(0);
    let line = concat!(
        r#"EXECUTE t1 {"ops":[{"bank":0,"op":"set","value":"1"},"#,
        r#"{"bank":1,"op":"set","value":"1"}]}"#
    );
    wait_until("both banks see each other", || {
        let banks = cluster.connect(0).ask("BANKS") + &cluster.connect(1).ask("BANKS");
        (banks.matches("\"online\":true").count() == 4).then_some(())
    });
    let reply = cluster.connect(0).ask(line);
    assert!(reply.starts_with("COMMITTED t1"), "{reply}");
    wait_until("bank 1 knows the outcome", || {
        cluster.connect(1).ask("STATUS t1").starts_with("COMMITTED").then_some(())
    });
    cluster.kill(0);
    std::fs::remove_dir_all(&data).expect("the data");
    copy_folder(&copy, &data);
    let mut process = Process::start(&mut cluster.servidor(0));
    let told = process.wait_for("must not work").expect("it says so");
    assert!(told.contains("journal"), "it says what to do: {told}");
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

/// A journal of the first format, as `tests/journal/first_format.rs` tells of it.
#[test]
fn it_starts_on_a_journal_of_the_first_format() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-format-1");
    let cluster = Cluster::new(3, true);
    let ports: Vec<String> = (0..3).map(|bank| cluster.port(bank).to_string()).collect();
    let list = format!("{},-", ports.join(","));
    std::fs::write(cluster.key_file(), "09".repeat(32)).expect("a key");
    let bank = |journal: &str| {
        let data = cluster.path().join(journal).join("bank-0");
        std::fs::create_dir_all(&data).expect("a folder");
        for entry in std::fs::read_dir(fixture.join(journal)).expect("the fixture is there") {
            let entry = entry.expect("a folder can be read");
            std::fs::copy(entry.path(), data.join(entry.file_name())).expect("a copy");
        }
        let mut command =
            servidor(cluster.path(), &format!("--port {} --consortium {list}", ports[0]));
        command
            .arg("--key-file")
            .arg(cluster.key_file())
            .arg("--data-dir")
            .arg(cluster.path().join(journal));
        // Its banks had the default ports.
        command.arg("--moved");
        command
    };
    let ran = run(servidor(cluster.path(), "journal").arg(fixture.join("journal"))).expect_code(0);
    let records =
        std::fs::read_to_string(fixture.join("records.txt")).expect("the fixture is there");
    assert_eq!(ran.stdout, records);

    let mut process = Process::start(&mut bank("journal"));
    process.wait_for("ready on").expect("it starts");
    let mut wire = cluster.connect(0);
    // Its expected text has lines that are asked, each with its answer; here those whose answer is
    // one of words.
    let said = std::fs::read_to_string(fixture.join("bank.txt")).expect("the fixture is there");
    let mut asked = 0;
    for (question, answer) in said.lines().zip(said.lines().skip(1)) {
        let (Some(question), Some(answer)) =
            (question.strip_prefix("> STATUS "), answer.strip_prefix("< "))
        else {
            continue;
        };
        // COMMITTED and ABORTED have got a word since.
        let found = wire.ask(&format!("STATUS {question}"));
        let more = found.strip_prefix(answer);
        assert!(
            more.is_some_and(|more| more.is_empty() || more.starts_with(' ')),
            "{found}, not {answer}"
        );
        asked += 1;
    }
    assert!(asked > 10, "only {asked} questions");
    assert!(wire.ask("VALUE").contains(r#""value":"1""#));
    process.terminate();
    assert_eq!(process.wait(), Some(0), "{:?}", process.seen());

    refused(run(&mut bank("stopped")), 1, "must not work any more: bank 1 knows a vote");
}

/// What is refused stands in the step log as well as on standard error, and no cause is told twice.
#[test]
fn a_refused_start_leaves_its_reason_in_the_step_log() {
    let cluster = Cluster::new(1, true);
    let ran = run(cluster.servidor(0).args(["--bank", "7"])).expect_code(2);
    assert!(ran.stderr.contains("--bank 7"), "{ran:?}");
    assert!(cluster.log(0).contains("the start is refused: --bank 7"), "{}", cluster.log(0));

    let bank = Alone::start(&[]);
    let port = bank.cluster.port(0);
    run(&mut bank.cluster.servidor(0)).expect_code(1);
    wait_until("the bank that runs has the line in its log", || {
        bank.cluster
            .log(0)
            .contains(&format!("the start is refused: port {port} is taken"))
            .then_some(())
    });
    assert_eq!(bank.stop(), Some(0));

    // A log that can't be opened is told once, with its cause once.
    std::fs::write(cluster.path().join("file"), "").expect("its owner");
    let ran = run(cluster.servidor(0).args(["--log-dir", "file/logs"])).expect_code(1);
    let line = ran.stderr.lines().next().unwrap_or_default();
    let parts: Vec<&str> = line.split(": ").collect();
    let distinct: std::collections::BTreeSet<&&str> = parts.iter().collect();
    assert_eq!(distinct.len(), parts.len(), "told twice: {line}");
}

/// An empty variable counts as not given, in both programs.
#[test]
fn an_empty_variable_counts_as_not_given() {
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
    // One that says something counts.
    let ran = run(cluster.servidor(0).env("CONSORCIO_LOG_KEEP", "x"));
    assert!(ran.stderr.contains("--log-keep"), "{ran:?}");
    ran.expect_code(2);
}
