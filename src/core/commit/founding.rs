//! Founding ids, which identify one journal of a bank, and the statement of a bank that it has
//! recorded one.
//!
//! A bank that lost its disk starts a new journal with a new founding id. A peer that recorded the
//! former id can detect that, and says so in a statement that can be verified: `M`. The statement
//! stays true, so it needs no nonce.
//!
//! Text: `M<recording bank>.<recorded bank>.<founding id, hex>.<mac, hex, or empty>`.

use crate::ids::BankId;
use crate::wire::text::write_decimal;
use crate::wire::token::{Seal, decimal, hex, is_short_of, short, unhex};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Identifies one journal of a bank: 16 random bytes, drawn when the journal is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FoundingId([u8; 16]);

impl FoundingId {
    /// The id with these bytes.
    pub fn new(bytes: [u8; 16]) -> FoundingId {
        FoundingId(bytes)
    }

    /// The bytes of the id.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads an id from 32 hex digits; `None` for any other text.
    pub fn parse(text: &str) -> Option<FoundingId> {
        unhex(text).map(FoundingId)
    }
}

impl fmt::Display for FoundingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&hex::<32>(&self.0)).unwrap_or(""))
    }
}

/// A bank's statement that it has recorded the founding id of another bank's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meeting {
    /// The bank that recorded it.
    pub by: BankId,
    /// The bank whose journal it is.
    pub bank: BankId,
    /// The id that was recorded.
    pub founding: FoundingId,
    /// The MAC; without one the statement proves nothing.
    pub mac: Option<[u8; 16]>,
}

impl Meeting {
    /// Reads a statement from its text; `None` if it is none.
    pub fn parse(text: &str) -> Option<Meeting> {
        let mut parts = text.strip_prefix('M')?.split('.');
        let (by, bank, founding, mac) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let position = |text| usize::try_from(decimal(text)?).ok().and_then(BankId::new);
        let mac = match mac {
            "" => None,
            hex => Some(unhex(hex)?),
        };
        Some(Meeting {
            by: position(by)?,
            bank: position(bank)?,
            founding: FoundingId::parse(founding)?,
            mac,
        })
    }
}

impl fmt::Display for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = vec![b'M'];
        write_decimal(&mut text, i64::from(self.by.as_u8()));
        text.push(b'.');
        write_decimal(&mut text, i64::from(self.bank.as_u8()));
        text.push(b'.');
        text.extend_from_slice(&hex::<32>(self.founding.as_bytes()));
        text.push(b'.');
        if let Some(mac) = &self.mac {
            text.extend_from_slice(&hex::<32>(mac));
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or(""))
    }
}

impl Seal {
    /// A statement of `by` that it has recorded this founding id of `bank`.
    pub fn meeting(&self, by: BankId, bank: BankId, founding: FoundingId) -> Meeting {
        Meeting { by, bank, founding, mac: Some(short(&self.meeting_mac(by, bank, &founding))) }
    }

    /// Was `meeting` made with this key?
    pub fn proves_meeting(&self, meeting: &Meeting) -> bool {
        let ours = self.meeting_mac(meeting.by, meeting.bank, &meeting.founding);
        meeting.mac.as_ref().is_some_and(|theirs| is_short_of(&ours, theirs))
    }

    fn meeting_mac(&self, by: BankId, bank: BankId, founding: &FoundingId) -> blake3::Hash {
        self.mac(
            "consorcio statement",
            &[b"M", &[by.as_u8()], &[bank.as_u8()], founding.as_bytes()],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::reading::Reading;
    use crate::wire::token::Token;

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    fn founding(byte: u8) -> FoundingId {
        FoundingId::new([byte; 16])
    }

    #[test]
    fn a_statement_is_parsed_back_from_its_text() {
        let meeting = Seal::keyed([7; 32]).meeting(bank(15), bank(0), founding(0xab));
        let text = meeting.to_string();
        assert!(text.starts_with("M15.0.abababababababababababababababab."), "{text}");
        assert_eq!(Meeting::parse(&text), Some(meeting));
        assert_eq!(
            (Token::parse(&text), Reading::parse(&text)),
            (None, None),
            "it is neither a vote nor a reading"
        );
        let id = "0".repeat(32);
        for junk in ["", "M", "M1.2", "M1.2.", "M1.2.3.", "O1.2.", "M1.2..", "T1.2.."] {
            assert_eq!(Meeting::parse(junk), None, "{junk}");
        }
        for (by, of) in [("16", "0"), ("0", "16"), ("01", "2"), ("-1", "2"), ("1", "")] {
            assert_eq!(Meeting::parse(&format!("M{by}.{of}.{id}.")), None, "{by} met {of}");
        }
        assert_eq!(Meeting::parse(&format!("M1.2.{id}.zz")), None);
        assert_eq!(Meeting::parse(&format!("M1.2.{id}..")), None);
    }

    #[test]
    fn its_mac_proves_only_the_fields_that_it_binds() {
        let seal = Seal::keyed([7; 32]);
        let meeting = seal.meeting(bank(2), bank(1), founding(5));
        assert!(seal.proves_meeting(&meeting));
        assert!(!Seal::keyed([8; 32]).proves_meeting(&meeting), "another key proves nothing");
        let forged = [
            Meeting { by: bank(1), ..meeting },
            Meeting { bank: bank(2), ..meeting },
            Meeting { by: bank(1), bank: bank(2), ..meeting },
            Meeting { founding: founding(6), ..meeting },
            Meeting { mac: None, ..meeting },
            Meeting { mac: Some([0; 16]), ..meeting },
        ];
        for meeting in forged {
            assert!(!seal.proves_meeting(&meeting), "{meeting}");
        }
    }
}
