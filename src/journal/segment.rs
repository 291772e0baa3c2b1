//! Reading a segment: batch by batch, through one buffer, and telling where the good part ends.

use super::disk::{Disk, DiskFile};
use super::format::{
    ALIGNMENT, BATCH_HEADER_BYTES, BadHeader, BatchHeader, FILE_HEADER_BYTES, FileHeader, FileKind,
    JournalId, Place, SEGMENT_HEADER_BYTES, Salt, decode_record, segment_name, split_body,
};
use super::{JournalError, Sizes, io_error, place};
use consorcio_core::bank::record::Record;
use consorcio_core::limits::SEGMENT_WINDOW_BYTES;
use std::sync::Arc;

/// A segment that is read from its beginning.
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
    places: Vec<Place>,
}

/// What stands at the next place of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoundSegment {
    /// A whole batch, at this offset.
    Batch(u64, BatchHeader),
    /// Nothing but zeros from this offset on.
    End(u64),
    /// Something that is no batch.
    Bad(Bad),
}

/// A place that holds no whole batch, and not only zeros either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bad {
    /// Where a batch should begin.
    pub offset: u64,
    /// The first byte known to be wrong.
    pub fault_at: u64,
    pub why: &'static str,
    /// Where the batch would end, if its header is whole.
    pub end: Option<u64>,
}

/// Opens segment `number`, and checks its header and that its file is as long as the header tells.
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
    let damaged =
        |why: &str| JournalError::Damaged { file: place(disk, &name), offset: 0, why: why.into() };
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
            return Err(JournalError::Newer { file: place(disk, &name), version });
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
        places: Vec::new(),
    })
}

/// How long the segments of format 1 were made, which do not tell it: as long as this program makes
/// them, or, where several are shorter and all of one size, that. Looks into the headers of all of
/// them.
pub(super) fn old_sizes(
    disk: &dyn Disk,
    numbers: &[u64],
    now: Sizes,
) -> Result<Sizes, JournalError> {
    let mut found = Vec::new();
    for number in numbers {
        match open_of_any_size(disk, *number) {
            Ok(reader) if reader.header.bytes.is_none() => found.push(reader.size),
            Err(error @ JournalError::Io { .. }) => return Err(error),
            // What is wrong with it is told when it is read.
            Ok(_) | Err(_) => {}
        }
    }
    match found[..] {
        [first, second, ..] if first < now.first && found.iter().all(|size| *size == second) => {
            Ok(Sizes::all(first))
        }
        [..] => Ok(now),
    }
}

impl SegmentReader {
    /// Refuses a segment of another journal.
    pub(crate) fn expect_journal(&self, journal: &JournalId) -> Result<(), JournalError> {
        if self.header.journal == *journal {
            Ok(())
        } else {
            Err(JournalError::Foreign { file: self.place() })
        }
    }

    /// Refuses a file that is not as long as it was made. One of format 1 does not tell; it has at
    /// least the bytes that this program gave it then: `old`, or what is there.
    pub(crate) fn expect_size(&self, old: Option<u64>) -> Result<(), JournalError> {
        let (made, is_longer) = match (self.header.bytes, old) {
            (Some(made), _) => (made, self.size > made),
            // In format 1 a segment grew where one batch was longer than it.
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
            file: self.place(),
            offset: self.size.min(made),
            why: format!(
                "{why} {made} bytes; was a copy of it interrupted? Put the whole file in its place"
            ),
        })
    }

    /// What messages call it.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.describe, self.name)
    }

    /// Its length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Goes on at `offset`.
    pub(crate) fn seek(&mut self, offset: u64) {
        self.at = offset;
    }

    /// Forgets what was read ahead, so that what was written since is seen.
    pub(crate) fn look_anew(&mut self) {
        self.window.clear();
    }

    /// What stands next. After an end or something bad the reader stays where it is.
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
                    Ok(FoundSegment::Bad(Bad { offset, fault_at, why, end: None }))
                }
            };
        };
        let end = offset + header.batch_bytes() as u64;
        let body_offset = offset + BATCH_HEADER_BYTES as u64;
        let mut places = std::mem::take(&mut self.places);
        let body = self.bytes(body_offset, header.batch_bytes() - BATCH_HEADER_BYTES)?;
        let split = if body_offset + (body.len() as u64) < end {
            Err((body_offset + body.len() as u64, "the file ends within a batch"))
        } else {
            split_body(salt, offset, &header, body, &mut places)
        };
        self.places = places;
        match split {
            Ok(()) => {
                self.at = end;
                Ok(FoundSegment::Batch(offset, header))
            }
            Err((fault_at, why)) => {
                Ok(FoundSegment::Bad(Bad { offset, fault_at, why, end: Some(end) }))
            }
        }
    }

    /// The records of the batch that was found last, each with its offset.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u64, Result<Record, JournalError>)> {
        self.places.iter().map(|place| {
            let begin = place.offset - self.window_at + super::format::RECORD_HEADER_BYTES as u64;
            let begin = usize::try_from(begin).expect("the batch found last is in the window");
            let record = decode_record(&self.window[begin..begin + place.bytes]);
            let offset = place.offset;
            (
                offset,
                record.map_err(|why| JournalError::Damaged {
                    file: self.place(),
                    offset,
                    why: format!(
                        "the checksum is right, but this program can't read the record: {why}"
                    ),
                }),
            )
        })
    }

    /// What can only have been written after the batch that should stand at `bad` was synced: the
    /// offset of a later batch's header, or of anything past the end of this one.
    pub(crate) fn written_after(&mut self, bad: &Bad) -> Result<Option<u64>, JournalError> {
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

    /// One past the last byte that is not zero, at or after `offset`; `offset` where all are.
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

    /// `length` bytes at `offset`, or less at the end of the file.
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

    /// What of the file is at hand from `offset` on; nothing at its end.
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
    // Whole blocks are compared first: most of what is searched is zeros.
    const ZEROS: [u8; 4096] = [0; 4096];
    let skip =
        bytes.chunks_exact(ZEROS.len()).take_while(|block| *block == ZEROS).count() * ZEROS.len();
    bytes[skip..].iter().position(|byte| *byte != 0).map(|found| skip + found)
}
