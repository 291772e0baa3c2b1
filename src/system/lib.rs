//! What a process uses of its machine: clocks, threads, ids, the command line, the configuration,
//! and standard error.
//!
//! `crash` has the points at which tests kill a process; they exist in debug builds only.

#![warn(unreachable_pub)]

pub mod config;
pub mod crash;
pub mod framed;
pub mod id_generator;
pub mod logging;
pub mod manual;
pub mod switches;
pub mod systime;
pub mod terminal;
pub mod threads;
