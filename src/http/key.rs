//! Idempotency keys: any bytes that a caller chose, as ids of transactions.
//!
//! A key that is an id is that id; any other is hashed to one. An attempt that was refused for a
//! passing reason (a locked register, a busy or unreachable bank, too little time) is over for
//! ever, as every abort is: the same key again makes the next attempt, under a hashed id of its
//! own. So never more than one attempt of a key commits.

use crate::app::App;
use crate::lines;
use crate::problem::Problem;
use consorcio_core::ids::{BankSet, TxId};
use consorcio_core::limits::HTTP_KEY_ATTEMPTS_MAX;
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::transaction::Transaction;
use consorcio_panel::reasons;
use std::net::SocketAddr;

/// A key as a caller gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    bytes: Vec<u8>,
    first: TxId,
}

impl Key {
    /// The key of these bytes.
    pub fn new(bytes: &[u8]) -> Key {
        let own = std::str::from_utf8(bytes).ok().and_then(|text| TxId::new(text).ok());
        let own = own.filter(|id| id.check_new().is_ok());
        Key { bytes: bytes.to_owned(), first: own.unwrap_or_else(|| hashed(bytes, 1)) }
    }

    /// The id of its first attempt.
    pub fn first(&self) -> &TxId {
        &self.first
    }

    /// The id of attempt `number`, from 1 on.
    fn attempt(&self, number: u32) -> TxId {
        if number == 1 { self.first.clone() } else { hashed(&self.bytes, number) }
    }

    /// The newest attempt that the banks named by `transaction`, what the caller asks for now, know
    /// of; the next one where one of them refused that for a passing reason. Only the refusal of a
    /// bank that is named proves that an attempt is over: without one the same attempt is executed
    /// again, which repeats votes and moves nothing twice.
    ///
    /// # Errors
    /// 503 when the process ends; 400 when an earlier attempt had other content.
    pub async fn next(
        &self,
        app: &App,
        peer: SocketAddr,
        transaction: &Transaction,
    ) -> Result<TxId, Problem> {
        for number in 1..HTTP_KEY_ATTEMPTS_MAX {
            let tx = self.attempt(number);
            let reply = status_of_named(app, peer, &tx, transaction.banks()).await?;
            if !is_refused_in_passing(&reply) {
                return Ok(tx);
            }
            if is_about_others(&reply, transaction) {
                let error = reasons::error(Reason::DuplicateId);
                return Err(Problem::refused(error, Reason::DuplicateId).about(&tx));
            }
        }
        Ok(self.attempt(HTTP_KEY_ATTEMPTS_MAX))
    }

    /// The id under which the outcome of this key is to be looked up: its newest attempt that is
    /// known.
    ///
    /// # Errors
    /// 503 when the process ends.
    pub async fn newest(&self, app: &App, peer: SocketAddr) -> Result<TxId, Problem> {
        let mut newest = self.first.clone();
        for number in 2..=HTTP_KEY_ATTEMPTS_MAX {
            if !is_refused_in_passing(&status(app, peer, &newest).await?) {
                break;
            }
            let next = self.attempt(number);
            if matches!(status(app, peer, &next).await?, Reply::Unknown(_)) {
                break;
            }
            newest = next;
        }
        Ok(newest)
    }
}

/// Is it aborted, for a reason that passes? So it is, too, where a bank refused the id alone,
/// because a driver gave up or somebody asked: nobody judged what it would do.
fn is_refused_in_passing(reply: &Reply) -> bool {
    match reply {
        Reply::Aborted(_, token, reason, _) => passes(*reason) || token.digest.is_none(),
        Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Committed(..)
        | Reply::Doubt(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Refused(..)
        | Reply::Err(..)
        | Reply::Pong
        | Reply::Bye => false,
    }
}

/// Was another transaction than this one refused? A vote tells, where it was about any bytes.
fn is_about_others(reply: &Reply, transaction: &Transaction) -> bool {
    let is_other = |digest| digest != *transaction.digest();
    matches!(reply, Reply::Aborted(_, token, _, _) if token.digest.is_some_and(is_other))
}

/// What this bank says of `tx`; where it says nothing, what the others say.
async fn status(app: &App, peer: SocketAddr, tx: &TxId) -> Result<Reply, Problem> {
    let own = app.ask(peer, Request::Status(tx.clone())).await?;
    if says_nothing(&own) {
        let others = lines::status_elsewhere(app, tx, |_| true).await;
        return Ok(others.filter(|reply| !matches!(reply, Reply::Unknown(_))).unwrap_or(own));
    }
    Ok(own)
}

/// What the banks of `named` say of `tx`. A bank that is not named may have voted on other bytes
/// under this id, which is told; that it refused the id alone says nothing of what the named ones
/// did.
async fn status_of_named(
    app: &App,
    peer: SocketAddr,
    tx: &TxId,
    named: BankSet,
) -> Result<Reply, Problem> {
    let own = app.ask(peer, Request::Status(tx.clone())).await?;
    if named.has(app.bank()) || !says_nothing(&own) {
        return Ok(own);
    }
    let others = lines::status_elsewhere(app, tx, |bank| named.has(bank)).await;
    Ok(others.unwrap_or_else(|| Reply::Unknown(tx.clone())))
}

/// Is nothing known, or only the id refused?
fn says_nothing(reply: &Reply) -> bool {
    match reply {
        Reply::Aborted(_, token, ..) => token.digest.is_none(),
        reply => matches!(reply, Reply::Unknown(_)),
    }
}

/// May the same be asked again later, and be done then?
fn passes(reason: Reason) -> bool {
    match reason {
        Reason::Locked
        | Reason::Limit
        | Reason::Expired
        | Reason::Unreachable
        | Reason::NotIntroduced
        | Reason::DiskFull
        | Reason::Unreadable => true,
        Reason::InsufficientFunds
        | Reason::UnknownAccount
        | Reason::UnknownClient
        | Reason::NotHolder
        | Reason::Unbalanced
        | Reason::DuplicateId
        | Reason::AlreadyExists
        | Reason::Malformed
        | Reason::Refused => false,
    }
}

/// An id that nobody types: a hash of the key and the attempt's number.
fn hashed(bytes: &[u8], attempt: u32) -> TxId {
    let mut hasher = blake3::Hasher::new_derive_key("consorcio idempotency key");
    hasher.update(&attempt.to_le_bytes()).update(bytes);
    let hex = hasher.finalize().to_hex();
    TxId::new(&format!("k-{}", &hex.as_str()[..32])).expect("hexadecimal digits make an id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_an_id_or_a_hash_of_it() {
        assert_eq!(Key::new(b"t-1").first().as_str(), "t-1");
        let mut ids = std::collections::BTreeSet::new();
        let long = "x".repeat(65);
        for key in ["a b", "\"t-1\"", "a:b", "Zm9v+/==", ".", "..", "\u{e7}", long.as_str()] {
            let key = Key::new(key.as_bytes());
            assert!(
                key.first().as_str().starts_with("k-") && key.first().as_str().len() == 34,
                "{key:?}"
            );
            assert!(ids.insert(key.first().clone()), "{key:?}");
            assert_eq!(key, Key::new(&key.bytes));
            assert!(ids.insert(key.attempt(2)) && ids.insert(key.attempt(3)));
        }
        assert_eq!(Key::new(&[0xff, 0xfe]).first(), Key::new(&[0xff, 0xfe]).first());
    }
}
