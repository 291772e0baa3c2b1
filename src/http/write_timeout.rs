//! Write-stall timeout: while a write is blocked, the client must read
//! `HTTP_PROGRESS_BYTES_MIN` bytes within the time-out, or the connection fails. A trickle of bytes
//! does not keep it open.

use crate::connections::ConnectionSlot;
use consorcio_core::limits::HTTP_PROGRESS_BYTES_MIN;
use consorcio_system::crash::{self, Step};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream whose writes fail once they have been blocked for too long.
#[derive(Debug)]
pub(crate) struct WriteTimeout<S> {
    stream: S,
    within: Duration,
    /// The time-out that runs since a write blocked, and the bytes written since then.
    stalled: Option<(Pin<Box<Sleep>>, usize)>,
    /// Records whether the connection is stalled.
    slot: Arc<ConnectionSlot>,
}

impl<S> WriteTimeout<S> {
    /// Wraps `stream`; a blocked write must make progress `within` this time.
    pub(crate) fn new(stream: S, within: Duration, slot: Arc<ConnectionSlot>) -> WriteTimeout<S> {
        WriteTimeout { stream, within, stalled: None, slot }
    }

    /// Tracks the result of a write.
    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match done {
            Poll::Ready(Ok(bytes)) => {
                crash::step(Step::HttpAnswered);
                self.slot.set_stalled(false);
                self.stalled = self.stalled.take().and_then(|(end, taken)| {
                    let taken = taken + bytes;
                    (taken < HTTP_PROGRESS_BYTES_MIN).then_some((end, taken))
                });
                done
            }
            Poll::Ready(Err(_)) => done,
            Poll::Pending => self.stall(cx),
        }
    }

    /// Tracks the result of a flush.
    fn flushed(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        if done.is_pending() {
            return self.stall(cx);
        }
        if self.stalled.take().is_some() {
            self.slot.set_stalled(false);
        }
        done
    }

    fn stall<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let within = self.within;
        self.slot.set_stalled(true);
        let (end, _) = self.stalled.get_or_insert_with(|| (Box::pin(sleep(within)), 0));
        end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wrote(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.flushed(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.flushed(cx, done)
    }
}
