//! The bytes of a segment: its header, its batches, their records, and the checksums that bind each
//! of them to its offset. No file access here.
//!
//! ```text
//! segment  header (64 bytes) · batch · batch · … · zeros, up to the size in the header
//! header   magic (16 bytes) · version u32 · crc32c · journal id (16 bytes) · segment u64 ·
//!          in segments since format 2: size of the file u64 · position of the bank + 1 u8
//!          (0: unknown) · zeros
//! batch    magic "CBat" · crc32c · first seq u64 · synced u64 · records u32 ·
//!          body bytes u32 · body
//! body     record · record · … · zeros up to a multiple of 8
//! record   bytes u32 · crc32c · postcard of `Record`
//! ```
//!
//! All numbers are little-endian. Every checksum covers the journal's id, the segment's number and
//! the offset, so bytes are valid only where they were written: neither a copy elsewhere, nor data
//! of an older file, nor a text that a client put into a transaction can pass for a batch.

use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use consorcio_core::ids::BankId;
use consorcio_core::limits::INDEX_FAN_OUT;
use crc32c::{crc32c, crc32c_append};

/// The newest version of a segment. Format 1 contains neither its size nor its bank.
pub(crate) const SEGMENT_VERSION: u32 = 2;
/// The newest version of an index, of a merged index and of a snapshot.
pub(crate) const OTHER_VERSION: u32 = 1;
/// The size of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = FILE_HEADER_BYTES as u64;
/// The size of the header at the beginning of every file.
pub const FILE_HEADER_BYTES: usize = 64;
/// The size of a batch's header.
pub const BATCH_HEADER_BYTES: usize = 32;
/// The size of a record's header.
pub const RECORD_HEADER_BYTES: usize = 8;
/// The alignment of batches in a segment.
pub const ALIGNMENT: usize = 8;

const BATCH_MAGIC: &[u8; 4] = b"CBat";

/// The id of one journal: random, chosen when it is created.
pub type JournalId = [u8; 16];

/// The kinds of files. Their magic ends like PNG's, so that a transfer as text is detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Batches of records: the log itself.
    Segment,
    /// The offsets of the records in a segment that decide an id.
    Index,
    /// The same for several consecutive segments.
    Merged,
    /// A bank as of one record.
    Snapshot,
}

impl FileKind {
    fn magic(self) -> &'static [u8; 16] {
        match self {
            FileKind::Segment => b"consorcio.seg\r\n\0",
            FileKind::Index => b"consorcio.idx\r\n\0",
            FileKind::Merged => b"consorcio.mix\r\n\0",
            FileKind::Snapshot => b"consorcio.sna\r\n\0",
        }
    }

    /// The newest version that this program reads. Files of a newer one are rejected.
    pub fn version(self) -> u32 {
        match self {
            FileKind::Segment => SEGMENT_VERSION,
            FileKind::Index | FileKind::Merged | FileKind::Snapshot => OTHER_VERSION,
        }
    }

    /// The name of the kind, for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            FileKind::Segment => "segment",
            FileKind::Index => "index",
            FileKind::Merged => "merged index",
            FileKind::Snapshot => "snapshot",
        }
    }
}

/// The header of every file. Magic, version and checksum have the same offsets in all versions, so
/// that a newer version can be distinguished from damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader {
    /// The journal that the file belongs to.
    pub journal: JournalId,
    /// The segment's number; for a merged index that of its first segment, for a snapshot that of
    /// its last one.
    pub segment: u64,
    /// A segment's size in bytes, which never changes; `None` in format 1 and in other files.
    pub bytes: Option<u64>,
    /// The bank that a segment belongs to, if known.
    pub bank: Option<BankId>,
}

/// Why the header of a file can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHeader {
    /// It differs from what was written.
    Damaged,
    /// A newer version of this program wrote it.
    Newer(u32),
}

impl FileHeader {
    /// The header of a file that is no segment.
    pub fn new(journal: JournalId, segment: u64) -> FileHeader {
        FileHeader { journal, segment, bytes: None, bank: None }
    }

