//! Reads the replies of banks: the JSON of DONE, and texts for errors.

use crate::error::ClientError;
use consorcio_core::ids::BankId;
use consorcio_core::limits::CLIENT_QUOTED_CHARS_MAX;
use consorcio_core::wire::answer::BankAnswer;
use consorcio_core::wire::reply::Reply;
use serde::de::DeserializeOwned;
use std::io;
use std::time::Duration;

/// Extracts the JSON of a bank's DONE.
///
/// # Errors
/// `Refused` with the bank's text if it refused, `NotAsked` for any other reply.
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
        | Reply::Help(_)
        | Reply::Bye => Err(ClientError::NotAsked { bank }),
    }
}

/// Parses the JSON of a bank.
///
/// # Errors
/// `Unreadable` if it is not a `T`.
pub fn read<T: DeserializeOwned>(bank: BankId, json: &str) -> Result<T, ClientError> {
    serde_json::from_str(json).map_err(|_| unreadable(bank, json))
}

pub(crate) fn unreadable(bank: BankId, json: &str) -> ClientError {
    let begins = json.chars().take(CLIENT_QUOTED_CHARS_MAX).collect();
    ClientError::Unreadable { bank, begins }
}

/// The age of the sync under way at `bank`, in milliseconds, if slow, from that bank's own answer
/// to BANKS.
pub fn sync_ms_of(bank: BankId, json: &str) -> Option<u64> {
    let banks: Vec<BankAnswer<'static>> = serde_json::from_str(json).ok()?;
    banks.into_iter().find(|answer| answer.bank == bank)?.sync_ms
}

/// The text for a bank that did not reply.
pub(crate) fn silence(within: Duration) -> String {
    match within.subsec_millis() {
        0 => format!("no answer within {} s", within.as_secs()),
        _ => format!("no answer within {} ms", within.as_millis()),
    }
}

/// The beginning of a line that can't be parsed.
pub(crate) fn beginning(line: &str) -> String {
    let shown = line.chars().take(CLIENT_QUOTED_CHARS_MAX);
    shown.map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// The text of an I/O error for people.
pub(crate) fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::UnexpectedEof => "it closed the connection".into(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the connection broke".into(),
        _ => error.to_string(),
    }
}
