//! The journal: the truth, on disk.
//!
//! An append-only, checksummed log of [`Record`]s in segments, one write and one sync for each
//! batch. Beside the segments that are full stand indexes, so that the outcome of any old
//! transaction is found; snapshots bound what a start reads. `docs` of the bytes: [`mod@format`].
//! What a record means is the bank's business.
//!
//! Files of one folder: `segment-<number>`, `index-<number>`, `merged-<first segment>-<last>`,
//! `snapshot-<last record>`, `ended-<last record>`, `lock`; one of these with `.tmp` behind it was
//! never finished. A file gets its name only after it is whole and synced. Files with other names
//! are left alone.
//!
//! Three parts are handed out by [`open`]: the [`Appender`], owned by the thread that syncs; the
//! [`Reader`], which finds old outcomes; and [`Recovered`], which tells what was found.
//!
//! Invariants: a batch is written only after the sync of the batch before it, so whatever of a
//! later batch is found proves that the ones before it were durable; after a failed write or sync
//! nothing is ever written again; no thread but the appender's touches a segment that is in use.

#![warn(unreachable_pub)]

mod append;
mod backlog;
mod batch;
mod cover;
pub mod disk;
mod dump;
mod ended;
mod files;
mod filter;
pub mod format;
mod history;
mod index;
mod keeper;
#[cfg(any(test, feature = "test-gear"))]
mod mem_disk;
mod read;
mod recover;
mod recovered;
mod replica;
mod scan;
mod segment;
mod shared;
mod snapshot;
mod walk;
mod whole;

pub use append::Appender;
pub use batch::Batch;
pub use disk::{Disk, DiskFile, FileDisk, FolderError};
pub use dump::{DumpSummary, dump};
#[cfg(any(test, feature = "test-gear"))]
pub use mem_disk::{Faults, MemDisk};
pub use read::{LookupCost, Reader, Room};
pub use recover::open;
pub use recovered::{Recovered, TornTail};
pub use replica::{BankReplica, MakeReplica, Replica};
pub use scan::{Scan, Scanned, is_in, owner};

use consorcio_core::bank::io::Seq;
use consorcio_core::ids::BankId;
use consorcio_core::limits;
use std::io;
use std::sync::Arc;

#[cfg(doc)]
use consorcio_core::bank::record::Record;

/// How a journal is kept.
#[derive(Clone)]
pub struct Options {
    /// How long segments are.
    pub sizes: Sizes,
    /// The bank that it belongs to; new segments tell it, and those of another bank are refused.
    pub bank: Option<BankId>,
    /// A snapshot is made whenever this many segments were filled since the last one; 0: only when
    /// asked for.
    pub snapshot_after_segments: u64,
    /// Makes the bank without a past into which snapshots are replayed; without it none are made.
    pub replica: Option<MakeReplica>,
    /// Whether next segments, indexes and snapshots are made by threads of their own, or by the
    /// appender's (for tests and simulators, where the order of everything on disk must follow from
    /// the seed).
    pub threads: bool,
    /// What the indexes of full segments may take of memory and time.
    pub index: IndexBounds,
    /// The id of a journal that is made; random where none is given.
    pub new_id: Option<format::JournalId>,
    /// Told what went wrong beside the appends: an index or snapshot that could not be made. The
    /// journal goes on.
    pub notice: NoticeSink,
}

/// Where notices go, one line each.
pub type NoticeSink = Arc<dyn Fn(&str) + Send + Sync>;

impl Default for Options {
    fn default() -> Options {
        Options {
            sizes: Sizes::default(),
            bank: None,
            snapshot_after_segments: 2,
            replica: None,
            threads: true,
            index: IndexBounds::default(),
            new_id: None,
            notice: Arc::new(|_| {}),
        }
    }
}

/// How much memory and time indexes may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexBounds {
    /// Memory of filters; those that do not fit are asked on disk.
    pub filter_bytes_max: u64,
    /// Entries that a merge takes at a time, before whatever else waits gets its turn.
    pub merge_step_entries: u64,
}

impl Default for IndexBounds {
    fn default() -> IndexBounds {
        IndexBounds {
            filter_bytes_max: limits::INDEX_FILTER_BYTES_MAX,
            merge_step_entries: limits::INDEX_MERGE_STEP_ENTRIES,
        }
    }
}

/// How long segments are made, in bytes. Where one batch is longer than that, its segment is as
/// long as it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The first one's. Each has twice the size of the one before, so that a small bank needs
    /// little disk and is ready at once.
    pub first: u64,
    /// ... up to this.
    pub full: u64,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { first: limits::FIRST_SEGMENT_BYTES, full: limits::SEGMENT_BYTES }
    }
}

