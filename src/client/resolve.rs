//! What became of a transaction, and an end for it if it has none yet.

use crate::client::{AnswerFrom, Client};
use consorcio_core::ids::TxId;
use consorcio_core::wire::claims::{self, Claim};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;

/// What all banks say of a transaction.
#[derive(Debug)]
pub struct ResolvedTransaction {
    /// What each bank says, by position.
    pub answers: Vec<AnswerFrom<Reply>>,
    /// What their answers mean together.
    pub claim: Claim,
}

impl Client {
    /// Asks every bank first, which changes nothing; then those that voted OK and know no outcome
    /// are asked to find it out, which ends the transaction as soon as that is safe.
    pub async fn resolve(&self, tx: &TxId) -> ResolvedTransaction {
        let banks = self.banks();
        let answers = self
            .ask_each(&banks, async |bank| {
                let mut connection = self.connection(bank).await?;
                let status = connection.ask(&Request::Status(tx.clone())).await?;
                let reply = if matches!(status, Reply::Ok(..)) {
                    let find_out = Request::Commit(tx.clone(), Vec::new());
                    let ended = connection.ask(&find_out).await?;
                    // Its OK says which bytes; a DOUBT does not.
                    let is_end = matches!(ended, Reply::Committed(..) | Reply::Aborted(..));
                    if is_end { ended } else { status }
                } else {
                    status
                };
                self.keep(connection);
                Ok(reply)
            })
            .await;
        let said = answers.iter().map(|answer| (answer.bank, answer.said.as_ref().ok()));
        let claim = claims::claim(said);
        ResolvedTransaction { answers, claim }
    }
}
