//! The arguments of `cliente monitor`.

use crate::typed::{Account, bank};
use clap::Args;
use consorcio_core::ids::{BankId, TxId};
use consorcio_steps::steplog::Step;
use std::path::PathBuf;

/// Examples at the top of its help.
pub(super) const EXAMPLES: &str = "\
Examples:
  cliente monitor                            the steps of all banks and clients, as they happen
  cliente monitor --bank 0 --event vote,outcome
  cliente monitor --account 0/12345-6        each transaction that names the account
  cliente monitor --tx pay-77 --wide         one transaction, lines uncut
  cliente monitor --json | jq .detail

It follows the step logs, so it runs where these are: --logs names the folders. Filters of \
    several kinds must
all hold; of several values of one kind, any. Ctrl-C ends it.";

#[derive(Debug, Clone, Args)]
pub(crate) struct MonitorArguments {
    /// Only steps of this bank; may be repeated.
    #[arg(long, value_parser = bank)]
    pub bank: Vec<BankId>,
    /// Only transactions that name this account, from the first step that names it.
    #[arg(long, value_name = "BANK/ACCOUNT", value_parser = Account::read)]
    pub account: Vec<Account>,
    /// Only these events, as in vote,outcome.
    #[arg(long, value_delimiter = ',', value_parser = event)]
    pub event: Vec<String>,
    /// Only this transaction; may be repeated.
    #[arg(long, value_parser = TxId::new)]
    pub tx: Vec<TxId>,
    /// Show whole lines; on a terminal they are cut at its width otherwise.
    #[arg(long)]
    pub wide: bool,
    /// Folders or files of the nodes' step logs; --log-dir if not given.
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub logs: Vec<PathBuf>,
}

/// An event of the step log.
fn event(text: &str) -> Result<String, String> {
    if Step::EVENTS.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("no event of the step log; these are: {}", Step::EVENTS.join(" ")))
    }
}
