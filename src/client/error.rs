//! What can go wrong, for programs. In words for people at a terminal `cliente` says it.

use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::wire::Reason;

/// Why something was not done, or is not known.
///
/// Only `InDoubt` leaves open whether something happened; of every other error nothing did, but
/// that a bank which became unreachable may have executed the single request that it was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The bank can't be connected to, ended the connection, or was silent.
    #[error("bank {bank} at {address} can't be reached ({why})")]
    Unreachable {
        /// Which bank.
        bank: BankId,
        /// Where it should be.
        address: String,
        /// In a few words.
        why: String,
    },
    /// The bank's process answers, and its disk has not finished a sync for this long.
    #[error("bank {bank}: its disk has not answered for {ms} ms")]
    DiskHangs {
        /// Which bank.
        bank: BankId,
        /// Milliseconds.
        ms: u64,
    },
    /// What listens at the bank's address does not speak the protocol.
    #[error("what answers at {address} is no bank (it says {says:?}); it should be bank {bank}")]
    NoBank {
        /// Which bank was meant.
        bank: BankId,
        /// Where.
        address: String,
        /// The beginning of what it said.
        says: String,
    },
    /// Another bank listens at the bank's address; it executed nothing.
    #[error("at {address} there is another bank than bank {bank}: {says}")]
    OtherBank {
        /// Which bank was meant.
        bank: BankId,
        /// Where.
        address: String,
        /// That bank's words.
        says: String,
    },
    /// The bank takes no requests now; it executed nothing.
    #[error("bank {bank} refused: {reason}: {text}")]
    Declined {
        /// Which bank.
        bank: BankId,
        /// Why.
        reason: Reason,
        /// In the bank's words.
        text: String,
    },
    /// The bank refused this request.
    #[error("bank {bank} refused: {reason}: {text}")]
    Refused {
        /// Which bank.
        bank: BankId,
        /// Why.
        reason: Reason,
        /// In the bank's words; may be empty.
        text: String,
    },
    /// The bank answered another question than it was asked.
    #[error("bank {bank} answers what it was not asked")]
    NotAsked {
        /// Which bank.
        bank: BankId,
    },
    /// The bank's answer is not what the protocol says.
    #[error("bank {bank} answers what can't be read ({begins:?})")]
    Unreadable {
        /// Which bank.
        bank: BankId,
        /// The answer's beginning.
        begins: String,
    },
    /// The consortium's list has no such bank.
    #[error("bank {bank} is not in the consortium {list}")]
    NotListed {
        /// Which bank.
        bank: BankId,
        /// The list.
        list: String,
    },
    /// A bank knows more places than this client's list has, so it can't speak of all banks.
    #[error("the list has {listed} places, and bank {bank} knows {known}")]
    ShortList {
        /// Which bank.
        bank: BankId,
        /// Places of this client's list.
        listed: usize,
        /// Places that the bank knows.
        known: usize,
    },
    /// Two banks have different keys: they are not one consortium.
    #[error("bank {bank} has the key {key} and bank {other} has {other_key}")]
    TwoKeys {
        /// One bank.
        bank: BankId,
        /// The public id of its key.
        key: String,
        /// The other one.
        other: BankId,
        /// The public id of the other key.
        other_key: String,
    },
    /// The transaction makes no sense, so it was not sent: why.
    #[error("{0}")]
    Illegal(String),
    /// The transaction is aborted: nothing changed at any bank.
    #[error("transaction {tx} is aborted: bank {by} refused: {reason}")]
    Aborted {
        /// Its id.
        tx: TxId,
        /// The bank that refused.
        by: BankId,
        /// Why.
        reason: Reason,
        /// In words; may be empty.
        text: String,
    },
    /// Whether the transaction is committed is not known yet. The banks end it by themselves;
    /// `Client::resolve` says how.
    #[error("the outcome of transaction {tx} is not known yet")]
    InDoubt {
        /// Its id.
        tx: TxId,
        /// The banks that are silent and may have voted OK.
        silent: BankSet,
    },
    /// No bank was sent anything of the transaction, or each said that it recorded nothing: why.
    #[error("nothing of transaction {tx} was executed: {why}")]
    NothingDone {
        /// Its id.
        tx: TxId,
        /// In words.
        why: String,
    },
    /// The system gave no randomness for an id.
    #[error("no randomness: {0}")]
    NoRandomness(String),
}

impl ClientError {
    /// Is the bank out of reach, or does its disk not answer? Then asking again may help.
    pub fn is_silence(&self) -> bool {
        matches!(self, ClientError::Unreachable { .. } | ClientError::DiskHangs { .. })
    }
}
