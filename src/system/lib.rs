//! What a process takes from its machine: clocks, threads, fresh ids, its command line, its
//! configuration.
//!
//! `crash` are the places where a test makes a process die; they are empty but in debug builds.

pub mod config;
pub mod crash;
pub mod framed;
pub mod id_generator;
pub mod logging;
pub mod switches;
pub mod systime;
pub mod threads;
