//! Peers that a bank refuses, and banks that a client refuses; both ends are told why.

use super::client::TlsClient;
use super::{LINE, LINK, SecureBanks, told_by};
use crate::support::{Cluster, ProgramRun, Wire, wait_until};

#[test]
fn plain_text_and_tls_do_not_meet_and_both_ends_are_told() {
    let banks = SecureBanks::start(1);
    let mut plain = Wire::connect(&banks.cluster.address(0));
    let told = plain.ask("PING");
    assert!(told.starts_with("ERR malformed this bank is in closed mode"), "{told}");
    assert_eq!(plain.try_receive(), None);
    banks.wait_logged(0, "it speaks no TLS, and this bank is in closed mode");
    let ran = banks.cluster.run(&["ping"]).expect_code(4);
    assert!(told_by(&ran).contains("this bank is in closed mode"), "{ran:#?}");

    let open = Cluster::start(1);
    let mut command = open.cliente(&["ping"]);
    command.args(["--tls", &banks.file("").display().to_string(), "--as", "titular1"]);
    let ran = ProgramRun::of(&["ping"], &command.output().unwrap()).expect_code(3);
    assert!(told_by(&ran).contains("it speaks no TLS"), "{ran:#?}");
    wait_until("the bank's word", || open.log(0).contains("TLS").then_some(()));
}

#[test]
fn a_peer_without_the_protocol_of_its_certificate_is_refused() {
    let banks = SecureBanks::start(1);
    let address = banks.cluster.address(0);
    let dial = |name: &str, protocols: &[&[u8]]| {
        TlsClient::dial(&address, &banks.file(""), Some(name), 0, protocols)
    };
    // rustls lets a peer pass that offers none.
    let told = dial("titular1", &[]).ask("PING").expect("a line says why");
    assert_eq!(told, "ERR refused it offers no protocol (ALPN)");
    banks.wait_logged(0, "it offers no protocol (ALPN)");
    let told = dial("titular1", &[b"h2"]).ask("PING").unwrap_err();
    assert!(told.contains("NoApplicationProtocol"), "{told}");
    banks.wait_logged(0, "it offers no protocol of this port");
    for (name, protocol) in [("titular1", LINK), ("bank-0", LINE)] {
        let told = dial(name, &[protocol]).ask("PING").unwrap_err();
        assert!(told.contains("UnknownCA"), "{name}: {told}");
    }
    banks.wait_logged(0, "its certificate is not from the CA of banks that this bank knows");
    banks.wait_logged(0, "its certificate is not from the CA of clients that this bank knows");
    let ran = banks.cliente("bank-0", &["ping"]).expect_code(3);
    assert!(told_by(&ran).contains("it refuses the certificate of bank-0"), "{ran:#?}");
    // With both protocols it is a link.
    assert!(dial("titular1", &[LINE, LINK]).ask("PING").is_err());
    let mut nobody = TlsClient::dial(&address, &banks.file(""), None, 0, &[LINE]);
    let told = nobody.ask("PING").unwrap_err();
    assert!(told.contains("CertificateRequired"), "{told}");
    banks.wait_logged(0, "it shows no certificate");
}

#[test]
fn a_certificate_of_another_authority_counts_at_neither_end() {
    let banks = SecureBanks::start(1);
    let other = SecureBanks::new(1);
    // The bank does not know the client's CA.
    for file in ["titular1.crt", "titular1.key"] {
        std::fs::copy(other.file(file), banks.file(&file.replace('1', "9"))).unwrap();
    }
    let mut client = banks.dial(0, "titular9", LINE);
    let told = client.ask("PING").unwrap_err();
    assert!(told.contains("UnknownCA"), "{told}");
    banks.wait_logged(0, "its certificate is not from the CA of clients that this bank knows");
    // The client does not know the bank's.
    let ran = {
        let mut command = banks.cluster.cliente(&["ping"]);
        command.args(["--tls", &other.file("").display().to_string(), "--as", "titular1"]);
        ProgramRun::of(&["ping"], &command.output().unwrap()).expect_code(3)
    };
    assert!(told_by(&ran).contains("its certificate is not from the CA of banks in"), "{ran:#?}");
    banks.wait_logged(0, "it refuses the certificate of this bank: it does not know its CA");
}

#[test]
fn who_dials_a_bank_verifies_the_name_of_its_position() {
    let mut banks = SecureBanks::start(2);
    // Bank 1 answers where bank 0 is expected.
    let list = format!("{},{}", banks.cluster.port(1), banks.cluster.port(0));
    let mut command = banks.cluster.cliente(&["ping"]);
    command.env("CONSORCIO_TLS", "certs").env("CONSORCIO_AS", "titular1");
    command.args(["--consortium", &list]);
    let ran = ProgramRun::of(&["ping"], &command.output().unwrap());
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(told_by(&ran).contains("bank-1.consorcio.internal"), "{ran:#?}");
    // A bank whose neighbours swapped their addresses refuses the link, too.
    banks.cluster.stop(0);
    let mut swapped = banks.cluster.servidor(0);
    swapped.args(["--consortium", &list, "--bank", "1", "--tls", "tls-0", "--data-dir", "other"]);
    let output = swapped.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("bank-1.crt is not there"), "{text}");
}

#[test]
fn the_certificate_of_a_bank_opens_the_link_of_that_bank_alone() {
    let banks = SecureBanks::start(2);
    let mut link = banks.dial(0, "bank-1", LINK);
    let hello = |bank: usize| {
        let (nonce, founding) = ("0".repeat(64), "0".repeat(32));
        format!(
            r#"PEER {{"bank":{bank},"places":2,"to":0,"key":"0","nonce":"{nonce}","founding":"{founding}"}}"#
        )
    };
    let told = link.ask(&hello(0)).expect("a refusal");
    assert!(told.contains("its certificate is of bank 1, and it says that it is bank 0"), "{told}");
    let told = banks.dial(0, "titular1", LINE).ask(&hello(1)).expect("a refusal");
    assert!(told.contains("a link needs the certificate of a bank"), "{told}");
}
