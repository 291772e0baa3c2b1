//! The arguments of `cliente shell`.

use clap::Args;
use std::path::PathBuf;

/// Examples at the top of its help.
pub(super) const EXAMPLES: &str = "\
Examples:
  cliente shell                              line by line: status, transfer ..., > STATUS t1
  cliente shell -f pay.txt                   a batch: one transaction a line, # is a comment
  cliente shell -f pay.txt --keep-going      ... that goes on where a line fails
  make-payments | cliente shell --json       lines from a pipe, one JSON document a line

A batch stops at the first line that fails. It ends with a summary; its exit code is that of the \
    first failure,
or 5 where an outcome is not known. A line that gives its transaction an id (--tx) runs once, \
    also when the
batch is run again.";

#[derive(Debug, Clone, Args)]
pub(crate) struct ShellArguments {
    /// Run the lines of this file; - is standard input, the default if that is no terminal.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Go on after a line that fails.
    #[arg(long)]
    pub keep_going: bool,
}
