//! Runs that may fail, and smaller runs that fail too: less trouble, fewer steps, and a short story
//! of it.

use crate::simulation::met::Met;
use crate::simulation::plan::{Plan, TROUBLES};
use crate::simulation::run::Simulation;
use crate::world::caught::caught;
use std::fmt;

/// A smaller run that fails.
pub struct Shrunk {
    pub plan: Plan,
    pub text: String,
    /// What was seen of the transaction that it is about, or else the last that was seen.
    pub lines: Vec<String>,
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without: Vec<&str> = TROUBLES
            .iter()
            .zip(self.plan.without)
            .filter(|(_, without)| *without)
            .map(|(name, _)| *name)
            .collect();
        writeln!(
            f,
            "shrunk to {} steps, without {}: {}",
            self.plan.steps,
            without.join(", "),
            self.text
        )?;
        self.lines.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// Runs `plan`; what failed, if anything did.
pub fn run(plan: Plan, met: &mut Met) -> Result<(), String> {
    caught(|| Simulation::new(plan, met).run())
}

/// What kind of failure this is: the same may strike other banks, at another time.
fn kind(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    first.chars().filter(|c| !c.is_ascii_digit()).take(40).collect()
}

/// The smallest run found that fails as `plan` does.
pub fn shrink(mut plan: Plan) -> Shrunk {
    let wanted = run(plan, &mut Met::default()).err().map(|text| kind(&text));
    let fails = |plan: Plan| {
        let mut met = Met::default();
        run(plan, &mut met).err().filter(|text| Some(kind(text)) == wanted).map(|_| met.steps)
    };
    for trouble in 0..TROUBLES.len() {
        let mut less = plan;
        less.without[trouble] = true;
        if fails(less).is_some() {
            plan = less;
        }
    }
    if let Some(steps) = fails(plan) {
        plan.steps = steps;
    }
    for divisor in [2, 2, 2, 2, 4, 4, 8, 8, 16, 16] {
        let less = Plan { steps: plan.steps - plan.steps / divisor, ..plan };
        if fails(less).is_some() {
            plan = less;
        }
    }
    let mut met = Met { wanted: true, ..Met::default() };
    let text = run(plan, &mut met).err().unwrap_or_default();
    let lines = met.lines;
    let tx = text.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| {
        word.strip_prefix('t')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    });
    let about = |line: &&String| tx.is_none_or(|tx| line.split(' ').any(|word| word == tx));
    let mut story: Vec<String> = lines.iter().filter(about).cloned().collect();
    story.drain(..story.len().saturating_sub(60));
    Shrunk { plan, text, lines: story }
}
