//! A bank that runs on an old copy of its journal. If the copy lacks a vote, a promise is forgotten
//! and the main invariant may fail. Then the bank must stop as soon as it receives the forgotten
//! vote, and after healing no peer may know a vote that it lacks.

use super::{vote_in, vote_of};
use crate::exhaustive::state::{ModelState, bank};
use consorcio_core::bank::record::Record;
use consorcio_core::ids::{Time, TxId};
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::{Digest, Token, Vote};
use std::sync::Arc;

/// The records that an old copy of a journal lacks.
#[derive(Debug, Clone)]
pub struct Lost {
    /// The bank of the journal.
    pub at: usize,
    pub records: Vec<Arc<Record>>,
}

impl Lost {
    /// It lacks a record that others may depend on. An outcome is none: the bank can ask for it
    /// again.
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
            | Record::Registered { .. }
            | Record::Introduced { .. }
            | Record::Drove { .. }
            | Record::Stopped { .. } => false,
        })
    }

    fn has_vote(&self, tx: &TxId, token: &Token) -> bool {
        let vote_in_token = vote_of(token);
        token.bank == bank(self.at) && votes(&self.records, tx).any(|vote| vote == vote_in_token)
    }
}

fn votes(records: &[Arc<Record>], tx: &TxId) -> impl Iterator<Item = (Vote, Time, Option<Digest>)> {
    records.iter().filter_map(|record| vote_in(record, tx)).map(|held| held.token)
}

impl ModelState {
    /// This request carries a vote that the bank forgot and has not repeated identically.
    pub fn carries_a_forgotten_vote(&self, at: usize, request: &Request) -> bool {
        let (tx, tokens) = match request {
            Request::Commit(tx, tokens) => (tx, tokens.as_slice()),
            Request::Abort(tx, Some(token)) => (tx, std::slice::from_ref(token)),
            _ => return false,
        };
        self.nodes[at].core.is_some() && tokens.iter().any(|token| self.forgot(at, tx, token))
    }

    /// This is a vote that the bank forgot and has not repeated identically.
    pub fn forgot(&self, at: usize, tx: &TxId, token: &Token) -> bool {
        let Some(lost) = self.lost.as_ref().filter(|lost| lost.at == at) else { return false };
        let held = votes(&self.nodes[at].journal, tx).any(|vote| vote == vote_of(token));
        lost.has_vote(tx, token) && !held
    }

    /// After healing, with all links open, no peer knows, as the last vote of a running bank, a
    /// vote that the bank lacks. A peer that has learned of a later vote, made on the old copy,
    /// sends that one.
    pub(super) fn verify_detected(&self, lost: &Lost) {
        let (at, node) = (lost.at, &self.nodes[lost.at]);
        if node.core.is_none() {
            assert!(node.stopped, "bank {at} is up again, or has stopped");
            return;
        }
        for (other, peer) in self.nodes.iter().enumerate().filter(|(other, _)| *other != at) {
            for (tx, token) in peer.core.as_ref().unwrap().votes_to_send(bank(at)) {
                assert!(
                    !self.forgot(at, &tx, &token),
                    "bank {other} knows of a vote of bank {at} on {tx}, which works on without \
                     it: {token}"
                );
            }
        }
    }
}
