//! A batch: lines of a file or of standard input, one after the other, and a summary.

use super::execute::{Executed, Executor};
use super::reader::{LineReader, ShellInput};
use crate::Context;
use crate::failure::Failure;
use crate::language::{say, word};
use crate::output::{self, CommandOutput, ErrorPart, OutputForm, columns_of, took};
use crate::table::wrapped_text;
use serde::Serialize;
use std::io::{self, Write};
use tokio::time::Instant;

/// The summary of a batch, for programs.
#[derive(Default, Serialize)]
struct BatchDocument {
    /// Lines that were run: neither empty nor comments.
    lines: u64,
    done: u64,
    failed: u64,
    /// The number of the line that failed first, counted from 1 in the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_line: Option<u64>,
    /// Whether lines may be left that were not run.
    stopped: bool,
    took_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

/// A batch under way.
struct ShellBatch<'a> {
    form: OutputForm,
    /// The name of the input, in messages.
    source: &'a str,
    /// The headings of the rows so far.
    headings: String,
    document: BatchDocument,
    /// The failure that the program ends with.
    failure: Option<Failure>,
}

/// Runs all lines; stops at the first one that fails unless `keep_going`.
pub(super) async fn run(
    context: &Context,
    mut executor: Executor<'_>,
    mut reader: LineReader,
    source: &str,
    keep_going: bool,
) -> io::Result<CommandOutput> {
    let began = Instant::now();
    let mut batch = ShellBatch {
        form: context.paint.form(),
        source,
        headings: String::new(),
        document: BatchDocument::default(),
        failure: None,
    };
    let mut number = 0;
    loop {
        let line = match next_line(context, &mut reader).await? {
            ShellInput::Line(line) => line,
            ShellInput::End => break,
            ShellInput::Interrupted => {
                batch.stop(
                    number,
                    Failure::Interrupted(
                        word!("interrupted between two lines" / "interrompido entre duas linhas")
                            .into(),
                    ),
                );
                break;
            }
            ShellInput::Failed(why) => {
                let why =
                    Failure::Usage(say!("it can't be read: {why}" / "não pode ser lida: {why}"));
                batch.stop(number + 1, why);
                break;
            }
        };
        number += 1;
        let (output, form, changes, ends) = match executor.execute(&line).await? {
            Executed::Nothing => continue,
            Executed::Exit => break,
            Executed::Output { output, form, changes } => (output, form, changes, false),
            Executed::Terminated(output, form) => (output, form, false, true),
        };
        let shown = batch.show(number, &output, form, changes);
        let interrupted = matches!(output.failure, Some(Failure::Interrupted(_)));
        batch.count(number, output.failure);
        let failed = batch.document.failed > 0 && !keep_going;
        if shown.is_err() || ends || interrupted || failed {
            batch.document.stopped = true;
            batch.unwritten(shown.err());
            break;
        }
    }
    batch.document.took_us = output::micros(began.elapsed());
    Ok(batch.end(&took(began.elapsed())))
}

/// The next line, or that a signal ended the wait for it.
async fn next_line(context: &Context, reader: &mut LineReader) -> io::Result<ShellInput> {
    let mut ends = crate::watch::EndSignals::new()?;
    context.interrupt_notice.take();
    Ok(tokio::select! {
        biased;
        _ = ends.recv() => ShellInput::Interrupted,
        input = reader.next("") => input,
    })
}

