//! Runs what `servidor` does besides running a bank: keys, certificates, journals, manuals.

use crate::args::BadOptions;
use crate::certs;
use crate::commands::ServerCommand;
use crate::credentials;
use crate::help::LocalizedCli;
use crate::journal_command::print_journal;
use crate::verify_command::verify_snapshots;
use clap::CommandFactory;
use consorcio_system::config::{make_key_file, read_or_make_key_file};
use consorcio_system::manual::{self, ManPageArgs, ManPageError};
use std::io::{ErrorKind, Write, stdout};

/// Runs the command; returns whether what it looked at is intact.
///
/// # Errors
/// When it can't be done; the text names the file.
pub(crate) fn run_command(command: ServerCommand) -> anyhow::Result<bool> {
    match command {
        ServerCommand::Key { file, if_missing: true } => {
            read_or_make_key_file(&file)?;
            Ok(true)
        }
        ServerCommand::Key { file, if_missing: false } => {
            make_key_file(&file)?;
            Ok(true)
        }
        ServerCommand::Certs(args) => print(&certs::run(args)?),
        ServerCommand::Token(args) => print(&credentials::token(&args)?),
        ServerCommand::Password(args) => print(&credentials::password(&args)?),
        ServerCommand::Journal { dir } => print_journal(&dir),
        ServerCommand::Verify { dir } => verify_snapshots(&dir),
        ServerCommand::Completions { shell } => {
            print(&manual::completions(LocalizedCli::command(), shell))
        }
        ServerCommand::Man(ManPageArgs { dir: Some(folder), .. }) => {
            let written = manual::write_man_pages(LocalizedCli::command(), &folder)?;
            print(&written.iter().map(|path| format!("{}\n", path.display())).collect::<String>())
        }
        ServerCommand::Man(ManPageArgs { command, dir: None }) => {
            match manual::man_page(LocalizedCli::command(), &command) {
                Ok(page) => print(&page.roff),
                Err(error @ ManPageError::NoCommand { .. }) => {
                    Err(BadOptions::new(error.to_string()).into())
                }
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// Writes to standard output; a reader such as `head` may close the pipe early.
pub(crate) fn print(text: &str) -> anyhow::Result<bool> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("standard output could not be written"))
        }
        Ok(()) | Err(_) => Ok(true),
    }
}
