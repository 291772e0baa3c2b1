//! The house rules, and the documents: each example of them is replayed.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]
#![allow(clippy::too_many_lines, reason = "a test is one sequence of steps")]

#[path = "docs/protocol.rs"]
mod protocol;
mod support;
mod tidy;
