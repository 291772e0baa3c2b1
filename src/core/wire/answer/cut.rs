//! SNAPSHOT: a bank's sums as of one commit time, and a page of its accounts and registers.

use super::books::RegisterAnswer;
use super::{is_true, reading_text, yes};
use crate::ids::{AccountNumber, BankId, Time};
use crate::money::Money;
use crate::wire::reading::Reading;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One page of a cut. Sums are in centavos, over the whole bank, and the same on every page.
///
/// A reader has lists; a bank, which fills the page item by item up to a number of bytes, has their
/// JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutAnswer<A = Vec<CutAccount<'static>>, R = Vec<RegisterAnswer<'static>>> {
    /// Whose cut it is.
    pub bank: BankId,
    /// The cut's commit time.
    pub time: Time,
    // Not flattened: serde can't carry sums this wide through that.
    /// Of all balances: cash in - cash out + transfers in - transfers out.
    pub balance_total: i128,
    /// Deposited, first deposits included.
    pub cash_in_total: i128,
    /// Withdrawn.
    pub cash_out_total: i128,
    /// Credited.
    pub transfers_in_total: i128,
    /// Debited.
    pub transfers_out_total: i128,
    /// The bank's statement of its clock.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "reading_text")]
    pub reading: Option<Reading>,
    /// By number, behind the key that was asked for; absent where none were asked for.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub accounts: Option<A>,
    /// By key, those that were ever set; absent until the last account is on a page.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub registers: Option<R>,
    /// `false` where the bank joined later and did not know its registers at that time.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub registers_known: bool,
    /// The key that the next page begins after, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An account in a cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutAccount<'a> {
    /// Its natural key, unique at its bank.
    pub number: Cow<'a, AccountNumber>,
    /// In centavos, as of the cut's time.
    pub balance: Money,
}
