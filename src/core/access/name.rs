//! The name of a person, a program or a bank.

use crate::ids::BankId;
use crate::limits::PRINCIPAL_NAME_BYTES_MAX;
use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// 1 to 24 of `a-z 0-9 -`: it begins with a letter and does not end in `-`, so that it can be a
/// label of a DNS name. A name that ends in `-N` was made by bank N, and N is a position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "CompactString")]
pub struct Name(CompactString);

/// Why a text is not a legal name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPrincipalName {
    /// It has no character, or too many.
    #[error("a name has 1 to {PRINCIPAL_NAME_BYTES_MAX} characters")]
    Length,
    /// It begins with something else than a letter.
    #[error("a name begins with a letter a-z")]
    Begin,
    /// It has a character that no name may have.
    #[error("a name has only a-z, 0-9 and -, not {0:?}")]
    Character(char),
    /// Its last character is `-`.
    #[error("a name does not end in -")]
    End,
    /// It ends in a number that is no bank's position.
    #[error("a name ends in -N only for the bank N that made it, N from 0 to 15")]
    NoBank,
}

impl Name {
    /// The name, if `text` is legal.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn new(text: &str) -> Result<Name, BadPrincipalName> {
        if !(1..=PRINCIPAL_NAME_BYTES_MAX).contains(&text.len()) {
            return Err(BadPrincipalName::Length);
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(BadPrincipalName::Begin);
        }
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if let Some(bad) = text.chars().find(|c| !legal(*c)) {
            return Err(BadPrincipalName::Character(bad));
        }
        if text.ends_with('-') {
            return Err(BadPrincipalName::End);
        }
        if number_at_end(text).is_some_and(|number| position(number).is_none()) {
            return Err(BadPrincipalName::NoBank);
        }
        Ok(Name(CompactString::new(text)))
    }

    /// The name of a bank itself: `bank-N`.
    pub fn of_bank(bank: BankId) -> Name {
        Name(format_compact!("bank-{bank}"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bank that made this name: the one whose position it ends in, after a `-`.
    pub fn made_by(&self) -> Option<BankId> {
        number_at_end(&self.0).and_then(position)
    }

    /// The bank whose own name this is.
    pub fn as_bank(&self) -> Option<BankId> {
        self.made_by().filter(|bank| *self == Name::of_bank(*bank))
    }
}

/// The digits after the last `-`, if all that follows it is digits.
fn number_at_end(text: &str) -> Option<&str> {
    let (_, end) = text.rsplit_once('-')?;
    (!end.is_empty() && end.bytes().all(|b| b.is_ascii_digit())).then_some(end)
}

/// A position as banks write it: `07` is none.
fn position(number: &str) -> Option<BankId> {
    let bank = BankId::new(number.parse().ok()?)?;
    (number == "0" || !number.starts_with('0')).then_some(bank)
}

impl FromStr for Name {
    type Err = BadPrincipalName;

    fn from_str(text: &str) -> Result<Name, BadPrincipalName> {
        Name::new(text)
    }
}

impl TryFrom<CompactString> for Name {
    type Error = BadPrincipalName;

    fn try_from(text: CompactString) -> Result<Name, BadPrincipalName> {
        Name::new(&text)
    }
}

/// Serialized as its text.
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_label_of_a_dns_name() {
        for good in ["a", "titular1", "bank-2", "caixa1-15", "x-y", "abcdefghijklmnopqrstuvwx"] {
            assert_eq!(Name::new(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for (bad, why) in [
            ("", BadPrincipalName::Length),
            ("abcdefghijklmnopqrstuvwxy", BadPrincipalName::Length),
            ("1a", BadPrincipalName::Begin),
            ("-a", BadPrincipalName::Begin),
            ("Ana", BadPrincipalName::Begin),
            ("aNa", BadPrincipalName::Character('N')),
            ("a.b", BadPrincipalName::Character('.')),
            ("joão", BadPrincipalName::Character('ã')),
            ("ana-", BadPrincipalName::End),
            ("ana-16", BadPrincipalName::NoBank),
            ("ana-01", BadPrincipalName::NoBank),
            ("ana-99999999999999", BadPrincipalName::NoBank),
        ] {
            assert_eq!(Name::new(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn the_end_of_a_name_tells_which_bank_made_it() {
        let of = |text: &str| {
            let name = Name::new(text).expect("a name");
            (name.made_by().map(BankId::index), name.as_bank().map(BankId::index))
        };
        assert_eq!(of("bank-2"), (Some(2), Some(2)));
        assert_eq!(of("caixa1-2"), (Some(2), None));
        assert_eq!(of("my-bank-2"), (Some(2), None));
        assert_eq!(of("titular1"), (None, None));
        assert_eq!(of("a-2b"), (None, None));
    }

    #[test]
    fn a_name_is_its_text_in_json() {
        let name = Name::new("titular1").expect("a name");
        assert_eq!(serde_json::to_string(&name).expect("a text"), "\"titular1\"");
        assert_eq!(serde_json::from_str::<Name>("\"titular1\"").expect("a name"), name);
        let error = serde_json::from_str::<Name>("\"Titular\"").expect_err("no name");
        assert!(error.to_string().contains("begins with a letter a-z"), "{error}");
    }
}
