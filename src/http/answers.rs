//! Parses the JSON of the bank's answers.

use crate::problem::Problem;
use consorcio_core::wire::answer::AnswerPage;
use serde::de::DeserializeOwned;

/// Parses an answer.
///
/// # Errors
/// When it is not a `T`.
pub(crate) fn read<T: DeserializeOwned>(json: &str) -> Result<T, Problem> {
    serde_json::from_str(json).map_err(|error| Problem::unexpected(&error.to_string()))
}

/// Parses one page of a list.
///
/// # Errors
/// When it is not a page of `T`.
pub(crate) fn read_page<T: DeserializeOwned>(json: &str) -> Result<AnswerPage<T>, Problem> {
    AnswerPage::parse(json).map_err(|error| Problem::unexpected(&error.to_string()))
}
