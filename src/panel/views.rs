//! What stands on pages, as plain values, shared by more than one page or large enough for a name.

use super::texts::Texts;
use consorcio_core::money::{Money, Total};

/// A bank of the consortium.
#[derive(Debug, Clone)]
pub struct BankView {
    /// Its position, for ever.
    pub place: u8,
    /// Where clients connect, host and port.
    pub address: String,
    /// Whether it answers this bank.
    pub online: bool,
    /// Is it the bank that serves this page?
    pub this: bool,
    /// The newest round trip, in words.
    pub latency: Option<String>,
}

/// What became of a transaction, as far as this bank knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub enum State {
    Committed,
    Aborted,
    Undecided,
    Unknown,
}

impl State {
    /// In the visitor's words.
    pub fn words(self, t: &Texts) -> &'static str {
        match self {
            State::Committed => t.committed,
            State::Aborted => t.aborted,
            State::Undecided => t.in_doubt,
            State::Unknown => t.unknown,
        }
    }

    /// The class that colours it, and the word that filters by it.
    pub fn class(self) -> &'static str {
        match self {
            State::Committed => "confirmada",
            State::Aborted => "abortada",
            State::Undecided => "aberta",
            State::Unknown => "desconhecida",
        }
    }

    /// How many of PREPARE, OK and COMMIT are behind it: 0 to 3.
    pub fn steps(self) -> u8 {
        match self {
            State::Committed => 3,
            State::Undecided => 2,
            State::Aborted => 1,
            State::Unknown => 0,
        }
    }
}

/// One line in a list of transactions.
#[derive(Debug, Clone)]
pub struct TxRow {
    /// The id of the transaction.
    pub tx: String,
    /// Its time, in words.
    pub when: String,
    /// What became of it.
    pub state: State,
    /// Why it was aborted, in words.
    pub reason: Option<&'static str>,
    /// Who pays whom, in short.
    pub summary: String,
    /// What moves, where money does.
    pub amount: Option<Total>,
}

/// One operation of a transaction.
#[derive(Debug, Clone)]
pub struct LegView {
    /// The position of the bank that does it.
    pub bank: u8,
    /// The address of that bank.
    pub address: String,
    /// What is done, in words.
    pub what: &'static str,
    /// The account, or the register.
    pub on: String,
    /// The CPF that was given.
    pub cpf: Option<String>,
    /// The amount, where it moves money: negative where it leaves.
    pub amount: Option<Total>,
    /// The value, where it sets a register.
    pub value: Option<String>,
}

/// What one bank says of a transaction.
#[derive(Debug, Clone)]
pub struct VoteView {
    /// The position of the bank that votes.
    pub bank: u8,
    /// The address of that bank.
    pub address: String,
    /// What it says, in words.
    pub words: &'static str,
    /// The class that colours it.
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
    /// What of it is held.
    pub held: Money,
}

/// One entry of a statement.
#[derive(Debug, Clone)]
pub struct EntryView {
    /// Its time, in words.
    pub when: String,
    /// The transaction; `None` for the opening.
    pub tx: Option<String>,
    /// What was done, in words.
    pub what: &'static str,
    /// The change of the balance.
    pub amount: Total,
    /// The balance after it.
    pub after: Total,
}

/// A field of a form: what was typed, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Field {
    /// The text as it was typed.
    pub value: String,
    /// What is wrong with it, in words.
    pub error: Option<String>,
}

impl Field {
    /// What was typed, with nothing wrong so far.
    pub fn of(value: impl Into<String>) -> Field {
        Field { value: value.into(), error: None }
    }
}

/// One participant of a transaction as it is typed.
#[derive(Debug, Clone, Default)]
pub struct ParticipantForm {
    /// The chosen bank's position.
    pub bank: Option<u8>,
    /// What is wrong with it, in words.
    pub bank_error: Option<String>,
    /// CPF or CNPJ of the holder.
    pub cpf: Field,
    /// The number of the holder's account.
    pub number: Field,
    /// How much; unused for the destination.
    pub amount: Field,
}

impl ParticipantForm {
    /// Was this bank chosen?
    pub fn chose(&self, place: &u8) -> bool {
        self.bank == Some(*place)
    }

    /// The id of its field `name`, where it stands at place `at`.
    pub fn id(&self, name: &str, at: &usize) -> String {
        format!("{name}{at}")
    }
}

/// An undecided transaction of this bank.
#[derive(Debug, Clone)]
pub struct PendingRow {
    /// The id of the transaction.
    pub tx: String,
    /// Since when, in words.
    pub since: String,
    /// Who keeps it so, in words.
    pub kept_by: Vec<String>,
    /// Its operations at all banks.
    pub legs: Vec<LegView>,
}

/// What came of «resolve now».
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The id of the transaction.
    pub tx: String,
    /// What became of it.
    pub state: State,
    /// The outcome in words, with its reason.
    pub words: String,
}

/// One bank in a cut.
#[derive(Debug, Clone)]
pub struct AuditRow {
    /// The position of the bank.
    pub bank: u8,
    /// The address of the bank.
    pub address: String,
    /// Its totals; `Err` tells in words why it gave none.
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

/// What all banks' totals mean together.
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

/// A bank's process, in a demonstration.
#[derive(Debug, Clone)]
pub struct ProcessRow {
    /// The position of the bank.
    pub bank: u8,
    /// The address of the bank.
    pub address: String,
    /// How its process is.
    pub state: ProcessState,
    /// Is it the bank that serves this page?
    pub this: bool,
}

/// How a bank's process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ProcessState {
    Running,
    Paused,
    Down,
}
