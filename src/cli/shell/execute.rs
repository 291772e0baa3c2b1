//! Executes a line: as the program would, but Ctrl-C ends the line alone.

use super::line::{ShellCommand, ShellLine, ShellLineError};
use super::raw::RawConnections;
use crate::args::CliCommand;
use crate::failure::Failure;
use crate::language::{lang, word};
use crate::output::{CommandOutput, OutputForm, Paint};
use crate::watch::{EndSignal, EndSignals};
use crate::{Context, check_list};
use consorcio_system::switches::{self, sentences_of};
use std::io;
use std::pin::Pin;

/// What became of a line.
pub(super) enum Executed {
    /// It asked for nothing, or for help, which is shown.
    Nothing,
    /// It asks to leave.
    Exit,
    Output {
        output: CommandOutput,
        form: OutputForm,
        /// It ran a transaction, or changed something else.
        changes: bool,
    },
    /// SIGTERM or SIGHUP ended it; no further line runs.
    Terminated(CommandOutput, OutputForm),
}

/// Runs a command as the program does. Boxed, because the shell is a command itself.
pub(crate) type CommandRunner =
    for<'a> fn(&'a Context, CliCommand) -> Pin<Box<dyn Future<Output = CommandOutput> + 'a>>;

/// Executes one line after the other.
pub(super) struct Executor<'a> {
    context: &'a Context,
    runner: CommandRunner,
    raw: RawConnections,
}

impl<'a> Executor<'a> {
    pub(super) fn new(context: &'a Context, runner: CommandRunner) -> Executor<'a> {
        Executor { context, runner, raw: RawConnections::new(context) }
    }

    /// Executes a line, and returns its output. Help is printed at once.
    ///
    /// # Errors
    /// If the system refuses a handler of signals.
    pub(super) async fn execute(&mut self, line: &str) -> io::Result<Executed> {
        let form = self.context.paint.form();
        match ShellLine::read(line) {
            Ok(ShellLine::Nothing) => Ok(Executed::Nothing),
            Ok(ShellLine::Exit) => Ok(Executed::Exit),
            Ok(ShellLine::Raw(raw)) => {
                let context = self.context;
                let sent = self.raw.send(context, &raw);
                Ok(match until_signal(context, sent).await? {
                    (output, Some(EndSignal::Terminate)) => Executed::Terminated(output, form),
                    (output, _) => Executed::Output { output, form, changes: false },
                })
            }
            Ok(ShellLine::Command(command)) => self.command(line, *command).await,
            Err(ShellLineError::Command(help)) if !help.use_stderr() => {
                switches::print_error(&help);
                Ok(Executed::Nothing)
            }
            Err(error) => {
                let output = Failure::Usage(usage(&error)).into();
                Ok(Executed::Output { output, form, changes: false })
            }
        }
    }

    async fn command(&self, line: &str, command: ShellCommand) -> io::Result<Executed> {
        let form = command.form(self.context.paint.form());
        let command = command.command;
        if matches!(command, CliCommand::Shell(_)) {
            let output = Failure::Usage(
                word!("this is the shell already" / "este já é o terminal").to_owned(),
            )
            .into();
            return Ok(Executed::Output { output, form, changes: false });
        }
        let context = self.context.with_paint(Paint::new(form));
        let is_transaction = command.is_transaction();
        context.steps.began(&context.name, shlex::split(line).unwrap_or_default());
        let ran = until_signal(&context, (self.runner)(&context, command)).await?;
        let (output, signal) = ran;
        let output = check_list(&context, is_transaction, output);
        context.steps.ended(&output);
        Ok(match signal {
            Some(EndSignal::Terminate) => Executed::Terminated(output, form),
            Some(EndSignal::Interrupt) | None => {
                let changes = is_transaction || output.done.is_some();
                Executed::Output { output, form, changes }
            }
        })
    }
}

/// Runs a line until it ends or a signal ends it; then its output is what is known so far.
async fn until_signal(
    context: &Context,
    line: impl Future<Output = CommandOutput>,
) -> io::Result<(CommandOutput, Option<EndSignal>)> {
    let mut ends = EndSignals::new()?;
    // What is known of the line before is no news.
    context.interrupt_notice.take();
    context.interrupt_notice.drive(None);
    Ok(tokio::select! {
        biased;
        output = line => (output, None),
        signal = ends.recv() => {
            (context.interrupted().await.into(), Some(signal))
        }
    })
}

/// The sentence of a wrong line, without the usage that clap appends.
fn usage(error: &ShellLineError) -> String {
    let text = error.to_string();
    let is_usage = |line: &&str| !line.starts_with("Usage:");
    let lines = text.lines().map(str::trim_end).take_while(is_usage);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let lines = lines.map(|line| sentences_of(line.trim_start_matches("error: "), lang()));
    lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join(" ")
}
