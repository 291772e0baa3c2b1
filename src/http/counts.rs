//! Counts the responses of HTTP for `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Responses by route and status. Routes are patterns, so clients can't grow the map.
#[derive(Debug, Default)]
pub(crate) struct ResponseCounts(Mutex<BTreeMap<(String, u16), u64>>);

impl ResponseCounts {
    /// Counts a response of `route` with `status`.
    pub(crate) fn add(&self, route: &str, status: u16) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((route.to_owned(), status)).or_default() += 1;
    }

    /// All counts, ordered by route and status.
    pub(crate) fn all(&self) -> Vec<((String, u16), u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(key, count)| (key.clone(), *count)).collect()
    }
}
