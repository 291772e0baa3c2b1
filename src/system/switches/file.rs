//! The settings file, `consorcio.toml`: a key is the name of a switch that has an environment
//! variable.
//!
//! Keys before the first table are those that both programs have; the tables `[servidor]` and
//! `[cliente]` hold those of one program. A relative path is relative to the file's folder. The
//! file's values become defaults of the command line, so switches and variables outweigh them.

use super::{CONFIG, context, is_setting, number_rule};
use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, Command};
use consorcio_core::limits::SETTINGS_BYTES_MAX;
use std::any::TypeId;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name of the file that is found beside the data folder.
const FILE_NAME: &str = "consorcio.toml";
/// The tables of the two programs, by their names.
const PROGRAMS: [&str; 2] = ["servidor", "cliente"];
/// The settings that both programs have.
const SHARED: [&str; 4] = ["consortium", "lang", "log-dir", "log-format"];
/// The variable of the data folder, for the program that has no switch for it.
const DATA_VARIABLE: &str = "CONSORCIO_DATA_DIR";
const DATA_DEFAULT: &str = "data";

/// Why a settings file is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("the settings file {0} is not there; --config names one")]
    Missing(PathBuf),
    #[error("the settings file {0} can't be read: {1}")]
    Io(PathBuf, io::Error),
    #[error("the settings file {0} is no regular file; --config names one")]
    NoFile(PathBuf),
    #[error(
        "the settings file {0} may be changed by other users; make it yours alone (chown, chmod \
         o-w), or name it: --config {0}"
    )]
    Foreign(PathBuf),
    #[error("the settings file {0} has more than {SETTINGS_BYTES_MAX} bytes; shorten it")]
    TooLong(PathBuf),
    #[error("the settings file {0} is no UTF-8 text; save it as UTF-8")]
    NoText(PathBuf),
    #[error("{0}:{1}: {2}")]
    Line(PathBuf, usize, String),
}

/// The settings of one program from a file.
#[derive(Debug)]
pub(super) struct SettingsFile {
    path: PathBuf,
    /// In the order of their lines.
    entries: Vec<FileEntry>,
}

#[derive(Debug)]
struct FileEntry {
    key: String,
    values: Vec<String>,
    /// It was typed as `true` or `false`, for which the switch takes `on` or `off`.
    is_boolean: bool,
    line: usize,
}

impl SettingsFile {
    /// The file that the command line names, or the one beside the data folder, if there is one.
    ///
    /// # Errors
    /// When it can't be read, or a line of it is at fault.
    pub(super) fn find(
        matches: &ArgMatches,
        command: &Command,
    ) -> Result<Option<SettingsFile>, SettingsError> {
        let path = |id| matches.try_get_one::<PathBuf>(id).ok().flatten().cloned();
        if let Some(named) = path(CONFIG) {
            return SettingsFile::read(named, command).map(Some);
        }
        let variable = || std::env::var_os(DATA_VARIABLE).filter(|value| !value.is_empty());
        let data = path("data_dir").or_else(|| variable().map(PathBuf::from));
        let data = data.unwrap_or_else(|| PathBuf::from(DATA_DEFAULT));
        let Some(beside) = data.parent().map(|folder| folder.join(FILE_NAME)) else {
            return Ok(None);
        };
        // A file that was not named may lie in a folder of everyone, as temporary files do.
        match std::fs::metadata(&beside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Ok(found) if is_foreign(&found) => Err(SettingsError::Foreign(beside)),
            Ok(_) | Err(_) => SettingsFile::read(beside, command).map(Some),
        }
    }

    fn read(path: PathBuf, command: &Command) -> Result<SettingsFile, SettingsError> {
        let text = read_text(&path)?;
        let at = |offset: usize, why: String| {
            let line = text.get(..offset).unwrap_or(&text).matches('\n').count() + 1;
            SettingsError::Line(path.clone(), line, why)
        };
        let table = DeTable::parse(&text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            at(offset, format!("this is no TOML: {}", error.message()))
        })?;
        let mut found = Vec::new();
        for (key, value) in table.get_ref() {
            let name: &str = key.get_ref();
            match value.get_ref() {
                DeValue::Table(own) if name == command.get_name() => {
                    found.extend(own.iter().map(|(key, value)| (key, value, true)));
                }
                // The other program reads and checks it.
                DeValue::Table(_) if PROGRAMS.contains(&name) => {}
                _ => found.push((key, value, false)),
            }
        }
        found.sort_by_key(|(key, _, _)| key.span().start);
        let mut entries: Vec<FileEntry> = Vec::new();
        for (key, value, is_own) in found {
            let name: &str = key.get_ref();
            let begin = key.span().start;
            check_name(command, name, value.get_ref(), is_own).map_err(|why| at(begin, why))?;
            let values = texts(name, value).map_err(|why| at(begin, why))?;
            let line = text.get(..begin).unwrap_or(&text).matches('\n').count() + 1;
            // The program's own table comes later and outweighs what holds for both.
            entries.retain(|entry| entry.key != name);
            let is_boolean = matches!(value.get_ref(), DeValue::Boolean(_));
            entries.push(FileEntry { key: name.to_owned(), values, is_boolean, line });
        }
        Ok(SettingsFile { path, entries })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file and line of a setting, if the file has it.
    pub(super) fn origin(&self, name: &str) -> Option<String> {
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        Some(format!("{}:{}", self.path.display(), entry.line))
    }

