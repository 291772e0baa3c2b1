//! What an audit finds.

use consorcio_core::ids::{BankId, TxId};

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The transaction, where it is about one.
    pub tx: Option<TxId>,
    /// The banks that it is about.
    pub banks: Vec<BankId>,
    /// In words; names transaction, banks and place.
    pub text: String,
}
