//! The terminal's other screen, on which a round replaces the one before. What was on the terminal
//! is there again afterwards.

use crate::language::say;
use crate::output::screen_size;
use crate::table::wrapped_text;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen,
};
use crossterm::{execute, queue};
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// The other screen, and its content. Dropping it returns to the first one.
pub(super) struct WatchScreen {
    head: String,
    text: String,
}

impl WatchScreen {
    /// Switches the terminal of standard output to its other screen.
    ///
    /// # Errors
    /// If it can't be written.
    pub(super) fn enter() -> io::Result<WatchScreen> {
        execute!(io::stdout(), EnterAlternateScreen, Hide, Clear(ClearType::All))?;
        Ok(WatchScreen { head: String::new(), text: String::new() })
    }

    /// Replaces the content: a line, and below it the text.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn show(&mut self, head: &str, text: &str) -> io::Result<()> {
        head.clone_into(&mut self.head);
        text.clone_into(&mut self.text);
        self.draw()
    }

    /// Draws the content again, as large as the terminal is now.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn draw(&self) -> io::Result<()> {
        let (columns, rows) = screen_size(&io::stdout());
        let text = wrapped_text(&self.text, columns);
        let lines = [self.head.as_str(), ""].into_iter().chain(text.lines());
        let lines = fitting(lines.collect(), columns, rows);
        let mut stdout = io::stdout().lock();
        queue!(stdout, BeginSynchronizedUpdate, MoveTo(0, 0))?;
        for (at, line) in lines.iter().enumerate() {
            let end = if at + 1 < lines.len() { "\r\n" } else { "" };
            write!(stdout, "{line}\x1b[0m")?;
            queue!(stdout, Clear(ClearType::UntilNewLine))?;
            write!(stdout, "{end}")?;
        }
        queue!(stdout, Clear(ClearType::FromCursorDown), EndSynchronizedUpdate)?;
        stdout.flush()
    }
}

impl Drop for WatchScreen {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
    }
}

/// The first lines that fit the screen; the last one counts those that do not. A line that is wider
/// than the screen goes on in its next row.
fn fitting(lines: Vec<&str>, columns: usize, rows: usize) -> Vec<String> {
    let rows_of = |line: &str| {
        let plain = anstream::adapter::strip_str(line).to_string();
        plain.width().div_ceil(columns.max(1)).max(1)
    };
    if lines.iter().map(|line| rows_of(line)).sum::<usize>() <= rows {
        return lines.into_iter().map(str::to_owned).collect();
    }
    let mut left = rows.saturating_sub(1);
    let mut kept: Vec<String> = Vec::new();
    for line in &lines {
        let Some(rest) = left.checked_sub(rows_of(line)) else { break };
        left = rest;
        kept.push((*line).to_owned());
    }
    let left = lines.len() - kept.len();
    let more = say!(
        "{left} more lines: a higher window shows them"
            / "mais {left} linhas: uma janela mais alta as mostra"
    );
    kept.push(more.chars().take(columns).collect());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let lines = || vec!["head", "", "a", "b", "c"];
        assert_eq!(fitting(lines(), 80, 5), lines());
        let short = fitting(lines(), 80, 4);
        assert_eq!(short, ["head", "", "a", "2 more lines: a higher window shows them"]);
        assert_eq!(fitting(lines(), 6, 2), ["head", "4 more"]);
        assert_eq!(fitting(lines(), 80, 1), ["5 more lines: a higher window shows them"]);
    }

    #[test]
    fn wide_lines_take_several_rows_and_colours_take_none() {
        let red = "\x1b[1;31mnine cols\x1b[0m";
        assert_eq!(fitting(vec![red, "b"], 9, 2), [red, "b"]);
        assert_eq!(fitting(vec![red, "b"], 8, 2).last().unwrap(), "2 more l");
        assert_eq!(fitting(vec!["ação", "b"], 4, 2), ["ação", "b"], "columns, not bytes");
    }
}
