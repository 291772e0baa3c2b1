//! Every state of small consortiums, over the shipped core and coordinator: two and three banks,
//! conflicting transactions, and any one or two of these faults: a crash that loses un-synced
//! records, a lost disk, a broken connection, lines lost, late or repeated, time-outs at any
//! moment, drivers that vanish or start late, a malicious client, an outside coordinator; and cuts.
//!
//! The invariants (`rules`) hold in every state, and every state is healed and must then be
//! decided. The numbers of states are pinned, so that a change of the protocol shows here and gets
//! explained. Larger configurations: `scripts/exhaustive.sh`. `CONSORCIO_WORLD=<part of a name>`
//! selects configurations by name.

mod explorer;
mod plant;
mod plants_found;
mod rules;
mod scenes;
mod state;
mod worlds;

use explorer::{Order, ReachedEvents};
use std::sync::Mutex;
use std::thread;
use worlds::Configuration;

/// The events that the small configurations together must reach; a check without any of these
/// proves nothing.
const SOMETIMES: [&str; 32] = [
    "OK",
    "committed",
    "executed",
    "aborted",
    "insufficient-funds",
    "locked",
    "unreachable",
    "duplicate-id",
    "aborted for other bytes under its id",
    "tombstone by RESOLVE",
    "tombstone by ABORT",
    "late PREPARE refused",
    "commit learned from a peer",
    "abort learned from a peer",
    "driver reports committed",
    "driver reports aborted",
    "driver reports doubt",
    "DOUBT",
    "crash that lost records",
    "restart",
    "driver-gone",
    "patience over",
    "clock moved",
    "cut waits",
    "whole cut",
    "promise forgotten",
    "stopped itself",
    "outside commit",
    "outside abort",
    "outside expired",
    "drove a commit for others",
    "drove an abort for others",
];

fn unreached(reached: &ReachedEvents) -> Vec<&'static str> {
    SOMETIMES.into_iter().filter(|what| !reached.contains_key(what)).collect()
}

/// Explores the configurations on all cores. Returns all violations as text.
fn check(worlds: Vec<Configuration>, order: Order) -> Result<ReachedEvents, String> {
    let filter = std::env::var("CONSORCIO_WORLD").unwrap_or_default();
    let all = filter.is_empty();
    let queue = Mutex::new(worlds.into_iter().filter(|world| world.name.contains(&filter)));
    let (reached, faults) = (Mutex::new(ReachedEvents::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(world) = queue.lock().unwrap().next() else { return };
                    match world.check(order) {
                        Ok(seen) => {
                            let mut reached = reached.lock().unwrap();
                            seen.into_iter().for_each(|(what, times)| {
                                *reached.entry(what).or_default() += times
                            });
                        }
                        Err(fault) => faults.lock().unwrap().push(fault),
                    }
                }
            });
        }
    });
    let (reached, faults) = (reached.into_inner().unwrap(), faults.into_inner().unwrap());
    reached.iter().for_each(|(what, times)| println!("{times:>9}  {what}"));
    match &unreached(&reached)[..] {
        _ if !faults.is_empty() => Err(faults.join("\n")),
        [] => Ok(reached),
        _ if !all => Ok(reached),
        unreached => Err(format!("no configuration reached: {}", unreached.join(", "))),
    }
}

#[test]
fn every_state_of_small_worlds() {
    check(worlds::small(), Order::FewestEvents).unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
#[ignore = "takes minutes; scripts/exhaustive.sh runs it"]
fn every_state_of_large_worlds() {
    // Only the small configurations have cuts; add them, so that this set reaches all events, too.
    let with_cuts = worlds::small().into_iter().filter(|world| world.name.contains("cut"));
    let all = worlds::large().into_iter().chain(with_cuts).collect();
    let reached = check(all, Order::Newest).unwrap_or_else(|fault| panic!("{fault}"));
    println!("{} kinds of events were reached", reached.len());
}

/// A set that does not reach all required events fails.
#[test]
fn a_set_that_reaches_too_little_fails() {
    let quiet: Vec<Configuration> =
        worlds::small().into_iter().filter(|world| world.name == "nothing goes wrong").collect();
    let fault = check(quiet, Order::FewestEvents).unwrap_err();
    assert!(fault.contains("late PREPARE refused"), "{fault}");
    assert!(!fault.contains("driver reports committed"), "{fault}");
}
