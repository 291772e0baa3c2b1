//! The pure core of a bank: inputs and times come in, records and messages come out.
//!
//! Nothing here reads a clock or touches a file, a socket, a thread or randomness, and nothing here
//! iterates a map whose order is not defined: the same inputs give the same records. Cargo enforces
//! most of it, for no crate that does I/O is among the dependencies.
//!
//! From the bottom up: `money`, `ids` and `limits`; `wire`, the text of the protocol; `commit`, who
//! proves and who coordinates; `ledger`, the accounts; `bank`, which decides with them.

#![warn(unreachable_pub)]

pub mod bank;
pub mod clock;
pub mod commit;
pub mod ids;
pub mod ledger;
pub mod limits;
pub mod money;
pub mod wire;
