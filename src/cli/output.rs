//! The output of a command: tables and sentences for people on a terminal, rows for programs in a
//! pipe, or one JSON document.

use super::failure::Failure;
use super::language::{Lang, lang, say, term};
pub(crate) use super::table::Tone;
use super::table::{TableLayout, ToneCell, coloured, wrapped_text};
use anstream::ColorChoice;
use consorcio_core::ids::Time;
use consorcio_core::money::Total;
use consorcio_words::sentences::told;
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// The columns and rows of a terminal that does not know its size.
const SCREEN_DEFAULT: (usize, usize) = (80, 24);

/// The output of a command, and how it ends.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    /// Lines for people or rows, as its `Paint` requires, with line ends.
    pub text: String,
    /// The document for programs.
    pub json: String,
    /// Why the command failed, if it did.
    pub failure: Option<Failure>,
    /// A sentence with what the command changed, if anything.
    pub done: Option<String>,
    /// The command has shown everything already, its failure included.
    pub is_shown: bool,
}

impl CommandOutput {
    /// `text` for people and `value` for programs.
    pub(crate) fn new(text: String, value: &impl Serialize) -> CommandOutput {
        CommandOutput { text, json: json(value), failure: None, done: None, is_shown: false }
    }

    /// The end of a command that has shown everything already, its failure included.
    pub(crate) fn shown(failure: Option<Failure>) -> CommandOutput {
        let (text, json) = (String::new(), String::new());
        CommandOutput { text, json, failure, done: None, is_shown: true }
    }

    /// The output with a sentence of what the command changed.
    #[must_use]
    pub(crate) fn with_done(mut self, done: impl Into<String>) -> CommandOutput {
        self.done = Some(done.into());
        self
    }

    /// The output with its failure, if any.
    #[must_use]
    pub(crate) fn with_failure(mut self, failure: Option<Failure>) -> CommandOutput {
        self.failure = failure;
        self
    }
}

impl From<Failure> for CommandOutput {
    fn from(failure: Failure) -> CommandOutput {
        CommandOutput {
            text: String::new(),
            json: json(&ErrorDocument::of(&failure)),
            failure: Some(failure),
            done: None,
            is_shown: false,
        }
    }
}

/// An error in `--json`.
#[derive(Serialize)]
pub(crate) struct ErrorDocument {
    error: ErrorPart,
}

/// The error part of a document that has further parts.
#[derive(Serialize)]
pub(crate) struct ErrorPart {
    code: &'static str,
    message: String,
}

impl ErrorPart {
    /// The document part of `failure`.
    pub(crate) fn of(failure: &Failure) -> ErrorPart {
        ErrorPart { code: failure.code(), message: failure.to_string() }
    }
}

impl ErrorDocument {
    /// The document of a command that failed without other output.
    pub(crate) fn of(failure: &Failure) -> ErrorDocument {
        ErrorDocument { error: ErrorPart::of(failure) }
    }
}

/// Serializes a document as JSON.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our own documents have text keys and finite numbers")
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OutputForm {
    // Comments that are no documentation: the help lists the words alone.
    // Tables and sentences, for people.
    Table,
    // Rows: a line of headings, then lines of tab-separated cells, and nothing else.
    Tsv,
    Json,
}

impl OutputForm {
    /// The default for standard output: tables on a terminal, rows in a pipe.
    pub(crate) fn of_stdout() -> OutputForm {
        if io::stdout().is_terminal() { OutputForm::Table } else { OutputForm::Tsv }
    }
}

/// Formats texts, numbers and tables: in a form, with colours or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    form: OutputForm,
    /// As the terminal, `NO_COLOR` and `CLICOLOR_FORCE` require.
    colours: bool,
    /// The columns of the terminal; without one, as wide as it gets.
    width: usize,
}

impl Paint {
    #[cfg(test)]
    pub(crate) const NONE: Paint =
        Paint { form: OutputForm::Table, colours: false, width: usize::MAX };
    #[cfg(test)]
    pub(crate) const ROWS: Paint =
        Paint { form: OutputForm::Tsv, colours: false, width: usize::MAX };

