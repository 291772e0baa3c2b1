//! An async client of a consortium of banks, for programs: transactions that all banks commit or
//! none, reads, consistent cuts of all banks, and the resolution of undecided transactions.
//!
//! ```no_run
#![doc = include_str!("examples/transfer.rs")]
//! ```
//!
//! Money is whole centavos. Ids, account numbers and documents are types of `consorcio_core`, whose
//! values are always legal. Nothing is printed here; a step log receives events as an `Observer`.
//!
//! Architecture invariant: nothing here decides a transaction; the coordinator and the banks do.

#![warn(unreachable_pub)]

mod client;
mod connection;
mod cut;
mod dial;
mod driver;
mod error;
mod hello;
mod observe;
mod options;
mod reading;
mod reads;
mod resolve;
mod transactions;

pub use client::{AnswerFrom, Client};
pub use connection::Connection;
pub use cut::{Blocked, Extent, TakenCut, latest};
pub use driver::{
    BankVote, DriveMode, DrivenTransaction, Driver, DriverEvent, DriverOptions, Redial, Writes,
};
pub use error::ClientError;
pub use observe::{ClientEvent, Observer, RequestNumber};
pub use options::ClientOptions;
pub use reading::{done, read, sync_ms_of};
pub use reads::{BankClock, pending_request};
pub use resolve::ResolvedTransaction;
pub use transactions::{BankAccount, CommittedTransaction, DrivePhase, money_op};
