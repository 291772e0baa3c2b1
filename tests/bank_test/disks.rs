//! What is done to the journal of a bank that is down: torn tails, batches that were cut off or
//! changed while they were written, and bits that flip in what was synced long ago.
//!
//! The shipped code finds where the batches are and makes the checksums; what must follow is in
//! `nemesis`.

use super::random::Random;
use consorcio::journal::format::{
    ALIGNMENT, BATCH_HEADER_BYTES, BatchHeader, FILE_HEADER_BYTES, FileHeader, FileKind,
    RECORD_HEADER_BYTES, Salt, check_record, split_body,
};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The newest segment of a journal that holds batches, as it was read.
pub struct Newest {
    pub path: PathBuf,
    bytes: Vec<u8>,
    salt: Salt,
    /// The whole batches in it.
    batches: Vec<(Range<usize>, BatchHeader)>,
    /// Its bank died while it wrote a batch, here or as the first of the next segment: in which
    /// file, and where.
    torn: Option<(PathBuf, usize)>,
}

/// A bit that was flipped in a batch that was synced.
pub struct Flipped {
    path: PathBuf,
    /// The byte, and as it was.
    at: usize,
    was: u8,
    /// Where its batch begins.
    batch: usize,
    /// All batches, as the flip left them.
    after: Vec<u8>,
}

impl Newest {
    /// Reads it from the journal in `folder`.
    pub fn read(folder: &Path) -> Newest {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let is_segment =
            |path: &PathBuf| name(path).starts_with("segment-") && !name(path).ends_with(".tmp");
        let mut paths: Vec<PathBuf> = entries.filter(is_segment).collect();
        paths.sort();
        let mut segments = paths.into_iter().rev().map(Newest::of);
        let mut newest = segments.next().expect("a bank that ran has a journal");
        // The next segment is made ahead of its use.
        if newest.batches.is_empty()
            && let Some(before) = segments.next()
        {
            newest = Newest { torn: newest.torn.or(before.torn), ..before };
        }
        newest
    }

    fn of(path: PathBuf) -> Newest {
        let bytes = std::fs::read(&path).unwrap();
        let header =
            FileHeader::decode(FileKind::Segment, bytes[..FILE_HEADER_BYTES].try_into().unwrap());
        let header = header.expect("a segment gets its name only once it is whole");
        let salt = Salt::new(&header.journal, header.segment);
        let batches = whole_batches(salt, &bytes);
        let end = batches.last().map_or(FILE_HEADER_BYTES, |(place, _)| place.end);
        let follows = bytes[end..].iter().any(|byte| *byte != 0);
        let torn = follows.then(|| (path.clone(), end));
        Newest { path, bytes, salt, batches, torn }
    }

    /// How many whole batches it has.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Where the last whole batch ends.
    pub fn end(&self) -> usize {
        self.batches.last().map_or(FILE_HEADER_BYTES, |(place, _)| place.end)
    }

    /// Where a tail begins that must be cut off, in the words of who does it.
    pub fn torn_at(&self) -> Option<String> {
        let (path, offset) = self.torn.as_ref()?;
        Some(format!("{} at offset {offset}", name(path)))
    }

    /// Leaves behind it bytes of which nobody can say what they were. Where a tail is torn already,
    /// that one stays. What was synced stays as it is.
    pub fn tear(&self, random: &mut Random) {
        let length = (1 + random.below(4_000)).min(self.room());
        let mut junk = random.bytes(length);
        match random.below(3) {
            0 => {}
            // The beginning of a batch, and not the rest.
            1 => junk.iter_mut().zip(b"CBat").for_each(|(to, from)| *to = *from),
            // The later pages of a batch, and not the first one: those may be written in any order.
            _ => junk.iter_mut().take(length / 2).for_each(|byte| *byte = 0),
        }
        if let Some(last) = junk.last_mut() {
            *last |= 1;
        }
        self.append(&junk);
    }

    /// Leaves behind it the batch that would have come next, whole in all of its checksums, but for
    /// this: it is cut off somewhere, or one bit of it is wrong. The bank died while it wrote it,
    /// and promised nothing in it.
    pub fn begin_next(&self, random: &mut Random) {
        let mut batch = self.next_batch(1 + random.below(4));
        let Some(last) = batch.iter().rposition(|byte| *byte != 0) else { return };
        if random.percent(50) {
            let cut = 1 + random.below(last);
            batch[cut..].fill(0);
        } else {
            let at = random.below(last + 1);
            batch[at] ^= 1 << random.below(8);
        }
        assert!(self.is_broken(&batch), "a batch that is whole is no torn tail");
        self.append(&batch);
    }

    /// Flips a bit of a batch that was synced: any but the last, for it was written before that
    /// one. `None` where there is no such batch.
    pub fn flip(&self, random: &mut Random) -> Option<Flipped> {
        let (_, synced) = self.batches.split_last()?;
        let (first, last) = (synced.first()?, synced.last()?);
        let at = random.between(first.0.start as u64, last.0.end as u64 - 1);
        let at = usize::try_from(at).unwrap();
        let (batch, _) = synced.iter().find(|(place, _)| place.contains(&at))?;
        let mut after = self.bytes[..self.end()].to_vec();
        after[at] ^= 1 << random.below(8);
        write(&self.path, at, &after[at..=at]);
        Some(Flipped {
            path: self.path.clone(),
            at,
            was: self.bytes[at],
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

    /// A batch with the numbers and checksums of this place, with as many records, that are those
    /// of batches before it.
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
        assert!(!self.is_broken(&batch), "without harm it would be read");
        batch.truncate(self.room());
        batch
    }

    /// The records, the newest batch's first.
    fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        self.batches.iter().rev().flat_map(move |(place, header)| {
            let mut at = place.start + BATCH_HEADER_BYTES;
            (0..header.count).map(move |_| {
                let length =
                    check_record(self.salt, at as u64, &self.bytes[at..]).expect("a whole batch");
                let payload = &self.bytes[at + RECORD_HEADER_BYTES..][..length];
                at += RECORD_HEADER_BYTES + length;
                payload
            })
        })
    }

    /// Would `batch`, behind the last one, not be read as a batch?
    fn is_broken(&self, batch: &[u8]) -> bool {
        read_batch(self.salt, self.end(), batch).is_none()
    }
}

impl Flipped {
    /// Is the journal as the flip left it?
    pub fn is_untouched(&self) -> bool {
        std::fs::read(&self.path).unwrap().starts_with(&self.after)
    }

    /// Does `said` tell the file, and where the batch begins that the bit is in?
    pub fn is_named(&self, said: &[String]) -> bool {
        let told = format!("{}: damaged at offset {}: ", name(&self.path), self.batch);
        said.iter().any(|line| line.contains(&told))
    }

    pub fn mend(self) {
        write(&self.path, self.at, &[self.was]);
    }
}

impl fmt::Display for Flipped {
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

/// The batch that `bytes` begin with and that stands at `at`: its length and header.
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
