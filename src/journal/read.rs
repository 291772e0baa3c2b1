//! Looking up old outcomes in full segments.

use super::batch::Batch;
use super::disk::Disk;
use super::files::OpenFiles;
use super::format::{JournalId, SEGMENT_HEADER_BYTES, segment_name};
use super::index::{IdHash, Index, Look, read_closed, write_index};
use super::{JournalError, Notice};
use crate::bank::io::Seq;
use crate::bank::record::Record;
use crate::ids::TxId;
use crate::limits::{
    JOURNAL_FILES_OPEN_MAX, JOURNAL_LEFT_FOR_NEW_BYTES, JOURNAL_LEFT_FOR_UNKNOWN_BYTES,
    OUTCOME_BATCH_BYTES_MAX,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Finds what full segments decide; cheap to clone, and usable while the appender works.
#[derive(Clone)]
pub struct Reader(Arc<Shared>);

/// What the appender, its threads and the readers share.
pub(super) struct Shared {
    pub disk: Arc<dyn Disk>,
    pub journal: JournalId,
    pub notice: Notice,
    /// One snapshot at a time.
    pub snapshot: Mutex<()>,
    hash: IdHash,
    /// Those of segments 1, 2, 3, …
    indexes: RwLock<Vec<Arc<Index>>>,
    indexed: AtomicU64,
    /// Files of full segments and their indexes.
    pub files: OpenFiles,
    /// Bytes that are left in the segment in use.
    pub left: AtomicU64,
    /// The next segment could not be made.
    pub no_next: AtomicBool,
    /// The newest segment that is or was in use: nobody may make it again. Held while a segment is made.
    pub taken: Mutex<u64>,
}

/// What a journal has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Outcomes of what is undecided, and nothing else.
    Outcomes,
    /// Those, and refusals of ids that this bank never met.
    Refusals,
    /// Anything.
    Anything,
}

impl Reader {
    pub(super) fn new(shared: &Arc<Shared>) -> Reader {
        Reader(Arc::clone(shared))
    }

    /// The record that decides `tx` ([`Record::decides`]), if it stands in a full segment that has its index.
    /// Where it does not, this costs no read but for about one in a thousand segments.
    ///
    /// # Errors
    /// When a file can't be read or the record is damaged.
    pub fn lookup(&self, tx: &TxId) -> Result<Option<Record>, JournalError> {
        let hash = self.0.hash.of(tx);
        let mut before = usize::MAX;
        while let Some((at, index)) = self.0.newest_with(hash, before) {
            let mut look = index.look(&self.0.files, tx)?;
            if matches!(look, Look::IndexBad) {
                look = self.0.rebuild(at, &index)?.look(&self.0.files, tx)?;
            }
            match look {
                Look::Found(record) => return Ok(Some(record)),
                Look::Not => before = at,
                Look::IndexBad => {
                    return Err(JournalError::Damaged {
                        file: super::place(self.0.disk.as_ref(), &super::format::index_name(index.segment)),
                        offset: 0,
                        why: "the index was made anew and can't be read".into(),
                    });
                }
            }
        }
        Ok(None)
    }

    /// Records up to this one are in full segments that have their index: memory may forget what they decide.
    pub fn indexed_up_to(&self) -> Seq {
        self.0.indexed.load(Ordering::Acquire)
    }

    /// What there is room for, with so many undecided transactions. While the next segment is there, or is being
    /// made: for anything.
    pub fn room(&self, undecided: usize) -> Room {
        if !self.0.no_next.load(Ordering::Acquire) {
            return Room::Anything;
        }
        let outcomes = OUTCOME_BATCH_BYTES_MAX.saturating_mul(u64::try_from(undecided).unwrap_or(u64::MAX));
        let left = self.0.left.load(Ordering::Acquire).saturating_sub(outcomes);
        if left > JOURNAL_LEFT_FOR_NEW_BYTES {
            Room::Anything
        } else if left > JOURNAL_LEFT_FOR_UNKNOWN_BYTES {
            Room::Refusals
        } else {
            Room::Outcomes
        }
    }

    /// Tells the operator.
    pub fn notice(&self, text: &str) {
        (self.0.notice)(text);
    }

    /// An empty batch for this journal.
    pub fn batch(&self) -> Batch {
        Batch::new(&self.0.journal)
    }
}

impl Shared {
    pub fn new(disk: Arc<dyn Disk>, journal: JournalId, notice: Notice, indexes: Vec<Index>) -> Shared {
        let indexed = indexes.last().map_or(0, |index| index.last);
        let files = OpenFiles::new(Arc::clone(&disk), JOURNAL_FILES_OPEN_MAX);
        indexes.iter().rev().take(JOURNAL_FILES_OPEN_MAX / 2).for_each(|index| files.keep(index.segment));
        Shared {
            files,
            left: AtomicU64::new(u64::MAX),
            no_next: AtomicBool::new(false),
            taken: Mutex::new(0),
            disk,
            journal,
            notice,
            snapshot: Mutex::new(()),
            hash: IdHash::new(&journal),
            indexes: RwLock::new(indexes.into_iter().map(Arc::new).collect()),
            indexed: AtomicU64::new(indexed),
        }
    }

    /// Adds the index of the next full segment.
    pub fn add(&self, index: Index) {
        let last = index.last;
        self.files.keep(index.segment);
        self.indexes.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(index));
        self.indexed.store(last, Ordering::Release);
    }

    /// How many full segments have their index: 1, 2, … up to this one.
    pub fn indexed_segments(&self) -> u64 {
        self.indexes.read().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// The newest index before place `before` whose filter lets `hash` by.
    fn newest_with(&self, hash: u64, before: usize) -> Option<(usize, Arc<Index>)> {
        let indexes = self.indexes.read().unwrap_or_else(PoisonError::into_inner);
        let before = before.min(indexes.len());
        let at = indexes[..before].iter().rposition(|index| index.may_have(hash))?;
        Some((at, Arc::clone(&indexes[at])))
    }

    /// Makes a damaged index again from its segment. What it held must all be there: a segment that ends too early
    /// would make of a decided id an unknown one.
    fn rebuild(&self, at: usize, before: &Index) -> Result<Arc<Index>, JournalError> {
        let segment = before.segment;
        (self.notice)(&format!("the index of segment {segment} is damaged and is made again"));
        let disk = self.disk.as_ref();
        let mut closed = read_closed(disk, &self.journal, segment)?;
        if (closed.first, closed.last, closed.entries.len()) != (before.first, before.last, before.entries())
        {
            return Err(JournalError::Damaged {
                file: super::place(disk, &segment_name(segment)),
                offset: SEGMENT_HEADER_BYTES,
                why: format!(
                    "it holds records {} to {} now, and held {} to {} when its index was made",
                    closed.first, closed.last, before.first, before.last
                ),
            });
        }
        let index = Arc::new(write_index(disk, &self.journal, &mut closed)?);
        self.files.forget_index(segment);
        self.indexes.write().unwrap_or_else(PoisonError::into_inner)[at] = Arc::clone(&index);
        Ok(index)
    }
}
