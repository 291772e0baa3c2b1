//! Runs a plan, and shrinks a failing one: fewer kinds of faults, fewer steps, and a short
//! timeline.

use crate::simulation::coverage::Coverage;
use crate::simulation::plan::{FAULT_KINDS, RunPlan};
use crate::simulation::run::Simulation;
use crate::world::caught::caught;
use std::fmt;

/// A smaller run that fails.
pub struct Shrunk {
    pub plan: RunPlan,
    pub text: String,
    /// The events of the failing transaction, or else the last events.
    pub lines: Vec<String>,
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without: Vec<&str> = FAULT_KINDS
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

/// Runs `plan`; the error, if it fails.
pub fn run(plan: RunPlan, coverage: &mut Coverage) -> Result<(), String> {
    caught(|| Simulation::new(plan, coverage).run())
}

/// The kind of a failure: other banks or times count as the same kind.
fn failure_kind(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    first.chars().filter(|c| !c.is_ascii_digit()).take(40).collect()
}

/// The smallest plan found that fails as `plan` does.
pub fn shrink(mut plan: RunPlan) -> Shrunk {
    let expected = run(plan, &mut Coverage::default()).err().map(|text| failure_kind(&text));
    let fails = |plan: RunPlan| {
        let mut coverage = Coverage::default();
        run(plan, &mut coverage)
            .err()
            .filter(|text| Some(failure_kind(text)) == expected)
            .map(|_| coverage.steps)
    };
    for kind in 0..FAULT_KINDS.len() {
        let mut less = plan;
        less.without[kind] = true;
        if fails(less).is_some() {
            plan = less;
        }
    }
    if let Some(steps) = fails(plan) {
        plan.steps = steps;
    }
    for divisor in [2, 2, 2, 2, 4, 4, 8, 8, 16, 16] {
        let less = RunPlan { steps: plan.steps - plan.steps / divisor, ..plan };
        if fails(less).is_some() {
            plan = less;
        }
    }
    let mut coverage = Coverage { keeps_lines: true, ..Coverage::default() };
    let text = run(plan, &mut coverage).err().unwrap_or_default();
    let lines = coverage.lines;
    let tx = text.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| {
        word.strip_prefix('t')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    });
    let about = |line: &&String| tx.is_none_or(|tx| line.split(' ').any(|word| word == tx));
    let mut timeline: Vec<String> = lines.iter().filter(about).cloned().collect();
    timeline.drain(..timeline.len().saturating_sub(60));
    Shrunk { plan, text, lines: timeline }
}
