//! The report of a recovery.

use consorcio_core::bank::io::Seq;
use std::fmt;

/// What was found while the journal was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The journal was created just now.
    pub fresh: bool,
    /// How many records were read and applied, without those in a snapshot.
    pub records: u64,
    /// How many bytes were read for them.
    pub bytes: u64,
    /// How many segments contain records.
    pub segments: u64,
    /// The number of the last record.
    pub last: Seq,
    /// The last record of the snapshot that was used.
    pub snapshot: Option<Seq>,
    /// The torn tail that was cut off.
    pub torn: Option<TornTail>,
    /// Harmless faults: a snapshot that can't be used, an index that was rebuilt.
    pub warnings: Vec<String>,
}

/// A batch that was being written when the process or the machine stopped. None of its records was
/// ever relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The last segment of the journal.
    pub file: String,
    /// The offset where it began.
    pub offset: u64,
    /// How many bytes were cut off, up to the last one that was not zero.
    pub bytes: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a torn tail of {} bytes was cut off {} at offset {}",
            self.bytes, self.file, self.offset
        )
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.fresh {
            return f.write_str("a new journal");
        }
        write!(f, "{} records", self.records)?;
        if let Some(seq) = self.snapshot {
            write!(f, " after a snapshot of {seq}")?;
        }
        write!(f, ", {} bytes, {} segments, last record {}", self.bytes, self.segments, self.last)?;
        if let Some(torn) = &self.torn {
            write!(f, "; {torn}")?;
        }
        Ok(())
    }
}

/// Where the replay of the journal starts: after the last record and segment of a snapshot, or at
/// 0.
pub(super) struct ReplayStart {
    pub seq: Seq,
    pub segment: u64,
}
