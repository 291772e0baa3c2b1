//! The strict JSON reader for objects, and the writer of JSON strings. A field that is given twice
//! is an error.
//!
//! The objects of request lines have known fields: an unknown field is rejected where it stands and
//! no value is ever skipped, so nothing nests deeper than the caller reads, and there is no
//! recursion. Numbers are whole and never pass through a float. Errors name the field.
//!
//! The body of an HTTP request is read with `fields`: the caller reads or ignores each value, and
//! writes errors in its user's language.

mod fields;

pub use fields::{BadObject, fields};

use super::text::excerpt;
use super::{Fault, Reason};
use crate::ids::BadName;
use std::borrow::Cow;
use std::fmt;

/// The path of a value, for errors: `patience_ms`, or `ops[3].amount`.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldPath {
    list: Option<(&'static str, usize)>,
    name: &'static str,
}

impl FieldPath {
    /// A field of the outermost object.
    pub(super) const fn top(name: &'static str) -> FieldPath {
        FieldPath { list: None, name }
    }

    /// A field of the object at `at` in the list `list`.
    pub(super) fn inside(list: &'static str, at: usize, name: &'static str) -> FieldPath {
        FieldPath { list: Some((list, at)), name }
    }

    /// A `malformed` fault about this field.
    pub(super) fn malformed(self, what: impl fmt::Display) -> Fault {
        Fault::new(Reason::Malformed, format!("`{self}` {what}"))
    }

    /// A `limit` fault about this field.
    pub(super) fn limit(self, what: impl fmt::Display) -> Fault {
        Fault::new(Reason::Limit, format!("`{self}` {what}"))
    }

    /// The fault of a field that the object at this path does not have.
    pub(super) fn unknown(self, name: &str) -> Fault {
        Fault::new(Reason::Malformed, format!("unknown field `{}` in `{self}`", excerpt(name)))
    }

    /// The fault of a text that is no legal name at this path.
    pub(super) fn bad_name(self, bad: &BadName) -> Fault {
        self.malformed(format_args!("must be {}", bad.rule))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list {
            None => f.write_str(self.name),
            Some((list, at)) if self.name.is_empty() => write!(f, "{list}[{at}]"),
            Some((list, at)) => write!(f, "{list}[{at}].{}", self.name),
        }
    }
}

