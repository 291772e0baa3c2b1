//! The progress of a long command: one line on standard error, only if that is a terminal.

use std::io::{self, IsTerminal, Write};

/// A line that is overwritten by each update, and erased on drop.
pub(crate) struct Progress(());

impl Progress {
    /// A line of progress; `None` if standard error is a file or a pipe.
    pub(crate) fn on_terminal() -> Option<Progress> {
        io::stderr().is_terminal().then(|| Progress(()))
    }

    /// Replaces the line by `text`.
    pub(crate) fn show(&self, text: &str) {
        // Failing to show progress is no fault.
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}
