//! Real processes that are killed at every step, lose their disk, and run under faults for minutes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(clippy::too_many_lines, reason = "a test is one sequence of steps")]

mod bank_test;
#[path = "kill_matrix/chaos.rs"]
mod chaos;
#[cfg(debug_assertions)]
#[allow(dead_code, reason = "only the tests of HTTP use all of it")]
mod http {
    pub mod client;
    pub mod described;
}
#[path = "journal/kill_disk.rs"]
mod kill_disk;
mod kill_matrix;
mod support;
