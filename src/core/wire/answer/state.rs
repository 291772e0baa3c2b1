//! The bank itself: INFO, the links to the other banks (BANKS), and the greeting (HELLO).

use super::{is_false, is_true, reading_text, yes};
use crate::ids::{BankId, Time};
use crate::wire::reading::Reading;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A bank in numbers, of INFO. Money is in centavos; sums may be wider than 64 bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoAnswer<'a> {
    /// Its position.
    pub bank: BankId,
    /// Of the program.
    pub version: Cow<'a, str>,
    /// Its logical clock.
    pub time: Time,
    /// Its machine's clock; none from a version that does not send it.
    #[serde(default)]
    pub wall: Option<Time>,
    /// Its statement of its clock, for other banks; none from a version that makes none.
    #[serde(default, with = "reading_text")]
    pub reading: Option<Reading>,
    /// Seconds since the start of its process.
    pub uptime_s: u64,
    /// How many clients it has.
    pub clients: u64,
    /// How many accounts it has.
    pub accounts: u64,
    /// Of all accounts.
    pub balance_total: i128,
    /// Promised by undecided debits and withdrawals.
    pub held_total: i128,
    /// Awaited by undecided credits and deposits.
    pub incoming_total: i128,
    /// Transactions without an outcome.
    pub undecided: u64,
    /// `false` while a bank that joined later asks the others for its registers.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub registers_known: bool,
    /// Banks that a bank with a new journal must still meet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<BankId>,
    /// Transactions since the bank was founded.
    pub committed: u64,
    /// Transactions since the bank was founded.
    pub aborted: u64,
}

/// A bank of the list, of BANKS, as the answering bank's link to it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankAnswer<'a> {
    /// Its position.
    pub bank: BankId,
    /// `host:port` of its lines.
    pub address: Cow<'a, str>,
    /// Is the link that the answering bank dialled open?
    pub online: bool,
    /// The newest round trip over that link; 0 for the answering bank itself.
    pub latency_us: Option<u64>,
    /// How far its clock is ahead of the answering bank's, below zero where it is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_us: Option<i64>,
    /// Why the link is not open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Cow<'a, str>>,
    /// `host:port` of its HTTP; only the answering bank's own is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Cow<'a, str>>,
    /// How long the answering bank's disk has not finished a sync, where that takes long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_ms: Option<u64>,
    /// Has the answering bank's disk no room for what is new?
    #[serde(default, skip_serializing_if = "is_false")]
    pub disk_full: bool,
}

/// The greeting of a bank, of HELLO.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAnswer<'a> {
    /// Its position.
    pub bank: BankId,
    /// How many positions its list has.
    pub places: usize,
    /// Of the protocol; 0 from a version that does not send it.
    #[serde(default)]
    pub version: u64,
    /// The public id of the consortium's key; empty where it has none.
    #[serde(default)]
    pub key: Cow<'a, str>,
}
