//! Questions to one bank or to all at once, for commands: failures in words, and rows of those that
//! did not answer.

use super::Context;
use super::failure::Failure;
use super::output::{Tone, plain};
use consorcio_client::{AnswerFrom, Client, ClientError};
use consorcio_core::ids::{BadName, BankId};
use consorcio_core::wire::request::Request;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// An answer, and the address of the bank that gave it.
#[derive(Debug, Clone)]
pub struct AnswerOf<T> {
    /// Whose.
    pub bank: BankId,
    /// Where that bank is.
    pub address: String,
    /// What it said.
    pub said: Result<T, Failure>,
}

/// This bank, or all of them.
pub fn these_banks(context: &Context, one: Option<BankId>) -> Vec<BankId> {
    one.map_or_else(|| context.client.banks(), |bank| vec![bank])
}

/// Asks one bank and gives the JSON of its DONE.
///
/// # Errors
/// `Usage` for an unknown bank, `NoConnection`, or `Refused` with the bank's words.
pub async fn ask(context: &Context, bank: BankId, request: &Request) -> Result<String, Failure> {
    context.client.ask(bank, request).await.map_err(|error| context.failure(error))
}

/// Asks these banks for a list at the same time, page after page; `request` makes the request for
/// what follows after a key.
pub async fn ask_lists(
    context: &Context,
    banks: &[BankId],
    request: impl Fn(Option<&str>) -> Result<Request, BadName>,
) -> Vec<AnswerOf<Vec<Box<RawValue>>>> {
    ask_each(context, banks, async |client: &Client, bank| client.ask_list(bank, &request).await)
        .await
}

/// Asks several banks at the same time, and gives their answers by position.
pub async fn ask_each<T>(
    context: &Context,
    banks: &[BankId],
    question: impl AsyncFn(&Client, BankId) -> Result<T, ClientError>,
) -> Vec<AnswerOf<T>> {
    let client = &context.client;
    let answers = client.ask_each(banks, async |bank| question(client, bank).await).await;
    answers.into_iter().map(|answer| AnswerOf::new(context, answer)).collect()
}

impl<T> AnswerOf<T> {
    /// The same, with a failure in words.
    pub fn new(context: &Context, answer: AnswerFrom<T>) -> AnswerOf<T> {
        let AnswerFrom { bank, address, said } = answer;
        AnswerOf { bank, address, said: said.map_err(|error| context.failure(error)) }
    }
}

/// Reads a bank's JSON.
///
/// # Errors
/// When it is not what the protocol says.
pub fn read<T: DeserializeOwned>(
    context: &Context,
    bank: BankId,
    json: &str,
) -> Result<T, Failure> {
    consorcio_client::read(bank, json).map_err(|error| context.failure(error))
}

/// The items of those lists that were answered, each with its bank; what can't be read is left out.
pub fn views<T: DeserializeOwned>(
    answers: &[AnswerOf<Vec<Box<RawValue>>>],
) -> impl Iterator<Item = (BankId, T)> {
    answers.iter().flat_map(|answer| {
        let items = answer.said.iter().flatten();
        let read = |item: &RawValue| consorcio_client::read(answer.bank, item.get()).ok();
        items.filter_map(move |item| Some((answer.bank, read(item)?)))
    })
}

/// The failure of the first bank that did not answer; where several can't be reached, it names them
/// all.
pub fn first_failure<T>(answers: &[AnswerOf<T>]) -> Option<Failure> {
    let mut failures = answers.iter().filter_map(|answer| answer.said.as_ref().err());
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

/// A table's row for a bank that did not answer: number, address, and why.
pub fn silent_row<T>(answer: &AnswerOf<T>, failure: &Failure) -> Vec<(Tone, String)> {
    vec![plain(answer.bank), plain(&answer.address), (Tone::Bad, failure.to_string())]
}

/// What banks said that did not answer, one line each; nothing where all did.
pub fn silent_lines<T>(context: &Context, answers: &[AnswerOf<T>]) -> String {
    let failures = answers.iter().filter_map(|answer| answer.said.as_ref().err());
    let lines = failures
        .map(|failure| format!("{}\n", context.paint.text(Tone::Bad, &failure.to_string())));
    context.paint.words(lines.collect())
}
