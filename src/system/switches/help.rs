//! The help of a command line in Portuguese: each sentence by its English one, and the headings.
//!
//! Examples stay as they are typed; only the words above them are translated.

use clap::{Arg, ArgAction, Command};

const TEMPLATE: &str = "{before-help}{about-with-newline}\nUso: {usage}\n\n{all-args}{after-help}";
const OPTIONS: &str = "Opções";
/// The names of values, as `<FILE>`.
const VALUES: [(&str, &str); 23] = [
    ("KIND:SHARE,…", "TIPO:PARTE,…"),
    ("ORIGIN", "ORIGEM"),
    ("PERCENT", "PORCENTAGEM"),
    ("PER_SECOND", "POR_SEGUNDO"),
    ("PORT", "PORTA"),
    ("ACCOUNT", "CONTA"),
    ("ACCOUNT=AMOUNT", "CONTA=VALOR"),
    ("ADDRESS", "ENDEREÇO"),
    ("AMOUNT", "VALOR"),
    ("BANK", "BANCO"),
    ("BANK/ACCOUNT", "BANCO/CONTA"),
    ("COUNT", "NÚMERO"),
    ("DIR", "PASTA"),
    ("DURATION", "TEMPO"),
    ("EVENT", "EVENTO"),
    ("FILE", "ARQUIVO"),
    ("FORM", "FORMA"),
    ("FORMAT", "FORMATO"),
    ("LANG", "LÍNGUA"),
    ("LIST", "LISTA"),
    ("NAME", "NOME"),
    ("SECONDS", "SEGUNDOS"),
    ("VALUE", "VALOR"),
];

/// The texts of a program's own help.
#[derive(Debug, Clone, Copy)]
pub struct HelpTexts {
    /// The Portuguese of a sentence; itself if there is none.
    pub sentence: fn(&str) -> String,
    /// What stands before the help of the program itself.
    pub before: &'static str,
    /// What stands below its switches.
    pub after: &'static str,
}

/// The command with its help in Portuguese. The program itself, unlike a line of its shell, has
/// examples of all commands, and `--version`.
pub fn in_portuguese(command: Command, texts: &HelpTexts) -> Command {
    let command = translated(command, texts.sentence);
    if command.get_version().is_none() {
        return command;
    }
    let command = command.before_help(texts.before).after_help(texts.after);
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
    let version = version.help("Mostra a versão").help_heading(OPTIONS);
    command.disable_version_flag(true).arg(version)
}

fn translated(command: Command, sentence: fn(&str) -> String) -> Command {
    let about = command.get_about().map(|about| sentence(&about.to_string()));
    let before = command.get_before_help().map(ToString::to_string);
    let mut command = command
        .help_template(TEMPLATE)
        .subcommand_help_heading("Comandos")
        .subcommand_value_name("COMANDO");
    if let Some(about) = about {
        command = command.about(about);
    }
    if let Some(before) = before {
        command = command.before_help(before.replacen("Examples:", "Exemplos:", 1));
    }
    let command = command.mut_args(|arg| {
        let heading = match (arg.get_help_heading(), arg.is_positional()) {
            (Some(_), _) => "Opções de todo comando",
            (None, true) => "Argumentos",
            (None, false) => OPTIONS,
        };
        let help = arg.get_help().map(|help| sentence(&help.to_string()));
        let arg = with_values(arg).help_heading(heading);
        if let Some(help) = help { arg.help(help) } else { arg }
    });
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    let help = help.help("Mostra esta ajuda (-h: o resumo)").help_heading(OPTIONS);
    let command = command.disable_help_flag(true).arg(help);
    command.mut_subcommands(|below| translated(below, sentence))
}

/// The argument with the names of its values in Portuguese. clap makes one of the argument's own
/// name where it has none.
fn with_values(arg: Arg) -> Arg {
    if !arg.get_action().takes_values() {
        return arg;
    }
    let own = arg.get_id().as_str().to_uppercase().replace('-', "_");
    let known =
        |name: &str| VALUES.iter().find(|(english, _)| *english == name).map(|(_, name)| *name);
    match arg.get_value_names().unwrap_or_default() {
        [] => match known(&own) {
            Some(name) => arg.value_name(name),
            None => arg,
        },
        [name] => match known(name) {
            Some(name) => arg.value_name(name),
            None => arg,
        },
        [..] => arg,
    }
}
