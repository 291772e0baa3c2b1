//! The arguments of `cliente top`.

use crate::typed::duration;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Examples at the top of its help.
pub(super) const EXAMPLES: &str = "\
Examples:
  cliente top                        all banks on one screen; q ends it
  cliente top --every 500ms
  cliente top --logs bank-0/ bank-1/ latency, queue and syncs from these step logs

Keys: q ends, p pauses, s sorts by the next column, r reverses, arrows scroll the undecided ones.
Throughput, undecided transactions and holds come from the banks themselves; latency, queue and \
    syncs from their
step logs, where these can be read.";

#[derive(Debug, Clone, Args)]
pub(crate) struct TopArguments {
    /// How often the banks are asked.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub every: Duration,
    /// Folders or files of the banks' step logs; --log-dir if not given.
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub logs: Vec<PathBuf>,
}
