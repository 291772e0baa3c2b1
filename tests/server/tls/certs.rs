//! `servidor certs`: files that only their owner can read, and names that are given once.

use super::SecureBanks;
use crate::support::{Process, ProgramRun, servidor_path};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn refused(run: ProgramRun, text: &str) {
    let run = run.expect_code(if run_is_usage(text) { 2 } else { 1 });
    assert!(run.stderr.contains(text), "{text:?} is not in {run:#?}");
}

/// Whether the command line itself is wrong.
fn run_is_usage(text: &str) -> bool {
    ["alone", "no position", "a name"].iter().any(|part| text.contains(part))
}

#[test]
fn files_are_private_and_names_are_given_once() {
    let banks = SecureBanks::new(1);
    assert_eq!(mode(&banks.file("")), 0o700);
    for file in ["ca-banks.key", "ca-clients.crt", "bank-0.key", "titular1.crt", "names.txt"] {
        assert_eq!(mode(&banks.file(file)), 0o600, "{file}");
    }
    let before = std::fs::read(banks.file("titular1.crt")).unwrap();
    refused(banks.certs(&["ca"]), "is there already");
    refused(banks.certs(&["client", "titular1"]), "never given to a second person");
    refused(banks.certs(&["bank", "0"]), "given out already");
    // The files may be gone by then: they were copied.
    std::fs::remove_file(banks.file("caixa1.crt")).unwrap();
    std::fs::remove_file(banks.file("caixa1.key")).unwrap();
    refused(banks.certs(&["client", "caixa1"]), "never given to a second person");
    refused(banks.certs(&["client", "novo", "--renew"]), "never given out");
    refused(banks.certs(&["client", "caixa1-2"]), "are made by bank 2 alone");
    refused(banks.certs(&["client", "bank-1"]), "are made by bank 1 alone");
    refused(banks.certs(&["client", "Titular"]), "a name begins with a letter a-z");
    refused(banks.certs(&["bank", "16"]), "is no position");
    refused(
        banks.certs(&["bank", "1", "--host", "bank-2.consorcio.internal"]),
        "banks and clients alone",
    );
    assert_eq!(std::fs::read(banks.file("titular1.crt")).unwrap(), before);
    banks.certs(&["client", "titular1", "--renew"]).expect_code(0).expect("titular1.key");
    assert_ne!(std::fs::read(banks.file("titular1.crt")).unwrap(), before);
    let list = banks.certs(&["list"]).expect_code(0).expect("caixa1  20");
    assert_eq!(list.stdout.matches("titular1").count(), 1, "{list:?}");
    banks.certs(&["bank", "1", "--host", "banco1.example,127.0.0.1"]).expect("bank-1.http.crt");
}

#[test]
fn a_folder_that_others_can_read_takes_no_keys() {
    let banks = SecureBanks::new(1);
    let open = banks.cluster.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
    refused(banks.certs(&["ca", "--dir", "open"]), "chmod 700");
    assert_eq!(std::fs::read_dir(&open).unwrap().count(), 0);
}

#[test]
fn a_bank_refuses_files_that_are_damaged_readable_or_of_another() {
    let banks = SecureBanks::new(2);
    let folder = banks.cluster.path().join("tls-0");
    let start = || {
        let mut bank = Process::start(banks.cluster.servidor(0).env("LC_ALL", "C"));
        let code = bank.wait();
        ProgramRun {
            arguments: vec![],
            code,
            stdout: String::new(),
            stderr: bank.seen().join("\n"),
        }
    };
    let set_mode = |file: &str, mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.join(file), permissions).unwrap();
    };
    let with = |file: &str, text: &str, expected: &str| {
        let before = std::fs::read(folder.join(file)).unwrap();
        std::fs::write(folder.join(file), text).unwrap();
        refused(start(), expected);
        std::fs::write(folder.join(file), before).unwrap();
    };
    set_mode("bank-0.key", 0o640);
    refused(start(), "bank-0.key can be read by others (mode 640)");
    set_mode("bank-0.key", 0o600);
    set_mode("ca-clients.crt", 0o666);
    refused(start(), "ca-clients.crt can be changed by others (mode 666)");
    set_mode("ca-clients.crt", 0o644);
    let read = |file: &str| std::fs::read_to_string(banks.file(file)).unwrap();
    with("ca-banks.crt", "", "ca-banks.crt, line 1: it holds no certificate");
    let own = read("ca-banks.crt");
    let half = format!("{own}{}", &own[..own.len() / 2]);
    let line = own.lines().count() + 1;
    with("ca-banks.crt", &half, &format!("ca-banks.crt, line {line}: here begins"));
    with("bank-0.key", "x", "bank-0.key, line 1: it holds no private key");
    with("bank-0.key", &read("bank-1.key"), "the key beside it is of another certificate");
    with("bank-0.crt", &read("bank-1.crt"), "of bank-1.consorcio.internal, not of bank 0");
    with(
        "bank-0.crt",
        &read("titular1.crt"),
        "this certificate is of titular1.client.consorcio.internal, not of bank 0",
    );
    with("ca-banks.crt", &read("ca-clients.crt"), "the CA of banks in this folder did not make");
    with(
        "ca-clients.crt",
        &read("titular1.crt"),
        "ca-clients.crt: its certificate number 1 is no CA's",
    );
    std::fs::remove_file(folder.join("ca-clients.crt")).unwrap();
    refused(start(), "ca-clients.crt is not there; servidor certs makes such files");
}

#[test]
fn a_demonstration_is_refused_in_closed_mode() {
    let output = Command::new(servidor_path())
        .args(["--tls", "certs", "--demo", "demo", "--http", "5030"])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("--demo lets anybody here stop a bank"), "{text}");
}
