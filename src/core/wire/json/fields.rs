//! The fields of an object for readers that ignore some of them and word errors in another
//! language.

use super::{FieldPath, JsonReader};
use crate::wire::Fault;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Why a text has no fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadObject {
    /// It is JSON, but no object.
    Other,
    /// It is not JSON.
    Broken {
        /// The line of the error, from 1.
        line: usize,
        /// The byte of the error in that line, from 1; 0 if the line is empty.
        column: usize,
    },
    /// The object has this field twice.
    Twice(String),
}

/// The fields of the object that `text` is, in order, each with its JSON unchanged.
///
/// # Errors
/// If it is no object, or has a field twice.
pub fn fields(text: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, BadObject> {
    const OBJECT: FieldPath = FieldPath::top("object");
    let mut reader = JsonReader::new(text);
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

impl<'a> JsonReader<'a> {
    /// Reads any value without interpreting it. On an error the reader stays at the byte that can't
    /// be read.
    fn raw(&mut self, field: FieldPath) -> Result<&'a RawValue, Fault> {
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

    /// The reader's position as a line and a column.
    fn broken_here(&self) -> BadObject {
        let to = (self.at + 1).min(self.text.len());
        let before = &self.text.as_bytes()[..to];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        BadObject::Broken { line, column: to - line_start }
    }
}
