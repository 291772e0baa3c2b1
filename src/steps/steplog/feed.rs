//! The events that watchers receive live: the progress of a transaction, or another change of the
//! bank.

use super::{LoggedOutcome, Step};
use consorcio_core::ids::TxId;
use consorcio_core::wire::verb::Verb;

/// A change that is visible to a viewer of this bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedEvent {
    /// A transaction made progress.
    Transaction {
        /// The id of the transaction.
        tx: TxId,
        /// The protocol's word for the progress: PREPARE, OK, NOK, COMMIT or ABORT.
        word: &'static str,
    },
    /// A change of clients, accounts, links, or waits.
    Other,
}

impl Step {
    /// The visible change that this step makes, if any.
    pub fn feed_event(&self) -> Option<FeedEvent> {
        let transaction = |tx: &TxId, word| Some(FeedEvent::Transaction { tx: tx.clone(), word });
        match self {
            Step::Receive { verb: Verb::Prepare | Verb::Execute, tx: Some(tx), .. }
            | Step::Drive(tx)
            | Step::Send { verb: Verb::Prepare, tx: Some(tx), .. } => transaction(tx, "PREPARE"),
            Step::Vote { tx, refusal: None, .. } => transaction(tx, "OK"),
            Step::Vote { tx, refusal: Some(_), .. } => transaction(tx, "NOK"),
            Step::Answer {
                verb: Some(Verb::Prepare),
                tx: Some(tx),
                summary: Some(summary),
                ..
            } => transaction(tx, summary.word),
            Step::Refuse { tx, .. } => transaction(tx, "ABORT"),
            Step::Outcome { tx, ending, .. }
            | Step::Verdict { tx, ending, .. }
            | Step::Drove { tx, ending, .. } => match ending {
                LoggedOutcome::Committed(_) => transaction(tx, "COMMIT"),
                LoggedOutcome::Aborted(..) => transaction(tx, "ABORT"),
                LoggedOutcome::Unknown(_)
                | LoggedOutcome::Outside(..)
                | LoggedOutcome::Unreached => Some(FeedEvent::Other),
            },
            Step::Client(..)
            | Step::Account(..)
            | Step::Doubt(..)
            | Step::Timeout(..)
            | Step::GaveUp(_)
            | Step::LinkUp(..)
            | Step::LinkDown(..) => Some(FeedEvent::Other),
            Step::Start(_)
            | Step::Node(_)
            | Step::Ready(_)
            | Step::Recover { .. }
            | Step::Connect(..)
            | Step::Disconnect(..)
            | Step::Receive { .. }
            | Step::Bad(..)
            | Step::Consortium(..)
            | Step::Key(..)
            | Step::Registers(..)
            | Step::Founded(..)
            | Step::Met(..)
            | Step::Introduced(..)
            | Step::Clock(..)
            | Step::Send { .. }
            | Step::Ask { .. }
            | Step::Reply { .. }
            | Step::Answer { .. }
            | Step::Count { .. }
            | Step::Sync { .. }
            | Step::Known(..)
            | Step::Fault(_)
            | Step::Stop(_) => None,
        }
    }
}
