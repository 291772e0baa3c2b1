//! Every state of small consortiums, over the shipped core and coordinator: two and three banks,
//! transactions that conflict, and any one or two of: a crash that loses what was not synced, a
//! disk that is lost, a broken connection, lines lost, late or twice, time-outs at any moment,
//! drivers that leave or come late, a driver that lies, a coordinator from outside; and cuts.
//!
//! Every state is checked against the one rule (`rules`), and from every state all is healed and
//! must be decided. The numbers of states are pinned: a change of the protocol shows here, and
//! whoever makes it looks why. Larger configurations: `scripts/exhaustive.sh`.
//! `CONSORCIO_WORLD=<part of a name>` runs those of that name alone.

mod explorer;
mod plant;
mod plants_found;
mod rules;
mod scenes;
mod state;
mod worlds;

use explorer::{Met, Order};
use std::sync::Mutex;
use std::thread;
use worlds::World;

/// What the small configurations together must meet: without any of these a check has seen nothing.
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
    "driver told committed",
    "driver told aborted",
    "driver told doubt",
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

/// Which of them were never met.
fn lacking(met: &Met) -> Vec<&'static str> {
    SOMETIMES.into_iter().filter(|what| !met.contains_key(what)).collect()
}

/// Checks them on all cores; all that went wrong comes back in words.
fn check(worlds: Vec<World>, order: Order) -> Result<Met, String> {
    let wanted = std::env::var("CONSORCIO_WORLD").unwrap_or_default();
    let all = wanted.is_empty();
    let queue = Mutex::new(worlds.into_iter().filter(|world| world.name.contains(&wanted)));
    let (met, faults) = (Mutex::new(Met::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(world) = queue.lock().unwrap().next() else { return };
                    match world.check(order) {
                        Ok(seen) => {
                            let mut met = met.lock().unwrap();
                            seen.into_iter()
                                .for_each(|(what, times)| *met.entry(what).or_default() += times);
                        }
                        Err(fault) => faults.lock().unwrap().push(fault),
                    }
                }
            });
        }
    });
    let (met, faults) = (met.into_inner().unwrap(), faults.into_inner().unwrap());
    met.iter().for_each(|(what, times)| println!("{times:>9}  {what}"));
    match &lacking(&met)[..] {
        _ if !faults.is_empty() => Err(faults.join("\n")),
        [] => Ok(met),
        _ if !all => Ok(met),
        lacking => Err(format!("no configuration ever met: {}", lacking.join(", "))),
    }
}

#[test]
fn every_state_of_small_worlds() {
    check(worlds::small(), Order::FewestEvents).unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
#[ignore = "takes minutes; scripts/exhaustive.sh runs it"]
fn every_state_of_large_worlds() {
    // Cuts are met in the small worlds; those come along, so that this set, too, must meet all.
    let with_cuts = worlds::small().into_iter().filter(|world| world.name.contains("cut"));
    let all = worlds::large().into_iter().chain(with_cuts).collect();
    let met = check(all, Order::Newest).unwrap_or_else(|fault| panic!("{fault}"));
    println!("{} things were met", met.len());
}

/// A set that never met what must be met fails.
#[test]
fn a_set_that_sees_nothing_fails() {
    let quiet: Vec<World> =
        worlds::small().into_iter().filter(|world| world.name == "nothing goes wrong").collect();
    let fault = check(quiet, Order::FewestEvents).unwrap_err();
    assert!(fault.contains("late PREPARE refused"), "{fault}");
    assert!(!fault.contains("driver told committed"), "{fault}");
}
