//! Answers about transactions: HISTORY and PENDING.

use super::is_false;
use crate::ids::{AccountNumber, BankId, RegisterKey, RegisterValue, TaxId, Time, TxId};
use crate::money::Money;
use crate::wire::Reason;
use crate::wire::transaction::{Action, Op, Transaction};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// An operation of a transaction; fields that its kind does not have are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpAnswer<'a> {
    /// The bank that executes it.
    pub bank: BankId,
    /// The operation's name; a later version may have more of them.
    pub op: Cow<'a, str>,
    /// The account whose money moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Cow<'a, AccountNumber>>,
    /// A holder of the account, if the transaction names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpf: Option<Cow<'a, TaxId>>,
    /// The amount in centavos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The register that is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Cow<'a, RegisterKey>>,
    /// The register's new value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Cow<'a, RegisterValue>>,
}

impl<'a> OpAnswer<'a> {
    /// The JSON form of `op`.
    pub fn of(op: &'a Op) -> OpAnswer<'a> {
        let bank = op.bank;
        let none = OpAnswer {
            bank,
            op: "set".into(),
            account: None,
            cpf: None,
            amount: None,
            key: None,
            value: None,
        };
        match &op.action {
            Action::Money { flow, account, cpf, amount } => OpAnswer {
                op: flow.as_str().into(),
                account: Some(Cow::Borrowed(account)),
                cpf: cpf.as_ref().map(Cow::Borrowed),
                amount: Some(*amount),
                ..none
            },
            Action::Set { key, value } => OpAnswer {
                key: Some(Cow::Borrowed(key)),
                value: Some(Cow::Borrowed(value)),
                ..none
            },
        }
    }

    /// All operations of `transaction`, in the order of its text.
    pub fn all_of(transaction: &'a Transaction) -> Vec<OpAnswer<'a>> {
        transaction.ops().iter().map(OpAnswer::of).collect()
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HistoryOutcome {
    /// Committed at every bank that it names.
    Committed,
    /// Aborted at every bank that it names.
    Aborted,
}

impl HistoryOutcome {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            HistoryOutcome::Committed => "committed",
            HistoryOutcome::Aborted => "aborted",
        }
    }
}

/// An entry of HISTORY: a transaction with an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryAnswer<'a> {
    /// The id of the transaction.
    pub tx: Cow<'a, TxId>,
    /// Whether it committed or aborted.
    pub outcome: HistoryOutcome,
    /// The time of the commit, or of the refusal.
    pub time: Time,
    /// The name of an abort's reason; a later version may have more of them.
    pub reason: Option<Cow<'a, str>>,
    /// Absent if the bank never received its bytes, or if they do not fit a page beside `text`.
    pub ops: Option<Vec<OpAnswer<'a>>>,
    /// Did it have an outside coordinator?
    #[serde(default, skip_serializing_if = "is_false")]
    pub outside: bool,
    /// Was this bank its driver?
    #[serde(default, skip_serializing_if = "is_false")]
    pub driven: bool,
    /// The bank that refused, if this bank still knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<BankId>,
    /// The text of this bank's own refusal; may be empty.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub text: Cow<'a, str>,
}

impl HistoryAnswer<'_> {
    /// The reason of an abort, if this version knows its name.
    pub fn reason(&self) -> Option<Reason> {
        self.reason.as_deref().and_then(Reason::parse)
    }

    /// Is its outcome `Committed`?
    pub fn is_committed(&self) -> bool {
        self.outcome == HistoryOutcome::Committed
    }
}

/// An entry of PENDING: an undecided transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAnswer<'a> {
    /// The id of the transaction.
    pub tx: Cow<'a, TxId>,
    /// The time of this bank's vote.
    pub since: Time,
    /// The banks whose votes this bank does not know.
    pub waiting_for: Vec<BankId>,
    /// Absent from versions that do not list so many.
    pub ops: Option<Vec<OpAnswer<'a>>>,
    /// Does an outside coordinator decide it?
    #[serde(default, skip_serializing_if = "is_false")]
    pub outside: bool,
}
