//! What goes on at the banks: what is typed to see it, and to end what is undecided.

use crate::typed::{bank, duration};
use clap::Subcommand;
use consorcio_core::ids::{BankId, TxId};
use std::time::Duration;

const PING: &str = "\
Examples:
  cliente ping                       every bank, and how long its answer took
  cliente ping --wait 10s            until all answer; exit code 3 if they do not within 10 s
  cliente ping --bank 0              one bank, for a health check";

const STATUS: &str = "\
Examples:
  cliente status
  watch -n 1 cliente --output table status";

const PENDING: &str = "\
Examples:
  cliente pending
  cliente pending | cut -f 2,4";

const DOUBT: &str = "\
Examples:
  cliente doubt                      what is undecided, who holds what for it, which bank keeps \
    it so
  cliente doubt --json | jq .undecided[].tx";

const RESOLVE: &str = "\
Examples:
  cliente resolve pay-77";

const HISTORY: &str = "\
Examples:
  cliente history                    the newest 20
  cliente history 1000 --bank 0 | grep aborted";

/// Commands about banks and transactions.
#[derive(Debug, Clone, Subcommand)]
pub enum OverviewCommand {
    /// Show all banks: online or not, undecided transactions, totals; and the sum of all money.
    #[command(visible_alias = "estado", before_help = STATUS)]
    Status,
    /// See which banks answer, and how fast; for scripts and health checks.
    #[command(visible_alias = "sondar", before_help = PING)]
    Ping {
        /// Ask again until all answer, for so long at most, as in 10s, 500ms or 2m.
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        wait: Option<Duration>,
        /// Only this bank.
        #[arg(long, value_parser = bank)]
        bank: Option<BankId>,
    },
    /// Show undecided transactions, and which banks keep them so.
    #[command(visible_alias = "pendentes", before_help = PENDING)]
    Pending,
    /// Show each undecided transaction once, oldest first: who holds what for it, and which bank
    /// keeps it so.
    #[command(visible_alias = "duvidas", alias = "dúvidas", before_help = DOUBT)]
    Doubt,
    /// Find out what became of a transaction, and have the banks end it if it is undecided.
    #[command(visible_alias = "resolver", before_help = RESOLVE)]
    Resolve {
        /// Its id.
        #[arg(value_parser = TxId::new)]
        tx: TxId,
    },
    /// Show the newest outcomes.
    #[command(visible_alias = "historico", alias = "histórico", before_help = HISTORY)]
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
            OverviewCommand::Ping { .. } => "ping",
            OverviewCommand::Pending => "pending",
            OverviewCommand::Doubt => "doubt",
            OverviewCommand::Resolve { .. } => "resolve",
            OverviewCommand::History { .. } => "history",
        }
    }
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(|| "1 to 1000000".into())
}
