//! The command line of `cliente`: what can be typed, and the help that shows it. Nothing is done here.

use super::typed::{Account, FromLeg, ToLeg};
use crate::config::Consortium;
use crate::ids::{AccountNumber, BankId, ClientKind, ClientName, RegisterKey, RegisterValue, TaxId, TxId};
use crate::money::Money;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

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
    /// Set a replicated register to one value at every bank.
    #[command(alias = "definir", alias = "gravar")]
    Set {
        /// The value.
        #[arg(value_parser = RegisterValue::new, allow_hyphen_values = true)]
        value: RegisterValue,
        /// The register.
        #[arg(long, default_value = "storage", value_parser = RegisterKey::new)]
        key: RegisterKey,
        /// How it is driven.
        #[command(flatten)]
        how: How,
    },
    /// Show a replicated register as each bank holds it.
    #[command(alias = "valor", alias = "value")]
    Get {
        /// The register.
        #[arg(long, default_value = "storage", value_parser = RegisterKey::new)]
        key: RegisterKey,
    },
    /// Register a client at a bank.
    #[command(subcommand, alias = "cliente")]
    Client(ClientCommand),
    /// List clients.
    #[command(alias = "clientes")]
    Clients {
        /// Only those of this bank.
        #[arg(long, value_parser = bank)]
        bank: Option<BankId>,
    },
    /// Open an account at a bank.
    #[command(subcommand, alias = "conta")]
    Account(AccountCommand),
    /// List accounts.
    #[command(alias = "contas")]
    Accounts {
        /// Only those of this bank.
        #[arg(long, value_parser = bank)]
        bank: Option<BankId>,
        /// Only those of this holder.
        #[arg(long, value_parser = cpf)]
        cpf: Option<TaxId>,
    },
    /// Show one account: balance, what of it is held, what is available, what is coming in.
    #[command(alias = "saldo")]
    Balance {
        /// Which, as BANK/ACCOUNT.
        #[arg(value_name = "BANK/ACCOUNT", value_parser = Account::read)]
        account: Account,
    },
    /// Bring cash into an account.
    #[command(alias = "depositar")]
    Deposit(Cash),
    /// Take cash out of an account.
    #[command(alias = "sacar")]
    Withdraw(Cash),
    /// Move money from one or more accounts into others, at any banks, all or nothing.
    #[command(alias = "transferir")]
    Transfer {
        /// Out of this account, so much; may be given more than once. @CPF names a holder to be checked.
        #[arg(long, required = true, value_name = "BANK/ACCOUNT=AMOUNT[@CPF]", value_parser = FromLeg::read)]
        from: Vec<FromLeg>,
        /// Into this account; one without an amount gets what the others leave.
        #[arg(long, required = true, value_name = "BANK/ACCOUNT[=AMOUNT]", value_parser = ToLeg::read)]
        to: Vec<ToLeg>,
        /// How it is driven.
        #[command(flatten)]
        how: How,
    },
    /// Show all banks: online or not, undecided transactions, totals; and the sum of all money.
    #[command(alias = "estado")]
    Status,
    /// Show undecided transactions, and which banks keep them so.
    #[command(alias = "pendentes")]
    Pending,
    /// Find out what became of a transaction, and have the banks end it if it is undecided.
    #[command(alias = "resolver")]
    Resolve {
        /// Its id.
        #[arg(value_parser = TxId::new)]
        tx: TxId,
    },
    /// Show the newest outcomes.
    #[command(alias = "historico", alias = "histórico")]
    History {
        /// How many, from each bank.
        #[arg(default_value_t = 20, value_parser = count)]
        count: usize,
        /// Only those of this bank.
        #[arg(long, value_parser = bank)]
        bank: Option<BankId>,
    },
    /// Measure: transfers between running banks, from clients and accounts made for it.
    Bench(BenchArguments),
}

impl Command {
    /// Its word on the command line.
    pub fn word(&self) -> &'static str {
        match self {
            Command::Set { .. } => "set",
            Command::Get { .. } => "get",
            Command::Client(ClientCommand::Add { .. }) => "client add",
            Command::Clients { .. } => "clients",
            Command::Account(AccountCommand::Open { .. }) => "account open",
            Command::Accounts { .. } => "accounts",
            Command::Balance { .. } => "balance",
            Command::Deposit(_) => "deposit",
            Command::Withdraw(_) => "withdraw",
            Command::Transfer { .. } => "transfer",
            Command::Status => "status",
            Command::Pending => "pending",
            Command::Resolve { .. } => "resolve",
            Command::History { .. } => "history",
            Command::Bench(_) => "bench",
        }
    }
}

