//! Resolves a transaction: finds its outcome, or has the banks decide it.

use crate::client::{AnswerFrom, Client};
use consorcio_core::ids::TxId;
use consorcio_core::wire::claims::{self, Claim};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;

/// The answers of all banks about a transaction.
#[derive(Debug)]
pub struct ResolvedTransaction {
    /// The answer of each bank, by position.
    pub answers: Vec<AnswerFrom<Reply>>,
    /// The outcome that follows from all answers.
    pub claim: Claim,
}

impl Client {
    /// Sends STATUS to every bank, which changes nothing. A bank that voted OK and knows no outcome
    /// is then asked to find it, which decides the transaction as soon as that is safe.
    pub async fn resolve(&self, tx: &TxId) -> ResolvedTransaction {
        let banks = self.banks();
        let answers = self
            .ask_each(&banks, async |bank| {
                let mut connection = self.connection(bank).await?;
                let status = connection.ask(&Request::Status(tx.clone())).await?;
                let reply = if matches!(status, Reply::Ok(..)) {
                    let find_out = Request::Commit(tx.clone(), Vec::new());
                    let ended = connection.ask(&find_out).await?;
                    // An OK has the digest of the transaction; a DOUBT does not.
                    let is_end = matches!(ended, Reply::Committed(..) | Reply::Aborted(..));
                    if is_end { ended } else { status }
                } else {
                    status
                };
                self.keep(connection);
                Ok(reply)
            })
            .await;
        let results = answers.iter().map(|answer| (answer.bank, answer.result.as_ref().ok()));
        let claim = claims::claim(results);
        ResolvedTransaction { answers, claim }
    }
}
