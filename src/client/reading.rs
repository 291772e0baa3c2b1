//! What banks' answers say: the JSON of DONE, pages of lists, words for what goes wrong.

use crate::error::ClientError;
use consorcio_core::ids::BankId;
use consorcio_core::limits::CLIENT_QUOTED_CHARS_MAX;
use consorcio_core::wire::reply::Reply;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::io;
use std::time::Duration;

/// The JSON of a bank's DONE.
///
/// # Errors
/// `Refused` with the bank's words where it refused, `NotAsked` for any other answer.
pub fn done(bank: BankId, reply: Reply) -> Result<String, ClientError> {
    match reply {
        Reply::Done(json) => Ok(json),
        Reply::Refused(reason, text) | Reply::Err(reason, text) => {
            Err(ClientError::Refused { bank, reason, text })
        }
        Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Committed(..)
        | Reply::Aborted(..)
        | Reply::Doubt(..)
        | Reply::Unknown(_)
        | Reply::Pong
        | Reply::Bye => Err(ClientError::NotAsked { bank }),
    }
}

/// Reads the JSON of a bank.
///
/// # Errors
/// `Unreadable` where it is not a `T`.
pub fn read<T: DeserializeOwned>(bank: BankId, json: &str) -> Result<T, ClientError> {
    serde_json::from_str(json).map_err(|_| unreadable(bank, json))
}

pub(crate) fn unreadable(bank: BankId, json: &str) -> ClientError {
    let begins = json.chars().take(CLIENT_QUOTED_CHARS_MAX).collect();
    ClientError::Unreadable { bank, begins }
}

/// A page of a list: its items, and the key behind which the next page begins.
#[derive(Debug)]
pub(crate) struct ListPage {
    pub(crate) items: Vec<Box<RawValue>>,
    pub(crate) next: Option<String>,
}

/// A list is an array; where there is more, its last element is `{"next":"<key>"}`.
pub(crate) fn read_page(json: &str) -> Option<ListPage> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct More {
        next: String,
    }
    let mut items: Vec<Box<RawValue>> = serde_json::from_str(json).ok()?;
    let more = items.last().and_then(|last| serde_json::from_str::<More>(last.get()).ok());
    if more.is_some() {
        items.pop();
    }
    Some(ListPage { items, next: more.map(|more| more.next) })
}

/// How long the disk of `bank` has not finished a sync, in milliseconds, as that bank's own answer
/// to BANKS says it.
pub fn sync_ms_of(bank: BankId, json: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct SyncView {
        bank: BankId,
        #[serde(default)]
        sync_ms: Option<u64>,
    }
    let places: Vec<SyncView> = serde_json::from_str(json).ok()?;
    places.into_iter().find(|place| place.bank == bank)?.sync_ms
}

/// That a bank did not answer, in words.
pub(crate) fn silence(within: Duration) -> String {
    match within.subsec_millis() {
        0 => format!("no answer within {} s", within.as_secs()),
        _ => format!("no answer within {} ms", within.as_millis()),
    }
}

/// The beginning of a line that nobody here can read.
pub(crate) fn beginning(line: &str) -> String {
    let shown = line.chars().take(CLIENT_QUOTED_CHARS_MAX);
    shown.map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// An I/O error in the words of people.
pub(crate) fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::UnexpectedEof => "it closed the connection".into(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the connection broke".into(),
        _ => error.to_string(),
    }
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
