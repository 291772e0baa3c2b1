//! The violations that an audit finds.

use consorcio_core::ids::{BankId, TxId};

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The transaction that it is about, if any.
    pub tx: Option<TxId>,
    /// The banks that it is about.
    pub banks: Vec<BankId>,
    /// A sentence that names transaction, banks and place.
    pub text: String,
}
