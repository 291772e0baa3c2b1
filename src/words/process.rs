//! The language of this process: the one that its command line asks for, or else the locale's.

use super::Lang;
use std::ffi::OsString;
use std::sync::OnceLock;

static LANGUAGE: OnceLock<Lang> = OnceLock::new();
static TYPED: OnceLock<Lang> = OnceLock::new();

/// Sets the language of messages; the first call counts.
pub fn set(chosen: Option<Lang>) {
    let _ = LANGUAGE.set(chosen.unwrap_or_else(of_environment));
}

/// The language of messages: as it was set, or that of the help, or English before both.
pub fn lang() -> Lang {
    LANGUAGE.get().copied().unwrap_or_else(help_lang)
}

/// Sets the language of the help and of errors in a command line, which are made before it is
/// parsed: that of a `--lang` among its words, or else of the environment.
pub fn set_help(words: impl Iterator<Item = OsString>) {
    let _ = TYPED.set(typed(words).unwrap_or_else(of_environment));
}

/// The language of the help.
pub fn help_lang() -> Lang {
    *TYPED.get().unwrap_or(&Lang::En)
}

/// The language that the words of a command line or `CONSORCIO_LANG` ask for.
fn typed(words: impl Iterator<Item = OsString>) -> Option<Lang> {
    let words: Vec<String> = words.filter_map(|word| word.into_string().ok()).collect();
    let of = |(at, word): (usize, &String)| match word.split_once('=') {
        Some(("--lang" | "--idioma", lang)) => Some(lang.to_owned()),
        None if word == "--lang" || word == "--idioma" => words.get(at + 1).cloned(),
        Some(_) | None => None,
    };
    let chosen = words.iter().enumerate().take_while(|(_, word)| *word != "--").find_map(of);
    let chosen = chosen.or_else(|| std::env::var("CONSORCIO_LANG").ok());
    chosen.and_then(|chosen| read(&chosen).ok())
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
pub fn read(text: &str) -> Result<Lang, String> {
    Lang::of_locale(text).ok_or_else(|| format!("{text:?}: messages are in pt or en"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_is_in_the_language_that_is_typed() {
        let typed = |line: &str| typed(line.split_whitespace().map(OsString::from));
        assert_eq!(typed("cliente --lang pt --help"), Some(Lang::Pt));
        assert_eq!(typed("cliente help transfer --idioma=pt_BR"), Some(Lang::Pt));
        assert_eq!(typed("cliente set --lang en -- --lang pt"), Some(Lang::En));
    }
}
