//! Tokens: what one bank says of a transaction, in a text that other banks can check.
//!
//! A token binds what is said, bank, transaction id, digest of the transaction's bytes and a time
//! under a keyed BLAKE3 MAC with the consortium's key. `O` and `N` are votes: a bank makes one for
//! an id, ever. `C` and `A` are statements of a bank about its own journal, made anew for each
//! answer. A tombstone's token binds no bytes. What tokens together prove is decided in `proof`.
//!
//! Text: `<O|N|C|A><bank>.<time>.<digest, hex, or empty>.<mac, hex, or empty>`, opaque to a driver.

use crate::ids::{BankId, Time, TxId};
use crate::wire::text::write_decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// BLAKE3 of a transaction's bytes, from the first `{` to the last `}` of its line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&hex::<64>(&self.0)).unwrap_or(""))
    }
}

/// A bank's verdict on a transaction. On disk: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// It will commit when all the others do.
    Ok,
    /// It refuses for ever.
    No,
}

/// What a token says. Variants are only ever added at the end: their position is their code in
/// journals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Said {
    /// `O`: I vote OK on these bytes. The time is the vote's.
    Ok,
    /// `N`: I vote NOK, on these bytes or on the id alone. The time is the vote's.
    No,
    /// `C`: I hold OK on these bytes, and they are committed. The time is the commit's.
    Committed,
    /// `A`: I hold OK on these bytes, and they are aborted. The time is that of my vote.
    Aborted,
}

impl Said {
    const ALL: [Said; 4] = [Said::Ok, Said::No, Said::Committed, Said::Aborted];

    fn letter(self) -> u8 {
        match self {
            Said::Ok => b'O',
            Said::No => b'N',
            Said::Committed => b'C',
            Said::Aborted => b'A',
        }
    }

    /// What stands for it in the MAC.
    fn code(self) -> u8 {
        match self {
            Said::Ok => 1,
            Said::No => 2,
            Said::Committed => 3,
            Said::Aborted => 4,
        }
    }
}

impl From<Verdict> for Said {
    fn from(verdict: Verdict) -> Said {
        match verdict {
            Verdict::Ok => Said::Ok,
            Verdict::No => Said::No,
        }
    }
}

/// What one bank says of a transaction, as told to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it says.
    pub said: Said,
    /// Who says it.
    pub bank: BankId,
    /// The vote's time on that bank's clock; of `C` the commit's.
    pub time: Time,
    /// The bytes voted on; a tombstone has none.
    pub digest: Option<Digest>,
    /// The MAC. Journals of the time without a key hold tokens that have none.
    pub mac: Option<[u8; 16]>,
}

impl Token {
    /// Is it a NOK, or a tombstone's?
    pub fn is_refusal(&self) -> bool {
        self.said == Said::No
    }

    /// Does its bank hold a vote that refuses the bytes with `digest` for ever? A NOK does, and so
    /// does an OK on other bytes: a bank votes once for an id.
    pub fn refuses(&self, digest: &Digest) -> bool {
        match self.said {
            Said::No => true,
            Said::Ok | Said::Committed | Said::Aborted => self.digest.as_ref() != Some(digest),
        }
    }

    /// Is this an OK on the bytes with `digest`?
    pub fn grants(&self, digest: &Digest) -> bool {
        self.said == Said::Ok && self.digest.as_ref() == Some(digest)
    }

    /// When its bank voted, where it tells that.
    pub fn vote_time(&self) -> Option<Time> {
        match self.said {
            Said::Ok | Said::No | Said::Aborted => Some(self.time),
            Said::Committed => None,
        }
    }

    /// Reads a token's text. What is not a token is `None`: it counts as if it had not been given.
    pub fn parse(text: &str) -> Option<Token> {
        let mut parts = text.split('.');
        let (head, time, digest, mac) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !head.is_ascii() {
            return None;
        }
        let letter = *head.as_bytes().first()?;
        let said = Said::ALL.into_iter().find(|said| said.letter() == letter)?;
        let bank = BankId::try_from(decimal(&head[1..])?.try_into().ok().filter(|b: &u8| *b < 16)?)
            .ok()?;
        let time = Time(decimal(time)?);
        let digest = match digest {
            "" => None,
            hex => Some(Digest(unhex(hex)?)),
        };
        if time > Time::MAX || (said != Said::No && digest.is_none()) {
            return None;
        }
        let mac = match mac {
            "" => None,
            hex => Some(unhex(hex)?),
        };
        Some(Token { said, bank, time, digest, mac })
    }
}

impl Token {
    /// Appends its text.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.push(self.said.letter());
        write_decimal(out, i64::from(self.bank.as_u8()));
        out.push(b'.');
        write_decimal(out, self.time.0);
        out.push(b'.');
        if let Some(digest) = &self.digest {
            out.extend_from_slice(&hex::<64>(&digest.0));
        }
        out.push(b'.');
        if let Some(mac) = &self.mac {
            out.extend_from_slice(&hex::<32>(mac));
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(128);
        self.write_to(&mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or(""))
    }
}

