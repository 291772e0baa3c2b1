//! `servidor` from the outside: its line protocol, HTTP routes and panel, its operation, and scale.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(clippy::too_many_lines, reason = "a test is one sequence of steps")]

mod http;
mod panel;
mod scale;
mod server;
mod support;
