//! The arguments of `cliente audit`.

use crate::typed::duration;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Examples at the top of its help.
pub(super) const EXAMPLES: &str = "\
Examples:
  cliente audit                    one cut of all banks: does it add up?
  cliente audit --accounts         ... with every account and register
  cliente audit --watch 1s         again and again, until Ctrl-C
  cliente audit --journals data    offline, from the banks' data folders; the
                                   banks may run or not

Give --journals the folders of running or stopped banks themselves. Copies hold
only if all of them were made while all banks were stopped, or of one snapshot
of the disk: copies made one after the other are of different moments, and what
was decided between them is missing in the earlier ones.

Exit code 0 only if all of it holds; 3 or 5 where a bank is missing or in doubt:
then no verdict is given.";

#[derive(Debug, Clone, Args)]
pub(crate) struct AuditArguments {
    /// Also show each account and register.
    #[arg(long, conflicts_with = "journals")]
    pub accounts: bool,
    /// Repeat it, each cut newer than the one before; Ctrl-C ends with a summary.
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        default_missing_value = "1s",
        value_parser = duration,
        conflicts_with = "journals",
    )]
    pub watch: Option<Duration>,
    /// Verify these data folders instead, or all in a parent folder. They are not changed.
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub journals: Vec<PathBuf>,
}
