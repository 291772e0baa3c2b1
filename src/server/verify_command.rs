//! `servidor verify DIR`: replays a journal and compares its snapshots with the replay.

use crate::journal_command::check_folder;
use consorcio_journal::{FileDisk, SnapshotCheck, verify};
use std::path::Path;
use tracing::{error, info, warn};

/// Verifies the snapshots of a journal, and reports each on stderr. Returns false if the journal or
/// a snapshot is not as it must be.
pub(super) fn verify_snapshots(dir: &Path) -> anyhow::Result<bool> {
    check_folder(dir)?;
    let verified = verify(&FileDisk::read_only(dir))?;
    let mut good = true;
    for (name, check) in &verified.snapshots {
        let path = dir.join(name);
        let path = path.display();
        match check {
            SnapshotCheck::Same => info!("{path}: this snapshot is as the replay"),
            SnapshotCheck::Older => {
                warn!("{path}: an earlier version wrote this snapshot, so it is not compared");
            }
            SnapshotCheck::Differs(at) => {
                good = false;
                error!(
                    "{path}: DIFFERS from the replay, first at byte {at} of its content; move this \
                     snapshot away, and the next start reads the journal instead"
                );
            }
            SnapshotCheck::Unusable(why) => {
                good = false;
                error!("{path}: this snapshot can't be used, and a start does not use it: {why}");
            }
        }
    }
    let (records, compared) = (verified.records, verified.snapshots.len());
    for fault in &verified.faults {
        good = false;
        error!("{}: DAMAGED: {fault}", dir.display());
    }
    info!(records, "{}: {records} records replayed, {compared} snapshots compared", dir.display());
    Ok(good)
}
