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
        let (head, rest) = before_dot(text.as_bytes())?;
        let (time, rest) = before_dot(rest)?;
        let (letter, bank) = head.split_first()?;
        let kind = TokenKind::ALL.into_iter().find(|kind| kind.letter() == *letter)?;
        let bank = BankId::new(usize::try_from(decimal_of(bank)?).ok()?)?;
        let time = Time(decimal_of(time)?);
        // The digest has 64 digits or none.
        let (digest, mac) = match rest.split_first()? {
            (b'.', mac) => (None, mac),
            _ => {
                let (hex, rest) = rest.split_at_checked(64)?;
                (Some(Digest(unhex_of(hex)?)), rest.strip_prefix(b".")?)
            }
        };
        if time > Time::MAX || (kind != TokenKind::No && digest.is_none()) {
            return None;
        }
        let mac = match mac {
            b"" => None,
            hex => Some(unhex_of(hex)?),
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

    /// The seed of hash tables: who does not have the key can't choose ids that collide in them.
    pub(crate) fn hash_seed(&self) -> [u64; 2] {
        let hash = blake3::keyed_hash(&self.0, b"consorcio hash tables");
        let (halves, _) = hash.as_bytes().as_chunks();
        [0, 1].map(|half| u64::from_le_bytes(halves[half]))
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

/// What stands before the first dot, and after it.
fn before_dot(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b'.')?;
    Some((&text[..at], &text[at + 1..]))
}

pub(crate) fn decimal(text: &str) -> Option<i64> {
    decimal_of(text.as_bytes())
}

/// The number that these digits are, without a zero before them.
fn decimal_of(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || (digits[0] == b'0' && digits.len() > 1) {
        return None;
    }
    digits.iter().try_fold(0i64, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        let shifted = if digit < 10 { number.checked_mul(10)? } else { return None };
        shifted.checked_add(i64::from(digit))
    })
}

/// A bit in each byte of a word.
const ONES: u64 = 0x0101_0101_0101_0101;

/// The hex digits of eight numbers below 16, one a byte. Tokens have 96 digits and a COMMIT has
/// two tokens, so eight are made and read at a time.
fn hex_digits(numbers: u64) -> u64 {
    // 6 more is 16 or more for those that are letters; `a` is 39 after the digit that would follow.
    let letters = (numbers.wrapping_add(6 * ONES) >> 4) & ONES;
    numbers.wrapping_add(0x30 * ONES).wrapping_add(letters.wrapping_mul(39))
}

pub(crate) fn hex<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [b'0'; N];
    for (digits, bytes) in text.as_chunks_mut::<8>().0.iter_mut().zip(bytes.as_chunks::<4>().0) {
        let word = u64::from(u32::from_be_bytes(*bytes));
        let pairs = (word | word << 16) & 0x0000_FFFF_0000_FFFF;
        let single = (pairs | pairs << 8) & 0x00FF_00FF_00FF_00FF;
        let numbers = (single | single << 4) & (0x0F * ONES);
        *digits = hex_digits(numbers).to_be_bytes();
    }
    text
}

pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    unhex_of(text.as_bytes())
}

/// The bytes that these digits are; a length that is no multiple of four bytes has no digits.
fn unhex_of<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    const { assert!(N.is_multiple_of(4)) };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    let mut wrong = 0;
    for (bytes, digits) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(text.as_chunks::<8>().0) {
        let digits = u64::from_be_bytes(*digits);
        // Letters have bit 6, and `a` has the low bits 1.
        let letters = (digits >> 6) & ONES;
        let numbers =
            (digits & (0x0F * ONES)).wrapping_add(letters.wrapping_mul(9)) & (0x0F * ONES);
        // What is no digit has other digits when it is written again. One check at the end.
        wrong |= hex_digits(numbers) ^ digits;
        let single = (numbers | numbers >> 4) & 0x00FF_00FF_00FF_00FF;
        let pairs = (single | single >> 8) & 0x0000_FFFF_0000_FFFF;
        let [_, _, _, _, quad @ ..] = (pairs | pairs >> 16).to_be_bytes();
        *bytes = quad;
    }
    (wrong == 0).then_some(bytes)
}

#[cfg(test)]
mod tests;
