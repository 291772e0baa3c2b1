//! Outside coordinators: each sends requests to one bank, votes at any time and repeatedly, and
//! can't be asked for its vote.

use super::{Dialler, ModelState, TransactionDriver, bank};
use consorcio_core::bank::io::SessionId;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::transaction::Transaction;
use std::rc::Rc;
use std::sync::Arc;

/// The bytes of a transaction: with an outside coordinator its vote is part of them.
pub(super) fn bytes_of(typed: Arc<Transaction>, driven_by: TransactionDriver) -> Arc<Transaction> {
    match driven_by {
        TransactionDriver::Outside(at) => {
            Arc::new(Transaction::with_outside(bank(at), typed.ops()).unwrap())
        }
        TransactionDriver::Client
        | TransactionDriver::LateClient
        | TransactionDriver::Execute(_) => typed,
    }
}

impl ModelState {
    pub(super) fn outside(&self, driver: usize) -> Option<usize> {
        match self.setup.transactions[driver].2 {
            TransactionDriver::Outside(at) => Some(at),
            TransactionDriver::Client
            | TransactionDriver::LateClient
            | TransactionDriver::Execute(_) => None,
        }
    }

    /// This is the session of the outside coordinator of that transaction.
    pub fn is_outside(&self, session: SessionId, transaction: usize) -> bool {
        let theirs = self.conn_at(session.0).map(|at| self.conns[at].dialler);
        theirs == Some(Dialler::Driver(transaction)) && self.outside(transaction).is_some()
    }

    pub(super) fn vote_outside(&mut self, driver: usize, commit: bool) {
        let tx = self.base.txs[driver].clone();
        let request =
            if commit { Request::Commit(tx, Vec::new()) } else { Request::Abort(tx, None) };
        if let Some(to) = self.outside(driver) {
            self.say(Dialler::Driver(driver), to, request);
        }
    }

    /// An outcome that it received once must be repeated in all later replies.
    pub(super) fn outcome_received(&mut self, driver: usize, reply: Option<Reply>) {
        let Some(reply @ (Reply::Committed(..) | Reply::Aborted(..))) = reply else { return };
        let before = Rc::make_mut(&mut self.drivers[driver]).reply.replace(reply.clone());
        assert!(
            before.as_ref().is_none_or(|before| *before == reply),
            "outside coordinator {driver} received {before:?}, then {reply:?}"
        );
    }
}
