//! The steps of a node: `steplog` writes them, `trace` reads the logs of several nodes and builds
//! timelines.

#![warn(unreachable_pub)]

mod compressed;
pub mod follow;
mod line;
pub mod steplog;
pub mod trace;
