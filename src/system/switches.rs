//! The command lines of both programs; an empty environment variable counts as not set.

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::num::ParseIntError;

/// Parses a command line.
///
/// # Errors
/// The errors of clap, including the one for `--help`.
pub fn parse<T: CommandFactory + FromArgMatches>(
    words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<T, clap::Error> {
    let mut command = without_empty_variables(T::command());
    let matches = match command.try_get_matches_from_mut(words) {
        Ok(matches) => matches,
        Err(error) => return Err(number_error(&error, &mut command).unwrap_or(error)),
    };
    T::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The same error with a sentence on what to give, if it is about a number.
fn number_error(error: &clap::Error, command: &mut Command) -> Option<clap::Error> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(_) | None => None,
    };
    let (arg, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let cause = std::error::Error::source(error)?;
    let rule = if cause.is::<ParseIntError>() {
        "give a whole number".to_owned()
    } else {
        let cause = cause.to_string();
        let (_, range) = cause.split_once(" is not in ")?;
        match range.split_once("..=") {
            Some((from, to)) => format!("give a whole number from {from} to {to}"),
            None => format!("give a whole number in {range}"),
        }
    };
    let name = arg.split(' ').next().unwrap_or(arg);
    Some(command.error(ErrorKind::ValueValidation, format!("{name} can't be {value:?}: {rule}")))
}

/// `command` without empty environment variables, including its subcommands.
fn without_empty_variables(command: Command) -> Command {
    let is_empty =
        |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command =
        command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg });
    command.mut_subcommands(without_empty_variables)
}
