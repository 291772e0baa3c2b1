//! Seeded simulation of a whole consortium over the shipped core: lost, late and repeated messages,
//! half-open connections, partitions, crashes, disks that lose, tear, fill up and fail, clocks that
//! drift and jump, drivers that die and clients that lie. What must always hold is checked after
//! each step, and at the end, once all is healed, everything must be decided.
//!
//! A failure prints its seed, a shrunk story of it, and the command that repeats it; with
//! `CONSORCIO_LOUD=1` all that was seen in that seed, and where each run failed. More seeds, on all
//! cores: `scripts/simulate.sh --seeds 100000`. That it bites is shown by mistakes that are planted
//! around the core, and found.

mod checks;
mod clients;
mod durable;
mod facts;
mod faults;
mod finish;
mod growth;
mod liars;
mod lost;
mod met;
mod outsiders;
mod plan;
mod reads;
mod run;
mod shrink;
mod transactions;
mod way;

use crate::world::clocks::ClockMistake;
use crate::world::growth::GrowthMistake;
use crate::world::{MeetMistake, Mistake, ProofMistake};
use met::{MUST_MEET, Met};
use plan::{Beside, Plan};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Seeds of one run of the tests.
const SEEDS: u64 = 2_000;
/// The same, of runs that have something beside.
const SEEDS_BESIDE: u64 = 400;
/// So many seeds must have met everything.
const SEEDS_FOR_ALL: u64 = 300;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok())
}

/// The seeds that are asked for; else so many.
fn seeds(most: u64) -> Range<u64> {
    match number("CONSORCIO_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let from = number("CONSORCIO_FROM").unwrap_or(0);
            from..from + number("CONSORCIO_SEEDS").unwrap_or(most)
        }
    }
}

/// Does `work` for numbers of a range on all cores, until one of them fails; the least that failed,
/// and why.
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

/// The time that this thread had of its core so far, in microseconds; 0 where the system does not
/// tell.
fn cpu_us() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0) / 1_000
}

/// Runs the seeds, each as its plan says, tells what was met, and looks whether all that must be
/// was.
fn runs_hold(test: &str, seeds: Range<u64>, plan: impl Fn(u64) -> Plan + Sync, must_meet: &[&str]) {
    let (all, used_us) = (Mutex::new(Met::default()), AtomicU64::new(0));
    let began = Instant::now();
    let loud = std::env::var_os("CONSORCIO_LOUD").is_some();
    let failed = on_all_cores(seeds.clone(), |seed| {
        let began_us = cpu_us();
        let mut met = Met { wanted: loud, ..Met::default() };
        let result = shrink::run(plan(seed), &mut met);
        met.lines.drain(..).for_each(|line| println!("{line}"));
        used_us.fetch_add(cpu_us().saturating_sub(began_us), Ordering::Relaxed);
        all.lock().unwrap().absorb(met);
        result
    });
    if let Some((seed, text)) = failed {
        let shrunk = shrink::shrink(plan(seed));
        panic!(
            "seed {seed}: {text}\n{shrunk}\nCONSORCIO_SEED={seed} cargo test --test worlds \
             simulation::{test} repeats it"
        );
    }
    let met = all.into_inner().unwrap();
    let count = seeds.end - seeds.start;
    for (what, times) in &met.counts {
        println!("{times:>11}  {what}");
    }
    for (what, height) in &met.peaks {
        println!("{height:>11}  most {what}");
    }
    let (events, transactions) = (met.of("events"), met.of("transactions"));
    println!(
        "{test}: {count} seeds, {transactions} transactions, {events} events in {} s; {} events a \
         second of a core's time",
        began.elapsed().as_secs(),
        (events * 1_000_000).checked_div(used_us.into_inner()).unwrap_or(0)
    );
    if count >= SEEDS_FOR_ALL {
        let missing: Vec<&&str> = must_meet.iter().filter(|what| met.of(what) == 0).collect();
        assert!(missing.is_empty(), "no run met: {missing:?}");
    }
}

#[test]
fn whatever_happens_the_rule_holds_and_in_the_end_all_is_decided() {
    runs_hold("whatever", seeds(SEEDS), |seed| Plan::of(seed, None), MUST_MEET);
}

/// Somebody without the key changes, invents and repeats what is under way: it is as if nothing had
/// come.
#[test]
fn somebody_on_the_way_brings_about_nothing_but_silence() {
    let plan = |seed| Plan::beside(seed, Beside::Path, None);
    runs_hold("somebody_on_the_way", seeds(SEEDS_BESIDE), plan, way::MUST_MEET);
}

/// Two drivers use one id for different transactions: nothing splits, and in the end nothing is in
/// doubt.
#[test]
fn one_id_with_two_contents_ends_everywhere() {
    let plan = |seed| Plan::beside(seed, Beside::Contents, None);
    runs_hold("one_id_with_two_contents", seeds(SEEDS_BESIDE), plan, way::CONTENTS_MUST_MEET);
}

