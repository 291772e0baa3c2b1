//! All that was ever said about each transaction's id, as an observer of everything knows it.

use crate::simulation::run::Simulation;
use consorcio::bank::io::Seq;
use consorcio::ids::{BankSet, Time, TxId};
use consorcio::wire::token::{Digest, Token, Verdict as Vote};
use consorcio::wire::transaction::Transaction;
use std::sync::Arc;

/// What was said about one id.
#[derive(Default)]
pub struct Facts {
    /// The bytes that somebody put forward under it, the honest ones first.
    pub versions: Vec<Version>,
    /// Each bank's one vote.
    pub votes: Vec<(usize, OneVote)>,
    /// Tokens that left a bank.
    pub tokens: Vec<Token>,
    /// What drivers and callers were told: bytes, and whether committed.
    pub told: Vec<(Option<Digest>, bool)>,
}

pub struct Version {
    pub transaction: Arc<Transaction>,
    pub ok: BankSet,
    pub committed: BankSet,
    pub aborted: BankSet,
    /// The commit's time, once committed anywhere.
    pub time: Option<Time>,
}

/// A bank's vote, and its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneVote {
    pub verdict: Vote,
    pub digest: Option<Digest>,
    pub time: Time,
    pub seq: Seq,
}

/// The number in an id.
pub fn number(tx: &TxId) -> usize {
    tx.as_str()[1..].parse().expect("ids of a simulation are numbers")
}

impl Facts {
    pub fn vote(&self, bank: usize) -> Option<OneVote> {
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

    /// These bytes are put forward under this id.
    pub fn put_forward(&mut self, tx: &TxId, transaction: &Arc<Transaction>) {
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

    /// Does this bank hold a durable OK on these bytes?
    pub fn durable_ok(&self, bank: usize, tx: &TxId, digest: &Digest) -> bool {
        self.facts[number(tx)].vote(bank).is_some_and(|vote| {
            vote.verdict == Vote::Ok
                && vote.digest == Some(*digest)
                && self.is_durable(bank, vote.seq)
        })
    }

    /// Holds some bank that these bytes name a durable vote that refuses them for ever?
    pub fn is_refused(&mut self, tx: &TxId, digest: &Digest) -> bool {
        let Some(version) = self.facts(tx).version(digest) else { return false };
        let named = version.transaction.banks();
        let votes = &self.facts[number(tx)].votes;
        let refuses = |vote: &OneVote| vote.verdict == Vote::No || vote.digest != Some(*digest);
        let named = |of: usize| consorcio::ids::BankId::new(of).is_some_and(|of| named.has(of));
        votes.iter().any(|(of, vote)| named(*of) && refuses(vote) && self.is_durable(*of, vote.seq))
    }

    pub fn is_durable(&self, bank: usize, seq: Seq) -> bool {
        seq <= self.durable(bank)
    }

    /// The newest record of a bank that no crash takes.
    pub fn durable(&self, bank: usize) -> Seq {
        Seq::try_from(self.world.nodes[bank].synced).unwrap()
    }
}
