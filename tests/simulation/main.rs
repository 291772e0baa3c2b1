//! Seeded simulation of a whole consortium over the shipped core: lost and delayed messages, crashes, un-synced
//! records, clocks that differ, drivers that die and drivers that lie. What must always hold is checked after each
//! step, and at the end, once all is healed, everything must be decided.
//!
//! A failure prints its seed: `CONSORCIO_SEED=<seed> cargo test --test simulation` repeats it. More seeds:
//! `scripts/simulate.sh --seeds 100000`. That it bites is shown by mistakes that are planted around the core, and found.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

#[path = "../world/mod.rs"]
mod world;

mod checks;
mod shrink;
mod simulation;

use simulation::{Met, Plan};
use world::Mistake;

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("CONSORCIO_SEED") {
        Some(seed) => vec![seed],
        None => {
            let from = number("CONSORCIO_FROM").unwrap_or(0);
            (from..from + number("CONSORCIO_SEEDS").unwrap_or(1_000)).collect()
        }
    }
}

#[test]
fn whatever_happens_the_rule_holds_and_in_the_end_all_is_decided() {
    let mut met = Met::default();
    let seeds = seeds();
    for seed in &seeds {
        if let Err(text) = shrink::run(Plan::of(*seed, None), &mut met) {
            let shrunk = shrink::shrink(Plan::of(*seed, None));
            panic!(
                "{text}\n{shrunk}\nseed {seed}: CONSORCIO_SEED={seed} cargo test --test simulation repeats it"
            );
        }
    }
    for (what, times) in &met.0 {
        println!("{times:>9}  {what}");
    }
    if seeds.len() >= 100 {
        for what in [
            "committed",
            "executed",
            "aborted after OK",
            "tombstone",
            "insufficient-funds",
            "locked",
            "limit",
            "unreachable",
            "driver-gone",
            "time-out",
            "restart",
            "asked",
            "crash that lost records",
            "link cut",
            "lie",
            "line lost",
            "DOUBT",
            "driver told doubt",
            "whole cut",
            "torn tail cut",
            "start from a snapshot",
            "disk failed",
        ] {
            assert!(met.0.get(what).is_some_and(|times| *times > 0), "no run met: {what}");
        }
    }
}

/// Each planted mistake is found within some seeds, by whatever check: a simulation that finds none proves nothing.
#[test]
fn planted_mistakes_are_found() {
    const SEEDS: u64 = 400;
    let mut found = Vec::new();
    for mistake in Mistake::ALL {
        let first = (0..SEEDS).find_map(|seed| {
            let plan = Plan::of(seed, Some(mistake));
            shrink::run(plan, &mut Met::default()).err().map(|text| (seed, text))
        });
        found.push((mistake, first));
    }
    for (mistake, first) in &found {
        match first {
            Some((seed, text)) => println!("{mistake:?}: seed {seed}: {text}"),
            None => println!("{mistake:?}: NOT FOUND in {SEEDS} seeds"),
        }
    }
    assert!(found.iter().all(|(_, first)| first.is_some()), "every planted mistake is found");
}

/// A failure is told by a shrunk story: less trouble, fewer steps, and what was seen of the transaction.
#[test]
fn a_failure_is_shrunk_to_a_story() {
    let plan = Plan::of(0, Some(Mistake::OkTimedOut));
    let shrunk = shrink::shrink(plan);
    println!("{shrunk}");
    assert!(shrunk.plan.steps < plan.steps, "fewer steps");
    assert!(shrunk.plan.without.iter().any(|without| *without), "less trouble");
    let told = shrunk.lines.iter().filter(|line| line.contains("Decided")).count();
    assert!(told >= 1 && shrunk.lines.len() < 100, "the story tells the decisions, and is short");
    assert_eq!(shrunk.text, shrink::shrink(plan).text, "the same seed gives the same story");
}
