//! Small simulated worlds with links that open, new journals and growing lists, explored
//! completely: every order of events, and every state is healed.

mod growing;
mod meeting;

use crate::world::MeetMistake;
use crate::world::caught::caught;
use crate::world::growth::GrowthMistake;
use growing::GrowingScene;
use meeting::MeetingScene;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Debug;
use std::time::Instant;

/// A state of a scene.
trait Scene: Clone {
    type Action: Copy + Debug;
    fn acts(&self) -> Vec<Self::Action>;
    /// Performs an action; panics if it violates an invariant.
    fn act(&mut self, act: Self::Action);
    /// The state as text, budgets included.
    fn print(&self) -> String;
    /// Heals the state without further faults; panics if that does not end well.
    fn heal(self);
    /// The events since the last call.
    fn reached(&mut self) -> Vec<&'static str>;
}

struct SceneStates {
    states: usize,
    steps: usize,
    reached: BTreeMap<&'static str, usize>,
}

/// A violated invariant, and the path to it.
struct SceneViolation {
    what: String,
    path: Vec<String>,
    states: usize,
}

fn print_of<S: Scene>(scene: &S) -> u128 {
    u128::from_le_bytes(*blake3::hash(scene.print().as_bytes()).as_bytes().first_chunk().unwrap())
}

/// Visits every state, in the order of the number of events.
fn explore<S: Scene>(first: S) -> Result<SceneStates, SceneViolation> {
    let mut came: HashMap<u128, Option<(u128, S::Action)>> = HashMap::new();
    let mut seen = SceneStates { states: 0, steps: 0, reached: BTreeMap::new() };
    let broken =
        |came: &HashMap<u128, Option<(u128, S::Action)>>, what, mut print, last, states| {
            let mut path: Vec<String> = Option::into_iter(last).collect();
            while let Some(Some((before, act))) = came.get(&print) {
                path.push(format!("{act:?}"));
                print = *before;
            }
            path.reverse();
            SceneViolation { what, path, states }
        };
    let print = print_of(&first);
    came.insert(print, None);
    let mut queue = VecDeque::from([(first, print)]);
    while let Some((scene, print)) = queue.pop_front() {
        seen.states += 1;
        let healing = scene.clone();
        caught(|| healing.heal()).map_err(|what| {
            broken(&came, what, print, Some("and then all faults are healed".into()), seen.states)
        })?;
        for act in scene.acts() {
            let mut next = scene.clone();
            caught(|| next.act(act)).map_err(|what| {
                broken(&came, what, print, Some(format!("{act:?}")), seen.states)
            })?;
            seen.steps += 1;
            next.reached().into_iter().for_each(|what| *seen.reached.entry(what).or_default() += 1);
            let after = print_of(&next);
            came.entry(after).or_insert_with(|| {
                queue.push_back((next, after));
                Some((print, act))
            });
        }
    }
    Ok(seen)
}

/// Explores a scene, and compares the numbers of states and steps with the pinned ones.
fn check<S: Scene>(name: &str, first: S, counts: (usize, usize), must_reach: &[&str]) {
    let start = Instant::now();
    let SceneStates { states, steps, reached } =
        explore(first).unwrap_or_else(|broken| panic!("{name}: {}", broken.to_text()));
    println!("{name}: {:?} states and steps, {:?}, {reached:?}", (states, steps), start.elapsed());
    let missing: Vec<_> = must_reach.iter().filter(|what| !reached.contains_key(*what)).collect();
    assert!(missing.is_empty(), "{name}: never reached: {missing:?}");
    assert_eq!((states, steps), counts, "{name}: explain this before pinning");
}

impl SceneViolation {
    fn to_text(&self) -> String {
        let (steps, states, path) = (self.path.len(), self.states, self.path.join("\n    "));
        format!("{}, after {steps} steps and {states} states:\n    {path}", self.what)
    }
}

/// The mistake is found, by a shortest path.
fn is_found<S: Scene>(mistake: impl Debug, first: S) {
    match explore(first) {
        Err(broken) => println!("{mistake:?}: {}", broken.to_text()),
        Ok(seen) => panic!("{mistake:?} was not found in {} states", seen.states),
    }
}

#[test]
fn banks_with_new_journals_meet() {
    let two = ["introduced", "not introduced yet", "committed", "aborted"];
    check("two new banks meet", MeetingScene::unfounded(2), (1_173, 4_254), &two);
    let after = ["disk lost", "stopped", "not introduced yet", "committed", "aborted"];
    check("a disk is lost", MeetingScene::founded(2).losing(1), (1_499, 4_127), &after);
    let away = ["disk lost", "disk lost with a bank down", "stopped", "committed", "aborted"];
    let world = MeetingScene::founded(2).losing(1).crashing(1);
    check("a disk is lost and a peer may be down", world, (8_417, 27_941), &away);
    let copy = ["old copy", "stopped", "introduced", "committed", "aborted"];
    check(
        "an old copy",
        MeetingScene::founded(2).without_resolves().copying(1),
        (7_703, 22_135),
        &copy,
    );
}

#[test]
fn a_consortium_grows_with_an_undecided_set() {
    let reached =
        ["set committed", "page received", "page refused while a set was undecided", "learned"];
    check("a third bank joins", GrowingScene::with_undecided_set(0), (5_785, 15_195), &reached);
}

#[test]
#[ignore = "takes minutes; scripts/exhaustive.sh runs it"]
fn larger_scenes_of_meeting_and_growing() {
    let lost = ["disk lost", "stopped", "committed", "aborted", "not introduced yet", "introduced"];
    check(
        "a disk is lost while banks meet",
        MeetingScene::unfounded(2).losing(1),
        (8_989, 32_797),
        &lost,
    );
    let copy = ["old copy", "stopped", "committed", "aborted", "introduced"];
    check("an old copy and RESOLVE", MeetingScene::founded(2).copying(1), (24_301, 86_773), &copy);
    let reached =
        ["set committed", "page received", "page refused while a set was undecided", "learned"];
    check(
        "a third bank joins and time passes",
        GrowingScene::with_undecided_set(1),
        (44_257, 125_816),
        &reached,
    );
    check(
        "a third bank joins at any moment",
        GrowingScene::new(1, 0),
        (128_496, 328_015),
        &reached,
    );
}

#[test]
fn mistakes_in_meeting_and_growing_are_found() {
    let meeting = [
        MeetMistake::ByLinksAlone,
        MeetMistake::NotRecorded,
        MeetMistake::ReplacedLinked,
        MeetMistake::WaitsForNone,
        MeetMistake::EmptyTakenForOld,
    ];
    for mistake in meeting {
        is_found(mistake, MeetingScene::founded(2).losing(1).mistaken(mistake));
    }
    for mistake in [GrowthMistake::SentAsOfACut, GrowthMistake::ServedTooEarly] {
        is_found(mistake, GrowingScene::new(1, 0).mistaken(mistake));
    }
}
