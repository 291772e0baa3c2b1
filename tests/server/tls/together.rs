//! Three banks and `cliente` over TLS.

use super::{LINE, SecureBanks};
use crate::support::ProgramRun;

#[test]
fn three_banks_and_clients_work_over_tls_as_they_do_without() {
    let banks = SecureBanks::start(3);
    let caixa = |arguments: &[&str]| banks.cliente("caixa1", arguments).expect_code(0);
    for (bank, cpf, account) in [("0", "11111111111", "0/1"), ("2", "33333333333", "2/3")] {
        caixa(&["client", "add", "--bank", bank, "--cpf", cpf, "--name", "Pessoa"]);
        caixa(&["account", "open", account, "--cpf", cpf, "--deposit", "100"]);
    }
    let moved = caixa(&["transfer", "--from", "0/1=30", "--to", "2/3"]).expect("committed");
    assert!(moved.stdout.starts_with("transaction caixa1."), "an id begins with its owner's name");
    caixa(&["balance", "2/3"]).expect("130,00");
    caixa(&["set", "42"]).expect("OKs 3/3");
    caixa(&["status"]).expect("2/2").expect("it adds up");
    caixa(&["transfer", "--via", "0", "--tx", "caixa1.e", "--from", "0/1=1", "--to", "2/3"]);
    let sent = banks.cliente("caixa1", &["bench", "--yes", "--clients", "8", "--seconds", "1"]);
    sent.expect_code(0);
    caixa(&["audit"]);
}

#[test]
fn a_bank_in_closed_mode_is_checked_and_asked_for_its_health() {
    let mut banks = SecureBanks::new(1);
    let run = |banks: &SecureBanks, switch: &str| {
        let output = banks.cluster.servidor(0).arg(switch).env("LC_ALL", "C").output();
        ProgramRun::of(&[switch], &output.unwrap())
    };
    run(&banks, "--check").expect_code(0).expect("certificates in tls-0, until 20");
    run(&banks, "--health").expect_code(1);
    banks.cluster.start_bank(0);
    run(&banks, "--health").expect_code(0).expect("bank 0 works on 127.0.0.1:");
    std::fs::remove_file(banks.cluster.path().join("tls-0/bank-0.key")).unwrap();
    run(&banks, "--check").expect_code(1).expect("bank-0.key is not there");
}

#[test]
fn names_of_http_need_closed_mode() {
    let cluster = crate::support::Cluster::new(1, true);
    let switches = ["--http", "5030", "--http-host", "painel.example"];
    let output = cluster.servidor(0).args(switches).env("LC_ALL", "C").output().unwrap();
    let ran = ProgramRun::of(&switches, &output).expect_code(2);
    assert!(ran.stderr.contains("--http-host is for HTTP that others reach"), "{ran:?}");
}

#[test]
fn a_bank_offers_no_tickets_and_no_early_data() {
    let banks = SecureBanks::start(1);
    let mut client = banks.dial(0, "titular1", LINE);
    assert_eq!(client.ask("PING"), Ok("PONG".to_owned()));
    let session = client.session();
    assert_eq!(session.tls13_tickets_received(), 0);
    assert!(!session.is_early_data_accepted());
    assert_eq!(session.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(session.alpn_protocol(), Some(LINE));
}
