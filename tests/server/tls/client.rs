//! A client of rustls alone, without code of this project, that can do what `cliente` never does.

use crate::support::DEADLINE;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

/// A connection over TLS that sends and receives lines.
pub struct TlsClient {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl TlsClient {
    /// Connects; the handshake runs with the first read or write. Without a `name` it shows no
    /// certificate.
    pub fn dial(
        address: &str,
        folder: &Path,
        name: Option<&str>,
        bank: usize,
        protocols: &[&[u8]],
    ) -> TlsClient {
        let mut roots = RootCertStore::empty();
        let authorities = CertificateDer::pem_file_iter(folder.join("ca-banks.crt")).unwrap();
        authorities.for_each(|certificate| roots.add(certificate.unwrap()).unwrap());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match name {
            None => config.with_no_client_auth(),
            Some(name) => {
                let chain = CertificateDer::pem_file_iter(folder.join(format!("{name}.crt")));
                let chain = chain.unwrap().map(Result::unwrap).collect();
                let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        // It would resume sessions and send early data, if a bank offered them.
        config.enable_early_data = true;
        let host = ServerName::try_from(format!("bank-{bank}.consorcio.internal")).unwrap();
        let session = ClientConnection::new(Arc::new(config), host).unwrap();
        let socket = TcpStream::connect(address).expect("the bank listens");
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        TlsClient { stream: BufReader::new(StreamOwned::new(session, socket)) }
    }

    /// Sends a line and returns the reply, or why there is none.
    pub fn ask(&mut self, line: &str) -> Result<String, String> {
        self.send(format!("{line}\n").as_bytes())?;
        self.receive()
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).and_then(|()| stream.flush()).map_err(|error| error.to_string())
    }

    /// The next line, or why there is none.
    pub fn receive(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Err("closed".to_owned()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// All text up to the end of the connection.
    pub fn rest(&mut self) -> String {
        let mut all = Vec::new();
        // An end without a farewell is an error of rustls.
        let _ = self.stream.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Sends an HTTP request over the open connection, and returns the status of the response,
    /// whose body is read to its end.
    pub fn status_of(&mut self, request: &str) -> Result<u16, String> {
        self.send(request.as_bytes())?;
        let first = self.receive()?;
        let mut length = 0;
        loop {
            let header = self.receive()?;
            if header.is_empty() {
                break;
            }
            if let Some(bytes) = header.strip_prefix("content-length: ") {
                length = bytes.parse().map_err(|_| header.clone())?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).map_err(|error| error.to_string())?;
        first.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(first)
    }

    pub fn session(&self) -> &ClientConnection {
        &self.stream.get_ref().conn
    }
}
