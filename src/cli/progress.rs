//! The progress of a long command: one line on standard error, only if that is a terminal.

use super::output::columns_of;
use std::io::{self, IsTerminal, Write};
use textwrap::core::display_width;

/// A line that is overwritten by each update, and erased on drop.
pub(crate) struct Progress(());

impl Progress {
    /// A line of progress; `None` if standard error is a file or a pipe.
    pub(crate) fn on_terminal() -> Option<Progress> {
        io::stderr().is_terminal().then(|| Progress(()))
    }

    /// Replaces the line by `text`, or by what fits of it: only one row can be overwritten.
    pub(crate) fn show(&self, text: &str) {
        let text = fitting(text, columns_of(&io::stderr()));
        // Failing to show progress is no fault.
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}

/// The text, or its beginning with an ellipsis, in fewer than `columns`: at the last one some
/// terminals begin a new row.
fn fitting(text: &str, columns: usize) -> String {
    if display_width(text) < columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    for c in text.chars() {
        cut.push(c);
        if display_width(&cut) + 2 >= columns {
            break;
        }
    }
    cut + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_one_row() {
        assert_eq!(fitting("contention, 3 s left", 21), "contention, 3 s left");
        assert_eq!(fitting("contention, 3 s left", 20), "contention, 3 s le…");
        assert_eq!(fitting("disputa · 0 em dúvida", 12), "disputa · …");
        for columns in 2..30 {
            let cut = fitting("disputa, faltam 2 s: 12 efetivadas", columns);
            assert!(display_width(&cut) < columns.max(3), "{columns}: {cut}");
        }
    }
}
