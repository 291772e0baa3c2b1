//! What a client does, for a step log of its caller's.

use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::commit::message::{Asked, Message};
use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use std::net::SocketAddr;

/// Is given each event when it happens, on the task that does it: so it must not wait.
pub trait Observer: Send + Sync {
    /// Takes an event that happens now.
    fn observe(&self, event: &ClientEvent<'_>);
}

/// Which request of which connection: both ends count them alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestNumber {
    /// The port of this end of the connection.
    pub port: u16,
    /// The request's number on the connection; HELLO is the first.
    pub number: u64,
}

/// One step of a client.
#[derive(Debug)]
pub enum ClientEvent<'a> {
    /// A connection to the bank is open, from this address of ours.
    Connected(BankId, Option<SocketAddr>),
    /// The bank could not be connected to: why.
    NotConnected(BankId, &'a str),
    /// A connection ended, or was given up: why.
    Closed(BankId, &'a str),
    /// A driver's message is about to leave.
    Sent(BankId, &'a Message, RequestNumber),
    /// A driver's message was answered.
    Answered(BankId, &'a Asked, &'a Reply, RequestNumber),
    /// Another request is about to leave.
    Asked(BankId, &'a Request, RequestNumber),
    /// ... and was answered.
    Replied(BankId, &'a Reply, RequestNumber),
    /// The vote time-out of a transaction is over, and these banks are silent.
    TimedOut(&'a TxId, BankSet),
    /// What a driver knows of a transaction after each event: banks that voted OK, of how many.
    Standing {
        /// The id of the transaction.
        tx: &'a TxId,
        /// Banks that voted OK.
        oks: usize,
        /// Banks that it names.
        banks: usize,
        /// Its verdict, once there is one.
        verdict: Option<&'a Verdict>,
    },
    /// The verdict of a transaction; comes once.
    Ended {
        /// The id of the transaction.
        tx: &'a TxId,
        /// What became of the transaction.
        verdict: &'a Verdict,
        /// Banks that voted OK.
        oks: usize,
        /// Banks that it names.
        banks: usize,
    },
}
