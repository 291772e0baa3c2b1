//! A transaction: one JSON text, sent unchanged to every bank that it names, so each can check all
//! of it.

mod read;

use super::json;
use super::text::write_decimal;
use super::{Fault, Reason};
use crate::ids::{AccountNumber, BankId, BankSet, RegisterKey, RegisterValue, TaxId};
use crate::limits::{
    LINE_BYTES_MAX, OPS_MAX, PATIENCE_MS_MAX, TRANSACTION_BYTES_USUAL, TX_ID_BYTES_MAX,
};
use crate::money::Money;
use crate::wire::token::Digest;
use std::fmt;

/// The register of a `set` that names none.
pub const KEY_DEFAULT: &str = "storage";

/// The longest transaction that fits a line with its verb and id.
pub const TRANSACTION_BYTES_MAX: usize = LINE_BYTES_MAX - "PREPARE  \n".len() - TX_ID_BYTES_MAX;

/// A well-formed transaction. It may still be refused, if it does not balance or by a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    text: Box<str>,
    digest: Digest,
    ops: Vec<Op>,
    patience_ms: Option<u32>,
    banks: BankSet,
    outside: bool,
}

/// The origin of a transaction's text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A line: received, or to be sent.
    Line,
    /// The bank itself or its journal; only there may it name an outside coordinator.
    Bank,
}

/// One operation at one bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// The bank that executes it.
    pub bank: BankId,
    /// What it does there.
    pub action: Action,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Moves money from or to one account.
    Money {
        /// The direction, and the counterpart.
        flow: Flow,
        /// The number of the account.
        account: AccountNumber,
        /// A holder of the account, if given.
        cpf: Option<TaxId>,
        /// How much; always positive.
        amount: Money,
    },
    /// Sets a register, which is replicated at all banks.
    Set {
        /// The register; `storage` if the text names none.
        key: RegisterKey,
        /// The value to be set.
        value: RegisterValue,
    },
}

/// How an operation moves money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// Out of an account, to credits of the same transaction.
    Debit,
    /// Into an account, from debits of the same transaction.
    Credit,
    /// Cash is paid in.
    Deposit,
    /// Cash is paid out.
    Withdraw,
}

impl Flow {
    /// Does it take money from the account?
    pub fn takes(self) -> bool {
        match self {
            Flow::Debit | Flow::Withdraw => true,
            Flow::Credit | Flow::Deposit => false,
        }
    }

    /// The name on the wire.
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
    /// `malformed` or `limit`, naming the field, if it is no transaction.
    pub fn parse(text: &str) -> Result<Transaction, Fault> {
        Transaction::read(text, Source::Line)
    }

    fn read(text: &str, source: Source) -> Result<Transaction, Fault> {
        if text.len() > TRANSACTION_BYTES_MAX {
            let text =
                format!("a transaction of {} bytes, more than {TRANSACTION_BYTES_MAX}", text.len());
            return Err(Fault::new(Reason::Limit, text));
        }
        let read::TransactionFields { ops, patience_ms, outside } = read::read(text, source)?;
        let banks = ops.iter().map(|op| op.bank).chain(outside).collect();
        let (digest, outside) = (Digest::of(text.as_bytes()), outside.is_some());
        Ok(Transaction { digest, text: text.into(), ops, patience_ms, banks, outside })
    }

    /// Makes a transaction of these operations; its text is compact, with fields in canonical
    /// order.
    ///
    /// # Errors
    /// As for `parse`: no or too many operations, an amount that is not positive, or a patience out
    /// of bounds.
    pub fn from_ops(ops: impl AsRef<[Op]>, patience_ms: Option<u32>) -> Result<Transaction, Fault> {
        let ops = ops.as_ref();
        let mut text = Vec::with_capacity(TRANSACTION_BYTES_USUAL);
        text.extend_from_slice(b"{\"ops\":");
        write_ops(&mut text, ops);
        if let Some(patience_ms) = patience_ms {
            text.extend_from_slice(b",\"patience_ms\":");
            write_decimal(&mut text, i64::from(patience_ms));
        }
        text.push(b'}');
        let text = String::from_utf8(text)
            .map_err(|_| Fault::new(Reason::Malformed, "a transaction that is not UTF-8"))?;
        let is_within = (1..=OPS_MAX).contains(&ops.len())
            && ops.iter().all(has_legal_amount)
            && patience_ms.is_none_or(|patience| (1..=PATIENCE_MS_MAX).contains(&patience))
            && text.len() <= TRANSACTION_BYTES_MAX;
        if !is_within {
            // The reader says what is wrong.
            return Transaction::parse(&text);
        }
        let made = Transaction {
            digest: Digest::of(text.as_bytes()),
            text: text.into(),
            banks: ops.iter().map(|op| op.bank).collect(),
            ops: ops.to_vec(),
            patience_ms,
            outside: false,
        };
        debug_assert_eq!(Transaction::parse(&made.text).as_ref(), Ok(&made), "as it is read");
        Ok(made)
    }

