//! What a command shows: tables and words for people, one JSON document for programs. Nothing is asked here.

use super::failure::Failure;
use crate::ids::Time;
use anstream::ColorChoice;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{self, Write};
use std::time::Duration;

/// What a command has to show, and how it ends.
#[derive(Debug)]
pub struct Shown {
    /// For people, lines with their ends.
    pub text: String,
    /// For programs.
    pub json: String,
    /// Why the command did not do what was asked, if so.
    pub failure: Option<Failure>,
}

impl Shown {
    /// `text` for people and `value` for programs.
    pub fn new(text: String, value: &impl Serialize) -> Shown {
        Shown { text, json: json(value), failure: None }
    }

    /// The same, ending in `failure` if there is one.
    #[must_use]
    pub fn failing(mut self, failure: Option<Failure>) -> Shown {
        self.failure = failure;
        self
    }
}

impl From<Failure> for Shown {
    fn from(failure: Failure) -> Shown {
        Shown { text: String::new(), json: json(&ErrorDocument::of(&failure)), failure: Some(failure) }
    }
}

/// An error as `--json` tells it.
#[derive(Serialize)]
pub struct ErrorDocument {
    error: ErrorPart,
}

/// Its inner part, for documents that tell more beside it.
#[derive(Serialize)]
pub struct ErrorPart {
    code: &'static str,
    message: String,
}

impl ErrorPart {
    /// How `failure` is told.
    pub fn of(failure: &Failure) -> ErrorPart {
        ErrorPart { code: failure.code(), message: failure.to_string() }
    }
}

impl ErrorDocument {
    /// How `failure` is told where there is nothing else to tell.
    pub fn of(failure: &Failure) -> ErrorDocument {
        ErrorDocument { error: ErrorPart::of(failure) }
    }
}

/// JSON text of `value`.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our own documents have text keys and finite numbers")
}

/// Colours, or none: they follow the terminal, `NO_COLOR` and `CLICOLOR_FORCE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint(bool);

/// What a word or cell means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Refused, aborted, out of reach.
    Bad,
    /// Not known yet.
    Open,
    /// Neither.
    Plain,
}

impl Paint {
    /// No colours.
    pub const NONE: Paint = Paint(false);

    /// As standard output takes them.
    pub fn of_stdout() -> Paint {
        Paint(anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never)
    }

    /// `text` in the colour of `tone`.
    pub fn text(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Open => "33",
            Tone::Plain => return text.to_owned(),
        };
        if self.0 { format!("\x1b[1;{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A table under these headings; `rows` are cells with their tones. Columns named in `right` are numbers.
    pub fn table(self, headings: &[&str], right: &[&str], rows: Vec<Vec<(Tone, String)>>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if self.0 {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(headings.iter().map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)));
        for row in rows {
            table.add_row(row.into_iter().map(|(tone, text)| match tone {
                Tone::Good => Cell::new(text).fg(Color::Green),
                Tone::Bad => Cell::new(text).fg(Color::Red),
                Tone::Open => Cell::new(text).fg(Color::Yellow),
                Tone::Plain => Cell::new(text),
            }));
        }
        for (at, heading) in headings.iter().enumerate() {
            if let Some(column) = table.column_mut(at) {
                column.set_padding((0, 2));
                if right.contains(heading) {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        let mut text = String::new();
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A cell without a meaning of its own.
pub fn plain(text: impl ToString) -> (Tone, String) {
    (Tone::Plain, text.to_string())
}

/// A commit time in the words of people: UTC, to the microsecond.
pub fn utc(time: Time) -> String {
    match jiff::Timestamp::from_microsecond(time.0) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%S%.6f UTC").to_string(),
        Err(_) => format!("{time} µs"),
    }
}

/// A duration in milliseconds, to the microsecond.
pub fn took(took: Duration) -> String {
    format!("{}.{:03} ms", took.as_millis(), took.as_micros() % 1000)
}

/// A duration in whole microseconds.
pub fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// Prints the end of a command, and says with which exit code the program ends.
pub fn print(shown: &Shown, as_json: bool) -> u8 {
    let mut stdout = io::stdout().lock();
    let written =
        if as_json { writeln!(stdout, "{}", shown.json) } else { stdout.write_all(shown.text.as_bytes()) };
    let written = written.and_then(|()| stdout.flush());
    let code = shown.failure.as_ref().map_or(0, Failure::exit_code);
    if let (Some(failure), false) = (&shown.failure, as_json) {
        // With a verdict the text has said it already; stderr is for what ended a command early.
        if shown.text.is_empty() {
            let _ = writeln!(io::stderr(), "cliente: {failure}");
        }
    }
    match written {
        // A reader that left early, such as `head`, has what it wanted.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "cliente: standard output: {error}");
            if code == 0 { 1 } else { code }
        }
        Ok(()) | Err(_) => code,
    }
}
