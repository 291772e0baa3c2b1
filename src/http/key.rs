//! Idempotency keys: bytes that a caller chose, mapped to ids of transactions.
//!
//! A key that is a legal id is used as the id; any other key is hashed. In closed mode the id
//! begins with the caller's name, so two callers never meet. An attempt that was aborted
//! for a transient reason (a locked register, a busy or unreachable bank, a time-out) stays
//! aborted, so the same key makes another attempt, under a hashed id of its own. At most one
//! attempt of a key commits.

use crate::app::App;
use crate::asker;
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

/// The value of an `Idempotency-Key` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey {
    bytes: Vec<u8>,
    first: TxId,
}

impl IdempotencyKey {
    /// The key with these bytes.
    pub(crate) fn new(bytes: &[u8]) -> IdempotencyKey {
        let own = std::str::from_utf8(bytes).ok().and_then(|text| TxId::new(text).ok());
        let own = own.filter(|id| id.check_new().is_ok()).and_then(|id| asker::owned(&id));
        IdempotencyKey { bytes: bytes.to_owned(), first: own.unwrap_or_else(|| hashed(bytes, 1)) }
    }

    /// The key of the transaction with this id.
    pub(crate) fn of(tx: TxId) -> IdempotencyKey {
        IdempotencyKey { bytes: tx.as_str().as_bytes().to_owned(), first: tx }
    }

    /// The id of the first attempt.
    pub(crate) fn first(&self) -> &TxId {
        &self.first
    }

    /// The id of attempt `number`, which counts from 1.
    fn attempt(&self, number: u32) -> TxId {
        if number == 1 { self.first.clone() } else { hashed(&self.bytes, number) }
    }

    /// The id under which `transaction` is executed: the newest attempt that its banks know, or the
    /// next one if one of its banks refused that attempt for a transient reason. Only such a
    /// refusal proves that an attempt has aborted; otherwise the same attempt is executed again,
    /// which repeats votes and moves nothing twice.
    ///
    /// # Errors
    /// 503 when the process ends; 400 when an earlier attempt had other content.
    pub(crate) async fn next(
        &self,
        app: &App,
        peer: SocketAddr,
        transaction: &Transaction,
    ) -> Result<TxId, Problem> {
        for number in 1..HTTP_KEY_ATTEMPTS_MAX {
            let tx = self.attempt(number);
            let reply = status_of_named(app, peer, &tx, transaction.banks()).await?;
            if !is_aborted_transiently(&reply) {
                return Ok(tx);
            }
            if is_other_transaction(&reply, transaction) {
                let error = reasons::error(Reason::DuplicateId);
                return Err(Problem::refused(error, Reason::DuplicateId).about(&tx));
            }
        }
        Ok(self.attempt(HTTP_KEY_ATTEMPTS_MAX))
    }

    /// The id of the newest attempt that is known, for looking up its outcome.
    ///
    /// # Errors
    /// 503 when the process ends.
    pub(crate) async fn newest(&self, app: &App, peer: SocketAddr) -> Result<TxId, Problem> {
        let mut newest = self.first.clone();
        for number in 2..=HTTP_KEY_ATTEMPTS_MAX {
            if !is_aborted_transiently(&status(app, peer, &newest).await?) {
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

/// Was the transaction aborted for a transient reason? A refusal of the id alone counts, too: a
/// driver gave up or another bank asked, and no bank voted on the content.
fn is_aborted_transiently(reply: &Reply) -> bool {
    match reply {
        Reply::Aborted(_, token, reason, _) => is_transient(*reason) || token.digest.is_none(),
        Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Committed(..)
        | Reply::Doubt(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Refused(..)
        | Reply::Err(..)
        | Reply::Pong
        | Reply::Help(_)
        | Reply::Bye => false,
    }
}

/// Was another transaction refused under this id? The digest of the vote shows it, if it has one.
fn is_other_transaction(reply: &Reply, transaction: &Transaction) -> bool {
    let is_other = |digest| digest != *transaction.digest();
    matches!(reply, Reply::Aborted(_, token, _, _) if token.digest.is_some_and(is_other))
}

/// The reply of this bank to STATUS; if it has no vote, the best reply of the others.
async fn status(app: &App, peer: SocketAddr, tx: &TxId) -> Result<Reply, Problem> {
    let own = app.ask(peer, Request::Status(tx.clone())).await?;
    if has_no_vote(&own) {
        let others = lines::status_elsewhere(app, tx, |_| true).await;
        return Ok(others.filter(|reply| !matches!(reply, Reply::Unknown(_))).unwrap_or(own));
    }
    Ok(own)
}

/// The best reply of the banks in `named` to STATUS. If this bank is not named but voted on other
/// bytes under the id, its reply counts; its refusal of the id alone proves nothing about the named
/// banks.
async fn status_of_named(
    app: &App,
    peer: SocketAddr,
    tx: &TxId,
    named: BankSet,
) -> Result<Reply, Problem> {
    let own = app.ask(peer, Request::Status(tx.clone())).await?;
    if named.has(app.bank()) || !has_no_vote(&own) {
        return Ok(own);
    }
    let others = lines::status_elsewhere(app, tx, |bank| named.has(bank)).await;
    Ok(others.unwrap_or_else(|| Reply::Unknown(tx.clone())))
}

/// Is `reply` UNKNOWN, or a refusal of the id alone?
fn has_no_vote(reply: &Reply) -> bool {
    match reply {
        Reply::Aborted(_, token, ..) => token.digest.is_none(),
        reply => matches!(reply, Reply::Unknown(_)),
    }
}

/// May a later attempt with the same content succeed?
fn is_transient(reason: Reason) -> bool {
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
        | Reason::Refused
        | Reason::NotAllowed => false,
    }
}

/// An id that does not collide with chosen ids: a hash of the key and the number of the attempt.
fn hashed(bytes: &[u8], attempt: u32) -> TxId {
    let mut hasher = blake3::Hasher::new_derive_key("consorcio idempotency key");
    hasher.update(&attempt.to_le_bytes()).update(bytes);
    let hex = hasher.finalize().to_hex();
    let id = format!("k-{}", &hex.as_str()[..32]);
    let id = asker::owner().map_or(id.clone(), |owner| format!("{owner}.{id}"));
    TxId::new(&id).expect("a name and hexadecimal digits make an id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_used_as_id_or_hashed() {
        assert_eq!(IdempotencyKey::new(b"t-1").first().as_str(), "t-1");
        let mut ids = std::collections::BTreeSet::new();
        let long = "x".repeat(65);
        for key in ["a b", "\"t-1\"", "a:b", "Zm9v+/==", ".", "..", "\u{e7}", long.as_str()] {
            let key = IdempotencyKey::new(key.as_bytes());
            assert!(
                key.first().as_str().starts_with("k-") && key.first().as_str().len() == 34,
                "{key:?}"
            );
            assert!(ids.insert(key.first().clone()), "{key:?}");
            assert_eq!(key, IdempotencyKey::new(&key.bytes));
            assert!(ids.insert(key.attempt(2)) && ids.insert(key.attempt(3)));
        }
        assert_eq!(
            IdempotencyKey::new(&[0xff, 0xfe]).first(),
            IdempotencyKey::new(&[0xff, 0xfe]).first()
        );
    }
}
