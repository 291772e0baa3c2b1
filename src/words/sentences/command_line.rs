//! clap's own errors, and the words of its help.

use super::Table;

#[rustfmt::skip]
pub(super) const SENTENCES: Table = &[
    // The errors.
    ("error: {0}", "erro: {0}"),
    ("unexpected argument '{arg}' found", "argumento inesperado: '{arg}'"),
    ("unrecognized subcommand '{word}'", "comando desconhecido: '{word}'"),
    ("a value is required for '{arg}' but none was supplied", "'{arg}' precisa de um valor"),
    ("invalid value '{value}' for '{arg}'", "valor inválido '{value}' para '{arg}'"),
    ("invalid value '{value}' for '{arg}': {why}", "valor inválido '{value}' para '{arg}': {why}"),
    ("the following required arguments were not provided:", "faltam estes argumentos:"),
    ("'{command}' requires a subcommand but one was not provided",
     "'{command}' precisa de um comando"),
    ("the argument '{arg}' cannot be used with '{other}'",
     "'{arg}' não pode ser usado junto com '{other}'"),
    ("the subcommand '{arg}' cannot be used with '{other}'",
     "o comando '{arg}' não pode ser usado junto com '{other}'"),
    ("the argument '{arg}' cannot be used with:", "'{arg}' não pode ser usado junto com:"),
    ("the argument '{arg}' cannot be used with one or more of the other specified arguments",
     "'{arg}' não pode ser usado junto com outros dos argumentos dados"),
    ("the argument '{arg}' cannot be used multiple times",
     "'{arg}' não pode ser usado mais de uma vez"),
    ("unexpected value '{value}' for '{arg}' found; no more were expected",
     "valor inesperado '{value}' para '{arg}'"),
    ("invalid UTF-8 was detected in one or more arguments", "um ou mais argumentos não são UTF-8"),
    ("equal sign is needed when assigning values to '{arg}'",
     "'{arg}' precisa de um sinal de igual antes do valor"),
    ("{count} values required by '{arg}'; only {given} were provided",
     "'{arg}' precisa de {count} valores, e só {given} foram dados"),
    ("{count} values required for '{arg}' but {given} were provided",
     "'{arg}' precisa de {count} valores, e {given} foram dados"),
    // What stands below them.
    ("  tip: a similar argument exists: '{arg}'", "  dica: existe um argumento parecido: '{arg}'"),
    ("  tip: some similar arguments exist: {args}", "  dica: existem argumentos parecidos: {args}"),
    ("  tip: a similar subcommand exists: '{arg}'", "  dica: existe um comando parecido: '{arg}'"),
    ("  tip: some similar subcommands exist: {args}", "  dica: existem comandos parecidos: {args}"),
    ("  tip: a similar value exists: '{arg}'", "  dica: existe um valor parecido: '{arg}'"),
    ("  tip: some similar values exist: {args}", "  dica: existem valores parecidos: {args}"),
    ("  tip: to pass '{arg}' as a value, use '-- {arg}'",
     "  dica: para dar '{arg}' como valor, use '-- {arg}'"),
    ("  [possible values: {values}]", "  [valores: {values}]"),
    ("  [subcommands: {values}]", "  [comandos: {values}]"),
    ("Usage: {usage}", "Uso: {usage}"),
    ("For more information, try '{help}'.", "Para saber mais: '{help}'."),
];
