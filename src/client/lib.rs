//! An async client of a consortium of banks, for programs: transactions that all banks commit or
//! none, reads, consistent cuts of all banks, and an end for what is undecided.
//!
//! ```no_run
#![doc = include_str!("examples/transfer.rs")]
//! ```
//!
//! Money is whole centavos. Ids, account numbers and documents are the types of `consorcio_core`,
//! which exist only if they are legal. Nothing is printed here; a step log listens by an
//! `Observer`.
//!
//! Architecture invariant: nothing here decides about a transaction; that is the coordinator's, and
//! the banks'.

mod client;
mod connection;
mod cut;
mod driver;
mod error;
mod greetings;
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
    BankVote, DrivenTransaction, Driver, DriverOptions, Happened, Keeping, Redial, Writes,
};
pub use error::ClientError;
pub use observe::{ClientEvent, Observer, RequestNumber};
pub use options::ClientOptions;
pub use reading::{done, read, sync_ms_of};
pub use reads::{Reached, pending_request};
pub use resolve::ResolvedTransaction;
pub use transactions::{BankAccount, CommittedTransaction, money_op};
