//! A bank that works on an old copy of its journal. Where the copy lacks a vote, a promise is
//! forgotten, and the one rule can't be kept any more; what must hold then is that the bank stops
//! as soon as it is shown or told what it forgot, and that in the end no peer knows of more.

use super::{vote_in, vote_of};
use crate::exhaustive::state::{ModelState, bank};
use consorcio::bank::record::Record;
use consorcio::ids::{Time, TxId};
use consorcio::wire::request::Request;
use consorcio::wire::token::{Digest, Token, Verdict};
use std::sync::Arc;

/// What an old copy of a journal lacks.
#[derive(Debug, Clone)]
pub struct Lost {
    /// Whose journal it is.
    pub at: usize,
    pub records: Vec<Arc<Record>>,
}

impl Lost {
    /// Is something lost that others may rest on? An outcome is not: it can be asked for again.
    pub fn is_a_promise(&self) -> bool {
        self.records.iter().any(|record| match &**record {
            Record::Voted { .. }
            | Record::Refused { .. }
            | Record::Executed { .. }
            | Record::ClockMoved { .. }
            | Record::OutsideVoted { .. } => true,
            Record::Decided { .. }
            | Record::Consortium { .. }
            | Record::ClientAdded { .. }
            | Record::AccountOpened { .. }
            | Record::KeyKnown { .. }
            | Record::RegistersLearned { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Introduced { .. }
            | Record::Drove { .. }
            | Record::Stopped { .. } => false,
        })
    }

    fn has_vote(&self, tx: &TxId, token: &Token) -> bool {
        let shown = vote_of(token);
        token.bank == bank(self.at) && votes(&self.records, tx).any(|vote| vote == shown)
    }
}

fn votes(
    records: &[Arc<Record>],
    tx: &TxId,
) -> impl Iterator<Item = (Verdict, Time, Option<Digest>)> {
    records.iter().filter_map(|record| vote_in(record, tx)).map(|held| held.token)
}

impl ModelState {
    /// Does this request carry a vote of the bank that it forgot, and has not given again just so?
    pub fn is_shown_what_it_forgot(&self, at: usize, request: &Request) -> bool {
        let (tx, tokens) = match request {
            Request::Commit(tx, tokens) => (tx, tokens.as_slice()),
            Request::Abort(tx, Some(token)) => (tx, std::slice::from_ref(token)),
            _ => return false,
        };
        self.nodes[at].core.is_some() && tokens.iter().any(|token| self.forgot(at, tx, token))
    }

    /// Is this a vote of the bank that it forgot, and has not given again just so?
    pub fn forgot(&self, at: usize, tx: &TxId, token: &Token) -> bool {
        let Some(lost) = self.lost.as_ref().filter(|lost| lost.at == at) else { return false };
        let held = votes(&self.nodes[at].journal, tx).any(|vote| vote == vote_of(token));
        lost.has_vote(tx, token) && !held
    }

    /// All is healed, and all links are open: no peer knows of a vote as the last one of a bank
    /// that works on without it. One that has learned of a later vote, which that bank gave on its
    /// old copy, shows that one.
    pub(super) fn verify_missed(&self, lost: &Lost) {
        let (at, node) = (lost.at, &self.nodes[lost.at]);
        if node.core.is_none() {
            assert!(node.stopped, "bank {at} is up again, or has stopped");
            return;
        }
        for (other, peer) in self.nodes.iter().enumerate().filter(|(other, _)| *other != at) {
            for (tx, token) in peer.core.as_ref().unwrap().votes_shown_to(bank(at)) {
                assert!(
                    !self.forgot(at, &tx, &token),
                    "bank {other} knows of a vote of bank {at} on {tx}, which works on without \
                     it: {token}"
                );
            }
        }
    }
}
