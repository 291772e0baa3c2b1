//! Damage to the journal of a bank that is down: torn tails, batches cut off or changed while they
//! were written, and flipped bits in synced batches.
//!
//! The journal's own code finds the batches and computes the checksums. `nemesis` checks how the
//! bank then starts.

use super::random::SeededRng;
use consorcio::journal::format::{
    ALIGNMENT, BATCH_HEADER_BYTES, BatchHeader, FILE_HEADER_BYTES, FileHeader, FileKind,
    RECORD_HEADER_BYTES, Salt, check_record, split_body,
};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The newest segment of a journal that holds batches, as read from disk.
pub struct NewestSegment {
    pub path: PathBuf,
    bytes: Vec<u8>,
    salt: Salt,
    /// The complete batches with their offsets.
    batches: Vec<(Range<usize>, BatchHeader)>,
    /// The file and the offset of a torn tail, here or at the start of the next segment.
    torn: Option<(PathBuf, usize)>,
}

/// A flipped bit in a synced batch.
pub struct FlippedBit {
    path: PathBuf,
    /// The offset of the byte, and its original value.
    at: usize,
    original: u8,
    /// The offset of its batch.
    batch: usize,
    /// All batches after the flip.
    after: Vec<u8>,
}

impl NewestSegment {
    /// Reads the newest segment with batches of the journal in `folder`.
    pub fn read(folder: &Path) -> NewestSegment {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let is_segment =
            |path: &PathBuf| name(path).starts_with("segment-") && !name(path).ends_with(".tmp");
        let mut paths: Vec<PathBuf> = entries.filter(is_segment).collect();
        paths.sort();
        let mut segments = paths.into_iter().rev().map(NewestSegment::of);
        let mut newest = segments.next().expect("a bank that ran has a journal");
        // The journal creates the next segment ahead of its use.
        if newest.batches.is_empty()
            && let Some(before) = segments.next()
        {
            newest = NewestSegment { torn: newest.torn.or(before.torn), ..before };
        }
        newest
    }

    fn of(path: PathBuf) -> NewestSegment {
        let bytes = std::fs::read(&path).unwrap();
        let header =
            FileHeader::decode(FileKind::Segment, bytes[..FILE_HEADER_BYTES].try_into().unwrap());
        let header = header.expect("a segment gets its name only once it is whole");
        let salt = Salt::new(&header.journal, header.segment);
        let batches = whole_batches(salt, &bytes);
        let end = batches.last().map_or(FILE_HEADER_BYTES, |(range, _)| range.end);
        let follows = bytes[end..].iter().any(|byte| *byte != 0);
        let torn = follows.then(|| (path.clone(), end));
        NewestSegment { path, bytes, salt, batches, torn }
    }

    /// The number of complete batches.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// The offset at which the last complete batch ends.
    pub fn end(&self) -> usize {
        self.batches.last().map_or(FILE_HEADER_BYTES, |(range, _)| range.end)
    }

    /// The position of the torn tail, as the bank reports it when it cuts the tail off.
    pub fn torn_at(&self) -> Option<String> {
        let (path, offset) = self.torn.as_ref()?;
        Some(format!("{} at offset {offset}", name(path)))
    }

    /// Appends random bytes after the last batch, unless the tail is torn already. Synced batches
    /// are not changed.
    pub fn tear(&self, random: &mut SeededRng) {
        let length = (1 + random.below(4_000)).min(self.room());
        let mut junk = random.bytes(length);
        match random.below(3) {
            0 => {}
            // The beginning of a batch without the rest.
            1 => junk.iter_mut().zip(b"CBat").for_each(|(to, from)| *to = *from),
            // The later pages of a batch without the first: pages are written in any order.
            _ => junk.iter_mut().take(length / 2).for_each(|byte| *byte = 0),
        }
        if let Some(last) = junk.last_mut() {
            *last |= 1;
        }
        self.append(&junk);
    }

    /// Appends the batch that would have come next, with right checksums, but cut off or with one
    /// flipped bit: the bank crashed while it wrote it, before any of its records was durable.
    pub fn begin_next(&self, random: &mut SeededRng) {
        let mut batch = self.next_batch(1 + random.below(4));
        let Some(last) = batch.iter().rposition(|byte| *byte != 0) else { return };
        if random.percent(50) {
            let cut = 1 + random.below(last);
            batch[cut..].fill(0);
        } else {
            let at = random.below(last + 1);
            batch[at] ^= 1 << random.below(8);
        }
        assert!(self.is_broken(&batch), "a complete batch is no torn tail");
        self.append(&batch);
    }