impl ShellBatch<'_> {
    /// Shows the output of a line.
    ///
    /// # Errors
    /// If nobody reads standard output any more.
    fn show(
        &mut self,
        number: u64,
        output: &CommandOutput,
        form: OutputForm,
        changes: bool,
    ) -> io::Result<()> {
        let text = match (form, &output.done) {
            (OutputForm::Json, _) => format!("{}\n", output.json),
            (OutputForm::Tsv, _) => match output.text.split_once('\n') {
                Some((first, rows)) if first == self.headings => rows.to_owned(),
                Some((first, _)) => {
                    first.clone_into(&mut self.headings);
                    output.text.clone()
                }
                None => String::new(),
            },
            // One line for each transaction; reads show all.
            (OutputForm::Table, Some(done)) => format!("{number}: {done}\n"),
            (OutputForm::Table, None) if changes => String::new(),
            (OutputForm::Table, None) => output.text.clone(),
        };
        if let Some(failure) = &output.failure
            && form != OutputForm::Json
        {
            self.complain(number, failure);
        }
        let text = match form {
            OutputForm::Table => wrapped_text(&text, columns_of(&io::stdout())),
            OutputForm::Tsv | OutputForm::Json => text,
        };
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// The line was run, and its output was lost. A reader that closes the pipe early, such as
    /// `head`, needs no more.
    fn unwritten(&mut self, error: Option<io::Error>) {
        let Some(error) = error.filter(|error| error.kind() != io::ErrorKind::BrokenPipe) else {
            return;
        };
        let failure = Failure::Own(format!("standard output could not be written: {error}"));
        // Nobody may read standard error.
        let _ = writeln!(io::stderr(), "cliente: {failure}");
        self.failure.get_or_insert(failure);
    }

    fn complain(&self, number: u64, failure: &Failure) {
        // Nobody may read standard error.
        let line = word!("line" / "linha");
        let text = format!("cliente: {}, {line} {number}: {failure}", self.source);
        let text = wrapped_text(&text, columns_of(&io::stderr()));
        let _ = write!(io::stderr(), "{text}");
    }

    fn count(&mut self, number: u64, failure: Option<Failure>) {
        self.document.lines += 1;
        let Some(failure) = failure else {
            self.document.done += 1;
            return;
        };
        self.document.failed += 1;
        self.document.failed_line.get_or_insert(number);
        // An outcome that is not known is worse than a refusal, and asks for another look.
        let is_worse = matches!(failure, Failure::Doubt(_) | Failure::Interrupted(_))
            && !matches!(self.failure, Some(Failure::Doubt(_) | Failure::Interrupted(_)));
        if self.failure.is_none() || is_worse {
            self.failure = Some(failure);
        }
    }

    /// Ends the batch before line `number`, which is not run.
    fn stop(&mut self, number: u64, failure: Failure) {
        if self.form != OutputForm::Json {
            self.complain(number, &failure);
        }
        self.document.failed_line.get_or_insert(number);
        self.document.stopped = true;
        self.failure = Some(failure);
    }

    /// The summary, with the exit code of the worst failure.
    fn end(mut self, took: &str) -> CommandOutput {
        let BatchDocument { lines, done, failed, failed_line, stopped, .. } = self.document;
        let (noun, ended) = match (lines, done) {
            (1, 1) => (word!("line" / "linha"), word!("done" / "feita")),
            (1, _) => (word!("line" / "linha"), word!("done" / "feitas")),
            (_, 1) => (word!("lines" / "linhas"), word!("done" / "feita")),
            (..) => (word!("lines" / "linhas"), word!("done" / "feitas")),
        };
        let mut text = say!(
            "{lines} {noun} in {took}: {done} {ended}, {failed} failed"
                / "{lines} {noun} em {took}: {done} {ended}, {failed} com falha"
        );
        match failed_line {
            Some(number) if failed > 0 => text.push_str(&say!(
                ", the first of them line {number}" / ", a primeira delas a linha {number}"
            )),
            Some(number) if !matches!(self.failure, Some(Failure::Interrupted(_))) => {
                text.push_str(&say!("; it ended at line {number}" / "; parou na linha {number}"));
            }
            Some(_) | None => {}
        }
        if stopped {
            text.push_str(word!(
                "; later lines were not run" / "; as linhas seguintes não foram executadas"
            ));
        }
        self.document.error = self.failure.as_ref().map(ErrorPart::of);
        // Nobody may read them any more. Among rows, which are for programs, nothing else stands.
        let _ = match self.form {
            OutputForm::Table => {
                write!(io::stdout(), "{}", wrapped_text(&text, columns_of(&io::stdout())))
            }
            OutputForm::Tsv => writeln!(io::stderr(), "cliente: {text}"),
            OutputForm::Json => writeln!(io::stdout(), "{}", output::json(&self.document)),
        };
        CommandOutput::shown(self.failure)
    }
}
