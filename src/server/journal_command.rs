//! `servidor journal DIR`: prints a journal and checks it.

use anyhow::bail;
use std::io::{ErrorKind, Write, stdout};
use std::path::Path;
use tracing::{error, info, warn};

/// Checks that a journal is in this folder.
pub(super) fn check_folder(dir: &Path) -> anyhow::Result<()> {
    if let Err(error) = std::fs::read_dir(dir) {
        bail!("{}: this folder can't be read: {error}", dir.display());
    }
    if !consorcio_journal::is_in(dir) {
        bail!("{}: no journal is in this folder; give one like data/bank-0", dir.display());
    }
    Ok(())
}

/// Prints a journal, then reports on stderr whether it is intact. Returns false if it is not.
pub(super) fn print_journal(dir: &Path) -> anyhow::Result<bool> {
    check_folder(dir)?;
    let disk = consorcio_journal::FileDisk::read_only(dir);
    let mut out = std::io::BufWriter::new(stdout().lock());
    let dumped = consorcio_journal::dump(&disk, &mut out);
    let is_gone = |error: &std::io::Error| error.kind() == ErrorKind::BrokenPipe;
    let dumped = match (dumped, out.flush()) {
        // A reader such as `head` may close the pipe early.
        (Err(consorcio_journal::JournalError::Io { doing: "print", cause, .. }), _)
            if is_gone(&cause) =>
        {
            return Ok(true);
        }
        (_, Err(error)) if is_gone(&error) => return Ok(true),
        (_, Err(error)) => bail!("standard output could not be written: {error}"),
        (dumped, Ok(())) => dumped?,
    };
    if let Some(torn) = &dumped.torn {
        info!(
            "{torn}; it was being written when this was read or when its bank stopped, and \
             nothing in it was promised"
        );
    }
    for name in &dumped.indexes {
        let path = dir.join(name);
        warn!(
            "{}: this index is damaged; no record is lost by that, the bank makes it again from \
             the segments",
            path.display()
        );
    }
    let (records, last) = (dumped.records, dumped.last);
    let found = format!("{}: {records} records, the last one is number {last}", dir.display());
    match &dumped.faults[..] {
        [] => {
            info!(records, "{found}; all of it is as it was written");
            Ok(true)
        }
        [first, rest @ ..] => {
            let more = if rest.is_empty() {
                String::new()
            } else {
                format!(" (and {} more places)", rest.len())
            };
            error!(records, "{found}; DAMAGED: {first}{more}");
            Ok(false)
        }
    }
}
