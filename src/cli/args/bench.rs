//! The arguments of `cliente bench`.

use clap::Args;

/// Examples at the top of its help.
pub(super) const EXAMPLES: &str = "\
Examples:
  cliente bench --own                64 clients, transfers over two banks, 5 s;
                                     banks of its own, gone afterwards
  cliente bench --yes                ... at the running banks; what it opens
                                     there stays for ever
  cliente bench --own --kind set --clients 8 --depth 4 --seconds 10
  cliente bench --own --accounts 1 --via-bank
  cliente bench --own --rate 5000    open loop: latency from the time at which
                                     each was due
  cliente bench --own --runs 3 --csv a line for each run, one with the medians";

#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArguments {
    /// Start three banks in a temporary folder, and remove them afterwards.
    #[arg(long)]
    pub own: bool,
    /// Open its accounts at the running banks without confirmation; they and their money stay
    /// permanently.
    #[arg(long, conflicts_with = "own")]
    pub yes: bool,
    /// Clients at work at the same time, each with one connection a bank.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=3000))]
    pub clients: u32,
    /// Transactions each client has under way, at most; 1 if not given, or 64 with --rate.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub depth: Option<u32>,
    /// Begin this many transactions a second in all, evenly spread (open loop); without it a client
    /// begins the next one when one has ended (closed loop).
    #[arg(
        long,
        value_name = "PER_SECOND",
        value_parser = clap::value_parser!(u32).range(1..=10_000_000),
    )]
    pub rate: Option<u32>,
    /// Measured time, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// Warm-up before it, in seconds.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(0..=3600),
    )]
    pub warmup: u32,
    /// Accounts at each bank; 1 makes one hot account a bank.
    #[arg(
        long,
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=4_000_000),
    )]
    pub accounts: u32,
    /// Make one account of the first bank part of every transfer.
    #[arg(long)]
    pub hot: bool,
    /// Repeat the run this many times; the figures are medians.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// Print rows with commas between cells.
    #[arg(long)]
    pub csv: bool,
    /// What each transaction does.
    #[arg(long, value_enum, default_value_t = BenchKind::Transfer)]
    pub kind: BenchKind,
    /// Let the banks drive (EXECUTE), instead of this program.
    #[arg(long)]
    pub via_bank: bool,
}

impl BenchArguments {
    /// The maximum of transactions under way for each client.
    pub(crate) fn depth(&self) -> u32 {
        // An open loop must be able to begin further ones while some are slow.
        self.depth.unwrap_or(if self.rate.is_some() { 64 } else { 1 })
    }
}

/// What the transactions of a benchmark do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BenchKind {
    /// One debit and one credit, at two banks.
    Transfer,
    /// A register of each client's own, set at every bank.
    Set,
    /// Two debits at two banks into one credit at a third.
    Composite,
    /// One debit and one credit at one bank.
    Single,
}

impl BenchKind {
    /// The value on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            BenchKind::Transfer => "transfer",
            BenchKind::Set => "set",
            BenchKind::Composite => "composite",
            BenchKind::Single => "single",
        }
    }
}
