//! The journal reader, on a disk that somebody altered at will: opening either gives records that
//! were written, from the first one on and none left out, or refuses and names the file. Even where
//! checksums were made to fit, nothing panics, and it ends.

use super::Bytes;
use consorcio::bank::PieceSink;
use consorcio::bank::io::{Outcome, OwnVote, Seq};
use consorcio::bank::record::Record;
use consorcio::ids::{BankId, Time, TxId};
use consorcio::journal::format::{
    BATCH_HEADER_BYTES, BatchHeader, FILE_HEADER_BYTES, FileHeader, FileKind, RECORD_HEADER_BYTES,
    Salt,
};
use consorcio::journal::{
    Appender, Disk, JournalError, JournalOptions, JournalReader, MemDisk, Recovered, Replica,
    SegmentSizes, StateView, dump, open,
};
use consorcio::wire::Reason;
use consorcio::wire::token::{Digest, Vote};
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

const ID: [u8; 16] = *b"a fuzzed journal";
/// Files stay this short, so that each try is quick.
const FILE_BYTES_MAX: usize = 8 * 1024;

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let base = bytes.below(BASES.len() + 2);
    match BASES.get(base) {
        Some(base) => {
            let disk = base.disk.copy();
            while !bytes.is_empty() {
                alter(&disk, &mut bytes);
            }
            opens_or_refuses(&disk, base.last);
        }
        None => {
            // All bytes of the first segment come from outside, with right checksums or without.
            let mut content = bytes.0.to_vec();
            content.truncate(FILE_BYTES_MAX);
            if base == BASES.len() {
                seal(&mut content, 1);
            }
            let disk = MemDisk::new();
            disk.put("segment-0000000001", content);
            ends(&disk);
        }
    }
}

/// A journal as it was written.
struct BaseJournal {
    disk: MemDisk,
    last: Seq,
}

static BASES: LazyLock<Vec<BaseJournal>> = LazyLock::new(|| {
    vec![
        base(9, &options(0), false),
        base(9, &options(0), true),
        base(60, &options(0), false),
        base(90, &options(1), false),
    ]
});

fn base(last: Seq, options: &JournalOptions, in_order: bool) -> BaseJournal {
    let disk = MemDisk::new();
    let (mut appender, ..) = try_open(&disk, options.clone()).expect("a new disk opens");
    let mut count = 1;
    while appender.last() < last {
        let left = last - appender.last();
        append(&mut appender, count.min(left)).expect("this disk has no faults");
        count = count % 3 + 1;
    }
    if in_order {
        appender.close().expect("this disk has no faults");
    }
    BaseJournal { disk, last }
}

fn options(snapshot_after_segments: u64) -> JournalOptions {
    JournalOptions {
        sizes: SegmentSizes::all(1024),
        snapshot_after_segments,
        threads: false,
        new_id: Some(ID),
        ..JournalOptions::default()
    }
}

/// One change behind the journal's back.
fn alter(disk: &MemDisk, bytes: &mut Bytes<'_>) {
    let mut names = disk.list().unwrap_or_default();
    names.sort();
    if names.is_empty() {
        bytes.take(1);
        return;
    }
    let name = names[bytes.below(names.len())].clone();
    let mut content = disk.get(&name);
    // Most of a file is zeros: places are counted from where its content ends, or from its
    // beginning.
    let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let change = bytes.below(10);
    let near_the_end = bytes.flag();
    let offset = bytes.word();
    let at =
        if near_the_end { used.saturating_sub(offset % 256) } else { offset % (content.len() + 1) };
    match change {
        0 => {
            if let Some(byte) = content.get_mut(at) {
                *byte ^= 1 << bytes.below(8);
            }
        }
        1 => content.truncate(at),
        2 => content[at..].fill(0),
        3 => {
            let count = bytes.below(64);
            overwrite(&mut content, at, bytes.take(count));
        }
        4 => {
            // What stands elsewhere, here or in another file.
            let other = disk.get(&names[bytes.below(names.len())]);
            let from = bytes.word() % (other.len() + 1);
            let to = other.len().min(from + 8 * bytes.below(64));
            overwrite(&mut content, at & !7, &other[from & !7..to]);
        }
        5 => {
            let end = content.len().min(at + bytes.below(256));
            content[at..end].fill(0);
        }
        6 => {
            let grown = (content.len() + bytes.below(256)).min(FILE_BYTES_MAX);
            content.resize(grown.max(content.len()), 0);
        }
        7 => {
            drop(disk.remove(&name));
            return;
        }
        8 => {
            let other = names[bytes.below(names.len())].clone();
            drop(disk.rename(&name, &other));
            return;
        }
        _ => {
            let number = *bytes.pick(&[0, 1, 2, 3, 4, 5, 6, 7, u64::MAX / 12]);
            let other = match bytes.below(4) {
                0 => format!("segment-{number:010}"),
                1 => format!("index-{number:010}"),
                2 => format!("snapshot-{:020}", number * 12),
                _ => format!("segment-{number:010}.tmp"),
            };
            disk.put(&other, content);
            return;
        }
    }
    disk.put(&name, content);
}

