//! What goes on at the banks: what is typed to see it, and to end what is undecided.

use crate::client::typed::bank;
use crate::ids::{BankId, TxId};
use clap::Subcommand;

/// Commands about banks and transactions.
#[derive(Debug, Clone, Subcommand)]
pub enum OverviewCommand {
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
}

impl OverviewCommand {
    /// Its word on the command line.
    pub fn word(&self) -> &'static str {
        match self {
            OverviewCommand::Status => "status",
            OverviewCommand::Pending => "pending",
            OverviewCommand::Resolve { .. } => "resolve",
            OverviewCommand::History { .. } => "history",
        }
    }
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(|| "1 to 1000000".into())
}
