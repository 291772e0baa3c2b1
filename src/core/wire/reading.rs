//! Readings: a bank's statement that its clock has reached a time, which other banks can verify.
//!
//! With a reading a client may request a cut from a bank whose own clock is behind that time. A
//! reading is about no transaction, so it binds no id and no bytes. Its letter is part of the MAC,
//! so it can never pass for a vote.
//!
//! Text: `T<bank>.<time>..<mac, hex, or empty>`, opaque to a client.

use super::token::{Seal, decimal, hex, is_short_of, short, unhex};
use crate::ids::{BankId, Time};
use crate::wire::text::write_decimal;
use std::fmt;

/// A bank's statement of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The bank that makes the statement.
    pub bank: BankId,
    /// The time that its clock has reached.
    pub time: Time,
    /// The MAC; without one the reading proves nothing.
    pub mac: Option<[u8; 16]>,
}

impl Reading {
    /// Reads a reading from its text; `None` if it is none.
    pub fn parse(text: &str) -> Option<Reading> {
        let mut parts = text.strip_prefix('T')?.split('.');
        let (bank, time, digest, mac) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !digest.is_empty() {
            return None;
        }
        let bank = usize::try_from(decimal(bank)?).ok().and_then(BankId::new)?;
        let time = Time(decimal(time)?);
        let mac = match mac {
            "" => None,
            hex => Some(unhex(hex)?),
        };
        (time <= Time::MAX).then_some(Reading { bank, time, mac })
    }

    /// Appends its text to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.push(b'T');
        write_decimal(out, i64::from(self.bank.as_u8()));
        out.push(b'.');
        write_decimal(out, self.time.0);
        out.extend_from_slice(b"..");
        if let Some(mac) = &self.mac {
            out.extend_from_slice(&hex::<32>(mac));
        }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(64);
        self.write_to(&mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or(""))
    }
}

impl Seal {
    /// A statement that the clock of `bank` has reached `time`.
    pub fn reading(&self, bank: BankId, time: Time) -> Reading {
        Reading { bank, time, mac: Some(short(&self.reading_mac(bank, time))) }
    }

    /// Was `reading` made with this key?
    pub fn proves_reading(&self, reading: &Reading) -> bool {
        let ours = self.reading_mac(reading.bank, reading.time);
        reading.mac.as_ref().is_some_and(|theirs| is_short_of(&ours, theirs))
    }

    fn reading_mac(&self, bank: BankId, time: Time) -> blake3::Hash {
        self.mac("consorcio statement", &[b"T", &[bank.as_u8()], &time.0.to_le_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::token::Token;

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    #[test]
    fn a_reading_is_parsed_back_from_its_text() {
        let reading = Seal::keyed([7; 32]).reading(bank(15), Time(1_795_000_000_000_000));
        assert_eq!(Reading::parse(&reading.to_string()), Some(reading));
        assert_eq!(Token::parse(&reading.to_string()), None, "a reading is no vote");
        for junk in [
            "", "T", "T1", "T1.2", "T1.2.", "T1.2.3.", "T16.1..", "O1.1..", "T1.01..", "T1.-1..",
            "T1.1..a",
        ] {
            assert_eq!(Reading::parse(junk), None, "{junk}");
        }
        assert_eq!(Reading::parse("T1.9007199254740992.."), None, "JSON does not carry it exactly");
    }

    #[test]
    fn its_mac_proves_only_the_fields_that_it_binds() {
        let seal = Seal::keyed([7; 32]);
        let reading = seal.reading(bank(2), Time(5));
        assert!(seal.proves_reading(&reading));
        assert!(!Seal::keyed([8; 32]).proves_reading(&reading), "another key proves nothing");
        let forged = [
            Reading { bank: bank(1), ..reading },
            Reading { time: Time(6), ..reading },
            Reading { mac: None, ..reading },
            Reading { mac: Some([0; 16]), ..reading },
        ];
        for reading in forged {
            assert!(!seal.proves_reading(&reading), "{reading}");
        }
    }
}
