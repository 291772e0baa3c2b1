//! State shared by the appender, its threads and the readers: above all the list of indexes.

use super::backlog::Backlog;
use super::ends::SnapshotPlan;
use super::files::{FileOf, Files};
use super::format::SegmentSpan;
use super::format::{JournalId, SEGMENT_HEADER_BYTES, segment_name};
use super::index::{Cost, IdHash, Index, Lookup, kept, read_closed, write_index};
use super::{Disk, JournalError, JournalOptions, display_path};
use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use consorcio_core::ids::TxId;
use consorcio_core::limits::JOURNAL_FILES_OPEN_MAX;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// The indexes of segments 1 to the last full one, in order. Immutable: a new list replaces it.
pub(super) type IndexList = Arc<Vec<Arc<Index>>>;

/// State shared by the appender, its threads and the readers.
pub(super) struct SharedJournal {
    pub disk: Arc<dyn Disk>,
    pub journal: JournalId,
    pub notice: super::NoticeSink,
    /// Where segments end for snapshots.
    pub plan: Arc<SnapshotPlan>,
    hash: IdHash,
    indexes: RwLock<IndexList>,
    filter_bytes_max: u64,
    indexed: AtomicU64,
    /// Open files of full segments and their indexes.
    pub files: Files,
    /// Damaged indexes that are not rebuilt yet.
    damaged: Mutex<BTreeSet<SegmentSpan>>,
    /// Held while an index is rebuilt.
    rebuilding: Mutex<()>,
    /// Full segments without an index.
    backlog: Mutex<Backlog>,
    /// Wakes the history thread, if there is one. At most one wake-up is queued, because the thread
    /// then does all the work there is.
    pub wake: Mutex<Option<SyncSender<()>>>,
    /// The cost of look-ups.
    filters_asked: AtomicU64,
    pages_read: AtomicU64,
    /// How many bytes are left in the segment in use.
    pub left: AtomicU64,
    /// The next segment could not be created.
    pub no_next: AtomicBool,
    /// The newest segment that is or was in use, and must not be created again. Held while a
    /// segment is created.
    pub taken: Mutex<u64>,
}

