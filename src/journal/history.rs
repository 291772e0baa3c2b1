//! Maintains full segments: writes the index of each, merges eight indexes into one, rebuilds
//! damaged ones, and makes snapshots.
//!
//! Writing an index has priority, since memory keeps the outcomes until then. Merges and repairs
//! are done in pieces whenever nothing else is waiting; the caller, a thread or the appender's own,
//! decides when.

use super::format::SegmentSpan;
use super::index::{Halt, Index, Merge, Repair, due, write_index};
use super::shared::{IndexList, SharedJournal};
use super::snapshot::WrittenSnapshot;
use super::{JournalOptions, snapshot};
use consorcio_system::crash::{self, Step};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};

/// Maintains the indexes and snapshots of full segments.
pub(super) struct HistoryKeeper {
    shared: Arc<SharedJournal>,
    options: JournalOptions,
    stop: Arc<AtomicBool>,
    /// The newest full segment when an index could not be written: it is tried again once another
    /// segment is full.
    failed_at: Option<u64>,
    /// The merge or repair in progress.
    work: Option<HistoryWork>,
    /// A merge failed: none is tried again before the next segment is full.
    paused: bool,
    /// Indexes that can't be rebuilt, because their segments can't be read.
    lost: BTreeSet<SegmentSpan>,
}

enum HistoryWork {
    Merge(Box<Merge>, IndexList),
    Repair(Repair),
}

impl HistoryKeeper {
    pub(crate) fn new(
        shared: &Arc<SharedJournal>,
        options: &JournalOptions,
        stop: &Arc<AtomicBool>,
    ) -> HistoryKeeper {
        HistoryKeeper {
            shared: Arc::clone(shared),
            options: options.clone(),
            stop: Arc::clone(stop),
            failed_at: None,
            work: None,
            paused: false,
            lost: BTreeSet::new(),
        }
    }

    /// Writes indexes of full segments, and does a piece of a merge or repair after each, until the
    /// sender is dropped. Segments that are full by then still get their index; the rest waits for
    /// the next start.
    pub(crate) fn run(mut self, woken: &Receiver<()>) {
        self.snapshot_when_due();
        loop {
            let there_is_more = self.has_backlog() || self.has_work();
            let ended = if there_is_more {
                woken.try_recv() == Err(TryRecvError::Disconnected)
            } else {
                woken.recv().is_err()
            };
            if ended {
                break;
            }
            self.index_next();
            // Even if the next segment is already full: otherwise segments that fill fast could
            // delay merges forever. A piece has at most `merge_step_entries` entries.
            if !self.stop.load(Ordering::Relaxed) {
                self.work();
            }
        }
        while self.index_next() {}
        self.discard_work();
    }

    /// Does all the work there is now.
    pub(crate) fn run_all(&mut self) {
        self.snapshot_when_due();
        while self.index_next() {}
        while self.has_work() {
            self.work();
        }
    }

    /// Is there a full segment whose index can be written?
    fn has_backlog(&self) -> bool {
        let newest = self.shared.backlog().newest();
        newest.is_some() && newest != self.failed_at
    }

    /// Writes the index of the oldest full segment without one. `false` if there is none, or it
    /// can't be written now.
    fn index_next(&mut self) -> bool {
        if !self.has_backlog() {
            return false;
        }
        let Some(mut taken) = self.shared.backlog().take() else { return false };
        self.paused = false;
        let (disk, journal) = (self.shared.disk.as_ref(), &self.shared.journal);
        let made = taken
            .closed(disk, journal)
            .and_then(|mut closed| write_index(disk, journal, &mut closed));
        match made {
            Ok(index) => {
                self.failed_at = None;
                self.shared.add(index);
                self.snapshot_when_due();
                true
            }
            Err(error) => {
                let mut backlog = self.shared.backlog();
                backlog.put_back(taken.size);
                self.failed_at = backlog.newest();
                drop(backlog);
                (self.shared.notice)(&format!(
                    "no index for segment {} yet, memory keeps its outcomes: {error}",
                    taken.segment
                ));
                false
            }
        }
    }

    /// Writes the snapshot that is due, if its segment has an index.
    fn snapshot_when_due(&self) {
        let full = self.shared.indexed_segments();
        let Some(due) = self.shared.plan.take(full) else { return };
        let segments = due.segment;
        match snapshot::write(&self.shared, due, &self.stop) {
            Ok(WrittenSnapshot::Whole) => self.shared.plan.set_covered(segments),
            Ok(WrittenSnapshot::GivenUp) => (self.shared.notice)(&format!(
                "no snapshot of {segments} segments: too much changed while it was written; the \
                 next one is made once more segments are full"
            )),
            Err(_) if self.stop.load(Ordering::Relaxed) => {}
            Err(error) => {
                (self.shared.notice)(&format!("no snapshot of {segments} segments: {error}"));
            }
        }
    }

