//! Secrets that are told once, and what is kept of them.

use consorcio_core::limits::SECRET_BYTES;
use std::fmt;

/// What a fingerprint is made of, so that it equals no other hash of the same bytes.
const CONTEXT: &str = "consorcio 2026-11-30 fingerprint of a secret";
/// What a form's token is made of.
const FORM_CONTEXT: &str = "consorcio 2026-11-30 token of a form";

/// 256 random bits as 64 hex digits: a bearer token, or the value of a session's cookie.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; SECRET_BYTES]);

/// What is kept of a secret: it recognizes the secret and does not tell it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; blake3::OUT_LEN]);

impl Secret {
    /// A new secret.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn generate() -> Result<Secret, getrandom::Error> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Secret(bytes))
    }

    /// The secret that somebody shows; `None` if `text` is not 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Secret> {
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if !text.bytes().all(lower) {
            return None;
        }
        blake3::Hash::from_hex(text).ok().map(|bytes| Secret(bytes.into()))
    }

    /// The text that is told to its owner.
    pub fn reveal(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// What is kept of it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(blake3::derive_key(CONTEXT, &self.0))
    }

    /// The token that forms of this session carry: another site does not know it, and it does not
    /// tell the secret.
    pub fn form_token(&self) -> String {
        blake3::Hash::from_bytes(blake3::derive_key(FORM_CONTEXT, &self.0)).to_hex().to_string()
    }

    /// Is `shown` this session's token of a form? Compares in constant time.
    pub fn has_form_token(&self, shown: &str) -> bool {
        let own = blake3::Hash::from_bytes(blake3::derive_key(FORM_CONTEXT, &self.0));
        blake3::Hash::from_hex(shown).is_ok_and(|shown| shown == own)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

impl Fingerprint {
    /// Reads it back from its 64 hex digits.
    pub fn parse(text: &str) -> Option<Fingerprint> {
        blake3::Hash::from_hex(text).ok().map(|hash| Fingerprint(hash.into()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_recognized_by_what_is_kept_of_it() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(one, other);
        let shown = one.reveal();
        assert_eq!(Secret::parse(&shown).as_ref(), Some(&one));
        assert_eq!(Fingerprint::parse(&one.fingerprint().to_string()), Some(one.fingerprint()));
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert!(!one.fingerprint().to_string().contains(&shown[..8]));
        assert!(one.has_form_token(&one.form_token()) && !one.has_form_token(&other.form_token()));
        assert!(!one.has_form_token(&shown) && !one.has_form_token(""));
        assert!(!format!("{one:?}").contains(&shown[..8]));
    }

    #[test]
    fn other_texts_are_no_secrets() {
        let shown = Secret::generate().unwrap().reveal();
        for text in ["", "ab", &shown[1..], &format!("{shown}0"), &shown.to_uppercase()] {
            let letters = text.bytes().any(|byte| byte.is_ascii_alphabetic());
            assert!(Secret::parse(text).is_none() || !letters, "{text:?}");
        }
        assert!(Secret::parse(&"A".repeat(64)).is_none());
    }
}
