//! The other side of `scripts/compare.sh`: the same transfers by PostgreSQL and Redis servers.
//!
//! With two PostgreSQL servers each transfer takes part in both, by PREPARE TRANSACTION
//! ([`across`]); with one server both accounts are in it ([`inside`]), as with Redis ([`redis`]).

mod across;
mod inside;
mod pg_session;
mod pipeline;
mod redis;
mod tally;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};
use std::process::ExitCode;
use tally::BenchTally;
use tokio::task::LocalSet;

/// Centavos in each account at the beginning.
const OPENING: i64 = 100_000_000;

/// Transfers by PostgreSQL or Redis servers on this machine.
#[derive(Debug, Clone, Parser)]
struct ComparisonArguments {
    /// What the servers are.
    #[arg(long, value_enum)]
    server: PeerKind,
    /// The port of the server, or those of two PostgreSQL servers.
    #[arg(long, value_delimiter = ',', required = true)]
    ports: Vec<u16>,
    /// Clients at work at the same time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    clients: u32,
    /// Transfers that each client has under way; more than one at a single server alone.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=500))]
    depth: u32,
    /// Measured time, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Warm-up before it, in seconds.
    #[arg(long, default_value_t = 1)]
    warmup: u64,
    /// Accounts at each server.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(i32).range(2..))]
    accounts: i32,
    /// Make one account of the first of two servers part of every transfer.
    #[arg(long)]
    hot: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PeerKind {
    Postgres,
    Redis,
}

fn main() -> ExitCode {
    let arguments = ComparisonArguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ran = runtime
        .map_err(Into::into)
        .and_then(|runtime| LocalSet::new().block_on(&runtime, measure(&arguments)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("consorcio-compare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &ComparisonArguments) -> Result<()> {
    let tally = BenchTally::shared()?;
    let total = match (arguments.server, &arguments.ports[..]) {
        (PeerKind::Postgres, &[first, second]) if arguments.depth == 1 => {
            across::measure(arguments, [first, second], &tally).await?
        }
        (PeerKind::Postgres, &[port]) if !arguments.hot => {
            inside::measure(arguments, port, &tally).await?
        }
        (PeerKind::Redis, &[port]) if !arguments.hot => {
            redis::measure(arguments, port, &tally).await?
        }
        _ => bail!("--depth needs one server, --hot two PostgreSQL servers"),
    };
    let accounts = i64::from(arguments.accounts) * i64::try_from(arguments.ports.len())?;
    let conserved = total == accounts * OPENING;
    tally.borrow().print(arguments, conserved);
    if conserved { Ok(()) } else { bail!("money was made or lost, or is still prepared") }
}
