//! What watchers are told while it happens: which transaction went one step further, or that
//! something else changed.

use super::{Ending, Step};
use consorcio_core::ids::TxId;
use consorcio_core::wire::verb::Verb;

/// A change that somebody who looks at this bank would see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// A transaction went one step further.
    Transaction {
        /// Which.
        tx: TxId,
        /// The protocol's word for the step: PREPARE, OK, NOK, COMMIT or ABORT.
        word: &'static str,
    },
    /// Clients, accounts, links to banks, or who waits for whom.
    Other,
}

impl Step {
    /// What of this step is a change that somebody would see.
    pub fn passed(&self) -> Option<Passed> {
        let transaction = |tx: &TxId, word| Some(Passed::Transaction { tx: tx.clone(), word });
        match self {
            Step::Receive { verb: Verb::Prepare | Verb::Execute, tx: Some(tx), .. }
            | Step::Drive(tx)
            | Step::Send { verb: Verb::Prepare, tx: Some(tx), .. } => transaction(tx, "PREPARE"),
            Step::Vote { tx, refusal: None, .. } => transaction(tx, "OK"),
            Step::Vote { tx, refusal: Some(_), .. } => transaction(tx, "NOK"),
            Step::Answer { verb: Some(Verb::Prepare), tx: Some(tx), said: Some(said), .. } => {
                transaction(tx, said.word)
            }
            Step::Refuse { tx, .. } => transaction(tx, "ABORT"),
            Step::Outcome { tx, ending, .. }
            | Step::Verdict { tx, ending, .. }
            | Step::Drove { tx, ending, .. } => match ending {
                Ending::Committed(_) => transaction(tx, "COMMIT"),
                Ending::Aborted(..) => transaction(tx, "ABORT"),
                Ending::Unknown(_) | Ending::Outside(..) | Ending::Unreached => Some(Passed::Other),
            },
            Step::Client(..)
            | Step::Account(..)
            | Step::Doubt(..)
            | Step::Timeout(..)
            | Step::GaveUp(_)
            | Step::LinkUp(..)
            | Step::LinkDown(..) => Some(Passed::Other),
            Step::Start(_)
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
            | Step::Sync { .. }
            | Step::Known(..)
            | Step::Fault(_)
            | Step::Stop(_) => None,
        }
    }
}
