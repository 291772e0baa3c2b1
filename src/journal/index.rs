//! The index beside a full segment: which id is decided where.
//!
//! ```text
//! file header (64 bytes) · index header (64 bytes) · filter · blocks of 4096 bytes
//! block  up to 340 entries (hash u64 · offset u32), sorted · zeros · count u32 · crc32c
//! ```
//!
//! An index can always be made again from its segment; so one that is missing or damaged is no error. Every
//! part of it has a checksum: a wrong "not found" would let a bank vote twice.

use super::disk::{Disk, DiskFile};
use super::files::{OpenFiles, Which};
use super::filter::Filter;
use super::format::{
    FILE_HEADER_BYTES, FileHeader, JournalId, Kind, RECORD_HEADER_BYTES, Salt, check_record, decode_record,
    index_name, segment_name, size, u32_at, u64_at, usize_of,
};
use super::keeper::write_whole;
use super::segment::{Found, open_segment};
use super::{JournalError, io_error, place};
use crate::bank::io::Seq;
use crate::bank::record::Record;
use crate::ids::TxId;
use std::sync::atomic::AtomicBool;

const INDEX_HEADER_BYTES: usize = 64;
const BLOCK_BYTES: usize = 4096;
const ENTRY_BYTES: usize = 12;
const BLOCK_ENTRIES: usize = (BLOCK_BYTES - 8) / ENTRY_BYTES;

/// A hash of ids, keyed with the journal's id, so that nobody can choose ids that collide.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdHash([u8; 32]);

impl IdHash {
    pub fn new(journal: &JournalId) -> IdHash {
        let mut key = [0; 32];
        key[..16].copy_from_slice(journal);
        key[16..].copy_from_slice(b"consorcio index.");
        IdHash(key)
    }

    pub fn of(&self, tx: &TxId) -> u64 {
        u64_at(blake3::keyed_hash(&self.0, tx.as_str().as_bytes()).as_bytes(), 0)
    }
}

/// One id that a segment decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub hash: u64,
    /// Where the record's header begins, in the segment.
    pub offset: u32,
}

/// What an index file says of its segment, and the filter; the entries stay on disk.
#[derive(Debug)]
pub(super) struct Index {
    pub segment: u64,
    /// Its first record's number.
    pub first: Seq,
    /// Its last record's; `first - 1` when it has none.
    pub last: Seq,
    entries: u64,
    filter: Filter,
    filter_bytes: usize,
    crc_salt: Salt,
    hash: IdHash,
}

/// A full segment, from which an index is made.
#[derive(Debug)]
pub(super) struct Closed {
    pub segment: u64,
    pub first: Seq,
    pub last: Seq,
    pub entries: Vec<Entry>,
}

/// Writes the index of a full segment: whole and synced before it gets its name.
pub(super) fn write_index(
    disk: &dyn Disk,
    journal: &JournalId,
    closed: &mut Closed,
) -> Result<Index, JournalError> {
    closed.entries.sort_unstable();
    let entries = &closed.entries;
    let filter = Filter::new(entries.iter().map(|entry| entry.hash));
    let filter_bytes = filter.to_bytes();
    let salt = Salt::new(journal, closed.segment);
    let mut bytes = Vec::with_capacity(
        FILE_HEADER_BYTES
            + INDEX_HEADER_BYTES
            + filter_bytes.len()
            + entries.len().div_ceil(BLOCK_ENTRIES) * BLOCK_BYTES,
    );
    bytes.extend_from_slice(&FileHeader::new(*journal, closed.segment).encode(Kind::Index));
    let mut header = [0; INDEX_HEADER_BYTES];
    header[8..16].copy_from_slice(&closed.first.to_le_bytes());
    header[16..24].copy_from_slice(&closed.last.to_le_bytes());
    header[24..32].copy_from_slice(&(entries.len() as u64).to_le_bytes());
    header[32..40].copy_from_slice(&(filter_bytes.len() as u64).to_le_bytes());
    header[40..44].copy_from_slice(&salt.crc(1, &filter_bytes).to_le_bytes());
    let crc = salt.crc(0, &header[4..]);
    header[..4].copy_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&filter_bytes);
    for chunk in entries.chunks(BLOCK_ENTRIES) {
        let begin = bytes.len();
        for entry in chunk {
            bytes.extend_from_slice(&entry.hash.to_le_bytes());
            bytes.extend_from_slice(&entry.offset.to_le_bytes());
        }
        bytes.resize(begin + BLOCK_BYTES - 8, 0);
        let count = u32::try_from(chunk.len()).expect("a block has at most 340 entries");
        bytes.extend_from_slice(&count.to_le_bytes());
        let crc = salt.crc(begin as u64, &bytes[begin..]);
        bytes.extend_from_slice(&crc.to_le_bytes());
    }
    write_whole(disk, &index_name(closed.segment), &[&bytes], &AtomicBool::new(false))?;
    Ok(Index {
        segment: closed.segment,
        first: closed.first,
        last: closed.last,
        entries: entries.len() as u64,
        filter,
        filter_bytes: filter_bytes.len(),
        crc_salt: salt,
        hash: IdHash::new(journal),
    })
}

