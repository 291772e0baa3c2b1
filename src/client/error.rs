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
        /// The position of the bank that is meant.
        bank: BankId,
        /// Where it should be.
        address: String,
        /// In a few words.
        why: String,
    },
    /// The bank's process answers, and its disk has not finished a sync for this long.
    #[error("bank {bank}: its disk has not answered for {ms} ms")]
    DiskHangs {
        /// The position of the bank that is meant.
        bank: BankId,
        /// For so long, in milliseconds.
        ms: u64,
    },
    /// What listens at the bank's address does not speak the protocol.
    #[error("what answers at {address} is no bank (it says {says:?}); it should be bank {bank}")]
    NoBank {
        /// Which bank was meant.
        bank: BankId,
        /// Where that bank should be.
        address: String,
        /// The beginning of what it said.
        says: String,
    },
    /// Another bank listens at the bank's address; it executed nothing.
    #[error("at {address} there is another bank than bank {bank}: {says}")]
    OtherBank {
        /// Which bank was meant.
        bank: BankId,
        /// Where that bank should be.
        address: String,
        /// In the words of that bank.
        says: String,
    },
    /// The bank takes no requests now; it executed nothing.
    #[error("bank {bank} refused: {reason}: {text}")]
    Declined {
        /// The position of the bank that is meant.
        bank: BankId,
        /// The reason, as the protocol has it.
        reason: Reason,
        /// In the bank's words.
        text: String,
    },
    /// The bank refused this request.
    #[error("bank {bank} refused: {reason}: {text}")]
    Refused {
        /// The position of the bank that is meant.
        bank: BankId,
        /// The reason, as the protocol has it.
        reason: Reason,
        /// In the bank's words; may be empty.
        text: String,
    },
    /// The bank answered another question than it was asked.
    #[error("bank {bank} answers what it was not asked")]
    NotAsked {
        /// The position of the bank that is meant.
        bank: BankId,
    },
    /// The bank's answer is not what the protocol says.
    #[error("bank {bank} answers what can't be read ({begins:?})")]
    Unreadable {
        /// The position of the bank that is meant.
        bank: BankId,
        /// How the answer begins, for people.
        begins: String,
    },
    /// The consortium's list has no such bank.
    #[error("bank {bank} is not in the consortium {list}")]
    NotListed {
        /// The position of the bank that is meant.
        bank: BankId,
        /// The list, as a command line takes it.
        list: String,
    },
    /// A bank knows more places than this client's list has, so it can't speak of all banks.
    #[error("the list has {listed} places, and bank {bank} knows {known}")]
    ShortList {
        /// The position of the bank that is meant.
        bank: BankId,
        /// Places of this client's list.
        listed: usize,
        /// Places that the bank knows.
        known: usize,
    },
    /// Two banks have different keys: they are not one consortium.
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
    /// The transaction makes no sense, so it was not sent: why.
    #[error("{0}")]
    Illegal(String),
    /// The transaction is aborted: nothing changed at any bank.
    #[error("transaction {tx} is aborted: bank {by} refused: {reason}")]
    Aborted {
        /// The id of the transaction.
        tx: TxId,
        /// The bank that refused.
        by: BankId,
        /// The reason, as the protocol has it.
        reason: Reason,
        /// In words; may be empty.
        text: String,
    },
    /// Whether the transaction is committed is not known yet. The banks end it by themselves;
    /// `Client::resolve` says how.
    #[error("the outcome of transaction {tx} is not known yet")]
    InDoubt {
        /// The id of the transaction.
        tx: TxId,
        /// The banks that are silent and may have voted OK.
        silent: BankSet,
    },
    /// No bank was sent anything of the transaction, or each said that it recorded nothing: why.
    #[error("nothing of transaction {tx} was executed: {why}")]
    NothingDone {
        /// The id of the transaction.
        tx: TxId,
        /// The same in a few words.
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
