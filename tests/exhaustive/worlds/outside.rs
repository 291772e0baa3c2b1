//! Configurations with outside coordinators.

use super::{Driven, NONE, THERE, World, client, of, world};
use crate::exhaustive::state::{Budget, Setup, Way};

/// Cash out at bank 0, on which an outside coordinator has a vote.
const CASH: &str = r#"{"ops":[{"bank":0,"op":"withdraw","account":"a","amount":6}]}"#;

fn coordinator() -> Driven {
    (CASH, THERE, Way::Outside(0))
}

/// One outside coordinator of bank 0, in sight of bank 1; two ticks, and its time is over.
pub fn outside(budget: Budget) -> Setup {
    Setup { tick_us: 160_000_000, ..of(2, vec![coordinator()], budget) }
}

/// Those for each run of the tests.
pub fn small() -> Vec<World> {
    vec![
        world(
            "an outside coordinator says both and its bank dies",
            outside(Budget { votes: 2, crashes: 1, ..NONE }),
            (2084, 5359),
            &["outside commit", "outside abort", "tombstone by ABORT", "crash that lost records"],
        ),
        world(
            "an outside coordinator speaks twice over connections that break",
            outside(Budget { votes: 1, repeats: 1, cuts: 1, gone: 1, ..NONE }),
            (2185, 7900),
            &["outside commit", "outside abort", "late PREPARE refused", "DOUBT"],
        ),
        world(
            "an outside coordinator is late and its bank dies",
            outside(Budget { votes: 1, ticks: 2, crashes: 1, ..NONE }),
            (1451, 4551),
            &["outside commit", "outside expired"],
        ),
        world(
            "a lie beside an outside coordinator",
            outside(Budget { votes: 1, lies: 1, ..NONE }),
            (1627, 4347),
            &["outside commit", "outside abort", "duplicate-id", "DOUBT", "tombstone by RESOLVE"],
        ),
        world(
            "cuts beside an outside coordinator and its bank dies",
            outside(Budget { votes: 1, snapshots: 2, crashes: 1, ..NONE }),
            (5513, 16856),
            &["outside commit", "cut told again", "clock moved"],
        ),
        world(
            "an outside coordinator and a client want more than there is",
            Setup {
                tick_us: 160_000_000,
                ..of(2, vec![coordinator(), client(THERE)], Budget { votes: 1, ..NONE })
            },
            (2830, 8545),
            &["outside commit", "insufficient-funds", "committed"],
        ),
    ]
}

/// Those that take minutes.
pub fn large() -> Vec<World> {
    vec![
        world(
            "an outside coordinator speaks thrice over connections that break",
            outside(Budget { votes: 2, repeats: 1, cuts: 1, gone: 1, ..NONE }),
            (19106, 76616),
            &["outside commit", "outside abort", "late PREPARE refused"],
        ),
        world(
            "two lies beside an outside coordinator",
            outside(Budget { votes: 1, lies: 2, ..NONE }),
            (31141, 118089),
            &["executed", "committed", "commit learned from a peer", "abort learned from a peer"],
        ),
        world(
            "a lie beside an outside coordinator that is late and its bank dies",
            outside(Budget { votes: 1, lies: 1, ticks: 2, crashes: 1, ..NONE }),
            (315326, 1303785),
            &["outside commit", "outside abort", "outside expired", "crash that lost records"],
        ),
    ]
}
