//! The arguments of the commands about clients and accounts.

use super::WatchSwitch;
use crate::typed::{Account, amount_or_zero, bank, cpf};
use clap::Subcommand;
use consorcio_core::ids::{AccountNumber, BankId, ClientKind, ClientName, TaxId};
use consorcio_core::money::Money;

const ADD: &str = "\
Examples:
  cliente client add --bank 0 --cpf 11111111111 --name \"Maria Souza\"
  cliente client add --bank 1 --cpf 12.345.678/0001-95 --name \"Padaria Sol\" \\
    --kind Jurídico";

const OPEN: &str = "\
Examples:
  cliente account open 0/12345-6 --cpf 11111111111 --deposit 1000
  cliente account open 0/777-7 --cpf 11111111111 --cpf 22222222222";

const CLIENTS: &str = "\
Examples:
  cliente clients                    of all banks
  cliente clients --bank 1 | cut -f 2,3";

const ACCOUNTS: &str = "\
Examples:
  cliente accounts                   at all banks
  cliente accounts --cpf 11111111111 all accounts of one holder
  cliente accounts --watch 1s        again each second, until Ctrl-C
  cliente accounts | sort -t \"$(printf '\\t')\" -k 2 -n";

const BALANCE: &str = "\
Examples:
  cliente balance 0/12345-6          an account is BANK/NUMBER
  cliente balance 0/12345-6 --json | jq .available";

/// Commands about clients and accounts.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Register a client at a bank.
    #[command(subcommand, visible_alias = "cliente")]
    Client(ClientCommand),
    /// List the clients of all banks.
    #[command(visible_alias = "clientes", before_help = CLIENTS)]
    Clients {
        /// Only those of this bank.
        #[arg(long, value_parser = bank)]
        bank: Option<BankId>,
    },
    /// Open an account at a bank.
    #[command(subcommand, visible_alias = "conta")]
    Account(AccountCommand),
    /// List the accounts of all banks.
    #[command(visible_alias = "contas", before_help = ACCOUNTS)]
    Accounts {
        /// Only those of this bank.
        #[arg(long, value_parser = bank)]
        bank: Option<BankId>,
        /// Only those of this holder.
        #[arg(long, value_parser = cpf)]
        cpf: Option<TaxId>,
        #[command(flatten)]
        watch: WatchSwitch,
    },
    /// Show an account: its balance, held, available and incoming money.
    #[command(visible_alias = "saldo", before_help = BALANCE)]
    Balance {
        /// The account, as BANK/ACCOUNT.
        #[arg(value_name = "BANK/ACCOUNT", value_parser = Account::read)]
        account: Account,
    },
}

/// Subcommands of `cliente client`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ClientCommand {
    /// Register a client; the same again changes nothing.
    #[command(visible_alias = "cadastrar", alias = "adicionar", before_help = ADD)]
    Add {
        /// The position of the bank.
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

/// Subcommands of `cliente account`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum AccountCommand {
    /// Open an account; the same again changes nothing.
    #[command(visible_alias = "abrir", before_help = OPEN)]
    Open {
        /// The account, as BANK/ACCOUNT; its number is unique at that bank.
        #[arg(
            value_name = "BANK/ACCOUNT",
            value_parser = Account::read,
            required_unless_present = "number",
            conflicts_with_all = ["bank", "number"],
        )]
        account: Option<Account>,
        /// The position of the bank, with --number instead of BANK/ACCOUNT.
        #[arg(long, value_parser = bank, requires = "number")]
        bank: Option<BankId>,
        /// The number of the account, with --bank instead of BANK/ACCOUNT.
        #[arg(long, value_parser = AccountNumber::new, requires = "bank")]
        number: Option<AccountNumber>,
        /// Its holder; given twice, the account is joint.
        #[arg(long, required = true, value_parser = cpf)]
        cpf: Vec<TaxId>,
        /// Cash paid in at the opening.
        #[arg(long, value_parser = amount_or_zero)]
        deposit: Option<Money>,
    },
}
