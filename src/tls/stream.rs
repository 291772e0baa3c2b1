//! A connection, plain or over TLS, as one stream.
//!
//! The plain one costs a comparison more than the socket alone.

use crate::own::Own;
use crate::words::read_error;
use rustls::pki_types::CertificateDer;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A connection between a bank and a client or another bank.
#[derive(Debug)]
pub enum PeerStream {
    /// Bytes as they are, in open mode.
    Plain(TcpStream),
    /// Over TLS, in closed mode.
    Tls(Box<PeerTls>),
}

/// A connection over TLS. Its errors are sentences for people.
#[derive(Debug)]
pub struct PeerTls {
    stream: TlsStream<TcpStream>,
    /// The certificate that this side showed, where it dialled: a refusal of it comes with a read.
    own: Option<Arc<Own>>,
}

impl PeerStream {
    pub(crate) fn tls(
        stream: impl Into<TlsStream<TcpStream>>,
        own: Option<Arc<Own>>,
    ) -> PeerStream {
        PeerStream::Tls(Box::new(PeerTls { stream: stream.into(), own }))
    }

    /// The socket that carries its bytes.
    pub fn socket(&self) -> &TcpStream {
        match self {
            PeerStream::Plain(socket) => socket,
            PeerStream::Tls(tls) => tls.stream.get_ref().0,
        }
    }

    /// The address of this end.
    ///
    /// # Errors
    /// When the system does not tell it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().local_addr()
    }

    /// Writes as much as it takes without a wait; the rest is lost.
    pub fn write_now(&mut self, bytes: &[u8]) {
        let mut task = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut *self).poll_write(&mut task, bytes);
        let _ = Pin::new(self).poll_flush(&mut task);
    }

    /// Tells the other end that nothing follows, as far as that needs no wait.
    pub fn say_goodbye(&mut self) {
        if let PeerStream::Tls(tls) = self {
            let mut task = Context::from_waker(Waker::noop());
            // The other end may be gone.
            let _ = Pin::new(&mut tls.stream).poll_shutdown(&mut task);
        }
    }

    /// The certificates that the other end showed; empty without TLS.
    pub(crate) fn shown(&self) -> &[CertificateDer<'static>] {
        match self {
            PeerStream::Plain(_) => &[],
            PeerStream::Tls(tls) => tls.stream.get_ref().1.peer_certificates().unwrap_or_default(),
        }
    }

    /// The protocol that both ends agreed on.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        match self {
            PeerStream::Plain(_) => None,
            PeerStream::Tls(tls) => tls.stream.get_ref().1.alpn_protocol(),
        }
    }
}

impl AsyncRead for PeerStream {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            PeerStream::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            PeerStream::Tls(tls) => {
                let read = Pin::new(&mut tls.stream).poll_read(cx, buffer);
                read.map_err(|error| read_error(error, tls.own.as_deref()))
            }
        }
    }
}

impl AsyncWrite for PeerStream {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            PeerStream::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            PeerStream::Tls(tls) => Pin::new(&mut tls.stream).poll_write(cx, bytes),
        }
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            PeerStream::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bytes),
            PeerStream::Tls(tls) => Pin::new(&mut tls.stream).poll_write_vectored(cx, bytes),
        }
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        match self {
            PeerStream::Plain(socket) => socket.is_write_vectored(),
            PeerStream::Tls(tls) => tls.stream.is_write_vectored(),
        }
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            PeerStream::Plain(socket) => Pin::new(socket).poll_flush(cx),
            PeerStream::Tls(tls) => Pin::new(&mut tls.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            PeerStream::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            PeerStream::Tls(tls) => Pin::new(&mut tls.stream).poll_shutdown(cx),
        }
    }
}
