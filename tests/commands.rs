//! The commands of `cliente`, beside banks that run, are frozen, are down, or are no banks.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(clippy::too_many_lines, reason = "a test is one sequence of steps")]

#[path = "client/audit.rs"]
mod audit;
#[path = "client/bench.rs"]
mod bench;
#[path = "client/commands.rs"]
mod commands;
#[path = "client/contention.rs"]
mod contention;
#[path = "client/doubt.rs"]
mod doubt;
#[path = "client/faults.rs"]
mod faults;
#[path = "client/frozen.rs"]
mod frozen;
#[path = "client/growth.rs"]
mod growth;
#[path = "client/library.rs"]
mod library;
#[path = "client/logs.rs"]
mod logs;
#[path = "client/manners.rs"]
mod manners;
#[path = "client/monitor.rs"]
mod monitor;
#[path = "client/other_lists.rs"]
mod other_lists;
#[path = "client/phases.rs"]
mod phases;
#[path = "client/portuguese.rs"]
mod portuguese;
#[path = "client/screens.rs"]
mod screens;
#[path = "client/shell.rs"]
mod shell;
#[path = "client/shells.rs"]
mod shells;
mod support;
#[path = "client/top.rs"]
mod top;
#[path = "client/trace.rs"]
mod trace;
#[path = "client/watching.rs"]
mod watching;
