//! CPF and CNPJ.

use super::BadName;
use compact_str::CompactString;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// A CPF (11 digits) or, for companies, a CNPJ (14 of A-Z and 0-9). Check digits are not required.
///
/// A bank holds one for each client and each name of a holder, so it takes 14 bytes; a CPF has
/// zeros behind it. So the order is that of the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "CompactString")]
pub struct TaxId([u8; 14]);

impl TaxId {
    /// The number, if `text` is legal.
    ///
    /// # Errors
    /// If it is not; the error has the rule.
    pub fn new(text: &str) -> Result<TaxId, BadName> {
        let is_legal = match text.len() {
            11 => text.bytes().all(|b| b.is_ascii_digit()),
            14 => text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()),
            _ => false,
        };
        if !is_legal {
            let rule = "11 digits, or for companies 14 of A-Z and 0-9";
            return Err(BadName { what: "cpf", rule });
        }
        let mut bytes = [0; 14];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(TaxId(bytes))
    }

    /// The number as text, as on the wire.
    pub fn as_str(&self) -> &str {
        let length = if self.0[11] == 0 { 11 } else { 14 };
        std::str::from_utf8(&self.0[..length]).expect("digits and letters")
    }
}

impl TryFrom<CompactString> for TaxId {
    type Error = BadName;

    fn try_from(text: CompactString) -> Result<TaxId, BadName> {
        TaxId::new(&text)
    }
}

impl Serialize for TaxId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for TaxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As the other names: its type and its text.
impl fmt::Debug for TaxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaxId").field(&self.as_str()).finish()
    }
}
