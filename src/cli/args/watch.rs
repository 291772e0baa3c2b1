//! The switch of commands that can be repeated.

use crate::typed::duration;
use clap::Args;
use std::time::Duration;

/// Whether a command that only reads is repeated, and how often.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct WatchSwitch {
    /// Repeat it this often, until Ctrl-C; on a terminal, on one screen.
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        default_missing_value = "1s",
        value_parser = duration,
    )]
    pub watch: Option<Duration>,
}
