//! How far a long command is: one line on standard error, and only where that is a terminal.

use std::io::{self, IsTerminal, Write};

/// A line that is written over again and again, and gone when this is.
pub struct Progress(());

impl Progress {
    /// For people who wait; nothing where standard error is a file or a pipe.
    pub fn on_terminal() -> Option<Progress> {
        io::stderr().is_terminal().then(|| Progress(()))
    }

    /// Writes `text` over what stood there.
    pub fn show(&self, text: &str) {
        // Progress that nobody sees is no fault.
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}