    /// Formats in this form, with colours if standard output supports them.
    pub(crate) fn new(form: OutputForm) -> Paint {
        let takes = || anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        let colours = form == OutputForm::Table && takes();
        Paint { form, colours, width: columns_of(&io::stdout()) }
    }

    /// The form of the output.
    pub(crate) fn form(self) -> OutputForm {
        self.form
    }

    /// Whether texts are coloured.
    pub(crate) fn has_colours(self) -> bool {
        self.colours
    }

    /// Whether the output is rows, for programs.
    pub(crate) fn is_rows(self) -> bool {
        self.form == OutputForm::Tsv
    }

    /// Whether the output is JSON, for programs.
    pub(crate) fn is_json(self) -> bool {
        self.form == OutputForm::Json
    }

    /// `text` in the colour of `tone`.
    pub(crate) fn text(self, tone: Tone, text: &str) -> String {
        coloured(tone, text, self.colours)
    }

    /// A text beside a table; empty in rows, where it would be a broken row. With rows a failure is
    /// printed on standard error.
    pub(crate) fn words(self, words: String) -> String {
        if self.is_rows() { String::new() } else { words }
    }

    /// A cell with a word of the program's own, which rows have in English.
    pub(crate) fn term(self, tone: Tone, english: &'static str) -> ToneCell {
        (tone, if self.is_rows() { english } else { term(english) }.to_owned())
    }

    /// A cell with an amount: `R$ 1.234,56` for people, `1234.56` in rows.
    pub(crate) fn money(self, centavos: impl Into<i128>) -> (Tone, String) {
        let centavos = centavos.into();
        plain(if self.is_rows() { decimal(centavos) } else { Total(centavos).to_string() })
    }

    /// A cell with a commit time in UTC: readable for people, RFC 3339 in rows.
    pub(crate) fn time(self, time: Time) -> (Tone, String) {
        let text = utc(time);
        plain(match text.strip_suffix(" UTC") {
            Some(utc) if self.is_rows() => format!("{}Z", utc.replacen(' ', "T", 1)),
            Some(_) | None => text,
        })
    }

    /// A cell with a duration in milliseconds, to the microsecond; in rows the heading has the
    /// unit.
    pub(crate) fn took(self, duration: Duration) -> (Tone, String) {
        plain(if self.is_rows() { milliseconds(duration) } else { took(duration) })
    }

    /// A table with these headings; `rows` are cells with their tones. Columns named in `right` are
    /// right-aligned.
    pub(crate) fn table(
        self,
        headings: &[&str],
        right: &[&str],
        rows: Vec<Vec<(Tone, String)>>,
    ) -> String {
        if self.is_rows() {
            return tab_separated(headings, &rows);
        }
        let layout = TableLayout { headings, right, ..TableLayout::default() };
        layout.draw(self.colours, self.width, rows)
    }

    /// A table with this layout; rows have all columns, whatever the layout says.
    pub(crate) fn table_of(self, layout: &TableLayout<'_>, rows: Vec<Vec<ToneCell>>) -> String {
        if self.is_rows() {
            return tab_separated(layout.headings, &rows);
        }
        layout.draw(self.colours, self.width, rows)
    }
}

/// Rows for programs. Headings are one word each; a character that would break a line or a cell
/// becomes a space.
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

/// A cell without a colour.
pub(crate) fn plain(text: impl ToString) -> (Tone, String) {
    (Tone::Plain, text.to_string())
}

/// A commit time for people: UTC, to the microsecond.
pub(crate) fn utc(time: Time) -> String {
    match jiff::Timestamp::from_microsecond(time.0) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%S%.6f UTC").to_string(),
        Err(_) => format!("{time} µs"),
    }
}

/// A duration for people: in milliseconds, to the microsecond.
pub(crate) fn took(took: Duration) -> String {
    format!("{} ms", decimals(&milliseconds(took)))
}

fn milliseconds(took: Duration) -> String {
    format!("{}.{:03}", took.as_millis(), took.as_micros() % 1000)
}

/// A number with decimals as people write it: in Portuguese, with a comma.
pub(crate) fn decimals(number: &str) -> String {
    match lang() {
        Lang::En => number.to_owned(),
        Lang::Pt => number.replacen('.', ",", 1),
    }
}

