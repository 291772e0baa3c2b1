//! Starts: the line that a bank prints when it is ready, its files, and starts that it refuses.

use super::refused_start::{copy_folder, data};
use super::{SoloBank, run, start_with};
use crate::support::{Cluster, Process, ProgramRun, servidor_path, wait_until};
use consorcio::config::read_key_file;
use consorcio::wire::token::Seal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

pub(super) fn servidor(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(servidor_path());
    command.current_dir(folder).args(arguments.split_whitespace());
    command
}

#[track_caller]
pub fn refused(ran: ProgramRun, code: i32, named: &str) {
    assert!(ran.stderr.contains(named), "{named:?} is not in {ran:#?}");
    assert!(ran.stdout.is_empty(), "{ran:#?}");
    ran.expect_code(code);
}

#[test]
fn one_line_reports_that_the_bank_is_ready() {
    let cluster = Cluster::new(2, true);
    let process = start_with(&cluster, 1, &["--port-file", "port"]);
    let port = cluster.port(1);
    let key = Seal::keyed(read_key_file(&cluster.key_file()).expect("a key")).key_id();
    let line = format!(
        "servidor: bank 1 ready on 127.0.0.1:{port} (2 places, key {key}, data data/bank-1"
    );
    assert_eq!(process.seen(), [format!("{line}, new)")]);
    let file = std::fs::read_to_string(cluster.path().join("port")).expect("a port file");
    assert_eq!(file.trim(), port.to_string());
    // Only a folder without a journal is new.
    process.kill();
    // A port file that is no regular file, such as a link, is not overwritten.
    let link = cluster.path().join("link");
    std::os::unix::fs::symlink("port", &link).expect("a link");
    let refused = run(cluster.servidor(1).args(["--port-file", "link"]));
    assert!(refused.stderr.contains("link: it is there, and no regular file"), "{refused:?}");
    assert!(link.is_symlink());
    refused.expect_code(1);
    let again = start_with(&cluster, 1, &[]);
    assert_eq!(again.seen().last(), Some(&format!("{line})")));
}

/// A journal that others can read causes a warning with the remedy. One closed folder on its path
/// is enough.
#[test]
fn a_journal_that_others_can_read_is_reported() {
    use std::os::unix::fs::PermissionsExt;
    let mut cluster = Cluster::start(1);
    assert_eq!(cluster.stop(0), Some(0));
    let data = cluster.path().join("data");
    let folder = data.join("bank-0");
    let change = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its owner");
    };
    let warnings = || {
        let mut process = Process::start(&mut cluster.servidor(0));
        process.wait_for("ready on").expect("it starts");
        let warnings: Vec<String> =
            process.seen().iter().filter(|line| line.contains("by others")).cloned().collect();
        process.kill();
        warnings
    };
    assert_eq!(warnings(), [""; 0]);
    change(&folder, 0o755);
    change(&data, 0o755);
    assert_eq!(warnings(), [""; 0], "its files are closed");
    for entry in std::fs::read_dir(&folder).expect("it is there") {
        change(&entry.expect("a file").path(), 0o644);
    }
    let lines = warnings();
    assert!(
        lines.len() == 1
            && lines[0].contains("read by others; make it yours alone: chmod -R go= data/bank-0"),
        "{lines:?}"
    );
    change(&folder, 0o777);
    assert!(warnings()[0].contains("changed by others"));
    change(&data, 0o700);
    assert_eq!(warnings(), [""; 0]);
}

#[test]
fn the_port_that_the_system_chose_is_reported() {
    let cluster = Cluster::new(1, true);
    let mut command =
        servidor(cluster.path(), "--port 0 --bank 0 --consortium 1 --port-file chosen");
    let mut process = Process::start(&mut command);
    let line = process.wait_for("ready on").expect("it starts");
    let port = std::fs::read_to_string(cluster.path().join("chosen")).expect("a port file");
    let port = port.trim();
    assert!(line.contains(&format!("127.0.0.1:{port} (1 places, key ")), "{line}");
    assert!(
        crate::support::Wire::connect(&format!("127.0.0.1:{port}")).ask("BANKS").contains(port)
    );
    assert!(cluster.path().join("data/bank-0").is_dir());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let bank = SoloBank::start(&[]);
    let ran = run(&mut bank.cluster.servidor(0));
    refused(
        ran,
        1,
        &format!("port {} is taken; another one is given by --port", bank.cluster.port(0)),
    );
    assert_eq!(bank.connect().ask("PING"), "PONG");
}