/// What seals tokens: the consortium's symmetric key.
#[derive(Clone, PartialEq, Eq)]
pub struct Seal([u8; 32]);

impl fmt::Debug for Seal {
    /// The key itself is never shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({})", self.key_id())
    }
}

/// Tells keys apart without showing them: a keyed hash of a constant.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&hex::<16>(&self.0)).unwrap_or(""))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl KeyId {
    /// Reads its 16 hex digits.
    pub fn parse(text: &str) -> Option<KeyId> {
        unhex(text).map(KeyId)
    }
}

impl Seal {
    /// The seal of the consortium whose key this is.
    pub fn keyed(key: [u8; 32]) -> Seal {
        Seal(key)
    }

    /// The key's public id.
    pub fn key_id(&self) -> KeyId {
        let id = blake3::keyed_hash(&self.0, b"consorcio key id");
        KeyId(*id.as_bytes().first_chunk().unwrap_or(&[0; 8]))
    }

    /// The token of a vote or a statement.
    pub fn token(
        &self,
        bank: BankId,
        said: impl Into<Said>,
        tx: &TxId,
        digest: Option<Digest>,
        time: Time,
    ) -> Token {
        let mut token = Token { said: said.into(), bank, time, digest, mac: None };
        token.mac = Some(short(&self.token_mac(tx, &token)));
        token
    }

    /// Was `token` made with this key, for `tx`?
    pub fn proves(&self, tx: &TxId, token: &Token) -> bool {
        token.mac.as_ref().is_some_and(|theirs| is_short_of(&self.token_mac(tx, token), theirs))
    }

    /// A MAC over `parts`, each with its length before it.
    pub fn mac(&self, context: &str, parts: &[&[u8]]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in std::iter::once(&context.as_bytes()).chain(parts) {
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize()
    }

    fn token_mac(&self, tx: &TxId, token: &Token) -> blake3::Hash {
        // One buffer of fixed layout and one hash: this runs for every vote and every token
        // checked.
        let mut text = [0u8; 128];
        let id = tx.as_str().as_bytes();
        text[0] = token.said.code();
        text[1] = token.bank.as_u8();
        text[2] = u8::from(token.digest.is_some());
        text[3] = u8::try_from(id.len()).unwrap_or(u8::MAX);
        text[4..12].copy_from_slice(&token.time.0.to_le_bytes());
        text[12..44].copy_from_slice(&token.digest.map_or([0; 32], |digest| digest.0));
        text[44..44 + id.len()].copy_from_slice(id);
        text[108..].copy_from_slice(b"consorcio vote token");
        blake3::keyed_hash(&self.0, &text)
    }
}

/// The part of a MAC that tokens and statements carry.
pub(crate) fn short(mac: &blake3::Hash) -> [u8; 16] {
    *mac.as_bytes().first_chunk().unwrap_or(&[0; 16])
}

/// Is `theirs` that part of `mac`? Takes the same time whatever differs.
pub(crate) fn is_short_of(mac: &blake3::Hash, theirs: &[u8; 16]) -> bool {
    let mut padded = *mac.as_bytes();
    padded[..16].copy_from_slice(theirs);
    *mac == blake3::Hash::from_bytes(padded) // `Hash` compares in constant time
}

pub(crate) fn decimal(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    if digits && canonical { text.parse().ok() } else { None }
}

pub(crate) fn hex<const N: usize>(bytes: &[u8]) -> [u8; N] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'0'; N];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    // One check at the end instead of one a digit: this runs for every token of every COMMIT.
    (seen < 16).then_some(bytes)
}

