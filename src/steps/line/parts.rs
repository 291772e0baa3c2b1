//! What steps are made of: ends of connections, numbers of requests, loads, replies, outcomes.

use consorcio_core::ids::{BankId, BankSet, Time};
use consorcio_core::wire::Reason;
use std::net::SocketAddr;
use std::num::NonZeroU64;

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherEnd {
    /// A connection that came from this address.
    Address(SocketAddr),
    /// A link that this bank opened from this address.
    Link(SocketAddr, BankId),
    /// The bank at this position, at its address in the consortium's list.
    Bank(BankId),
}

/// The number of a request on its connection, 1 for the first line. Both ends count the lines in
/// order, and a reply has the number of its request. `None` in logs of versions that did not count.
pub type Ordinal = Option<NonZeroU64>;

/// A request that this node sent: the port that it left from, and its number on that connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId {
    /// The port of this node's end; the log of the other end has it in `peer=`.
    pub port: u16,
    /// The number on the connection, counted from 1.
    pub n: NonZeroU64,
}

impl RequestId {
    /// Request number `n` of the connection from `port`; `None` for 0, which is no request.
    pub fn new(port: u16, n: u64) -> Option<RequestId> {
        NonZeroU64::new(n).map(|n| RequestId { port, n })
    }
}

/// The load of a request or message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// The request has no load that a line shows.
    Nothing,
    /// A transaction: the number of its operations, and their banks.
    Ops(usize, BankSet),
    /// As `Ops`, with an outside coordinator that has a vote.
    OpsOutside(usize, BankSet),
    /// The number of tokens.
    Tokens(usize),
}

/// The content of a reply, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplySummary {
    /// The first word of the reply on the wire.
    pub word: &'static str,
    /// The bank whose vote it carries.
    pub by: Option<BankId>,
    /// The vote's time, or the commit's for COMMITTED.
    pub time: Option<Time>,
    /// The reason, where it refuses.
    pub reason: Option<Reason>,
}

/// The outcome of a transaction, as a step records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoggedOutcome {
    /// Committed at this time.
    Committed(Time),
    /// Aborted because this bank refused, for this reason.
    Aborted(BankId, Reason),
    /// The outside coordinator voted at this time, which decided it; `None` is OK.
    Outside(Time, Option<Reason>),
    /// Not known: these banks are silent.
    Unknown(BankSet),
    /// No bank could be reached, so nothing was sent.
    Unreached,
}

/// How many banks have voted OK, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OkCount(pub usize, pub usize);
