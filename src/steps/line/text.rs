//! The bytes of a line: numbers, addresses, texts for people, and times, which are also read.

use consorcio_core::ids::TaxId;
use consorcio_core::limits::STEP_TEXT_BYTES_MAX;
use consorcio_core::wire::text::two_digits;
pub(super) use consorcio_core::wire::text::write_unsigned as number;
use std::borrow::Cow;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// The length of `2026-11-22T05:38:51.123456Z`.
pub(crate) const TIME_LENGTH: usize = 27;

/// Appends the fraction of a second and the `Z` of UTC.
pub(super) fn micros(out: &mut Vec<u8>, micros: u64) {
    let [a, b] = two_digits(micros / 10_000 % 100);
    let [c, d] = two_digits(micros / 100 % 100);
    let [e, f] = two_digits(micros % 100);
    out.extend_from_slice(&[b'.', a, b, c, d, e, f, b'Z']);
}

/// The time at the beginning of a line, in microseconds since 1970.
pub(crate) fn time(line: &[u8]) -> Option<i64> {
    let line = line.get(..TIME_LENGTH)?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (26, b'Z')];
    if marks.iter().any(|(at, mark)| line[*at] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        line[from..to].iter().try_fold(0i64, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let days = days_since_1970(number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let seconds = days * 86_400 + number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
    Some(seconds * 1_000_000 + number(20, 26)?)
}

/// Days by the Gregorian calendar. Years begin in March here, so that a leap day is the last of its
/// year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Appends an address and its port.
pub(super) fn socket(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            for (at, octet) in ip.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                number(out, octet.into());
            }
        }
        // IPv6 is rare, so the standard formatter is fast enough. Writing to a Vec cannot fail.
        IpAddr::V6(ip) => write!(out, "[{ip}]").unwrap_or(()),
    }
    out.push(b':');
    number(out, address.port().into());
}

/// Appends a text for people on one line, cut at a bound. Of tax numbers only the end is written.
pub(super) fn push_text(out: &mut Vec<u8>, words: &str) {
    if words.is_empty() {
        return;
    }
    if out.last() != Some(&b' ') {
        out.push(b' ');
    }
    // Masking makes a text shorter by less than half.
    let words = &words[..words.floor_char_boundary(2 * STEP_TEXT_BYTES_MAX)];
    let words = &*masked(words);
    let mut room = STEP_TEXT_BYTES_MAX;
    for char in words.chars() {
        let char = if char.is_control() { ' ' } else { char };
        let mut bytes = [0; 4];
        let bytes = char.encode_utf8(&mut bytes);
        if bytes.len() > room {
            out.extend_from_slice(b"...");
            return;
        }
        room -= bytes.len();
        out.extend_from_slice(bytes.as_bytes());
    }
}

/// The text with each CPF (11 digits) and CNPJ (14 digits and capitals) cut to its last four
/// characters: `..8900`. They may be punctuated: `123.456.789-00`, `12.345.678/0001-95`.
pub(crate) fn masked(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        // One more than the longest: a longer run is no tax number.
        let punctuated = rest.chars().take(20).take_while(|char| is_punctuated(*char));
        let punctuated: usize = punctuated.map(char::len_utf8).sum();
        let punctuated = rest[..punctuated].trim_end_matches(['.', '-', '/']).len();
        let run = if is_tax_id(&rest[..punctuated]) {
            punctuated
        } else {
            rest.len() - rest.trim_start_matches(char::is_alphanumeric).len()
        };
        if is_tax_id(&rest[..run]) {
            let end = rest[..run].replace('-', "");
            out.push_str(&text[copied..at]);
            out.push_str("..");
            out.push_str(&end[end.len() - 4..]);
            copied = at + run;
        }
        // A word, or one character between words.
        at += run.max(rest.chars().next().map_or(1, char::len_utf8));
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

fn is_punctuated(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '.' | '-' | '/')
}

/// Whether it is a tax number, plain or with the marks of a CPF or CNPJ at their places.
fn is_tax_id(word: &str) -> bool {
    let marks: &[(usize, u8)] = match word.len() {
        11 | 14 if word.bytes().all(|b| b.is_ascii_alphanumeric()) => &[],
        14 => &[(3, b'.'), (7, b'.'), (11, b'-')],
        18 => &[(2, b'.'), (6, b'.'), (10, b'/'), (15, b'-')],
        _ => return false,
    };
    if !word.is_ascii() || marks.iter().any(|(at, mark)| word.as_bytes()[*at] != *mark) {
        return false;
    }
    let plain: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
    let has_digits = plain.bytes().any(|b| b.is_ascii_digit());
    plain.len() + marks.len() == word.len() && has_digits && TaxId::new(&plain).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("1969-12-31T23:59:59.000000Z", -1),
            ("2000-02-29T12:00:00.000000Z", 951_825_600),
            ("2026-11-22T05:38:51.000000Z", 1_795_325_931),
        ] {
            assert_eq!(time(text.as_bytes()), Some(seconds * 1_000_000), "{text}");
        }
    }

    #[test]
    fn tax_numbers_are_cut_to_their_end() {
        for (text, expected) in [
            ("12345678900 does not hold account 12345-6", "..8900 does not hold account 12345-6"),
            ("--cpf=12345678900,98765432100", "--cpf=..8900,..2100"),
            ("client 12ABC34501DE35 é", "client ..DE35 é"),
            ("--cpf 123.456.789-00 --to 0/12345-6", "--cpf ..8900 --to 0/12345-6"),
            ("12.ABC.345/01DE-35.", "..DE35."),
            ("é12345678900 0/123456-789 123.456.78900", "é12345678900 0/123456-789 123.456.78900"),
            (
                "at 1795330616883189, 123456789000, ABCDEFGHIJKLMN",
                "at 1795330616883189, 123456789000, ABCDEFGHIJKLMN",
            ),
        ] {
            assert_eq!(masked(text), expected);
        }
    }
}
