//! The fields of an object whose reader ignores some, and says in another language what is wrong.

use super::{Field, Reader};
use crate::wire::Fault;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Why a text has no fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadObject {
    /// It is JSON of another kind.
    Other,
    /// It is no JSON.
    Broken {
        /// From this line on, counted from 1.
        line: usize,
        /// The byte in that line, counted from 1; 0 where the line is empty.
        column: usize,
    },
    /// This field is given twice.
    Twice(String),
}

/// The fields of the object that `text` is, in their order, each with its JSON as it is.
///
/// # Errors
/// When it is no object, or a field is given twice.
pub fn fields(text: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, BadObject> {
    const OBJECT: Field = Field::top("object");
    let mut reader = Reader::new(text);
    let mut fields: Vec<(Cow<'_, str>, &RawValue)> = Vec::new();
    let mut names = BTreeSet::new();
    let mut twice = None;
    match reader.peek() {
        Some(b'[') => return Err(BadObject::Other),
        Some(b'{') => {}
        Some(_) | None => {
            let other = reader.raw(OBJECT).map(|_| BadObject::Other);
            return Err(other.unwrap_or_else(|_| reader.broken_here()));
        }
    }
    let read = reader.object(OBJECT, |reader, key| {
        fields.push((Cow::Owned(key.to_owned()), reader.raw(OBJECT)?));
        if !names.insert(key.to_owned()) {
            twice.get_or_insert_with(|| key.to_owned());
        }
        Ok(())
    });
    if read.and_then(|()| reader.end()).is_err() {
        return Err(reader.broken_here());
    }
    twice.map_or(Ok(fields), |name| Err(BadObject::Twice(name)))
}

impl<'a> Reader<'a> {
    /// Reads any value as it is. Where it is none, what can't be read begins at the reader's
    /// position.
    fn raw(&mut self, field: Field) -> Result<&'a RawValue, Fault> {
        self.peek();
        let rest = &self.text[self.at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        match values.next() {
            Some(Ok(value)) => {
                self.at += values.byte_offset();
                Ok(value)
            }
            Some(Err(error)) => {
                let lines = rest.split_inclusive('\n').take(error.line().saturating_sub(1));
                let before: usize = lines.map(str::len).sum();
                self.at += (before + error.column().saturating_sub(1)).min(rest.len());
                Err(field.malformed("has a value that is no JSON"))
            }
            None => Err(self.broken("a value")),
        }
    }

    /// The position that can't be read, as lines and columns.
    fn broken_here(&self) -> BadObject {
        let to = (self.at + 1).min(self.text.len());
        let before = &self.text.as_bytes()[..to];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        BadObject::Broken { line, column: to - line_start }
    }
}
