//! `servidor` as clients, browsers and operators meet it: lines, routes, panel, and what grows.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]
#![allow(clippy::too_many_lines, reason = "a test is one sequence of steps")]

mod http;
mod panel;
mod scale;
mod server;
mod support;
