//! The command line of `cliente`, and its help.
//!
//! Each group of commands has a file; [`CliCommand`] has them in the order of the help.

mod audit;
mod bench;
mod contention;
mod driving;
mod help;
mod ledgers;
mod manual;
mod money;
mod monitor;
mod overview;
mod portuguese;
mod registers;
mod secure;
mod shell;
mod top;
mod trace;
mod watch;

use super::language::{self, Lang};
use super::output::OutputForm;
use super::typed::duration;
use clap::{Parser, Subcommand};
use consorcio_system::config::Consortium;
use consorcio_system::logging::LogArgs;
use consorcio_system::switches::ConfigArgs;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use audit::AuditArguments;
pub(crate) use bench::{BenchArguments, BenchKind};
pub(crate) use contention::{ContentionArguments, Mix};
pub(crate) use driving::DriveOptions;
pub(crate) use help::in_language;
pub(crate) use ledgers::{AccountCommand, ClientCommand, LedgerCommand};
pub(crate) use manual::ManualCommand;
pub(crate) use money::{Cash, MoneyCommand};
pub(crate) use monitor::MonitorArguments;
pub(crate) use overview::OverviewCommand;
pub(crate) use portuguese::{BilingualArguments, with_portuguese};
pub(crate) use registers::RegisterCommand;
pub(crate) use secure::SecureArguments;
pub(crate) use shell::ShellArguments;
pub(crate) use top::TopArguments;
pub(crate) use trace::TraceArguments;
pub(crate) use watch::WatchSwitch;

const EXAMPLES: &str = "\
Examples:
  cliente                         set storage to 1 on all banks, show each vote
  cliente set 42                  one value: every bank changes it, or none does
  cliente set 42 --step           ... and pause after each phase
  cliente client add --bank 0 --cpf 11111111111 --name \"Maria Souza\"
  cliente account open 0/12345-6 --cpf 11111111111 --deposit 1000
  cliente transfer --from 0/12345-6=200,50 --to 2/78910-0
  cliente transfer --from 0/12345-6=200 --from 1/45678-0=300 --to 2/78910-0
  cliente balance 0/12345-6       an account is BANK/NUMBER
  cliente status                  all banks, and the sum of all money
  cliente resolve TX              what became of a transaction
  cliente trace TX --svg t.svg    its way through all nodes, from their logs
  cliente bench --own --clients 64 --seconds 5
  cliente ping --wait 10s && cliente accounts | cut -f 1,2
  cliente transfer --help         each command has examples of its own

Amounts are typed 200, 200.50 or 200,50. Portuguese works too: transferir,
depositar, sacar, saldo, contas, --banco, --nome … (--lang pt for messages)
";

/// The environment variable with the form of the output, for when no switch has it.
pub(crate) const OUTPUT_VARIABLE: &str = "CONSORCIO_OUTPUT";

const AFTER: &str = "\
Forms of --output:
  table  for people, with colours on a terminal (NO_COLOR takes them away)
  tsv    a line of headings, then rows with tabs between cells, amounts as
         1234.56, times as RFC 3339, and errors on standard error
  json   one document, amounts in centavos, errors included
Exit codes: 0 done · 1 own error · 2 usage · 3 no connection · 4 refused or
            aborted · 5 outcome not known yet · 130 interrupted";

/// `CLIENT_TIMEOUT_MS` as an argument.
const TIMEOUT_TEXT: &str = "2s";

/// The heading of the switches that every command has.
const EVERYWHERE: &str = "Every command's options";

/// Moves money between banks, all or nothing.
#[derive(Debug, Clone, Parser)]
#[command(name = "cliente", version, before_help = EXAMPLES, after_help = AFTER)]
pub(crate) struct Arguments {
    /// The banks, by position: host:port, bare ports of this machine, or 8886-8888; `-` where one
    /// left.
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        env = "CONSORCIO_CONSORTIUM",
        allow_hyphen_values = true,
        value_name = "LIST",
        default_value = Consortium::DEFAULT,
    )]
    pub consortium: Consortium,
    /// This client's name; its step log is named after it. Stands before the command. Without one:
    /// cliente-1, or the next that no other process has.
    // Not global: `client add --name` is a person's.
    #[arg(
        long,
        help_heading = EVERYWHERE,
        env = "CONSORCIO_CLIENT_NAME",
        value_parser = name,
    )]
    pub name: Option<String>,
    /// Folder of the step log.
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        env = "CONSORCIO_LOG_DIR",
        value_name = "DIR",
        default_value = "logs",
    )]
    pub log_dir: PathBuf,
    /// Time-out of a bank to connect, vote and answer, as in 500ms or 10s; 3 s more where it waits
    /// for other banks.
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        env = "CONSORCIO_TIMEOUT",
        value_name = "DURATION",
        default_value = TIMEOUT_TEXT,
        value_parser = duration,
    )]
    pub timeout: Duration,
    /// Print one JSON document, errors included; amounts are in centavos. The same as --output
    /// json.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
    /// Form of the output; by default tables on a terminal, tab-separated rows in a pipe.
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        env = OUTPUT_VARIABLE,
        value_name = "FORM",
        value_enum,
        hide_possible_values = true,
    )]
    pub output: Option<OutputForm>,
    /// Language of messages, pt or en; that of LANG if not given.
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        env = "CONSORCIO_LANG",
        value_parser = language::read,
    )]
    pub lang: Option<Lang>,
    #[command(flatten)]
    pub secure: SecureArguments,
    #[command(flatten, next_help_heading = EVERYWHERE)]
    pub config: ConfigArgs,
    #[command(flatten, next_help_heading = EVERYWHERE)]
    pub log: LogArgs,
    /// Without one: set `storage` to 1 on all banks.
    #[command(subcommand)]
    pub command: Option<CliCommand>,
}

