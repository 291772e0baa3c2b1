//! What a command shows: tables and words for people on a terminal, rows for programs in a pipe,
//! one JSON document where it is asked for. Nothing is asked here.

use super::failure::Failure;
use anstream::ColorChoice;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use consorcio_core::ids::Time;
use consorcio_core::money::Total;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// What a command has to show, and how it ends.
#[derive(Debug)]
pub struct Shown {
    /// For people or in rows, as its `Paint` said; lines with their ends.
    pub text: String,
    /// For programs.
    pub json: String,
    /// Why the command did not do what was asked, if so.
    pub failure: Option<Failure>,
    /// What was changed, in one sentence, where the command changes something.
    pub done: Option<String>,
}

impl Shown {
    /// `text` for people and `value` for programs.
    pub fn new(text: String, value: &impl Serialize) -> Shown {
        Shown { text, json: json(value), failure: None, done: None }
    }

    /// The same of a command that changed something: what, in one sentence.
    #[must_use]
    pub fn having(mut self, done: impl Into<String>) -> Shown {
        self.done = Some(done.into());
        self
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
        Shown {
            text: String::new(),
            json: json(&ErrorDocument::of(&failure)),
            failure: Some(failure),
            done: None,
        }
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

/// How a command shows what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Tables and sentences, for people.
    Table,
    /// Rows: a line of headings, then lines of cells with tabs between them, and nothing else.
    Tsv,
    /// One JSON document.
    Json,
}

impl Form {
    /// What standard output gets where nothing was said: people sit at terminals, programs at the
    /// end of pipes.
    pub fn of_stdout() -> Form {
        if io::stdout().is_terminal() { Form::Table } else { Form::Tsv }
    }
}

/// How words, numbers and tables become text: in which form, and with colours or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    form: Form,
    /// Colours follow the terminal, `NO_COLOR` and `CLICOLOR_FORCE`.
    colours: bool,
}

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
    /// Tables without colours.
    #[cfg(test)]
    pub const NONE: Paint = Paint { form: Form::Table, colours: false };

    /// In this form, with colours where standard output takes them.
    pub fn new(form: Form) -> Paint {
        let takes = || anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        Paint { form, colours: form == Form::Table && takes() }
    }

    /// Whether programs read it, line by line.
    pub fn is_rows(self) -> bool {
        self.form == Form::Tsv
    }

    /// Whether programs read it as JSON.
    pub fn is_json(self) -> bool {
        self.form == Form::Json
    }

    /// `text` in the colour of `tone`.
    pub fn text(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Open => "33",
            Tone::Plain => return text.to_owned(),
        };
        if self.colours { format!("\x1b[1;{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Words beside a table, for people only: among rows they would be a broken row. A failure is
    /// told on standard error there.
    pub fn words(self, words: String) -> String {
        if self.is_rows() { String::new() } else { words }
    }

    /// A sum of money in a cell: `R$ 1.234,56` for people, `1234.56` in rows.
    pub fn money(self, centavos: impl Into<i128>) -> (Tone, String) {
        let centavos = centavos.into();
        plain(if self.is_rows() { decimal(centavos) } else { Total(centavos).to_string() })
    }

    /// A commit time in a cell: UTC in the words of people, or as RFC 3339 has it in rows.
    pub fn time(self, time: Time) -> (Tone, String) {
        let text = utc(time);
        plain(match text.strip_suffix(" UTC") {
            Some(utc) if self.is_rows() => format!("{}Z", utc.replacen(' ', "T", 1)),
            Some(_) | None => text,
        })
    }

    /// A duration in a cell, in milliseconds to the microsecond; rows leave the unit to their
    /// heading.
    pub fn took(self, duration: Duration) -> (Tone, String) {
        let text = took(duration);
        plain(if self.is_rows() { text.trim_end_matches(" ms").to_owned() } else { text })
    }

    /// A table under these headings; `rows` are cells with their tones. Columns named in `right`
    /// are numbers.
    pub fn table(
        self,
        headings: &[&str],
        right: &[&str],
        rows: Vec<Vec<(Tone, String)>>,
    ) -> String {
        if self.is_rows() {
            return tab_separated(headings, &rows);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if self.colours {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(
            headings.iter().map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)),
        );
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

/// Rows for programs. Headings are one word each; what would break a line or a cell becomes a
/// blank.
fn tab_separated(headings: &[&str], rows: &[Vec<(Tone, String)>]) -> String {
    let mut text =
        headings.iter().map(|heading| heading.replace(' ', "_")).collect::<Vec<_>>().join("\t");
    text.push('\n');
    for row in rows {
        for (at, (_, cell)) in row.iter().enumerate() {
            if at > 0 {
                text.push('\t');
            }
            text.extend(cell.chars().map(|c| if c.is_control() { ' ' } else { c }));
        }
        text.push('\n');
    }
    text
}

/// `1234.56`, and `-1.00` below zero.
fn decimal(centavos: i128) -> String {
    let sign = if centavos < 0 { "-" } else { "" };
    let centavos = centavos.unsigned_abs();
    format!("{sign}{}.{:02}", centavos / 100, centavos % 100)
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
pub fn print(shown: &Shown, form: Form) -> u8 {
    let mut stdout = io::stdout().lock();
    let written = match form {
        Form::Json => writeln!(stdout, "{}", shown.json),
        Form::Table | Form::Tsv => stdout.write_all(shown.text.as_bytes()),
    };
    let written = written.and_then(|()| stdout.flush());
    let code = shown.failure.as_ref().map_or(0, Failure::exit_code);
    // A reader that left early, such as `head`, has what it wanted.
    let unwritten = written.err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
    if let Some(failure) = &shown.failure
        && (unwritten.is_some() || !is_told(shown, failure, form))
    {
        let _ = writeln!(io::stderr(), "cliente: {failure}");
    }
    let Some(error) = unwritten else { return code };
    let done = shown.done.as_ref().map_or(String::new(), |done| format!("{done}; only "));
    let _ = writeln!(io::stderr(), "cliente: {done}standard output could not be written: {error}");
    if code == 0 { 1 } else { code }
}

/// Does standard output tell of `failure`? JSON holds it. People read it below the table, where
/// there is one; what is wrong with the list or the keys as a whole stands there only where a bank
/// said it.
fn is_told(shown: &Shown, failure: &Failure, form: Form) -> bool {
    match form {
        Form::Json => true,
        Form::Tsv => false,
        Form::Table => match failure {
            Failure::Usage(why) => shown.text.contains(why),
            Failure::Own(_)
            | Failure::NoConnection(_)
            | Failure::DiskHangs(_)
            | Failure::Refused { .. }
            | Failure::Aborted(_)
            | Failure::Doubt(_)
            | Failure::Interrupted(_) => !shown.text.is_empty(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: Paint = Paint { form: Form::Tsv, colours: false };

    #[test]
    fn rows_are_for_programs() {
        let row =
            vec![ROWS.money(123_456), ROWS.took(Duration::from_micros(1_500)), plain("a\tb\nc")];
        let text = ROWS.table(&["held", "time ms", "holder's name"], &["held"], vec![row]);
        assert_eq!(text, "held\ttime_ms\tholder's_name\n1234.56\t1.500\ta b c\n");
        assert_eq!(ROWS.table(&["a", "b"], &[], Vec::new()), "a\tb\n", "the headings alone");
        assert_eq!(ROWS.time(Time(1_795_330_616_832_238)).1, "2026-11-22T06:56:56.832238Z");
        assert_eq!(ROWS.words("it adds up\n".into()), "");
        for (centavos, told) in
            [(0, "0.00"), (-5, "-0.05"), (i128::MAX, "1701411834604692317316873037158841057.27")]
        {
            assert_eq!(ROWS.money(centavos).1, told);
        }
    }

    #[test]
    fn tables_are_for_people() {
        assert_eq!(Paint::NONE.money(123_456).1, "R$ 1.234,56");
        assert_eq!(Paint::NONE.took(Duration::from_micros(1_500)).1, "1.500 ms");
        assert_eq!(Paint::NONE.time(Time(0)).1, "1970-01-01 00:00:00.000000 UTC");
        assert_eq!(Paint::NONE.words("it adds up\n".into()), "it adds up\n");
    }
}
