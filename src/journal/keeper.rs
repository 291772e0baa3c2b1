//! Work beside the appends: the next segment is zeroed ahead, and full segments are maintained
//! (`history`). Two threads do it, so a long snapshot never delays the next segment; or the
//! appender's own thread does it at once, if everything must follow from a seed.

use super::batch::Batch;
use super::disk::{Disk, DiskFile};
use super::ends::DueView;
use super::format::{
    FileHeader, FileKind, JournalId, SEGMENT_HEADER_BYTES, segment_name, usize_of,
};
use super::history::HistoryKeeper;
use super::index::ClosedSegment;
use super::shared::SharedJournal;
use super::whole::unless_stopped;
use super::{JournalError, JournalOptions, io_error, sync_error, write_error};
use consorcio_core::limits::{
    HISTORY_NICENESS, SEGMENT_POLL_MS, SEGMENT_RETRY_MS, SEGMENT_ZEROED_BYTES, SEGMENTS_ORDERED_MAX,
};
use consorcio_system::crash;
use consorcio_system::threads::{END_WITHIN, join_within, lower_priority};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(SEGMENT_POLL_MS);

/// A segment that is zeroed, named and durable, and has no batch yet.
pub(super) struct PreparedSegment {
    pub number: u64,
    pub file: Arc<dyn DiskFile>,
    pub size: u64,
}

pub(super) struct Keeper {
    shared: Arc<SharedJournal>,
    options: JournalOptions,
    stop: Arc<AtomicBool>,
    /// The next segment, once it is ready.
    prepared: Option<PreparedSegment>,
    mode: Mode,
}

enum Mode {
    Inline(Box<HistoryKeeper>),
    Threads(Threads),
}

struct Threads {
    /// `None` only while this is dropped.
    orders: Option<SyncSender<u64>>,
    prepared: Receiver<PreparedSegment>,
    handles: Vec<JoinHandle<()>>,
}

impl Keeper {
    /// Starts its threads, unless the appender does their work.
    pub(crate) fn new(
        shared: Arc<SharedJournal>,
        options: JournalOptions,
    ) -> Result<Keeper, JournalError> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut history = HistoryKeeper::new(&shared, &options, &stop);
        let mode = if options.threads {
            Mode::Threads(start_threads(&shared, &options, &stop, history)?)
        } else {
            history.run_all();
            Mode::Inline(Box::new(history))
        };
        Ok(Keeper { shared, options, stop, prepared: None, mode })
    }

    pub(crate) fn journal(&self) -> &JournalId {
        &self.shared.journal
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        self.shared.disk.as_ref()
    }

    pub(crate) fn shared(&self) -> &Arc<SharedJournal> {
        &self.shared
    }

    /// Uses a segment that an earlier run prepared.
    pub(crate) fn already_prepared(&mut self, prepared: PreparedSegment) {
        self.prepared = Some(prepared);
    }

    pub(crate) fn prepare(&mut self, number: u64) {
        match &self.mode {
            // An error here occurs again when the segment is needed.
            Mode::Inline(_) => {
                let made = prepare_segment(&self.shared, &self.options, number, 0, &self.stop);
                report_next(&self.shared, number, made.as_ref().err());
                self.prepared = made.ok();
            }
            Mode::Threads(threads) => {
                if let Some(prepare) = &threads.orders {
                    // Each order is taken before the next one is sent, so there is room. The thread
                    // ends early only after a panic; then the segment is created when it is needed.
                    let _created_later = prepare.send(number);
                }
            }
        }
    }

    /// Waits for the segment that was ordered; it has at least `bytes_min` bytes.
    pub(crate) fn take_prepared(
        &mut self,
        number: u64,
        bytes_min: u64,
    ) -> Result<PreparedSegment, JournalError> {
        let mut prepared = self.prepared.take();
        if prepared.is_none()
            && let Mode::Threads(threads) = &self.mode
        {
            prepared = threads.wait_for(number, &self.shared);
        }
        match prepared.filter(|prepared| prepared.size >= bytes_min) {
            Some(prepared) => Ok(prepared),
            // It is too short, or could not be created; now there may be room again.
            None => {
                let made = self.prepare_now(number, bytes_min)?;
                report_next(&self.shared, number, None);
                Ok(made)
            }
        }
    }

    /// Creates segment `number`, without a batch and with at least `bytes_min` bytes.
    pub(crate) fn prepare_now(
        &self,
        number: u64,
        bytes_min: u64,
    ) -> Result<PreparedSegment, JournalError> {
        let mut taken = self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Mode::Threads(threads) = &self.mode
            && let Some(prepared) =
                threads.made(number).filter(|prepared| prepared.size >= bytes_min)
        {
            return Ok(prepared);
        }
        *taken = number.max(*taken);
        prepare_segment(&self.shared, &self.options, number, bytes_min, &self.stop)
    }

    /// Takes the segment that was ordered, if it can be created now and has `bytes_min` bytes.
    pub(crate) fn take_ready(&mut self, number: u64, bytes_min: u64) -> Option<PreparedSegment> {
        if self.prepared.is_none()
            && let Mode::Threads(threads) = &self.mode
        {
            self.prepared = threads.wait_for(number, &self.shared);
        }
        self.prepared.take_if(|prepared| prepared.size >= bytes_min)
    }

    /// An empty batch for this journal.
    pub(crate) fn batch(&self) -> Batch {
        Batch::new(&self.shared.journal, &self.shared.plan)
    }

    /// Passes on a segment that is full, with the state as of its last record if a snapshot is due.
    pub(crate) fn closed(&mut self, closed: ClosedSegment, due: Option<DueView>) {
        if let Some(due) = due {
            self.shared.plan.keep(due);
        }
        self.shared.backlog().push(closed);
        match &mut self.mode {
            Mode::Inline(history) => history.run_all(),
            Mode::Threads(_) => self.shared.wake(),
        }
    }
}

