//! Validated names: a value of each type is a legal name, so the core takes no raw strings.
//!
//! All of them are compared as bytes, and stored inline if short.

pub mod fit;
mod tax_id;

pub use tax_id::TaxId;

use crate::limits::{
    BANKS_MAX, CLIENT_NAME_BYTES_MAX, NAME_BYTES_MAX, REGISTER_VALUE_BYTES_MAX, TX_ID_BYTES_MAX,
};
use compact_str::CompactString;
use serde::{Deserialize, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;

/// Why a text is not a legal name, with the kind of name and its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {rule}")]
pub struct BadName {
    /// The kind of the name.
    pub what: &'static str,
    /// The rule for such names.
    pub rule: &'static str,
}

/// A bank's position in the consortium list, 0 to 15. A position never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct BankId(u8);

impl BankId {
    /// The bank at `position`; `None` if there can't be one.
    pub fn new(position: usize) -> Option<BankId> {
        u8::try_from(position).ok().filter(|p| usize::from(*p) < BANKS_MAX).map(BankId)
    }

    /// Its position as an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Its position as one byte.
    pub fn as_u8(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for BankId {
    type Error = BadName;

    fn try_from(position: u8) -> Result<Self, BadName> {
        BankId::new(usize::from(position))
            .ok_or(BadName { what: "bank", rule: "a position from 0 to 15" })
    }
}

impl From<BankId> for u8 {
    fn from(bank: BankId) -> u8 {
        bank.0
    }
}

impl fmt::Display for BankId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A set of banks, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BankSet(u16);

impl BankSet {
    /// The set without any bank.
    pub const EMPTY: BankSet = BankSet(0);

    /// This set and `bank`.
    #[must_use]
    pub fn with(self, bank: BankId) -> BankSet {
        BankSet(self.0 | 1 << bank.0)
    }

    /// This set without `bank`.
    #[must_use]
    pub fn without(self, bank: BankId) -> BankSet {
        BankSet(self.0 & !(1 << bank.0))
    }

    /// The banks of this set that are not in `other`.
    #[must_use]
    pub fn minus(self, other: BankSet) -> BankSet {
        BankSet(self.0 & !other.0)
    }

    /// Whether `bank` is in it.
    pub fn has(self, bank: BankId) -> bool {
        self.0 & 1 << bank.0 != 0
    }

    /// Whether no bank is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many banks it has.
    pub fn len(self) -> usize {
        usize::try_from(self.0.count_ones()).unwrap_or(0)
    }

    /// Its banks, in order of position.
    pub fn iter(self) -> impl Iterator<Item = BankId> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let first = u8::try_from(rest.trailing_zeros()).ok().filter(|_| rest != 0)?;
            rest &= rest - 1;
            Some(BankId(first))
        })
    }
}

impl FromIterator<BankId> for BankSet {
    fn from_iter<I: IntoIterator<Item = BankId>>(banks: I) -> Self {
        banks.into_iter().fold(BankSet::EMPTY, BankSet::with)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $legal:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
        #[serde(try_from = "CompactString")]
        pub struct $name(CompactString);

        /// In the order of its bytes.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                by_bytes(self.0.as_bytes(), other.0.as_bytes())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// The name, if `text` is legal.
            ///
            /// # Errors
            /// If it is not; the error has the rule.
            pub fn new(text: &str) -> Result<Self, BadName> {
                let legal: fn(&str) -> bool = $legal;
                if legal(text) {
                    Ok($name(CompactString::new(text)))
                } else {
                    Err(BadName { what: $what, rule: $rule })
                }
            }

            /// The name as text, as on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<CompactString> for $name {
            type Error = BadName;

            fn try_from(text: CompactString) -> Result<Self, BadName> {
                $name::new(&text)
            }
        }

        /// Serialized as its text, without a copy.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A transaction's id: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    TxId,
    "transaction id",
    "1 to 64 of A-Z a-z 0-9 . _ -",
    |text| (1..=TX_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
);

name!(
    /// An account's number, unique at its bank: 1 to 64 bytes, no space and no control character.
    AccountNumber,
    "account number",
    "1 to 64 bytes without spaces and control characters",
    |text| (1..=NAME_BYTES_MAX).contains(&text.len()) && is_word(text)
);

name!(
    /// A register's key: 1 to 64 bytes, no space and no control character.
    RegisterKey,
    "register key",
    "1 to 64 bytes without spaces and control characters",
    |text| (1..=NAME_BYTES_MAX).contains(&text.len()) && is_word(text)
);

name!(
    /// A register's value: at most 256 bytes, no control character.
    RegisterValue,
    "register value",
    "at most 256 bytes without control characters",
    |text| text.len() <= REGISTER_VALUE_BYTES_MAX && is_plain(text)
);

name!(
    /// A client's name, kept as given: 1 to 200 bytes, no control character.
    ClientName,
    "name",
    "1 to 200 bytes without control characters",
    |text| (1..=CLIENT_NAME_BYTES_MAX).contains(&text.len()) && is_plain(text)
);

name!(
    /// A client's kind, kept as given: 1 to 64 bytes, no control character.
    ClientKind,
    "kind",
    "1 to 64 bytes without control characters",
    |text| (1..=NAME_BYTES_MAX).contains(&text.len()) && is_plain(text)
);

/// Compares as `[u8]` does, which calls the C library for each pair. Ids are compared some fifty
/// times in a transaction, most are short and of one length, and eight bytes fit a word.
fn by_bytes(one: &[u8], other: &[u8]) -> Ordering {
    if one.len() != other.len() {
        return one.cmp(other);
    }
    let (Some(last), Some(other_last)) = (one.last_chunk(), other.last_chunk()) else {
        return one.cmp(other);
    };
    let word = |bytes: &[u8; 8]| u64::from_be_bytes(*bytes);
    for (one, other) in one.as_chunks().0.iter().zip(other.as_chunks().0) {
        if one != other {
            return word(one).cmp(&word(other));
        }
    }
    // All before them is equal, and so are those of these bytes that were compared already.
    word(last).cmp(&word(other_last))
}

fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn is_word(text: &str) -> bool {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return true;
    }
    is_plain(text) && !text.chars().any(char::is_whitespace)
}

/// Microseconds since 1970 on a bank's hybrid logical clock.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Time(pub i64);

impl Time {
    /// The last possible time: JSON carries whole numbers exactly up to 2^53.
    pub const MAX: Time = Time((1 << 53) - 1);
    /// The last time at which a bank votes OK, a day before `MAX`: transactions that are prepared
    /// by then can still be decided, and refusals can have later times.
    pub(crate) const LAST_GRANT: Time = Time(Time::MAX.0 - 24 * 3_600 * 1_000_000);
}

impl Time {
    /// The first moment of a day, in UTC; `None` if there is no such day.
    pub fn of_day(year: i32, month: u8, day: u8) -> Option<Time> {
        let (year, month) = (i16::try_from(year).ok()?, i8::try_from(month).ok()?);
        let day = jiff::civil::Date::new(year, month, i8::try_from(day).ok()?).ok()?;
        let begin = jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
        Some(Time(begin.as_microsecond()))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_are_in_the_order_of_their_bytes(
            begin in "[a-c]{0,12}", one in "[a-c]{0,12}", other in "[a-c]{0,12}"
        ) {
            let (one, other) = (begin.clone() + &one, begin + &other);
            prop_assert_eq!(by_bytes(one.as_bytes(), other.as_bytes()), one.cmp(&other));
        }
    }
}
