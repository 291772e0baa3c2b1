//! The wire's grammar: what a line means, and what a reply looks like. Pure; sockets are elsewhere.

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

/// Why something was refused, aborted or is an error: the closed list of the wire. On disk:
/// variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The account's available balance does not cover its debits.
    InsufficientFunds,
    /// No such account at this bank.
    UnknownAccount,
    /// No such client at this bank.
    UnknownClient,
    /// The cpf is not a holder of the account.
    NotHolder,
    /// The register, or what a cut needs, waits for an undecided transaction.
    Locked,
    /// Debits and credits differ, or a register is not set everywhere to one value.
    Unbalanced,
    /// The id was used for other bytes.
    DuplicateId,
    /// The client or account exists with other content.
    AlreadyExists,
    /// Not in the grammar.
    Malformed,
    /// Past a bound.
    Limit,
    /// Older than what the bank keeps, or given up after its time.
    Expired,
    /// Refused by the rules, or by someone's ABORT or RESOLVE.
    Refused,
    /// A bank could not be reached.
    Unreachable,
    /// The bank has a new journal and works alone until the others have met it: nothing was
    /// recorded.
    NotIntroduced,
    /// The bank's disk has no room for what is new: nothing was recorded.
    DiskFull,
    /// What the bank recorded of the id can't be read.
    Unreadable,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 16] = [
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
    ];

    /// The word on the wire.
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
        }
    }

    /// Does an ERR for this reason say that the bank holds no vote on the id, and recorded none?
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

/// A reason with words for people: which thing, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} {text}")]
pub struct Fault {
    /// The reason on the wire.
    pub reason: Reason,
    /// One line that names the thing.
    pub text: String,
}

impl Fault {
    /// A fault of a line, told in `text`. What banks refuse has words of its own: `of`.
    pub(in crate::wire) fn new(reason: Reason, text: impl Into<String>) -> Fault {
        Fault { reason, text: text.into() }
    }

    /// A refusal of a bank.
    pub fn of(reason: Reason, detail: &Detail) -> Fault {
        Fault { reason, text: detail.to_string() }
    }

    /// A refusal whose reason says all.
    pub fn bare(reason: Reason) -> Fault {
        Fault { reason, text: String::new() }
    }
}