/// Loads an index but for its entries; `None` when it is missing, damaged, or another version's.
pub(super) fn load_index(
    disk: &dyn Disk,
    journal: &JournalId,
    segment: u64,
) -> Result<Option<Index>, JournalError> {
    let name = index_name(segment);
    let read = |error| io_error(disk, "read", &name, error);
    let file = match disk.open(&name) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(disk, "open", &name, error)),
    };
    let mut head = [0; FILE_HEADER_BYTES + INDEX_HEADER_BYTES];
    let got = file.read_at(0, &mut head).map_err(read)?;
    let mut file_header = [0; FILE_HEADER_BYTES];
    file_header.copy_from_slice(&head[..FILE_HEADER_BYTES]);
    let header = &head[FILE_HEADER_BYTES..];
    let salt = Salt::new(journal, segment);
    let known = FileHeader::decode(Kind::Index, &file_header) == Ok(FileHeader::new(*journal, segment));
    if got < head.len() || !known || u32_at(header, 0) != salt.crc(0, &header[4..]) {
        return Ok(None);
    }
    let (entries, filter_bytes) = (u64_at(header, 24), usize_of(u64_at(header, 32)));
    let blocks = usize_of(entries).div_ceil(BLOCK_ENTRIES);
    let whole = head.len() + filter_bytes + blocks * BLOCK_BYTES;
    if file.size().map_err(read)? != whole as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; filter_bytes];
    let got = file.read_at(head.len() as u64, &mut bytes).map_err(read)?;
    if got < filter_bytes || u32_at(header, 40) != salt.crc(1, &bytes) {
        return Ok(None);
    }
    Ok(Filter::from_bytes(&bytes).map(|filter| Index {
        segment,
        first: u64_at(header, 8),
        last: u64_at(header, 16),
        entries,
        filter,
        filter_bytes,
        crc_salt: salt,
        hash: IdHash::new(journal),
    }))
}

/// Reads a full segment to find what its index must hold.
pub(super) fn read_closed(
    disk: &dyn Disk,
    journal: &JournalId,
    segment: u64,
) -> Result<Closed, JournalError> {
    let mut reader = open_segment(disk, segment)?;
    reader.expect_journal(journal)?;
    let hash = IdHash::new(journal);
    let mut closed: Option<Closed> = None;
    loop {
        match reader.next()? {
            Found::Batch(offset, header) => {
                let closed = closed.get_or_insert_with(|| Closed {
                    segment,
                    first: header.first,
                    last: header.first.saturating_sub(1),
                    entries: Vec::new(),
                });
                if header.first != closed.last + 1 {
                    return Err(JournalError::Damaged {
                        file: reader.place(),
                        offset,
                        why: format!("record {} was due and {} came", closed.last + 1, header.first),
                    });
                }
                for (offset, record) in reader.records() {
                    closed.last += 1;
                    note_decided(&hash, offset, &record?, &mut closed.entries);
                }
            }
            Found::End(offset) => {
                return closed.ok_or_else(|| JournalError::Damaged {
                    file: reader.place(),
                    offset,
                    why: "a full segment holds no batch".into(),
                });
            }
            Found::Bad(bad) => {
                return Err(JournalError::Damaged {
                    file: reader.place(),
                    offset: bad.offset,
                    why: format!("{} (at {}), and later segments were written", bad.why, bad.fault_at),
                });
            }
        }
    }
}

