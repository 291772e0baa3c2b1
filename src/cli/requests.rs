//! Requests to one bank or to all banks, for commands: failures as texts, and rows for banks that
//! did not answer.

use super::Context;
use super::failure::Failure;
use super::output::{Tone, plain};
use consorcio_client::{AnswerFrom, Client, ClientError};
use consorcio_core::ids::{BadName, BankId};
use consorcio_core::wire::request::Request;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The answer of a bank, or why there is none.
#[derive(Debug, Clone)]
pub(crate) struct AnswerOf<T> {
    pub bank: BankId,
    pub address: String,
    pub result: Result<T, Failure>,
}

/// The given bank, or all banks.
pub(crate) fn these_banks(context: &Context, one: Option<BankId>) -> Vec<BankId> {
    one.map_or_else(|| context.client.banks(), |bank| vec![bank])
}

/// Sends a request to one bank, and returns the JSON of its DONE.
///
/// # Errors
/// `Usage` for an unknown bank, `NoConnection`, or `Refused` with the bank's text.
pub(crate) async fn ask(
    context: &Context,
    bank: BankId,
    request: &Request,
) -> Result<String, Failure> {
    context.client.ask(bank, request).await.map_err(|error| context.failure(error))
}

/// Requests a list of these banks concurrently, page by page; `request` makes the request for the
/// page after a key.
pub(crate) async fn ask_lists(
    context: &Context,
    banks: &[BankId],
    request: impl Fn(Option<&str>) -> Result<Request, BadName>,
) -> Vec<AnswerOf<Vec<Box<RawValue>>>> {
    ask_each(context, banks, async |client: &Client, bank| client.ask_list(bank, &request).await)
        .await
}

/// Asks several banks concurrently, and returns their answers by position.
pub(crate) async fn ask_each<T>(
    context: &Context,
    banks: &[BankId],
    question: impl AsyncFn(&Client, BankId) -> Result<T, ClientError>,
) -> Vec<AnswerOf<T>> {
    let client = &context.client;
    let answers = client.ask_each(banks, async |bank| question(client, bank).await).await;
    answers.into_iter().map(|answer| AnswerOf::new(context, answer)).collect()
}

impl<T> AnswerOf<T> {
    /// Converts an answer, with its error as a failure.
    pub(crate) fn new(context: &Context, answer: AnswerFrom<T>) -> AnswerOf<T> {
        let AnswerFrom { bank, address, result } = answer;
        AnswerOf { bank, address, result: result.map_err(|error| context.failure(error)) }
    }
}

/// Parses the JSON of a bank.
///
/// # Errors
/// If it is not as the protocol defines it.
pub(crate) fn read<T: DeserializeOwned>(
    context: &Context,
    bank: BankId,
    json: &str,
) -> Result<T, Failure> {
    consorcio_client::read(bank, json).map_err(|error| context.failure(error))
}

/// The items of all lists, each with its bank. Items that can't be parsed are skipped.
pub(crate) fn views<T: DeserializeOwned>(
    answers: &[AnswerOf<Vec<Box<RawValue>>>],
) -> impl Iterator<Item = (BankId, T)> {
    answers.iter().flat_map(|answer| {
        let items = answer.result.iter().flatten();
        let read = |item: &RawValue| consorcio_client::read(answer.bank, item.get()).ok();
        items.filter_map(move |item| Some((answer.bank, read(item)?)))
    })
}

/// The failure of the first bank that did not answer. If several can't be reached, its text names
/// them all.
pub(crate) fn first_failure<T>(answers: &[AnswerOf<T>]) -> Option<Failure> {
    let mut failures = answers.iter().filter_map(|answer| answer.result.as_ref().err());
    let first = failures.next()?;
    let silent =
        |failure: &&Failure| matches!(failure, Failure::NoConnection(_) | Failure::DiskHangs(_));
    if !silent(&first) {
        return Some(first.clone());
    }
    let all =
        failures.filter(silent).fold(first.to_string(), |all, other| format!("{all}; {other}"));
    Some(if matches!(first, Failure::DiskHangs(_)) {
        Failure::DiskHangs(all)
    } else {
        Failure::NoConnection(all)
    })
}

/// The row of a bank that did not answer: position, address, and reason.
pub(crate) fn silent_row<T>(answer: &AnswerOf<T>, failure: &Failure) -> Vec<(Tone, String)> {
    vec![plain(answer.bank), plain(&answer.address), (Tone::Bad, failure.to_string())]
}

/// A line for each bank that did not answer.
pub(crate) fn silent_lines<T>(context: &Context, answers: &[AnswerOf<T>]) -> String {
    let failures = answers.iter().filter_map(|answer| answer.result.as_ref().err());
    let lines = failures
        .map(|failure| format!("{}\n", context.paint.text(Tone::Bad, &failure.to_string())));
    context.paint.words(lines.collect())
}
