//! The index of one full segment.
//!
//! ```text
//! file header (64 bytes) · own header (64 bytes) · filter · pages of entries, as in `pages`
//! own header  crc32c · zeros u32 · first record u64 · last record u64 · entries u64 ·
//!             bytes of the filter u64 · crc32c of the filter · zeros
//! ```

use super::pages::{Pages, PlacedEntry};
use super::{FilterAt, IdHash, Index, IndexEntry};
use crate::JournalError;
use crate::disk::{Disk, DiskFile};
use crate::filter::BlockFilter;
use crate::format::SegmentSpan;
use crate::format::{
    FILE_HEADER_BYTES, FileHeader, FileKind, JournalId, Salt, index_name, u32_at, u64_at, usize_of,
};
use crate::segment::{FoundSegment, open_segment};
use crate::whole::write_whole;
use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const OWN_HEADER_BYTES: usize = 64;
const HEAD_BYTES: usize = FILE_HEADER_BYTES + OWN_HEADER_BYTES;

/// A full segment, from which an index is built.
#[derive(Debug)]
pub(crate) struct ClosedSegment {
    pub segment: u64,
    pub first: Seq,
    pub last: Seq,
    pub entries: Vec<IndexEntry>,
}

/// Writes the index of a full segment: complete and synced before it is renamed. Its filter is in
/// memory afterwards.
pub(crate) fn write_index(
    disk: &dyn Disk,
    journal: &JournalId,
    closed: &mut ClosedSegment,
) -> Result<Index, JournalError> {
    closed.entries.sort_unstable();
    let entries = &closed.entries;
    let filter = BlockFilter::new(entries.iter().map(|entry| entry.hash));
    let filter_bytes = filter.to_bytes();
    let salt = Salt::new(journal, closed.segment);
    let filter_crc = salt.crc(1, &filter_bytes);
    let mut bytes = FileHeader::new(*journal, closed.segment).encode(FileKind::Index).to_vec();
    let mut header = [0; OWN_HEADER_BYTES];
    header[8..16].copy_from_slice(&closed.first.to_le_bytes());
    header[16..24].copy_from_slice(&closed.last.to_le_bytes());
    header[24..32].copy_from_slice(&(entries.len() as u64).to_le_bytes());
    header[32..40].copy_from_slice(&filter.bytes().to_le_bytes());
    header[40..44].copy_from_slice(&filter_crc.to_le_bytes());
    let crc = salt.crc(0, &header[4..]);
    header[..4].copy_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&filter_bytes);
    let pages = pages(salt, filter.bytes(), entries.len() as u64);
    let placed: Vec<PlacedEntry> = entries
        .iter()
        .map(|entry| PlacedEntry { hash: entry.hash, segment: 0, offset: entry.offset })
        .collect();
    for (page, entries) in (0..).zip(placed.chunks(pages.in_page())) {
        pages.encode(page, entries, &mut bytes);
    }
    write_whole(disk, &index_name(closed.segment), &bytes, &AtomicBool::new(false))?;
    Ok(Index {
        span: SegmentSpan::one(closed.segment),
        first: closed.first,
        last: closed.last,
        journal: *journal,
        pages,
        filter_at: FilterAt::Whole { bytes: filter.bytes(), crc: filter_crc },
        filter: Some(Arc::new(filter)),
    })
}

fn pages(salt: Salt, filter_bytes: u64, entries: u64) -> Pages {
    let begin = (HEAD_BYTES as u64).saturating_add(filter_bytes);
    Pages { begin, entries, with_segment: false, salt }
}

/// The index, without its filter, from its header; `None` if that is damaged.
pub(super) fn read_header(
    file: &dyn DiskFile,
    journal: &JournalId,
    span: SegmentSpan,
) -> io::Result<Option<Index>> {
    let mut head = [0; HEAD_BYTES];
    let got = file.read_at(0, &mut head)?;
    let mut file_header = [0; FILE_HEADER_BYTES];
    file_header.copy_from_slice(&head[..FILE_HEADER_BYTES]);
    let header = &head[FILE_HEADER_BYTES..];
    let salt = Salt::new(journal, span.first);
    let known = FileHeader::decode(FileKind::Index, &file_header)
        == Ok(FileHeader::new(*journal, span.first));
    if got < head.len() || !known || u32_at(header, 0) != salt.crc(0, &header[4..]) {
        return Ok(None);
    }
    let (entries, filter_bytes) = (u64_at(header, 24), u64_at(header, 32));
    Ok(Some(Index {
        span,
        first: u64_at(header, 8),
        last: u64_at(header, 16),
        journal: *journal,
        pages: pages(salt, filter_bytes, entries),
        filter_at: FilterAt::Whole { bytes: filter_bytes, crc: u32_at(header, 40) },
        filter: None,
    }))
}

/// Reads the filter, with the size and the checksum from the header; `None` if it is damaged. The
/// file's length agrees with the header.
pub(super) fn read_filter(
    file: &dyn DiskFile,
    salt: Salt,
    filter_bytes: u64,
    crc: u32,
) -> io::Result<Option<BlockFilter>> {
    let mut bytes = vec![0; usize_of(filter_bytes)];
    let got = file.read_at(HEAD_BYTES as u64, &mut bytes)?;
    let whole = got == bytes.len() && salt.crc(1, &bytes) == crc;
    Ok(whole.then(|| BlockFilter::from_bytes(&bytes)).flatten())
}

