//! The language of messages: `--lang`, or else the locale. A process has one.
//!
//! A message has both languages side by side where it is made: `say!("{n} banks" / "{n} bancos")`.
//! Names of commands, JSON and the headings of rows do not depend on it; programs read these.

pub(crate) use consorcio_words::Lang;
use std::sync::OnceLock;

static LANGUAGE: OnceLock<Lang> = OnceLock::new();

/// Sets the language of this process; the first call counts.
pub(crate) fn set(chosen: Option<Lang>) {
    let _ = LANGUAGE.set(chosen.unwrap_or_else(of_environment));
}

/// The language of messages.
pub(crate) fn lang() -> Lang {
    *LANGUAGE.get().unwrap_or(&Lang::En)
}

/// The language of the locale, English if it is another one. As in POSIX, the first of these
/// variables that is set and not empty counts.
fn of_environment() -> Lang {
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let name = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find(set);
    let locale = name.and_then(|name| std::env::var(name).ok());
    locale.and_then(|locale| Lang::of_locale(&locale)).unwrap_or(Lang::En)
}

/// Parses `--lang`: `pt`, `en`, or a locale such as `pt_BR`.
///
/// # Errors
/// For any other language.
pub(crate) fn read(text: &str) -> Result<Lang, String> {
    Lang::of_locale(text).ok_or_else(|| format!("{text:?}: messages are in pt or en"))
}

/// A formatted message in the language of this process.
macro_rules! say {
    ($en:literal / $pt:literal $(, $name:ident = $value:expr)* $(,)?) => {
        match $crate::language::lang() {
            $crate::language::Lang::En => format!($en $(, $name = $value)*),
            $crate::language::Lang::Pt => format!($pt $(, $name = $value)*),
        }
    };
}

/// A message without values in the language of this process.
macro_rules! word {
    ($en:literal / $pt:literal) => {
        match $crate::language::lang() {
            $crate::language::Lang::En => $en,
            $crate::language::Lang::Pt => $pt,
        }
    };
}

pub(crate) use {say, word};
