//! The JSON of DONE: for each answer one type, which banks write and clients read.
//!
//! When written, an answer borrows from the bank (`Cow::Borrowed`); when read, it owns its text, so
//! readers use it with `'static`. Fields that a later version adds are ignored. A field that some
//! version did not send has a default; all others are required.

mod books;
mod cut;
mod page;
mod state;
mod transactions;

// All public items of these files are types of answers.
pub use books::*;
pub use cut::*;
pub use page::AnswerPage;
pub(crate) use page::PageWriter;
pub use state::*;
pub use transactions::*;

use super::reading::Reading;
use serde::{Deserialize, Deserializer, Serializer};
use std::borrow::Cow;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The default of `registers_known`: versions that do not send it always know them.
fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_true(flag: &bool) -> bool {
    *flag
}

/// A reading as its text; one that this version can't parse becomes `None`.
mod reading_text {
    use super::{Cow, Deserialize, Deserializer, Reading, Serializer};

    pub(super) fn serialize<S: Serializer>(
        reading: &Option<Reading>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match reading {
            Some(reading) => serializer.collect_str(reading),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Reading>, D::Error> {
        let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
        Ok(text.and_then(|text| Reading::parse(&text)))
    }
}

#[cfg(test)]
mod tests;