    /// Its bytes. A segment's header without a size is one of format 1.
    pub fn encode(&self, kind: FileKind) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[..16].copy_from_slice(kind.magic());
        let version = if self.bytes.is_some() { kind.version() } else { 1 };
        bytes[16..20].copy_from_slice(&version.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.journal);
        bytes[40..48].copy_from_slice(&self.segment.to_le_bytes());
        if let Some(size) = self.bytes {
            bytes[48..56].copy_from_slice(&size.to_le_bytes());
            bytes[56] = self.bank.map_or(0, |bank| bank.as_u8() + 1);
        }
        let crc = header_crc(&bytes);
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header from its bytes.
    ///
    /// # Errors
    /// If it is damaged or newer.
    pub fn decode(
        kind: FileKind,
        bytes: &[u8; FILE_HEADER_BYTES],
    ) -> Result<FileHeader, BadHeader> {
        if &bytes[..16] != kind.magic() || u32_at(bytes, 20) != header_crc(bytes) {
            return Err(BadHeader::Damaged);
        }
        let version = u32_at(bytes, 16);
        if version == 0 || version > kind.version() {
            return Err(BadHeader::Newer(version));
        }
        let mut journal = JournalId::default();
        journal.copy_from_slice(&bytes[24..40]);
        let mut header = FileHeader::new(journal, u64_at(bytes, 40));
        if kind == FileKind::Segment && version > 1 {
            header.bytes = Some(u64_at(bytes, 48));
            header.bank = match bytes[56] {
                0 => None,
                position => Some(BankId::new(usize::from(position - 1)).ok_or(BadHeader::Damaged)?),
            };
        }
        Ok(header)
    }
}

fn header_crc(bytes: &[u8; FILE_HEADER_BYTES]) -> u32 {
    crc32c_append(crc32c(&bytes[..20]), &bytes[24..])
}

/// The common prefix of all checksums of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt(u32);

impl Salt {
    /// The salt of one segment of one journal.
    pub fn new(journal: &JournalId, segment: u64) -> Salt {
        Salt(crc32c_append(crc32c(journal), &segment.to_le_bytes()))
    }

    /// The salt of the merged index of these segments.
    pub(super) fn of_span(journal: &JournalId, span: SegmentSpan) -> Salt {
        Salt(crc32c_append(Salt::new(journal, span.first).0, &span.last.to_le_bytes()))
    }

    /// The checksum of `bytes` at `offset` of the segment.
    pub fn crc(self, offset: u64, bytes: &[u8]) -> u32 {
        crc32c_append(crc32c_append(self.0, &offset.to_le_bytes()), bytes)
    }
}

/// The header of a batch, before its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// The number of its first record; in a batch without records (a mark), that of the next one.
    pub first: Seq,
    /// Every record up to this one was synced before this batch was written.
    pub synced: Seq,
    /// How many records it has.
    pub count: u32,
    /// The size of its body, with padding.
    pub body_bytes: u32,
}

impl BatchHeader {
    /// Its bytes, for `offset` in the segment with `salt`.
    pub fn encode(&self, salt: Salt, offset: u64) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        bytes[..4].copy_from_slice(BATCH_MAGIC);
        bytes[8..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.synced.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.count.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.body_bytes.to_le_bytes());
        let crc = salt.crc(offset, &bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header from the beginning of `bytes`; `None` if no batch of this segment begins at
    /// `offset`.
    pub fn decode(salt: Salt, offset: u64, bytes: &[u8]) -> Option<BatchHeader> {
        let bytes = bytes.get(..BATCH_HEADER_BYTES)?;
        if &bytes[..4] != BATCH_MAGIC || u32_at(bytes, 4) != salt.crc(offset, &bytes[8..]) {
            return None;
        }
        Some(BatchHeader {
            first: u64_at(bytes, 8),
            synced: u64_at(bytes, 16),
            count: u32_at(bytes, 24),
            body_bytes: u32_at(bytes, 28),
        })
    }

    /// The size of the whole batch.
    pub fn batch_bytes(&self) -> usize {
        BATCH_HEADER_BYTES.saturating_add(size(self.body_bytes))
    }
}

/// The position of a record in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPosition {
    /// The offset of its header in the segment.
    pub offset: u64,
    /// The size of its postcard.
    pub bytes: usize,
}

