//! A consortium of banks whose money moves between them atomically, by two-phase commit over plain TCP lines.
//!
//! Dependencies point one way: bins, then edges (`config`, `server`, `client`, `http`, `peers`, `steplog`, `trace`), then
//! `node`, then `journal` and `bank`, then `ledger`, `commit` and `wire`, then `money`, `ids` and `limits`.
//! `crash` is called where a process can die; it is empty but in debug builds.

pub use consorcio_core::{bank, clock, commit, ids, ledger, limits, money, wire};

pub mod audit;
pub mod chain;
pub mod client;
pub mod config;
pub mod crash;
pub mod fresh;
pub mod http;
pub mod journal;
pub mod node;
pub mod panel;
pub mod peers;
pub mod server;
pub mod steplog;
pub mod switches;
pub mod systime;
pub mod threads;
pub mod trace;
