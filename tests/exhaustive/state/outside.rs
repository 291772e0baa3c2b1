//! Outside coordinators: each speaks to one bank, votes when it likes and as often, and nobody can
//! ask it anything.

use super::{ModelState, Way, Who, bank};
use consorcio::bank::io::SessionId;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::transaction::Transaction;
use std::rc::Rc;
use std::sync::Arc;

/// What is driven so: these very operations, where an outside coordinator has a vote on them.
pub(super) fn bytes_of(typed: Arc<Transaction>, way: Way) -> Arc<Transaction> {
    match way {
        Way::Outside(at) => Arc::new(Transaction::with_outside(bank(at), typed.ops()).unwrap()),
        Way::Client | Way::LateClient | Way::Execute(_) => typed,
    }
}

impl ModelState {
    /// The bank of a driver that is an outside coordinator.
    pub(super) fn outside(&self, driver: usize) -> Option<usize> {
        match self.setup.transactions[driver].2 {
            Way::Outside(at) => Some(at),
            Way::Client | Way::LateClient | Way::Execute(_) => None,
        }
    }

    /// Is this the session of the outside coordinator of that transaction?
    pub fn is_outside(&self, session: SessionId, transaction: usize) -> bool {
        let theirs = self.conn_at(session.0).map(|at| self.conns[at].who);
        theirs == Some(Who::Driver(transaction)) && self.outside(transaction).is_some()
    }

    pub(super) fn vote_outside(&mut self, driver: usize, commit: bool) {
        let tx = self.base.txs[driver].clone();
        let request =
            if commit { Request::Commit(tx, Vec::new()) } else { Request::Abort(tx, None) };
        if let Some(to) = self.outside(driver) {
            self.say(Who::Driver(driver), to, request);
        }
    }

    /// What it is told once it is always told.
    pub(super) fn heard_outside(&mut self, driver: usize, reply: Option<Reply>) {
        let Some(reply @ (Reply::Committed(..) | Reply::Aborted(..))) = reply else { return };
        let before = Rc::make_mut(&mut self.drivers[driver]).told.replace(reply.clone());
        assert!(
            before.as_ref().is_none_or(|before| *before == reply),
            "outside coordinator {driver} was told {before:?}, and now {reply:?}"
        );
    }
}
