//! How a command ends when it does not end well: what the user is told, and the exit code.

use consorcio_core::ids::BankId;
use consorcio_core::wire::Reason;

/// Why a command did not do what was asked. The text names the thing and, where there is one, the
/// way on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// This program's own fault, or its machine's.
    #[error("{0}")]
    Own(String),
    /// What was typed makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A bank can't be reached, or went silent.
    #[error("{0}")]
    NoConnection(String),
    /// A bank's process answers, and its disk does not.
    #[error("{0}")]
    DiskHangs(String),
    /// A bank refused.
    #[error("{text}")]
    Refused {
        /// The reason on the wire, where a bank gave one.
        reason: Option<Reason>,
        /// In words.
        text: String,
    },
    /// A transaction was aborted.
    #[error("{0}")]
    Aborted(String),
    /// A transaction's outcome is not known yet.
    #[error("{0}")]
    Doubt(String),
    /// Ctrl-C.
    #[error("{0}")]
    Interrupted(String),
}

impl Failure {
    /// The word in `--json`.
    pub fn code(&self) -> &'static str {
        match self {
            Failure::Own(_) => "own-error",
            Failure::Usage(_) => "usage",
            Failure::NoConnection(_) => "no-connection",
            Failure::DiskHangs(_) => "disk-hangs",
            Failure::Refused { .. } => "refused",
            Failure::Aborted(_) => "aborted",
            Failure::Doubt(_) => "not-known-yet",
            Failure::Interrupted(_) => "interrupted",
        }
    }

    /// A bank's state, in one word or two, where this came instead of its answer.
    pub fn state(&self) -> &'static str {
        match self {
            Failure::DiskHangs(_) => "disk hangs",
            Failure::Own(_)
            | Failure::Usage(_)
            | Failure::NoConnection(_)
            | Failure::Refused { .. }
            | Failure::Aborted(_)
            | Failure::Doubt(_)
            | Failure::Interrupted(_) => "offline",
        }
    }

    /// The program's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Own(_) => 1,
            Failure::Usage(_) => 2,
            Failure::NoConnection(_) | Failure::DiskHangs(_) => 3,
            Failure::Refused { .. } | Failure::Aborted(_) => 4,
            Failure::Doubt(_) => 5,
            Failure::Interrupted(_) => 130,
        }
    }
}

/// A bank's refusal, or its ERR, in one sentence.
pub fn refused(bank: BankId, reason: Reason, text: &str) -> Failure {
    let text = match reason {
        Reason::DiskFull => format!(
            "bank {bank}: its data disk is full; nothing was recorded there. Free some space on it, and try again"
        ),
        Reason::NotIntroduced => format!("nothing was recorded at bank {bank}: {text}"),
        Reason::InsufficientFunds
        | Reason::UnknownAccount
        | Reason::UnknownClient
        | Reason::NotHolder
        | Reason::Locked
        | Reason::Unbalanced
        | Reason::DuplicateId
        | Reason::AlreadyExists
        | Reason::Malformed
        | Reason::Limit
        | Reason::Expired
        | Reason::Refused
        | Reason::Unreachable
        | Reason::Unreadable => {
            let told = if text.is_empty() { String::new() } else { format!(": {text}") };
            format!("bank {bank} refused: {reason}{told}")
        }
    };
    Failure::Refused { reason: Some(reason), text }
}

/// What it means that a bank's disk has not finished a sync for so long.
pub fn disk_hangs(bank: BankId, ms: u64) -> Failure {
    Failure::DiskHangs(format!(
        "bank {bank}: its disk has not answered for {} s; what it holds can be read again once it does",
        ms / 1_000
    ))
}

/// What another bank means at a bank's address, in words that say what to do; `said` are that
/// bank's.
pub fn other_bank(bank: BankId, address: &str, said: &str) -> String {
    // What the bank says further is about the connection.
    let said = said.split(": ").next().unwrap_or(said);
    format!(
        "--consortium is not the banks' own list: it names {address} as bank {bank}, which says: {said}. Nothing was \
         executed there"
    )
}

/// What something else than a bank means at a bank's address, in words that say what to do.
pub fn no_bank(bank: BankId, address: &str, said: &str) -> String {
    format!(
        "what answers at {address} is no bank (it says {said:?}); --consortium names it as bank {bank}: check the list, \
         and what listens on that port"
    )
}
