//! Runs that may fail, and smaller runs that fail too: less trouble, fewer steps, and a short story of it.

use crate::simulation::met::Met;
use crate::simulation::plan::{Plan, TROUBLES};
use crate::simulation::run::Simulation;
use std::cell::Cell;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Once;

thread_local! {
    /// Are panics of this thread looked for, and so not told?
    static LOOKED_FOR: Cell<bool> = const { Cell::new(false) };
}

/// A smaller run that fails.
pub struct Shrunk {
    pub plan: Plan,
    /// What failed.
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
        writeln!(f, "shrunk to {} steps, without {}: {}", self.plan.steps, without.join(", "), self.text)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// Runs `plan`; what failed, if anything did.
pub fn run(plan: Plan, met: &mut Met) -> Result<(), String> {
    caught(|| Simulation::new(plan, met).run())
}

/// Does `work`; what it failed with, if it did, comes back as words.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !LOOKED_FOR.get() || std::env::var_os("CONSORCIO_LOUD").is_some() {
                told(panic);
            }
        }));
    });
    LOOKED_FOR.set(true);
    let result = std::panic::catch_unwind(AssertUnwindSafe(work));
    LOOKED_FOR.set(false);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
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
