//! The files of a bank or a client, in one folder: CAs' certificates, an own certificate and its
//! key.

use crate::certificate::{Certificate, date};
use consorcio_core::limits::CERTIFICATE_FILE_BYTES_MAX;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The certificates of the CAs that make those of banks.
pub(crate) const BANKS_CA: &str = "ca-banks.crt";
/// The certificates of the CAs that make those of people and programs.
pub(crate) const CLIENTS_CA: &str = "ca-clients.crt";

/// Why a file of TLS can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// It can't be read.
    #[error("{path}: {error}")]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// It is not there.
    #[error("{path} is not there; servidor certs makes such files, and prints where each goes")]
    Missing {
        /// The path of the file.
        path: PathBuf,
    },
    /// It is a folder, a pipe or a device.
    #[error("{path} is no regular file")]
    NoFile {
        /// The path of the file.
        path: PathBuf,
    },
    /// Other users could read a key.
    #[error("{path} can be read by others (mode {mode:o}); make it yours alone: chmod 600 {path}")]
    Readable {
        /// The path of the file.
        path: PathBuf,
        /// Its permission bits, as for chmod.
        mode: u32,
    },
    /// Other users could change a certificate.
    #[error(
        "{path} can be changed by others (mode {mode:o}); take that from them: chmod go-w {path}"
    )]
    Writable {
        /// The path of the file.
        path: PathBuf,
        /// Its permission bits, as for chmod.
        mode: u32,
    },
    /// It has more than any certificates need.
    #[error(
        "{path} is too large: a file of certificates has {CERTIFICATE_FILE_BYTES_MAX} bytes at most"
    )]
    TooLarge {
        /// The path of the file.
        path: PathBuf,
    },
    /// It has no certificate or key where one is expected.
    #[error("{path}, line {line}: {fault}")]
    Damaged {
        /// The path of the file.
        path: PathBuf,
        /// The line at which the damage begins, from 1.
        line: usize,
        /// What is wrong with it, as a sentence.
        fault: String,
    },
    /// The certificate is another one than expected, or does not count.
    #[error("{path}: {fault}")]
    Unfit {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with it, as a sentence.
        fault: String,
    },
}

/// An own certificate with its key.
pub(crate) struct KeyPair {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) certificate: Certificate,
    pub(crate) path: PathBuf,
}

impl KeyPair {
    /// Reads `NAME.crt` and `NAME.key` of the folder.
    ///
    /// # Errors
    /// If one can't be read, or has something else; if others can read the key.
    pub(crate) fn read(folder: &Path, name: &str) -> Result<KeyPair, TlsFileError> {
        let path = folder.join(format!("{name}.crt"));
        let chain = certificates(&path)?;
        let unfit = || TlsFileError::Damaged {
            path: path.clone(),
            line: 1,
            fault: "the first certificate can't be read".to_owned(),
        };
        let certificate = Certificate::read(chain.first().ok_or_else(unfit)?).ok_or_else(unfit)?;
        let key_path = folder.join(format!("{name}.key"));
        let text = read(&key_path, 0o077)?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsFileError::Damaged {
            path: key_path,
            line: 1,
            fault: "it holds no private key in PEM (BEGIN PRIVATE KEY)".to_owned(),
        })?;
        Ok(KeyPair { chain, key, certificate, path })
    }

    /// Checks that it counts at this time, in microseconds since 1970.
    pub(crate) fn check_time(&self, now_us: i64) -> Result<(), TlsFileError> {
        let (begin, end) = (self.certificate.begin_us, self.certificate.end_us);
        let now = date(now_us);
        let fault = if now_us > end {
            format!("this certificate ended at {}, and it is {now}; make another one", date(end))
        } else if now_us < begin {
            format!("this certificate begins at {}, and it is {now}", date(begin))
        } else {
            return Ok(());
        };
        Err(self.unfit(fault))
    }

    pub(crate) fn unfit(&self, fault: String) -> TlsFileError {
        TlsFileError::Unfit { path: self.path.clone(), fault }
    }
}

/// The certificates of CAs in a file; a CA that replaces another one stands beside it.
///
/// # Errors
/// If it can't be read, or one of them is no certificate of a CA.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for (at, certificate) in certificates(path)?.into_iter().enumerate() {
        let is_added = is_authority(&certificate) && roots.add(certificate).is_ok();
        if !is_added {
            let fault = format!("its certificate number {} is no CA's, or has ended", at + 1);
            return Err(TlsFileError::Unfit { path: path.to_owned(), fault });
        }
    }
    Ok(roots)
}

/// Whether a certificate is of a CA: rustls takes any as an anchor, and refuses that of a CA where
/// one of a peer is expected.
fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    let as_peer = || -> Result<(), webpki::Error> {
        let anchors = [webpki::anchor_from_trusted_cert(certificate)?];
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let (algorithms, usage) =
            (provider.signature_verification_algorithms.all, webpki::KeyUsage::client_auth());
        webpki::EndEntityCert::try_from(certificate)?
            .verify_for_usage(algorithms, &anchors, &[], UnixTime::now(), usage, None, None)
            .map(|_| ())
    };
    as_peer() == Err(webpki::Error::CaUsedAsEndEntity)
}

/// The certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let text = read(path, 0o022)?;
    let damaged = |fault: &str| TlsFileError::Damaged {
        path: path.to_owned(),
        line: damaged_line(&text),
        fault: fault.to_owned(),
    };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|_| damaged("here begins what is no certificate in PEM"))?;
    if all.is_empty() {
        return Err(damaged("it holds no certificate in PEM (BEGIN CERTIFICATE)"));
    }
    // A section that lacks its end is no error of the reader.
    let begun = String::from_utf8_lossy(&text).matches("-----BEGIN CERTIFICATE-----").count();
    if begun != all.len() {
        return Err(damaged("here begins what is no certificate in PEM"));
    }
    Ok(all)
}

/// The line at which the first section begins that is no whole certificate, from 1.
fn damaged_line(text: &[u8]) -> usize {
    let text = String::from_utf8_lossy(text);
    let mut begun = 1;
    let mut section = String::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("-----BEGIN") {
            begun = number;
            section.clear();
        }
        section.push_str(line);
        section.push('\n');
        if line.starts_with("-----END") {
            if CertificateDer::from_pem_slice(section.as_bytes()).is_err() {
                return begun;
            }
            section.clear();
            begun = number;
        }
    }
    begun
}

/// Reads a whole file of which none of the permission bits `refused` is set.
fn read(path: &Path, refused: u32) -> Result<Vec<u8>, TlsFileError> {
    let owned = || path.to_owned();
    let io = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => TlsFileError::Missing { path: owned() },
        _ => TlsFileError::Io { path: owned(), error },
    };
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(TlsFileError::NoFile { path: owned() });
    }
    let file = File::open(path).map_err(io)?;
    // Checks the permissions of the open file: the name may refer to another file by now.
    let found = file.metadata().map_err(io)?;
    let mode = found.permissions().mode() & 0o7777;
    if mode & refused != 0 {
        return Err(if refused & 0o044 != 0 {
            TlsFileError::Readable { path: owned(), mode }
        } else {
            TlsFileError::Writable { path: owned(), mode }
        });
    }
    let mut bytes = Vec::new();
    file.take(CERTIFICATE_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= CERTIFICATE_FILE_BYTES_MAX) {
        Ok(bytes)
    } else {
        Err(TlsFileError::TooLarge { path: owned() })
    }
}
