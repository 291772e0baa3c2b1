//! Clients and accounts: what is typed to make and to see them.

use crate::client::typed::{Account, amount_or_zero, bank, cpf};
use crate::ids::{AccountNumber, BankId, ClientKind, ClientName, TaxId};
use crate::money::Money;
use clap::Subcommand;

/// Commands about clients and accounts.
#[derive(Debug, Clone, Subcommand)]
pub enum LedgerCommand {
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
}

impl LedgerCommand {
    /// Its word on the command line.
    pub fn word(&self) -> &'static str {
        match self {
            LedgerCommand::Client(ClientCommand::Add { .. }) => "client add",
            LedgerCommand::Clients { .. } => "clients",
            LedgerCommand::Account(AccountCommand::Open { .. }) => "account open",
            LedgerCommand::Accounts { .. } => "accounts",
            LedgerCommand::Balance { .. } => "balance",
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
        #[arg(long, value_parser = amount_or_zero)]
        deposit: Option<Money>,
    },
}
