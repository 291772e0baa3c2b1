//! Transactions: HISTORY and PENDING.

use super::is_false;
use crate::ids::{AccountNumber, BankId, RegisterKey, RegisterValue, TaxId, Time, TxId};
use crate::money::Money;
use crate::wire::Reason;
use crate::wire::transaction::{Action, Op, Transaction};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// An operation of a transaction. What it does not have is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpAnswer<'a> {
    /// The bank that executes it.
    pub bank: BankId,
    /// Its word on the wire; a later version may know more of them.
    pub op: Cow<'a, str>,
    /// The account whose money moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Cow<'a, AccountNumber>>,
    /// A holder, where the transaction names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpf: Option<Cow<'a, TaxId>>,
    /// In centavos.
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
    /// As an answer shows `op`.
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
    /// At every bank that it names.
    Committed,
    /// At every bank that it names.
    Aborted,
}

impl HistoryOutcome {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            HistoryOutcome::Committed => "committed",
            HistoryOutcome::Aborted => "aborted",
        }
    }
}

/// A transaction that ended, of HISTORY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryAnswer<'a> {
    /// Its id.
    pub tx: Cow<'a, TxId>,
    /// How it ended.
    pub outcome: HistoryOutcome,
    /// The commit's time, or the refusal's.
    pub time: Time,
    /// The word of the reason of an abort; a later version may know more of them.
    pub reason: Option<Cow<'a, str>>,
    /// None where its bytes never came to the bank, or do not fit a page beside `text`.
    pub ops: Option<Vec<OpAnswer<'a>>>,
    /// Had it an outside coordinator?
    #[serde(default, skip_serializing_if = "is_false")]
    pub outside: bool,
    /// Did the bank drive it?
    #[serde(default, skip_serializing_if = "is_false")]
    pub driven: bool,
    /// The bank that refused, where it is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<BankId>,
    /// The words of the bank's own refusal; may be empty.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub text: Cow<'a, str>,
}

impl HistoryAnswer<'_> {
    /// The reason of an abort, where this version knows its word.
    pub fn reason(&self) -> Option<Reason> {
        self.reason.as_deref().and_then(Reason::parse)
    }

    /// Is it committed?
    pub fn is_committed(&self) -> bool {
        self.outcome == HistoryOutcome::Committed
    }
}

/// An undecided transaction, of PENDING.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAnswer<'a> {
    /// Its id.
    pub tx: Cow<'a, TxId>,
    /// The time of the bank's vote.
    pub since: Time,
    /// The banks whose votes the bank does not know.
    pub waiting_for: Vec<BankId>,
    /// None from a version that does not list so many.
    pub ops: Option<Vec<OpAnswer<'a>>>,
    /// Does an outside coordinator decide it?
    #[serde(default, skip_serializing_if = "is_false")]
    pub outside: bool,
}
