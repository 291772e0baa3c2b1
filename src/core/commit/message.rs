//! The messages that banks send each other, and what the answer of each is about.

use crate::ids::{BankId, RegisterKey, TxId};
use crate::wire::request;
use crate::wire::token::Token;
use crate::wire::transaction::Transaction;
use std::sync::Arc;

/// What a message to a peer asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// About which transaction; of REGISTERS the question's own id, which has the same form.
    pub tx: TxId,
    /// Which verb.
    pub verb: AskedVerb,
}

/// The verbs that banks send each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AskedVerb {
    /// PREPARE, as a driver.
    Prepare,
    /// COMMIT, with tokens.
    Commit,
    /// ABORT, with a token or, as a driver, without.
    Abort,
    /// RESOLVE: the question of a bank in doubt.
    Resolve,
    /// REGISTERS: the question of a bank that came later.
    Registers,
}

/// A message to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// `PREPARE`
    Prepare(TxId, Arc<Transaction>),
    /// `COMMIT` with the votes' tokens.
    Commit(TxId, Vec<Token>),
    /// `ABORT`
    Abort(TxId, Option<Token>),
    /// `RESOLVE`
    Resolve(TxId),
    /// `REGISTERS`
    Registers {
        /// Which bank asks.
        asker: BankId,
        /// The question's own id.
        nonce: TxId,
        /// The last key that was told.
        after: Option<RegisterKey>,
    },
}

impl Message {
    /// What its answer will be about.
    pub fn asked(&self) -> Asked {
        let (tx, verb) = match self {
            Message::Prepare(tx, _) => (tx, AskedVerb::Prepare),
            Message::Commit(tx, _) => (tx, AskedVerb::Commit),
            Message::Abort(tx, _) => (tx, AskedVerb::Abort),
            Message::Resolve(tx) => (tx, AskedVerb::Resolve),
            Message::Registers { nonce, .. } => (nonce, AskedVerb::Registers),
        };
        Asked { tx: tx.clone(), verb }
    }

    /// Appends its request line, end included.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Message::Prepare(tx, transaction) => {
                request::write_prepare(out, tx, transaction.text())
            }
            Message::Commit(tx, tokens) => request::write_commit(out, tx, tokens),
            Message::Abort(tx, token) => request::write_abort(out, tx, token.as_ref()),
            Message::Resolve(tx) => request::write_resolve(out, tx),
            Message::Registers { asker, nonce, after } => {
                request::write_registers(out, *asker, nonce, after.as_ref());
            }
        }
    }
}