/// Reads JSON from left to right, without a tree.
pub(super) struct JsonReader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> JsonReader<'a> {
    pub(super) fn new(text: &'a str) -> JsonReader<'a> {
        JsonReader { text, at: 0 }
    }

    /// Reads an object; calls `field` with each key, which reads the value.
    pub(super) fn object(
        &mut self,
        what: FieldPath,
        mut field: impl FnMut(&mut Self, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.eat(b'{') {
            return Err(what.malformed(format_args!("must be a JSON object, not {}", self.found())));
        }
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.broken("the name of a field"));
            }
            let key = self.string(what)?;
            self.expect(b':', "a `:`")?;
            field(self, &key)?;
            if self.eat(b'}') {
                return Ok(());
            }
            self.expect(b',', "a `,` or `}`")?;
        }
    }

    /// Reads a list; calls `item` with each position, which reads the item.
    pub(super) fn list(
        &mut self,
        what: FieldPath,
        mut item: impl FnMut(&mut Self, usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.eat(b'[') {
            return Err(what.malformed(format_args!("must be a list, not {}", self.found())));
        }
        if self.eat(b']') {
            return Ok(());
        }
        for at in 0.. {
            item(self, at)?;
            if self.eat(b']') {
                break;
            }
            self.expect(b',', "a `,` or `]`")?;
        }
        Ok(())
    }

    /// Reads a whole number, without a float.
    pub(super) fn whole(&mut self, field: FieldPath) -> Result<i64, Fault> {
        let first = self.peek();
        if !matches!(first, Some(b'-' | b'0'..=b'9')) {
            return Err(
                field.malformed(format_args!("must be a whole number, not {}", self.found()))
            );
        }
        let bytes = self.text.as_bytes();
        let start = self.at;
        let digits = start + usize::from(first == Some(b'-'));
        let mut end = digits;
        let mut number = Some(0i64);
        while let Some(digit @ b'0'..=b'9') = bytes.get(end) {
            let digit = i64::from(digit - b'0');
            number = number.and_then(|n| n.checked_mul(10)?.checked_add(digit));
            end += 1;
        }
        if matches!(bytes.get(end), Some(b'.' | b'e' | b'E' | b'+' | b'-')) {
            let rest =
                bytes[end..].iter().take_while(|b| b.is_ascii_alphanumeric() || b".+-".contains(b));
            let all = &self.text[start..end + rest.count()];
            return Err(
                field.malformed(format_args!("must be a whole number, not {}", excerpt(all)))
            );
        }
        let all = &self.text[start..end];
        if digits == end || (bytes[digits] == b'0' && end - digits > 1) {
            return Err(
                field.malformed(format_args!("must be a JSON number, not {}", excerpt(all)))
            );
        }
        self.at = end;
        match number {
            Some(number) if digits > start => Ok(-number),
            Some(number) => Ok(number),
            None if digits > start => {
                Err(field.malformed(format_args!("must not be negative, not {}", excerpt(all))))
            }
            None => Err(field.limit(format_args!("is {}, more than {}", excerpt(all), i64::MAX))),
        }
    }

    /// Reads a string; it borrows from the text unless it has escapes.
    pub(super) fn string(&mut self, field: FieldPath) -> Result<Cow<'a, str>, Fault> {
        if !self.eat(b'"') {
            return Err(
                field.malformed(format_args!("must be a text in quotes, not {}", self.found()))
            );
        }
        let start = self.at;
        self.at += self.plain_bytes();
        if self.byte() == Some(b'"') {
            let text = &self.text[start..self.at];
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut text = self.text[start..self.at].to_owned();
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => text.push(self.escape(field)?),
                Some(_) => return Err(field.malformed("has a control character in its text")),
                None => return Err(field.malformed("has a text without end")),
            }
            let start = self.at;
            self.at += self.plain_bytes();
            text.push_str(&self.text[start..self.at]);
        }
    }

    /// Reads a name; more than `bytes_max` bytes are a `limit` fault.
    pub(super) fn name<T>(
        &mut self,
        field: FieldPath,
        bytes_max: usize,
        new: impl FnOnce(&str) -> Result<T, BadName>,
    ) -> Result<T, Fault> {
        let text = self.string(field)?;
        if text.len() > bytes_max {
            return Err(
                field.limit(format_args!("has {} bytes, more than {bytes_max}", text.len()))
            );
        }
        new(&text).map_err(|bad| field.bad_name(&bad))
    }

    /// Checks that nothing but white space follows.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.broken("nothing more")),
        }
    }

    /// How many of the next bytes stand for themselves in a string.
    fn plain_bytes(&self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
    }

    fn escape(&mut self, field: FieldPath) -> Result<char, Fault> {
        self.at += 1; // the backslash
        let escape = self.byte();
        self.at += usize::from(escape.is_some_and(|b| b.is_ascii()));
        match escape {
            Some(plain @ (b'"' | b'\\' | b'/')) => Ok(char::from(plain)),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => self
                .unicode_escape()
                .ok_or_else(|| field.malformed("has a \\u escape that is not a character")),
            Some(_) | None => Err(field.malformed("has a \\ escape that JSON does not know")),
        }
    }

    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        let low_follows = self.text.as_bytes()[self.at..].starts_with(b"\\u");
        self.at += if low_follows { 2 } else { return None };
        let second = self.hex4().filter(|low| (0xdc00..0xe000).contains(low))?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                other => return other,
            }
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.eat(byte) { Ok(()) } else { Err(self.broken(what)) }
    }

    fn broken(&mut self, expected: &'static str) -> Fault {
        let found = self.found();
        let at = self.at + 1;
        Fault::new(
            Reason::Malformed,
            format!("not JSON: expected {expected} at byte {at}, found {found}"),
        )
    }

    /// Describes the next value, for errors.
    fn found(&mut self) -> String {
        match self.peek() {
            None => "the end".to_owned(),
            Some(b'{') => "an object".to_owned(),
            Some(b'[') => "a list".to_owned(),
            Some(b'"') => "a text".to_owned(),
            Some(b'-' | b'0'..=b'9') => "a number".to_owned(),
            Some(_) => {
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
                let end =
                    if end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { end };
                format!("`{}`", excerpt(&rest[..end]))
            }
        }
    }
}

/// Stores the value of a field.
///
/// # Errors
/// `malformed` if the field was given before.
pub(super) fn once<T>(slot: &mut Option<T>, field: FieldPath, value: T) -> Result<(), Fault> {
    if slot.is_some() {
        return Err(field.malformed("is given twice"));
    }
    *slot = Some(value);
    Ok(())
}

/// Appends `text` as a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