impl Sizes {
    /// All segments have this size.
    pub fn all(bytes: u64) -> Sizes {
        Sizes { first: bytes, full: bytes }
    }

    /// The size of segment `number`.
    pub fn of(self, number: u64) -> u64 {
        let doublings = u32::try_from(number.saturating_sub(1)).unwrap_or(u32::MAX);
        let size = 2u64.checked_pow(doublings).and_then(|times| self.first.checked_mul(times));
        size.unwrap_or(u64::MAX).min(self.full).max(format::SEGMENT_HEADER_BYTES)
    }
}

/// What can go wrong with a journal; each message is whole, so none names a source. After any of
/// them from an append the process must stop.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum JournalError {
    /// A file can't be listed, opened, read, made, renamed or removed.
    #[error("{file}: can't {doing}: {cause}")]
    Io {
        doing: &'static str,
        file: String,
        /// What the system says.
        cause: io::Error,
    },
    #[error(
        "{file}: disk full: no room for {bytes} bytes at offset {offset}; free some space and \
         start again"
    )]
    DiskFull {
        /// The file that could not grow.
        file: String,
        offset: u64,
        /// How much was to be written.
        bytes: u64,
    },
    /// The process may make no file larger.
    #[error(
        "{file}: the limit for the size of a file is reached: no room for {bytes} bytes at offset \
         {offset}; raise it \
         (ulimit -f unlimited) and start again"
    )]
    FileTooLarge {
        /// The file that could not grow.
        file: String,
        offset: u64,
        /// How much was to be written.
        bytes: u64,
    },
    #[error("{file}: write of {bytes} bytes at offset {offset} failed: {cause}")]
    Write {
        file: String,
        offset: u64,
        bytes: u64,
        /// What the system says.
        cause: io::Error,
    },
    /// A sync failed: nobody knows what is on disk.
    #[error("{file}: sync failed, so nobody knows what of it is on disk: {cause}")]
    Sync {
        /// Which file or folder.
        file: String,
        /// What the system says.
        cause: io::Error,
    },
    /// An earlier write or sync failed.
    #[error("the journal takes nothing more after: {0}")]
    Stopped(String),
    /// A place that was durable does not hold what was written there.
    #[error("{file}: damaged at offset {offset}: {why}")]
    Damaged {
        file: String,
        /// The first byte that is not as it was written, or the batch that holds it.
        offset: u64,
        /// What is wrong, and what proves that it was durable.
        why: String,
    },
    /// Written by a newer version of this program.
    #[error(
        "{file}: written in format {version}; this program knows formats up to {} only, use a \
         newer one",
        format::SEGMENT_VERSION
    )]
    Newer { file: String, version: u32 },
    /// A file of another journal lies in this folder.
    #[error("{file}: belongs to another journal than the other files of its folder")]
    Foreign { file: String },
    /// The journal of another bank lies in this folder.
    #[error("{file}: belongs to bank {found}, and this is bank {own}")]
    OtherBank { file: String, found: BankId, own: BankId },
    /// A file that must be there isn't.
    #[error("{file}: missing, {why}")]
    Missing {
        file: String,
        /// What tells that it was there.
        why: String,
    },
    /// Records were handed over with the wrong numbers: a fault of this program.
    #[error("record {found} was handed to the journal where record {expected} was due")]
    Order {
        /// The number that was due.
        expected: Seq,
        /// The number that came.
        found: Seq,
    },
}

/// The name by which messages call a file.
fn place(disk: &dyn Disk, name: &str) -> String {
    let folder = disk.describe();
    if name.is_empty() { folder } else { format!("{folder}/{name}") }
}

/// An error of the system while `doing` something with file `name`.
fn io_error(disk: &dyn Disk, doing: &'static str, name: &str, cause: io::Error) -> JournalError {
    JournalError::Io { doing, file: place(disk, name), cause }
}

/// An error while writing.
fn write_error(
    disk: &dyn Disk,
    name: &str,
    offset: u64,
    bytes: usize,
    cause: io::Error,
) -> JournalError {
    let (file, bytes) = (place(disk, name), bytes as u64);
    match cause.kind() {
        io::ErrorKind::FileTooLarge => JournalError::FileTooLarge { file, offset, bytes },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            JournalError::DiskFull { file, offset, bytes }
        }
        _ => JournalError::Write { file, offset, bytes, cause },
    }
}

/// An error while syncing. File systems that allot late find out only here that there is no room.
fn sync_error(disk: &dyn Disk, name: &str, cause: io::Error) -> JournalError {
    JournalError::Sync { file: place(disk, name), cause }
}
