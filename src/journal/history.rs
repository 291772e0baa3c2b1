//! What is done with full segments: each gets its index, eight indexes become one, damaged ones are
//! made again, and snapshots are made.
//!
//! An index comes first, for until it is there memory keeps the outcomes. Merges and repairs go on
//! in pieces, whenever nothing else waits; who drives them, a thread or the appender's own, decides
//! when.

use super::format::Span;
use super::index::{Halt, Index, Merge, Repair, due, write_index};
use super::shared::{List, SharedJournal};
use super::{Options, snapshot};
use consorcio_system::crash::{self, Step};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};

/// Indexes and snapshots of full segments.
pub(super) struct HistoryKeeper {
    shared: Arc<SharedJournal>,
    options: Options,
    stop: Arc<AtomicBool>,
    /// An index could not be made while this segment was the newest full one: it is tried again
    /// once another one is full.
    failed_at: Option<u64>,
    snapshot_segment: u64,
    /// What is under way.
    work: Option<HistoryWork>,
    /// A merge failed: none is tried again before the next segment is full.
    paused: bool,
    /// Indexes that can't be made again, for their segments can't be read.
    lost: BTreeSet<Span>,
}

enum HistoryWork {
    Merge(Box<Merge>, List),
    Repair(Repair),
}

impl HistoryKeeper {
    /// `snapshot_segment` is the last segment that the newest snapshot holds.
    pub(crate) fn new(
        shared: &Arc<SharedJournal>,
        options: &Options,
        stop: &Arc<AtomicBool>,
        snapshot_segment: u64,
    ) -> HistoryKeeper {
        HistoryKeeper {
            shared: Arc::clone(shared),
            options: options.clone(),
            stop: Arc::clone(stop),
            failed_at: None,
            snapshot_segment,
            work: None,
            paused: false,
            lost: BTreeSet::new(),
        }
    }

    /// Makes indexes of full segments, and a piece of a merge or repair after each, until nobody
    /// wakes it any more. What is full then still gets its index; the rest can wait for the next
    /// start.
    pub(crate) fn keep(mut self, woken: &Receiver<()>) {
        loop {
            let there_is_more = self.is_behind() || self.has_work();
            let ended = if there_is_more {
                woken.try_recv() == Err(TryRecvError::Disconnected)
            } else {
                woken.recv().is_err()
            };
            if ended {
                break;
            }
            self.index_next();
            // Also where the next segment is full already, or segments that fill fast would keep
            // merges waiting for ever. A piece has `merge_step_entries` entries at most.
            if !self.stop.load(Ordering::Relaxed) {
                self.work();
            }
        }
        while self.index_next() {}
        self.give_up();
    }

    /// Does all that there is to do now.
    pub(crate) fn settle(&mut self) {
        while self.index_next() {}
        while self.has_work() {
            self.work();
        }
    }

    /// Is there a full segment whose index can be made?
    fn is_behind(&self) -> bool {
        let newest = self.shared.backlog().newest();
        newest.is_some() && newest != self.failed_at
    }

    /// Makes the index of the oldest full segment that has none. `false`: there is none, or it
    /// can't be made for now.
    fn index_next(&mut self) -> bool {
        if !self.is_behind() {
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

    fn snapshot_when_due(&mut self) {
        let Some(replica) = &self.options.replica else { return };
        let full = self.shared.indexed_segments();
        let due = self.options.snapshot_after_segments;
        if due == 0 || full - self.snapshot_segment < due || self.stop.load(Ordering::Relaxed) {
            return;
        }
        match snapshot::make(&self.shared, replica, &self.stop) {
            Ok(_) => self.snapshot_segment = full,
            Err(_) if self.stop.load(Ordering::Relaxed) => {}
            Err(error) => (self.shared.notice)(&format!("no snapshot of {full} segments: {error}")),
        }
    }

    /// Is there anything to merge or to make again? Looks over the indexes.
    fn has_work(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && (self.work.is_some() || self.next().is_some())
    }

    /// What is to be done next: the damaged index of these segments is to be made again, or these
    /// are to be merged. Nothing where the disk has no room for the next segment, for what there is
    /// is that one's.
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
        let spans: Vec<Span> = list.iter().map(|index| index.span).collect();
        let group = due(&spans, |span| damaged.contains(&span))?;
        Some(NextWork::Merge(Arc::new(list[group].to_vec())))
    }

    /// Does one piece of it.
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
                        merge.give_up(disk);
                        self.halted(halt);
                    }
                }
            }
            Ok(HistoryWork::Repair(repair)) => self.go_on_repairing(repair),
            Err(halt) => self.halted(halt),
        }
    }

    /// Uses a merged index, which is durable, and removes those that it was made of.
    fn merged(&mut self, index: Index, inputs: &List) {
        let span = index.span;
        self.shared.files.keep(super::files::FileOf::Index(span));
        if !self.shared.replace(span, vec![index]) {
            return;
        }
        self.shared.load_filters();
        crash::step(Step::MergeUsed);
        for input in inputs.iter() {
            self.shared.files.forget_index(input.span);
            // Where it can't be removed, the next start does.
            let _left = self.shared.disk.remove(&input.span.name());
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

    fn begin_repair(&mut self, span: Span) {
        let list = self.shared.indexes();
        match list.iter().find(|index| index.span == span) {
            Some(index) => self.go_on_repairing(Repair::begin(Arc::clone(index))),
            // A merged one has its place.
            None => self.shared.mended(span),
        }
    }

    /// Makes the index of one more segment.
    fn go_on_repairing(&mut self, mut repair: Repair) {
        let (disk, span) = (self.shared.disk.as_ref(), repair.span());
        let made = {
            let _one_at_a_time = self.shared.making();
            repair.step(disk, &self.shared.journal)
        };
        match made {
            Ok(None) => self.work = Some(HistoryWork::Repair(repair)),
            Ok(Some(indexes)) => {
                let is_one = indexes.len() == 1;
                self.shared.replace(span, indexes);
                self.shared.files.forget_index(span);
                if !is_one {
                    // Else the next start would take it again.
                    let _left = disk.remove(&span.name()).and_then(|()| disk.sync_folder());
                }
                self.shared.mended(span);
                self.shared.load_filters();
            }
            Err(error) => {
                self.lost.insert(span);
                (self.shared.notice)(&format!("{}: can't be made again: {error}", span.name()));
            }
        }
    }

    /// Leaves what is under way.
    fn give_up(&mut self) {
        if let Some(HistoryWork::Merge(merge, _)) = self.work.take() {
            merge.give_up(self.shared.disk.as_ref());
        }
    }
}

enum NextWork {
    Repair(Span),
    Merge(List),
}