impl Arguments {
    /// The form that the arguments set, or else the default for standard output.
    pub(crate) fn form(&self) -> OutputForm {
        let csv = matches!(&self.command, Some(CliCommand::Bench(bench)) if bench.csv);
        if self.json || self.output == Some(OutputForm::Json) {
            OutputForm::Json
        } else if csv {
            OutputForm::Tsv
        } else {
            self.output.unwrap_or_else(OutputForm::of_stdout)
        }
    }
}

/// The commands of `cliente`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CliCommand {
    /// Commands about replicated registers.
    #[command(flatten)]
    Register(RegisterCommand),
    /// Commands about clients and accounts.
    #[command(flatten)]
    Ledger(LedgerCommand),
    /// Commands that move money.
    #[command(flatten)]
    Money(MoneyCommand),
    /// Commands about banks and transactions.
    #[command(flatten)]
    Overview(OverviewCommand),
    /// Prove that no centavo is missing, while everything runs or offline.
    #[command(visible_alias = "auditar", before_help = audit::EXAMPLES)]
    Audit(AuditArguments),
    /// Show a transaction over all nodes, from their step logs; or find slow, aborted, doubtful
    /// ones.
    #[command(visible_alias = "rastrear", before_help = trace::EXAMPLES)]
    Trace(TraceArguments),
    /// Show the steps of all banks and clients as they happen, from their step logs.
    #[command(visible_alias = "acompanhar", before_help = monitor::EXAMPLES)]
    Monitor(MonitorArguments),
    /// Show all banks on one screen: throughput, latency, undecided transactions, queue, syncs.
    #[command(visible_alias = "painel", before_help = top::EXAMPLES)]
    Top(TopArguments),
    /// Have many clients contend for few accounts, verify every outcome, and give a verdict.
    #[command(visible_alias = "disputar", before_help = contention::EXAMPLES)]
    Contention(ContentionArguments),
    /// Measure throughput and latency of transfers between banks.
    #[command(visible_alias = "medir", before_help = bench::EXAMPLES)]
    Bench(BenchArguments),
    /// Type commands line by line, with history and completion; or run a batch of them.
    #[command(visible_alias = "terminal", before_help = shell::EXAMPLES)]
    Shell(ShellArguments),
    /// Commands for shells and manuals.
    #[command(flatten)]
    Manual(ManualCommand),
}

impl CliCommand {
    /// Whether the command runs a transaction and reports its outcome.
    pub(crate) fn is_transaction(&self) -> bool {
        match self {
            CliCommand::Money(_) | CliCommand::Register(RegisterCommand::Set { .. }) => true,
            CliCommand::Register(RegisterCommand::Get { .. })
            | CliCommand::Ledger(_)
            | CliCommand::Overview(_)
            | CliCommand::Audit(_)
            | CliCommand::Trace(_)
            | CliCommand::Monitor(_)
            | CliCommand::Top(_)
            | CliCommand::Contention(_)
            | CliCommand::Bench(_)
            | CliCommand::Shell(_)
            | CliCommand::Manual(_) => false,
        }
    }

    /// Whether the command itself shows what it waits for.
    pub(crate) fn shows_progress(&self) -> bool {
        match self {
            CliCommand::Overview(
                OverviewCommand::Status(watch) | OverviewCommand::Pending(watch),
            )
            | CliCommand::Ledger(LedgerCommand::Accounts { watch, .. }) => watch.watch.is_some(),
            CliCommand::Audit(arguments) => arguments.watch.is_some(),
            CliCommand::Bench(_)
            | CliCommand::Contention(_)
            | CliCommand::Monitor(_)
            | CliCommand::Top(_)
            | CliCommand::Shell(_) => true,
            CliCommand::Register(_)
            | CliCommand::Ledger(_)
            | CliCommand::Money(_)
            | CliCommand::Overview(_)
            | CliCommand::Trace(_)
            | CliCommand::Manual(_) => false,
        }
    }