/// Each mistake in what proves an outcome is found, by one of them.
#[test]
fn mistakes_in_what_proves_an_outcome_are_found() {
    let beside = |mistake: ProofMistake| match mistake {
        ProofMistake::OtherBytesCounted
        | ProofMistake::OtherBytesIgnored
        | ProofMistake::FirstTokenAlone
        | ProofMistake::NamedRefuserAlone
        | ProofMistake::ForeignAbortIgnored => Beside::Contents,
        ProofMistake::NumberBelieved
        | ProofMistake::WordBelieved
        | ProofMistake::AnswerNotProved
        | ProofMistake::CommitNotProved
        | ProofMistake::OwnVoteNotProved
        | ProofMistake::UnnamedCounted
        | ProofMistake::IdOfTheAnswer
        | ProofMistake::OutcomeLookedFor
        | ProofMistake::UnreadTakenForNotHeld => Beside::Path,
    };
    for mistake in ProofMistake::ALL {
        are_found(&[mistake], 2_000, |seed, planted| {
            let plan = Plan {
                proof_mistake: planted,
                ..Plan::beside(seed, beside(mistake), Some(mistake))
            };
            shrink::run(plan, &mut Met::default())
        });
    }
}

/// What failed once is run each time.
#[test]
fn seeds_that_failed_once() {
    // A bank that takes no part was told ABORTED with the OK of the bank that aborted, and took
    // that one for who refused.
    for seed in [5_186_030] {
        if let Err(text) = shrink::run(Plan::of(seed, None), &mut Met::default()) {
            panic!("seed {seed}: {text}");
        }
    }
}

/// Each planted mistake is found within some seeds, by whatever check: a simulation that finds none
/// proves nothing.
#[test]
fn planted_mistakes_are_found() {
    const SEEDS: u64 = 400;
    let mut found = Vec::new();
    for mistake in Mistake::ALL {
        let first = on_all_cores(0..SEEDS, |seed| {
            shrink::run(Plan::of(seed, Some(mistake)), &mut Met::default())
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

/// How often what happened.
type Counts = BTreeMap<&'static str, u64>;

/// Runs the seeds, prints how often what happened, and looks whether all that must be met was.
fn holds(
    what: &str,
    seeds: Range<u64>,
    run: impl Fn(u64) -> Result<Counts, String> + Sync,
    must_meet: &[&'static str],
) {
    let count = seeds.end - seeds.start;
    let all = Mutex::new(Counts::new());
    let failed = on_all_cores(seeds, |seed| {
        let counts = run(seed)?;
        let mut all = all.lock().unwrap();
        counts.into_iter().for_each(|(what, times)| *all.entry(what).or_default() += times);
        Ok(())
    });
    if let Some((seed, text)) = failed {
        panic!("{what}, seed {seed}: {text}");
    }
    let all = all.into_inner().unwrap();
    all.iter().for_each(|(what, times)| println!("{times:>11}  {what}"));
    let missing: Vec<_> = must_meet.iter().filter(|what| !all.contains_key(*what)).collect();
    assert!(count < SEEDS_FOR_ALL || missing.is_empty(), "no run met: {missing:?}");
}

/// Each of these mistakes is found within so many seeds, and without it the seed that found it
/// holds.
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
                assert_eq!(run(seed, None), Ok(()), "without it seed {seed} holds");
            }
            None => missed.push(mistake),
        }
    }
    assert!(missed.is_empty(), "not found in {seeds} seeds: {missed:?}");
}

/// Each mistake about clocks and cuts is found, too.
#[test]
fn mistakes_about_clocks_are_found() {
    for mistake in ClockMistake::ALL {
        are_found(&[mistake], 400, |seed, planted| {
            let plan = Plan { clock_mistake: planted, ..Plan::of_clocks(seed, mistake) };
            shrink::run(plan, &mut Met::default())
        });
    }
}

/// A consortium grows while sets are under way.
#[test]
fn a_consortium_grows_while_sets_are_under_way() {
    holds("growth", seeds(1_500), |seed| growth::run(seed, None), &growth::MUST_MEET);
}

/// Each mistake about growing is found, too.
#[test]
fn mistakes_about_growing_are_found() {
    are_found(&GrowthMistake::ALL, 3_000, |seed, mistake| growth::run(seed, mistake).map(drop));
}

/// A bank that loses its disk contradicts nothing that it promised.
#[test]
fn a_lost_disk_contradicts_nothing() {
    holds("a lost disk", seeds(SEEDS), |seed| lost::run(seed, None), &lost::MUST_MEET);
}

/// Each mistake in how banks meet is found.
#[test]
fn mistakes_in_meeting_are_found() {
    are_found(&MeetMistake::ALL, 5_000, |seed, mistake| lost::run(seed, mistake).map(drop));
}

/// A failure is told by a shrunk story: less trouble, fewer steps, and what was seen of the
/// transaction.
#[test]
fn a_failure_is_shrunk_to_a_story() {
    let plans = (0..50).map(|seed| Plan::of(seed, Some(Mistake::OkTimedOut)));
    let mut failing = plans.filter(|plan| shrink::run(*plan, &mut Met::default()).is_err());
    let plan = failing.next().expect("the mistake is found soon");
    let shrunk = shrink::shrink(plan);
    println!("{shrunk}");
    assert!(shrunk.plan.steps < plan.steps, "fewer steps");
    assert!(shrunk.plan.without.iter().any(|without| *without), "less trouble");
    let told = shrunk.lines.iter().filter(|line| line.contains("Decided")).count();
    assert!(told >= 1 && shrunk.lines.len() < 100, "the story tells the decisions, and is short");
    assert_eq!(shrunk.text, shrink::shrink(plan).text, "the same seed gives the same story");
}
