//! The explorer: every state that can be reached, each looked at once.
//!
//! An own one of a page, and not `stateright`: its `eventually` misses what ends in a cycle or a
//! joined path, and so could not carry "everything is decided in the end"; here each state is
//! healed instead, and must come to its end. Also, states hold whole banks: known ones are
//! remembered by their prints alone (128 bits of BLAKE3), and what two states share is shared in
//! memory.

use crate::exhaustive::state::{Act, Heal, ModelState, Setup};
use crate::world::caught::caught;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::rc::Rc;

/// A healing that takes more steps than this never ends.
const HEAL_STEPS_MAX: usize = 1_000;
/// More of them tell nothing new.
const HEAL_STEPS_TOLD_MAX: usize = 40;

/// Which state is looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The one with the fewest events: what is found broken has no shorter way.
    FewestEvents,
    /// The newest: of states that wait to be looked at there are few, so that many more fit in
    /// memory.
    Newest,
}

/// How often what happened, on all ways from a state to a state.
pub type Met = BTreeMap<&'static str, usize>;

/// What an exploration saw.
#[derive(Debug, Default)]
pub struct Explored {
    /// States, each counted once.
    pub states: usize,
    /// Ways from a state to a state.
    pub steps: usize,
    pub met: Met,
}

/// A rule is broken.
#[derive(Debug)]
pub struct Broken {
    pub what: String,
    pub way: Vec<Act>,
    /// Only when all was healed then?
    pub healed: bool,
    /// States that had been looked at before.
    pub states: usize,
    setup: Rc<Setup>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (steps, states) = (self.way.len(), self.states);
        writeln!(
            f,
            "{}, after {steps} steps, having looked at {states} states before:",
            self.what
        )?;
        let mut state = ModelState::new(Rc::clone(&self.setup));
        for act in &self.way {
            let what = state.tell(*act);
            if !tell_step(f, &mut state, &what, |state| state.act(*act))? {
                return Ok(());
            }
        }
        if self.healed {
            writeln!(f, "    and then all is healed:")?;
        }
        let mut rounds = 0;
        for _ in 0..HEAL_STEPS_TOLD_MAX {
            let Some(by) = state.heals_by(rounds).filter(|_| self.healed) else { return Ok(()) };
            let what = match by {
                Heal::Act(act) => state.tell(act),
                Heal::TimeOuts => "all timers fire".to_owned(),
            };
            rounds += usize::from(by == Heal::TimeOuts);
            if !tell_step(f, &mut state, &what, |state| state.heal(by))? {
                return Ok(());
            }
        }
        writeln!(f, "    ...")
    }
}

/// Tells a step and what is written with it; false: this is the one that breaks a rule.
fn tell_step(
    f: &mut fmt::Formatter<'_>,
    state: &mut ModelState,
    what: &str,
    step: impl FnOnce(&mut ModelState),
) -> Result<bool, fmt::Error> {
    writeln!(f, "    {what}")?;
    let before = state.journals();
    let whole = caught(|| step(state)).is_ok();
    for line in state.written_since(&before) {
        writeln!(f, "        {line}")?;
    }
    Ok(whole)
}

struct Explorer {
    setup: Rc<Setup>,
    /// How each known state was reached first.
    came: HashMap<u128, Option<(u128, Act)>>,
    /// From these on healing has come to a good end before.
    healed: HashSet<u128>,
    seen: Explored,
}

/// Visits every state that `setup` can reach, or those within its `acts_max`.
///
/// # Errors
/// When a rule is broken, with the way there.
pub fn explore(setup: Setup, order: Order) -> Result<Explored, Box<Broken>> {
    let setup = Rc::new(setup);
    let acts_max = setup.acts_max.unwrap_or(usize::MAX);
    assert!(
        setup.acts_max.is_none() || order == Order::FewestEvents,
        "a bound counts the fewest events"
    );
    let mut explorer = Explorer {
        setup: Rc::clone(&setup),
        came: HashMap::new(),
        healed: HashSet::new(),
        seen: Explored::default(),
    };
    let first = ModelState::new(setup);
    explorer.came.insert(first.print(), None);
    explorer.heal(&first)?;
    let mut queue = VecDeque::from([(first, 0)]);
    while let Some((state, acts)) = match order {
        Order::FewestEvents => queue.pop_front(),
        Order::Newest => queue.pop_back(),
    } {
        explorer.seen.states += 1;
        for act in state.acts() {
            let mut next = state.clone();
            caught(|| next.act(act)).map_err(|what| explorer.broken(what, &state, Some(act)))?;
            explorer.seen.steps += 1;
            for met in std::mem::take(&mut next.met) {
                *explorer.seen.met.entry(met).or_default() += 1;
            }
            if let Entry::Vacant(place) = explorer.came.entry(next.print()) {
                place.insert(Some((state.print(), act)));
                explorer.heal(&next)?;
                if acts + 1 < acts_max {
                    queue.push_back((next, acts + 1));
                } else {
                    explorer.seen.states += 1; // counted and healed, and not gone on from
                }
            }
        }
    }
    Ok(explorer.seen)
}

impl Explorer {
    /// From here on nothing bad happens any more: everything must be decided.
    fn heal(&mut self, state: &ModelState) -> Result<(), Box<Broken>> {
        let mut healing = state.clone();
        let mut way = Vec::new();
        let well = caught(|| {
            let mut rounds = 0;
            for _ in 0..HEAL_STEPS_MAX {
                let print = healing.print_of_things();
                if self.healed.contains(&print) {
                    return;
                }
                way.push(print);
                let Some(by) = healing.heals_by(rounds) else { return healing.verify() };
                rounds += usize::from(by == Heal::TimeOuts);
                healing.heal(by);
            }
            panic!("all banks are up, all is delivered, and something is still not decided");
        });
        self.healed.extend(way);
        well.map_err(|what| self.broken(what, state, None))
    }

    fn broken(&self, what: String, from: &ModelState, act: Option<Act>) -> Box<Broken> {
        let healed = act.is_none();
        let mut way: Vec<Act> = act.into_iter().collect();
        let mut print = from.print();
        while let Some(Some((before, act))) = self.came.get(&print) {
            way.push(*act);
            print = *before;
        }
        way.reverse();
        Box::new(Broken {
            what,
            way,
            healed,
            states: self.seen.states,
            setup: Rc::clone(&self.setup),
        })
    }
}
