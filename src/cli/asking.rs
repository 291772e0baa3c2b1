//! Questions to one bank or to all at once, page after page. What is done with the answers is the
//! commands'.

use super::Context;
use super::conversation::Conversation;
use super::failure::{Failure, refused};
use super::output::{Tone, plain};
use consorcio_core::ids::BankId;
use consorcio_core::limits::BANKS_MAX;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The banks of the consortium, by position.
pub fn all_banks(context: &Context) -> impl Iterator<Item = BankId> {
    (0..BANKS_MAX)
        .filter_map(BankId::new)
        .filter(|bank| context.consortium.address(*bank).is_some())
}

/// This bank, or all of them.
pub fn these_banks(context: &Context, one: Option<BankId>) -> Vec<BankId> {
    one.map_or_else(|| all_banks(context).collect(), |bank| vec![bank])
}

/// Where `bank` is.
///
/// # Errors
/// `Usage` when it is not in the consortium.
pub fn address(context: &Context, bank: BankId) -> Result<&str, Failure> {
    context.consortium.address(bank).ok_or_else(|| {
        let list = &context.consortium;
        Failure::Usage(format!(
            "bank {bank} is not in the consortium {list}; positions count from 0"
        ))
    })
}

/// Asks one bank and gives the JSON of its DONE.
///
/// # Errors
/// `Usage` for an unknown bank, `NoConnection`, or `Refused` with the bank's words.
pub async fn ask(context: &Context, bank: BankId, request: &Request) -> Result<String, Failure> {
    let address = address(context, bank)?;
    let mut conversation = connect(context, bank, address).await?;
    done(bank, conversation.ask(request).await?)
}

/// Asks one bank for a list, page after page; `request` makes the request that begins after a key.
///
/// # Errors
/// As `ask`.
pub async fn ask_list(
    context: &Context,
    bank: BankId,
    request: impl Fn(Option<&str>) -> Result<Request, Failure>,
) -> Result<Vec<Box<RawValue>>, Failure> {
    let address = address(context, bank)?;
    let mut conversation = connect(context, bank, address).await?;
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let json = done(bank, conversation.ask(&request(next.as_deref())?).await?)?;
        let page = read_page(&json).ok_or_else(|| unreadable(bank, &json))?;
        all.extend(page.items);
        // A bank that names the same key for ever would keep us here for ever.
        if page.next.is_none() || page.next == next {
            return Ok(all);
        }
        next = page.next;
    }
}

/// An answer, and the address of the bank that gave it.
pub struct Answer<T> {
    /// Whose.
    pub bank: BankId,
    /// Where that bank is.
    pub address: String,
    /// What it said.
    pub said: Result<T, Failure>,
}

/// Asks several banks at the same time, and gives their answers by position.
pub async fn ask_each<T, F>(
    context: &Context,
    banks: &[BankId],
    question: impl Fn(BankId) -> F,
) -> Vec<Answer<T>>
where
    F: Future<Output = Result<T, Failure>>,
{
    let asked: Vec<_> = banks.iter().map(|bank| question(*bank)).collect();
    let said = all(asked).await;
    let address = |bank| context.consortium.address(bank).unwrap_or("-").to_owned();
    banks
        .iter()
        .zip(said)
        .map(|(bank, said)| Answer { bank: *bank, address: address(*bank), said })
        .collect()
}

/// Runs futures at the same time on this task, and waits for all.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|waker| {
        let mut open = false;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(waker) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => open = true,
                }
            }
        }
        if open { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

/// Reads a bank's JSON.
///
/// # Errors
/// When it is not what the protocol says.
pub fn read<T: DeserializeOwned>(bank: BankId, json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|_| unreadable(bank, json))
}

/// The failure of the first bank that did not answer; where several can't be reached, it names them
/// all.
pub fn first_failure<T>(answers: &[Answer<T>]) -> Option<Failure> {
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
pub fn silent_row<T>(answer: &Answer<T>, failure: &Failure) -> Vec<(Tone, String)> {
    vec![plain(answer.bank), plain(&answer.address), (Tone::Bad, failure.to_string())]
}

/// What banks said that did not answer, one line each; nothing where all did.
pub fn silent_lines<T>(context: &Context, answers: &[Answer<T>]) -> String {
    let failures = answers.iter().filter_map(|answer| answer.said.as_ref().err());
    let lines = failures
        .map(|failure| format!("{}\n", context.paint.text(Tone::Bad, &failure.to_string())));
    context.paint.words(lines.collect())
}

/// Connects to one bank.
///
/// # Errors
/// `NoConnection`, which says what to do.
pub async fn connect(
    context: &Context,
    bank: BankId,
    address: &str,
) -> Result<Conversation, Failure> {
    let connected = Conversation::connect(bank, address, &context.dial).await;
    connected.map_err(|why| Failure::NoConnection(context.dial.unreachable(bank, address, &why)))
}

/// The JSON of a bank's DONE.
///
/// # Errors
/// `Refused` with the bank's words for any other answer.
pub fn done(bank: BankId, reply: Reply) -> Result<String, Failure> {
    match reply {
        Reply::Done(json) => Ok(json),
        Reply::Refused(reason, text) | Reply::Err(reason, text) => {
            Err(refused(bank, reason, &text))
        }
        Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Committed(..)
        | Reply::Aborted(..)
        | Reply::Doubt(..)
        | Reply::Unknown(_)
        | Reply::Pong
        | Reply::Bye => Err(not_asked(bank)),
    }
}

/// A bank answered something else than it was asked.
pub fn not_asked(bank: BankId) -> Failure {
    Failure::NoConnection(format!(
        "bank {bank} answers what it was not asked; is it a bank, and of this version?"
    ))
}

fn unreadable(bank: BankId, json: &str) -> Failure {
    let shown: String = json.chars().take(60).collect();
    Failure::NoConnection(format!(
        "bank {bank} answers what this cliente can't read ({shown:?}); is it a bank, and of this version?"
    ))
}

struct Page {
    items: Vec<Box<RawValue>>,
    next: Option<String>,
}

/// A list is an array; where there is more, its last element is `{"next":"<key>"}`.
fn read_page(json: &str) -> Option<Page> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct More {
        next: String,
    }
    let mut items: Vec<Box<RawValue>> = serde_json::from_str(json).ok()?;
    let more = items.last().and_then(|last| serde_json::from_str::<More>(last.get()).ok());
    if more.is_some() {
        items.pop();
    }
    Some(Page { items, next: more.map(|more| more.next) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(json: &str) -> Option<(Vec<String>, Option<String>)> {
        let page = read_page(json)?;
        Some((page.items.iter().map(|item| item.get().to_owned()).collect(), page.next))
    }

    #[test]
    fn a_page_is_an_array_that_may_name_the_next() {
        assert_eq!(items("[]"), Some((vec![], None)));
        assert_eq!(items(r#"[{"next":"b","cpf":"1"}]"#).unwrap().1, None, "an item is no key");
        assert_eq!(items(r#"[1,{"next":"b"}]"#), Some((vec!["1".into()], Some("b".into()))));
        assert_eq!(items("7"), None);
    }
}
