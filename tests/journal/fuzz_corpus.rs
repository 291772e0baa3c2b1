//! Replays the corpus of the fuzz targets, so that its coverage and fixed findings are kept. The
//! checks are in `fuzz/checks`.

#[path = "../../fuzz/checks/mod.rs"]
mod checks;

use std::fs;
use std::path::Path;

/// Replays every file of a target's corpus; a failure names the file.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> =
        entries.map(|entry| entry.expect("an unreadable folder").path()).collect();
    files.sort();
    assert!(files.len() > 20, "only {} files in {}", files.len(), folder.display());
    for file in files {
        let data = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        if std::panic::catch_unwind(|| check(&data)).is_err() {
            panic!("{} fails; the error is above", file.display());
        }
    }
}

#[test]
fn the_wire() {
    replay("wire", checks::wire::check);
}

#[test]
fn transactions() {
    replay("transaction", checks::transaction::check);
}

#[test]
fn journals() {
    replay("journal", checks::journal::check);
}

#[test]
fn sessions() {
    replay("session", checks::session::check);
}
