//! The messages that banks send each other, and the key that matches an answer to its request.

use crate::ids::{BankId, RegisterKey, TxId};
use crate::wire::request;
use crate::wire::token::Token;
use crate::wire::transaction::Transaction;
use std::sync::Arc;

/// Matches an answer of a peer to its request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestKey {
    /// The transaction; for REGISTERS the id of the request, which has the same form.
    pub tx: TxId,
    /// The verb of the request.
    pub verb: PeerVerb,
}

/// The verbs of messages between banks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerVerb {
    /// PREPARE, sent by a driver.
    Prepare,
    /// COMMIT, with the tokens that prove it.
    Commit,
    /// ABORT, with a token; a driver may send it without.
    Abort,
    /// RESOLVE, sent by a bank in doubt.
    Resolve,
    /// REGISTERS, sent by a bank that joined later.
    Registers,
}

/// A request to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// `PREPARE`, sent by a driver.
    Prepare(TxId, Arc<Transaction>),
    /// `COMMIT` with the tokens of the votes.
    Commit(TxId, Vec<Token>),
    /// `ABORT`, with the token of a refusal if there is one.
    Abort(TxId, Option<Token>),
    /// `RESOLVE`, sent by a bank in doubt.
    Resolve(TxId),
    /// `REGISTERS`, sent by a bank that joined later.
    Registers {
        /// The bank that sends it.
        asker: BankId,
        /// The id of this request.
        nonce: TxId,
        /// The last key of the page before.
        after: Option<RegisterKey>,
    },
}

impl Message {
    /// The key by which its answer is matched.
    pub fn key(&self) -> RequestKey {
        let tx = match self {
            Message::Prepare(tx, _) | Message::Commit(tx, _) | Message::Abort(tx, _) => tx,
            Message::Resolve(tx) => tx,
            Message::Registers { nonce, .. } => nonce,
        };
        RequestKey { tx: tx.clone(), verb: self.verb() }
    }

    /// The verb of its request.
    pub fn verb(&self) -> PeerVerb {
        match self {
            Message::Prepare(..) => PeerVerb::Prepare,
            Message::Commit(..) => PeerVerb::Commit,
            Message::Abort(..) => PeerVerb::Abort,
            Message::Resolve(_) => PeerVerb::Resolve,
            Message::Registers { .. } => PeerVerb::Registers,
        }
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