/// Finds the records in the body of a batch at `offset`.
///
/// # Errors
/// The offset and description of the first fault.
pub fn split_body(
    salt: Salt,
    offset: u64,
    header: &BatchHeader,
    body: &[u8],
    positions: &mut Vec<RecordPosition>,
) -> Result<(), (u64, &'static str)> {
    positions.clear();
    let body_offset = offset + BATCH_HEADER_BYTES as u64;
    let mut at = 0;
    for _ in 0..header.count {
        let here = body_offset + at as u64;
        let Some(bytes) = check_record(salt, here, &body[at..]) else {
            return Err((here, "a record's checksum is wrong"));
        };
        positions.push(RecordPosition { offset: here, bytes });
        at += RECORD_HEADER_BYTES + bytes;
    }
    let padding = &body[at..];
    if padding.len() >= ALIGNMENT || padding.iter().any(|byte| *byte != 0) {
        return Err((body_offset + at as u64, "a batch does not end where it should"));
    }
    Ok(())
}

/// The size of the record whose header is at the beginning of `bytes`, if it is complete.
pub fn check_record(salt: Salt, offset: u64, bytes: &[u8]) -> Option<usize> {
    let length = size(u32_at(bytes.get(..RECORD_HEADER_BYTES)?, 0));
    let payload = bytes.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES.checked_add(length)?)?;
    (length > 0 && u32_at(bytes, 4) == salt.crc(offset, payload)).then_some(length)
}

/// Reads a record from its postcard.
///
/// # Errors
/// If the bytes are not exactly one record.
pub(crate) fn decode_record(bytes: &[u8]) -> Result<Record, String> {
    match postcard::take_from_bytes::<Record>(bytes) {
        Ok((record, [])) => Ok(record),
        Ok((_, rest)) => Err(format!("{} bytes follow the record", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

/// The file name of segment `number`.
pub(crate) fn segment_name(number: u64) -> String {
    format!("segment-{number:010}")
}

/// The file name of the index of segment `number`.
pub fn index_name(number: u64) -> String {
    format!("index-{number:010}")
}

/// The file name of the snapshot with every record up to `seq`.
pub(crate) fn snapshot_name(seq: Seq) -> String {
    format!("snapshot-{seq:020}")
}

/// The number in a name made by `name_of`.
pub(crate) fn number_in(name: &str, prefix: &str, name_of: fn(u64) -> String) -> Option<u64> {
    let number = name.strip_prefix(prefix)?.parse().ok()?;
    (name_of(number) == name).then_some(number)
}

/// Is `name` that of an incomplete file of this program?
pub(super) fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(".tmp").is_some_and(|name| {
        number_in(name, "segment-", segment_name).is_some()
            || SegmentSpan::named(name).is_some()
            || number_in(name, "snapshot-", snapshot_name).is_some()
    })
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

pub(super) fn size(bytes: u32) -> usize {
    usize::try_from(bytes).expect("a u32 fits a usize wherever this runs")
}

/// A number of bytes or items in memory, from a `u64`.
pub(super) fn usize_of(number: u64) -> usize {
    usize::try_from(number).expect("a usize has 64 bits wherever this runs")
}

/// The segments of one index: one, or a power of the fan-out of them, aligned to a multiple of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentSpan {
    pub first: u64,
    pub last: u64,
}

impl SegmentSpan {
    pub(crate) fn one(segment: u64) -> SegmentSpan {
        SegmentSpan { first: segment, last: segment }
    }

    pub(crate) fn segments(self) -> u64 {
        self.last - self.first + 1
    }

    pub(crate) fn is_within(self, other: SegmentSpan) -> bool {
        other.first <= self.first && self.last <= other.last
    }

    /// The name of the index file.
    pub(crate) fn name(self) -> String {
        if self.segments() == 1 {
            index_name(self.first)
        } else {
            format!("merged-{:010}-{:010}", self.first, self.last)
        }
    }

    /// The span of an index with this name; `None` for other files.
    pub(crate) fn named(name: &str) -> Option<SegmentSpan> {
        if let Some(segment) = number_in(name, "index-", index_name) {
            return Some(SegmentSpan::one(segment));
        }
        let (first, last) = name.strip_prefix("merged-")?.split_once('-')?;
        let span = SegmentSpan { first: first.parse().ok()?, last: last.parse().ok()? };
        (span.first < span.last && span.is_aligned() && span.name() == name).then_some(span)
    }

    /// Is it aligned like a merged span?
    fn is_aligned(self) -> bool {
        let segments = self.segments();
        let power = (0..)
            .map_while(|tier| INDEX_FAN_OUT.checked_pow(tier))
            .take_while(|power| *power <= u64::from(u32::MAX))
            .any(|power| power == segments);
        power && self.first > 0 && (self.first - 1).is_multiple_of(segments)
    }
}