/// A duration in whole microseconds.
pub(crate) fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// The columns of the terminal that `stream` is. Otherwise those of `COLUMNS`, as for a pipe that
/// leads to a terminal, or else no bound: nothing is cut.
pub(crate) fn columns_of(stream: &(impl AsFd + IsTerminal)) -> usize {
    if stream.is_terminal() {
        return screen_size(stream).0;
    }
    let given = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    given.filter(|columns| *columns > 0).unwrap_or(usize::MAX)
}

/// The columns and rows of a terminal; the default of each that it reports as 0, because it does
/// not know its size.
pub(crate) fn screen_size(terminal: &impl AsFd) -> (usize, usize) {
    let known = |size: u16, default: usize| if size == 0 { default } else { usize::from(size) };
    let (columns, rows) = SCREEN_DEFAULT;
    match tcgetwinsize(terminal) {
        Ok(size) => (known(size.ws_col, columns), known(size.ws_row, rows)),
        Err(_) => SCREEN_DEFAULT,
    }
}

/// Prints the output of a command, and returns the exit code of the program.
pub(crate) fn print(output: &CommandOutput, form: OutputForm) -> u8 {
    let code = output.failure.as_ref().map_or(0, Failure::exit_code);
    if output.is_shown {
        return code;
    }
    let mut stdout = io::stdout().lock();
    let written = match form {
        OutputForm::Json => writeln!(stdout, "{}", output.json),
        OutputForm::Tsv => stdout.write_all(output.text.as_bytes()),
        OutputForm::Table => {
            stdout.write_all(wrapped_text(&output.text, columns_of(&io::stdout())).as_bytes())
        }
    };
    let written = written.and_then(|()| stdout.flush());
    // A reader that closes the pipe early, such as `head`, needs no more.
    let unwritten = written.err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
    if let Some(failure) = &output.failure
        && (unwritten.is_some() || !prints_failure(output, failure, form))
    {
        let text = wrapped_text(&format!("cliente: {failure}"), columns_of(&io::stderr()));
        let _ = io::stderr().write_all(text.as_bytes());
    }
    let Some(error) = unwritten else { return code };
    let why = told(&format!("standard output could not be written: {error}"));
    let text = match &output.done {
        Some(done) => say!("{done}; only {why}" / "{done}; só que {why}"),
        None => why,
    };
    let _ = writeln!(io::stderr(), "cliente: {text}");
    if code == 0 { 1 } else { code }
}

/// Whether standard output has the text of `failure`. JSON has it. Tables have it below them,
/// except for a wrong list or key, which is only there if a bank reported it.
pub(crate) fn prints_failure(output: &CommandOutput, failure: &Failure, form: OutputForm) -> bool {
    match form {
        OutputForm::Json => true,
        OutputForm::Tsv => false,
        OutputForm::Table => match failure {
            Failure::Usage(why) => output.text.contains(why),
            Failure::Own(_)
            | Failure::NoConnection(_)
            | Failure::DiskHangs(_)
            | Failure::Refused { .. }
            | Failure::Aborted(_)
            | Failure::Doubt(_)
            | Failure::Interrupted(_) => !output.text.is_empty(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: Paint = Paint::ROWS;

    #[test]
    fn rows_are_for_programs() {
        let row =
            vec![ROWS.money(123_456), ROWS.took(Duration::from_micros(1_500)), plain("a\tb\nc")];
        let text = ROWS.table(&["held", "time ms", "holder's name"], &["held"], vec![row]);
        assert_eq!(text, "held\ttime_ms\tholder's_name\n1234.56\t1.500\ta b c\n");
        assert_eq!(ROWS.table(&["a", "b"], &[], Vec::new()), "a\tb\n", "the headings alone");
        assert_eq!(ROWS.time(Time(1_795_330_616_832_238)).1, "2026-11-22T06:56:56.832238Z");
        assert_eq!(ROWS.words("it adds up\n".into()), "");
        for (centavos, text) in
            [(0, "0.00"), (-5, "-0.05"), (i128::MAX, "1701411834604692317316873037158841057.27")]
        {
            assert_eq!(ROWS.money(centavos).1, text);
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
