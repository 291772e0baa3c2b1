//! The side that dials: a client, or a bank that dials another one.

use crate::certificate::{Certificate, bank_host};
use crate::files::{BANKS_CA, KeyPair, TlsFileError, authorities};
use crate::own::Own;
use crate::settings::{self, LINE, LINK};
use crate::stream::PeerStream;
use crate::words;
use consorcio_core::access::Name;
use consorcio_core::ids::BankId;
use rustls::pki_types::ServerName;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{CertificateError, ClientConfig, Error};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Dials banks over TLS. Clones use the same files, and follow when they are read again.
#[derive(Clone)]
pub struct TlsDialer(Arc<RwLock<Arc<Dial>>>);

/// What a dial uses, all of it read at one moment.
struct Dial {
    config: Arc<ClientConfig>,
    own: Arc<Own>,
}

/// Why a bank could not be connected to over TLS; both texts are sentences.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The certificate there is of another bank.
    #[error("{0}")]
    OtherBank(String),
    /// The other end is not a bank that this side's CA knows, or speaks no TLS.
    #[error("{0}")]
    Untrusted(String),
    /// The connection or the handshake failed.
    #[error("{0}")]
    Failed(String),
}

impl fmt::Debug for TlsDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsDialer({})", self.name())
    }
}

impl TlsDialer {
    /// Reads the certificate and key of a client, `NAME.crt` and `NAME.key`, and the banks' CA.
    ///
    /// # Errors
    /// If a file can't be read, is damaged, is of another name, or has ended.
    pub fn open(folder: &Path, name: &Name) -> Result<TlsDialer, TlsFileError> {
        let own = KeyPair::read(folder, name.as_str())?;
        let principal = own.certificate.principal();
        if principal.and_then(|principal| principal.name()).as_ref() != Some(name) {
            let named = own.certificate.named();
            return Err(own.unfit(format!("this certificate is of {named}, not of {name}")));
        }
        let clock: Arc<dyn TimeProvider> = Arc::new(DefaultTimeProvider);
        let roots = authorities(&folder.join(BANKS_CA))?;
        let dial = Dial::new(folder, name.clone(), &own, roots, LINE, clock)?;
        own.check_time(dial.own.now_us())?;
        Ok(TlsDialer(Arc::new(RwLock::new(Arc::new(dial)))))
    }

    /// The dialer of a bank.
    pub(crate) fn of_bank(
        folder: &Path,
        name: Name,
        own: &KeyPair,
        roots: rustls::RootCertStore,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<TlsDialer, TlsFileError> {
        let dial = Dial::new(folder, name, own, roots, LINK, clock)?;
        Ok(TlsDialer(Arc::new(RwLock::new(Arc::new(dial)))))
    }

    /// Takes over what another one has read.
    pub(crate) fn replace(&self, new: &TlsDialer) {
        let new = new.now();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    fn now(&self) -> Arc<Dial> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The name that it shows.
    pub fn name(&self) -> Name {
        self.now().own.name.clone()
    }

    /// When its own certificate ends, in microseconds since 1970.
    pub fn own_end_us(&self) -> i64 {
        self.now().own.certificate.end_us
    }

    /// Runs the handshake with `bank` on a connected socket. The certificate there must be of that
    /// bank. Returns also when the first of both certificates ends, in microseconds since 1970.
    ///
    /// # Errors
    /// Why there is no connection. That the bank refuses this side's certificate comes later, with
    /// the first read.
    pub async fn connect(
        &self,
        bank: BankId,
        socket: TcpStream,
    ) -> Result<(PeerStream, i64), DialError> {
        let dial = self.now();
        let host = bank_host(bank);
        let name = ServerName::try_from(host.clone());
        let name = name.map_err(|error| DialError::Failed(format!("{host}: {error}")))?;
        let connector = TlsConnector::from(Arc::clone(&dial.config));
        let stream = connector.connect(name, socket).await.map_err(|error| {
            let text = words::of_bank(&error, &host, &dial.own);
            match words::tls_error(&error) {
                Some(_) if is_other_name(&error) => DialError::OtherBank(text),
                Some(_) => DialError::Untrusted(text),
                None => DialError::Failed(text),
            }
        })?;
        let stream =
            PeerStream::tls(tokio_rustls::TlsStream::Client(stream), Some(Arc::clone(&dial.own)));
        if stream.protocol().is_none() {
            return Err(DialError::Failed("it agreed on no protocol: it is no bank".to_owned()));
        }
        let shown = stream.shown().first().and_then(Certificate::read);
        let shown_end_us = shown.map_or(i64::MIN, |certificate| certificate.end_us);
        Ok((stream, dial.own.certificate.end_us.min(shown_end_us)))
    }
}

impl Dial {
    fn new(
        folder: &Path,
        name: Name,
        own: &KeyPair,
        roots: rustls::RootCertStore,
        protocol: &[u8],
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Dial, TlsFileError> {
        let config = settings::client(own, roots, protocol, Arc::clone(&clock))?;
        let (folder, certificate) = (folder.to_owned(), own.certificate.clone());
        Ok(Dial { config, own: Arc::new(Own { name, folder, certificate, clock }) })
    }
}

fn is_other_name(error: &io::Error) -> bool {
    matches!(
        words::tls_error(error),
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        ))
    )
}
