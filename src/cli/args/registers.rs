//! The arguments of the commands about registers.

use super::DriveOptions;
use clap::Subcommand;
use consorcio_core::ids::{RegisterKey, RegisterValue};

const SET: &str = "\
Examples:
  cliente set 42                   storage becomes 42 at every bank, or nowhere
  cliente set azul --key cor       another register
  cliente set 1 --step             pause after each phase
  cliente set 42 --via 1           bank 1 drives it";

const GET: &str = "\
Examples:
  cliente get                        storage, as each bank holds it
  cliente get --key cor --json";

/// Commands about replicated registers.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum RegisterCommand {
    /// Set a replicated register to one value at every bank.
    #[command(visible_alias = "definir", alias = "gravar", before_help = SET)]
    Set {
        /// The new value, kept as given.
        #[arg(value_parser = RegisterValue::new, allow_hyphen_values = true)]
        value: RegisterValue,
        /// The key of the register.
        #[arg(long, default_value = "storage", value_parser = RegisterKey::new)]
        key: RegisterKey,
        #[command(flatten)]
        drive: DriveOptions,
    },
    /// Show a replicated register as each bank holds it.
    #[command(visible_alias = "valor", alias = "value", before_help = GET)]
    Get {
        /// The key of the register.
        #[arg(long, default_value = "storage", value_parser = RegisterKey::new)]
        key: RegisterKey,
    },
}
