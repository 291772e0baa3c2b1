//! Answers about the bank itself: INFO, the links to other banks (BANKS), and HELLO.

use super::{is_false, is_true, reading_text, yes};
use crate::ids::{BankId, Time};
use crate::wire::reading::Reading;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The answer to INFO. Money is in centavos; sums may be wider than 64 bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoAnswer<'a> {
    /// The bank's position in the list.
    pub bank: BankId,
    /// The version of the program.
    pub version: Cow<'a, str>,
    /// Its logical clock, as of now.
    pub time: Time,
    /// The clock of its machine; absent from versions that do not send it.
    #[serde(default)]
    pub wall: Option<Time>,
    /// Its authenticated statement of its clock, for other banks; absent from versions that make
    /// none.
    #[serde(default, with = "reading_text")]
    pub reading: Option<Reading>,
    /// Seconds since the start of its process.
    pub uptime_s: u64,
    /// How many clients it has.
    pub clients: u64,
    /// How many accounts it has.
    pub accounts: u64,
    /// The sum of all balances.
    pub balance_total: i128,
    /// Reserved by undecided debits and withdrawals.
    pub held_total: i128,
    /// Expected from undecided credits and deposits.
    pub incoming_total: i128,
    /// How many transactions have no outcome yet.
    pub undecided: u64,
    /// `false` while a bank that joined later is fetching its registers from the others.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub registers_known: bool,
    /// For a bank with a new journal: the banks that have not recorded it yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<BankId>,
    /// How many transactions committed since the bank's journal began.
    pub committed: u64,
    /// How many transactions aborted since the bank's journal began.
    pub aborted: u64,
}

/// An entry of BANKS: one bank, and the answering bank's link to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankAnswer<'a> {
    /// The bank's position in the list.
    pub bank: BankId,
    /// The `host:port` of its line protocol.
    pub address: Cow<'a, str>,
    /// Is the link that the answering bank dialled open?
    pub online: bool,
    /// The newest round trip over that link; 0 for the answering bank itself.
    pub latency_us: Option<u64>,
    /// How far its clock is ahead of the answering bank's; negative if it is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_us: Option<i64>,
    /// Why the link is not open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Cow<'a, str>>,
    /// The `host:port` of its HTTP; known only of the answering bank itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Cow<'a, str>>,
    /// How long the answering bank's current sync has taken, if that is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_ms: Option<u64>,
    /// Is the answering bank's disk too full for new transactions?
    #[serde(default, skip_serializing_if = "is_false")]
    pub disk_full: bool,
    /// When the answering bank's certificate ends, in microseconds since 1970; none in open mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_end_us: Option<i64>,
}

/// The answer to HELLO.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAnswer<'a> {
    /// The bank's position in the list.
    pub bank: BankId,
    /// How many positions its list has.
    pub places: usize,
    /// The version of the protocol; 0 from versions that do not send it.
    #[serde(default)]
    pub version: u64,
    /// The public id of the consortium's key; empty if it has none.
    #[serde(default)]
    pub key: Cow<'a, str>,
}
