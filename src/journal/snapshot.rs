//! Snapshots: a bank as of the last record of a full segment, made by a replay into a second bank.
//!
//! ```text
//! file header (64 bytes) · snapshot header (64 bytes) · the snapshot of the bank
//! ```
//!
//! The live bank is not involved. The newest two are kept, so an unreadable one costs only time.

use super::disk::Disk;
use super::format::{
    BadHeader, FILE_HEADER_BYTES, FileHeader, FileKind, JournalId, Salt, number_in, snapshot_name,
    u32_at, u64_at, usize_of,
};
use super::replica::MakeReplica;
use super::segment::{FoundSegment, open_segment};
use super::shared::SharedJournal;
use super::whole::{unless_stopped, write_whole};
use super::{JournalError, Replica, display_path, io_error};
use consorcio_core::bank::io::Seq;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;

const SNAPSHOT_HEADER_BYTES: usize = 64;
const KEPT: usize = 2;

/// A snapshot that was read.
pub(super) struct Loaded {
    pub seq: Seq,
    /// The last segment whose records it contains.
    pub segment: u64,
    pub content: Vec<u8>,
}

/// The last records of all snapshots among these names, newest first.
pub(super) fn among(names: &[String]) -> Vec<Seq> {
    let mut seqs: Vec<Seq> =
        names.iter().filter_map(|name| number_in(name, "snapshot-", snapshot_name)).collect();
    seqs.sort_unstable_by(|a, b| b.cmp(a));
    seqs
}

/// Restores `replica` from the newest usable snapshot; calls `warn` for unusable ones.
pub(super) fn restore_newest(
    disk: &dyn Disk,
    journal: &JournalId,
    replica: &mut dyn Replica,
    mut warn: impl FnMut(String),
) -> Result<Option<Loaded>, JournalError> {
    let names = disk.list().map_err(|error| io_error(disk, "list", "", error))?;
    for seq in among(&names) {
        let why = match load(disk, journal, seq)? {
            Ok(loaded) => match replica.restore(seq, &loaded.content) {
                Ok(()) => return Ok(Some(loaded)),
                Err(why) => why,
            },
            Err(why) => why.into(),
        };
        warn(format!(
            "{}: not used, an older one or the whole journal is: {why}",
            display_path(disk, &snapshot_name(seq))
        ));
    }
    Ok(None)
}

fn load(
    disk: &dyn Disk,
    journal: &JournalId,
    seq: Seq,
) -> Result<Result<Loaded, &'static str>, JournalError> {
    let name = snapshot_name(seq);
    let read = |error| io_error(disk, "read", &name, error);
    let file = disk.open(&name).map_err(read)?;
    let mut head = [0; FILE_HEADER_BYTES + SNAPSHOT_HEADER_BYTES];
    let got = file.read_at(0, &mut head).map_err(read)?;
    let mut file_header = [0; FILE_HEADER_BYTES];
    file_header.copy_from_slice(&head[..FILE_HEADER_BYTES]);
    let header = match FileHeader::decode(FileKind::Snapshot, &file_header) {
        Ok(header) if header.journal == *journal => header,
        Ok(_) => return Err(JournalError::Foreign { file: display_path(disk, &name) }),
        Err(BadHeader::Newer(version)) => {
            return Err(JournalError::Newer { file: display_path(disk, &name), version });
        }
        Err(BadHeader::Damaged) => return Ok(Err("its header is damaged")),
    };
    let salt = Salt::new(journal, header.segment);
    let own = &head[FILE_HEADER_BYTES..];
    if got < head.len() || u32_at(own, 0) != salt.crc(seq, &own[4..]) || u64_at(own, 8) != seq {
        return Ok(Err("its header is damaged"));
    }
    let bytes = u64_at(own, 16);
    if file.size().map_err(read)? != head.len() as u64 + bytes {
        return Ok(Err("it has not the length it was written with"));
    }
    let mut content = vec![0; usize_of(bytes)];
    let got = file.read_at(head.len() as u64, &mut content).map_err(read)?;
    if got < content.len() || u32_at(own, 24) != salt.crc(seq, &content) {
        return Ok(Err("its checksum is wrong"));
    }
    Ok(Ok(Loaded { seq, segment: header.segment, content }))
}

