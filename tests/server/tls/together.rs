//! Three banks and `cliente` over TLS.

use super::{LINE, SecureBanks};

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
