//! A line of the shell: a command of `cliente`, a request that goes to a bank as it is typed, or
//! one of the shell's own words.

use crate::args::{CliCommand, in_language, with_portuguese};
use crate::language::{Lang, help_lang, word};
use crate::output::OutputForm;
use crate::typed::bank;
use clap::{CommandFactory, FromArgMatches, Parser};
use consorcio_core::ids::BankId;

const EXAMPLES: &str = "\
Examples:
  transfer --from 0/12345-6=200,50 --to 2/78910-0
  balance 0/12345-6 --json               each command's switches work here, too
  help transfer                          a command's switches, with examples";

const RAW: &str = "\
Raw requests of the protocol, as they would be typed in nc:
  > PREPARE t1 {\"ops\": …}                to bank 0, over one connection that stays open
  >2 STATUS t1                           to bank 2, and further lines go there, too
  >2                                     further lines go to bank 2

exit, or Ctrl-D, leaves. Ctrl-C stops a command that runs. A line that begins with # is a comment.";

const EXAMPLES_PT: &str = "\
Exemplos:
  transferir --de 0/12345-6=200,50 --para 2/78910-0
  saldo 0/12345-6 --json                 as opções de cada comando valem aqui também
  help transferir                        as opções de um comando, com exemplos";

const RAW_PT: &str = "\
Pedidos do protocolo, como seriam digitados em nc:
  > PREPARE t1 {\"ops\": …}                ao banco 0, por uma conexão que fica aberta
  >2 STATUS t1                           ao banco 2, e as próximas linhas vão a ele também
  >2                                     as próximas linhas vão ao banco 2

sair, ou Ctrl-D, encerra. Ctrl-C para um comando em curso. Uma linha que começa com # é um \
comentário.";

/// A command line within the shell: that of `cliente` without the switches that hold for all lines.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "cliente",
    no_binary_name = true,
    disable_version_flag = true,
    about = "Commands of the shell: those of cliente",
    override_usage = "COMMAND [OPTIONS]"
)]
pub(super) struct ShellCommand {
    /// Print one JSON document, errors included; amounts are in centavos.
    #[arg(long, global = true)]
    pub json: bool,
    /// Form of the output of this line.
    #[arg(long, global = true, value_name = "FORM", value_enum)]
    pub output: Option<OutputForm>,
    #[command(subcommand)]
    pub command: CliCommand,
}

/// The definition of a line, with its options in Portuguese as well.
pub(super) fn shell_command() -> clap::Command {
    let (examples, raw) = match help_lang() {
        Lang::En => (EXAMPLES, RAW),
        Lang::Pt => (EXAMPLES_PT, RAW_PT),
    };
    let command = ShellCommand::command().before_help(examples).after_help(raw);
    in_language(with_portuguese(command))
}

impl ShellCommand {
    /// The form that the line sets, or else `form`, that of the shell.
    pub(super) fn form(&self, form: OutputForm) -> OutputForm {
        if self.json { OutputForm::Json } else { self.output.unwrap_or(form) }
    }
}

/// A request that is sent as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawLine {
    /// The bank that this line chooses, for itself and for further lines.
    pub bank: Option<BankId>,
    /// The request; empty where the line only chooses a bank.
    pub text: String,
}

/// What a line asks for.
#[derive(Debug)]
pub(super) enum ShellLine {
    /// An empty line, or a comment.
    Nothing,
    Exit,
    Raw(RawLine),
    Command(Box<ShellCommand>),
}

/// Why a line is none of these.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShellLineError {
    #[error("{0}")]
    Text(String),
    /// Also where a line asks for help.
    #[error(transparent)]
    Command(#[from] clap::Error),
}

impl ShellLine {
    /// Reads a line without its end.
    ///
    /// # Errors
    /// What is wrong with it, or the help that it asks for.
    pub(super) fn read(line: &str) -> Result<ShellLine, ShellLineError> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(ShellLine::Nothing);
        }
        if let Some(raw) = line.strip_prefix('>') {
            return read_raw(raw).map(ShellLine::Raw).map_err(ShellLineError::Text);
        }
        let words = shlex::split(line).ok_or_else(|| {
            ShellLineError::Text(
                word!("a quote of this line is not closed" / "há aspas abertas nesta linha")
                    .to_owned(),
            )
        })?;
        let words = without_program(&words);
        let is_help = words.first().is_some_and(|word| word == "ajuda");
        let in_english = [&["help".to_owned()], words.get(1..).unwrap_or_default()].concat();
        let words = if is_help { &in_english } else { words };
        match words.first().map(String::as_str) {
            None => Ok(ShellLine::Nothing),
            Some("exit" | "quit" | "sair") if words.len() == 1 => Ok(ShellLine::Exit),
            Some(_) => {
                let matches = shell_command().try_get_matches_from(words)?;
                let command = ShellCommand::from_arg_matches(&matches)?;
                Ok(ShellLine::Command(Box::new(command)))
            }
        }
    }
}

