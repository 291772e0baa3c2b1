//! The switches of every command that runs a transaction.

use crate::typed::{bank, new_tx};
use clap::Args;
use consorcio_core::ids::{BankId, TxId};

/// The options of a transaction.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DriveOptions {
    /// Let this bank drive the transaction (EXECUTE), instead of this program.
    #[arg(long, value_name = "BANK", value_parser = bank)]
    pub via: Option<BankId>,
    /// The transaction's id; generated if not given. The same id never runs twice.
    #[arg(long, value_parser = new_tx)]
    pub tx: Option<TxId>,
    /// Seconds until the banks decide the transaction by themselves (at most 300).
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=300))]
    pub patience: Option<u32>,
    /// Show each phase and pause after it: Enter goes on (the first one commits), Ctrl-C leaves the
    /// transaction to the banks. They wait 300 s for a person, unless --patience says otherwise.
    #[arg(long, conflicts_with = "via")]
    pub step: bool,
}