fn overwrite(content: &mut Vec<u8>, at: usize, with: &[u8]) {
    let with = &with[..with.len().min(FILE_BYTES_MAX.saturating_sub(at))];
    content.resize(content.len().max(at + with.len()), 0);
    content[at..at + with.len()].copy_from_slice(with);
}

/// `last` records were written, and then things happened that no disk does by itself.
fn opens_or_refuses(disk: &MemDisk, last: Seq) {
    let shown = dump(disk, &mut std::io::sink());
    assert!(shown.is_ok(), "{shown:?}");
    let (mut appender, reader, recovered, log) = match try_open(disk, options(1)) {
        Ok(opened) => opened,
        Err(error) => return refused(&error),
    };
    assert!(recovered.last <= last);
    assert_records(&log, recovered.last);
    assert_eq!(appender.last(), recovered.last);
    for n in 1..=last + 1 {
        // What is in a closed segment is found, and nothing that is cut off is.
        match reader.lookup(&tx(n)) {
            Ok(Some(found)) => assert!(n <= recovered.last && found == record(n), "{n}: {found:?}"),
            Ok(None) => {
                assert!(n > reader.indexed_up_to() || record(n).decides().is_none(), "{n} is lost")
            }
            Err(error) => refused(&error),
        }
    }
    // It goes on from there, and nothing of what was cut off comes back.
    append(&mut appender, 3).expect("this disk has no faults");
    drop((appender, reader));
    match try_open(disk, options(1)) {
        Ok((_, _, again, log)) => {
            assert_eq!((again.last, again.torn), (recovered.last + 3, None));
            assert_records(&log, recovered.last + 3);
        }
        Err(error) => panic!("it opened once, with {recovered}: {error}"),
    }
}

/// Where checksums fit what was never written, there is nothing to compare with.
fn ends(disk: &MemDisk) {
    let shown = dump(disk, &mut std::io::sink());
    assert!(shown.is_ok(), "{shown:?}");
    match try_open(disk, options(1)) {
        Ok((appender, reader, recovered, log)) => {
            assert_eq!(log.records.len() as u64, recovered.last);
            for record in &log.records {
                if let Some(tx) = record.decides() {
                    drop(reader.lookup(tx));
                }
            }
            appender.close().expect("this disk has no faults");
        }
        Err(error) => refused(&error),
    }
}

fn refused(error: &JournalError) {
    let named = match error {
        JournalError::Damaged { file, .. }
        | JournalError::Newer { file, .. }
        | JournalError::Foreign { file }
        | JournalError::OtherBank { file, .. }
        | JournalError::Missing { file, .. } => file,
        JournalError::Io { .. }
        | JournalError::DiskFull { .. }
        | JournalError::FileTooLarge { .. }
        | JournalError::Write { .. }
        | JournalError::Sync { .. }
        | JournalError::Stopped(_)
        | JournalError::Order { .. } => panic!("the disk itself has no faults: {error}"),
    };
    assert!(named.starts_with("memory/"), "{error}");
}

