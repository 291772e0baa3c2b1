//! Plain text by the byte: decimal numbers, words, and texts that must stay on one line.
//!
//! These functions run for every line of the protocol, so they write into a reused buffer and use
//! no formatter.

use crate::limits::QUOTED_BYTES_MAX;

/// Appends `number` in decimal.
pub fn write_decimal(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    write_unsigned(out, number.unsigned_abs());
}

/// Appends `number` in decimal.
pub fn write_unsigned(out: &mut Vec<u8>, number: u64) {
    if let Ok(digit @ 0..10) = u8::try_from(number) {
        return out.push(b'0' + digit);
    }
    let mut rest = number;
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while rest >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&two_digits(rest % 100));
        rest /= 100;
    }
    let [tens, ones] = two_digits(rest);
    at -= 1;
    digits[at] = ones;
    if rest >= 10 {
        at -= 1;
        digits[at] = tens;
    }
    out.extend_from_slice(&digits[at..]);
}

/// The digits of a number below 100.
///
/// # Panics
/// If it is not below 100.
pub fn two_digits(number: u64) -> [u8; 2] {
    PAIRS[usize::try_from(number).unwrap_or(usize::MAX)]
}

const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0u8;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

/// The number that `digits` is in decimal; `None` for anything else, or if it is too large.
pub fn read_decimal(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// The first word of `text`, and the rest after the blanks behind it.
pub fn split_word(text: &str) -> (&str, &str) {
    let text = trim_start(text);
    match memchr::memchr2(b' ', b'\t', text.as_bytes()) {
        Some(end) => (&text[..end], trim_start(&text[end..])),
        None => (text, ""),
    }
}

/// `text` without blanks at its ends. Only space and tab are blanks on the wire.
pub fn trim(text: &str) -> &str {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |last| last + 1);
    trim_start(&text[..end])
}

fn trim_start(text: &str) -> &str {
    let begin = text.bytes().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    &text[begin..]
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Appends at most `room` bytes of `text` as one line: control characters become spaces, both ends
/// are trimmed, and a text that is too long is cut between two characters.
pub fn write_one_line(out: &mut Vec<u8>, text: &str, room: usize) {
    let text = cut(trim_soft(text), room).trim_end_matches(is_soft);
    if !text.chars().any(char::is_control) {
        return out.extend_from_slice(text.as_bytes());
    }
    let mut utf8 = [0; 4];
    for c in text.chars() {
        let c = if c.is_control() { ' ' } else { c };
        out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
    }
}

/// The beginning of a received text, safe to quote in the text of an error.
pub fn excerpt(text: &str) -> String {
    let mut out = Vec::with_capacity(QUOTED_BYTES_MAX + 3);
    write_one_line(&mut out, text, QUOTED_BYTES_MAX);
    if text.len() > QUOTED_BYTES_MAX {
        out.extend_from_slice("…".as_bytes());
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn cut(text: &str, room: usize) -> &str {
    &text[..text.floor_char_boundary(room)]
}

fn trim_soft(text: &str) -> &str {
    text.trim_matches(is_soft)
}

fn is_soft(c: char) -> bool {
    c == ' ' || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_line(text: &str, room: usize) -> String {
        let mut out = Vec::new();
        write_one_line(&mut out, text, room);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_text_stays_on_one_line() {
        assert_eq!(one_line(" a\nb\r\n", 99), "a b");
        assert_eq!(one_line("a\u{85}b\u{7f}", 99), "a b");
        assert_eq!(one_line("ação", 3), "aç");
        assert_eq!(one_line("ação", 2), "a");
        assert_eq!(one_line("a b", 2), "a");
        assert_eq!(excerpt(&"x".repeat(100)), format!("{}…", "x".repeat(40)));
    }

    #[test]
    fn words_are_split_at_blanks() {
        assert_eq!(split_word(" COMMIT \t t1  x "), ("COMMIT", "t1  x "));
        assert_eq!(split_word(""), ("", ""));
        assert_eq!(trim("\t x \u{a0}"), "x \u{a0}");
    }

    proptest! {
        #[test]
        fn decimals_are_written_as_by_the_standard_library(number: i64) {
            let mut out = Vec::new();
            write_decimal(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
            let (short, mut out) = (number.unsigned_abs() % 1_000, Vec::new());
            write_unsigned(&mut out, short);
            prop_assert_eq!(String::from_utf8(out).unwrap(), short.to_string());
        }

        #[test]
        fn one_line_is_bounded_and_stable(
            text in "\\PC{0,20}|[ -~\\n\\r\u{80}-\u{9f}é]{0,20}",
            room in 0usize..30,
        ) {
            let once = one_line(&text, room);
            prop_assert!(once.len() <= room);
            prop_assert!(!once.chars().any(char::is_control));
            prop_assert_eq!(one_line(&once, room), once);
        }
    }
}