    /// Makes a transaction of withdrawals at `bank`, perhaps none, with an outside coordinator. It
    /// commits when that coordinator votes OK too. Its text ends with `"outside":<bank>`, which is
    /// not allowed on a line.
    ///
    /// # Errors
    /// As for `from_ops`, and if an operation is no withdrawal at `bank`.
    pub fn with_outside(bank: BankId, ops: impl AsRef<[Op]>) -> Result<Transaction, Fault> {
        let mut text = b"{\"ops\":".to_vec();
        write_ops(&mut text, ops.as_ref());
        text.extend_from_slice(b",\"outside\":");
        write_decimal(&mut text, i64::from(bank.as_u8()));
        text.push(b'}');
        Transaction::read(&String::from_utf8_lossy(&text), Source::Bank)
    }

    /// Does an outside coordinator vote on it, besides the one bank that it names?
    pub fn has_outside(&self) -> bool {
        self.outside
    }

    /// Its text, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The BLAKE3 hash of its text.
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

    /// How long the banks wait before they resolve it themselves, if the driver sets that.
    pub fn patience_ms(&self) -> Option<u32> {
        self.patience_ms
    }

    /// All banks that it names.
    pub fn banks(&self) -> BankSet {
        self.banks
    }

    /// Its operations as a JSON list, compact, in the canonical order of fields.
    pub fn ops_json(&self) -> String {
        let mut text = Vec::with_capacity(self.text.len());
        write_ops(&mut text, &self.ops);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Do debits and credits have the same sum? Deposits and withdrawals need not balance.
    pub fn is_balanced(&self) -> bool {
        let signed = |op: &Op| match &op.action {
            Action::Money { flow: Flow::Debit, amount, .. } => -amount.wide(),
            Action::Money { flow: Flow::Credit, amount, .. } => amount.wide(),
            Action::Money { flow: Flow::Deposit | Flow::Withdraw, .. } | Action::Set { .. } => 0,
        };
        self.ops.iter().map(signed).sum::<i128>() == 0
    }

    /// Is every register that it sets set at every bank of `consortium`, once each, to one value?
    pub fn registers_are_uniform(&self, consortium: BankSet) -> bool {
        let sets = || {
            self.ops.iter().filter_map(|op| match &op.action {
                Action::Set { key, value } => Some((op.bank, key, value)),
                Action::Money { .. } => None,
            })
        };
        // A transaction has few operations, so one pass for each of them is cheaper than a map.
        sets().all(|(_, key, value)| {
            let mut banks = BankSet::EMPTY;
            let uniform =
                sets().filter(|(_, other, _)| *other == key).all(|(bank, _, other_value)| {
                    let first = !banks.has(bank);
                    banks = banks.with(bank);
                    first && other_value == value
                });
            uniform && banks == consortium
        })
    }

    /// An upper bound on the memory that it holds.
    pub fn memory_bytes(&self) -> usize {
        // Long names are kept a second time in the operations; all of them are part of the text.
        size_of::<Transaction>() + 2 * self.text.len() + self.ops.capacity() * size_of::<Op>()
    }
}

/// A transaction is stored in the journal as its text.
impl serde::Serialize for Transaction {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Transaction {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Borrows the text while it is parsed: recovery reads one for every vote in the journal.
struct TextVisitor;

impl serde::de::Visitor<'_> for TextVisitor {
    type Value = Transaction;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transaction's text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Transaction, E> {
        Transaction::read(text, Source::Bank).map_err(E::custom)
    }
}

fn has_legal_amount(op: &Op) -> bool {
    match &op.action {
        Action::Money { amount, .. } => amount.0 > 0,
        Action::Set { .. } => true,
    }
}

fn write_ops(out: &mut Vec<u8>, ops: &[Op]) {
    for (at, op) in ops.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"[{\"bank\":" } else { b",{\"bank\":" });
        write_decimal(out, i64::from(op.bank.as_u8()));
        out.extend_from_slice(b",\"op\":\"");
        match &op.action {
            Action::Money { flow, account, cpf, amount } => {
                out.extend_from_slice(flow.as_str().as_bytes());
                out.extend_from_slice(b"\",\"account\":");
                json::write_string(out, account.as_str());
                if let Some(cpf) = cpf {
                    out.extend_from_slice(b",\"cpf\":");
                    json::write_string(out, cpf.as_str());
                }
                out.extend_from_slice(b",\"amount\":");
                write_decimal(out, amount.0);
            }
            Action::Set { key, value } => {
                out.extend_from_slice(b"set\",\"key\":");
                json::write_string(out, key.as_str());
                out.extend_from_slice(b",\"value\":");
                json::write_string(out, value.as_str());
            }
        }
        out.push(b'}');
    }
    out.extend_from_slice(if ops.is_empty() { b"[]" } else { b"]" });
}

#[cfg(test)]
mod tests;
