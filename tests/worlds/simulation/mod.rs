//! Seeded simulation of a whole consortium over the shipped core: lost, late and repeated messages,
//! half-open connections, partitions, crashes, disks that lose, tear, fill up and fail, clocks that
//! drift and jump, drivers that die and clients that lie. The invariants are checked after each
//! step. At the end all faults are healed, and everything must be decided.
//!
//! A failure prints its seed, a shrunk timeline of it, and the command that repeats it. With
//! `CONSORCIO_LOUD=1` it prints all events of that seed, and where each run failed. More seeds, on
//! all cores: `scripts/simulate.sh --seeds 100000`. Mistakes planted around the core must be found.

mod attacker;
mod checks;
mod clients;
mod coverage;
mod durable;
mod facts;
mod faults;
mod finish;
mod growth;
mod lost;
mod malicious;
mod outsiders;
mod plan;
mod reads;
mod rights;
mod run;
mod shrink;
mod transactions;

use crate::world::clocks::ClockMistake;
use crate::world::growth::GrowthMistake;
use crate::world::names::RightsMistake;
use crate::world::{MeetMistake, Mistake, ProofMistake};
use coverage::{Coverage, MUST_COVER};
use plan::{RunPlan, Variant};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Seeds of a test without a variant.
const SEEDS: u64 = 1_000;
/// Seeds of a test with a variant.
const SEEDS_OF_VARIANT: u64 = 400;
/// A test with at least this number of seeds checks its coverage.
const SEEDS_FOR_ALL: u64 = 300;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok())
}

/// The seeds that the environment names; `most` seeds by default.
fn seeds(most: u64) -> Range<u64> {
    match number("CONSORCIO_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let from = number("CONSORCIO_FROM").unwrap_or(0);
            from..from + number("CONSORCIO_SEEDS").unwrap_or(most)
        }
    }
}

/// Runs `work` for each number of a range on all cores until one fails. Returns the least number
/// that failed, and its error.
fn on_all_cores(
    range: Range<u64>,
    work: impl Fn(u64) -> Result<(), String> + Sync,
) -> Option<(u64, String)> {
    let next = AtomicU64::new(range.start);
    let failed: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let over =
                        failed.lock().unwrap().as_ref().is_some_and(|(least, _)| *least < number);
                    if number >= range.end || over {
                        return;
                    }
                    if let Err(text) = work(number) {
                        let mut failed = failed.lock().unwrap();
                        if failed.as_ref().is_none_or(|(least, _)| number < *least) {
                            *failed = Some((number, text));
                        }
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

/// The CPU time of this thread, in microseconds; 0 if the system does not provide it.
fn cpu_us() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0) / 1_000
}

/// Runs the plan of each seed, prints the coverage, and checks that `must_cover` is covered.
fn runs_hold(
    test: &str,
    seeds: Range<u64>,
    plan: impl Fn(u64) -> RunPlan + Sync,
    must_cover: &[&str],
) {
    let (all, used_us) = (Mutex::new(Coverage::default()), AtomicU64::new(0));
    let began = Instant::now();
    let loud = std::env::var_os("CONSORCIO_LOUD").is_some();
    let failed = on_all_cores(seeds.clone(), |seed| {
        let began_us = cpu_us();
        let mut coverage = Coverage { keeps_lines: loud, ..Coverage::default() };
        let result = shrink::run(plan(seed), &mut coverage);
        coverage.lines.drain(..).for_each(|line| println!("{line}"));
        used_us.fetch_add(cpu_us().saturating_sub(began_us), Ordering::Relaxed);
        all.lock().unwrap().absorb(coverage);
        result
    });
    if let Some((seed, text)) = failed {
        let shrunk = shrink::shrink(plan(seed));
        panic!(
            "seed {seed}: {text}\n{shrunk}\nCONSORCIO_SEED={seed} cargo test --test worlds \
             simulation::{test} repeats it"
        );
    }
    let coverage = all.into_inner().unwrap();
    let count = seeds.end - seeds.start;
    for (what, times) in &coverage.counts {
        println!("{times:>11}  {what}");
    }
    for (what, height) in &coverage.peaks {
        println!("{height:>11}  most {what}");
    }
    let (events, transactions) = (coverage.of("events"), coverage.of("transactions"));
    println!(
        "{test}: {count} seeds, {transactions} transactions, {events} events in {} s; {} events a \
         second of a core's time",
        began.elapsed().as_secs(),
        (events * 1_000_000).checked_div(used_us.into_inner()).unwrap_or(0)
    );
    if count >= SEEDS_FOR_ALL {
        let missing: Vec<&&str> = must_cover.iter().filter(|what| coverage.of(what) == 0).collect();
        assert!(missing.is_empty(), "not covered: {missing:?}");
    }
}

