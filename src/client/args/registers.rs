//! Registers: what is typed to set one at every bank, and to look at it.

use super::How;
use crate::ids::{RegisterKey, RegisterValue};
use clap::Subcommand;

/// Commands about replicated registers.
#[derive(Debug, Clone, Subcommand)]
pub enum RegisterCommand {
    /// Set a replicated register to one value at every bank.
    #[command(alias = "definir", alias = "gravar")]
    Set {
        /// The value.
        #[arg(value_parser = RegisterValue::new, allow_hyphen_values = true)]
        value: RegisterValue,
        /// The register.
        #[arg(long, default_value = "storage", value_parser = RegisterKey::new)]
        key: RegisterKey,
        /// How it is driven.
        #[command(flatten)]
        how: How,
    },
    /// Show a replicated register as each bank holds it.
    #[command(alias = "valor", alias = "value")]
    Get {
        /// The register.
        #[arg(long, default_value = "storage", value_parser = RegisterKey::new)]
        key: RegisterKey,
    },
}

impl RegisterCommand {
    /// Its word on the command line.
    pub fn word(&self) -> &'static str {
        match self {
            RegisterCommand::Set { .. } => "set",
            RegisterCommand::Get { .. } => "get",
        }
    }
}
