//! Configurations with outside coordinators.

use super::{Configuration, Driven, NONE, THERE, client, configuration, of};
use crate::exhaustive::state::{Budget, Setup, TransactionDriver};

/// Cash out at bank 0, with the vote of an outside coordinator.
const CASH: &str = r#"{"ops":[{"bank":0,"op":"withdraw","account":"a","amount":6}]}"#;

fn coordinator() -> Driven {
    (CASH, THERE, TransactionDriver::Outside(0))
}

/// One outside coordinator of bank 0, while bank 1 is linked; two ticks end its time.
pub fn outside(budget: Budget) -> Setup {
    Setup { tick_us: 160_000_000, ..of(2, vec![coordinator()], budget) }
}

/// The configurations for each run of the tests.
pub fn small() -> Vec<Configuration> {
    vec![
        configuration(
            "an outside coordinator sends both and its bank crashes",
            outside(Budget { votes: 2, crashes: 1, ..NONE }),
            (2084, 5359),
            &["outside commit", "outside abort", "tombstone by ABORT", "crash that lost records"],
        ),
        configuration(
            "an outside coordinator votes twice over connections that break",
            outside(Budget { votes: 1, repeats: 1, cuts: 1, gone: 1, ..NONE }),
            (2185, 7900),
            &["outside commit", "outside abort", "late PREPARE refused", "DOUBT"],
        ),
        configuration(
            "an outside coordinator is late and its bank crashes",
            outside(Budget { votes: 1, ticks: 2, crashes: 1, ..NONE }),
            (1451, 4551),
            &["outside commit", "outside expired"],
        ),
        configuration(
            "a lie beside an outside coordinator",
            outside(Budget { votes: 1, lies: 1, ..NONE }),
            (1627, 4347),
            &["outside commit", "outside abort", "duplicate-id", "DOUBT", "tombstone by RESOLVE"],
        ),
        configuration(
            "cuts beside an outside coordinator and its bank crashes",
            outside(Budget { votes: 1, snapshots: 2, crashes: 1, ..NONE }),
            (5513, 16856),
            &["outside commit", "cut served again", "clock moved"],
        ),
        configuration(
            "an outside coordinator and a client compete for one account",
            Setup {
                tick_us: 160_000_000,
                ..of(2, vec![coordinator(), client(THERE)], Budget { votes: 1, ..NONE })
            },
            (2830, 8545),
            &["outside commit", "insufficient-funds", "committed"],
        ),
    ]
}

/// The configurations that take minutes.
pub fn large() -> Vec<Configuration> {
    vec![
        configuration(
            "an outside coordinator votes three times over connections that break",
            outside(Budget { votes: 2, repeats: 1, cuts: 1, gone: 1, ..NONE }),
            (19106, 76616),
            &["outside commit", "outside abort", "late PREPARE refused"],
        ),
        configuration(
            "two lies beside an outside coordinator",
            outside(Budget { votes: 1, lies: 2, ..NONE }),
            (31141, 118089),
            &["executed", "committed", "commit learned from a peer", "abort learned from a peer"],
        ),
        configuration(
            "a lie beside an outside coordinator that is late and its bank crashes",
            outside(Budget { votes: 1, lies: 1, ticks: 2, crashes: 1, ..NONE }),
            (315326, 1303785),
            &["outside commit", "outside abort", "outside expired", "crash that lost records"],
        ),
    ]
}
