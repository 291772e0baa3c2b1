//! Real processes that are killed at every step, lose their disk, and are harmed for minutes.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]
#![allow(clippy::too_many_lines, reason = "a test is one sequence of steps")]

mod bank_test;
#[path = "kill_matrix/chaos.rs"]
mod chaos;
#[cfg(debug_assertions)]
#[allow(dead_code, reason = "the tests of HTTP use more of it")]
mod http {
    pub mod client;
    pub mod described;
}
#[path = "journal/kill_disk.rs"]
mod kill_disk;
mod kill_matrix;
mod support;
