//! TLS of a consortium in closed mode: the files that a bank or a client has, connections over TLS
//! 1.3 beside plain ones, who is at the other end of one, and why a peer is refused.
//!
//! `files` reads the folder, `certificate` what stands in a certificate. `bank` has the side that
//! answers, `dialer` the side that dials, `stream` the stream of both, `words` their errors as
//! sentences. What a name may do is not decided here.
//!
//! Architecture invariant: certificates are verified by rustls alone. What is read here besides is
//! read of verified ones, or to say why one is refused.

#![warn(unreachable_pub)]

mod bank;
mod certificate;
mod clock;
mod dialer;
mod files;
mod own;
mod refused;
mod settings;
mod stream;
mod words;

pub use bank::{Admitted, BankTls, PortKind};
pub use certificate::{CLIENT_DOMAIN, Certificate, DOMAIN, bank_host, date};
pub use clock::CertificateClock;
pub use dialer::{DialError, TlsDialer};
pub use files::TlsFileError;
pub use refused::RefusedPeer;
pub use stream::PeerStream;