/// Ends the threads, so that nothing uses the folder after the appender and its readers are
/// dropped.
impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Mode::Threads(threads) = &mut self.mode {
            threads.orders = None;
            *self.shared.wake.lock().unwrap_or_else(PoisonError::into_inner) = None;
            for handle in threads.handles.drain(..) {
                // A panic in it has already printed its message.
                join_within(handle, END_WITHIN);
            }
        }
    }
}

impl Threads {
    /// The segment that was ordered, unless it can't be created now.
    fn wait_for(&self, number: u64, shared: &SharedJournal) -> Option<PreparedSegment> {
        while !shared.no_next.load(Ordering::Acquire) {
            match self.prepared.recv_timeout(POLL) {
                Ok(prepared) if prepared.number == number => return Some(prepared),
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        self.made(number)
    }

    /// The segment that was ordered, if it is ready.
    fn made(&self, number: u64) -> Option<PreparedSegment> {
        self.prepared.try_iter().find(|prepared| prepared.number == number)
    }
}

/// Records whether the next segment is ready, and logs a change of that.
fn report_next(shared: &SharedJournal, number: u64, error: Option<&JournalError>) {
    let was_missing = shared.no_next.swap(error.is_some(), Ordering::AcqRel);
    match error {
        Some(error) if !was_missing => (shared.notice)(&format!(
            "the next segment of the journal, {}, can't be made: {error}; once the one in use is \
             nearly full, \
             nothing new is taken",
            segment_name(number)
        )),
        None if was_missing => (shared.notice)(&format!(
            "the next segment of the journal, {}, is there now: new transactions are taken",
            segment_name(number)
        )),
        Some(_) | None => {}
    }
}

/// Creates one segment after the other as they are ordered. One that can't be created is retried.
fn prepare_all(
    shared: &SharedJournal,
    options: &JournalOptions,
    stop: &AtomicBool,
    orders: &Receiver<u64>,
    prepared: &SyncSender<PreparedSegment>,
) {
    let Ok(mut number) = orders.recv() else { return };
    loop {
        let made = {
            let taken = shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
            // The appender may have created it meanwhile.
            (number > *taken).then(|| prepare_segment(shared, options, number, 0, stop))
        };
        let again = match made {
            Some(Ok(made)) => {
                // It is sent before `no_next` is cleared, so that it is found.
                if prepared.send(made).is_err() {
                    return;
                }
                report_next(shared, number, None);
                false
            }
            Some(Err(_)) if stop.load(Ordering::Relaxed) => return,
            Some(Err(error)) => {
                report_next(shared, number, Some(&error));
                true
            }
            None => false,
        };
        let next = if again {
            orders.recv_timeout(Duration::from_millis(SEGMENT_RETRY_MS))
        } else {
            orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match next {
            Ok(next) => number = next,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn start_threads(
    shared: &Arc<SharedJournal>,
    options: &JournalOptions,
    stop: &Arc<AtomicBool>,
    history: HistoryKeeper,
) -> Result<Threads, JournalError> {
    let (prepare, prepare_orders) = sync_channel::<u64>(SEGMENTS_ORDERED_MAX);
    let (prepared, prepared_here) = sync_channel(SEGMENTS_ORDERED_MAX);
    let (wake, woken) = sync_channel(1);
    *shared.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new()
            .name(name.into())
            .spawn(work)
            .map_err(|error| io_error(shared.disk.as_ref(), "start a thread for", name, error))
    };
    let (its_shared, its_options, its_stop) =
        (Arc::clone(shared), options.clone(), Arc::clone(stop));
    let preparing = start(
        "journal-prepare",
        Box::new(move || {
            prepare_all(&its_shared, &its_options, &its_stop, &prepare_orders, &prepared)
        }),
    )?;
    let keeping = start(
        "journal-history",
        Box::new(move || {
            // Maintenance can wait, votes can't.
            lower_priority(HISTORY_NICENESS);
            history.run(&woken);
        }),
    )?;
    let handles = vec![preparing, keeping];
    Ok(Threads { orders: Some(prepare), prepared: prepared_here, handles })
}

/// Creates a segment of zeros under a temporary name, synced in pieces so that appends never wait
/// behind a large write, and renames it when it is complete. Writes into zeroed blocks sync nearly
/// twice as fast as writes that extend a file, because the file system has no metadata to write.
pub(super) fn prepare_segment(
    shared: &SharedJournal,
    options: &JournalOptions,
    number: u64,
    bytes_min: u64,
    stop: &AtomicBool,
) -> Result<PreparedSegment, JournalError> {
    zeroed_segment(shared, options, number, bytes_min, stop).inspect_err(|_| {
        // The incomplete file takes room that others need. If it can't be removed, the next start
        // removes it.
        let _removed_later = shared.disk.remove(&format!("{}.tmp", segment_name(number)));
    })
}

fn zeroed_segment(
    shared: &SharedJournal,
    options: &JournalOptions,
    number: u64,
    bytes_min: u64,
    stop: &AtomicBool,
) -> Result<PreparedSegment, JournalError> {
    let disk = shared.disk.as_ref();
    let (name, size) = (segment_name(number), options.sizes.of(number).max(bytes_min));
    let unfinished = format!("{name}.tmp");
    let file =
        disk.create(&unfinished).map_err(|error| write_error(disk, &unfinished, 0, 0, error))?;
    let mut chunk = vec![0; usize_of(size.min(SEGMENT_ZEROED_BYTES))];
    let header = FileHeader {
        bytes: Some(size),
        bank: options.bank,
        ..FileHeader::new(shared.journal, number)
    };
    let header = header.encode(FileKind::Segment);
    chunk[..header.len()].copy_from_slice(&header);
    let mut offset = 0;
    while offset < size {
        unless_stopped(stop)?;
        let bytes = &chunk[..usize_of((size - offset).min(SEGMENT_ZEROED_BYTES))];
        file.write_at(offset, bytes)
            .map_err(|error| write_error(disk, &unfinished, offset, bytes.len(), error))?;
        file.sync().map_err(|error| sync_error(disk, &unfinished, error))?;
        offset += bytes.len() as u64;
        chunk[..header.len()].fill(0);
    }
    crash::file_written(&name);
    disk.rename(&unfinished, &name)
        .map_err(|error| io_error(disk, "rename", &unfinished, error))?;
    crash::file_named(&name);
    disk.sync_folder().map_err(|error| sync_error(disk, "", error))?;
    debug_assert!(size >= SEGMENT_HEADER_BYTES);
    Ok(PreparedSegment { number, file, size })
}
