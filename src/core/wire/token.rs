//! Tokens: a bank's vote or statement on one transaction, which other banks can verify.
//!
//! A token binds its kind, the bank, the transaction's id, the digest of its bytes and a time under
//! a keyed BLAKE3 MAC with the consortium's key. `O` and `N` are votes: a bank makes only one for
//! an id, ever. `C` and `A` are statements of a bank about its own journal, made for each answer.
//! The token of a tombstone binds no bytes. `proof` decides what tokens prove together.
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

/// A bank's vote on a transaction. On disk: new variants are only added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Vote {
    /// The bank commits if all other banks vote OK.
    Ok,
    /// The bank refuses, permanently.
    No,
}

/// What a token states. Its position is its code in journals: new variants are only added at the
/// end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TokenKind {
    /// `O`: the bank votes OK on these bytes. The time is the vote's.
    Ok,
    /// `N`: the bank votes NOK, on these bytes or on the id alone. The time is the vote's.
    No,
    /// `C`: the bank holds OK on these bytes, and they are committed. The time is the commit's.
    Committed,
    /// `A`: the bank holds OK on these bytes, and they are aborted. The time is that of its vote.
    Aborted,
}

impl TokenKind {
    const ALL: [TokenKind; 4] =
        [TokenKind::Ok, TokenKind::No, TokenKind::Committed, TokenKind::Aborted];

    fn letter(self) -> u8 {
        match self {
            TokenKind::Ok => b'O',
            TokenKind::No => b'N',
            TokenKind::Committed => b'C',
            TokenKind::Aborted => b'A',
        }
    }

    /// The byte for it in the MAC.
    fn code(self) -> u8 {
        match self {
            TokenKind::Ok => 1,
            TokenKind::No => 2,
            TokenKind::Committed => 3,
            TokenKind::Aborted => 4,
        }
    }
}

impl From<Vote> for TokenKind {
    fn from(vote: Vote) -> TokenKind {
        match vote {
            Vote::Ok => TokenKind::Ok,
            Vote::No => TokenKind::No,
        }
    }
}

/// A bank's vote or statement on one transaction, as sent to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Which vote or statement it is.
    pub kind: TokenKind,
    /// The bank that made it.
    pub bank: BankId,
    /// The time of the vote; for a `C`, of the commit.
    pub time: Time,
    /// The bytes voted on; absent for a tombstone.
    pub digest: Option<Digest>,
    /// The MAC. Absent in tokens from journals that were written without a key.
    pub mac: Option<[u8; 16]>,
}

impl Token {
    /// Is it a NOK? A tombstone's token is one.
    pub fn is_refusal(&self) -> bool {
        self.kind == TokenKind::No
    }

    /// Does this token mean that its bank can never vote OK on the bytes with `digest`? A NOK does,
    /// and so does a vote on other bytes, because a bank votes once for an id.
    pub fn refuses(&self, digest: &Digest) -> bool {
        match self.kind {
            TokenKind::No => true,
            TokenKind::Ok | TokenKind::Committed | TokenKind::Aborted => {
                self.digest.as_ref() != Some(digest)
            }
        }
    }

    /// Is this an OK on the bytes with `digest`?
    pub fn grants(&self, digest: &Digest) -> bool {
        self.kind == TokenKind::Ok && self.digest.as_ref() == Some(digest)
    }

    /// When its bank voted, unless the token does not carry that time.
    pub fn vote_time(&self) -> Option<Time> {
        match self.kind {
            TokenKind::Ok | TokenKind::No | TokenKind::Aborted => Some(self.time),
            TokenKind::Committed => None,
        }
    }

    /// Reads a token from its text; `None` for anything else, which counts as no token at all.
    pub fn parse(text: &str) -> Option<Token> {
        let mut parts = text.split('.');
        let (head, time, digest, mac) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !head.is_ascii() {
            return None;
        }
        let letter = *head.as_bytes().first()?;
        let kind = TokenKind::ALL.into_iter().find(|kind| kind.letter() == letter)?;
        let bank = BankId::try_from(decimal(&head[1..])?.try_into().ok().filter(|b: &u8| *b < 16)?)
            .ok()?;
        let time = Time(decimal(time)?);
        let digest = match digest {
            "" => None,
            hex => Some(Digest(unhex(hex)?)),
        };
        if time > Time::MAX || (kind != TokenKind::No && digest.is_none()) {
            return None;
        }
        let mac = match mac {
            "" => None,
            hex => Some(unhex(hex)?),
        };
        Some(Token { kind, bank, time, digest, mac })
    }
}

impl Token {
    /// Appends its text to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.push(self.kind.letter());
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

/// The consortium's symmetric key, which authenticates tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Seal([u8; 32]);

impl fmt::Debug for Seal {
    /// Never prints the key itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({})", self.key_id())
    }
}

/// A public id of a key: a keyed hash of a constant.
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
    /// Reads a key id from its 16 hex digits.
    pub fn parse(text: &str) -> Option<KeyId> {
        unhex(text).map(KeyId)
    }
}

impl Seal {
    /// A seal with the consortium's key.
    pub fn keyed(key: [u8; 32]) -> Seal {
        Seal(key)
    }

    /// The public id of its key.
    pub fn key_id(&self) -> KeyId {
        let id = blake3::keyed_hash(&self.0, b"consorcio key id");
        KeyId(*id.as_bytes().first_chunk().unwrap_or(&[0; 8]))
    }

    /// Makes the token of a vote or a statement.
    pub fn token(
        &self,
        bank: BankId,
        kind: impl Into<TokenKind>,
        tx: &TxId,
        digest: Option<Digest>,
        time: Time,
    ) -> Token {
        let mut token = Token { kind: kind.into(), bank, time, digest, mac: None };
        token.mac = Some(short(&self.token_mac(tx, &token)));
        token
    }

    /// Was `token` made with this key, for `tx`?
    pub fn proves(&self, tx: &TxId, token: &Token) -> bool {
        token.mac.as_ref().is_some_and(|theirs| is_short_of(&self.token_mac(tx, token), theirs))
    }

    /// A MAC over `parts`, each prefixed with its length.
    pub fn mac(&self, context: &str, parts: &[&[u8]]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in std::iter::once(&context.as_bytes()).chain(parts) {
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize()
    }

    fn token_mac(&self, tx: &TxId, token: &Token) -> blake3::Hash {
        // A fixed buffer and a single hash: this runs for every vote and every token that is
        // checked.
        let mut text = [0u8; 128];
        let id = tx.as_str().as_bytes();
        text[0] = token.kind.code();
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

/// The part of a MAC that is sent.
pub(crate) fn short(mac: &blake3::Hash) -> [u8; 16] {
    *mac.as_bytes().first_chunk().unwrap_or(&[0; 16])
}

/// Is `theirs` that part of `mac`? Compares in constant time.
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
    // One check at the end instead of one for each digit: this runs for every token of every
    // COMMIT.
    (seen < 16).then_some(bytes)
}

/// The value of each hex digit; 255 for other bytes.
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
mod tests;
