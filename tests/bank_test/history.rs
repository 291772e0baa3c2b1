//! What the clients did and were told, and when: all that the checks look at.

use super::BANKS;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Instant;

/// Something that a client did.
#[derive(Debug, Clone)]
pub struct Op {
    pub what: What,
    /// When it began and ended; microseconds of this run.
    pub began_us: u64,
    pub ended_us: u64,
    /// When a client that drove knew its verdict: before the banks heard of it, and so before the
    /// end.
    pub told_us: Option<u64>,
    /// What it was told.
    pub told: Told,
}

/// What a client does.
#[derive(Debug, Clone)]
pub enum What {
    /// Moves centavos from one account to another, by their numbers among all accounts.
    Transfer { tx: String, from: usize, to: usize, amount: i64 },
    /// Sets a register at all banks.
    Set { tx: String, key: String, value: String },
    /// Reads a register at one bank.
    Get { key: String },
    /// Reads all banks as of one time; which bank's clock gave it, if one did.
    Cut { clock: Option<usize> },
}

/// What a client was told.
#[derive(Debug, Clone)]
pub enum Told {
    /// It is committed, at this time.
    Committed(i64),
    /// It is aborted, for this reason.
    Aborted(String),
    /// Nothing: it may be either, and may still become either. True if the client left of its own
    /// will.
    Unknown {
        left: bool,
    },
    Value(String),
    /// All banks as of one time.
    Cut(Box<Cut>),
    /// A read came to nothing, which says nothing.
    Nothing,
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

impl Op {
    /// The id of its transaction, if it has one.
    pub fn tx(&self) -> Option<&str> {
        match &self.what {
            What::Transfer { tx, .. } | What::Set { tx, .. } => Some(tx),
            What::Get { .. } | What::Cut { .. } => None,
        }
    }

    /// The banks that its transaction names.
    pub fn banks(&self) -> Vec<usize> {
        match &self.what {
            What::Transfer { from, to, .. } => {
                let mut banks = vec![super::bank_of(*from), super::bank_of(*to)];
                banks.sort_unstable();
                banks.dedup();
                banks
            }
            What::Set { .. } | What::Get { .. } | What::Cut { .. } => (0..BANKS).collect(),
        }
    }
}

/// Microseconds since the run began; monotonic.
pub fn now_us() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_micros()).unwrap()
}
