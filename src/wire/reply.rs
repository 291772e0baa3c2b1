//! Replies: one line for each request line.

use crate::commit::token::Token;
use crate::ids::{Time, TxId};
use crate::wire::Reason;

/// A reply, as its line means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `OK <tx> <token>`: voted OK.
    Ok(TxId, Token),
    /// `NOK <tx> <token> <reason> [text]`: voted NOK.
    Nok(TxId, Token, Reason, String),
    /// `COMMITTED <tx> <time> <token>`
    Committed(TxId, Time, Token),
    /// `ABORTED <tx> <token> <reason>`
    Aborted(TxId, Token, Reason),
    /// `DOUBT <tx> <text>`
    Doubt(TxId, String),
    /// `UNKNOWN <tx>`
    Unknown(TxId),
    /// `DONE <json>`: one line of JSON.
    Done(String),
    /// `REFUSED <reason> [text]`
    Refused(Reason, String),
    /// `ERR <code> <text>`: a bad line.
    Err(Reason, String),
    /// `PONG`
    Pong,
    /// `BYE`
    Bye,
}