    /// Flips a bit of a synced batch, which is any but the last. None if there is only one batch.
    pub fn flip(&self, random: &mut SeededRng) -> Option<FlippedBit> {
        let (_, synced) = self.batches.split_last()?;
        let (first, last) = (synced.first()?, synced.last()?);
        let at = random.between(first.0.start as u64, last.0.end as u64 - 1);
        let at = usize::try_from(at).unwrap();
        let (batch, _) = synced.iter().find(|(range, _)| range.contains(&at))?;
        let mut after = self.bytes[..self.end()].to_vec();
        after[at] ^= 1 << random.below(8);
        write(&self.path, at, &after[at..=at]);
        Some(FlippedBit {
            path: self.path.clone(),
            at,
            original: self.bytes[at],
            batch: batch.start,
            after,
        })
    }

    fn room(&self) -> usize {
        self.bytes.len() - self.end()
    }

    fn append(&self, tail: &[u8]) {
        if self.torn.is_none() {
            write(&self.path, self.end(), tail);
        }
    }

    /// The batch that could follow the last one, with copies of `records` older records and the
    /// numbers and checksums of its position.
    fn next_batch(&self, records: usize) -> Vec<u8> {
        let at = self.end();
        let mut body = Vec::new();
        let mut count = 0;
        for payload in self.payloads().take(records) {
            let here = (at + BATCH_HEADER_BYTES + body.len()) as u64;
            body.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
            body.extend(self.salt.crc(here, payload).to_le_bytes());
            body.extend(payload);
            count += 1;
        }
        body.resize(body.len().next_multiple_of(ALIGNMENT), 0);
        let synced =
            self.batches.last().map_or(0, |(_, last)| last.first + u64::from(last.count) - 1);
        let body_bytes = u32::try_from(body.len()).unwrap();
        let header = BatchHeader { first: synced + 1, synced, count, body_bytes };
        let mut batch = header.encode(self.salt, at as u64).to_vec();
        batch.extend(body);
        assert!(!self.is_broken(&batch), "without damage it is readable");
        batch.truncate(self.room());
        batch
    }

    /// The records of all batches, those of the newest batch first.
    fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        self.batches.iter().rev().flat_map(move |(range, header)| {
            let mut at = range.start + BATCH_HEADER_BYTES;
            (0..header.count).map(move |_| {
                let length = check_record(self.salt, at as u64, &self.bytes[at..])
                    .expect("a complete batch");
                let payload = &self.bytes[at + RECORD_HEADER_BYTES..][..length];
                at += RECORD_HEADER_BYTES + length;
                payload
            })
        })
    }

    /// Whether the journal would not read `batch` after the last one.
    fn is_broken(&self, batch: &[u8]) -> bool {
        read_batch(self.salt, self.end(), batch).is_none()
    }
}

impl FlippedBit {
    /// Whether the journal is still as the flip left it.
    pub fn is_untouched(&self) -> bool {
        std::fs::read(&self.path).unwrap().starts_with(&self.after)
    }

    /// Whether the output names the file and the offset of the damaged batch.
    pub fn is_named(&self, output: &[String]) -> bool {
        let expected = format!("{}: damaged at offset {}: ", name(&self.path), self.batch);
        output.iter().any(|line| line.contains(&expected))
    }

    /// Flips the bit back.
    pub fn repair(self) {
        write(&self.path, self.at, &[self.original]);
    }
}

impl fmt::Display for FlippedBit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}, in the batch at {}", self.path.display(), self.at, self.batch)
    }
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("files of a journal have plain names")
}

fn whole_batches(salt: Salt, bytes: &[u8]) -> Vec<(Range<usize>, BatchHeader)> {
    let mut batches = Vec::new();
    let mut at = FILE_HEADER_BYTES;
    while let Some((length, header)) = bytes.get(at..).and_then(|rest| read_batch(salt, at, rest)) {
        batches.push((at..at + length, header));
        at += length;
    }
    batches
}

/// The length and the header of the batch at offset `at`, with which `bytes` begin.
fn read_batch(salt: Salt, at: usize, bytes: &[u8]) -> Option<(usize, BatchHeader)> {
    let header = BatchHeader::decode(salt, at as u64, bytes)?;
    let body = bytes.get(BATCH_HEADER_BYTES..header.batch_bytes())?;
    split_body(salt, at as u64, &header, body, &mut Vec::new()).ok()?;
    Some((header.batch_bytes(), header))
}

fn write(path: &Path, at: usize, bytes: &[u8]) {
    let file: File = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at as u64).unwrap();
    file.sync_all().unwrap();
}
