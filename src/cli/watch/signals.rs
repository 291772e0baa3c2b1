//! The signals that end a command before it has ended by itself.

use std::io::{self, IsTerminal, Write};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal that ends a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndSignal {
    /// SIGINT, as by Ctrl-C.
    Interrupt,
    /// SIGTERM, or SIGHUP of a terminal that closes: the whole program ends.
    Terminate,
}

/// SIGINT (Ctrl-C), SIGTERM and, on a terminal, SIGHUP, from the time that this is created.
pub(crate) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
    /// Without a terminal, as under nohup, SIGHUP keeps its own meaning.
    hang_up: Option<Signal>,
}

impl EndSignals {
    /// Catches these signals from now on.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub(crate) fn new() -> io::Result<EndSignals> {
        let on_terminal = io::stdin().is_terminal();
        Ok(EndSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: on_terminal.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for one of them.
    pub(crate) async fn recv(&mut self) -> EndSignal {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {
                erase_echo();
                EndSignal::Interrupt
            }
            _ = self.terminate.recv() => EndSignal::Terminate,
            _ = hang_up => EndSignal::Terminate,
        }
    }
}

/// Erases the `^C` that a terminal shows, and the prompt before it, so that what is said about the
/// interrupt has a line of its own.
pub(crate) fn erase_echo() {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        // The terminal may be gone.
        let _ = stderr.write_all(b"\r\x1b[K");
    }
}
