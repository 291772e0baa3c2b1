//! The command line with its options in Portuguese as well: one table for all commands.
//!
//! Commands have their aliases where they are defined.

use super::{Arguments, help};
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

/// Each option with its Portuguese name.
const OPTIONS: &[(&str, &str)] = &[
    ("aborted", "abortadas"),
    ("account", "conta"),
    ("accounts", "contas"),
    ("as", "como"),
    ("bank", "banco"),
    ("client-logs", "log-por-cliente"),
    ("clients", "clientes"),
    ("config", "configuracao"),
    ("consortium", "consorcio"),
    ("deposit", "deposito"),
    ("depth", "profundidade"),
    ("dir", "pasta"),
    ("doubtful", "duvidosas"),
    ("event", "evento"),
    ("every", "intervalo"),
    ("file", "arquivo"),
    ("from", "de"),
    ("hot", "concentracao"),
    ("journals", "diarios"),
    ("keep-going", "continuar"),
    ("key", "chave"),
    ("kind", "tipo"),
    ("lang", "idioma"),
    ("log-dir", "pasta-log"),
    ("log-format", "formato-log"),
    ("mix", "mistura"),
    ("name", "nome"),
    ("number", "numero"),
    ("output", "saida"),
    ("own", "proprios"),
    ("patience", "paciencia"),
    ("rate", "taxa"),
    ("runs", "rodadas"),
    ("seconds", "segundos"),
    ("seed", "semente"),
    ("settle", "espera-final"),
    ("slowest", "mais-lentas"),
    ("step", "passo"),
    ("timeout", "prazo"),
    ("to", "para"),
    ("verbose", "detalhes"),
    ("via", "pelo-banco"),
    ("via-bank", "pelos-bancos"),
    ("wait", "esperar"),
    ("warmup", "aquecimento"),
    ("watch", "repetir"),
    ("wide", "inteiras"),
    ("yes", "sim"),
    ("who", "quem"),
];

/// The arguments, typed in English or in Portuguese.
#[derive(Debug, Clone)]
pub(crate) struct BilingualArguments(pub(crate) Arguments);

impl CommandFactory for BilingualArguments {
    fn command() -> Command {
        help::in_language(with_portuguese(Arguments::command()))
    }

    fn command_for_update() -> Command {
        with_portuguese(Arguments::command_for_update())
    }
}

impl FromArgMatches for BilingualArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<BilingualArguments, clap::Error> {
        Arguments::from_arg_matches(matches).map(BilingualArguments)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// `command` and all commands below it, with the Portuguese name of each option.
pub(crate) fn with_portuguese(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let long = arg.get_long().unwrap_or_default();
        match OPTIONS.iter().find(|(name, _)| *name == long) {
            Some((_, portuguese)) => arg.visible_alias(*portuguese),
            None => arg,
        }
    });
    command.mut_subcommands(with_portuguese)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::CliCommand;
    use consorcio_system::switches;

    /// Options whose word is the same in both languages, or that clap adds.
    const SAME: [&str; 10] =
        ["cpf", "csv", "help", "html", "json", "logs", "svg", "tls", "tx", "version"];

    fn read(line: &str) -> Arguments {
        let read = switches::parse::<BilingualArguments>(line.split_whitespace(), |_| false);
        read.unwrap_or_else(|error| panic!("{line}: {error}")).0.0
    }

    #[test]
    fn every_option_has_a_portuguese_name() {
        fn check(command: &Command, missing: &mut Vec<String>) {
            for arg in command.get_arguments() {
                let Some(long) = arg.get_long().filter(|long| !SAME.contains(long)) else {
                    continue;
                };
                if arg.get_visible_aliases().is_none_or(|aliases| aliases.is_empty()) {
                    missing.push(format!("{} --{long}", command.get_name()));
                }
            }
            command.get_subcommands().for_each(|below| check(below, missing));
        }
        let mut missing = Vec::new();
        let command = BilingualArguments::command();
        command.clone().debug_assert();
        check(&command, &mut missing);
        assert_eq!(missing, [""; 0], "add them to OPTIONS");
    }

    #[test]
    fn portuguese_options_mean_the_same() {
        let line = "cliente --nome cliente-7 cliente cadastrar --banco 2 --cpf 11111111111 --nome \
                    Maria --tipo Jurídico --json";
        let arguments = read(line);
        assert_eq!((arguments.name.as_deref(), arguments.json), (Some("cliente-7"), true));
        assert!(matches!(arguments.command, Some(CliCommand::Ledger(_))));
        for line in [
            "cliente conta abrir --banco 0 --numero 1 --cpf 11111111111 --deposito 10,50",
            "cliente conta abrir 0/1 --cpf 11111111111",
            "cliente definir 1 --passo --paciencia 60 --chave cor",
            "cliente transferir --de 0/1=5 --para 1/2",
            "cliente contas --banco 1 --prazo 500ms --consorcio 8886-8888",
            "cliente sondar --esperar 10s --saida tsv --idioma pt",
            "cliente auditar --repetir 2s",
            "cliente rastrear --mais-lentas 3",
            "cliente medir --proprios --clientes 2 --segundos 1",
        ] {
            assert!(read(line).command.is_some(), "{line}");
        }
    }
}
