//! Mistakes planted around the cores of a `ModelState`: those of the simulator, and some more.

use crate::exhaustive::state::ModelState;
use crate::world::{Around, Mistake};
use consorcio_core::bank::io::{After, Now, Origin, Output};
use consorcio_core::bank::record::Record;
use consorcio_core::bank::{Core, Identity};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A mistake of the simulator.
    Known(Mistake),
    /// Banks do not send each other the last vote that they know, so a forgotten promise is not
    /// detected.
    LostPromiseUndetected,
    /// Timers run too fast, so that a transaction's patience ends early.
    TimersRunFast,
    /// A client's line is treated as an outside coordinator's.
    ClientIsOutside,
    /// An outside coordinator's vote is acknowledged before its sync.
    OutsideVoteBeforeSync,
    /// An outside coordinator's vote is lost in a crash although it was synced.
    OutsideVoteLost,
}

impl ModelState {
    pub fn mistaken_origin(&self, origin: Origin) -> Origin {
        match self.setup.planted {
            Some(Planted::ClientIsOutside) => Origin::Outside,
            Some(_) | None => origin,
        }
    }

    pub fn mistaken_votes(&self, output: &mut Output) {
        let voted =
            output.records.iter().any(|record| matches!(record, Record::OutsideVoted { .. }));
        if voted && self.setup.planted == Some(Planted::OutsideVoteBeforeSync) {
            output.replies.iter_mut().for_each(|reply| reply.after = After::Now);
        }
    }
}

impl Around for ModelState {
    fn mistake(&self) -> Option<Mistake> {
        match self.setup.planted {
            Some(Planted::Known(mistake)) => Some(mistake),
            Some(
                Planted::LostPromiseUndetected
                | Planted::TimersRunFast
                | Planted::ClientIsOutside
                | Planted::OutsideVoteBeforeSync
                | Planted::OutsideVoteLost,
            )
            | None => None,
        }
    }

    fn identity_of(&self, bank: usize) -> Identity {
        self.base.identities[bank].clone()
    }

    /// Wall clocks stand still here, so that states coincide; for mistakes that measure by them,
    /// time passes with the timers.
    fn now_of(&self, bank: usize) -> Now {
        let now = self.now(bank);
        let wall_us = now.wall_us + i64::try_from(now.mono_us).unwrap();
        Now { wall_us, shown_us: wall_us, ..now }
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