    /// Whether it shows the phases of a transaction one by one.
    pub(crate) fn is_in_steps(&self) -> bool {
        match self {
            CliCommand::Register(RegisterCommand::Set { drive, .. })
            | CliCommand::Money(MoneyCommand::Transfer { drive, .. }) => drive.step,
            CliCommand::Money(MoneyCommand::Deposit(cash) | MoneyCommand::Withdraw(cash)) => {
                cash.drive.step
            }
            _ => false,
        }
    }
}

/// A client's name is part of a file name, so it must not be a path.
fn name(text: &str) -> Result<String, String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=64).contains(&text.len()) && text.bytes().all(legal) && !text.starts_with('.') {
        Ok(text.to_owned())
    } else {
        Err("1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn read(line: &str) -> Arguments {
        Arguments::try_parse_from(line.split_whitespace()).unwrap()
    }

    #[test]
    fn the_switches_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn portuguese_works_too() {
        for line in [
            "cliente valor",
            "cliente definir 1",
            "cliente cliente cadastrar --bank 0 --cpf 11111111111 --name Maria",
            "cliente conta abrir --bank 0 --number 1 --cpf 11111111111 --deposit 10,50",
            "cliente contas",
            "cliente clientes",
            "cliente saldo 0/1",
            "cliente depositar 0/1 2,50",
            "cliente sacar 0/1 2.50",
            "cliente transferir --from 0/1=5 --to 1/2",
            "cliente estado",
            "cliente pendentes",
            "cliente resolver t1",
            "cliente historico 5",
            "cliente medir",
            "cliente sondar",
            "cliente completar bash",
            "cliente manual",
            "cliente auditar",
            "cliente duvidas",
            "cliente rastrear t1 --logs a b --svg t1.svg",
            "cliente rastrear --slowest --logs a",
            "cliente disputar",
            "cliente painel",
            "cliente acompanhar --event vote",
            "cliente terminal",
        ] {
            assert!(read(line).command.is_some(), "{line}");
        }
    }

    /// Every command and subcommand has a visible alias, and examples at the top of its help.
    #[test]
    fn every_command_has_an_alias_and_examples() {
        fn check(command: &clap::Command, seen: &mut usize) {
            for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
                *seen += 1;
                let name = below.get_name();
                assert!(
                    below.get_visible_aliases().next().is_some(),
                    "{name} has no visible alias"
                );
                if below.has_subcommands() {
                    check(below, seen);
                } else {
                    let first =
                        below.get_before_help().map(ToString::to_string).unwrap_or_default();
                    let example = first.lines().nth(1).unwrap_or_default().trim();
                    assert!(first.starts_with("Examples:\n  cliente "), "{name} has no examples");
                    let words: Vec<&str> = example.split_whitespace().collect();
                    assert!(words.contains(&name), "{name}: its first example shows it: {example}");
                }
            }
        }
        let mut seen = 0;
        check(&Arguments::command(), &mut seen);
        assert!(seen >= 18, "{seen}");
    }

    #[test]
    fn the_timeout_is_the_documented_one() {
        let typed = |line: &str| read(line).timeout.as_millis();
        assert_eq!(typed("cliente status"), u128::from(consorcio_core::limits::CLIENT_TIMEOUT_MS));
        assert_eq!(typed("cliente status --timeout 500ms"), 500);
    }

    #[test]
    fn the_most_specific_form_wins() {
        assert_eq!(read("cliente --output tsv status").form(), OutputForm::Tsv);
        assert_eq!(read("cliente status --output table").form(), OutputForm::Table);
        assert_eq!(read("cliente --output table --json status").form(), OutputForm::Json);
        assert_eq!(read("cliente bench --csv --output table").form(), OutputForm::Tsv);
        assert_eq!(read("cliente --output json bench --csv").form(), OutputForm::Json);
        assert!(Arguments::try_parse_from(["cliente", "--output", "xml"]).is_err());
    }

    #[test]
    fn persons_and_clients_have_separate_name_switches() {
        let line =
            "cliente --name cliente-7 client add --bank 0 --cpf 11111111111 --name Maria --json";
        let arguments = read(line);
        assert_eq!((arguments.name.as_deref(), arguments.json), (Some("cliente-7"), true));
    }

    #[test]
    fn a_name_that_is_a_path_is_refused() {
        for name in ["../x", "a/b", "", ".x"] {
            assert!(Arguments::try_parse_from(["cliente", "--name", name]).is_err(), "{name}");
        }
    }
}
