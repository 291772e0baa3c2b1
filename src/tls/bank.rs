//! The side that answers: a bank's port for lines and links, and its port for HTTP.

use crate::certificate::{Certificate, bank_host};
use crate::clock::CertificateClock;
use crate::dialer::TlsDialer;
use crate::files::{BANKS_CA, CLIENTS_CA, KeyPair, TlsFileError, authorities};
use crate::refused::RefusedPeer;
use crate::settings::{self, ClientCertificate, HTTP, LINE, LINK};
use crate::stream::PeerStream;
use crate::words;
use consorcio_core::access::{Name, Principal};
use consorcio_core::ids::BankId;
use consorcio_core::limits::TLS_HANDSHAKE_MS_MAX;
use rustls::ServerConfig;
use rustls::pki_types::UnixTime;
use rustls::server::Acceptor;
use rustls::time_provider::TimeProvider;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

/// The first byte of every TLS connection.
const TLS_HANDSHAKE_RECORD: u8 = 22;

/// TLS of one bank: what it shows, and whom it admits. Clones are the same, and follow when the
/// files are read again.
#[derive(Debug, Clone)]
pub struct BankTls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    bank: BankId,
    clock: CertificateClock,
    dialer: TlsDialer,
    files: RwLock<Arc<TlsFiles>>,
}

/// What the folder had when it was read, as settings of each port.
#[derive(Debug)]
struct TlsFiles {
    /// Clients' CA and their protocol; also for a peer that offers neither protocol.
    line: Arc<ServerConfig>,
    /// Banks' CA and their protocol.
    link: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    /// When the first of the own certificates ends.
    end_us: i64,
    /// The names of the certificate of HTTP, in lower case.
    http_names: Vec<String>,
    dialer: TlsDialer,
}

/// A port of a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortKind {
    /// Lines of clients, and links.
    Lines,
    /// HTTP, where a certificate is optional.
    Http,
}

/// A peer that was admitted.
#[derive(Debug)]
pub struct Admitted {
    /// The connection, over TLS, its handshake complete.
    pub stream: PeerStream,
    /// Who is at the other end; `None` over HTTP without a certificate.
    pub principal: Option<Principal>,
    /// When its certificate begins to count, in microseconds since 1970.
    pub begin_us: i64,
    /// When its certificate ends, in microseconds since 1970.
    pub end_us: i64,
}

impl BankTls {
    /// Reads the files of a bank in `folder`: both CAs, `bank-N.crt` with its key, and for HTTP
    /// `bank-N.http.crt` with its key, if it is there. `clock` must show the present time.
    ///
    /// # Errors
    /// If a file can't be read, is damaged, is of another bank or CA, or has ended.
    pub fn open(
        folder: &Path,
        bank: BankId,
        clock: CertificateClock,
    ) -> Result<BankTls, TlsFileError> {
        let files = TlsFiles::read(folder, bank, &clock)?;
        let (folder, dialer) = (folder.to_owned(), files.dialer.clone());
        let files = RwLock::new(Arc::new(files));
        Ok(BankTls(Arc::new(Shared { folder, bank, clock, dialer, files })))
    }

    /// Reads the folder again. New handshakes use what it has; open connections stay.
    ///
    /// # Errors
    /// As `open`; then all stays as it was.
    pub fn reload(&self) -> Result<(), TlsFileError> {
        let files = TlsFiles::read(&self.0.folder, self.0.bank, &self.0.clock)?;
        self.0.dialer.replace(&files.dialer);
        *self.0.files.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(files);
        Ok(())
    }

