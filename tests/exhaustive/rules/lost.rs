//! A bank that works on an old copy of its journal. Where the copy lacks a vote, a promise is forgotten, and the one
//! rule can't be kept any more; what must hold then is that the bank stops as soon as it is shown or told what it forgot,
//! and that in the end no peer knows of more.

use super::vote_in;
use crate::town::{Town, bank};
use consorcio::bank::record::Record;
use consorcio::commit::token::{Digest, Token, Verdict};
use consorcio::ids::{Time, TxId};
use consorcio::wire::request::Request;
use std::sync::Arc;

/// What an old copy of a journal lacks.
#[derive(Debug, Clone)]
pub struct Lost {
    /// Whose journal it is.
    pub at: usize,
    /// How many records the copy has.
    pub keep: usize,
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
            | Record::Drove { .. }
            | Record::Stopped { .. } => false,
        })
    }

    fn has_vote(&self, tx: &TxId, token: &Token) -> bool {
        let shown = (token.verdict, token.time, token.digest);
        token.bank == bank(self.at) && votes(&self.records, tx).any(|vote| vote == shown)
    }
}

fn votes(records: &[Arc<Record>], tx: &TxId) -> impl Iterator<Item = (Verdict, Time, Option<Digest>)> {
    records.iter().filter_map(|record| vote_in(record, tx)).map(|held| held.token)
}

impl Town {
    /// Does this request carry a vote of the bank that it forgot, and has not given again just so?
    pub fn is_shown_what_it_forgot(&self, at: usize, request: &Request) -> bool {
        let Some(lost) = self.lost.as_ref().filter(|lost| lost.at == at && self.setup.keyed) else {
            return false;
        };
        let (tx, tokens) = match request {
            Request::Commit(tx, tokens) => (tx, tokens.as_slice()),
            Request::Abort(tx, Some(token)) => (tx, std::slice::from_ref(token)),
            _ => return false,
        };
        let node = &self.nodes[at];
        let held = |token: &Token| {
            votes(&node.journal, tx).any(|vote| vote == (token.verdict, token.time, token.digest))
        };
        node.core.is_some() && tokens.iter().any(|token| lost.has_vote(tx, token) && !held(token))
    }

    /// Is this the time of a vote that the bank forgot, and can miss? What lies between its last vote on the old copy and
    /// the next one, only that run of its process knows.
    pub fn is_told_what_it_forgot(&self, at: usize, time: Time) -> bool {
        let Some(lost) = self.lost.as_ref().filter(|lost| lost.at == at) else { return false };
        let node = &self.nodes[at];
        let voted_then =
            |records: &[Arc<Record>]| records.iter().any(|record| record.vote_time() == Some(time));
        let later = node.journal.iter().filter_map(|record| record.vote_time()).any(|vote| vote > time);
        let can_miss = !later || node.started_with == lost.keep;
        can_miss && voted_then(&lost.records) && !voted_then(&node.journal)
    }

    /// All is healed, and all links are open: no peer knows of a vote as the last one of a bank that works on without
    /// it. One that has learned of a later vote, which that bank gave on its old copy, tells that one and misses none.
    pub(super) fn verify_missed(&self, lost: &Lost) {
        let (at, node) = (lost.at, &self.nodes[lost.at]);
        let Some(core) = node.core.as_ref() else {
            assert!(node.stopped, "bank {at} is up again, or has stopped");
            return;
        };
        let own = core.known_votes()[at];
        for (other, peer) in self.nodes.iter().enumerate().filter(|(other, _)| *other != at) {
            let known = peer.core.as_ref().unwrap().known_votes()[at];
            assert!(
                known <= own && !self.is_told_what_it_forgot(at, known),
                "bank {other} knows of a vote of bank {at} at {known}, which works on without it, up to {own}"
            );
        }
    }
}