impl SharedJournal {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        journal: JournalId,
        options: &JournalOptions,
        indexes: Vec<Index>,
    ) -> SharedJournal {
        let indexed = indexes.last().map_or(0, |index| index.last);
        let segments = indexes.last().map_or(0, |index| index.span.last);
        let files = Files::new(Arc::clone(&disk), JOURNAL_FILES_OPEN_MAX);
        let most = JOURNAL_FILES_OPEN_MAX / 2;
        indexes.iter().rev().take(most).for_each(|index| files.keep(FileOf::Index(index.span)));
        (1..=segments).rev().take(most).for_each(|segment| files.keep(FileOf::Segment(segment)));
        SharedJournal {
            files,
            left: AtomicU64::new(u64::MAX),
            no_next: AtomicBool::new(false),
            taken: Mutex::new(0),
            disk,
            journal,
            notice: Arc::clone(&options.notice),
            plan: Arc::new(SnapshotPlan::new(options)),
            hash: IdHash::new(&journal),
            indexes: RwLock::new(Arc::new(indexes.into_iter().map(Arc::new).collect())),
            filter_bytes_max: options.index.filter_bytes_max,
            indexed: AtomicU64::new(indexed),
            damaged: Mutex::default(),
            rebuilding: Mutex::new(()),
            backlog: Mutex::default(),
            wake: Mutex::default(),
            filters_asked: AtomicU64::new(0),
            pages_read: AtomicU64::new(0),
        }
    }

    /// The indexes as of now.
    pub(crate) fn indexes(&self) -> IndexList {
        Arc::clone(&self.indexes.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds the index of the next full segment.
    pub(crate) fn add(&self, index: Index) {
        let last = index.last;
        self.files.keep(FileOf::Index(index.span));
        self.files.keep(FileOf::Segment(index.span.last));
        self.change(|list| {
            list.push(Arc::new(index));
            true
        });
        self.indexed.store(last, Ordering::Release);
    }

    /// Replaces the indexes of these segments by new ones; `false` if there are no indexes of
    /// exactly these segments.
    pub(crate) fn replace(&self, span: SegmentSpan, new: Vec<Index>) -> bool {
        self.change(|list| {
            let begin = list.iter().position(|index| index.span.first == span.first);
            let end = list.iter().position(|index| index.span.last == span.last);
            let (Some(begin), Some(end)) = (begin, end) else { return false };
            list.splice(begin..=end, new.into_iter().map(Arc::new));
            true
        })
    }

    /// Changes the list, and drops filters that do not fit memory any more.
    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Index>>) -> bool) -> bool {
        let mut indexes = self.indexes.write().unwrap_or_else(PoisonError::into_inner);
        let mut list = indexes.to_vec();
        let changed = change(&mut list);
        if changed {
            let keeps = self.kept_of(&list);
            for (index, keep) in list.iter_mut().zip(keeps) {
                if !keep && index.has_filter() {
                    *index = Arc::new(index.without_filter());
                }
            }
            *indexes = Arc::new(list);
        }
        changed
    }

    fn kept_of(&self, list: &[Arc<Index>]) -> Vec<bool> {
        let sizes: Vec<u64> = list.iter().map(|index| index.filter_bytes()).collect();
        kept(&sizes, self.filter_bytes_max)
    }

    /// Loads the filters that fit in memory. For a filter that can't be read now, pages are read on
    /// disk.
    pub(crate) fn load_filters(&self) {
        let list = self.indexes();
        for (index, _) in list
            .iter()
            .zip(self.kept_of(&list))
            .filter(|(index, keep)| *keep && !index.has_filter())
        {
            match index.with_filter(self.disk.as_ref()) {
                Ok(Some(with)) => {
                    self.replace(index.span, vec![with]);
                }
                Ok(None) => self.report(index.span),
                Err(error) => {
                    (self.notice)(&format!("the filter of an index stays on disk: {error}"))
                }
            }
        }
    }

    /// How many full segments have an index: 1, 2, … up to this one.
    pub(crate) fn indexed_segments(&self) -> u64 {
        self.indexes().last().map_or(0, |index| index.span.last)
    }

    /// The last record in them.
    pub(crate) fn indexed(&self) -> Seq {
        self.indexed.load(Ordering::Acquire)
    }

    /// The cost of look-ups: filters queried, and pages of indexes read.
    pub(crate) fn costs(&self) -> (u64, u64) {
        (self.filters_asked.load(Ordering::Relaxed), self.pages_read.load(Ordering::Relaxed))
    }

    /// The record in the full segments that decides `tx`. Searches the indexes, the newest first.
    pub(crate) fn find(&self, tx: &TxId) -> Result<Option<Record>, JournalError> {
        let mut cost = Cost::default();
        let found = self.find_in_all(tx, &mut cost);
        self.filters_asked.fetch_add(cost.filters, Ordering::Relaxed);
        self.pages_read.fetch_add(cost.pages, Ordering::Relaxed);
        found
    }

    fn find_in_all(&self, tx: &TxId, cost: &mut Cost) -> Result<Option<Record>, JournalError> {
        let hash = self.hash.of(tx);
        let mut list = self.indexes();
        'with_new_list: loop {
            for index in list.iter().rev() {
                match index.find(&self.files, tx, hash, cost)? {
                    Lookup::Found(record) => return Ok(Some(record)),
                    Lookup::Not => {}
                    Lookup::IndexBad => {
                        // The file of an index is removed once a merged index has replaced it.
                        let now = self.indexes();
                        if !Arc::ptr_eq(&now, &list) {
                            list = now;
                            continue 'with_new_list;
                        }
                        match self.rebuild(index)?.find(&self.files, tx, hash, cost)? {
                            Lookup::Found(record) => return Ok(Some(record)),
                            Lookup::Not => {}
                            Lookup::IndexBad => {
                                return Err(self.unreadable(index.span, "and can't be read"));
                            }
                        }
                    }
                }
            }
            return Ok(None);
        }
    }

    /// Rebuilds the damaged index of one segment. One of several segments takes too long for a
    /// look-up: the history thread rebuilds it, and until then its ids are unknown.
    fn rebuild(&self, before: &Index) -> Result<Index, JournalError> {
        if before.span.segments() > 1 {
            self.report(before.span);
            return Err(
                self.unreadable(before.span, "from its segments; until then this id is not known")
            );
        }
        let _one_at_a_time = self.rebuilding();
        if self.damaged().contains(&before.span) {
            return Err(
                self.unreadable(before.span, "from its segment; until then this id is not known")
            );
        }
        let made = self.rebuild_one(before);
        if made.is_err() {
            // Further look-ups do not try again.
            self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(before.span);
        }
        made
    }

    fn rebuild_one(&self, before: &Index) -> Result<Index, JournalError> {
        let (disk, segment) = (self.disk.as_ref(), before.span.first);
        (self.notice)(&format!("the index of segment {segment} is damaged and is made again"));
        let mut closed = read_closed(disk, &self.journal, segment)?;
        // Everything that the index contained must be found: a segment that ends too early would
        // make a decided id unknown.
        if (closed.first, closed.last, closed.entries.len())
            != (before.first, before.last, before.entries())
        {
            return Err(JournalError::Damaged {
                file: display_path(disk, &segment_name(segment)),
                offset: SEGMENT_HEADER_BYTES,
                why: format!(
                    "it holds records {} to {} now, and held {} to {} when its index was made",
                    closed.first, closed.last, before.first, before.last
                ),
            });
        }
        let index = write_index(disk, &self.journal, &mut closed)?;
        self.files.forget_index(before.span);
        self.replace(before.span, vec![index.clone()]);
        Ok(index)
    }

    fn unreadable(&self, span: SegmentSpan, what: &str) -> JournalError {
        JournalError::Damaged {
            file: display_path(self.disk.as_ref(), &span.name()),
            offset: 0,
            why: format!("the index is damaged; it is made again {what}"),
        }
    }

    /// The lock that is held while an index is rebuilt.
    pub(crate) fn rebuilding(&self) -> MutexGuard<'_, ()> {
        self.rebuilding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports a damaged index: it is to be rebuilt, and no merge uses it until then.
    pub(crate) fn report(&self, span: SegmentSpan) {
        if self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(span) {
            (self.notice)(&format!(
                "{}: damaged, is made again from its segments ({})",
                display_path(self.disk.as_ref(), &span.name()),
                span.segments()
            ));
            self.wake();
        }
    }

    /// Wakes the history thread.
    pub(crate) fn wake(&self) {
        if let Some(wake) = &*self.wake.lock().unwrap_or_else(PoisonError::into_inner) {
            // If the channel is full, a wake-up is already queued. If it is closed, the journal was
            // closed or the thread ended: then memory keeps the outcomes.
            let _awake_or_gone = wake.try_send(());
        }
    }

    /// Full segments without an index.
    pub(crate) fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of these segments is valid again.
    pub(crate) fn repaired(&self, span: SegmentSpan) {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).remove(&span);
    }

    /// The indexes that are damaged.
    pub(crate) fn damaged(&self) -> BTreeSet<SegmentSpan> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
