//! Where a segment ends because a snapshot is due there.
//!
//! A snapshot holds the state as of the last record of a full segment. Only the bank's writer has
//! that state, and it has gone on to later records when the appender finds that a batch does not
//! fit. So where a snapshot is due, the writer ends the segment: with a batch after which little
//! room is left it hands over a view of its state, and the appender goes on in the next segment.

use super::replica::StateView;
use super::{JournalOptions, SegmentSizes};
use consorcio_core::bank::io::Seq;
use consorcio_core::limits::SEGMENT_END_PART;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Decides where segments end for snapshots, and keeps the view of the next snapshot.
pub(super) struct SnapshotPlan {
    sizes: SegmentSizes,
    /// A snapshot is due after so many segments; 0: never.
    every: u64,
    /// The segment of the next batch, its size, and how much room it has left.
    segment: AtomicU64,
    size: AtomicU64,
    left: AtomicU64,
    /// The last segment in the newest snapshot.
    covered: AtomicU64,
    /// A view is in a batch, with the appender, or being written.
    under_way: AtomicBool,
    /// The snapshot under way is not worth its memory any more.
    given_up: AtomicBool,
    waiting: Mutex<Option<DueView>>,
}

/// A view whose snapshot is due. The next one may be taken once this is dropped.
pub(super) struct DueView {
    view: Option<Box<dyn StateView>>,
    seq: Seq,
    /// The full segment that ends with it.
    pub segment: u64,
    plan: Arc<SnapshotPlan>,
}

impl SnapshotPlan {
    pub(crate) fn new(options: &JournalOptions) -> SnapshotPlan {
        SnapshotPlan {
            sizes: options.sizes,
            every: options.snapshot_after_segments,
            segment: AtomicU64::new(0),
            size: AtomicU64::new(0),
            left: AtomicU64::new(0),
            covered: AtomicU64::new(0),
            under_way: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    /// Sets where the next batch will be written.
    pub(crate) fn set_place(&self, segment: u64, size: u64, left: u64) {
        self.segment.store(segment, Ordering::Relaxed);
        self.size.store(size, Ordering::Relaxed);
        self.left.store(left, Ordering::Release);
    }

    /// The next batch will begin segment `number`.
    pub(crate) fn set_begin_of(&self, number: u64) {
        let size = self.sizes.of(number);
        self.set_place(number, size, size);
    }

    /// A snapshot contains all records up to the end of this segment.
    pub(crate) fn set_covered(&self, segment: u64) {
        self.covered.store(segment, Ordering::Relaxed);
    }

    /// Is a snapshot due at the end of `segment`?
    fn is_due(&self, segment: u64) -> bool {
        let since = segment.saturating_sub(self.covered.load(Ordering::Relaxed));
        self.every > 0 && since >= self.every && !self.is_under_way()
    }

    /// Is a view of the state held?
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way.load(Ordering::Acquire)
    }

    /// Must the segment end with the next batch, of so many bytes, for a snapshot? Yes if one is
    /// due, and another two like it may not fit.
    pub(crate) fn ends_with(&self, bytes: u64) -> bool {
        let left = self.left.load(Ordering::Acquire);
        let Some(rest) = left.checked_sub(bytes) else { return false };
        let size = self.size.load(Ordering::Relaxed);
        rest < (size / SEGMENT_END_PART).max(2 * bytes)
            && self.is_due(self.segment.load(Ordering::Relaxed))
    }

    /// Gives the snapshot under way up.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Keeps a view until its snapshot is written.
    pub(crate) fn keep(&self, due: DueView) {
        let before = self.lock().replace(due);
        assert!(before.is_none(), "one view is under way at a time");
    }

    /// Takes the view to be written, if its segment is among the first `indexed`.
    pub(crate) fn take(&self, indexed: u64) -> Option<DueView> {
        self.lock().take_if(|due| due.segment <= indexed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<DueView>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DueView {
    /// A view as of the last record of `segment`.
    pub(crate) fn new(plan: &Arc<SnapshotPlan>, view: Box<dyn StateView>, segment: u64) -> DueView {
        plan.under_way.store(true, Ordering::Release);
        plan.given_up.store(false, Ordering::Relaxed);
        DueView { seq: view.seq(), view: Some(view), segment, plan: Arc::clone(plan) }
    }

    /// A view as of the last record of the next batch.
    pub(crate) fn of_next(plan: &Arc<SnapshotPlan>, view: Box<dyn StateView>) -> DueView {
        DueView::new(plan, view, plan.segment.load(Ordering::Relaxed))
    }

    /// The number of the last record in it.
    pub(crate) fn seq(&self) -> Seq {
        self.seq
    }

    /// The state, to be written.
    pub(crate) fn take_state(&mut self) -> Option<Box<dyn StateView>> {
        self.view.take()
    }
}

impl Drop for DueView {
    fn drop(&mut self) {
        // Before the flag: otherwise two states could be held.
        self.view = None;
        self.plan.under_way.store(false, Ordering::Release);
    }
}
