//! The parts of pages as plain values.

use super::texts::Texts;
use consorcio_core::money::{Money, Total};

/// A bank of the consortium.
#[derive(Debug, Clone)]
pub struct BankView {
    /// The position of the bank.
    pub position: u8,
    /// The address for clients: host and port.
    pub address: String,
    /// Whether its link is open.
    pub online: bool,
    /// Whether it is the bank that serves this page.
    pub this: bool,
    /// The newest round trip as text.
    pub latency: Option<String>,
}

/// The state of a transaction, as far as this bank knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub enum TxState {
    Committed,
    Aborted,
    Undecided,
    Unknown,
}

impl TxState {
    /// The text in the language of `t`.
    pub fn words(self, t: &Texts) -> &'static str {
        match self {
            TxState::Committed => t.committed,
            TxState::Aborted => t.aborted,
            TxState::Undecided => t.in_doubt,
            TxState::Unknown => t.unknown,
        }
    }

    /// Its CSS class, which is also its value in the filter.
    pub fn class(self) -> &'static str {
        match self {
            TxState::Committed => "efetivada",
            TxState::Aborted => "abortada",
            TxState::Undecided => "aberta",
            TxState::Unknown => "desconhecida",
        }
    }

    /// How many of PREPARE, OK and COMMIT it has passed: 0 to 3.
    pub fn steps(self) -> u8 {
        match self {
            TxState::Committed => 3,
            TxState::Undecided => 2,
            TxState::Aborted => 1,
            TxState::Unknown => 0,
        }
    }
}

/// One row in a list of transactions.
#[derive(Debug, Clone)]
pub struct TxRow {
    /// The id of the transaction.
    pub tx: String,
    /// The time as text.
    pub when: String,
    /// The state of the transaction.
    pub state: TxState,
    /// Why it was aborted, as text.
    pub reason: Option<&'static str>,
    /// The accounts that pay and receive, in short.
    pub summary: String,
    /// The amount, if it moves money.
    pub amount: Option<Total>,
}

/// One operation of a transaction.
#[derive(Debug, Clone)]
pub struct LegView {
    /// The position of its bank.
    pub bank: u8,
    /// The address of the bank.
    pub address: String,
    /// The operation as text.
    pub what: &'static str,
    /// The account, or the register.
    pub on: String,
    /// The CPF that was given.
    pub cpf: Option<String>,
    /// The amount, if it moves money: negative for a debit.
    pub amount: Option<Total>,
    /// The value, if it sets a register.
    pub value: Option<String>,
}

/// The vote of one bank on a transaction.
#[derive(Debug, Clone)]
pub struct VoteView {
    /// The position of the bank.
    pub bank: u8,
    /// The address of the bank.
    pub address: String,
    /// The vote as text.
    pub words: &'static str,
    /// The CSS class of the vote.
    pub class: &'static str,
}

/// An account in the list.
#[derive(Debug, Clone)]
pub struct AccountRow {
    /// The number of the account.
    pub number: String,
    /// Its holders: name and CPF.
    pub holders: Vec<(String, String)>,
    /// The balance, holds included.
    pub balance: Money,
    /// The part of the balance that is held.
    pub held: Money,
}

/// One entry of a statement.
#[derive(Debug, Clone)]
pub struct EntryView {
    /// The time as text.
    pub when: String,
    /// The transaction; `None` for the opening.
    pub tx: Option<String>,
    /// The operation as text.
    pub what: &'static str,
    /// The change of the balance.
    pub amount: Total,
    /// The balance after it.
    pub after: Total,
}

/// A field of a form: the typed text and its error.
#[derive(Debug, Clone, Default)]
pub struct FormField {
    /// The text as it was typed.
    pub value: String,
    /// The error as text, if there is one.
    pub error: Option<String>,
}

impl FormField {
    /// A field with this text and no error.
    pub fn of(value: impl Into<String>) -> FormField {
        FormField { value: value.into(), error: None }
    }
}

/// One participant in the form of a transaction.
#[derive(Debug, Clone, Default)]
pub struct ParticipantForm {
    /// The chosen bank's position.
    pub bank: Option<u8>,
    /// The error as text, if there is one.
    pub bank_error: Option<String>,
    /// CPF or CNPJ of the holder.
    pub cpf: FormField,
    /// The number of the holder's account.
    pub number: FormField,
    /// The amount; unused for the destination.
    pub amount: FormField,
}

impl ParticipantForm {
    /// Was this bank chosen?
    pub fn chose(&self, position: &u8) -> bool {
        self.bank == Some(*position)
    }

    /// The id of its field `name`, for the participant at index `at`.
    pub fn id(&self, name: &str, at: &usize) -> String {
        format!("{name}{at}")
    }
}

/// An undecided transaction of this bank.
#[derive(Debug, Clone)]
pub struct PendingRow {
    /// The id of the transaction.
    pub tx: String,
    /// Since when it is undecided, as text.
    pub since: String,
    /// The banks or drivers that it waits for, as text.
    pub kept_by: Vec<String>,
    /// Its operations at all banks.
    pub legs: Vec<LegView>,
}

/// The result of «resolve now».
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The id of the transaction.
    pub tx: String,
    /// The state of the transaction.
    pub state: TxState,
    /// The outcome as text, with its reason.
    pub words: String,
}

/// One bank in a cut.
#[derive(Debug, Clone)]
pub struct AuditRow {
    /// The position of the bank.
    pub bank: u8,
    /// The address of the bank.
    pub address: String,
    /// Its totals; `Err` has the text why there are none.
    pub figures: Result<AuditFigures, String>,
}

/// A bank's totals in a cut.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the names are those of SNAPSHOT")]
pub struct AuditFigures {
    pub balances: Total,
    pub cash_in: Total,
    pub cash_out: Total,
    pub transfers_in: Total,
    pub transfers_out: Total,
}

/// The verdict on the totals of all banks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditVerdict {
    /// No centavo is missing.
    AddsUp,
    /// A bank can't explain its balances, or transfers do not cancel.
    Wrong,
    /// A bank gave no totals.
    Missing,
    /// Transfers do not cancel, and a bank that left the consortium may hold the rest.
    LeftMayHold,
}

/// A bank's process in a demonstration.
#[derive(Debug, Clone)]
pub struct ProcessRow {
    /// The position of the bank.
    pub bank: u8,
    /// The address of the bank.
    pub address: String,
    /// The state of its process.
    pub state: ProcessState,
    /// Whether it is the bank that serves this page.
    pub this: bool,
}

/// The state of a bank's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ProcessState {
    Running,
    Paused,
    Down,
}
