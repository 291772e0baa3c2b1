//! SIGHUP reads the folder again; what is damaged changes nothing.

use super::{LINE, SecureBanks};
use crate::support::terminal::Terminal;
use crate::support::{ProgramRun, signal};
use std::os::unix::fs::PermissionsExt;

const PONG: &str = "PONG";

/// A bank on a terminal ends by SIGHUP where the terminal is gone; a person may send it, too.
#[test]
fn a_bank_on_a_terminal_reads_its_files_again_as_well() {
    let banks = SecureBanks::new(1);
    let mut terminal = Terminal::start(&banks.cluster.servidor(0), 200);
    terminal.expect("ready on");
    signal("HUP", terminal.pid());
    banks.wait_logged(0, "the certificates and keys in tls-0 are read again");
    assert_eq!(banks.dial(0, "titular1", LINE).ask("PING").as_deref(), Ok(PONG));
}

#[test]
fn an_authority_is_replaced_while_clients_work_and_damage_changes_nothing() {
    let banks = SecureBanks::start(1);
    let ask = |name: &str| banks.dial(0, name, LINE).ask("PING");
    let folder = banks.cluster.path().join("tls-0");
    let mut lasting = banks.dial(0, "titular1", LINE);
    assert_eq!(lasting.ask("PING").as_deref(), Ok(PONG));

    // A damaged file: the old ones stay in force.
    std::fs::write(folder.join("ca-clients.crt"), "-----BEGIN CERTIFICATE-----\nx\n").unwrap();
    signal("HUP", banks.cluster.pid(0));
    banks.wait_logged(0, "what was read before stays in force: tls-0/ca-clients.crt, line 1: ");
    assert_eq!(ask("titular1").as_deref(), Ok(PONG));

    // Another CA beside the first one: certificates of both count.
    let first = std::fs::read_to_string(banks.file("ca-clients.crt")).unwrap();
    banks.certs(&["ca", "--renew"]).expect_code(0);
    let both = std::fs::read_to_string(banks.file("ca-clients.crt")).unwrap();
    assert!(both.starts_with(&first) && both.len() > first.len());
    banks.certs(&["client", "novo"]).expect_code(0);
    assert!(ask("novo").is_err());
    banks.hand_out(0);
    signal("HUP", banks.cluster.pid(0));
    banks.wait_logged(0, "the certificates and keys in tls-0 are read again");
    assert_eq!(ask("novo").as_deref(), Ok(PONG));
    assert_eq!(ask("titular1").as_deref(), Ok(PONG));

    // The first one is taken out.
    std::fs::write(folder.join("ca-clients.crt"), &both[first.len()..]).unwrap();
    signal("HUP", banks.cluster.pid(0));
    crate::support::wait_until("the first CA is gone", || ask("titular1").err());
    assert_eq!(ask("novo").as_deref(), Ok(PONG));
    assert_eq!(lasting.ask("PING").as_deref(), Ok(PONG), "a session stays");
}

/// `--check` reads all that a start reads in the folder, and names what is at fault.
#[test]
fn a_check_reads_all_files_of_the_folder() {
    let banks = SecureBanks::new(1);
    let check = || {
        let output = banks.cluster.servidor(0).arg("--check").output().unwrap();
        ProgramRun::of(&["--check"], &output)
    };
    let folder = banks.cluster.path().join("tls-0");
    let ran = check().expect_code(0).expect("yes certificates in tls-0, until ");
    ran.expect("yes tls-0/access.toml lists 2 names");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    for (name, text, told) in [
        (
            "access.toml",
            "[caixa1]\nroles = [\"king\"]\n",
            "no  rights: tls-0/access.toml:2: there is no role king",
        ),
        ("credentials.toml", "x", "no  tokens and passwords: credentials tls-0/credentials.toml"),
        ("ca-clients.crt", "x", "no  certificates: tls-0/ca-clients.crt"),
        ("consortium.key", "x", "no  key: "),
    ] {
        let before = std::fs::read(folder.join(name)).ok();
        write(name, text);
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(folder.join(name), mode).unwrap();
        check().expect_code(1).expect(told).expect("can't start so");
        match before {
            Some(before) => std::fs::write(folder.join(name), before).unwrap(),
            None => std::fs::remove_file(folder.join(name)).unwrap(),
        }
    }
    std::fs::remove_file(folder.join("access.toml")).unwrap();
    check().expect_code(1).expect("no  rights: ");
}
