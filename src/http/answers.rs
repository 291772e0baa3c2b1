//! The bank's answers, read from the JSON of their lines.

use crate::problem::Problem;
use consorcio_core::wire::answer::AnswerPage;
use serde::de::DeserializeOwned;

/// Reads an answer.
///
/// # Errors
/// When it is not of this shape.
pub(crate) fn read<T: DeserializeOwned>(json: &str) -> Result<T, Problem> {
    serde_json::from_str(json).map_err(|error| Problem::unexpected(&error.to_string()))
}

/// Reads a page of a list.
///
/// # Errors
/// When it is not of this shape.
pub(crate) fn read_page<T: DeserializeOwned>(json: &str) -> Result<AnswerPage<T>, Problem> {
    AnswerPage::parse(json).map_err(|error| Problem::unexpected(&error.to_string()))
}