/// Notes where `record` stands, if it decides an id.
pub(super) fn note_decided(hash: &IdHash, offset: u64, record: &Record, entries: &mut Vec<Entry>) {
    if let Some(tx) = record.decides() {
        let offset = u32::try_from(offset).expect("a segment is shorter than 4 GiB");
        entries.push(Entry { hash: hash.of(tx), offset });
    }
}

/// What a look into an index found.
#[derive(Debug)]
pub(super) enum Look {
    /// The record that decides the id.
    Found(Record),
    /// This segment does not decide it.
    Not,
    /// The index file is gone or damaged.
    IndexBad,
}

impl Index {
    /// How many ids it has.
    pub fn entries(&self) -> usize {
        usize_of(self.entries)
    }

    /// Can the segment decide the id with this hash? "No" is sure, and costs no read.
    pub fn may_have(&self, hash: u64) -> bool {
        self.filter.may_have(hash)
    }

    /// Looks for the record that decides `tx`, with reads.
    pub fn look(&self, files: &OpenFiles, tx: &TxId) -> Result<Look, JournalError> {
        let hash = self.hash.of(tx);
        let (disk, name) = (files.disk.as_ref(), index_name(self.segment));
        let file = match files.get(Which::Index, self.segment) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Look::IndexBad),
            Err(error) => return Err(io_error(disk, "open", &name, error)),
        };
        let file = file.as_ref();
        let read =
            |number| self.read_block(file, number).map_err(|error| io_error(disk, "read", &name, error));
        // The first block whose last entry is not before the hash.
        let (mut low, mut high) = (0, usize_of(self.entries).div_ceil(BLOCK_ENTRIES));
        while low < high {
            let middle = low.midpoint(high);
            let Some(block) = read(middle)? else { return Ok(Look::IndexBad) };
            if block.last_hash() < hash {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        // The last record on an id is its outcome, so the greatest offset counts.
        let mut newest = None;
        for number in low..usize_of(self.entries).div_ceil(BLOCK_ENTRIES) {
            let Some(block) = read(number)? else { return Ok(Look::IndexBad) };
            for offset in block.offsets_of(hash) {
                let record = self.read_record(files, offset)?;
                if record.decides() == Some(tx) {
                    newest = Some(record);
                }
            }
            if block.last_hash() > hash {
                break;
            }
        }
        Ok(newest.map_or(Look::Not, Look::Found))
    }

    fn read_block(&self, file: &dyn DiskFile, number: usize) -> std::io::Result<Option<Block>> {
        let begin =
            (FILE_HEADER_BYTES + INDEX_HEADER_BYTES + self.filter_bytes + number * BLOCK_BYTES) as u64;
        let mut bytes = Box::new([0; BLOCK_BYTES]);
        let got = file.read_at(begin, bytes.as_mut_slice())?;
        let crc = self.crc_salt.crc(begin, &bytes[..BLOCK_BYTES - 4]);
        let count = size(u32_at(bytes.as_slice(), BLOCK_BYTES - 8));
        let good = got == BLOCK_BYTES
            && crc == u32_at(bytes.as_slice(), BLOCK_BYTES - 4)
            && (1..=BLOCK_ENTRIES).contains(&count);
        Ok(good.then_some(Block { bytes, count }))
    }

    fn read_record(&self, files: &OpenFiles, offset: u32) -> Result<Record, JournalError> {
        let (disk, name) = (files.disk.as_ref(), segment_name(self.segment));
        let read = |error| io_error(disk, "read", &name, error);
        let damaged = |why: &str| JournalError::Damaged {
            file: place(disk, &name),
            offset: u64::from(offset),
            why: why.into(),
        };
        let file =
            files.get(Which::Segment, self.segment).map_err(|error| io_error(disk, "open", &name, error))?;
        // Most records fit this; the rest of a longer one is read when its length is known.
        let mut bytes = vec![0; 1024];
        let got = file.read_at(u64::from(offset), &mut bytes).map_err(read)?;
        bytes.truncate(got);
        if bytes.len() >= RECORD_HEADER_BYTES {
            let whole = RECORD_HEADER_BYTES + size(u32_at(&bytes, 0));
            let left = usize_of(file.size().map_err(read)?.saturating_sub(u64::from(offset)));
            bytes.resize(whole.min(left), 0);
            if whole > got {
                let got = file.read_at(u64::from(offset), &mut bytes).map_err(read)?;
                bytes.truncate(got);
            }
        }
        let length = check_record(self.crc_salt, u64::from(offset), &bytes)
            .ok_or_else(|| damaged("the record that the index points at is not as it was written"))?;
        decode_record(&bytes[RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length])
            .map_err(|why| damaged(&format!("this program can't read the record: {why}")))
    }
}

