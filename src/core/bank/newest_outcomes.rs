//! The newest outcomes of a bank, by id. The journal's index has older ones.

use crate::bank::io::Seq;
use crate::bank::known::Ended;
use crate::id_map::IdMap;
use crate::ids::TxId;
use crate::ledger::HashSeed;
use std::collections::VecDeque;

/// Outcomes in the order of the records that decided them, and by id.
#[derive(Debug, Clone)]
pub(crate) struct NewestOutcomes {
    /// Oldest first, each with the number of the deciding record.
    rows: VecDeque<(Seq, TxId, Ended)>,
    /// The number of the first row; rows are numbered without a gap.
    first: u64,
    numbers: IdMap<u64>,
}

impl NewestOutcomes {
    pub(super) fn seeded(seed: HashSeed) -> NewestOutcomes {
        NewestOutcomes { rows: VecDeque::new(), first: 0, numbers: IdMap::seeded(seed) }
    }

    pub(super) fn has(&self, tx: &TxId) -> bool {
        self.numbers.has(tx)
    }

    pub(super) fn get(&self, tx: &TxId) -> Option<&Ended> {
        let number = self.numbers.get(tx)?;
        let row = usize::try_from(number - self.first).ok().and_then(|row| self.rows.get(row));
        row.map(|(_, _, ended)| ended)
    }

    /// Adds the outcome that the record `seq` decided.
    ///
    /// # Panics
    /// If the id has an outcome already.
    pub(super) fn insert(&mut self, seq: Seq, tx: &TxId, ended: Ended) {
        let number = self.first + self.rows.len() as u64;
        assert!(self.numbers.insert(tx.clone(), number).is_none(), "{tx} has one outcome");
        self.rows.push_back((seq, tx.clone(), ended));
    }

    /// Drops outcomes of records up to `indexed`, oldest first, except for the newest `keep`, and
    /// at most `most`; returns whether more are left.
    pub(super) fn forget(&mut self, indexed: Seq, keep: usize, most: usize) -> bool {
        let mut left = most;
        while self.rows.len() > keep
            && let Some((_, tx, _)) = self.rows.pop_front_if(|(seq, ..)| *seq <= indexed)
        {
            self.first += 1;
            self.numbers.remove(&tx);
            left -= 1;
            if left == 0 {
                return true;
            }
        }
        false
    }
}
