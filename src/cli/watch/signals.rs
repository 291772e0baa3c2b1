//! The signals that end a command which would go on for ever.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal that ends a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndSignal {
    /// SIGINT, as by Ctrl-C.
    Interrupt,
    /// SIGTERM: the whole program ends.
    Terminate,
}

/// SIGINT (Ctrl-C) and SIGTERM, from the time that this is created.
pub(crate) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignals {
    /// Catches both signals from now on.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub(crate) fn new() -> io::Result<EndSignals> {
        Ok(EndSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them.
    pub(crate) async fn recv(&mut self) -> EndSignal {
        tokio::select! {
            _ = self.interrupt.recv() => EndSignal::Interrupt,
            _ = self.terminate.recv() => EndSignal::Terminate,
        }
    }
}