    /// Is there anything to merge or to rebuild? Scans the indexes.
    fn has_work(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && (self.work.is_some() || self.next().is_some())
    }

    /// The next work: a damaged index to rebuild, or indexes to merge. None while the disk has no
    /// room for the next segment, because what is left is reserved for that.
    fn next(&self) -> Option<NextWork> {
        if self.shared.no_next.load(Ordering::Acquire) {
            return None;
        }
        let damaged = self.shared.damaged();
        if let Some(span) = damaged.difference(&self.lost).next() {
            return Some(NextWork::Repair(*span));
        }
        if self.paused {
            return None;
        }
        let list = self.shared.indexes();
        let spans: Vec<SegmentSpan> = list.iter().map(|index| index.span).collect();
        let group = due(&spans, |span| damaged.contains(&span))?;
        Some(NextWork::Merge(Arc::new(list[group].to_vec())))
    }

    /// Does one piece of work.
    fn work(&mut self) {
        let disk = self.shared.disk.as_ref();
        let work = match self.work.take() {
            Some(work) => Ok(work),
            None => match self.next() {
                Some(NextWork::Merge(inputs)) => Merge::begin(disk, &self.shared.journal, &inputs)
                    .map(|merge| HistoryWork::Merge(Box::new(merge), inputs)),
                Some(NextWork::Repair(span)) => return self.begin_repair(span),
                None => return,
            },
        };
        match work {
            Ok(HistoryWork::Merge(mut merge, inputs)) => {
                let done =
                    merge.step(disk, self.options.index.merge_step_entries).and_then(|whole| {
                        Ok(whole.map(|index| merge.name(disk).map(|()| index)).transpose()?)
                    });
                match done {
                    Ok(None) => self.work = Some(HistoryWork::Merge(merge, inputs)),
                    Ok(Some(index)) => self.merged(index, &inputs),
                    Err(halt) => {
                        merge.discard(disk);
                        self.halted(halt);
                    }
                }
            }
            Ok(HistoryWork::Repair(repair)) => self.continue_repair(repair),
            Err(halt) => self.halted(halt),
        }
    }

    /// Uses a merged index, which is durable, and removes its inputs.
    fn merged(&mut self, index: Index, inputs: &IndexList) {
        let span = index.span;
        self.shared.files.keep(super::files::FileOf::Index(span));
        if !self.shared.replace(span, vec![index]) {
            return;
        }
        self.shared.load_filters();
        crash::step(Step::MergeUsed);
        for input in inputs.iter() {
            self.shared.files.forget_index(input.span);
            // If it can't be removed, the next start removes it.
            let _removed_later = self.shared.disk.remove(&input.span.name());
            crash::step(Step::MergeRemoved);
        }
    }

    fn halted(&mut self, halt: Halt) {
        match halt {
            Halt::Input(span) => self.shared.report(span),
            Halt::Error(error) => {
                self.paused = true;
                if !self.stop.load(Ordering::Relaxed) {
                    (self.shared.notice)(&format!(
                        "indexes are not merged for now, which costs time alone: {error}"
                    ));
                }
            }
        }
    }

    fn begin_repair(&mut self, span: SegmentSpan) {
        let list = self.shared.indexes();
        match list.iter().find(|index| index.span == span) {
            Some(index) => self.continue_repair(Repair::begin(Arc::clone(index))),
            // A merged index has replaced it.
            None => self.shared.repaired(span),
        }
    }

    /// Rebuilds the index of one more segment.
    fn continue_repair(&mut self, mut repair: Repair) {
        let (disk, span) = (self.shared.disk.as_ref(), repair.span());
        let made = {
            let _one_at_a_time = self.shared.rebuilding();
            repair.step(disk, &self.shared.journal)
        };
        match made {
            Ok(None) => self.work = Some(HistoryWork::Repair(repair)),
            Ok(Some(indexes)) => {
                let is_one = indexes.len() == 1;
                self.shared.replace(span, indexes);
                self.shared.files.forget_index(span);
                if !is_one {
                    // Otherwise the next start would use it again.
                    let _removed_later =
                        disk.remove(&span.name()).and_then(|()| disk.sync_folder());
                }
                self.shared.repaired(span);
                self.shared.load_filters();
            }
            Err(error) => {
                self.lost.insert(span);
                (self.shared.notice)(&format!("{}: can't be made again: {error}", span.name()));
            }
        }
    }

    /// Discards the merge in progress.
    fn discard_work(&mut self) {
        if let Some(HistoryWork::Merge(merge, _)) = self.work.take() {
            merge.discard(self.shared.disk.as_ref());
        }
    }
}

enum NextWork {
    Repair(SegmentSpan),
    Merge(IndexList),
}
