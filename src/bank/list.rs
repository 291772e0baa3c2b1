//! Lists that fit a line: a page of JSON objects, and where the next page begins.

use crate::limits::LINE_BYTES_MAX;
use serde::Serialize;

/// What a list may take of a line, with room for the verb, what stands beside the list, and `next`.
pub(crate) const LIST_BYTES_MAX: usize = LINE_BYTES_MAX - 2_048;

/// A JSON array under way.
pub(crate) struct Page {
    json: String,
    bytes_max: usize,
    last_key: Option<String>,
    full: bool,
}

impl Page {
    /// An empty page.
    pub fn new(bytes_max: usize) -> Page {
        Page { json: String::from("["), bytes_max, last_key: None, full: false }
    }

    /// Adds an item unless the page is full; says whether it did.
    pub fn push<T: Serialize>(&mut self, key: &str, item: &T) -> bool {
        let text = serde_json::to_string(item).expect("list items are plain JSON");
        if self.full || self.json.len() + text.len() > self.bytes_max {
            self.full = true;
            return false;
        }
        if self.last_key.is_some() {
            self.json.push(',');
        }
        self.json.push_str(&text);
        self.last_key = Some(key.to_owned());
        true
    }

    /// The bytes that are left.
    pub fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.json.len())
    }

    /// The array, and the key of its last item where there is more.
    pub fn into_parts(mut self) -> (String, Option<String>) {
        self.json.push(']');
        (self.json, self.last_key.filter(|_| self.full))
    }

    /// The array, with `{"next":"<key>"}` as its last element where there is more.
    pub fn into_array(self) -> String {
        let (mut json, next) = self.into_parts();
        if let Some(next) = next {
            json.pop();
            json.push(',');
            json.push_str(&serde_json::json!({ "next": next }).to_string());
            json.push(']');
        }
        json
    }
}

/// Does `text` fit a list beside other things? The operations of a very large transaction do not.
pub(crate) fn fits(text: &str) -> bool {
    text.len() <= LIST_BYTES_MAX - 1_024
}