/// Reads a full segment to find the content of its index.
pub(crate) fn read_closed(
    disk: &dyn Disk,
    journal: &JournalId,
    segment: u64,
) -> Result<ClosedSegment, JournalError> {
    let mut reader = open_segment(disk, segment)?;
    reader.expect_journal(journal)?;
    let hash = IdHash::new(journal);
    let mut closed: Option<ClosedSegment> = None;
    loop {
        match reader.next()? {
            FoundSegment::Batch(offset, header) => {
                let closed = closed.get_or_insert_with(|| ClosedSegment {
                    segment,
                    first: header.first,
                    last: header.first.saturating_sub(1),
                    entries: Vec::new(),
                });
                if header.first != closed.last + 1 {
                    return Err(JournalError::Damaged {
                        file: reader.display_path(),
                        offset,
                        why: format!(
                            "record {} was due and {} came",
                            closed.last + 1,
                            header.first
                        ),
                    });
                }
                for (offset, record) in reader.records() {
                    closed.last += 1;
                    note_decided(&hash, offset, &record?, &mut closed.entries);
                }
            }
            FoundSegment::End(offset) => {
                return closed.ok_or_else(|| JournalError::Damaged {
                    file: reader.display_path(),
                    offset,
                    why: "a full segment holds no batch".into(),
                });
            }
            FoundSegment::BadBatch(bad) => {
                return Err(JournalError::Damaged {
                    file: reader.display_path(),
                    offset: bad.offset,
                    why: format!(
                        "{} (at {}), and later segments were written",
                        bad.why, bad.fault_at
                    ),
                });
            }
        }
    }
}

/// Adds an entry for `record` if it decides an id.
pub(crate) fn note_decided(
    hash: &IdHash,
    offset: u64,
    record: &Record,
    entries: &mut Vec<IndexEntry>,
) {
    if let Some(tx) = record.decides() {
        let offset = u32::try_from(offset).expect("a segment is shorter than 4 GiB");
        entries.push(IndexEntry { hash: hash.of(tx), offset });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::index::{Cost, Lookup, load};
    use crate::{JournalOptions, MemDisk, Replica, open};
    use consorcio_core::ids::{Time, TxId};
    use consorcio_core::wire::Reason;
    use std::sync::Arc;

    struct NoReplica;

    impl Replica for NoReplica {
        fn restore(&mut self, _: Seq, _: &[u8]) -> Result<(), String> {
            Ok(())
        }
        fn apply(&mut self, _: Seq, _: &Record) {}
        fn forget(&mut self, _: Seq) {}
        fn freeze(&self) -> Box<dyn crate::StateView> {
            panic!("no snapshot is due")
        }
    }

    fn refused(n: i64) -> Record {
        Record::Refused { tx: tx(n), time: Time(n), reason: Reason::Expired }
    }

    fn tx(n: i64) -> TxId {
        TxId::new(&n.to_string()).unwrap()
    }

    #[test]
    fn ids_with_the_same_hash_are_distinguished_over_many_pages() {
        let disk = MemDisk::new();
        let options = JournalOptions { threads: false, ..JournalOptions::default() };
        let (mut appender, ..) = open(Arc::new(disk.clone()), options, &mut NoReplica).unwrap();
        let mut batch = appender.batch();
        (1..=1500).for_each(|n| batch.push(n, &refused(i64::try_from(n).unwrap())));
        appender.append(&mut batch).unwrap();
        let journal = *appender.journal();
        let mut closed = read_closed(&disk, &journal, 1).unwrap();
        assert_eq!((closed.first, closed.last, closed.entries.len()), (1, 1500, 1500));
        // Simulates a thousand ids with the hash of id 7.
        let hash = IdHash::new(&journal).of(&tx(7));
        closed.entries[..1000].iter_mut().for_each(|entry| entry.hash = hash);
        let index = write_index(&disk, &journal, &mut closed).unwrap();
        let loaded = load(&disk, &journal, SegmentSpan::one(1)).unwrap().unwrap();
        assert!(index.has_filter() && !loaded.has_filter());
        let again = loaded.with_filter(&disk).unwrap().unwrap();
        let files = Files::new(Arc::new(disk.clone()), 4);
        for index in [index, loaded, again] {
            let find = |n| {
                index.find(&files, &tx(n), IdHash::new(&journal).of(&tx(n)), &mut Cost::default())
            };
            assert!(matches!(find(7).unwrap(), Lookup::Found(record) if record == refused(7)));
            assert!(matches!(find(8).unwrap(), Lookup::Not), "no entry has its hash");
            for n in [1001, 1250, 1500] {
                assert!(matches!(find(n).unwrap(), Lookup::Found(record) if record == refused(n)));
            }
            assert!(matches!(find(2000).unwrap(), Lookup::Not));
        }
    }
}