/// Makes all checksums of a segment right, as far as its bytes can be read as batches of records.
fn seal(content: &mut [u8], number: u64) {
    let size = content.len() as u64;
    let Some(head) = content.first_chunk_mut::<FILE_HEADER_BYTES>() else { return };
    *head =
        FileHeader { bytes: Some(size), ..FileHeader::new(ID, number) }.encode(FileKind::Segment);
    let salt = Salt::new(&ID, number);
    let mut at = FILE_HEADER_BYTES;
    while let Some(head) = content.get(at..at + BATCH_HEADER_BYTES) {
        let number_at =
            |at: usize| u64::from_le_bytes(*head[at..].first_chunk().expect("a header is longer"));
        let short_at =
            |at: usize| u32::from_le_bytes(*head[at..].first_chunk().expect("a header is longer"));
        let header = BatchHeader {
            first: number_at(8),
            synced: number_at(16),
            count: short_at(24),
            body_bytes: short_at(28),
        };
        content[at..at + BATCH_HEADER_BYTES].copy_from_slice(&header.encode(salt, at as u64));
        let end = content.len().min(at.saturating_add(header.batch_bytes()));
        let mut record = at + BATCH_HEADER_BYTES;
        for _ in 0..header.count {
            let Some(length) =
                content.get(record..record + 4).and_then(|bytes| bytes.first_chunk())
            else {
                break;
            };
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            let begin = record + RECORD_HEADER_BYTES;
            let Some(payload) = content.get(begin..begin.saturating_add(length)) else { break };
            let crc = salt.crc(record as u64, payload);
            content[record + 4..begin].copy_from_slice(&crc.to_le_bytes());
            record = begin + length;
        }
        at = end;
    }
}

/// Remembers what was applied.
#[derive(Debug, Default)]
struct Applied {
    records: Vec<Record>,
}

impl Replica for Applied {
    fn restore(&mut self, seq: Seq, snapshot: &[u8]) -> Result<(), String> {
        let records: Vec<Record> =
            serde_json::from_slice(snapshot).map_err(|error| error.to_string())?;
        if records.len() as u64 != seq {
            return Err(format!("{} records, not {seq}", records.len()));
        }
        self.records = records;
        Ok(())
    }

    fn apply(&mut self, seq: Seq, record: &Record) {
        self.records.push(record.clone());
        assert_eq!(seq, self.records.len() as u64, "records come in order, from 1 on");
    }

    fn forget(&mut self, indexed: Seq) {
        assert!(indexed <= self.records.len() as u64);
    }

    fn freeze(&self) -> Box<dyn StateView> {
        Box::new(AppliedView(self.records.clone()))
    }
}

struct AppliedView(Vec<Record>);

impl StateView for AppliedView {
    fn seq(&self) -> Seq {
        self.0.len() as u64
    }

    fn write(self: Box<Self>, sink: &mut PieceSink<'_>) -> ControlFlow<()> {
        sink(&serde_json::to_vec(&self.0).expect("records can be written"))
    }
}

fn try_open(
    disk: &MemDisk,
    options: JournalOptions,
) -> Result<(Appender, JournalReader, Recovered, Applied), JournalError> {
    let mut log = Applied::default();
    let (appender, reader, recovered) = open(Arc::new(disk.clone()), options, &mut log)?;
    Ok((appender, reader, recovered, log))
}

/// Appends the next `count` records in one batch.
fn append(appender: &mut Appender, count: u64) -> Result<(), JournalError> {
    let mut batch = appender.batch();
    for seq in appender.last() + 1..=appender.last() + count {
        batch.push(seq, &record(seq));
    }
    let last = appender.last() + count;
    batch.end_segment_if_due(|| Box::new(AppliedView((1..=last).map(record).collect())));
    appender.append(&mut batch)
}

fn assert_records(log: &Applied, last: Seq) {
    assert_eq!(log.records.len() as u64, last, "how many records");
    let wrong = (1..=last).zip(&log.records).find(|(n, found)| record(*n) != **found);
    assert_eq!(wrong, None);
}

fn tx(n: u64) -> TxId {
    TxId::new(&format!("t-{n}")).expect("a legal id")
}

/// Record number `n`: now short, now longer, half of them deciding id `t-<n>`.
fn record(n: u64) -> Record {
    let time = Time(i64::try_from(n).unwrap_or(0));
    let bank = |position| BankId::new(position).expect("few banks");
    match n % 4 {
        0 => Record::ClockMoved { time },
        1 => Record::Refused { tx: tx(n), time, reason: Reason::Expired },
        2 => Record::Decided {
            tx: tx(n),
            own: OwnVote {
                vote: Vote::Ok,
                time: Time(7),
                digest: Some(Digest::of(&n.to_le_bytes())),
            },
            outcome: Outcome::Committed(time),
            votes: vec![(bank(0), Time(1)), (bank(2), time)],
        },
        _ => Record::Stopped { why: "é".repeat(usize::try_from(n % 23).unwrap_or(0)) },
    }
}
