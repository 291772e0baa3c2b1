//! The pure core of a bank: inputs and times come in, records and messages come out.
//!
//! Nothing here reads a clock, or uses a file, a socket, a thread or randomness, and nothing
//! iterates over a map without a defined order: the same inputs give the same records. Cargo
//! enforces most of that, because no dependency does I/O.
//!
//! From the bottom up: `money`, `ids`, `limits`, `clock`; `rows` and `pieces`, of which snapshots
//! are made; `access`, who asks; `wire`, the text of the protocol; `commit`, the proofs and the
//! coordinator; `ledger`, the accounts; `bank`, which decides with all of them.

#![warn(unreachable_pub)]

pub mod access;
pub mod bank;
pub mod clock;
pub mod commit;
mod id_map;
pub mod ids;
pub mod ledger;
pub mod limits;
pub mod money;
mod pieces;
mod rows;
pub mod wire;