    /// `command`, with this file's values as its defaults.
    ///
    /// # Errors
    /// When a switch would refuse the value; the text has the line.
    pub(super) fn applied_to(&self, mut command: Command) -> Result<Command, SettingsError> {
        for entry in &self.entries {
            let arg = command.get_arguments().find(|arg| is_named(arg, &entry.key));
            let Some(arg) = arg.cloned() else { continue };
            let values = self.values_for(&arg, entry);
            if let Some((value, rule)) = refused(&arg, &values) {
                let typed = match (entry.is_boolean, value.as_str()) {
                    (true, "on") => "true".to_owned(),
                    (true, "off") => "false".to_owned(),
                    _ => format!("{value:?}"),
                };
                let why = format!("{} can't be {typed}: {rule}", entry.key);
                return Err(SettingsError::Line(self.path.clone(), entry.line, why));
            }
            command = command.mut_arg(arg.get_id(), |arg| arg.default_values(values));
        }
        Ok(command)
    }

    /// Its values as a switch takes them: several only where the switch may be repeated.
    fn values_for(&self, arg: &Arg, entry: &FileEntry) -> Vec<OsString> {
        let texts = match arg.get_action() {
            ArgAction::Append => entry.values.clone(),
            _ => vec![entry.values.join(",")],
        };
        let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let value = |text: String| if is_path { folder.join(text).into() } else { text.into() };
        texts.into_iter().map(value).collect()
    }
}

fn is_named(arg: &Arg, key: &str) -> bool {
    is_setting(arg) && arg.get_long() == Some(key)
}

/// Whether users other than this one, root and those of its group can change the file.
fn is_foreign(found: &Metadata) -> bool {
    let owner = found.uid();
    let is_ours = owner == 0 || owner == rustix::process::geteuid().as_raw();
    !is_ours || found.mode() & 0o002 != 0
}

fn read_text(path: &Path) -> Result<String, SettingsError> {
    let fault = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => SettingsError::Missing(path.to_owned()),
        _ => SettingsError::Io(path.to_owned(), error),
    };
    // To open a pipe is to wait for whoever writes to it.
    if !std::fs::metadata(path).map_err(fault)?.is_file() {
        return Err(SettingsError::NoFile(path.to_owned()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(fault)?;
    file.take(SETTINGS_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fault)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > SETTINGS_BYTES_MAX) {
        return Err(SettingsError::TooLong(path.to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| SettingsError::NoText(path.to_owned()))
}

/// Checks that the program has a setting of this name, and that it stands in the right table.
fn check_name(
    command: &Command,
    name: &str,
    value: &DeValue<'_>,
    is_own: bool,
) -> Result<(), String> {
    let own = command.get_name();
    let names = || command.get_arguments().filter(|arg| is_setting(arg));
    let is_known = names().any(|arg| is_named(arg, name));
    if is_known && (is_own || SHARED.contains(&name)) {
        return Ok(());
    }
    if is_known {
        return Err(format!("{name} is a setting of {own} alone: put it below [{own}]"));
    }
    if is_own {
        let mut known: Vec<&str> = names().filter_map(Arg::get_long).collect();
        known.sort_unstable();
        return Err(format!("{own} has no setting {name}; it has {}", known.join(", ")));
    }
    Err(match value {
        DeValue::Table(_) => {
            format!("there is no table [{name}]; the tables are [servidor] and [cliente]")
        }
        _ => format!(
            "{name} is no setting of both programs: those are {}; put one of a single program \
             below [servidor] or [cliente]",
            SHARED.join(", ")
        ),
    })
}

/// The texts of a value: one, or those of a list.
fn texts(name: &str, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, String> {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().map(|item| one_text(name, item.get_ref())).collect(),
        one => Ok(vec![one_text(name, one)?]),
    }
}

fn one_text(name: &str, value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| format!("{name} is too large a number")),
        DeValue::Boolean(true) => Ok("on".to_owned()),
        DeValue::Boolean(false) => Ok("off".to_owned()),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err(format!("{name} must be a text, a whole number, true, false, or a list of those"))
        }
    }
}

/// The value that the switch `arg` refuses, and what to give; `None` if it takes them all.
fn refused(arg: &Arg, values: &[OsString]) -> Option<(String, String)> {
    let alone = arg.clone().env(Resettable::Reset).global(false);
    let words = values.iter().map(|value| {
        let mut word = OsString::from(format!("--{}=", arg.get_long().unwrap_or_default()));
        word.push(value);
        word
    });
    let command = Command::new("settings").no_binary_name(true).arg(alone);
    let error = command.try_get_matches_from(words).err()?;
    let value = context(&error, ContextKind::InvalidValue).unwrap_or_default().to_owned();
    let cause = || std::error::Error::source(&error).map(ToString::to_string);
    let choices = || match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(choices)) => match choices.split_last() {
            Some((last, others)) if !others.is_empty() => {
                Some(format!("give {} or {}", others.join(", "), last))
            }
            Some(_) | None => choices.first().map(|only| format!("give {only}")),
        },
        Some(_) | None => None,
    };
    let why = number_rule(&error).or_else(choices).or_else(cause);
    Some((value, why.unwrap_or_else(|| "give a value".to_owned())))
}
