//! Snapshots: a bank as of the last record of a full segment, from a view that the bank's writer
//! handed over there (`ends`).
//!
//! ```text
//! file header (64 bytes) · snapshot header (64 bytes) · the snapshot of the bank
//! ```
//!
//! The bank goes on meanwhile. The newest two are kept, so an unreadable one costs only time.

use super::disk::Disk;
use super::ends::DueView;
use super::format::{
    BadHeader, FILE_HEADER_BYTES, FileHeader, FileKind, JournalId, Salt, number_in, snapshot_name,
    u32_at, u64_at, usize_of,
};
use super::shared::SharedJournal;
use super::whole::WholeFile;
use super::{JournalError, Replica, display_path, io_error};
use consorcio_core::bank::io::Seq;
use crc32c::crc32c_append;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

const SNAPSHOT_HEADER_BYTES: usize = 64;
const HEAD_BYTES: usize = FILE_HEADER_BYTES + SNAPSHOT_HEADER_BYTES;
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

pub(super) fn load(
    disk: &dyn Disk,
    journal: &JournalId,
    seq: Seq,
) -> Result<Result<Loaded, &'static str>, JournalError> {
    let name = snapshot_name(seq);
    let read = |error| io_error(disk, "read", &name, error);
    let file = disk.open(&name).map_err(read)?;
    let mut head = [0; HEAD_BYTES];
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

/// What became of a snapshot.
pub(super) enum WrittenSnapshot {
    /// The file is complete, durable, and has its name.
    Whole,
    /// Its view took too much memory meanwhile.
    GivenUp,
}

/// Writes the snapshot of a full segment, which has an index. All its records are durable.
pub(super) fn write(
    shared: &SharedJournal,
    mut due: DueView,
    stop: &AtomicBool,
) -> Result<WrittenSnapshot, JournalError> {
    let (disk, journal) = (shared.disk.as_ref(), &shared.journal);
    let (seq, segment) = (due.seq(), due.segment);
    let Some(state) = due.take_state() else { return Ok(WrittenSnapshot::GivenUp) };
    let name = snapshot_name(seq);
    let salt = Salt::new(journal, segment);
    let mut file = WholeFile::create(disk, &name, &[0; HEAD_BYTES], stop)?;
    let (mut bytes, mut crc, mut failed) = (0, salt.crc(seq, &[]), None);
    let flow = state.write(&mut |piece| {
        if shared.plan.is_given_up() {
            return ControlFlow::Break(());
        }
        bytes += piece.len() as u64;
        crc = crc32c_append(crc, piece);
        match file.add(piece) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    if flow.is_break() {
        return Ok(WrittenSnapshot::GivenUp);
    }
    let mut own = [0; SNAPSHOT_HEADER_BYTES];
    own[8..16].copy_from_slice(&seq.to_le_bytes());
    own[16..24].copy_from_slice(&bytes.to_le_bytes());
    own[24..28].copy_from_slice(&crc.to_le_bytes());
    let own_crc = salt.crc(seq, &own[4..]);
    own[..4].copy_from_slice(&own_crc.to_le_bytes());
    let header = FileHeader::new(*journal, segment).encode(FileKind::Snapshot);
    file.finish(Some(&[&header[..], &own].concat()))?;
    remove_old(disk)?;
    Ok(WrittenSnapshot::Whole)
}

fn remove_old(disk: &dyn Disk) -> Result<(), JournalError> {
    let names = disk.list().map_err(|error| io_error(disk, "list", "", error))?;
    for seq in among(&names).into_iter().skip(KEPT) {
        let name = snapshot_name(seq);
        disk.remove(&name).map_err(|error| io_error(disk, "remove", &name, error))?;
    }
    Ok(())
}
