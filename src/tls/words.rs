//! Errors of TLS as sentences: for the operator of a bank about a peer, and for people about a
//! bank.

use crate::certificate::date;
use crate::own::Own;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use std::io;

/// The error of rustls inside an I/O error.
pub(crate) fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>())
}

/// The sentence about a peer whose handshake with a bank failed. `ca` is the kind of CA that its
/// certificate must be of.
pub(crate) fn of_peer(error: &io::Error, ca: &str) -> String {
    let Some(error) = tls_error(error) else { return broken(error) };
    match error {
        Error::InvalidCertificate(fault) => match fault {
            CertificateError::UnknownIssuer => {
                format!("its certificate is not from the CA of {ca} that this bank knows")
            }
            other => format!("its certificate {}", certificate(other)),
        },
        Error::NoCertificatesPresented => "it shows no certificate".to_owned(),
        Error::NoApplicationProtocol => {
            "it offers no protocol of this port: consorcio-line/1 or consorcio-link/1, or for \
             HTTP http/1.1"
                .to_owned()
        }
        Error::PeerIncompatible(
            PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => "it does not speak TLS 1.3".to_owned(),
        Error::AlertReceived(alert) => {
            format!("it refuses the certificate of this bank: {}", alert_words(*alert))
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}

/// The sentence about a bank whose handshake failed for the side that dials it; `expected` is the
/// bank that was meant.
pub(crate) fn of_bank(error: &io::Error, expected: &str, own: &Own) -> String {
    let Some(error) = tls_error(error) else { return broken(error) };
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("its certificate is not from the CA of banks in {}", own.folder.display())
        }
        Error::InvalidCertificate(fault) => format!("its certificate {}", certificate(fault)),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("it speaks no TLS: {expected} is in open mode, or another program")
        }
        Error::AlertReceived(alert) => refused(*alert, own),
        other => format!("the TLS handshake failed: {other}"),
    }
}

/// An error of a read as a sentence. A bank refuses a certificate after the dialler's side of the
/// handshake is complete, so the dialler learns it here, as `PermissionDenied`.
pub(crate) fn read_error(error: io::Error, own: Option<&Own>) -> io::Error {
    let text = match (tls_error(&error), own) {
        (Some(Error::AlertReceived(alert)), Some(own)) => {
            return io::Error::new(io::ErrorKind::PermissionDenied, refused(*alert, own));
        }
        (Some(other), _) => format!("the TLS connection is broken: {other}"),
        (None, _) => return error,
    };
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Why a bank refuses the certificate that this side showed.
fn refused(alert: AlertDescription, own: &Own) -> String {
    let name = &own.name;
    let (begin, end) = (date(own.certificate.begin_us), date(own.certificate.end_us));
    match alert {
        AlertDescription::UnknownCA => {
            format!("it refuses the certificate of {name}: it does not know its CA for this port")
        }
        AlertDescription::CertificateExpired => {
            format!(
                "it refuses the certificate of {name}: by its clock it does not count; it counts \
                 from {begin} to {end}, and here it is {}",
                date(own.now_us())
            )
        }
        other => format!("it refuses {name}: {}", alert_words(other)),
    }
}

fn alert_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA => "it does not know its CA".to_owned(),
        AlertDescription::CertificateExpired => "it does not count at this time".to_owned(),
        AlertDescription::BadCertificate => "it is of another name".to_owned(),
        AlertDescription::CertificateRequired => "it asks for a certificate".to_owned(),
        AlertDescription::NoApplicationProtocol => "it has no such protocol".to_owned(),
        AlertDescription::ProtocolVersion => "it has no TLS 1.3".to_owned(),
        other => format!("alert {other:?}"),
    }
}

/// What a certificate is or does that is not accepted, after its subject.
fn certificate(fault: &CertificateError) -> String {
    let at = |time: &UnixTime| {
        date(
            i64::try_from(time.as_secs()).unwrap_or(i64::MAX / 1_000_000).saturating_mul(1_000_000),
        )
    };
    match fault {
        CertificateError::ExpiredContext { time, not_after } => {
            format!("ended at {}, and here it is {}", at(not_after), at(time))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("begins at {}, and here it is {}", at(not_before), at(time))
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            // Each is shown as `DnsName("...")`.
            let names: Vec<&str> = presented.iter().filter_map(|n| n.split('"').nth(1)).collect();
            format!(
                "is of {}",
                if names.is_empty() { "no name".to_owned() } else { names.join(", ") }
            )
        }
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            "is not for this purpose".to_owned()
        }
        CertificateError::UnknownIssuer => "is not from a CA that is known here".to_owned(),
        other => format!("is refused: {other}"),
    }
}

fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => "it closed the connection in the TLS handshake".to_owned(),
        _ => format!("the TLS handshake failed: {error}"),
    }
}
