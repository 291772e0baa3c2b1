//! Everything that banks recorded and sent about each transaction's id, as an observer of all of
//! them sees it.

use crate::simulation::run::Simulation;
use consorcio_core::bank::io::Seq;
use consorcio_core::ids::{BankId, BankSet, Time, TxId};
use consorcio_core::wire::token::{Digest, Token, Vote};
use consorcio_core::wire::transaction::Transaction;
use std::sync::Arc;

/// What is known about one id.
#[derive(Default)]
pub struct Facts {
    /// The transactions that were sent under it, the honest ones first.
    pub versions: Vec<Version>,
    /// Each bank's one vote.
    pub votes: Vec<(usize, ObservedVote)>,
    /// Tokens that a bank sent.
    pub tokens: Vec<Token>,
    /// Outcomes that drivers and callers received: the bytes, and whether committed.
    pub reported: Vec<(Option<Digest>, bool)>,
}

pub struct Version {
    pub transaction: Arc<Transaction>,
    pub ok: BankSet,
    pub committed: BankSet,
    pub aborted: BankSet,
    /// The commit time, once committed anywhere.
    pub time: Option<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedVote {
    pub vote: Vote,
    pub digest: Option<Digest>,
    pub time: Time,
    pub seq: Seq,
}

pub fn number(tx: &TxId) -> usize {
    tx.as_str()[1..].parse().expect("ids of a simulation are numbers")
}

impl Facts {
    pub fn vote(&self, bank: usize) -> Option<ObservedVote> {
        self.votes.iter().find(|(of, _)| *of == bank).map(|(_, vote)| *vote)
    }

    pub fn version(&mut self, digest: &Digest) -> Option<&mut Version> {
        self.versions.iter_mut().find(|version| version.transaction.digest() == digest)
    }
}

impl Simulation<'_> {
    pub fn facts(&mut self, tx: &TxId) -> &mut Facts {
        &mut self.facts[number(tx)]
    }

    /// Registers a transaction that is sent under an id.
    pub fn add_version(&mut self, tx: &TxId, transaction: &Arc<Transaction>) {
        let facts = self.facts(tx);
        if facts.version(transaction.digest()).is_none() {
            facts.versions.push(Version {
                transaction: Arc::clone(transaction),
                ok: BankSet::EMPTY,
                committed: BankSet::EMPTY,
                aborted: BankSet::EMPTY,
                time: None,
            });
        }
    }

    pub fn durable_ok(&self, bank: usize, tx: &TxId, digest: &Digest) -> bool {
        self.facts[number(tx)].vote(bank).is_some_and(|vote| {
            vote.vote == Vote::Ok && vote.digest == Some(*digest) && self.is_durable(bank, vote.seq)
        })
    }

    /// A bank that these bytes name holds a durable vote that refuses them permanently.
    pub fn is_refused(&mut self, tx: &TxId, digest: &Digest) -> bool {
        let Some(version) = self.facts(tx).version(digest) else { return false };
        let named = version.transaction.banks();
        let votes = &self.facts[number(tx)].votes;
        let refuses = |vote: &ObservedVote| vote.vote == Vote::No || vote.digest != Some(*digest);
        let named = |of: usize| BankId::new(of).is_some_and(|of| named.has(of));
        votes.iter().any(|(of, vote)| named(*of) && refuses(vote) && self.is_durable(*of, vote.seq))
    }

    pub fn is_durable(&self, bank: usize, seq: Seq) -> bool {
        seq <= self.durable(bank)
    }

    /// The newest durable record of a bank.
    pub fn durable(&self, bank: usize) -> Seq {
        Seq::try_from(self.world.nodes[bank].synced).unwrap()
    }
}
