//! The core in worlds of its own making: stories, every order of events, long seeded runs, links
//! that somebody changes.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]
#![allow(clippy::too_many_lines, reason = "a test tells one story")]

mod exhaustive;
#[path = "world/real_links.rs"]
mod links;
mod simulation;
#[path = "world/stories.rs"]
mod stories;
mod world;
