//! The settings of rustls that all connections share: TLS 1.3 alone, no tickets, no storage of
//! sessions, no early data.

use crate::files::{KeyPair, TlsFileError};
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, RootCertStore, ServerConfig};
use std::sync::Arc;

/// The protocol of a client's connection to a bank.
pub(crate) const LINE: &[u8] = b"consorcio-line/1";
/// The protocol of a link between banks.
pub(crate) const LINK: &[u8] = b"consorcio-link/1";
/// The protocol of HTTP.
pub(crate) const HTTP: &[u8] = b"http/1.1";

/// Whether a client must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientCertificate {
    Required,
    Optional,
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The side that answers: it shows `own`, and verifies clients by `roots`.
pub(crate) fn server(
    own: &KeyPair,
    roots: Arc<RootCertStore>,
    asked: ClientCertificate,
    protocols: &[&[u8]],
    clock: Arc<dyn TimeProvider>,
) -> Result<Arc<ServerConfig>, TlsFileError> {
    let unfit = |error: Error| own.unfit(fault_of(&error));
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let verifier = match asked {
        ClientCertificate::Required => verifier,
        ClientCertificate::Optional => verifier.allow_unauthenticated(),
    };
    let verifier: Arc<dyn ClientCertVerifier> =
        verifier.build().map_err(|error| own.unfit(error.to_string()))?;
    let mut config = ServerConfig::builder_with_details(provider(), clock)
        .with_protocol_versions(&[&TLS13])
        .map_err(unfit)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(own.chain.clone(), own.key.clone_key())
        .map_err(unfit)?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    // A ticket is text that a peer chooses, and a stored session outlives its certificate.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// The side that dials: it shows `own`, and verifies banks by `roots`.
pub(crate) fn client(
    own: &KeyPair,
    roots: RootCertStore,
    protocol: &[u8],
    clock: Arc<dyn TimeProvider>,
) -> Result<Arc<ClientConfig>, TlsFileError> {
    let unfit = |error: Error| own.unfit(fault_of(&error));
    let mut config = ClientConfig::builder_with_details(provider(), clock)
        .with_protocol_versions(&[&TLS13])
        .map_err(unfit)?
        .with_root_certificates(roots)
        .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
        .map_err(unfit)?;
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(Arc::new(config))
}

/// Checks that the banks' CA made `own`, which a dialler would refuse otherwise.
pub(crate) fn check_own(
    own: &KeyPair,
    roots: Arc<RootCertStore>,
    host: &str,
    now: UnixTime,
) -> Result<(), TlsFileError> {
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| own.unfit(error.to_string()))?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| own.unfit(format!("{host}: {error}")))?;
    let (end_entity, intermediates) = match own.chain.split_first() {
        Some(split) => split,
        None => return Err(own.unfit("it is empty".to_owned())),
    };
    match verifier.verify_server_cert(end_entity, intermediates, &name, &[], now) {
        Ok(_) => Ok(()),
        Err(error) => Err(own.unfit(fault_of(&error))),
    }
}

/// What is wrong with an own file, by the error of rustls.
fn fault_of(error: &Error) -> String {
    use rustls::CertificateError::{NotValidForName, NotValidForNameContext, UnknownIssuer};
    match error {
        Error::InvalidCertificate(UnknownIssuer) => {
            "the CA of banks in this folder did not make this certificate".to_owned()
        }
        Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "this certificate is not of this bank".to_owned()
        }
        Error::InconsistentKeys(_) => "the key beside it is of another certificate".to_owned(),
        other => other.to_string(),
    }
}