#[test]
fn data_in_use_is_refused() {
    let bank = SoloBank::start(&[]);
    // On another loopback address, so that only the data is shared.
    let ran = run(bank.cluster.servidor(0).args(["--host", "127.0.0.2"]));
    refused(ran, 1, "another servidor");
    assert_eq!(bank.connect().ask("PING"), "PONG");
}

#[test]
fn data_of_another_bank_or_consortium_is_refused() {
    let cluster = Cluster::new(3, true);
    drop(start_with(&cluster, 0, &[]));
    let ports: Vec<u16> = (0..3).map(|bank| cluster.port(bank)).collect();
    let attempt = |bank: &str, list: &str| {
        let mut command = servidor(cluster.path(), &format!("--port {} --bank {bank}", ports[0]));
        run(command.args(["--consortium", list]).arg("--key-file").arg(cluster.key_file()))
    };
    let [a, b, c] = ports[..] else { panic!("three ports") };
    // Bank 0's journal in the folder of bank 1.
    copy_folder(&data(&cluster, 0), &data(&cluster, 1));
    refused(attempt("1", &format!("{a},{b},{c}")), 1, "belongs to bank 0, and this is bank 1");
    refused(attempt("0", &format!("{a},{b}")), 1, "place 2");
    refused(attempt("0", &format!("{a},{c},{b}")), 1, "place 1");
    // Banks may leave and new ones may join, but a position is never reused.
    for list in [format!("{a},{b},{c},9"), format!("{a},{b},-,9"), format!("{a},9999,-,9")] {
        drop(start_with(&cluster, 0, &["--consortium", &list]));
    }
    refused(attempt("0", &format!("{a},9999,{c},9")), 1, "place 2");
    refused(attempt("0", &format!("{a},{b},{c}")), 1, "place 3");
}

#[test]
fn in_open_mode_a_bank_stays_on_loopback() {
    let cluster = Cluster::new(1, true);
    for key in ["", " --key-file consortium.key"] {
        for (switches, named) in [
            ("--port 8886 --host 0.0.0.0", "0.0.0.0:8886"),
            ("--port 8886 --http 0.0.0.0:5030", "0.0.0.0:5030"),
            ("--port 8886 --consortium 8886,10.1.2.3:8886 --bank 0", "10.1.2.3:8886"),
        ] {
            for check in ["", " --check"] {
                let ran = run(&mut servidor(cluster.path(), &format!("{switches}{key}{check}")));
                assert!(ran.stderr.contains("give --tls DIR"), "{ran:?}");
                refused(ran, 2, named);
            }
        }
    }
    assert!(!cluster.path().join("data").exists(), "no folder is created");
}

#[test]
fn switches_that_contradict_each_other_are_named() {
    let cluster = Cluster::new(1, false);
    refused(
        run(&mut servidor(cluster.path(), "--port 9000")),
        2,
        "127.0.0.1:9000 is not in the consortium",
    );
    refused(run(&mut servidor(cluster.path(), "--port 0")), 2, "--bank");
    refused(run(&mut servidor(cluster.path(), "--consortium 8886,8886")), 2, "places 0 and 1");
    refused(run(&mut servidor(cluster.path(), "--prot 9000")), 2, "--prot");
}