#[test]
fn invariants_hold_and_everything_is_decided() {
    runs_hold("invariants_hold", seeds(SEEDS), |seed| RunPlan::of(seed, None), MUST_COVER);
}

/// An attacker without the key changes, invents and repeats messages: the effect is that of
/// silence.
#[test]
fn an_attacker_on_the_network_causes_only_silence() {
    let plan = |seed| RunPlan::with_variant(seed, Variant::Attacker, None);
    runs_hold("an_attacker_on_the_network", seeds(SEEDS_OF_VARIANT), plan, attacker::MUST_COVER);
}

/// Two drivers use one id for different transactions: both end at all banks, and neither splits.
#[test]
fn two_transactions_under_one_id_end_at_all_banks() {
    let plan = |seed| RunPlan::with_variant(seed, Variant::SharedIds, None);
    runs_hold(
        "two_transactions_under_one_id",
        seeds(SEEDS_OF_VARIANT),
        plan,
        attacker::SHARED_IDS_MUST_COVER,
    );
}

/// Each mistake in what proves an outcome is found by one of the variants.
#[test]
fn mistakes_in_what_proves_an_outcome_are_found() {
    let variant = |mistake: ProofMistake| match mistake {
        ProofMistake::OtherBytesCounted
        | ProofMistake::OtherBytesIgnored
        | ProofMistake::FirstTokenAlone
        | ProofMistake::NamedRefuserAlone
        | ProofMistake::ForeignAbortIgnored => Variant::SharedIds,
        ProofMistake::NumberAccepted
        | ProofMistake::WordAccepted
        | ProofMistake::AnswerNotProved
        | ProofMistake::CommitNotProved
        | ProofMistake::OwnVoteNotProved
        | ProofMistake::UnnamedCounted
        | ProofMistake::IdOfTheAnswer
        | ProofMistake::OutcomeLookedFor
        | ProofMistake::UnreadTreatedAsNotHeld => Variant::Attacker,
    };
    for mistake in ProofMistake::ALL {
        are_found(&[mistake], 2_000, |seed, planted| {
            let plan = RunPlan {
                proof_mistake: planted,
                ..RunPlan::with_variant(seed, variant(mistake), Some(mistake))
            };
            shrink::run(plan, &mut Coverage::default())
        });
    }
}

/// Regression: seeds that failed once.
#[test]
fn earlier_failures_pass() {
    // A bank that takes no part received ABORTED with the OK of the bank that aborted, and recorded
    // that one as the refusing bank.
    for seed in [5_186_030] {
        if let Err(text) = shrink::run(RunPlan::of(seed, None), &mut Coverage::default()) {
            panic!("seed {seed}: {text}");
        }
    }
}

/// Each planted mistake is found within some seeds: a simulation that finds none proves nothing.
#[test]
fn planted_mistakes_are_found() {
    const SEEDS: u64 = 400;
    let mut found = Vec::new();
    for mistake in Mistake::ALL {
        let first = on_all_cores(0..SEEDS, |seed| {
            shrink::run(RunPlan::of(seed, Some(mistake)), &mut Coverage::default())
        });
        found.push((mistake, first));
    }
    for (mistake, first) in &found {
        match first {
            Some((seed, text)) => println!("{mistake:?}: seed {seed}: {text}"),
            None => println!("{mistake:?}: NOT FOUND in {SEEDS} seeds"),
        }
    }
    assert!(found.iter().all(|(_, first)| first.is_some()), "a planted mistake was not found");
}

/// Occurrences by kind of event.
type EventCounts = BTreeMap<&'static str, u64>;

