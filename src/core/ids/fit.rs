//! The rules for new texts that people see: no invisible characters, no characters that reverse the
//! text, and no bare dots.
//!
//! They apply to new transactions, clients and accounts only. A text in a journal stays legal,
//! because its bank must continue to use it; so these are checks beside the types, and not part of
//! them.

use super::{AccountNumber, ClientKind, ClientName, RegisterKey, RegisterValue, TxId};
use std::fmt;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Why a text is not allowed as a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It has an invisible character, or one that changes the order of others.
    Invisible(char),
    /// It begins or ends with white space.
    Untrimmed,
    /// It is `.` or `..`, which have another meaning in paths and addresses.
    Dots,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Invisible(c) => write!(f, "U+{:04X}", u32::from(*c)),
            Unfit::Untrimmed => f.write_str("white space at an end"),
            Unfit::Dots => f.write_str("`.` or `..`"),
        }
    }
}

/// Checks a text that people see, of any length.
///
/// # Errors
/// If it is not allowed as a new text.
pub fn check_text(text: &str) -> Result<(), Unfit> {
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err(Unfit::Untrimmed);
    }
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control()) {
        return Ok(());
    }
    text.chars().find(|c| is_invisible(*c)).map_or(Ok(()), |c| Err(Unfit::Invisible(c)))
}

fn check_name(text: &str) -> Result<(), Unfit> {
    if text == "." || text == ".." { Err(Unfit::Dots) } else { check_text(text) }
}

/// Control and format characters, line and paragraph separators, and letters, marks or symbols
/// without a glyph (the rest of Unicode's Default_Ignorable_Code_Point, and the blank Braille
/// pattern).
fn is_invisible(c: char) -> bool {
    let by_category = matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::Surrogate
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    );
    by_category
        || matches!(c,
            '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{2065}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}')
}

impl TxId {
    /// Checks that it is allowed as a new id.
    ///
    /// # Errors
    /// If it is `.` or `..`.
    pub fn check_new(&self) -> Result<(), Unfit> {
        check_name(self.as_str())
    }
}

impl AccountNumber {
    /// Checks that it is allowed as a new number.
    ///
    /// # Errors
    /// If it is not allowed.
    pub fn check_new(&self) -> Result<(), Unfit> {
        check_name(self.as_str())
    }
}

macro_rules! texts {
    ($($name:ident)*) => {$(
        impl $name {
            /// Checks that it is allowed as a new text.
            ///
            /// # Errors
            /// If it is not allowed.
            pub fn check_new(&self) -> Result<(), Unfit> {
                check_text(self.as_str())
            }
        }
    )*};
}

texts! { RegisterKey RegisterValue ClientName ClientKind }

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_that_people_write_are_allowed() {
        for text in [
            "Maria d'Água",
            "José  Silva",
            "李雷",
            "Ωmega",
            "Zoë",
            "e\u{301}",
            "a\u{a0}b",
            "👩",
            "12345-6",
            "...",
            "conta.",
            "12␣3",
            "",
        ] {
            assert_eq!(check_text(text), Ok(()), "{text:?}");
        }
        assert_eq!(TxId::new("...").unwrap().check_new(), Ok(()));
    }

    #[test]
    fn invisible_characters_are_not_allowed() {
        // Overrides, isolates, zero-width characters, separators, a tag, a filler, a variation
        // selector, a soft hyphen.
        for c in [
            '\u{202e}',
            '\u{202a}',
            '\u{2066}',
            '\u{2069}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{61c}',
            '\u{feff}',
            '\u{2028}',
            '\u{2029}',
            '\u{e0041}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{ad}',
            '\u{2060}',
            '\u{7}',
            '\u{85}',
            '\u{2800}',
            '\u{180e}',
            '\u{34f}',
        ] {
            for text in [format!("a{c}b"), format!("ç{c}b")] {
                assert_eq!(check_text(&text), Err(Unfit::Invisible(c)), "{text:?}");
            }
            let text = Unfit::Invisible(c).to_string();
            assert!(text.starts_with("U+") && text.is_ascii(), "{text}");
        }
        for text in [" a", "a ", "\u{a0}a", "a\u{3000}", " "] {
            assert_eq!(check_text(text), Err(Unfit::Untrimmed), "{text:?}");
        }
        for dots in [".", ".."] {
            assert_eq!(TxId::new(dots).unwrap().check_new(), Err(Unfit::Dots));
            assert_eq!(AccountNumber::new(dots).unwrap().check_new(), Err(Unfit::Dots));
            assert_eq!(ClientName::new(dots).unwrap().check_new(), Ok(()));
        }
    }

    proptest! {
        #[test]
        fn an_allowed_text_has_no_control_characters_and_is_trimmed(text in "\\PC{0,8}|[ \
                                                       -~\u{80}-\u{24f}\u{2000}-\u{206f}]{0,8}") {
            if check_text(&text).is_ok() {
                prop_assert!(!text.chars().any(char::is_control));
                prop_assert_eq!(text.trim(), &text);
            }
        }
    }
}