#[test]
fn a_key_file_is_private_and_never_overwritten() {
    let cluster = Cluster::new(1, true);
    let key = cluster.key_file();
    let before = std::fs::read(&key).expect("a key");
    refused(run(Command::new(servidor_path()).arg("key").arg(&key)), 1, "never overwritten");
    assert_eq!(std::fs::read(&key).expect("a key"), before, "a key is never overwritten");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("its owner");
    refused(run(&mut cluster.servidor(0)), 1, "chmod 600");
    std::fs::write(&key, "not a key").expect("its owner");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("its owner");
    refused(run(&mut cluster.servidor(0)), 1, "holds no key");
}

/// Without configuration the first bank that starts makes the key. No bank makes another one if its
/// journal already knows a key.
#[test]
fn banks_of_one_machine_make_one_key_and_keep_it() {
    let mut cluster = Cluster::start_with(3, false);
    let file = cluster.path().join("data/consortium.key");
    let made = std::fs::read(&file).expect("a key was made");
    assert_eq!(std::fs::metadata(&file).expect("a key").permissions().mode() & 0o777, 0o600);
    wait_until("the links", || {
        let banks: String = (0..3).map(|bank| cluster.connect(bank).ask("BANKS")).collect();
        (banks.matches("\"online\":true").count() == 9).then_some(())
    });
    assert_eq!((cluster.stop(0), cluster.stop(1), cluster.stop(2)), (Some(0), Some(0), Some(0)));

    std::fs::remove_file(&file).expect("the key");
    refused(run(&mut cluster.servidor(1)), 1, "data/consortium.key is missing");
    assert!(!file.exists(), "no second key is made");
    let other = cluster.path().join("other.key");
    run(Command::new(servidor_path()).arg("key").arg(&other)).expect_code(0);
    let ran = run(cluster.servidor(1).arg("--key-file").arg(&other));
    refused(ran, 1, "and this bank's journal knows");

    // Once accepted, the new key replaces the old one.
    drop(start_with(&cluster, 1, &["--new-key", "--key-file", "other.key"]));
    drop(start_with(&cluster, 1, &["--key-file", "other.key"]));
    std::fs::write(&file, &made).expect("the old key");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its owner");
    refused(run(&mut cluster.servidor(1)), 1, "data/consortium.key is ");
    cluster.start_bank(0);
}

#[test]
fn banks_with_different_keys_report_it() {
    let cluster = Cluster::new(2, true);
    let other = cluster.path().join("other.key");
    run(Command::new(servidor_path()).arg("key").arg(&other)).expect_code(0);
    let mut zero = start_with(&cluster, 0, &[]);
    let mut one = start_with(&cluster, 1, &["--key-file", "other.key"]);
    zero.wait_for("bank 1 has another key").expect("a warning of bank 0");
    one.wait_for("bank 0 has another key").expect("a warning of bank 1");
    wait_until("the cause in BANKS", || {
        let banks = cluster.connect(0).ask("BANKS");
        banks.contains("\"why\":\"bank 1 has another key").then_some(())
    });
    for command in ["ping", "status"] {
        let ran = cluster.run(&[command]);
        assert!(ran.stdout.contains("bank 1 has another key"), "{command}: {ran:?}");
    }
}

