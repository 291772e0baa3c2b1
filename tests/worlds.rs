//! The core in simulated worlds: golden scripts, every order of events in small worlds, long seeded
//! runs, and links with an attacker.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]
#![allow(clippy::too_many_lines, reason = "a test is one sequence of steps")]

mod exhaustive;
#[path = "world/real_links.rs"]
mod links;
#[path = "world/scripts.rs"]
mod scripts;
mod simulation;
mod world;
