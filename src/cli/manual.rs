//! Completions for shells and man pages, as commands of `cliente`. They need no bank.

use super::args::{BilingualArguments, ManualCommand};
use super::failure::Failure;
use super::output::CommandOutput;
use clap::CommandFactory;
use clap_complete::Shell;
use consorcio_system::manual::{self, ManPageArgs, ManPageError};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct CompletionsDocument<'a> {
    shell: String,
    script: &'a str,
}

#[derive(Serialize)]
struct PageDocument<'a> {
    name: &'a str,
    page: &'a str,
}

#[derive(Serialize)]
struct WrittenDocument<'a> {
    written: &'a [PathBuf],
}

/// Runs a command for shells and manuals.
pub(crate) fn run(command: &ManualCommand) -> CommandOutput {
    match command {
        ManualCommand::Completions { shell } => completions(*shell),
        ManualCommand::Man(ManPageArgs { command, dir: None }) => page(command),
        ManualCommand::Man(ManPageArgs { dir: Some(folder), .. }) => pages(folder),
    }
}

fn completions(shell: Shell) -> CommandOutput {
    let script = manual::completions(BilingualArguments::command(), shell);
    let document = CompletionsDocument { shell: shell.to_string(), script: &script };
    CommandOutput::new(script.clone(), &document)
}

fn page(words: &[String]) -> CommandOutput {
    match manual::man_page(BilingualArguments::command(), words) {
        Ok(page) => {
            let document = PageDocument { name: &page.name, page: &page.roff };
            CommandOutput::new(page.roff.clone(), &document)
        }
        Err(error) => failure(&error).into(),
    }
}

/// Writes the pages of all commands into `folder`, which is created if missing.
fn pages(folder: &Path) -> CommandOutput {
    match manual::write_man_pages(BilingualArguments::command(), folder) {
        Ok(written) => {
            let text = written.iter().map(|path| format!("{}\n", path.display())).collect();
            CommandOutput::new(text, &WrittenDocument { written: &written })
        }
        Err(error) => failure(&error).into(),
    }
}

fn failure(error: &ManPageError) -> Failure {
    match error {
        ManPageError::NoCommand { .. } => Failure::Usage(error.to_string()),
        ManPageError::Page(_) | ManPageError::Folder(..) => Failure::Own(error.to_string()),
    }
}
