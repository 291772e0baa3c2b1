//! What HTTP answered so far, in numbers, for `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Answers by route and status. A route is a pattern, so no caller can make the list long.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<(String, u16), u64>>);

impl Counts {
    /// `route` answered with `status`.
    pub fn add(&self, route: &str, status: u16) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((route.to_owned(), status)).or_default() += 1;
    }

    /// All of them, in a fixed order.
    pub fn all(&self) -> Vec<((String, u16), u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(key, count)| (key.clone(), *count)).collect()
    }
}
