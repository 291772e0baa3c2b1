//! Which folder holds this bank's journal: the one that is named by the bank's position, and no
//! other.
//!
//! A start that would make a new journal beside an old one of the same bank is refused: the new one
//! would know nothing of what the old one promised.

use anyhow::bail;
use consorcio_core::ids::BankId;
use consorcio_journal::{self, FileDisk};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What others can do with the journal in `folder` of `data_dir`, and what to type against it; none
/// where it is its owner's alone. Looks at both folders, and at the files of the journal.
pub fn exposed(data_dir: &Path, folder: &Path) -> Option<String> {
    const OTHERS: u32 = 0o077;
    let mode = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.permissions().mode());
    // One closed acceptor is enough.
    if mode(data_dir) & OTHERS == 0 || mode(folder) & OTHERS == 0 {
        return None;
    }
    let mut files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_writable = mode(folder) & 0o022 != 0;
    if !is_writable && !files.any(|entry| mode(&entry.path()) & OTHERS != 0) {
        return None;
    }
    let (what, folder) = (if is_writable { "changed" } else { "read" }, folder.display());
    Some(format!(
        "the journal in {folder} can be {what} by others; make it yours alone: chmod -R go= \
         {folder}"
    ))
}

/// The folder of `bank` in `data_dir`. Where it holds no journal, all folders beside it are looked
/// into, once; what can't be read there goes to `warn`, and is no obstacle.
///
/// # Errors
/// When a folder with another name holds a journal of this bank; the text shows how to move it.
pub fn choose(
    data_dir: &Path,
    bank: BankId,
    mut warn: impl FnMut(String),
) -> anyhow::Result<PathBuf> {
    let folder = data_dir.join(format!("bank-{bank}"));
    if consorcio_journal::is_in(&folder) {
        return Ok(folder);
    }
    let mut others = Vec::new();
    for entry in std::fs::read_dir(data_dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path == folder || !consorcio_journal::is_in(&path) {
            continue;
        }
        match consorcio_journal::owner(&FileDisk::read_only(&path)) {
            Ok(Some(owner)) if owner == bank => others.push(path),
            Ok(_) => {}
            Err(error) => {
                warn(format!("{}: whose journal it is can't be read: {error}", path.display()))
            }
        }
    }
    others.sort();
    let Some(old) = others.first() else { return Ok(folder) };
    let (shown, new) = (old.display(), folder.display());
    // Where the folder is there, a move would put the old one into it.
    let how =
        if folder.exists() { format!("mv {shown}/* {new}/") } else { format!("mv {shown} {new}") };
    let more = match others.len() {
        1 => String::new(),
        count => {
            format!(" ({} more folders hold one, too: move the one that it used last)", count - 1)
        }
    };
    bail!(
        "{shown} holds a journal of bank {bank}, and {new} holds none; a new one would know \
         nothing of what the old \
         one promised. Move it: {how}{more}"
    )
}
