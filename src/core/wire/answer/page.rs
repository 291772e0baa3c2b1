//! Lists that fit a line: a page of items, and the key after which the next page begins.
//!
//! On the wire a page is a JSON array. If there are more items, its last element is
//! `{"next":"<key>"}` and nothing else.

use crate::limits::LIST_BYTES_MAX;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A page of a list, as a client reads it.
#[derive(Debug, Clone)]
pub struct AnswerPage<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// The key after which the next page begins, if there is one.
    pub next: Option<String>,
}

/// The last element of a page that is not the last one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NextPage<S> {
    next: S,
}

impl<T: DeserializeOwned> AnswerPage<T> {
    /// Reads a page from its JSON array.
    ///
    /// # Errors
    /// If `json` is no list, or an item does not match `T`.
    pub fn parse(json: &str) -> Result<AnswerPage<T>, serde_json::Error> {
        let mut raw: Vec<&RawValue> = serde_json::from_str(json)?;
        let last = raw.last().and_then(|last| serde_json::from_str(last.get()).ok());
        let next = last.map(|NextPage { next }| next);
        if next.is_some() {
            raw.pop();
        }
        let items = raw.into_iter().map(|item| serde_json::from_str(item.get()));
        Ok(AnswerPage { items: items.collect::<Result<_, _>>()?, next })
    }
}

/// A page that a bank fills.
pub(crate) struct PageWriter {
    json: Vec<u8>,
    bytes_max: usize,
    last_key: Option<String>,
    full: bool,
}

impl PageWriter {
    /// An empty page that begins after `after`.
    pub(crate) fn new(bytes_max: usize, after: Option<&str>) -> PageWriter {
        let last_key = after.map(str::to_owned);
        PageWriter { json: vec![b'['], bytes_max, last_key, full: false }
    }

    /// Adds an item unless the page is full; returns whether it was added.
    pub(crate) fn push<T: Serialize>(&mut self, key: &str, item: &T) -> bool {
        if self.full {
            return false;
        }
        let end = self.json.len();
        let from = self.write(item);
        self.keep(key, from, end)
    }

    /// As `push`, for an item that may be longer than a page: then `shorter` replaces it.
    pub(crate) fn push_or<T: Serialize>(
        &mut self,
        key: &str,
        item: &T,
        shorter: impl FnOnce() -> T,
    ) -> bool {
        if self.full {
            return false;
        }
        let end = self.json.len();
        let from = self.write(item);
        if self.json.len() - from < LIST_BYTES_MAX {
            return self.keep(key, from, end);
        }
        self.json.truncate(end);
        self.push(key, &shorter())
    }

    /// Skips an item: the next page begins after this key or a later one.
    pub(crate) fn pass(&mut self, key: &str) {
        if !self.full {
            self.last_key = Some(key.to_owned());
        }
    }

    /// Marks the page as full, although there may be more items.
    pub(crate) fn end(&mut self) {
        self.full = true;
    }

    /// How many bytes are left.
    pub(crate) fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.json.len())
    }

    /// The array, and the key after which the next page begins if there is one.
    pub(crate) fn into_parts(mut self) -> (String, Option<String>) {
        self.json.push(b']');
        let json = String::from_utf8(self.json).expect("JSON is UTF-8");
        (json, self.last_key.filter(|_| self.full))
    }

    /// The array, with the next page's key as its last element. Its capacity is its length, because
    /// replies that a session has not sent yet are counted by length.
    pub(crate) fn into_array(self) -> String {
        let (mut json, next) = self.into_parts();
        if let Some(next) = next {
            json.pop();
            json.push(',');
            json.push_str(&json_of(&NextPage { next }));
            json.push(']');
        }
        json.shrink_to_fit();
        json
    }

    /// Appends an item, with a comma before it if needed; returns where its own text begins.
    fn write<T: Serialize>(&mut self, item: &T) -> usize {
        if self.json.len() > 1 {
            self.json.push(b',');
        }
        let from = self.json.len();
        serde_json::to_writer(&mut self.json, item).expect("list items are plain JSON");
        from
    }

    /// Keeps the item whose text begins at `from`; or removes it, if the page, `end` bytes long
    /// before it, has no room for it.
    fn keep(&mut self, key: &str, from: usize, end: usize) -> bool {
        if end + (self.json.len() - from) > self.bytes_max {
            self.json.truncate(end);
            self.full = true;
            return false;
        }
        self.last_key = Some(key.to_owned());
        true
    }
}

fn json_of<T: Serialize>(item: &T) -> String {
    serde_json::to_string(item).expect("it is plain JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_read_names_the_next_one() {
        let page: AnswerPage<u8> = AnswerPage::parse(r#"[1,2,{"next":"k"}]"#).unwrap();
        assert_eq!((page.items, page.next.as_deref()), (vec![1, 2], Some("k")));
        let page: AnswerPage<u8> = AnswerPage::parse("[]").unwrap();
        assert!(page.items.is_empty() && page.next.is_none());
        assert!(
            AnswerPage::<u8>::parse("[\"x\"]").is_err() && AnswerPage::<u8>::parse("7").is_err()
        );
        let item = r#"[{"next":"b","cpf":"1"}]"#;
        let page: AnswerPage<Box<RawValue>> = AnswerPage::parse(item).unwrap();
        assert_eq!((page.items.len(), page.next), (1, None), "`next` within an item is none");
    }

    #[test]
    fn a_page_has_a_next_key_whenever_items_are_left() {
        for room in 1..40 {
            let mut page = PageWriter::new(room, Some("before"));
            let taken =
                (0..5).take_while(|n| page.push(&format!("k{n}"), &format!("item{n}"))).count();
            let (json, next) = page.into_parts();
            let items: Vec<String> = serde_json::from_str(&json).unwrap();
            let last = taken.checked_sub(1).map_or("before".to_owned(), |last| format!("k{last}"));
            assert_eq!(
                (items.len(), next),
                (taken, (taken < 5).then_some(last)),
                "room for {room} bytes"
            );
        }
    }

    #[test]
    fn a_page_fills_to_its_last_byte_and_stops_at_the_first_item_that_does_not_fit() {
        for (room, fits) in [(4, false), (5, true)] {
            assert_eq!(PageWriter::new(room, None).push("a", &"xy"), fits, "room for {room} bytes");
        }
        let mut page = PageWriter::new(10, None);
        assert!(page.push("a", &"x") && !page.push("b", &"much longer"));
        assert!(!page.push("c", &"y"), "a page that left out b has no c");
        assert_eq!(page.into_parts(), (r#"["x"]"#.to_owned(), Some("a".to_owned())));
    }

    #[test]
    fn an_item_longer_than_a_page_is_shortened() {
        let (long, mut page) = ("x".repeat(LIST_BYTES_MAX), PageWriter::new(LIST_BYTES_MAX, None));
        assert!(page.push_or("a", &long, || "short".to_owned()) && page.push("b", &"y"));
        assert_eq!(page.into_array(), r#"["short","y"]"#);
    }

    #[test]
    fn the_next_page_begins_after_skipped_items() {
        let mut page = PageWriter::new(LIST_BYTES_MAX, None);
        page.pass("a");
        page.pass("b");
        page.end();
        assert_eq!(page.into_parts(), ("[]".to_owned(), Some("b".to_owned())));
    }
}
