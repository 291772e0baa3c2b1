//! What all clients counted, the measured time, and the transfers that they draw.

use crate::ComparisonArguments;
use anyhow::Result;
use hdrhistogram::Histogram;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The counters of all clients.
pub struct BenchTally {
    committed: u64,
    not_committed: u64,
    prepared_us: Histogram<u64>,
    committed_us: Histogram<u64>,
}

/// The counters, as all clients of this thread hold them.
pub type SharedTally = Rc<RefCell<BenchTally>>;

/// When the measured time begins and ends.
#[derive(Clone, Copy)]
pub struct BenchPlan {
    begin: Instant,
    pub end: Instant,
}

impl BenchPlan {
    /// Begins after the warm-up, which begins now.
    pub fn now(arguments: &ComparisonArguments) -> BenchPlan {
        let begin = Instant::now() + Duration::from_secs(arguments.warmup);
        BenchPlan { begin, end: begin + Duration::from_secs(arguments.seconds) }
    }
}

/// How a transfer ended.
pub enum TransferEnd {
    /// Committed; if at two servers, both were prepared at this time.
    Committed {
        prepared: Option<Instant>,
    },
    NotCommitted,
}

impl BenchTally {
    pub fn shared() -> Result<SharedTally> {
        Ok(Rc::new(RefCell::new(BenchTally {
            committed: 0,
            not_committed: 0,
            prepared_us: Histogram::new(3)?,
            committed_us: Histogram::new(3)?,
        })))
    }

    /// Counts a transfer, if it ended in the measured time.
    pub fn count(
        &mut self,
        plan: BenchPlan,
        began: Instant,
        ended: Instant,
        end: &TransferEnd,
    ) -> Result<()> {
        if !(plan.begin..plan.end).contains(&ended) {
            return Ok(());
        }
        match end {
            TransferEnd::Committed { prepared } => {
                self.committed += 1;
                self.committed_us.record(micros(ended - began))?;
                if let Some(prepared) = prepared {
                    self.prepared_us.record(micros(*prepared - began))?;
                }
            }
            TransferEnd::NotCommitted => self.not_committed += 1,
        }
        Ok(())
    }

    /// Prints headings as `cliente bench --csv`, and the time until both were prepared.
    pub fn print(&self, arguments: &ComparisonArguments, conserved: bool) {
        let (prepared, committed) = (&self.prepared_us, &self.committed_us);
        println!(
            "clients,depth,seconds,accounts,hot,committed,committed_per_s,not_committed,p50_us,\
             p99_us,max_us,prepared_p50_us,prepared_p99_us,prepared_max_us,conserved"
        );
        println!(
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{conserved}",
            arguments.clients,
            arguments.depth,
            arguments.seconds,
            arguments.accounts,
            arguments.hot,
            self.committed,
            self.committed / arguments.seconds.max(1),
            self.not_committed,
            committed.value_at_quantile(0.5),
            committed.value_at_quantile(0.99),
            committed.max(),
            prepared.value_at_quantile(0.5),
            prepared.value_at_quantile(0.99),
            prepared.max()
        );
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// Draws accounts and amounts.
pub struct TransferSource(u64);

impl TransferSource {
    pub fn new() -> Result<TransferSource> {
        Ok(TransferSource(getrandom::u64()? | 1))
    }

    /// A random number below `bound`, by the generator of `cliente bench`.
    pub fn below(&mut self, bound: i32) -> i32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bound = u64::try_from(bound).unwrap_or(1).max(1);
        i32::try_from((self.0 >> 11) % bound).unwrap_or(0)
    }

    /// Draws from 1 to 100 centavos.
    pub fn amount(&mut self) -> i64 {
        1 + i64::from(self.below(100))
    }

    /// Two different numbers from 1 to `accounts`.
    pub fn pair(&mut self, accounts: i32) -> (i32, i32) {
        let from = 1 + self.below(accounts);
        let to = 1 + self.below(accounts - 1);
        (from, if to < from { to } else { to + 1 })
    }
}
