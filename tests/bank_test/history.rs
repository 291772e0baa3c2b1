//! The recorded history: each client's operations, their results and their times.

use super::BANKS;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Instant;

/// One operation of a client; times are microseconds of this run.
#[derive(Debug, Clone)]
pub struct ClientOp {
    pub kind: OpKind,
    pub began_us: u64,
    pub ended_us: u64,
    /// When a client that drove reached its verdict: before it sent COMMIT, and so before the end.
    pub verdict_us: Option<u64>,
    pub result: OpResult,
}

/// The kinds of operations.
#[derive(Debug, Clone)]
pub enum OpKind {
    /// Transfers centavos from one account to another, by their numbers among all accounts.
    Transfer { tx: String, from: usize, to: usize, amount: i64 },
    /// Sets a register at all banks.
    Set { tx: String, key: String, value: String },
    /// Reads a register at one bank.
    Get { key: String },
    /// Reads a cut at the clock of the bank `clock`, or at the client's wall clock.
    Cut { clock: Option<usize> },
}

/// The result that a client received.
#[derive(Debug, Clone)]
pub enum OpResult {
    /// At this commit time.
    Committed(i64),
    /// The reason of the abort.
    Aborted(String),
    /// The outcome is unknown. `left`: the client closed its connections on purpose.
    Unknown {
        left: bool,
    },
    Value(String),
    Cut(Box<Cut>),
    /// A read without a reply.
    NoReply,
}

/// All banks as of one time.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    pub time: i64,
    /// Each account's balance, by its number among all accounts.
    pub balances: BTreeMap<usize, i64>,
    pub registers: [BTreeMap<String, String>; BANKS],
    /// Each bank's totals: balances, cash in, cash out, transfers in, transfers out.
    pub totals: [[i64; 5]; BANKS],
}

impl ClientOp {
    /// The id of its transaction, if it has one.
    pub fn tx(&self) -> Option<&str> {
        match &self.kind {
            OpKind::Transfer { tx, .. } | OpKind::Set { tx, .. } => Some(tx),
            OpKind::Get { .. } | OpKind::Cut { .. } => None,
        }
    }

    /// The banks that its transaction names.
    pub fn banks(&self) -> Vec<usize> {
        match &self.kind {
            OpKind::Transfer { from, to, .. } => {
                let mut banks = vec![super::bank_of(*from), super::bank_of(*to)];
                banks.sort_unstable();
                banks.dedup();
                banks
            }
            OpKind::Set { .. } | OpKind::Get { .. } | OpKind::Cut { .. } => (0..BANKS).collect(),
        }
    }
}

/// Microseconds since the run began; monotonic.
pub fn now_us() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_micros()).unwrap()
}
