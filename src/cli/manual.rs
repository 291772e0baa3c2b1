//! Completions for shells and man pages, generated from the definition of the command line. They
//! need no bank.

use super::args::{Arguments, ManualCommand};
use super::failure::Failure;
use super::output::CommandOutput;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::{fs, io};

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
        ManualCommand::Man { command, dir: None } => page(command),
        ManualCommand::Man { dir: Some(folder), .. } => pages(folder),
    }
}

fn completions(shell: Shell) -> CommandOutput {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "cliente", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let document = CompletionsDocument { shell: shell.to_string(), script: &script };
    CommandOutput::new(script.clone(), &document)
}

/// The command tree, with full names such as `cliente-account-open`.
fn built() -> clap::Command {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    command
}

fn page(words: &[String]) -> CommandOutput {
    let root = built();
    let mut command = &root;
    for word in words {
        match command.find_subcommand(word) {
            Some(below) => command = below,
            None => {
                let text =
                    format!("there is no command {:?}; cliente --help lists them", words.join(" "));
                return Failure::Usage(text).into();
            }
        }
    }
    match roff(command) {
        Ok(page) => {
            let document = PageDocument { name: name_of(command), page: &page };
            CommandOutput::new(page.clone(), &document)
        }
        Err(error) => Failure::Own(format!("a man page: {error}")).into(),
    }
}

/// Writes the pages of all commands into `folder`, which is created if missing.
fn pages(folder: &Path) -> CommandOutput {
    let mut written = Vec::new();
    let done =
        fs::create_dir_all(folder).and_then(|()| write_below(&built(), folder, &mut written));
    match done {
        Ok(()) => {
            let text = written.iter().map(|path| format!("{}\n", path.display())).collect();
            CommandOutput::new(text, &WrittenDocument { written: &written })
        }
        Err(error) => Failure::Own(format!("{}: {error}", folder.display())).into(),
    }
}

fn write_below(
    command: &clap::Command,
    folder: &Path,
    written: &mut Vec<PathBuf>,
) -> io::Result<()> {
    let path = folder.join(format!("{}.1", name_of(command)));
    fs::write(&path, roff(command)?)?;
    written.push(path);
    command.get_subcommands().try_for_each(|below| write_below(below, folder, written))
}

fn name_of(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// A man page, with the examples of the help at its end.
fn roff(command: &clap::Command) -> io::Result<String> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    if let Some(examples) = command.get_before_help() {
        let mut roff = Roff::new();
        roff.control("SH", ["EXAMPLES"]).control("nf", []);
        let examples = examples.to_string();
        for line in examples.lines().skip_while(|line| *line == "Examples:") {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
        roff.to_writer(&mut page)?;
    }
    Ok(String::from_utf8_lossy(&page).into_owned())
}