struct Block {
    bytes: Box<[u8; BLOCK_BYTES]>,
    count: usize,
}

impl Block {
    fn hash(&self, entry: usize) -> u64 {
        u64_at(self.bytes.as_slice(), entry * ENTRY_BYTES)
    }

    fn last_hash(&self) -> u64 {
        self.hash(self.count - 1)
    }

    fn offsets_of(&self, hash: u64) -> impl Iterator<Item = u32> {
        (0..self.count)
            .filter(move |entry| self.hash(*entry) == hash)
            .map(|entry| u32_at(self.bytes.as_slice(), entry * ENTRY_BYTES + 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Time;
    use crate::journal::{MemDisk, Options, Replica, open};
    use crate::wire::Reason;
    use std::sync::Arc;

    struct Nobody;

    impl Replica for Nobody {
        fn restore(&mut self, _: Seq, _: &[u8]) -> Result<(), String> {
            Ok(())
        }
        fn apply(&mut self, _: Seq, _: &Record) {}
        fn forget(&mut self, _: Seq) {}
        fn snapshot(&self) -> Vec<u8> {
            Vec::new()
        }
    }

    fn refused(n: i64) -> Record {
        Record::Refused { tx: tx(n), time: Time(n), reason: Reason::Expired }
    }

    fn tx(n: i64) -> TxId {
        TxId::new(&n.to_string()).unwrap()
    }

    #[test]
    fn ids_with_one_hash_are_told_apart_over_many_blocks() {
        let disk = MemDisk::new();
        let options = Options { threads: false, ..Options::default() };
        let (mut appender, ..) = open(Arc::new(disk.clone()), options, &mut Nobody).unwrap();
        let mut batch = appender.batch();
        (1..=1500).for_each(|n| batch.push(n, &refused(i64::try_from(n).unwrap())));
        appender.append(&mut batch).unwrap();
        let journal = *appender.journal();
        let mut closed = read_closed(&disk, &journal, 1).unwrap();
        assert_eq!((closed.first, closed.last, closed.entries.len()), (1, 1500, 1500));
        // As if a thousand ids had the hash of id 7.
        let hash = IdHash::new(&journal).of(&tx(7));
        closed.entries[..1000].iter_mut().for_each(|entry| entry.hash = hash);
        let index = write_index(&disk, &journal, &mut closed).unwrap();
        let loaded = load_index(&disk, &journal, 1).unwrap().unwrap();
        let files = OpenFiles::new(Arc::new(disk.clone()), 4);
        for index in [index, loaded] {
            assert!(
                matches!(index.look(&files, &tx(7)).unwrap(), Look::Found(record) if record == refused(7))
            );
            assert!(matches!(index.look(&files, &tx(8)).unwrap(), Look::Not), "its hash is not there");
            for n in [1001, 1250, 1500] {
                assert!(
                    matches!(index.look(&files, &tx(n)).unwrap(), Look::Found(record) if record == refused(n))
                );
            }
            assert!(matches!(index.look(&files, &tx(2000)).unwrap(), Look::Not));
        }
    }
}
