//! The steps of a node: `steplog` writes them, `trace` reads the logs of several nodes and makes
//! timelines of them.

mod line;
pub mod steplog;
pub mod trace;
