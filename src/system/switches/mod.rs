//! Command lines of both programs, with one rule for every setting: a switch outweighs its
//! environment variable, that outweighs the settings file, and that outweighs the default. An empty
//! variable counts as not set.

mod file;
mod help;
mod print;

pub use help::{HelpTexts, in_portuguese as help_in_portuguese};
pub use print::{print_error, sentences_of};

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches};
use consorcio_words::{Lang, process};
use file::SettingsFile;
use std::ffi::OsString;
use std::num::ParseIntError;
use std::path::PathBuf;

/// The id of the argument that names the settings file.
const CONFIG: &str = "config";

/// The switch that names the settings file, for both programs.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// Takes settings from this TOML file; without it, from consorcio.toml beside the data folder,
    /// if there is one
    #[arg(long, global = true, value_name = "FILE", env = "CONSORCIO_CONFIG")]
    pub config: Option<PathBuf>,
}

/// The switch of the language, for `servidor`.
#[derive(Debug, Clone, Default, Args)]
pub struct LangArgs {
    /// Language of messages, pt or en; that of LANG if not given
    #[arg(long, global = true, env = "CONSORCIO_LANG", value_parser = process::read)]
    pub lang: Option<Lang>,
}

/// The settings that have a value of their own, and where each was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenSettings {
    /// The settings file that was read.
    pub file: Option<PathBuf>,
    /// One row for each setting that does not have its default.
    pub rows: Vec<GivenSetting>,
}

/// One setting that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenSetting {
    /// The name of its switch without dashes, which is its key in a settings file.
    pub name: String,
    /// Its value as text; several values with commas between them.
    pub value: String,
    /// A switch (`--port`), a variable (`CONSORCIO_PORT`), or a line (`consorcio.toml:3`).
    pub from: String,
}

/// Parses a command line, and reads the settings file if `needs_file` says that the command has any
/// use for it.
///
/// # Errors
/// The errors of clap, including the one for `--help`. A fault of the settings file names its line.
pub fn parse<T: CommandFactory + FromArgMatches>(
    words: impl IntoIterator<Item = impl Into<OsString>>,
    needs_file: impl Fn(&ArgMatches) -> bool,
) -> Result<(T, GivenSettings), clap::Error> {
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let mut command = without_empty_variables(T::command());
    let mut matches = matches_of(&mut command, &words)?;
    let mut file = None;
    if needs_file(&matches) {
        file = SettingsFile::find(&matches, &T::command()).map_err(|error| refusal(&error))?;
    }
    if let Some(file) = &file {
        let with_file = file.applied_to(T::command()).map_err(|error| refusal(&error))?;
        command = without_empty_variables(with_file);
        matches = matches_of(&mut command, &words)?;
    }
    let given = given(&T::command(), &matches, file.as_ref());
    let arguments = T::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok((arguments, given))
}

fn matches_of(command: &mut Command, words: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let matches = command.try_get_matches_from_mut(words);
    matches.map_err(|error| number_error(&error, command).unwrap_or(error))
}

/// The fault of a settings file, without the usage of the command line, which is not at fault.
fn refusal(error: &file::SettingsError) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("{error}\n"))
}

/// Whether an argument is a setting: it has a switch and a variable, so it may stand in a file.
fn is_setting(arg: &Arg) -> bool {
    arg.get_env().is_some() && arg.get_long().is_some() && arg.get_id() != CONFIG
}

fn given(command: &Command, matches: &ArgMatches, file: Option<&SettingsFile>) -> GivenSettings {
    let row = |arg: &Arg| {
        let (id, name) = (arg.get_id().as_str(), arg.get_long()?);
        let from = match matches.value_source(id)? {
            ValueSource::CommandLine => format!("--{name}"),
            ValueSource::EnvVariable => arg.get_env()?.to_string_lossy().into_owned(),
            _ => file?.origin(name)?,
        };
        let values = matches.get_raw(id)?.map(|value| value.to_string_lossy().into_owned());
        let value = values.collect::<Vec<_>>().join(",");
        Some(GivenSetting { name: name.to_owned(), value, from })
    };
    let rows = command.get_arguments().filter(|arg| is_setting(arg)).filter_map(row).collect();
    GivenSettings { file: file.map(|file| file.path().to_owned()), rows }
}

/// The same error with a sentence on what to give, if it is about a number.
fn number_error(error: &clap::Error, command: &mut Command) -> Option<clap::Error> {
    let arg = context(error, ContextKind::InvalidArg)?;
    let value = context(error, ContextKind::InvalidValue)?;
    let rule = number_rule(error)?;
    let name = arg.split(' ').next().unwrap_or(arg);
    Some(command.error(ErrorKind::ValueValidation, format!("{name} can't be {value:?}: {rule}")))
}

/// What to give, if a number is out of its range or is none.
fn number_rule(error: &clap::Error) -> Option<String> {
    let cause = std::error::Error::source(error)?;
    if cause.is::<ParseIntError>() {
        return Some("give a whole number".to_owned());
    }
    let cause = cause.to_string();
    let (_, range) = cause.split_once(" is not in ")?;
    Some(match range.split_once("..=") {
        Some((from, to)) => format!("give a whole number from {from} to {to}"),
        None => format!("give a whole number in {range}"),
    })
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(_) | None => None,
    }
}

/// `command` without empty environment variables, including its subcommands.
fn without_empty_variables(command: Command) -> Command {
    let is_empty =
        |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command =
        command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg });
    command.mut_subcommands(without_empty_variables)
}
