//! Small worlds of the simulator's kind, with links that open, journals that are new and lists that
//! grow, explored whole: every order of what can happen, and from every state all is healed.

mod growing;
mod meeting;

use crate::world::MeetMistake;
use crate::world::caught::caught;
use crate::world::growth::GrowthMistake;
use growing::GrowingScene;
use meeting::Meeting;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Debug;
use std::time::Instant;

/// A state of such a world.
trait Scene: Clone {
    type Act: Copy + Debug;
    /// All that can happen.
    fn acts(&self) -> Vec<Self::Act>;
    /// One of it happens; panics where a rule is broken.
    fn act(&mut self, act: Self::Act);
    /// What this state is, budgets included.
    fn print(&self) -> String;
    /// From here on nothing goes wrong; panics where something does not come to its end.
    fn heal(self);
    /// What happened since this was asked last.
    fn met(&mut self) -> Vec<&'static str>;
}

struct SceneStates {
    states: usize,
    steps: usize,
    met: BTreeMap<&'static str, usize>,
}

/// What is wrong, and the way there.
struct BrokenScene {
    what: String,
    way: Vec<String>,
    states: usize,
}

fn print_of<S: Scene>(scene: &S) -> u128 {
    u128::from_le_bytes(*blake3::hash(scene.print().as_bytes()).as_bytes().first_chunk().unwrap())
}

/// Visits every state; those with the fewest events first.
fn explore<S: Scene>(first: S) -> Result<SceneStates, BrokenScene> {
    let mut came: HashMap<u128, Option<(u128, S::Act)>> = HashMap::new();
    let mut seen = SceneStates { states: 0, steps: 0, met: BTreeMap::new() };
    let broken = |came: &HashMap<u128, Option<(u128, S::Act)>>, what, mut print, last, states| {
        let mut way: Vec<String> = Option::into_iter(last).collect();
        while let Some(Some((before, act))) = came.get(&print) {
            way.push(format!("{act:?}"));
            print = *before;
        }
        way.reverse();
        BrokenScene { what, way, states }
    };
    let print = print_of(&first);
    came.insert(print, None);
    let mut queue = VecDeque::from([(first, print)]);
    while let Some((scene, print)) = queue.pop_front() {
        seen.states += 1;
        let healing = scene.clone();
        caught(|| healing.heal()).map_err(|what| {
            broken(&came, what, print, Some("and then all is healed".into()), seen.states)
        })?;
        for act in scene.acts() {
            let mut next = scene.clone();
            caught(|| next.act(act)).map_err(|what| {
                broken(&came, what, print, Some(format!("{act:?}")), seen.states)
            })?;
            seen.steps += 1;
            next.met().into_iter().for_each(|what| *seen.met.entry(what).or_default() += 1);
            let after = print_of(&next);
            came.entry(after).or_insert_with(|| {
                queue.push_back((next, after));
                Some((print, act))
            });
        }
    }
    Ok(seen)
}

/// Explores it, and compares what was seen with what was seen before.
fn check<S: Scene>(name: &str, first: S, counts: (usize, usize), must_meet: &[&str]) {
    let start = Instant::now();
    let SceneStates { states, steps, met } =
        explore(first).unwrap_or_else(|broken| panic!("{name}: {}", broken.told()));
    println!("{name}: {:?} states and steps, {:?}, {met:?}", (states, steps), start.elapsed());
    let missing: Vec<_> = must_meet.iter().filter(|what| !met.contains_key(*what)).collect();
    assert!(missing.is_empty(), "{name}: never met: {missing:?}");
    assert_eq!((states, steps), counts, "{name}: look why before pinning");
}

impl BrokenScene {
    fn told(&self) -> String {
        let (steps, states, way) = (self.way.len(), self.states, self.way.join("\n    "));
        format!("{}, after {steps} steps and {states} states:\n    {way}", self.what)
    }
}

/// The mistake is found, and no way there is shorter.
fn is_found<S: Scene>(mistake: impl Debug, first: S) {
    match explore(first) {
        Err(broken) => println!("{mistake:?}: {}", broken.told()),
        Ok(seen) => panic!("{mistake:?} is not found in {} states", seen.states),
    }
}

#[test]
fn banks_with_new_journals_meet() {
    let two = ["introduced", "not introduced yet", "committed", "aborted"];
    check("two banks are founded", Meeting::unfounded(2), (1_173, 4_254), &two);
    let after = ["disk lost", "stopped", "not introduced yet", "committed", "aborted"];
    check("a disk is lost", Meeting::founded(2).losing(1), (1_499, 4_127), &after);
    let away = ["disk lost", "disk lost with a bank away", "stopped", "committed", "aborted"];
    let world = Meeting::founded(2).losing(1).crashing(1);
    check("a disk is lost and a peer may be away", world, (8_417, 27_941), &away);
    let copy = ["old copy", "stopped", "introduced", "committed", "aborted"];
    check("an old copy", Meeting::founded(2).unasked().copying(1), (7_703, 22_135), &copy);
}

#[test]
fn a_consortium_grows_with_a_set_under_way() {
    let met = ["set committed", "page told", "asked while a set was open", "learned"];
    check("a third bank comes", GrowingScene::under_way(0), (5_785, 15_195), &met);
}

#[test]
#[ignore = "takes minutes; scripts/exhaustive.sh runs it"]
fn larger_worlds_that_meet_and_grow() {
    let lost = ["disk lost", "stopped", "committed", "aborted", "not introduced yet", "introduced"];
    check(
        "a disk is lost while banks meet",
        Meeting::unfounded(2).losing(1),
        (8_989, 32_797),
        &lost,
    );
    let copy = ["old copy", "stopped", "committed", "aborted", "introduced"];
    check("an old copy of who is asked", Meeting::founded(2).copying(1), (24_301, 86_773), &copy);
    let met = ["set committed", "page told", "asked while a set was open", "learned"];
    check(
        "a third bank comes and time passes",
        GrowingScene::under_way(1),
        (44_257, 125_816),
        &met,
    );
    check("a third bank comes at any moment", GrowingScene::new(1, 0), (128_496, 328_015), &met);
}

#[test]
fn mistakes_in_meeting_and_growing_are_found() {
    let meeting = [
        MeetMistake::ByLinksAlone,
        MeetMistake::NotRecorded,
        MeetMistake::ReplacedLinked,
        MeetMistake::WaitsForNobody,
        MeetMistake::EmptyTakenForOld,
    ];
    for mistake in meeting {
        is_found(mistake, Meeting::founded(2).losing(1).mistaken(mistake));
    }
    for mistake in [GrowthMistake::ToldAtACut, GrowthMistake::ServedTooEarly] {
        is_found(mistake, GrowingScene::new(1, 0).mistaken(mistake));
    }
}
