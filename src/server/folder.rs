//! The folder of this bank's journal, named by the bank's position.
//!
//! A start that would make a new journal beside an old one of the same bank is refused: the new
//! journal would lack the votes of the old one.

use anyhow::bail;
use consorcio_core::ids::BankId;
use consorcio_journal::{self, FileDisk};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A warning with the remedy if other users can read or change the journal in `folder` of
/// `data_dir`. Checks the permissions of both folders and of the files.
pub(crate) fn exposed(data_dir: &Path, folder: &Path) -> Option<String> {
    const OTHERS: u32 = 0o077;
    let mode = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.permissions().mode());
    // One closed folder on the path is enough.
    if mode(data_dir) & OTHERS == 0 || mode(folder) & OTHERS == 0 {
        return None;
    }
    let mut files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_writable = mode(folder) & 0o022 != 0;
    if !is_writable && !files.any(|entry| mode(&entry.path()) & OTHERS != 0) {
        return None;
    }
    let (verb, folder) = (if is_writable { "changed" } else { "read" }, folder.display());
    Some(format!(
        "the journal in {folder} can be {verb} by others; make it yours alone: chmod -R go= \
         {folder}"
    ))
}

/// The folder of `bank` in `data_dir`. If it holds no journal, all folders beside it are searched
/// for one of this bank; `warn` gets the errors of that search.
///
/// # Errors
/// When another folder holds a journal of this bank; the text has the command to move it.
pub(crate) fn choose(
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
    // `mv` would put the old folder into an existing one.
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
