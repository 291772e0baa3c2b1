//! What is known of a journal while it is opened, and after that.

use consorcio_core::bank::io::Seq;
use std::fmt;

/// What was found at the opening.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The journal was made just now.
    pub fresh: bool,
    /// Records read and applied, those of a snapshot not counted.
    pub records: u64,
    /// Bytes read for them.
    pub bytes: u64,
    /// Segments that hold records.
    pub segments: u64,
    /// The number of the last record.
    pub last: Seq,
    /// The last record of the snapshot that was used.
    pub snapshot: Option<Seq>,
    /// The tail that was cut off.
    pub torn: Option<TornTail>,
    /// What was not as it should be and did no harm: a snapshot that can't be used, an index made
    /// again.
    pub warnings: Vec<String>,
}

/// A batch that was being written when the process or the machine stopped. Nothing in it was ever
/// promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment that it ended.
    pub file: String,
    /// The byte that it began at.
    pub offset: u64,
    /// How many bytes were cut off, up to the last that was not zero.
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

/// Where the walk through the journal begins: after the last record and segment of a snapshot, or
/// at 0.
pub(super) struct From {
    pub seq: Seq,
    pub segment: u64,
}
