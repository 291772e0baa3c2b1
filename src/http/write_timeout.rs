//! A socket whose other end must go on reading: one that takes nothing, or drop by drop, is given
//! up.

use crate::connections::Place;
use consorcio_system::crash::{self, Step};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// So much must be taken before a wait begins anew, where not all is.
const PROGRESS_BYTES: usize = 64 * 1024;

/// `stream`, with an end to how long a write may wait.
#[derive(Debug)]
pub struct WriteTimeout<S> {
    stream: S,
    within: Duration,
    /// Since when it waits, and what was taken since.
    stalled: Option<(Pin<Box<Sleep>>, usize)>,
    /// Learns when it waits.
    place: Arc<Place>,
}

impl<S> WriteTimeout<S> {
    /// What is written to `stream` is taken `within` this time, or as much of it as counts; else it
    /// fails.
    pub fn new(stream: S, within: Duration, place: Arc<Place>) -> WriteTimeout<S> {
        WriteTimeout { stream, within, stalled: None, place }
    }

    /// A write that is `done`, or waits.
    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match done {
            Poll::Ready(Ok(bytes)) => {
                crash::step(Step::HttpAnswered);
                self.place.set_stalled(false);
                self.stalled = self.stalled.take().and_then(|(end, taken)| {
                    let taken = taken + bytes;
                    (taken < PROGRESS_BYTES).then_some((end, taken))
                });
                done
            }
            Poll::Ready(Err(_)) => done,
            Poll::Pending => self.stall(cx),
        }
    }

    /// All was taken, or not yet.
    fn flushed(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        if done.is_pending() {
            return self.stall(cx);
        }
        if self.stalled.take().is_some() {
            self.place.set_stalled(false);
        }
        done
    }

    fn stall<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let within = self.within;
        self.place.set_stalled(true);
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
