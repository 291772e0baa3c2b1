//! The explorer: every state that can be reached, breadth first, each looked at once.
//!
//! An own one of a page, and not `stateright`: its `eventually` misses what ends in a cycle or a joined path, and so
//! could not carry "everything is decided in the end"; here each state is healed instead, and must come to its end.
//! Also, states hold whole banks: known ones are remembered by their prints alone (128 bits of BLAKE3), and what
//! two states share is shared in memory.

use crate::town::{Act, Setup, Town};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

/// A healing that takes more steps than this never ends.
const HEAL_STEPS_MAX: usize = 1_000;

/// What an exploration saw.
#[derive(Default)]
pub struct Seen {
    /// States, each counted once.
    pub states: usize,
    /// Ways from a state to a state.
    pub steps: usize,
    /// How often what happened, on those ways.
    pub met: BTreeMap<&'static str, usize>,
}

/// Visits every state that `setup` can reach.
///
/// # Panics
/// When a rule is broken, with the way there.
pub fn explore(name: &str, setup: Setup) -> Seen {
    let setup = Rc::new(setup);
    let mut seen = Seen::default();
    let first = Town::new(Rc::clone(&setup));
    let mut came: HashMap<u128, Option<(u128, Act)>> = HashMap::from([(first.print(), None)]);
    let mut healed = HashSet::new();
    heal(name, &first, &came, &mut healed);
    let mut queue = VecDeque::from([first]);
    while let Some(town) = queue.pop_front() {
        seen.states += 1;
        for act in town.acts() {
            let mut next = town.clone();
            guarded(name, &town, Some(act), &came, || next.act(act));
            seen.steps += 1;
            for met in std::mem::take(&mut next.met) {
                *seen.met.entry(met).or_default() += 1;
            }
            let print = next.print();
            if let std::collections::hash_map::Entry::Vacant(place) = came.entry(print) {
                place.insert(Some((town.print(), act)));
                heal(name, &next, &came, &mut healed);
                queue.push_back(next);
            }
        }
    }
    seen
}

/// From here on nothing bad happens any more: everything must be decided.
fn heal(name: &str, town: &Town, came: &HashMap<u128, Option<(u128, Act)>>, healed: &mut HashSet<u128>) {
    let mut healing = town.clone();
    let mut way = Vec::new();
    guarded(name, town, None, came, || {
        for _ in 0..HEAL_STEPS_MAX {
            let print = healing.print_of_things();
            if healed.contains(&print) {
                return;
            }
            way.push(print);
            if !healing.heal() {
                healing.verify();
                return;
            }
        }
        panic!("all banks are up, all is delivered, and something is still not decided");
    });
    healed.extend(way);
}

/// Runs `this`; where it panics, the way that led there is told.
fn guarded(
    name: &str,
    from: &Town,
    act: Option<Act>,
    came: &HashMap<u128, Option<(u128, Act)>>,
    this: impl FnOnce(),
) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(this)) {
        let mut way: Vec<Act> = act.into_iter().collect();
        let mut print = from.print();
        while let Some(Some((before, act))) = came.get(&print) {
            way.push(*act);
            print = *before;
        }
        eprintln!(
            "{name}: a rule is broken at the end of this way{}:",
            if act.is_none() { ", healed" } else { "" }
        );
        for act in way.iter().rev() {
            eprintln!("  {act:?}");
        }
        eprintln!("where the banks' journals hold:");
        eprintln!("{}", from.story());
        resume_unwind(panic);
    }
}
