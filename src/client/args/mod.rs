//! The command line of `cliente`: what can be typed, and the help that shows it. Nothing is done here.
//!
//! Each group of commands has a file of its own; [`Command`] puts them in the order of the help.

mod bench;
mod how;
mod ledgers;
mod money;
mod overview;
mod registers;

use crate::config::Consortium;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

pub use bench::{BenchArguments, Kind};
pub use how::How;
pub use ledgers::{AccountCommand, ClientCommand, LedgerCommand};
pub use money::{Cash, MoneyCommand};
pub use overview::OverviewCommand;
pub use registers::RegisterCommand;

const EXAMPLES: &str = "\
Examples:
  cliente                                        set storage to 1 on all banks, show each vote
  cliente set 42                                 one value, every bank: all change it or none does
  cliente client add --bank 0 --cpf 11111111111 --name \"Maria Souza\" --kind Físico
  cliente account open --bank 0 --number 12345-6 --cpf 11111111111 --deposit 1000
  cliente transfer --from 0/12345-6=200,50 --to 2/78910-0
  cliente transfer --from 0/12345-6=200 --from 1/45678-0=300 --to 2/78910-0
  cliente balance 0/12345-6                      an account is BANK/NUMBER
  cliente status                                 all banks, and the sum of all money
  cliente resolve TX                             what became of a transaction
  cliente bench --clients 64 --seconds 5

Amounts are typed 200, 200.50 or 200,50. Portuguese works too: transferir, depositar, sacar, saldo, contas …
";

const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 own error · 2 usage · 3 no connection · 4 refused or aborted · 5 outcome not known yet
            130 interrupted";

/// Moves money between banks, all or nothing.
#[derive(Debug, Clone, Parser)]
#[command(name = "cliente", version, before_help = EXAMPLES, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The banks, by position: host:port, bare ports of this machine, or 8886-8888; `-` where one left.
    #[arg(long, global = true, env = "CONSORCIO_CONSORTIUM", value_name = "LIST", default_value = Consortium::DEFAULT)]
    pub consortium: Consortium,
    /// This client's name; its step log is named after it. Stands before the command.
    // Not global: `client add --name` is a person's.
    #[arg(long, env = "CONSORCIO_CLIENT_NAME", default_value = "cliente-1", value_parser = name)]
    pub name: String,
    /// Where the step log goes.
    #[arg(long, global = true, env = "CONSORCIO_LOG_DIR", value_name = "DIR", default_value = "logs")]
    pub log_dir: PathBuf,
    /// Print one JSON document, errors included; amounts are in centavos.
    #[arg(long, global = true)]
    pub json: bool,
    /// Without one: set `storage` to 1 on all banks.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What `cliente` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Replicated registers.
    #[command(flatten)]
    Register(RegisterCommand),
    /// Clients and accounts.
    #[command(flatten)]
    Ledger(LedgerCommand),
    /// Deposits, withdrawals, transfers.
    #[command(flatten)]
    Money(MoneyCommand),
    /// What goes on at the banks.
    #[command(flatten)]
    Overview(OverviewCommand),
    /// Measure: transfers between running banks, from clients and accounts made for it.
    Bench(BenchArguments),
}

impl Command {
    /// Its word on the command line.
    pub fn word(&self) -> &'static str {
        match self {
            Command::Register(command) => command.word(),
            Command::Ledger(command) => command.word(),
            Command::Money(command) => command.word(),
            Command::Overview(command) => command.word(),
            Command::Bench(_) => "bench",
        }
    }
}

/// A client's name becomes a file's name, so it can't be a path.
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
    fn the_switches_are_well_made() {
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
        ] {
            assert!(read(line).command.is_some(), "{line}");
        }
    }

    #[test]
    fn a_person_and_a_client_may_both_have_a_name() {
        let line = "cliente --name cliente-7 client add --bank 0 --cpf 11111111111 --name Maria --json";
        let arguments = read(line);
        assert_eq!((arguments.name.as_str(), arguments.json), ("cliente-7", true));
    }

    #[test]
    fn a_name_that_is_a_path_is_refused() {
        for name in ["../x", "a/b", "", ".x"] {
            assert!(Arguments::try_parse_from(["cliente", "--name", name]).is_err(), "{name}");
        }
    }
}
