//! Errors of the client, for programs. `cliente` words them for people.

use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::wire::Reason;

/// Why a request was not executed, or its outcome is not known.
///
/// Only `InDoubt` leaves open whether the transaction is committed. Any other error means that
/// nothing was executed, except that an unreachable bank may have executed the single request that
/// was sent to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The bank can't be connected to, closed the connection, or was silent.
    #[error("bank {bank} at {address} can't be reached ({why})")]
    Unreachable {
        /// The position of the bank.
        bank: BankId,
        /// The address in the list.
        address: String,
        /// The reason, in short.
        why: String,
    },
    /// The bank does not accept this client's certificate, or this client not that of the bank; or
    /// one of both speaks no TLS. The bank executed nothing.
    #[error("bank {bank} at {address}: {why}")]
    Untrusted {
        /// The position of the bank.
        bank: BankId,
        /// The address in the list.
        address: String,
        /// The reason, as a sentence about the bank.
        why: String,
    },
    /// The bank's process replies, but its disk has not finished a sync.
    #[error("bank {bank}: its disk has not answered for {ms} ms")]
    DiskHangs {
        /// The position of the bank.
        bank: BankId,
        /// The age of the sync, in milliseconds.
        ms: u64,
    },
    /// The program at the bank's address does not use the protocol.
    #[error("what answers at {address} is no bank (it says {says:?}); it should be bank {bank}")]
    NoBank {
        /// The position of the bank.
        bank: BankId,
        /// The address in the list.
        address: String,
        /// The beginning of its output.
        says: String,
    },
    /// Another bank listens at the bank's address; it executed nothing.
    #[error("at {address} there is another bank than bank {bank}: {says}")]
    OtherBank {
        /// The position of the bank.
        bank: BankId,
        /// The address in the list.
        address: String,
        /// The text of that bank.
        says: String,
    },
    /// The bank takes no requests now; it executed nothing.
    #[error("bank {bank} refused: {reason}: {text}")]
    Declined {
        /// The position of the bank.
        bank: BankId,
        /// The reason on the wire.
        reason: Reason,
        /// The text of the bank.
        text: String,
    },
    /// The bank refused this request.
    #[error("bank {bank} refused: {reason}: {text}")]
    Refused {
        /// The position of the bank.
        bank: BankId,
        /// The reason on the wire.
        reason: Reason,
        /// The text of the bank; may be empty.
        text: String,
    },
    /// The bank's reply does not belong to the request.
    #[error("bank {bank} answers what it was not asked")]
    NotAsked {
        /// The position of the bank.
        bank: BankId,
    },
    /// The bank's reply is not as the protocol defines it.
    #[error("bank {bank} answers what can't be read ({begins:?})")]
    Unreadable {
        /// The position of the bank.
        bank: BankId,
        /// The beginning of the reply, for people.
        begins: String,
    },
    /// The consortium's list has no such bank.
    #[error("bank {bank} is not in the consortium {list}")]
    NotListed {
        /// The position of the bank.
        bank: BankId,
        /// The list, in the format of the command line.
        list: String,
    },
    /// A bank's own list has more positions than this client's list.
    #[error("the list has {listed} places, and bank {bank} knows {known}")]
    ShortList {
        /// The position of the bank.
        bank: BankId,
        /// Positions in this client's list.
        listed: usize,
        /// Positions in the bank's list.
        known: usize,
    },
    /// Two banks have different keys: they belong to different consortiums.
    #[error("bank {bank} has the key {key} and bank {other} has {other_key}")]
    TwoKeys {
        /// The first bank that has a key.
        bank: BankId,
        /// The public id of its key.
        key: String,
        /// A bank that has another key.
        other: BankId,
        /// The public id of the other key.
        other_key: String,
    },
    /// The transaction is illegal, for this reason, and was not sent.
    #[error("{0}")]
    Illegal(String),
    /// The transaction is aborted; nothing changed at any bank.
    #[error("transaction {tx} is aborted: bank {by} refused: {reason}")]
    Aborted {
        /// The id of the transaction.
        tx: TxId,
        /// The bank that refused.
        by: BankId,
        /// The reason on the wire.
        reason: Reason,
        /// The text of the refusal; may be empty.
        text: String,
    },
    /// The outcome of the transaction is not known yet. The banks decide it by themselves;
    /// `Client::resolve` returns it.
    #[error("the outcome of transaction {tx} is not known yet")]
    InDoubt {
        /// The id of the transaction.
        tx: TxId,
        /// The banks that are silent and may have voted OK.
        silent: BankSet,
    },
    /// Nothing of the transaction was sent, or each bank replied that it recorded nothing.
    #[error("nothing of transaction {tx} was executed: {why}")]
    NothingDone {
        /// The id of the transaction.
        tx: TxId,
        /// The reason, in short.
        why: String,
    },
    /// The system has no randomness for an id.
    #[error("no randomness: {0}")]
    NoRandomness(String),
}

impl ClientError {
    /// Whether the bank is out of reach or its disk hangs, so that a retry may succeed.
    pub fn is_silence(&self) -> bool {
        matches!(self, ClientError::Unreachable { .. } | ClientError::DiskHangs { .. })
    }
}
