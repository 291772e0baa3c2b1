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
    /// An empty page that begins after `after`.
    pub fn new(bytes_max: usize, after: Option<&str>) -> Page {
        Page { json: String::from("["), bytes_max, last_key: after.map(str::to_owned), full: false }
    }

    /// Adds an item unless the page is full; says whether it did.
    pub fn push<T: Serialize>(&mut self, key: &str, item: &T) -> bool {
        self.push_text(key, &json_of(item))
    }

    /// The same for an item that may be longer than a page: then the shorter one stands for it.
    pub fn push_or<T: Serialize>(
        &mut self,
        key: &str,
        item: &T,
        shorter: impl FnOnce() -> T,
    ) -> bool {
        let text = json_of(item);
        if text.len() < LIST_BYTES_MAX {
            self.push_text(key, &text)
        } else {
            self.push(key, &shorter())
        }
    }

    /// The page goes on behind this key, without an item.
    pub fn pass(&mut self, key: &str) {
        if !self.full {
            self.last_key = Some(key.to_owned());
        }
    }

    /// The page ends here, and there may be more.
    pub fn end(&mut self) {
        self.full = true;
    }

    /// The bytes that are left.
    pub fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.json.len())
    }

    /// The array, and where there is more the key that the next page begins after.
    pub fn into_parts(mut self) -> (String, Option<String>) {
        self.json.push(']');
        (self.json, self.last_key.filter(|_| self.full))
    }

    fn push_text(&mut self, key: &str, text: &str) -> bool {
        if self.full || self.json.len() + text.len() > self.bytes_max {
            self.full = true;
            return false;
        }
        if self.json.len() > 1 {
            self.json.push(',');
        }
        self.json.push_str(text);
        self.last_key = Some(key.to_owned());
        true
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

fn json_of<T: Serialize>(item: &T) -> String {
    serde_json::to_string(item).expect("list items are plain JSON")
}

/// Does `text` fit a list beside other things? The operations of a very large transaction do not.
pub(crate) fn fits(text: &str) -> bool {
    text.len() <= LIST_BYTES_MAX - 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_more_whenever_something_is_left() {
        for room in 1..40 {
            let mut page = Page::new(room, Some("before"));
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
    fn a_page_is_full_to_its_last_byte_and_takes_nothing_behind_what_did_not_fit() {
        for (room, fits) in [(4, false), (5, true)] {
            assert_eq!(Page::new(room, None).push("a", &"xy"), fits, "room for {room} bytes");
        }
        let mut page = Page::new(10, None);
        assert!(page.push("a", &"x") && !page.push("b", &"much longer"));
        assert!(!page.push("c", &"y"), "a page that left out b has no c");
        assert_eq!(page.into_parts(), (r#"["x"]"#.to_owned(), Some("a".to_owned())));
    }

    #[test]
    fn an_item_that_no_page_holds_is_told_shorter() {
        let (long, mut page) = ("x".repeat(LIST_BYTES_MAX), Page::new(LIST_BYTES_MAX, None));
        assert!(page.push_or("a", &long, || "short".to_owned()) && page.push("b", &"y"));
        assert_eq!(page.into_array(), r#"["short","y"]"#);
    }

    #[test]
    fn what_is_passed_over_counts_for_the_next_page() {
        let mut page = Page::new(LIST_BYTES_MAX, None);
        page.pass("a");
        page.pass("b");
        page.end();
        assert_eq!(page.into_parts(), ("[]".to_owned(), Some("b".to_owned())));
    }
}
