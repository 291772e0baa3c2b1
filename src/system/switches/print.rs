//! Prints the help and the errors of a command line in the language of the person, wrapped at the
//! width of the terminal.

use crate::terminal;
use clap::error::ErrorKind;
use consorcio_words::Lang;
use consorcio_words::process::help_lang;
use consorcio_words::sentences::told_in;
use std::io::{self, IsTerminal, Write};

/// Words of clap's help that no definition of a command has, with their Portuguese.
const HELP_WORDS: [(&str, &str); 8] = [
    ("[OPTIONS]", "[OPÇÕES]"),
    ("[COMMAND]", "[COMANDO]"),
    ("<COMMAND>", "<COMANDO>"),
    ("[default:", "[padrão:"),
    ("[possible values:", "[valores:"),
    ("Possible values:", "Valores:"),
    (
        "Print this message or the help of the given subcommand(s)",
        "Mostra esta ajuda, ou a do comando dado",
    ),
    ("Usage:", "Uso:"),
];

/// Prints what clap has to say: help on standard output, an error on standard error. Returns the
/// exit code of the program.
pub fn print_error(error: &clap::Error) -> u8 {
    let lang = help_lang();
    let is_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    // The reader of the help may have closed the pipe.
    let _ = match (is_help, lang) {
        (true, Lang::En) => error.print(),
        (true, Lang::Pt) => print_help(error),
        (false, _) => io::stderr().write_all(coloured(&error_text(error, lang)).as_bytes()),
    };
    if error.use_stderr() { 2 } else { 0 }
}

fn print_help(error: &clap::Error) -> io::Result<()> {
    let rendered = error.render();
    let is_plain = |is_terminal: bool| !is_terminal || is_colourless();
    if error.use_stderr() {
        let mut out = io::stderr();
        out.write_all(help(rendered, is_plain(out.is_terminal())).as_bytes())
    } else {
        let mut out = io::stdout();
        out.write_all(help(rendered, is_plain(out.is_terminal())).as_bytes())
    }
}

fn help(rendered: clap::builder::StyledStr, is_plain: bool) -> String {
    let text = if is_plain { rendered.to_string() } else { rendered.ansi().to_string() };
    help_words(text)
}

fn is_colourless() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// `text` of clap with its own words in Portuguese.
fn help_words(text: String) -> String {
    HELP_WORDS.iter().fold(text, |text, (english, word)| text.replace(english, word))
}

/// The error in this language, with line ends and without colours. Its lines are as wide as the
/// terminal at most.
fn error_text(error: &clap::Error, lang: Lang) -> String {
    let columns = terminal::columns(&io::stderr());
    let text = sentences_of(&error.render().to_string(), lang);
    let lines = text.lines().map(|line| terminal::wrapped(line, columns) + "\n");
    lines.collect()
}

/// Each line of an error in this language.
pub fn sentences_of(text: &str, lang: Lang) -> String {
    let line = |line: &str| match lang {
        Lang::En => line.to_owned() + "\n",
        Lang::Pt => help_words(told_in(lang, line)) + "\n",
    };
    text.lines().map(line).collect()
}

/// The error with its first word in red, on a terminal.
fn coloured(text: &str) -> String {
    match text.split_once(':') {
        Some((word @ ("error" | "erro"), rest))
            if io::stderr().is_terminal() && !is_colourless() =>
        {
            format!("\x1b[1;31m{word}:\x1b[0m{rest}")
        }
        Some(_) | None => text.to_owned(),
    }
}
