//! The core in simulated worlds: golden scripts, exhaustive orders of events, long seeded runs, and
//! links with an attacker in the middle.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(clippy::too_many_lines, reason = "a test is one sequence of steps")]

mod exhaustive;
#[path = "world/real_links.rs"]
mod links;
#[path = "world/scripts.rs"]
mod scripts;
mod simulation;
mod world;
