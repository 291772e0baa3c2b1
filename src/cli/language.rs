//! The language of messages: `--lang`, or else the locale. A process has one.
//!
//! A message has both languages side by side where it is made: `say!("{n} banks" / "{n} bancos")`.
//! Names of commands, JSON and the headings of rows do not depend on it; programs read these.

pub(crate) use consorcio_words::Lang;
pub(crate) use consorcio_words::process::{help_lang, lang, read, set, set_help};

/// A word of a cell in the language of this process. JSON and rows have the English one.
pub(crate) fn term(english: &'static str) -> &'static str {
    match lang() {
        Lang::En => english,
        Lang::Pt => {
            let known = TERMS.iter().find(|(known, _)| *known == english);
            known.map_or(english, |(_, portuguese)| portuguese)
        }
    }
}

/// The words of cells: outcomes, states, verdicts, operations.
const TERMS: [(&str, &str); 24] = [
    ("committed", "efetivada"),
    ("aborted", "abortada"),
    ("undecided", "pendente"),
    ("unknown", "desconhecida"),
    ("error", "erro"),
    ("holds", "confere"),
    ("BROKEN", "NÃO CONFERE"),
    ("adds up", "confere"),
    ("no verdict", "sem resultado"),
    ("no cut", "sem corte"),
    ("all", "todos"),
    ("online", "no ar"),
    ("offline", "fora do ar"),
    ("disk hangs", "disco parado"),
    ("account", "conta"),
    ("register", "registro"),
    ("debit", "débito"),
    ("credit", "crédito"),
    ("deposit", "depósito"),
    ("withdraw", "saque"),
    ("not asked", "não perguntado"),
    ("unreachable", "não alcançado"),
    ("silent", "sem resposta"),
    ("none", "nenhum"),
];

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