/// Runs each seed, prints the counts, and checks that `must_cover` is covered.
fn holds(
    name: &str,
    seeds: Range<u64>,
    run: impl Fn(u64) -> Result<EventCounts, String> + Sync,
    must_cover: &[&'static str],
) {
    let count = seeds.end - seeds.start;
    let all = Mutex::new(EventCounts::new());
    let failed = on_all_cores(seeds, |seed| {
        let counts = run(seed)?;
        let mut all = all.lock().unwrap();
        counts.into_iter().for_each(|(what, times)| *all.entry(what).or_default() += times);
        Ok(())
    });
    if let Some((seed, text)) = failed {
        panic!("{name}, seed {seed}: {text}");
    }
    let all = all.into_inner().unwrap();
    all.iter().for_each(|(what, times)| println!("{times:>11}  {what}"));
    let missing: Vec<_> = must_cover.iter().filter(|what| !all.contains_key(*what)).collect();
    assert!(count < SEEDS_FOR_ALL || missing.is_empty(), "not covered: {missing:?}");
}

/// Each mistake is found within `seeds` seeds, and without it the seed that found it passes.
fn are_found<M: Copy + Debug + Sync>(
    mistakes: &[M],
    seeds: u64,
    run: impl Fn(u64, Option<M>) -> Result<(), String> + Sync,
) {
    let mut missed = Vec::new();
    for mistake in mistakes {
        match on_all_cores(0..seeds, |seed| run(seed, Some(*mistake))) {
            Some((seed, text)) => {
                println!("{mistake:?}: seed {seed}: {text}");
                assert_eq!(run(seed, None), Ok(()), "seed {seed} fails without the mistake");
            }
            None => missed.push(mistake),
        }
    }
    assert!(missed.is_empty(), "not found in {seeds} seeds: {missed:?}");
}

/// Each mistake about clocks and cuts is found.
#[test]
fn mistakes_about_clocks_are_found() {
    for mistake in ClockMistake::ALL {
        are_found(&[mistake], 400, |seed, planted| {
            let plan = RunPlan { clock_mistake: planted, ..RunPlan::of_clocks(seed, mistake) };
            shrink::run(plan, &mut Coverage::default())
        });
    }
}

#[test]
fn a_consortium_grows_while_sets_are_under_way() {
    holds("growth", seeds(1_500), |seed| growth::run(seed, None), &growth::MUST_COVER);
}

/// Each mistake about growing is found.
#[test]
fn mistakes_about_growing_are_found() {
    are_found(&GrowthMistake::ALL, 3_000, |seed, mistake| growth::run(seed, mistake).map(drop));
}

/// Each bank votes by the rights that it grants when it decides, and no right keeps a transaction
/// undecided.
#[test]
fn rights_change_while_transactions_are_under_way() {
    holds("rights", seeds(600), |seed| rights::run(seed, None), &rights::MUST_COVER);
}

/// Each mistake about rights is found.
#[test]
fn mistakes_about_rights_are_found() {
    are_found(&RightsMistake::ALL, 400, |seed, mistake| rights::run(seed, mistake).map(drop));
}

/// After a bank loses its disk, nothing contradicts its earlier promises.
#[test]
fn a_lost_disk_contradicts_no_promise() {
    holds("a lost disk", seeds(SEEDS), |seed| lost::run(seed, None), &lost::MUST_COVER);
}

#[test]
fn mistakes_about_meeting_are_found() {
    are_found(&MeetMistake::ALL, 5_000, |seed, mistake| lost::run(seed, mistake).map(drop));
}

/// A failure is shrunk to a smaller plan with a short timeline of the transaction.
#[test]
fn a_failure_is_shrunk_to_a_short_timeline() {
    let plans = (0..50).map(|seed| RunPlan::of(seed, Some(Mistake::OkTimedOut)));
    let mut failing = plans.filter(|plan| shrink::run(*plan, &mut Coverage::default()).is_err());
    let plan = failing.next().expect("no seed finds the mistake");
    let shrunk = shrink::shrink(plan);
    println!("{shrunk}");
    assert!(shrunk.plan.steps < plan.steps, "no step was removed");
    assert!(shrunk.plan.without.iter().any(|without| *without), "no fault was removed");
    let decided = shrunk.lines.iter().filter(|line| line.contains("Decided")).count();
    assert!(decided >= 1 && shrunk.lines.len() < 100, "{shrunk}");
    assert_eq!(shrunk.text, shrink::shrink(plan).text, "shrinking is not deterministic");
}
