//! The explorer: visits every reachable state once.
//!
//! It replaces `stateright`, whose `eventually` misses paths that end in a cycle or join another
//! path, and so could not check that everything is decided in the end. Here each state is healed
//! instead, and must reach its end. States contain whole banks, so the explorer stores only the
//! hashes of known states (128 bits of BLAKE3), and states share their common parts in memory.

use crate::exhaustive::state::{Heal, ModelAction, ModelState, Setup};
use crate::world::caught::caught;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::rc::Rc;

/// Healing that takes more steps than this does not end.
const HEAL_STEPS_MAX: usize = 1_000;
/// Further steps of healing are not printed.
const HEAL_STEPS_PRINTED_MAX: usize = 40;

/// The order of visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The state with the fewest events, so that a violation is found by a shortest path.
    FewestEvents,
    /// The newest state: few states wait for their visit, so a larger graph fits in memory.
    Newest,
}

/// Occurrences by kind of event, over all steps.
pub type ReachedEvents = BTreeMap<&'static str, usize>;

/// The result of an exploration.
#[derive(Debug, Default)]
pub struct Explored {
    pub states: usize,
    pub steps: usize,
    pub reached: ReachedEvents,
}

#[derive(Debug)]
pub struct RuleViolation {
    pub what: String,
    pub path: Vec<ModelAction>,
    /// The invariant failed only after healing.
    pub healed: bool,
    /// States visited before the violation.
    pub states: usize,
    setup: Rc<Setup>,
}

impl fmt::Display for RuleViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (steps, states) = (self.path.len(), self.states);
        writeln!(f, "{}, after {steps} steps; {states} states were visited before:", self.what)?;
        let mut state = ModelState::new(Rc::clone(&self.setup));
        for act in &self.path {
            let what = state.describe(*act);
            if !print_step(f, &mut state, &what, |state| state.act(*act))? {
                return Ok(());
            }
        }
        if self.healed {
            writeln!(f, "    and then all faults are healed:")?;
        }
        let mut rounds = 0;
        for _ in 0..HEAL_STEPS_PRINTED_MAX {
            let Some(by) = state.heals_by(rounds).filter(|_| self.healed) else { return Ok(()) };
            let what = match by {
                Heal::Act(act) => state.describe(act),
                Heal::TimeOuts => "all timers fire".to_owned(),
            };
            rounds += usize::from(by == Heal::TimeOuts);
            if !print_step(f, &mut state, &what, |state| state.heal(by))? {
                return Ok(());
            }
        }
        writeln!(f, "    ...")
    }
}

/// Prints a step and the records that it writes; `false` if it violates an invariant.
fn print_step(
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
    /// By known state, the state and step that first led to it.
    came: HashMap<u128, Option<(u128, ModelAction)>>,
    /// States from which healing is known to succeed.
    healed: HashSet<u128>,
    seen: Explored,
}

/// Visits every state that `setup` can reach, or those within its `acts_max`.
///
/// # Errors
/// A violated invariant, with the path to it.
pub fn explore(setup: Setup, order: Order) -> Result<Explored, Box<RuleViolation>> {
    let setup = Rc::new(setup);
    let acts_max = setup.acts_max.unwrap_or(usize::MAX);
    assert!(
        setup.acts_max.is_none() || order == Order::FewestEvents,
        "acts_max requires Order::FewestEvents"
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
            for event in std::mem::take(&mut next.reached) {
                *explorer.seen.reached.entry(event).or_default() += 1;
            }
            if let Entry::Vacant(place) = explorer.came.entry(next.print()) {
                place.insert(Some((state.print(), act)));
                explorer.heal(&next)?;
                if acts + 1 < acts_max {
                    queue.push_back((next, acts + 1));
                } else {
                    explorer.seen.states += 1; // counted and healed, but not expanded
                }
            }
        }
    }
    Ok(explorer.seen)
}

impl Explorer {
    /// From here on no fault happens: everything must be decided.
    fn heal(&mut self, state: &ModelState) -> Result<(), Box<RuleViolation>> {
        let mut healing = state.clone();
        let mut path = Vec::new();
        let healed = caught(|| {
            let mut rounds = 0;
            for _ in 0..HEAL_STEPS_MAX {
                let print = healing.print_without_budget();
                if self.healed.contains(&print) {
                    return;
                }
                path.push(print);
                let Some(by) = healing.heals_by(rounds) else { return healing.verify() };
                rounds += usize::from(by == Heal::TimeOuts);
                healing.heal(by);
            }
            panic!("all banks are up and all messages delivered, but a transaction is undecided");
        });
        self.healed.extend(path);
        healed.map_err(|what| self.broken(what, state, None))
    }

    fn broken(
        &self,
        what: String,
        from: &ModelState,
        act: Option<ModelAction>,
    ) -> Box<RuleViolation> {
        let healed = act.is_none();
        let mut path: Vec<ModelAction> = act.into_iter().collect();
        let mut print = from.print();
        while let Some(Some((before, act))) = self.came.get(&print) {
            path.push(*act);
            print = *before;
        }
        path.reverse();
        Box::new(RuleViolation {
            what,
            path,
            healed,
            states: self.seen.states,
            setup: Rc::clone(&self.setup),
        })
    }
}
