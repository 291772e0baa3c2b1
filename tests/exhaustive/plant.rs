//! Mistakes planted around the cores of a `Town`: those that the simulator plants too, and two more.

use crate::town::Town;
use crate::world::{Around, Mistake};
use consorcio::bank::io::Now;
use consorcio::bank::record::Record;
use consorcio::bank::{Core, Identity};

/// What is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// One that the simulator plants too.
    Known(Mistake),
    /// Banks do not tell each other the last vote that they know: nobody misses a forgotten promise.
    PromiseNotMissed,
    /// Timers run too fast, so that a transaction's patience ends early.
    TimersRunFast,
}

impl Around for Town {
    fn mistake(&self) -> Option<Mistake> {
        match self.setup.planted {
            Some(Planted::Known(mistake)) => Some(mistake),
            Some(Planted::PromiseNotMissed | Planted::TimersRunFast) | None => None,
        }
    }

    fn identity_of(&self, bank: usize) -> Identity {
        self.base.identities[bank].clone()
    }

    /// Wall clocks stand still here, so that states coincide; what a mistake measures by them passes with the timers.
    fn now_of(&self, bank: usize) -> Now {
        let now = self.now(bank);
        Now { wall_us: now.wall_us + i64::try_from(now.mono_us).unwrap(), ..now }
    }

    fn records_of(&self, bank: usize) -> Vec<&Record> {
        self.nodes[bank].journal.iter().map(|record| &**record).collect()
    }

    fn first_core(&self, bank: usize) -> Core {
        self.base.cores[bank].clone()
    }

    fn core_mut(&mut self, bank: usize) -> Option<&mut Core> {
        self.node_mut(bank).core.as_mut()
    }
}