/// Makes a snapshot of all full segments with an index: restores the newest snapshot into a second
/// bank, replays later records, and writes the result. `None` if there is nothing new.
pub(super) fn make(
    shared: &SharedJournal,
    make_replica: &MakeReplica,
    stop: &AtomicBool,
) -> Result<Option<Seq>, JournalError> {
    let _one_at_a_time = shared.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
    let disk = shared.disk.as_ref();
    let last_segment = shared.indexed_segments();
    let mut replica = make_replica();
    let newest =
        restore_newest(disk, &shared.journal, replica.as_mut(), |why| (shared.notice)(&why))?;
    let (mut seq, from) = newest.map_or((0, 0), |loaded| (loaded.seq, loaded.segment));
    if from >= last_segment {
        return Ok(None);
    }
    for number in from + 1..=last_segment {
        seq = replay(shared, number, seq, replica.as_mut(), stop)?;
        replica.forget(seq);
    }
    let content = replica.snapshot();
    drop(replica);
    write(disk, &shared.journal, last_segment, seq, &content, stop)?;
    remove_old(disk)?;
    Ok(Some(seq))
}

/// Applies the records of a full segment that follow record `seq`; returns the last one's number.
fn replay(
    shared: &SharedJournal,
    number: u64,
    mut seq: Seq,
    replica: &mut dyn Replica,
    stop: &AtomicBool,
) -> Result<Seq, JournalError> {
    let mut reader = open_segment(shared.disk.as_ref(), number)?;
    reader.expect_journal(&shared.journal)?;
    loop {
        let (offset, why) = match reader.next()? {
            FoundSegment::Batch(_, header) if header.first == seq + 1 => {
                for (_, record) in reader.records() {
                    seq += 1;
                    replica.apply(seq, &record?);
                }
                unless_stopped(stop)?;
                continue;
            }
            FoundSegment::Batch(offset, header) => {
                (offset, format!("record {} was due and {} came", seq + 1, header.first))
            }
            FoundSegment::End(_) => return Ok(seq),
            FoundSegment::BadBatch(bad) => {
                (bad.offset, format!("{} (at {})", bad.why, bad.fault_at))
            }
        };
        return Err(JournalError::Damaged { file: reader.display_path(), offset, why });
    }
}

fn write(
    disk: &dyn Disk,
    journal: &JournalId,
    segment: u64,
    seq: Seq,
    content: &[u8],
    stop: &AtomicBool,
) -> Result<(), JournalError> {
    let salt = Salt::new(journal, segment);
    let mut own = [0; SNAPSHOT_HEADER_BYTES];
    own[8..16].copy_from_slice(&seq.to_le_bytes());
    own[16..24].copy_from_slice(&(content.len() as u64).to_le_bytes());
    own[24..28].copy_from_slice(&salt.crc(seq, content).to_le_bytes());
    let crc = salt.crc(seq, &own[4..]);
    own[..4].copy_from_slice(&crc.to_le_bytes());
    let header = FileHeader::new(*journal, segment).encode(FileKind::Snapshot);
    write_whole(disk, &snapshot_name(seq), &[&header, &own, content], stop)
}

fn remove_old(disk: &dyn Disk) -> Result<(), JournalError> {
    let names = disk.list().map_err(|error| io_error(disk, "list", "", error))?;
    for seq in among(&names).into_iter().skip(KEPT) {
        let name = snapshot_name(seq);
        disk.remove(&name).map_err(|error| io_error(disk, "remove", &name, error))?;
    }
    Ok(())
}
