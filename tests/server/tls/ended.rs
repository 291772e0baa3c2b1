//! Certificates that do not count yet or any more, by the clock of the bank; sessions and links end
//! with theirs.
#![cfg(debug_assertions)]

use super::client::TlsClient;
use super::{LINE, SecureBanks, told_by};
use crate::support::{free_ports, signal, wait_until};

const DAY_US: i64 = 24 * 3_600 * 1_000_000;
const SECOND_US: i64 = 1_000_000;

#[test]
fn a_certificate_that_does_not_count_is_refused_with_both_times() {
    let banks = SecureBanks::start(1);
    banks.certs_at(-366 * DAY_US, &["client", "antigo"]).expect_code(0);
    banks.certs_at(2 * DAY_US, &["client", "futuro"]).expect_code(0);
    let told = banks.dial(0, "antigo", LINE).ask("PING").unwrap_err();
    assert!(told.contains("CertificateExpired"), "{told}");
    banks.wait_logged(0, "its certificate ended at 20");
    banks.wait_logged(0, ", and here it is 20");
    assert!(banks.dial(0, "futuro", LINE).ask("PING").is_err());
    banks.wait_logged(0, "its certificate begins at 20");
    let ran = banks.cliente("antigo", &["ping"]).expect_code(1);
    assert!(told_by(&ran).contains("antigo.crt: this certificate ended at"), "{ran:#?}");
    // One hour of difference between clocks is none.
    banks.certs_at(3_500 * SECOND_US, &["client", "adiante"]).expect_code(0);
    assert_eq!(banks.dial(0, "adiante", LINE).ask("PING"), Ok("PONG".to_owned()));
}

#[test]
fn a_bank_whose_clock_differs_tells_both_times() {
    let mut banks = SecureBanks::new(1);
    banks.cluster.set_clock(0, 500 * DAY_US, 500 * DAY_US);
    banks.cluster.start_bank(0);
    let ran = banks.cliente("titular1", &["ping"]).expect_code(3);
    for text in ["it refuses the certificate of titular1", "it counts from 20", "here it is 20"] {
        assert!(told_by(&ran).contains(text), "{text:?} is not in {ran:#?}");
    }
    banks.wait_logged(0, "its certificate ended at 20");
}

#[test]
fn a_clock_that_jumps_ends_no_certificate() {
    let mut banks = SecureBanks::new(1);
    banks.cluster.set_clock(0, 0, 0);
    banks.cluster.start_bank(0);
    let mut before = banks.dial(0, "titular1", LINE);
    assert_eq!(before.ask("PING"), Ok("PONG".to_owned()));
    banks.cluster.set_clock(0, 500 * DAY_US, 0);
    banks.wait_logged(0, "clock");
    assert_eq!(banks.dial(0, "titular1", LINE).ask("PING"), Ok("PONG".to_owned()));
    assert_eq!(before.ask("PING"), Ok("PONG".to_owned()));
}

#[test]
fn sessions_and_links_end_with_their_certificates() {
    let mut banks = SecureBanks::new(2);
    banks.certs_at(-365 * DAY_US + 12 * SECOND_US, &["client", "breve"]).expect_code(0);
    banks.certs_at(-730 * DAY_US + 12 * SECOND_US, &["bank", "1", "--renew"]).expect_code(0);
    banks.hand_out(1);
    (0..2).for_each(|bank| banks.cluster.start_bank(bank));
    banks.wait_logged(1, "the certificate of this bank ends in 0 days");
    banks.cliente("caixa1", &["status"]).expect("the certificate of bank 1 ends in 0 days");
    let mut lasting = banks.dial(0, "titular1", LINE);
    let mut brief = banks.dial(0, "breve", LINE);
    let links = |client: &mut super::client::TlsClient| {
        client.ask("BANKS").expect("it is admitted").matches(r#""online":true"#).count()
    };
    wait_until("the link", || (links(&mut lasting) == 2).then_some(()));
    assert_eq!(brief.ask("PING"), Ok("PONG".to_owned()));
    let told = brief.receive().expect("it is told why it ends");
    assert_eq!(told, "ERR refused the certificate of this connection has ended");
    assert!(brief.receive().is_err());
    banks.wait_logged(0, "a certificate of it has ended");
    wait_until("the end of the link", || (links(&mut lasting) == 1).then_some(()));
    // With another certificate it is there again.
    banks.certs(&["bank", "1", "--renew"]).expect_code(0);
    banks.hand_out(1);
    signal("HUP", banks.cluster.pid(1));
    wait_until("the new link", || (links(&mut lasting) == 2).then_some(()));
}

#[test]
fn an_http_connection_proves_nothing_after_its_certificate_has_ended() {
    let mut banks = SecureBanks::new(1);
    let port = free_ports(1)[0].to_string();
    banks.cluster.add_switches(0, &["--http", &port]);
    banks.cluster.start_bank(0);
    banks.certs_at(-365 * DAY_US + 8 * SECOND_US, &["client", "breve"]).expect_code(0);
    let address = format!("127.0.0.1:{port}");
    let mut kept_open =
        TlsClient::dial(&address, &banks.file(""), Some("breve"), 0, &[b"http/1.1"]);
    let request = "GET /bancos_on HTTP/1.1\r\nHost: bank-0.consorcio.internal\r\n\r\n";
    assert_eq!(kept_open.status_of(request), Ok(200));
    wait_until("the end of the certificate", || {
        let status = kept_open.status_of(request).expect("the connection stays open");
        (status != 200).then(|| assert_eq!(status, 401))
    });
}