/// `cliente client …`
#[derive(Debug, Clone, Subcommand)]
pub enum ClientCommand {
    /// Register a client; the same again changes nothing.
    #[command(alias = "cadastrar", alias = "adicionar")]
    Add {
        /// At which bank.
        #[arg(long, value_parser = bank)]
        bank: BankId,
        /// CPF, 11 digits, or CNPJ, 14 characters; dots, dashes and slashes may be typed.
        #[arg(long, value_parser = cpf)]
        cpf: TaxId,
        /// Name, kept as given.
        #[arg(long, value_parser = ClientName::new)]
        name: ClientName,
        /// Kind, kept as given.
        #[arg(long, default_value = "Físico", value_parser = ClientKind::new)]
        kind: ClientKind,
    },
}

/// `cliente account …`
#[derive(Debug, Clone, Subcommand)]
pub enum AccountCommand {
    /// Open an account; the same again changes nothing.
    #[command(alias = "abrir")]
    Open {
        /// At which bank.
        #[arg(long, value_parser = bank)]
        bank: BankId,
        /// Its number, unique at that bank.
        #[arg(long, value_parser = AccountNumber::new)]
        number: AccountNumber,
        /// Its holder; given twice, the account is joint.
        #[arg(long, required = true, value_parser = cpf)]
        cpf: Vec<TaxId>,
        /// Cash brought in at the opening.
        #[arg(long, value_parser = super::typed::amount_or_zero)]
        deposit: Option<Money>,
    },
}

/// A deposit or a withdrawal.
#[derive(Debug, Clone, Args)]
pub struct Cash {
    /// Which account, as BANK/ACCOUNT.
    #[arg(value_name = "BANK/ACCOUNT", value_parser = Account::read)]
    pub account: Account,
    /// How much.
    #[arg(value_parser = super::typed::amount)]
    pub amount: Money,
    /// A holder of that account, to be checked.
    #[arg(long, value_parser = cpf)]
    pub cpf: Option<TaxId>,
    /// How it is driven.
    #[command(flatten)]
    pub how: How,
}

/// How a transaction is driven.
#[derive(Debug, Clone, Default, Args)]
pub struct How {
    /// Let this bank drive the transaction (EXECUTE), instead of this program.
    #[arg(long, value_name = "BANK", value_parser = bank)]
    pub via: Option<BankId>,
    /// The transaction's id; made if not given. The same id again never runs twice.
    #[arg(long, value_parser = TxId::new)]
    pub tx: Option<TxId>,
    /// The banks end the transaction by themselves only after so long (at most 300).
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=300))]
    pub patience: Option<u32>,
    /// For demonstrations and tests: once all votes are in, wait for a line on standard input before the verdict.
    #[arg(long, hide = true, conflicts_with = "via")]
    pub pause_after_prepare: bool,
}

/// `cliente bench`
#[derive(Debug, Clone, Args)]
pub struct BenchArguments {
    /// Clients at work at the same time, each with one connection a bank.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=3000))]
    pub clients: u32,
    /// Transactions each client has under way.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub depth: u32,
    /// How long is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// How long it runs before that.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub warmup: u32,
    /// Accounts at each bank; 1 makes one hot account a bank.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub accounts: u32,
    /// What each transaction does.
    #[arg(long, value_enum, default_value_t = Kind::Transfer)]
    pub kind: Kind,
    /// Let the banks drive (EXECUTE), instead of this program.
    #[arg(long)]
    pub via_bank: bool,
}

/// What the transactions of a benchmark do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// One debit and one credit, at two banks.
    Transfer,
    /// A register of each client's own, set at every bank.
    Set,
    /// Two debits at two banks into one credit at a third.
    Composite,
    /// One debit and one credit at one bank.
    Single,
}

impl Kind {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Transfer => "transfer",
            Kind::Set => "set",
            Kind::Composite => "composite",
            Kind::Single => "single",
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

fn bank(text: &str) -> Result<BankId, String> {
    super::typed::bank(text)
}

fn cpf(text: &str) -> Result<TaxId, String> {
    super::typed::cpf(text)
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(|| "1 to 1000000".into())
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
