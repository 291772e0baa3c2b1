//! The arguments of deposits, withdrawals and transfers.

use super::DriveOptions;
use crate::typed::{Account, FromLeg, ToLeg, amount, cpf};
use clap::{Args, Subcommand};
use consorcio_core::ids::TaxId;
use consorcio_core::money::Money;

const DEPOSIT: &str = "\
Examples:
  cliente deposit 0/12345-6 1.234,56
  cliente deposit 0/12345-6 50 --cpf 11111111111";

const WITHDRAW: &str = "\
Examples:
  cliente withdraw 0/12345-6 50
  cliente withdraw 0/12345-6 50 --cpf 11111111111    only if that is a holder";

const TRANSFER: &str = "\
Examples:
  cliente transfer --from 0/12345-6=200,50 --to 2/78910-0
  cliente transfer --from 0/12345-6=200 --from 1/45678-0=300 --to 2/78910-0
  cliente transfer --from 0/12345-6=300 --to 1/45678-0=100 --to 2/78910-0
  cliente transfer --from 0/12345-6=5 --to 2/78910-0 --tx pay-77
                                   again, and it runs once";

/// Commands that move money.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum MoneyCommand {
    /// Pay cash into an account.
    #[command(visible_alias = "depositar", before_help = DEPOSIT)]
    Deposit(Cash),
    /// Pay cash out of an account.
    #[command(visible_alias = "sacar", before_help = WITHDRAW)]
    Withdraw(Cash),
    /// Move money from one or more accounts into others, at any banks, all or nothing.
    #[command(visible_alias = "transferir", before_help = TRANSFER)]
    Transfer {
        /// An account, as BANK/NUMBER, and the amount to debit; may be repeated. @CPF after the
        /// amount names a holder to be checked.
        #[arg(
            long,
            required = true,
            value_name = "ACCOUNT=AMOUNT",
            value_parser = FromLeg::read,
        )]
        from: Vec<FromLeg>,
        /// An account to credit, with =AMOUNT or without; may be repeated. One without an amount
        /// gets the rest.
        #[arg(
            long,
            required = true,
            value_name = "ACCOUNT",
            value_parser = ToLeg::read,
        )]
        to: Vec<ToLeg>,
        #[command(flatten)]
        drive: DriveOptions,
    },
}

/// A deposit or a withdrawal.
#[derive(Debug, Clone, Args)]
pub(crate) struct Cash {
    /// The account, as BANK/ACCOUNT.
    #[arg(value_name = "BANK/ACCOUNT", value_parser = Account::read)]
    pub account: Account,
    /// The amount, above zero.
    #[arg(value_parser = amount)]
    pub amount: Money,
    /// A holder of that account, to be checked.
    #[arg(long, value_parser = cpf)]
    pub cpf: Option<TaxId>,
    #[command(flatten)]
    pub drive: DriveOptions,
}
