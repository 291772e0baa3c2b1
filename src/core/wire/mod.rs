//! The grammar of the line protocol: requests, replies, and the JSON inside them. Pure; sockets are
//! in other crates.

pub mod answer;
pub mod claims;
pub mod codec;
pub mod detail;
pub mod help;
pub mod json;
pub mod opening;
pub mod reading;
pub mod registration;
pub mod reply;
pub mod request;
pub mod text;
pub mod token;
pub mod transaction;
pub mod verb;

use detail::Detail;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why something was refused or aborted, or is an error: the closed list of the protocol. On disk:
/// new variants are only added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The account's available balance does not cover its debits.
    InsufficientFunds,
    /// The account does not exist at this bank.
    UnknownAccount,
    /// The client does not exist at this bank.
    UnknownClient,
    /// The cpf is not a holder of the account.
    NotHolder,
    /// An undecided transaction locks the register, or what a cut needs.
    Locked,
    /// Debits and credits differ, or a register is not set to one value at every bank.
    Unbalanced,
    /// The id was used for other bytes before.
    DuplicateId,
    /// The client or account exists with other content.
    AlreadyExists,
    /// The line does not match the grammar.
    Malformed,
    /// A bound of the protocol is exceeded.
    Limit,
    /// Older than what the bank keeps, or given up after its time-out.
    Expired,
    /// Refused by a rule, or by an ABORT or RESOLVE.
    Refused,
    /// A bank could not be reached.
    Unreachable,
    /// The bank has a new journal and votes on nothing until the other banks have recorded it:
    /// nothing was recorded.
    NotIntroduced,
    /// The bank's disk has no room for new transactions: nothing was recorded.
    DiskFull,
    /// The bank can't read its record of the id.
    Unreadable,
    /// The asker, or the owner of the transaction, has no right to it at this bank.
    NotAllowed,
}

impl Reason {
    /// All reasons, in the order of their codes.
    pub const ALL: [Reason; 17] = [
        Reason::InsufficientFunds,
        Reason::UnknownAccount,
        Reason::UnknownClient,
        Reason::NotHolder,
        Reason::Locked,
        Reason::Unbalanced,
        Reason::DuplicateId,
        Reason::AlreadyExists,
        Reason::Malformed,
        Reason::Limit,
        Reason::Expired,
        Reason::Refused,
        Reason::Unreachable,
        Reason::NotIntroduced,
        Reason::DiskFull,
        Reason::Unreadable,
        Reason::NotAllowed,
    ];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::InsufficientFunds => "insufficient-funds",
            Reason::UnknownAccount => "unknown-account",
            Reason::UnknownClient => "unknown-client",
            Reason::NotHolder => "not-holder",
            Reason::Locked => "locked",
            Reason::Unbalanced => "unbalanced",
            Reason::DuplicateId => "duplicate-id",
            Reason::AlreadyExists => "already-exists",
            Reason::Malformed => "malformed",
            Reason::Limit => "limit",
            Reason::Expired => "expired",
            Reason::Refused => "refused",
            Reason::Unreachable => "unreachable",
            Reason::NotIntroduced => "not-introduced",
            Reason::DiskFull => "disk-full",
            Reason::Unreadable => "unreadable",
            Reason::NotAllowed => "not-allowed",
        }
    }

    /// Does an ERR with this reason mean that the bank holds no vote on the id and recorded none?
    pub fn nothing_recorded(self) -> bool {
        matches!(self, Reason::NotIntroduced | Reason::DiskFull)
    }

    /// The reason that `word` names.
    pub fn parse(word: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A reason with a text for people, which names the thing at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} {text}")]
pub struct Fault {
    /// The reason, a word on the wire.
    pub reason: Reason,
    /// One line for people, which names the thing at fault.
    pub text: String,
}

impl Fault {
    /// A fault of a line. Refusals by a bank use `of`.
    pub(in crate::wire) fn new(reason: Reason, text: impl Into<String>) -> Fault {
        Fault { reason, text: text.into() }
    }

    /// A refusal by a bank, with the text of `detail`.
    pub fn of(reason: Reason, detail: &Detail) -> Fault {
        Fault { reason, text: detail.to_string() }
    }

    /// A refusal that needs no text.
    pub fn bare(reason: Reason) -> Fault {
        Fault { reason, text: String::new() }
    }
}
