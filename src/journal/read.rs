//! Look-ups of old outcomes in full segments.

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

/// Finds the outcomes in full segments; cheap to clone, and usable while the appender works.
#[derive(Clone)]
pub struct JournalReader(Arc<SharedJournal>);

/// The cost of look-ups in full segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LookupCost {
    /// How many filters were queried, in memory and on disk.
    pub filters: u64,
    /// How many pages of indexes were read, including filters on disk.
    pub pages: u64,
    /// How many indexes there are.
    pub indexes: usize,
    /// The memory of their filters.
    pub filter_bytes: u64,
}

/// What a journal has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Outcomes of undecided transactions only.
    Outcomes,
    /// Outcomes, and refusals of unknown ids.
    Refusals,
    /// There is room for every request.
    Anything,
}

impl JournalReader {
    pub(super) fn new(shared: &Arc<SharedJournal>) -> JournalReader {
        JournalReader(Arc::clone(shared))
    }

    /// The record that decides `tx` ([`Record::decides`]), if it is in a full segment with an
    /// index.
    ///
    /// Queries the filter of each index. There are fewer than 8 indexes in each tier, and as many
    /// tiers as the number of full segments has digits in base 8. For an unknown id this needs no
    /// read, except for about one in a thousand of the indexes with a filter in memory, and one
    /// page for each of the others.
    ///
    /// # Errors
    /// If a file can't be read, or the record or a merged index is damaged.
    pub fn lookup(&self, tx: &TxId) -> Result<Option<Record>, JournalError> {
        self.0.find(tx)
    }

    /// The cost of look-ups since the journal was opened, and that of the indexes now.
    pub fn cost(&self) -> LookupCost {
        let (filters, pages) = self.0.costs();
        let indexes = self.0.indexes();
        let filter_bytes = indexes.iter().map(|index| index.kept_bytes()).sum();
        LookupCost { filters, pages, indexes: indexes.len(), filter_bytes }
    }

    /// Records up to this one are in full segments with an index: their outcomes may be dropped
    /// from memory.
    pub fn indexed_up_to(&self) -> Seq {
        self.0.indexed()
    }

    /// What there is room for, with so many undecided transactions: for anything, unless the next
    /// segment can't be created.
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

    /// Is a view of the state held, until its snapshot is written?
    pub fn holds_view(&self) -> bool {
        self.0.plan.is_under_way()
    }

    /// Gives up the snapshot under way, because the memory of its view is needed.
    pub fn give_up_snapshot(&self) {
        self.0.plan.give_up();
    }

    /// Reports a line to the operator.
    pub fn notice(&self, text: &str) {
        (self.0.notice)(text);
    }

    /// An empty batch for this journal.
    pub fn batch(&self) -> Batch {
        Batch::new(&self.0.journal, &self.0.plan)
    }
}
