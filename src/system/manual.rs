//! Completions for shells and man pages, generated from the definition of a command line.

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The arguments of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManPageArgs {
    /// The page of this command, as in `man journal` or `man account open`; without one, of the
    /// program
    pub command: Vec<String>,
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub dir: Option<PathBuf>,
}

/// Why there is no man page.
#[derive(Debug, thiserror::Error)]
pub enum ManPageError {
    /// The program has no such command.
    #[error("there is no command {words:?}; {program} --help lists them")]
    NoCommand {
        /// The name of the program.
        program: String,
        /// The words that name no command.
        words: String,
    },
    /// The page can't be made.
    #[error("a man page: {0}")]
    Page(io::Error),
    /// The pages can't be written.
    #[error("{0}: {1}")]
    Folder(PathBuf, io::Error),
}

/// A man page in roff, and the full name of its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManPage {
    /// The full name, as in `cliente-account-open`.
    pub name: String,
    /// The text in roff.
    pub roff: String,
}

/// The script that completes `program`'s command line in a shell.
pub fn completions(mut command: Command, shell: Shell) -> String {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The man page of the command that `words` name below `root`; of `root` itself without words.
///
/// # Errors
/// When there is no such command.
pub fn man_page(root: Command, words: &[String]) -> Result<ManPage, ManPageError> {
    let root = built(root);
    let mut command = &root;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| ManPageError::NoCommand {
            program: root.get_name().to_owned(),
            words: words.join(" "),
        })?;
    }
    let roff = roff(command).map_err(ManPageError::Page)?;
    Ok(ManPage { name: name_of(command).to_owned(), roff })
}

/// Writes the pages of all commands into `folder`, which is created if missing; returns their
/// paths.
///
/// # Errors
/// When a file can't be written; the text names the folder.
pub fn write_man_pages(root: Command, folder: &Path) -> Result<Vec<PathBuf>, ManPageError> {
    let mut written = Vec::new();
    let done =
        fs::create_dir_all(folder).and_then(|()| write_below(&built(root), folder, &mut written));
    done.map(|()| written).map_err(|error| ManPageError::Folder(folder.to_owned(), error))
}

/// The command tree, with full names such as `cliente-account-open`.
fn built(command: Command) -> Command {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    command
}

fn write_below(command: &Command, folder: &Path, written: &mut Vec<PathBuf>) -> io::Result<()> {
    let path = folder.join(format!("{}.1", name_of(command)));
    fs::write(&path, roff(command)?)?;
    written.push(path);
    command.get_subcommands().try_for_each(|below| write_below(below, folder, written))
}

fn name_of(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// A man page, with the examples of the help at its end.
fn roff(command: &Command) -> io::Result<String> {
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
