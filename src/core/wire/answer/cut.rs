//! The answer to SNAPSHOT: a bank's sums as of one commit time, and a page of its accounts and
//! registers.

use super::books::RegisterAnswer;
use super::{is_true, reading_text, yes};
use crate::ids::{AccountNumber, BankId, Time};
use crate::money::Money;
use crate::wire::reading::Reading;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One page of a cut. Sums are in centavos, over the whole bank, and the same on every page.
///
/// A client reads the lists as values; a bank writes them as JSON that it has already serialized,
/// item by item up to a number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutAnswer<A = Vec<CutAccount<'static>>, R = Vec<RegisterAnswer<'static>>> {
    /// The bank that answers.
    pub bank: BankId,
    /// The cut's commit time.
    pub time: Time,
    // Not flattened: serde can't carry sums wider than 64 bits through `flatten`.
    /// The sum of all balances: cash in - cash out + transfers in - transfers out.
    pub balance_total: i128,
    /// All deposits, first deposits included.
    pub cash_in_total: i128,
    /// The sum of all withdrawals.
    pub cash_out_total: i128,
    /// The sum of all credits.
    pub transfers_in_total: i128,
    /// The sum of all debits.
    pub transfers_out_total: i128,
    /// The bank's authenticated statement of its clock.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "reading_text")]
    pub reading: Option<Reading>,
    /// Sorted by number, after the key in the request; absent if the request did not ask for lists.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub accounts: Option<A>,
    /// Sorted by key, only those that were ever set; absent until the page that holds the last
    /// account.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub registers: Option<R>,
    /// `false` if the bank joined later and did not know its registers at that time.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub registers_known: bool,
    /// The key after which the next page begins, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An account's balance in a cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutAccount<'a> {
    /// Its natural key, unique at its bank.
    pub number: Cow<'a, AccountNumber>,
    /// In centavos, as of the cut's time.
    pub balance: Money,
}
