//! The journal: the durable log of a bank.
//!
//! An append-only, checksummed log of [`Record`]s in segments, with one write and one sync for each
//! batch. Indexes of full segments find the outcome of any old transaction; snapshots bound what a
//! start must read. [`mod@format`] documents the bytes. The bank defines what a record means.
//!
//! The files of a folder: `segment-<number>`, `index-<number>`, `merged-<first segment>-<last>`,
//! `snapshot-<last record>`, `ended-<last record>`, `lock`; with `.tmp` behind it, a file is
//! incomplete. A file gets its name only after it is complete and synced. Files with other names
//! are ignored.
//!
//! [`open`] returns three parts: the [`Appender`], owned by the thread that syncs; the
//! [`JournalReader`], which finds old outcomes; and [`Recovered`], a report of the recovery.
//!
//! Invariants: a batch is written only after the sync of the batch before it, so any part of a
//! later batch proves that the earlier ones were durable; after a failed write or sync nothing is
//! ever written again; only the appender's thread touches the segment in use.

#![warn(unreachable_pub)]

mod append;
mod backlog;
mod batch;
mod cover;
pub mod disk;
mod dump;
mod ended;
mod ends;
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
mod verify;
mod walk;
mod whole;

pub use append::Appender;
pub use batch::Batch;
pub use disk::{Disk, DiskFile, FileDisk, FolderError};
pub use dump::{DumpSummary, dump};
#[cfg(any(test, feature = "test-gear"))]
pub use mem_disk::{Faults, MemDisk};
pub use read::{JournalReader, LookupCost, Room};
pub use recover::open;
pub use recovered::{Recovered, TornTail};
pub use replica::{BankReplica, Replica, StateView};
pub use scan::{JournalScan, Scanned, is_in, owner};
pub use verify::{SnapshotCheck, Verified, verify};

use consorcio_core::bank::io::Seq;
use consorcio_core::ids::BankId;
use consorcio_core::limits;
use std::io;
use std::sync::Arc;

#[cfg(doc)]
use consorcio_core::bank::record::Record;

/// How to open and maintain a journal.
#[derive(Clone)]
pub struct JournalOptions {
    /// The sizes of new segments.
    pub sizes: SegmentSizes,
    /// The bank that owns the journal; it is stored in new segments, and segments of another bank
    /// are rejected.
    pub bank: Option<BankId>,
    /// Make a snapshot whenever this many segments were filled since the last one; 0: never.
    pub snapshot_after_segments: u64,
    /// Whether segments, indexes and snapshots are made by separate threads, or by the appender's
    /// (for tests and simulators, where everything on disk must follow from the seed).
    pub threads: bool,
    /// Bounds on the memory and time of indexes.
    pub index: IndexBounds,
    /// The id of a new journal; random if `None`.
    pub new_id: Option<format::JournalId>,
    /// Receives a line when an index or a snapshot can't be made; the journal remains usable.
    pub notice: NoticeSink,
}

/// Receives notices, one line each.
pub type NoticeSink = Arc<dyn Fn(&str) + Send + Sync>;

impl Default for JournalOptions {
    fn default() -> JournalOptions {
        JournalOptions {
            sizes: SegmentSizes::default(),
            bank: None,
            snapshot_after_segments: 2,
            threads: true,
            index: IndexBounds::default(),
            new_id: None,
            notice: Arc::new(|_| {}),
        }
    }
}

/// Bounds on the memory and time of indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexBounds {
    /// The memory of filters; further filters are queried on disk.
    pub filter_bytes_max: u64,
    /// How many entries a merge processes at a time, before other work gets its turn.
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

/// The sizes of new segments, in bytes. A segment is longer if one batch does not fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSizes {
    /// The size of the first segment. Each later one has twice the size of the one before, so a
    /// small bank needs little disk space and starts fast ...
    pub first: u64,
    /// ... up to this size.
    pub full: u64,
}

impl Default for SegmentSizes {
    fn default() -> SegmentSizes {
        SegmentSizes { first: limits::FIRST_SEGMENT_BYTES, full: limits::SEGMENT_BYTES }
    }
}

impl SegmentSizes {
    /// The same size for all segments.
    pub fn all(bytes: u64) -> SegmentSizes {
        SegmentSizes { first: bytes, full: bytes }
    }

    /// The size of segment `number`.
    pub fn of(self, number: u64) -> u64 {
        let doublings = u32::try_from(number.saturating_sub(1)).unwrap_or(u32::MAX);
        let size = 2u64.checked_pow(doublings).and_then(|times| self.first.checked_mul(times));
        size.unwrap_or(u64::MAX).min(self.full).max(format::SEGMENT_HEADER_BYTES)
    }
}

/// Why an operation on a journal failed. Each message is complete, so no error has a source. After
/// an error of an append the process must stop.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum JournalError {
    /// A file can't be listed, opened, read, created, renamed or removed.
    #[error("{file}: can't {doing}: {cause}")]
    Io {
        doing: &'static str,
        file: String,
        /// The error of the system.
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
    /// The process is not allowed to extend a file that far.
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
        /// The error of the system.
        cause: io::Error,
    },
    /// A sync failed, so the content of the disk is unknown.
    #[error("{file}: sync failed, so nobody knows what of it is on disk: {cause}")]
    Sync {
        /// Which file or folder.
        file: String,
        /// The error of the system.
        cause: io::Error,
    },
    /// An earlier write or sync failed.
    #[error("the journal takes nothing more after: {0}")]
    Stopped(String),
    /// Something that was durable differs from what was written.
    #[error("{file}: damaged at offset {offset}: {why}")]
    Damaged {
        file: String,
        /// The first wrong byte, or the batch that contains it.
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
    /// The file belongs to another journal than its folder.
    #[error("{file}: belongs to another journal than the other files of its folder")]
    Foreign { file: String },
    /// The journal in this folder belongs to another bank.
    #[error("{file}: belongs to bank {found}, and this is bank {own}")]
    OtherBank { file: String, found: BankId, own: BankId },
    /// A file is missing that must exist.
    #[error("{file}: missing, {why}")]
    Missing {
        file: String,
        /// What proves that it existed.
        why: String,
    },
    /// Records were passed in with wrong numbers: a fault of this program.
    #[error("record {found} was handed to the journal where record {expected} was due")]
    Order {
        /// The number that was expected.
        expected: Seq,
        /// The number that was found.
        found: Seq,
    },
}

/// The path of a file, for messages.
fn display_path(disk: &dyn Disk, name: &str) -> String {
    let folder = disk.describe();
    if name.is_empty() { folder } else { format!("{folder}/{name}") }
}

/// An error of the system while `doing` something with file `name`.
fn io_error(disk: &dyn Disk, doing: &'static str, name: &str, cause: io::Error) -> JournalError {
    JournalError::Io { doing, file: display_path(disk, name), cause }
}

/// An error of a write.
fn write_error(
    disk: &dyn Disk,
    name: &str,
    offset: u64,
    bytes: usize,
    cause: io::Error,
) -> JournalError {
    let (file, bytes) = (display_path(disk, name), bytes as u64);
    match cause.kind() {
        io::ErrorKind::FileTooLarge => JournalError::FileTooLarge { file, offset, bytes },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            JournalError::DiskFull { file, offset, bytes }
        }
        _ => JournalError::Write { file, offset, bytes, cause },
    }
}

/// An error of a sync. File systems that allocate late report a full disk only here.
fn sync_error(disk: &dyn Disk, name: &str, cause: io::Error) -> JournalError {
    JournalError::Sync { file: display_path(disk, name), cause }
}
