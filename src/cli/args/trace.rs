//! The arguments of `cliente trace`.

use clap::Args;
use consorcio_core::ids::TxId;
use std::path::PathBuf;

/// Examples at the top of its help.
pub(super) const EXAMPLES: &str = "\
Examples:
  cliente trace pay-77                       each step at each node, and where
                                             the time went
  cliente trace pay-77 --svg pay-77.svg      the same, drawn
  cliente trace pay-77 --logs bank-0/ bank-1/ bank-2/ cliente-1.log
  cliente trace --slowest 5                  the transactions that took longest;
                                             also --aborted, --doubtful";

#[derive(Debug, Clone, Args)]
pub(crate) struct TraceArguments {
    /// The transaction to show.
    #[arg(value_parser = TxId::new)]
    pub tx: Option<TxId>,
    /// Folders or files of the nodes' step logs; --log-dir if not given.
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub logs: Vec<PathBuf>,
    /// Draw it into this file, as a sequence diagram; - is standard output.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["slowest", "aborted", "doubtful"])]
    pub svg: Option<PathBuf>,
    /// List the transactions that took longest instead.
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        default_missing_value = "10",
        value_parser = count,
        conflicts_with = "tx",
    )]
    pub slowest: Option<usize>,
    /// List the newest that were aborted instead.
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        default_missing_value = "10",
        value_parser = count,
        conflicts_with_all = ["tx", "slowest"],
    )]
    pub aborted: Option<usize>,
    /// List those without an outcome in the logs instead, oldest first.
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        default_missing_value = "10",
        value_parser = count,
        conflicts_with_all = ["tx", "slowest", "aborted"],
    )]
    pub doubtful: Option<usize>,
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=10_000).contains(n)).ok_or_else(|| "1 to 10000".into())
}
