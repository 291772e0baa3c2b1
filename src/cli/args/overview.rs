//! The arguments of the commands about banks and transactions.

use super::WatchSwitch;
use crate::typed::{bank, duration};
use clap::Subcommand;
use consorcio_core::ids::{BankId, TxId};
use std::time::Duration;

const PING: &str = "\
Examples:
  cliente ping                     every bank, and how long its answer took
  cliente ping --wait 10s          until all answer; exit code 3 if they do not
  cliente ping --bank 0            one bank, for a health check";

const STATUS: &str = "\
Examples:
  cliente status
  cliente status --watch 1s          again each second, on one screen, until Ctrl-C";

const PENDING: &str = "\
Examples:
  cliente pending
  cliente pending --watch 500ms      again and again, until Ctrl-C
  cliente pending | cut -f 2,4";

const DOUBT: &str = "\
Examples:
  cliente doubt                    undecided transactions, what is held, whose
                                   votes are missing
  cliente doubt --json | jq .undecided[].tx";

const RESOLVE: &str = "\
Examples:
  cliente resolve pay-77";

const HISTORY: &str = "\
Examples:
  cliente history                    the newest 20
  cliente history 1000 --bank 0 | grep aborted
  cliente history --who              and whose they are";

/// Commands about banks and transactions.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum OverviewCommand {
    /// Show all banks: online or not, undecided transactions, totals; and the sum of all money.
    #[command(visible_alias = "estado", before_help = STATUS)]
    Status(WatchSwitch),
    /// Show which banks answer, and how fast; for scripts and health checks.
    #[command(visible_alias = "sondar", before_help = PING)]
    Ping {
        /// Retry until all answer, for at most this long, as in 10s, 500ms or 2m.
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        wait: Option<Duration>,
        /// Ping only this bank.
        #[arg(long, value_parser = bank)]
        bank: Option<BankId>,
    },
    /// Show undecided transactions, and the banks whose votes are missing.
    #[command(visible_alias = "pendentes", before_help = PENDING)]
    Pending(WatchSwitch),
    /// Show each undecided transaction once, oldest first: what banks hold for it, and whose votes
    /// are missing.
    #[command(visible_alias = "duvidas", alias = "dúvidas", before_help = DOUBT)]
    Doubt,
    /// Show the outcome of a transaction; have the banks decide it if it is undecided.
    #[command(visible_alias = "resolver", before_help = RESOLVE)]
    Resolve {
        /// The id of the transaction.
        #[arg(value_parser = TxId::new)]
        tx: TxId,
    },
    /// Show the last decided transactions.
    #[command(visible_alias = "historico", alias = "histórico", before_help = HISTORY)]
    History {
        /// Number of transactions from each bank.
        #[arg(default_value_t = 20, value_parser = count)]
        count: usize,
        /// Only those of this bank.
        #[arg(long, value_parser = bank)]
        bank: Option<BankId>,
        /// Show whose transaction each is (closed mode).
        #[arg(long)]
        who: bool,
    },
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(|| "1 to 1000000".into())
}
