//! Reads a segment batch by batch, through one buffer, and finds where the valid part ends.

use super::disk::{Disk, DiskFile};
use super::format::{
    ALIGNMENT, BATCH_HEADER_BYTES, BadHeader, BatchHeader, FILE_HEADER_BYTES, FileHeader, FileKind,
    JournalId, RecordPosition, SEGMENT_HEADER_BYTES, Salt, decode_record, segment_name, split_body,
};
use super::{JournalError, SegmentSizes, display_path, io_error};
use consorcio_core::bank::record::Record;
use consorcio_core::limits::SEGMENT_WINDOW_BYTES;
use std::sync::Arc;

/// A reader of one segment, from its beginning.
pub(super) struct SegmentReader {
    pub file: Arc<dyn DiskFile>,
    pub name: String,
    pub header: FileHeader,
    describe: String,
    salt: Salt,
    size: u64,
    at: u64,
    window: Vec<u8>,
    window_at: u64,
    positions: Vec<RecordPosition>,
}

/// What the reader finds at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoundSegment {
    /// A complete batch at this offset.
    Batch(u64, BatchHeader),
    /// Only zeros from this offset on.
    End(u64),
    /// Something that is no batch.
    BadBatch(BadBatch),
}

/// A place that contains neither a complete batch nor only zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadBatch {
    /// Where a batch should begin.
    pub offset: u64,
    /// The first byte that is known to be wrong.
    pub fault_at: u64,
    pub why: &'static str,
    /// Where the batch would end, if its header is valid.
    pub end: Option<u64>,
}

/// Opens segment `number`, and checks its header and the length of its file.
pub(super) fn open_segment(disk: &dyn Disk, number: u64) -> Result<SegmentReader, JournalError> {
    let reader = open_of_any_size(disk, number)?;
    reader.expect_size(None)?;
    Ok(reader)
}

/// Opens segment `number` and checks its header.
pub(super) fn open_of_any_size(
    disk: &dyn Disk,
    number: u64,
) -> Result<SegmentReader, JournalError> {
    let name = segment_name(number);
    let file = disk.open(&name).map_err(|error| io_error(disk, "open", &name, error))?;
    let mut bytes = [0; FILE_HEADER_BYTES];
    let got = file.read_at(0, &mut bytes).map_err(|error| io_error(disk, "read", &name, error))?;
    let damaged = |why: &str| JournalError::Damaged {
        file: display_path(disk, &name),
        offset: 0,
        why: why.into(),
    };
    if got < FILE_HEADER_BYTES {
        return Err(damaged("the file is shorter than its header"));
    }
    let header = match FileHeader::decode(FileKind::Segment, &bytes) {
        Ok(header) if header.segment == number => header,
        Ok(_) => return Err(damaged("this is another segment under a wrong name")),
        Err(BadHeader::Damaged) => {
            return Err(damaged("the segment's header is not as it was written"));
        }
        Err(BadHeader::Newer(version)) => {
            return Err(JournalError::Newer { file: display_path(disk, &name), version });
        }
    };
    let size = file.size().map_err(|error| io_error(disk, "read", &name, error))?;
    Ok(SegmentReader {
        file,
        describe: disk.describe(),
        salt: Salt::new(&header.journal, number),
        name,
        header,
        size,
        at: SEGMENT_HEADER_BYTES,
        window: Vec::new(),
        window_at: 0,
        positions: Vec::new(),
    })
}

/// The sizes of segments of format 1, whose headers do not contain it: the sizes that this program
/// uses, or, if several are shorter and all have the same size, that one. Reads the headers of all
/// of them.
pub(super) fn old_sizes(
    disk: &dyn Disk,
    numbers: &[u64],
    now: SegmentSizes,
) -> Result<SegmentSizes, JournalError> {
    let mut found = Vec::new();
    for number in numbers {
        match open_of_any_size(disk, *number) {
            Ok(reader) if reader.header.bytes.is_none() => found.push(reader.size),
            Err(error @ JournalError::Io { .. }) => return Err(error),
            // Its fault is reported when it is read.
            Ok(_) | Err(_) => {}
        }
    }
    match found[..] {
        [first, second, ..] if first < now.first && found.iter().all(|size| *size == second) => {
            Ok(SegmentSizes::all(first))
        }
        [..] => Ok(now),
    }
}

