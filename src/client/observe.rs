//! The events of a client, for a step log of its caller.

use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::commit::message::{Message, RequestKey};
use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use std::net::SocketAddr;

/// Receives each event when it happens, on the client's task: so it must not block.
pub trait Observer: Send + Sync {
    /// Receives an event that happens now.
    fn observe(&self, event: &ClientEvent<'_>);
}

/// Identifies a request: both ends count the requests of a connection alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestNumber {
    /// The port of this end of the connection.
    pub port: u16,
    /// The request's number on the connection; HELLO is the first.
    pub number: u64,
}

/// An event of a client.
#[derive(Debug)]
pub enum ClientEvent<'a> {
    /// A connection to the bank is being made.
    Connecting(BankId),
    /// The bank at the other end of a connection is the one that was meant.
    Greeted(BankId),
    /// A connection to the bank is open, from this local address.
    Connected(BankId, Option<SocketAddr>),
    /// A connection to the bank could not be made, for this reason.
    NotConnected(BankId, &'a str),
    /// A connection ended or was given up, for this reason.
    Closed(BankId, &'a str),
    /// A message of a driver is about to be sent.
    Sent(BankId, &'a Message, RequestNumber),
    /// The reply to a message of a driver was received.
    Answered(BankId, &'a RequestKey, &'a Reply, RequestNumber),
    /// Another request is about to be sent.
    Asked(BankId, &'a Request, RequestNumber),
    /// The reply to another request was received.
    Replied(BankId, &'a Reply, RequestNumber),
    /// The vote time-out of a transaction passed, and these banks are silent.
    TimedOut(&'a TxId, BankSet),
    /// The OK of a bank was counted.
    Counted {
        /// The id of the transaction.
        tx: &'a TxId,
        /// The bank that voted OK.
        bank: BankId,
        /// The number of banks that voted OK so far.
        oks: usize,
        /// The number of banks that it names.
        banks: usize,
    },
    /// The state of a transaction, after each event of its driver.
    Standing {
        /// The id of the transaction.
        tx: &'a TxId,
        /// The number of banks that voted OK.
        oks: usize,
        /// The number of banks that it names.
        banks: usize,
        /// The verdict of the transaction, once there is one.
        verdict: Option<&'a Verdict>,
    },
    /// The verdict of a transaction, sent once.
    Ended {
        /// The id of the transaction.
        tx: &'a TxId,
        /// The verdict of the transaction.
        verdict: &'a Verdict,
        /// The number of banks that voted OK.
        oks: usize,
        /// The number of banks that it names.
        banks: usize,
    },
}