#[test]
fn acknowledged_records_survive_a_kill() {
    let cluster = Cluster::new(1, true);
    let bank = start_with(&cluster, 0, &[]);
    let mut wire = cluster.connect(0);
    for n in 0..200 {
        let line = format!(r#"CLIENT {{"cpf":"{:011}","name":"Pessoa {n}","kind":"F"}}"#, n);
        assert!(wire.ask(&line).starts_with("DONE "));
    }
    bank.kill();
    let mut again = Process::start(&mut cluster.servidor(0));
    let line = again.expect_line("recovered");
    assert!(line.contains("204 records"), "{line}");
    again.wait_for("ready on").expect("it starts");
    assert!(cluster.connect(0).ask("INFO").contains(r#""clients":200"#));
    // The journal can be printed while the bank runs.
    let printed = run(Command::new(servidor_path()).arg("journal").arg(data(&cluster, 0)));
    assert!(
        printed.stdout.lines().count() >= 201 && printed.stdout.contains("Pessoa 199"),
        "{printed:?}"
    );
    assert!(printed.stderr.contains("; all of it is as it was written"), "{printed:?}");
    printed.expect_code(0);
}

/// `servidor journal` verifies a journal, or a backup of one.
#[test]
fn a_journal_is_verified_with_a_sentence_and_an_exit_code() {
    let mut cluster = Cluster::start(1);
    let folder = data(&cluster, 0);
    assert_eq!(cluster.stop(0), Some(0));
    let journal = |folder: &Path| run(Command::new(servidor_path()).arg("journal").arg(folder));
    let good = journal(&folder);
    assert!(good.stderr.contains("; all of it is as it was written"), "{good:?}");
    good.expect_code(0);
    let segment = folder.join("segment-0000000001");
    let whole = std::fs::read(&segment).expect("a segment");
    for (bytes, verdict) in [
        (&whole[..700_000], "DAMAGED: "),
        (&[&whole[..110], &[whole[110] ^ 1], &whole[111..]].concat()[..], "DAMAGED: "),
    ] {
        std::fs::write(&segment, bytes).expect("a segment");
        let ran = journal(&folder);
        assert!(
            ran.stderr.contains(verdict) && ran.stderr.contains("segment-0000000001"),
            "{ran:?}"
        );
        assert!(ran.stderr.contains("offset"), "{ran:?}");
        ran.expect_code(1);
    }
    std::fs::rename(&segment, folder.join("segment-0000000002")).expect("a segment");
    let ran = journal(&folder);
    assert!(
        ran.stderr.contains("DAMAGED: ") && ran.stderr.contains("segment-0000000001: missing"),
        "{ran:?}"
    );
    ran.expect_code(1);
    std::fs::remove_file(folder.join("segment-0000000002")).expect("a segment");
    refused(journal(&folder), 1, "no journal is in this folder");
    refused(journal(&cluster.path().join("data")), 1, "no journal is in this folder");
    refused(journal(&cluster.path().join("nowhere")), 1, "nowhere: this folder can't be read");
}

/// A bank whose journal is in a folder of another name must not begin a new one, which would lack
/// all of its votes.
#[test]
fn a_journal_in_a_folder_of_another_name_is_found() {
    let mut cluster = Cluster::start(2);
    (0..2).for_each(|bank| assert_eq!(cluster.stop(bank), Some(0)));
    let (folder, old) = (data(&cluster, 1), cluster.path().join("data/8887"));
    std::fs::rename(&folder, &old).expect("the journal");
    std::fs::create_dir(cluster.path().join("data/notes")).expect("a folder");
    refused(run(&mut cluster.servidor(1)), 1, "Move it: mv data/8887 data/bank-1");
    std::fs::create_dir(&folder).expect("a folder");
    refused(run(&mut cluster.servidor(1)), 1, "Move it: mv data/8887/* data/bank-1/");
    // Bank 0 has its own journal, so it ignores the other folder.
    cluster.start_bank(0);
    std::fs::remove_dir(&folder).expect("an empty folder");
    std::fs::rename(&old, &folder).expect("the journal");
    cluster.start_bank(1);
}

#[test]
fn a_list_without_a_common_address_is_refused() {
    let mut cluster = Cluster::start(2);
    assert_eq!(cluster.stop(0), Some(0));
    let other = |more: &str| {
        let mut command = servidor(
            cluster.path(),
            &format!("--host 127.0.0.2 --consortium 127.0.0.2:1,127.0.0.2:2 {more}"),
        );
        command.arg("--key-file").arg(cluster.key_file());
        command
    };
    let ran = run(&mut other("--port 0 --bank 0"));
    assert!(
        ran.stderr.contains(&cluster.port(1).to_string()) && ran.stderr.contains("127.0.0.2:2"),
        "{ran:?}"
    );
    refused(ran, 1, "--moved");
    let mut process = Process::start(&mut other("--port 0 --bank 0 --moved"));
    process.wait_for("ready on").expect("it starts with --moved");
    process.terminate();
    assert_eq!(process.wait(), Some(0));
}
