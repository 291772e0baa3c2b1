//! `cliente bench`: what is typed to measure.

use clap::Args;

/// What the help shows first.
pub const EXAMPLES: &str = "\
Examples:
  cliente bench                      64 clients, transfers across two banks, 5 s
  cliente bench --kind set --clients 8 --depth 4 --seconds 10
  cliente bench --accounts 1 --via-bank";

/// `cliente bench`
#[derive(Debug, Clone, Args)]
pub struct BenchArguments {
    /// Clients at work at the same time, each with one connection a bank.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=3000))]
    pub clients: u32,
    /// Transactions each client has under way.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub depth: u32,
    /// How long is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// How long it runs before that.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub warmup: u32,
    /// Accounts at each bank; 1 makes one hot account a bank.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub accounts: u32,
    /// What each transaction does.
    #[arg(long, value_enum, default_value_t = Kind::Transfer)]
    pub kind: Kind,
    /// Let the banks drive (EXECUTE), instead of this program.
    #[arg(long)]
    pub via_bank: bool,
}

/// What the transactions of a benchmark do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// One debit and one credit, at two banks.
    Transfer,
    /// A register of each client's own, set at every bank.
    Set,
    /// Two debits at two banks into one credit at a third.
    Composite,
    /// One debit and one credit at one bank.
    Single,
}

impl Kind {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Transfer => "transfer",
            Kind::Set => "set",
            Kind::Composite => "composite",
            Kind::Single => "single",
        }
    }
}
