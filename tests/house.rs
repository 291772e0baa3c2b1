//! Checks of the source tree, and of the documents: each of their examples is replayed.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(clippy::too_many_lines, reason = "a test is one sequence of steps")]

#[path = "docs/protocol.rs"]
mod protocol;
mod support;
#[path = "docs/terminal.rs"]
mod terminal;
mod tidy;
