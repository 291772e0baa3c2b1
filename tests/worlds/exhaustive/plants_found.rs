//! The checker finds mistakes: each one, planted around the shipped cores, violates an invariant
//! within few events, and without it the same events violate none.

use crate::exhaustive::explorer::{Order, explore};
use crate::exhaustive::plant::Planted;
use crate::exhaustive::state::{Budget, Setup, TransactionDriver};
use crate::exhaustive::worlds::{
    ALONE, NONE, PATIENT, THERE, TOO_MUCH, WALL_US, client, late_client, of, outside, patient,
};
use crate::world::Mistake;
use std::fmt::Write as _;

/// The longest shortest path to a planted mistake.
const EVENTS_MAX: usize = 16;

/// The smallest configuration that can show a mistake.
fn setup_for(planted: Planted) -> Setup {
    let two = |budget| of(2, vec![client(THERE)], budget);
    match planted {
        Planted::Known(Mistake::OkBeforeSync) => two(NONE),
        // The clock's advance for the cut is lost with the un-synced records.
        Planted::Known(Mistake::ReadBeforeSync) => {
            of(2, vec![late_client(THERE)], Budget { snapshots: 1, crashes: 1, ..NONE })
        }
        Planted::Known(Mistake::OkTimedOut) => two(Budget { ticks: 1, ..NONE }),
        Planted::Known(Mistake::SilenceTakenForAborted) => two(Budget { gone: 1, cuts: 1, ..NONE }),
        Planted::Known(
            Mistake::UnknownTakenForAborted
            | Mistake::TombstoneNotKept
            | Mistake::HoldReleasedTwice,
        ) => two(Budget { gone: 1, ..NONE }),
        Planted::Known(Mistake::AbortAccepted | Mistake::DuplicateIdToken) => {
            two(Budget { lies: 1, ..NONE })
        }
        Planted::Known(Mistake::CommittedAccepted) => of(
            2,
            vec![(THERE, ALONE, TransactionDriver::Client)],
            Budget { lies: 1, ticks: 1, ..NONE },
        ),
        Planted::Known(Mistake::UnnamedToken) => {
            of(3, vec![client(THERE)], Budget { lies: 2, ..NONE })
        }
        // The bank crashes before its driver begins, so that no connection is lost.
        Planted::Known(Mistake::CutClockLost) => {
            of(2, vec![late_client(THERE)], Budget { snapshots: 1, crashes: 1, ..NONE })
        }
        // Its clock is ahead by more than all ticks of healing together.
        Planted::Known(Mistake::CommitRefusedForTime) => {
            Setup { wall_us: vec![WALL_US[0] + 1_000_000_000_000, WALL_US[1]], ..two(NONE) }
        }
        Planted::Known(Mistake::OutcomeForgotten) => {
            let budget = Budget { repeats: 1, ..NONE };
            Setup { forgetful: true, ..of(2, vec![client(TOO_MUCH)], budget) }
        }
        Planted::Known(Mistake::SyncedRecordLost) => two(Budget { crashes: 1, ..NONE }),
        Planted::LostPromiseUndetected => two(Budget { restores: 1, ..NONE }),
        Planted::TimersRunFast => {
            patient(of(2, vec![client(PATIENT)], Budget { ticks: 1, ..NONE }))
        }
        Planted::ClientIsOutside => outside(Budget { lies: 1, ..NONE }),
        Planted::OutsideVoteBeforeSync => outside(Budget { votes: 1, ..NONE }),
        Planted::OutsideVoteLost => outside(Budget { votes: 1, crashes: 1, ..NONE }),
    }
}

#[test]
fn planted_mistakes_are_found() {
    let known = Mistake::ALL
        .into_iter()
        .map(|mistake| (format!("{mistake:?}"), Planted::Known(mistake), "yes"));
    let own = [
        Planted::LostPromiseUndetected,
        Planted::TimersRunFast,
        Planted::ClientIsOutside,
        Planted::OutsideVoteBeforeSync,
        Planted::OutsideVoteLost,
    ]
    .map(|own| (format!("{own:?}"), own, "-"));
    let mut table = format!(
        "{:24}{:11}{:>8}{:>9}  {}\n",
        "mistake", "simulator", "events", "states", "violation"
    );
    let mut paths = String::new();
    for (name, planted, simulator) in known.chain(own) {
        let setup = setup_for(planted);
        let mistaken = Setup { planted: Some(planted), ..setup.clone() };
        let Err(broken) = explore(mistaken, Order::FewestEvents) else {
            panic!("{name} was not found")
        };
        let events = broken.path.len();
        assert!(events <= EVENTS_MAX, "{name}: expected a shorter path than\n{broken}");
        let right = Setup { acts_max: Some(events), ..setup };
        explore(right, Order::FewestEvents)
            .unwrap_or_else(|broken| panic!("{name}: a violation without the mistake: {broken}"));
        let rule = broken.what.lines().next().unwrap_or_default();
        writeln!(table, "{name:24}{simulator:11}{events:>8}{:>9}  {rule}", broken.states).unwrap();
        writeln!(paths, "{name}: {broken}").unwrap();
    }
    println!("{paths}");
    println!("{table}(simulator: its own `planted_mistakes_are_found` requires each of these)");
}
