//! The bank's answers as values: the JSON that lines carry, read where a route needs more of it
//! than to pass it on.

use crate::problem::Problem;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// A client, of CLIENTS.
#[derive(Debug, Clone, Deserialize)]
pub struct Client {
    /// Its cpf.
    pub cpf: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its place in the order of creation, where the bank tells it.
    #[serde(default)]
    pub created: Option<u64>,
}

/// An account, of ACCOUNTS and BALANCE.
#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    /// Its number.
    pub number: String,
    /// One or two.
    pub holders: Vec<String>,
    /// In centavos.
    pub balance: i64,
    /// Promised by undecided transactions, in centavos.
    pub held: i64,
    /// In centavos.
    pub available: i64,
    /// Awaited from undecided transactions, in centavos.
    pub incoming: i64,
    /// Its place in the order of creation, where the bank tells it.
    #[serde(default)]
    pub created: Option<u64>,
}

/// A bank, of BANKS.
#[derive(Debug, Clone, Deserialize)]
pub struct Bank {
    /// Its position.
    pub bank: u8,
    /// host:port of its lines.
    pub address: String,
    /// Where it serves HTTP; a bank tells it of itself alone.
    #[serde(default)]
    pub http: Option<String>,
    /// Is the link that this bank dialled open?
    pub online: bool,
    /// Its newest round trip.
    pub latency_us: Option<u64>,
}

/// This bank in numbers, of INFO. Sums may be wider than 64 bits.
#[derive(Debug, Clone, Deserialize)]
pub struct Info {
    /// Its clock, in microseconds since 1970.
    pub time: i64,
    /// Its machine's clock, likewise.
    pub wall: i64,
    /// Its statement of its clock, for other banks.
    pub reading: String,
    /// Seconds since it was started.
    pub uptime_s: u64,
    /// Its clients.
    pub clients: u64,
    /// Its accounts.
    pub accounts: u64,
    /// In centavos.
    pub balance_total: i128,
    /// In centavos.
    pub held_total: i128,
    /// In centavos.
    pub incoming_total: i128,
    /// Transactions without an outcome.
    pub undecided: u64,
    /// Since the bank was founded.
    pub committed: u64,
    /// Since the bank was founded.
    pub aborted: u64,
}

/// An operation of a transaction.
#[derive(Debug, Clone, Deserialize)]
pub struct Op {
    /// Where.
    pub bank: u8,
    /// Its word on the wire.
    pub op: String,
    /// Whose money; none for a register.
    #[serde(default)]
    pub account: Option<String>,
    /// A holder, where one was given.
    #[serde(default)]
    pub cpf: Option<String>,
    /// In centavos.
    #[serde(default)]
    pub amount: Option<i64>,
    /// A register's.
    #[serde(default)]
    pub key: Option<String>,
    /// A register's.
    #[serde(default)]
    pub value: Option<String>,
}

/// A decided transaction, of HISTORY.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    /// Its id.
    pub tx: String,
    /// `committed` or `aborted`.
    pub outcome: String,
    /// The commit's time, or the refusal's, in microseconds since 1970.
    pub time: i64,
    /// Why it was aborted.
    pub reason: Option<String>,
    /// The bank that refused, where the bank remembers it.
    #[serde(default)]
    pub by: Option<u8>,
    /// The words of this bank's own refusal.
    #[serde(default)]
    pub text: String,
    /// Did this bank drive it?
    #[serde(default)]
    pub driven: bool,
    /// Had it an outside coordinator?
    #[serde(default)]
    pub outside: bool,
    /// None where its bytes never came, or are too many to list.
    pub ops: Option<Vec<Op>>,
}

/// An undecided transaction, of PENDING.
#[derive(Debug, Clone, Deserialize)]
pub struct Pending {
    /// Its id.
    pub tx: String,
    /// When this bank voted, in microseconds since 1970.
    pub since: i64,
    /// Banks that keep it undecided.
    pub waiting_for: Vec<u8>,
    /// Does an outside coordinator?
    #[serde(default)]
    pub outside: bool,
    /// None where they are too many to list.
    pub ops: Option<Vec<Op>>,
}

/// A part of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// What it holds.
    pub items: Vec<T>,
    /// The key that the next part begins after, where there is one.
    pub next: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Next {
    next: String,
}

/// Reads an answer.
///
/// # Errors
/// When it is not of this shape.
pub fn read<T: DeserializeOwned>(json: &str) -> Result<T, Problem> {
    serde_json::from_str(json).map_err(|error| Problem::unexpected(&error.to_string()))
}

/// Reads a page of a list: its last element may say where the next one begins.
///
/// # Errors
/// When it is not of this shape.
pub fn read_page<T: DeserializeOwned>(json: &str) -> Result<Page<T>, Problem> {
    let mut raw: Vec<&RawValue> =
        serde_json::from_str(json).map_err(|error| Problem::unexpected(&error.to_string()))?;
    let next =
        raw.last().and_then(|last| serde_json::from_str(last.get()).ok()).map(|Next { next }| next);
    if next.is_some() {
        raw.pop();
    }
    let items = raw.into_iter().map(|item| read(item.get())).collect::<Result<_, _>>()?;
    Ok(Page { items, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_where_the_next_one_begins() {
        let page: Page<u8> = read_page(r#"[1,2,{"next":"k"}]"#).unwrap();
        assert_eq!((page.items, page.next.as_deref()), (vec![1, 2], Some("k")));
        let page: Page<u8> = read_page("[]").unwrap();
        assert!(page.items.is_empty() && page.next.is_none());
        assert!(read_page::<u8>("[\"x\"]").is_err());
    }
}
