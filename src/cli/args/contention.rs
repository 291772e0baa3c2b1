//! The arguments of `cliente contention`.

use crate::typed::duration;
use clap::Args;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Examples at the top of its help.
pub(super) const EXAMPLES: &str = "\
Examples:
  cliente contention                 16 clients, 30 s, then a verdict
  cliente contention --clients 64 --accounts 1 --seconds 10
  cliente contention --mix set:1,transfer:8,composite:2,read:1 --hot 90 --seed 7
  cliente --name maria contention --client-logs
                                     one step log a client:
                                     logs/cliente-maria-1.log …
  cliente contention --html run.html the run over time: throughput, latency,
                                     faults, refusals, slowest transactions

It opens accounts of its own, with cash, and they stay in the banks' books.
Banks may die and come back meanwhile (scripts/contention.sh kills them):
outcomes that a client does not know are resolved afterwards. Exit code 0 only
if every cut added up, the registers are equal at all banks, nothing is left
undecided, and every outcome is the same for its client and for all banks.";

#[derive(Debug, Clone, Args)]
pub(crate) struct ContentionArguments {
    /// Clients at work at the same time, each with one connection a bank.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub clients: u32,
    /// Duration of the run, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// Kinds of requests, each with its share.
    #[arg(
        long,
        value_name = "KIND:SHARE,…",
        default_value = "set:1,transfer:8,composite:2,read:1"
    )]
    pub mix: Mix,
    /// Accounts at each bank; they are this run's own.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=9999))]
    pub accounts: u32,
    /// Percentage of accesses that use a bank's first account instead of a random one.
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(0..=100),
    )]
    pub hot: u32,
    /// The same seed makes the same requests again; chosen and printed if not given.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Requests a second of all clients together; as fast as they can if not given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// At the end, undecided transactions and banks that are down get this long.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub settle: Duration,
    /// Let the banks drive (EXECUTE), instead of this program.
    #[arg(long)]
    pub via_bank: bool,
    /// Give each client a name and a step log of its own, NAME-1, NAME-2, …
    #[arg(long)]
    pub client_logs: bool,
    /// Write a report with charts into this file, a page that needs no network.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// The shares of the kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mix {
    /// The share of sets of a register at every bank.
    pub set: u32,
    /// The share of one debit with one credit.
    pub transfer: u32,
    /// The share of two debits with one credit.
    pub composite: u32,
    /// The share of reads of a balance or a register.
    pub read: u32,
}

impl Mix {
    /// The sum of all shares.
    pub(crate) fn sum(&self) -> u32 {
        self.set + self.transfer + self.composite + self.read
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Mix, String> {
        let mut mix = Mix::default();
        for part in text.split(',') {
            let (kind, share) = part.split_once(':').unwrap_or((part, "1"));
            let share = share.parse().ok().filter(|share: &u32| *share <= 1000);
            let share =
                share.ok_or_else(|| format!("{part:?}: a share is a number from 0 to 1000"))?;
            match kind {
                "set" => mix.set = share,
                "transfer" => mix.transfer = share,
                "composite" => mix.composite = share,
                "read" => mix.read = share,
                _ => return Err(format!("{kind:?} is none of set, transfer, composite and read")),
            }
        }
        if mix.sum() == 0 { Err("all shares are 0".into()) } else { Ok(mix) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_parsed() {
        let mix = |text: &str| text.parse::<Mix>();
        assert_eq!(mix("set:1,transfer:8"), Ok(Mix { set: 1, transfer: 8, composite: 0, read: 0 }));
        assert_eq!(mix("read"), Ok(Mix { read: 1, ..Mix::default() }));
        for (typed, named) in
            [("", "none of"), ("set:0", "all shares"), ("set:x", "number"), ("pay:1", "pay")]
        {
            assert!(mix(typed).unwrap_err().contains(named), "{typed}");
        }
    }
}
