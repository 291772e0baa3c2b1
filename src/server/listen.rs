//! Listening sockets, and addresses as text.

use consorcio_core::limits::LISTEN_BACKLOG;
use std::io::{Error, ErrorKind, Result};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// `host:port`, with brackets around an IPv6 host.
pub(crate) fn address(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Listens at the first possible address of `address`, with a backlog for bursts: a connection that
/// does not fit is retried by its client after a second or more.
///
/// # Errors
/// When the name has no address, or none of them is possible.
pub(crate) async fn bind(address: &str) -> Result<TcpListener> {
    let mut last = None;
    for at in lookup_host(address).await? {
        let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        match socket.bind(at).and_then(|()| socket.listen(LISTEN_BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::new(ErrorKind::AddrNotAvailable, "the name has no address")))
}