/// The value of each hex digit; 255 for what is none.
const NIBBLES: [u8; 256] = {
    let mut table = [255; 256];
    let mut value = 0u8;
    while value < 16 {
        table[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn tx(id: &str) -> TxId {
        TxId::new(id).unwrap()
    }

    fn sample(seal: &Seal) -> Token {
        let bank = BankId::new(2).unwrap();
        seal.token(
            bank,
            Verdict::Ok,
            &tx("t1"),
            Some(Digest::of(b"{}")),
            Time(1_732_000_000_000_000),
        )
    }

    #[test]
    fn text_and_back() {
        let seal = Seal::keyed([7; 32]);
        let token = sample(&seal);
        for said in Said::ALL {
            let token = seal.token(token.bank, said, &tx("t1"), token.digest, token.time);
            assert_eq!(Token::parse(&token.to_string()), Some(token));
            assert!(seal.proves(&tx("t1"), &token));
        }
        let tombstone = seal.token(token.bank, Verdict::No, &tx("t1"), None, token.time);
        assert_eq!(Token::parse(&tombstone.to_string()), Some(tombstone));
        for said in ["O", "C", "A"] {
            assert_eq!(Token::parse(&format!("{said}2.7..")), None, "{said} is about bytes");
        }
    }

    #[test]
    fn a_token_counts_only_for_what_it_binds() {
        let seal = Seal::keyed([7; 32]);
        let token = sample(&seal);
        assert!(seal.proves(&tx("t1"), &token));
        assert!(!seal.proves(&tx("t2"), &token), "its own id only");
        assert!(!Seal::keyed([8; 32]).proves(&tx("t1"), &token), "its own key only");
        let forged = [
            Token { said: Said::No, ..token },
            Token { said: Said::Committed, ..token },
            Token { said: Said::Aborted, ..token },
            Token { bank: BankId::new(1).unwrap(), ..token },
            Token { time: Time(1), ..token },
            Token { digest: Some(Digest::of(b"{ }")), ..token },
            Token { digest: None, ..token },
            Token { mac: None, ..token },
            Token { mac: Some([0; 16]), ..token },
        ];
        for token in forged {
            assert!(!seal.proves(&tx("t1"), &token), "{token}");
        }
    }

    #[test]
    fn junk_is_no_token() {
        let good = sample(&Seal::keyed([7; 32])).to_string();
        for at in 0..good.len() {
            assert_eq!(Token::parse(&good[..at]).filter(|t| t.mac.is_some()), None);
        }
        for junk in [
            "", "O", "O1", "O1.2", "O1.2.3.4", "O99.1..", "O1.1..", "X1.1..", "N1.01..", "N1.-1..",
            "Né.1..",
        ] {
            assert_eq!(Token::parse(junk), None, "{junk}");
        }
        assert!(Token::parse("N1.1..").is_some());
        assert_eq!(Token::parse("N1.99999999999999999..").map(|t| t.time), None);
    }

    #[test]
    fn only_small_hex_digits_are_read_each_at_its_place() {
        let good = sample(&Seal::keyed([7; 32])).to_string();
        let hex_from = good.match_indices('.').nth(1).unwrap().0 + 1;
        for at in (hex_from..good.len()).filter(|at| &good[*at..=*at] != ".") {
            for junk in ["g", "A", "/", ":", "`", " "] {
                let text = format!("{}{junk}{}", &good[..at], &good[at + 1..]);
                assert_eq!(Token::parse(&text), None, "{text}");
            }
        }
        // Two that are none, and their like, do not make up for each other.
        let mac_from = good.len() - 32;
        for junk in ["gg", "ggzz", "gggggggg"] {
            let text = format!("{}{junk}{}", &good[..mac_from], &good[mac_from + junk.len()..]);
            assert_eq!(Token::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_read_up_to_the_last_that_json_carries_exactly() {
        let time = |time: i64| Token::parse(&format!("N1.{time}..")).map(|token| token.time);
        assert_eq!(time(Time::MAX.0), Some(Time::MAX));
        assert_eq!(time(Time::MAX.0 + 1), None);
        assert_eq!(time(0), Some(Time(0)));
        let bank = |bank: u8| Token::parse(&format!("N{bank}.1..")).map(|token| token.bank.as_u8());
        assert_eq!((bank(0), bank(15), bank(16)), (Some(0), Some(15), None));
    }

    #[test]
    fn a_vote_is_on_its_own_bytes() {
        let (ours, others) = (Digest::of(b"{}"), Digest::of(b"{ }"));
        let ok = sample(&Seal::keyed([7; 32]));
        assert!(ok.grants(&ours) && !ok.refuses(&ours) && !ok.is_refusal());
        assert!(!ok.grants(&others) && ok.refuses(&others), "a bank votes once for an id");
        for digest in [Some(ours), Some(others), None] {
            let nok = Token { said: Said::No, digest, ..ok };
            assert!(!nok.grants(&ours) && nok.refuses(&ours) && nok.is_refusal(), "{nok}");
        }
    }

    #[test]
    fn what_is_printed_for_people_names_the_bytes_and_never_the_key() {
        let seal = Seal::keyed([7; 32]);
        let id = seal.key_id();
        assert_eq!(format!("{seal:?} {id:?} {id}"), format!("Seal({id}) {id} {id}"));
        assert_eq!(KeyId::parse(&id.to_string()), Some(id));
        assert_ne!(id, Seal::keyed([8; 32]).key_id());
        assert!(!"07".repeat(32).contains(&id.to_string()), "it is not a piece of the key: {id}");
        let digest = Digest::of(b"{}");
        let text = format!("{digest:?}");
        assert!(
            sample(&seal).to_string().contains(&format!(".{text}.")) && text.len() == 64,
            "{text}"
        );
    }
}
