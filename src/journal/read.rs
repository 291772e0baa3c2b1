//! Looking up old outcomes in full segments.

use super::JournalError;
use super::batch::Batch;
use super::shared::SharedJournal;
use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use consorcio_core::ids::TxId;
use consorcio_core::limits::{
    JOURNAL_LEFT_FOR_NEW_BYTES, JOURNAL_LEFT_FOR_UNKNOWN_BYTES, OUTCOME_BATCH_BYTES_MAX,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Finds what full segments decide; cheap to clone, and usable while the appender works.
#[derive(Clone)]
pub struct Reader(Arc<SharedJournal>);

/// What look-ups in old segments cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LookupCost {
    /// Filters that were asked, in memory and on disk.
    pub filters: u64,
    /// Pages of indexes that were read, those of filters on disk among them.
    pub pages: u64,
    /// Indexes that there are.
    pub indexes: usize,
    /// Memory of their filters.
    pub filter_bytes: u64,
}

/// What a journal has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Outcomes of what is undecided, and nothing else.
    Outcomes,
    /// Those, and refusals of ids that this bank never met.
    Refusals,
    /// There is room for every request.
    Anything,
}

impl Reader {
    pub(super) fn new(shared: &Arc<SharedJournal>) -> Reader {
        Reader(Arc::clone(shared))
    }

    /// The record that decides `tx` ([`Record::decides`]), if it stands in a full segment that has
    /// its index.
    ///
    /// Asks a filter of each index, of which there are fewer than 8 a tier, and as many tiers as
    /// the number of full segments has digits to the base 8. Where the id is not there, this costs
    /// no read but for about one in a thousand of the indexes whose filter is in memory, and one
    /// page of each of the others.
    ///
    /// # Errors
    /// When a file can't be read, or the record or a merged index is damaged.
    pub fn lookup(&self, tx: &TxId) -> Result<Option<Record>, JournalError> {
        self.0.find(tx)
    }

    /// What look-ups have cost since the journal was opened, and what the indexes cost now.
    pub fn cost(&self) -> LookupCost {
        let (filters, pages) = self.0.costs();
        let indexes = self.0.indexes();
        let filter_bytes = indexes.iter().map(|index| index.kept_bytes()).sum();
        LookupCost { filters, pages, indexes: indexes.len(), filter_bytes }
    }

    /// Records up to this one are in full segments that have their index: memory may forget what
    /// they decide.
    pub fn indexed_up_to(&self) -> Seq {
        self.0.indexed()
    }

    /// What there is room for, with so many undecided transactions. While the next segment is
    /// there, or is being made: for anything.
    pub fn room(&self, undecided: usize) -> Room {
        if !self.0.no_next.load(Ordering::Acquire) {
            return Room::Anything;
        }
        let outcomes =
            OUTCOME_BATCH_BYTES_MAX.saturating_mul(u64::try_from(undecided).unwrap_or(u64::MAX));
        let left = self.0.left.load(Ordering::Acquire).saturating_sub(outcomes);
        if left > JOURNAL_LEFT_FOR_NEW_BYTES {
            Room::Anything
        } else if left > JOURNAL_LEFT_FOR_UNKNOWN_BYTES {
            Room::Refusals
        } else {
            Room::Outcomes
        }
    }

    /// Reports one line to the operator.
    pub fn notice(&self, text: &str) {
        (self.0.notice)(text);
    }

    /// An empty batch for this journal.
    pub fn batch(&self) -> Batch {
        Batch::new(&self.0.journal)
    }
}
