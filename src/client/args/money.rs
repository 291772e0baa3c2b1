//! Money that moves: what is typed for deposits, withdrawals and transfers.

use super::How;
use crate::client::typed::{Account, FromLeg, ToLeg, amount, cpf};
use crate::ids::TaxId;
use crate::money::Money;
use clap::{Args, Subcommand};

/// Commands that move money.
#[derive(Debug, Clone, Subcommand)]
pub enum MoneyCommand {
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
}

impl MoneyCommand {
    /// Its word on the command line.
    pub fn word(&self) -> &'static str {
        match self {
            MoneyCommand::Deposit(_) => "deposit",
            MoneyCommand::Withdraw(_) => "withdraw",
            MoneyCommand::Transfer { .. } => "transfer",
        }
    }
}

/// A deposit or a withdrawal.
#[derive(Debug, Clone, Args)]
pub struct Cash {
    /// Which account, as BANK/ACCOUNT.
    #[arg(value_name = "BANK/ACCOUNT", value_parser = Account::read)]
    pub account: Account,
    /// How much.
    #[arg(value_parser = amount)]
    pub amount: Money,
    /// A holder of that account, to be checked.
    #[arg(long, value_parser = cpf)]
    pub cpf: Option<TaxId>,
    /// How it is driven.
    #[command(flatten)]
    pub how: How,
}
