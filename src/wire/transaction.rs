//! A transaction: the same JSON text for every bank it names, so that each can check all of it.

use crate::commit::token::Digest;
use crate::ids::{AccountNumber, BankId, BankSet, RegisterKey, RegisterValue, TaxId};
use crate::money::Money;
use crate::wire::Fault;

/// A well-formed transaction. It may still be refused: it need not balance, nor fit any ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    text: Box<str>,
    digest: Digest,
    ops: Vec<Op>,
    patience_ms: Option<u32>,
    banks: BankSet,
}

/// One operation at one bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// Where.
    pub bank: BankId,
    /// What.
    pub action: Action,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Moves money on one account.
    Money {
        /// Which way.
        flow: Flow,
        /// The account.
        account: AccountNumber,
        /// Where given, a holder of that account.
        cpf: Option<TaxId>,
        /// Positive.
        amount: Money,
    },
    /// Writes a replicated register.
    Set {
        /// Which; `storage` where the text names none.
        key: RegisterKey,
        /// Its new value.
        value: RegisterValue,
    },
}

/// The four ways money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// Out of an account, to credits of the same transaction.
    Debit,
    /// Into an account, from debits of the same transaction.
    Credit,
    /// Cash in.
    Deposit,
    /// Cash out.
    Withdraw,
}

impl Flow {
    /// Does it take from the account?
    pub fn takes(self) -> bool {
        match self {
            Flow::Debit | Flow::Withdraw => true,
            Flow::Credit | Flow::Deposit => false,
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Flow::Debit => "debit",
            Flow::Credit => "credit",
            Flow::Deposit => "deposit",
            Flow::Withdraw => "withdraw",
        }
    }
}

impl Transaction {
    /// Reads a transaction from its exact bytes, from the first `{` to the last `}` of its line.
    ///
    /// # Errors
    /// `malformed` or `limit`, naming the field, for what is not a transaction.
    pub fn parse(text: &str) -> Result<Transaction, Fault> {
        let _ = text;
        Err(Fault::new(crate::wire::Reason::Malformed, "not written yet"))
    }

    /// Its exact text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// BLAKE3 of its text.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its operations, in the order of the text.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The operations of one bank.
    pub fn ops_of(&self, bank: BankId) -> impl Iterator<Item = &Op> {
        self.ops.iter().filter(move |op| op.bank == bank)
    }

    /// How long the banks wait before they resolve by themselves, where the driver asked for that.
    pub fn patience_ms(&self) -> Option<u32> {
        self.patience_ms
    }

    /// The banks it names.
    pub fn banks(&self) -> BankSet {
        self.banks
    }
}

/// In the journal a transaction is its text.
impl serde::Serialize for Transaction {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Transaction {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Transaction::parse(&text).map_err(serde::de::Error::custom)
    }
}