/// Reads what follows the `>`: the position of a bank, directly behind it, and a request.
fn read_raw(raw: &str) -> Result<RawLine, String> {
    let digits = raw.find(|c: char| !c.is_ascii_digit()).unwrap_or(raw.len());
    let (position, text) = raw.split_at(digits);
    let bank = if position.is_empty() { None } else { Some(bank(position)?) };
    let text = text.trim().to_owned();
    if bank.is_none() && text.is_empty() {
        let how = word!(
            "> sends a request to a bank as it is typed: > STATUS t1"
                / "> envia um pedido a um banco como foi digitado: > STATUS t1"
        );
        return Err(how.to_owned());
    }
    Ok(RawLine { bank, text })
}

/// The words without the program's name, which is there where a line was copied. `cliente` is also
/// a command, which registers clients.
pub(super) fn without_program(words: &[String]) -> &[String] {
    let Some((first, rest)) = words.split_first() else { return words };
    let Some(second) = rest.first() else { return words };
    let registers = || {
        let root = shell_command();
        let client = root.find_subcommand("cliente");
        client.is_some_and(|client| client.find_subcommand(second).is_some())
    };
    if first == "cliente" && second != "help" && !registers() { rest } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{ClientCommand, LedgerCommand, MoneyCommand, OverviewCommand};
    use clap::error::ErrorKind;

    fn word(line: &str) -> &'static str {
        match ShellLine::read(line) {
            Ok(ShellLine::Command(command)) => match command.command {
                CliCommand::Overview(OverviewCommand::Status(_)) => "status",
                CliCommand::Money(MoneyCommand::Transfer { .. }) => "transfer",
                CliCommand::Ledger(LedgerCommand::Client(ClientCommand::Add { .. })) => {
                    "client add"
                }
                other => panic!("{line}: {other:?}"),
            },
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn commands_are_those_of_the_program() {
        shell_command().debug_assert();
        assert_eq!(word("status"), "status");
        assert_eq!(word("  cliente transferir --de 0/1=5 --para 1/2 "), "transfer");
        assert_eq!(
            word("cliente cadastrar --bank 0 --cpf 11111111111 --name 'Ana Sá'"),
            "client add"
        );
        assert_eq!(
            word("cliente cliente cadastrar --bank 0 --cpf 11111111111 --name A"),
            "client add"
        );
        let Ok(ShellLine::Command(line)) = ShellLine::read("accounts --output tsv") else {
            panic!()
        };
        assert_eq!(line.form(OutputForm::Table), OutputForm::Tsv);
        let Ok(ShellLine::Command(line)) = ShellLine::read("accounts --json") else { panic!() };
        assert_eq!(line.form(OutputForm::Table), OutputForm::Json);
    }

    #[test]
    fn the_shells_own_lines_are_no_commands() {
        for line in ["", "  ", "# transfer", "cliente # set"] {
            let read = ShellLine::read(line);
            let is_nothing = matches!(read, Ok(ShellLine::Nothing));
            assert!(is_nothing || line.starts_with("cliente"), "{line:?}: {read:?}");
        }
        for line in ["exit", "quit", " sair "] {
            assert!(matches!(ShellLine::read(line), Ok(ShellLine::Exit)), "{line}");
        }
        for line in ["help transfer", "ajuda transferir", "ajuda"] {
            let Err(ShellLineError::Command(help)) = ShellLine::read(line) else { panic!() };
            assert_eq!(help.kind(), ErrorKind::DisplayHelp, "{line}");
        }
    }

    #[test]
    fn raw_lines_name_a_bank_or_none() {
        let raw = |line: &str| match ShellLine::read(line) {
            Ok(ShellLine::Raw(raw)) => (raw.bank.map(BankId::index), raw.text),
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(raw("> STATUS t1"), (None, "STATUS t1".into()));
        assert_eq!(raw(">2 STATUS 'a"), (Some(2), "STATUS 'a".into()), "no quotes in raw lines");
        assert_eq!(raw(">1"), (Some(1), String::new()));
        for (line, named) in [(">", "as it is typed"), (">99 PING", "99")] {
            let error = ShellLine::read(line).unwrap_err().to_string();
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = |line: &str| ShellLine::read(line).unwrap_err().to_string();
        assert!(error("set 'a").contains("not closed"));
        assert!(error("trasnfer").contains("transfer"), "a suggestion");
        assert!(error("balance 12345-6").contains("BANK/NUMBER"));
        assert!(error("exit now").contains("exit"));
    }
}
