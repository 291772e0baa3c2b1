//! Connects to a bank: the socket, and over TLS the handshake.

use crate::options::Dialer;
use crate::reading::words;
use consorcio_core::ids::BankId;
use consorcio_tls::{DialError, PeerStream};
use std::io;
use tokio::net::TcpStream;

/// Connects to a bank. Over TLS the certificate there must be of that bank.
pub(crate) async fn dial(
    bank: BankId,
    address: &str,
    dialer: &Dialer,
) -> Result<PeerStream, DialError> {
    let failed = |error: io::Error| DialError::Failed(words(&error));
    let socket = TcpStream::connect(address).await.map_err(failed)?;
    socket.set_nodelay(true).map_err(failed)?;
    match &dialer.options.tls {
        None => Ok(PeerStream::Plain(socket)),
        Some(tls) => Ok(tls.connect(bank, socket).await?.0),
    }
}
