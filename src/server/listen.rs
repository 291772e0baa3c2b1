//! Sockets that listen, and their addresses as text.

use consorcio_core::limits::LISTEN_BACKLOG;
use std::io::{Error, ErrorKind, Result};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// `host:port`, an IPv6 host in brackets.
pub fn address(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Listens at the first of the addresses that `address` names where that is possible, with room for
/// a burst of connections: what does not fit waits a second and more for its next try.
///
/// # Errors
/// When the name has no address, or the last of them can't be had.
pub async fn bind(address: &str) -> Result<TcpListener> {
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