    fn now(&self) -> Arc<TlsFiles> {
        Arc::clone(&self.0.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The clock by which certificates are judged; the bank sets it.
    pub fn clock(&self) -> &CertificateClock {
        &self.0.clock
    }

    /// The folder of the files.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Dials other banks with this bank's certificate.
    pub fn dialer(&self) -> TlsDialer {
        self.0.dialer.clone()
    }

    /// When the first of this bank's certificates ends, in microseconds since 1970.
    pub fn end_us(&self) -> i64 {
        self.now().end_us
    }

    /// The host names of its HTTP, in lower case.
    pub fn http_names(&self) -> Vec<String> {
        self.now().http_names.clone()
    }

    /// Runs the handshake on an accepted socket, within `TLS_HANDSHAKE_MS_MAX`.
    ///
    /// # Errors
    /// Why the peer is refused.
    pub async fn accept(&self, socket: TcpStream, port: PortKind) -> Result<Admitted, RefusedPeer> {
        let within = Duration::from_millis(TLS_HANDSHAKE_MS_MAX);
        match timeout(within, self.handshake(socket, port)).await {
            Ok(result) => result.map_err(|refused| *refused),
            Err(_) => {
                let why = format!("its TLS handshake took longer than {TLS_HANDSHAKE_MS_MAX} ms");
                Err(RefusedPeer { why, stream: None, speaks_tls: true })
            }
        }
    }

    async fn handshake(
        &self,
        socket: TcpStream,
        port: PortKind,
    ) -> Result<Admitted, Box<RefusedPeer>> {
        let files = self.now();
        let refused = |why: String, stream: Option<PeerStream>| {
            Box::new(RefusedPeer { why, stream, speaks_tls: true })
        };
        // An alert would be noise to who speaks no TLS.
        let mut first = [0];
        if matches!(socket.peek(&mut first).await, Ok(1)) && first != [TLS_HANDSHAKE_RECORD] {
            let why = "it speaks no TLS, and this bank is in closed mode".to_owned();
            let stream = Some(PeerStream::Plain(socket));
            return Err(Box::new(RefusedPeer { why, stream, speaks_tls: false }));
        }
        let mut begun = LazyConfigAcceptor::new(Acceptor::default(), socket);
        let start = match (&mut begun).await {
            Ok(start) => start,
            Err(error) => {
                let why = words::of_peer(&error, "clients");
                return Err(refused(why, begun.take_io().map(PeerStream::Plain)));
            }
        };
        let offers = |protocol: &[u8]| {
            let mut offered = start.client_hello().alpn().into_iter().flatten();
            offered.any(|offered| offered == protocol)
        };
        let (config, ca) = match port {
            PortKind::Http => (&files.http, "clients"),
            PortKind::Lines if offers(LINK) => (&files.link, "banks"),
            PortKind::Lines => (&files.line, "clients"),
        };
        let accepting = start.into_stream(Arc::clone(config)).into_fallible();
        let stream = match accepting.await {
            Ok(stream) => stream,
            Err((error, socket)) => {
                let why = words::of_peer(&error, ca);
                return Err(refused(why, Some(PeerStream::Plain(socket))));
            }
        };
        let stream = PeerStream::tls(tokio_rustls::TlsStream::Server(stream), None);
        // rustls lets a peer pass that offers no protocol at all.
        if stream.protocol().is_none() {
            return Err(refused("it offers no protocol (ALPN)".to_owned(), Some(stream)));
        }
        let shown = stream.shown().first().map(Certificate::read);
        let Some(shown) = shown else {
            // rustls admits that over HTTP alone.
            return Ok(Admitted { stream, principal: None, begin_us: 0, end_us: i64::MAX });
        };
        let named = shown.as_ref().map_or_else(|| "no name".to_owned(), Certificate::named);
        let principal = shown.as_ref().and_then(Certificate::principal);
        let is_link = stream.protocol() == Some(LINK);
        match (principal, shown) {
            (Some(principal), Some(shown))
                if is_link == matches!(principal, Principal::Bank(_)) =>
            {
                let Certificate { begin_us, end_us, .. } = shown;
                Ok(Admitted { stream, principal: Some(principal), begin_us, end_us })
            }
            (Some(_) | None, _) => {
                let kind = if is_link { "a bank" } else { "a client" };
                Err(refused(format!("its certificate ({named}) is not of {kind}"), Some(stream)))
            }
        }
    }
}

impl TlsFiles {
    fn read(
        folder: &Path,
        bank: BankId,
        clock: &CertificateClock,
    ) -> Result<TlsFiles, TlsFileError> {
        let name = Name::of_bank(bank);
        let now_us = clock.now_us();
        let banks = Arc::new(authorities(&folder.join(BANKS_CA))?);
        let clients = Arc::new(authorities(&folder.join(CLIENTS_CA))?);
        let own = KeyPair::read(folder, name.as_str())?;
        own.check_time(now_us)?;
        if own.certificate.principal() != Some(Principal::Bank(bank)) {
            let named = own.certificate.named();
            return Err(own.unfit(format!("this certificate is of {named}, not of bank {bank}")));
        }
        let now = clock.current_time().unwrap_or_else(UnixTime::now);
        settings::check_own(&own, Arc::clone(&banks), &bank_host(bank), now)?;
        let of_http = format!("{name}.http");
        let http = match folder.join(format!("{of_http}.crt")).try_exists() {
            Ok(false) => None,
            Ok(true) | Err(_) => Some(KeyPair::read(folder, &of_http)?),
        };
        if let Some(http) = &http {
            http.check_time(now_us)?;
        }
        let shown = http.as_ref().unwrap_or(&own);
        let time = || Arc::new(clock.clone()) as Arc<dyn TimeProvider>;
        let required = ClientCertificate::Required;
        Ok(TlsFiles {
            line: settings::server(&own, Arc::clone(&clients), required, &[LINE], time())?,
            link: settings::server(&own, Arc::clone(&banks), required, &[LINK], time())?,
            http: settings::server(shown, clients, ClientCertificate::Optional, &[HTTP], time())?,
            end_us: own.certificate.end_us.min(shown.certificate.end_us),
            http_names: shown.certificate.names.iter().map(|n| n.to_ascii_lowercase()).collect(),
            dialer: TlsDialer::of_bank(folder, name, &own, (*banks).clone(), time())?,
        })
    }
}