impl SegmentReader {
    /// Rejects a segment of another journal.
    pub(crate) fn expect_journal(&self, journal: &JournalId) -> Result<(), JournalError> {
        if self.header.journal == *journal {
            Ok(())
        } else {
            Err(JournalError::Foreign { file: self.display_path() })
        }
    }

    /// Rejects a file with another length than its original one. For format 1 the original length
    /// is unknown; it is at least `old`, or not checked.
    pub(crate) fn expect_size(&self, old: Option<u64>) -> Result<(), JournalError> {
        let (made, is_longer) = match (self.header.bytes, old) {
            (Some(made), _) => (made, self.size > made),
            // In format 1 a segment grew if one batch was longer than it.
            (None, Some(made)) => (made, false),
            (None, None) => return Ok(()),
        };
        let why = if self.size < made {
            "the file ends here, and was made with"
        } else if is_longer {
            "the file goes on here, and was made with"
        } else {
            return Ok(());
        };
        Err(JournalError::Damaged {
            file: self.display_path(),
            offset: self.size.min(made),
            why: format!(
                "{why} {made} bytes; was a copy of it interrupted? Put the whole file in its place"
            ),
        })
    }

    /// Its path, for messages.
    pub(crate) fn display_path(&self) -> String {
        format!("{}/{}", self.describe, self.name)
    }

    /// The length of its file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Continues reading at `offset`.
    pub(crate) fn seek(&mut self, offset: u64) {
        self.at = offset;
    }

    /// Discards what was read ahead, so that later writes are seen.
    pub(crate) fn discard_window(&mut self) {
        self.window.clear();
    }

    /// The next batch. At the end or at a fault the reader stays where it is.
    pub(crate) fn next(&mut self) -> Result<FoundSegment, JournalError> {
        let offset = self.at;
        let salt = self.salt;
        let head = self.bytes(offset, BATCH_HEADER_BYTES)?;
        let Some(header) = BatchHeader::decode(salt, offset, head) else {
            let zeros = head.iter().all(|byte| *byte == 0);
            return match self.first_nonzero(offset)? {
                None => Ok(FoundSegment::End(offset)),
                Some(fault_at) => {
                    let why = if zeros {
                        "bytes follow where nothing was written"
                    } else {
                        "no batch begins here"
                    };
                    Ok(FoundSegment::BadBatch(BadBatch { offset, fault_at, why, end: None }))
                }
            };
        };
        let end = offset + header.batch_bytes() as u64;
        let body_offset = offset + BATCH_HEADER_BYTES as u64;
        let mut positions = std::mem::take(&mut self.positions);
        let body = self.bytes(body_offset, header.batch_bytes() - BATCH_HEADER_BYTES)?;
        let split = if body_offset + (body.len() as u64) < end {
            Err((body_offset + body.len() as u64, "the file ends within a batch"))
        } else {
            split_body(salt, offset, &header, body, &mut positions)
        };
        self.positions = positions;
        match split {
            Ok(()) => {
                self.at = end;
                Ok(FoundSegment::Batch(offset, header))
            }
            Err((fault_at, why)) => {
                Ok(FoundSegment::BadBatch(BadBatch { offset, fault_at, why, end: Some(end) }))
            }
        }
    }

