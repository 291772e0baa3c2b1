//! `cliente shell`: commands typed line by line, with history and completion; or a batch of lines
//! from a file or from standard input.

mod batch;
mod completion;
mod execute;
mod history;
mod known;
mod line;
mod raw;
mod reader;

use super::Context;
use super::args::ShellArguments;
use super::failure::Failure;
use super::output::{self, CommandOutput, columns_of};
use super::table::wrapped_text;
use super::watch::{EndSignal, EndSignals};
use crate::language::say;
use completion::Completions;
use consorcio_core::limits::LAST_LINES_MS_MAX;
use consorcio_system::logging;
use execute::{Executed, Executor};

pub(crate) use execute::CommandRunner;
use known::SharedNames;
use reader::{LineReader, ShellInput};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

const PROMPT: &str = "cliente> ";

/// Runs the lines of a file, of standard input, or of the person at the terminal.
pub(crate) async fn run(
    context: &Context,
    arguments: ShellArguments,
    runner: CommandRunner,
) -> CommandOutput {
    let executor = Executor::new(context, runner);
    let keep_going = arguments.keep_going;
    let ran = match &arguments.file {
        Some(path) if path.as_os_str() != "-" => of_file(context, executor, path, keep_going).await,
        Some(_) => of_stdin(context, executor, keep_going).await,
        None if io::stdin().is_terminal() => of_terminal(context, executor).await,
        None => of_stdin(context, executor, keep_going).await,
    };
    ran.unwrap_or_else(|error| Failure::Own(format!("the shell can't start: {error}")).into())
}

async fn of_file(
    context: &Context,
    executor: Executor<'_>,
    path: &Path,
    keep_going: bool,
) -> io::Result<CommandOutput> {
    let name = path.display().to_string();
    match File::open(path) {
        Err(error) => Ok(Failure::Own(format!("{name} can't be read: {error}")).into()),
        Ok(file) => {
            let reader = LineReader::of_file(file)?;
            batch::run(context, executor, reader, &name, keep_going).await
        }
    }
}

async fn of_stdin(
    context: &Context,
    executor: Executor<'_>,
    keep_going: bool,
) -> io::Result<CommandOutput> {
    let reader = LineReader::of_stdin()?;
    batch::run(context, executor, reader, "standard input", keep_going).await
}

/// The state of the terminal; dropping this restores it, as the thread that reads lines may be
/// stopped while it has changed it.
struct TerminalState(Option<Termios>);

impl TerminalState {
    fn save() -> TerminalState {
        TerminalState(tcgetattr(io::stdin()).ok())
    }
}

impl Drop for TerminalState {
    fn drop(&mut self) {
        if let Some(state) = &self.0 {
            // The terminal may be gone.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, state);
        }
    }
}

async fn of_terminal(context: &Context, mut executor: Executor<'_>) -> io::Result<CommandOutput> {
    let _state = TerminalState::save();
    let names = SharedNames::of(context);
    let mut reader = LineReader::of_terminal(Completions::new(names.clone()))?;
    // Questions for completion are not part of what the user did, so no step log has them.
    let unobserved = context.client.with_observer(None);
    let (banks, list) = (context.client.banks().len(), context.client.list());
    let greeting = say!(
        "{banks} banks: {list}. help lists the commands, Tab completes, Ctrl-D leaves."
            / "{banks} bancos: {list}. ajuda lista os comandos, Tab completa, Ctrl-D sai."
    );
    write!(io::stdout(), "{}", wrapped_text(&greeting, columns_of(&io::stdout())))?;
    loop {
        // Warnings of the last command stand above the prompt.
        logging::flush(Duration::from_millis(LAST_LINES_MS_MAX));
        let line = match next_line(&mut reader, &names, &unobserved).await? {
            ShellInput::Line(line) => line,
            ShellInput::Interrupted => continue,
            ShellInput::End => break,
            ShellInput::Failed(why) => {
                return Ok(Failure::Own(format!("the terminal can't be read: {why}")).into());
            }
        };
        match executor.execute(&line).await? {
            Executed::Nothing => {}
            Executed::Exit => break,
            Executed::Output { output, form, .. } => {
                output::print(&output, form);
            }
            Executed::Terminated(output, form) => {
                output::print(&output, form);
                break;
            }
        }
    }
    Ok(CommandOutput::shown(None))
}

/// Waits for a line, and asks the banks for names meanwhile.
async fn next_line(
    reader: &mut LineReader,
    names: &SharedNames,
    client: &consorcio_client::Client,
) -> io::Result<ShellInput> {
    let mut ends = EndSignals::new()?;
    let mut line = pin!(reader.next(PROMPT));
    let mut refresh = pin!(names.refresh(client));
    let mut refreshed = false;
    loop {
        tokio::select! {
            biased;
            input = &mut line => return Ok(input),
            signal = ends.recv() => match signal {
                EndSignal::Terminate => {
                    let _ = writeln!(io::stdout());
                    return Ok(ShellInput::End);
                }
                // At the prompt Ctrl-C is a key; this is the signal, from elsewhere.
                EndSignal::Interrupt => {}
            },
            () = &mut refresh, if !refreshed => refreshed = true,
        }
    }
}