    /// The records of the batch that was found last, each with its offset.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u64, Result<Record, JournalError>)> {
        self.positions.iter().map(|position| {
            let begin =
                position.offset - self.window_at + super::format::RECORD_HEADER_BYTES as u64;
            let begin = usize::try_from(begin).expect("the batch found last is in the window");
            let record = decode_record(&self.window[begin..begin + position.bytes]);
            let offset = position.offset;
            (
                offset,
                record.map_err(|why| JournalError::Damaged {
                    file: self.display_path(),
                    offset,
                    why: format!(
                        "the checksum is right, but this program can't read the record: {why}"
                    ),
                }),
            )
        })
    }

    /// Data that can only have been written after the batch at `bad` was synced: the offset of a
    /// later batch header, or of anything behind the end of this batch.
    pub(crate) fn written_after(&mut self, bad: &BadBatch) -> Result<Option<u64>, JournalError> {
        if let Some(end) = bad.end {
            return self.first_nonzero(end);
        }
        self.find_batch(bad.offset + ALIGNMENT as u64)
    }

    /// The first batch header at or after `offset`.
    pub(crate) fn find_batch(&mut self, offset: u64) -> Result<Option<u64>, JournalError> {
        let mut at = offset.next_multiple_of(ALIGNMENT as u64);
        while let Some(found) = self.first_nonzero(at)? {
            at = found - (found - SEGMENT_HEADER_BYTES) % ALIGNMENT as u64;
            let salt = self.salt;
            let head = self.bytes(at, BATCH_HEADER_BYTES)?;
            if BatchHeader::decode(salt, at, head).is_some() {
                return Ok(Some(at));
            }
            at += ALIGNMENT as u64;
        }
        Ok(None)
    }

    /// The first byte that is not zero at or after `offset`.
    pub(crate) fn first_nonzero(&mut self, offset: u64) -> Result<Option<u64>, JournalError> {
        let mut at = offset;
        loop {
            let bytes = self.some_bytes(at)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(found) = first_nonzero(bytes) {
                return Ok(Some(at + found as u64));
            }
            at += bytes.len() as u64;
        }
    }

    /// One past the last byte that is not zero at or after `offset`; `offset` if there is none.
    pub(crate) fn last_nonzero(&mut self, offset: u64) -> Result<u64, JournalError> {
        let (mut at, mut last) = (offset, offset);
        loop {
            let bytes = self.some_bytes(at)?;
            if bytes.is_empty() {
                return Ok(last);
            }
            if let Some(found) = bytes.iter().rposition(|byte| *byte != 0) {
                last = at + found as u64 + 1;
            }
            at += bytes.len() as u64;
        }
    }

    /// `length` bytes at `offset`, or fewer at the end of the file.
    pub(crate) fn bytes(&mut self, offset: u64, length: usize) -> Result<&[u8], JournalError> {
        let length =
            usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX).min(length);
        let end = offset + length as u64;
        if offset < self.window_at || end > self.window_at + self.window.len() as u64 {
            self.read_window(offset, length.max(SEGMENT_WINDOW_BYTES))?;
        }
        let begin = usize::try_from(offset - self.window_at).expect("the window was moved here");
        let end = self.window.len().min(begin + length);
        Ok(&self.window[begin..end])
    }

    /// The buffered bytes of the file from `offset` on; empty at its end.
    fn some_bytes(&mut self, offset: u64) -> Result<&[u8], JournalError> {
        self.bytes(offset, 1)?;
        let begin = usize::try_from(offset - self.window_at).expect("the window was moved here");
        Ok(&self.window[begin.min(self.window.len())..])
    }

    fn read_window(&mut self, offset: u64, length: usize) -> Result<(), JournalError> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.window.resize(left.min(length), 0);
        self.window_at = offset;
        let got =
            self.file.read_at(offset, &mut self.window).map_err(|cause| JournalError::Io {
                doing: "read",
                file: format!("{}/{}", self.describe, self.name),
                cause,
            })?;
        self.window.truncate(got);
        Ok(())
    }
}

fn first_nonzero(bytes: &[u8]) -> Option<usize> {
    // Whole blocks are compared first, since most of what is searched is zeros.
    const ZEROS: [u8; 4096] = [0; 4096];
    let skip =
        bytes.chunks_exact(ZEROS.len()).take_while(|block| *block == ZEROS).count() * ZEROS.len();
    bytes[skip..].iter().position(|byte| *byte != 0).map(|found| skip + found)
}
