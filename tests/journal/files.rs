//! Real files: the lock, other versions, other journals, and killed processes.

use crate::journal::support::*;
use consorcio::journal::{
    FileDisk, FolderError, JournalError, JournalOptions, MemDisk, SegmentSizes, dump,
};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const FOLDER: &str = "CONSORCIO_TEST_JOURNAL";

#[test]
fn a_journal_on_files_with_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    let options = || JournalOptions {
        sizes: SegmentSizes { first: 4096, full: 64 * 1024 },
        threads: true,
        ..with_snapshots(2)
    };
    for last in [1000, 1001, 20_000, 20_100] {
        let (mut appender, reader, recovered, log) =
            must_open(FileDisk::open(&path).unwrap(), options());
        assert_records(&log, recovered.last);
        assert!(recovered.torn.is_none() && recovered.warnings.is_empty(), "{recovered:?}");
        while appender.last() < last {
            let count = (last - appender.last()).min(100);
            append(&mut appender, count).unwrap();
        }
        // The folder is locked; reading it needs no lock.
        let mut text = Vec::new();
        let summary = dump(&FileDisk::read_only(&path), &mut text).unwrap();
        assert_eq!((summary.records, summary.faults.len()), (last, 0));
        if last == 20_000 {
            // A thread writes the snapshot of the full segments. If it is closed before, the next
            // one is written when the next segment is full, which the last run does not fill.
            wait_until(|| has_snapshot(&path));
        }
        appender.close().unwrap();
        drop(reader);
    }
    let (_, reader, recovered, _) = must_open(FileDisk::open(&path).unwrap(), options());
    assert!(recovered.snapshot.is_some());
    assert_eq!(reader.lookup(&tx(1)).unwrap(), Some(record(1)));
}

/// Whether a snapshot in this folder is whole.
fn has_snapshot(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names
        .filter_map(|name| name.into_string().ok())
        .any(|name| name.starts_with("snapshot-") && !name.ends_with(".tmp"))
}

/// Segments missing from the end or the middle: a read-only check reports them wherever a start is
/// refused.
#[test]
fn a_reader_detects_missing_segments_like_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        || JournalOptions { sizes: SegmentSizes { first: 4096, full: 4096 }, ..with_snapshots(2) };
    let path = folder.path().join("whole");
    let (mut appender, ..) = must_open(FileDisk::open(&path).unwrap(), options());
    (0..60).for_each(|_| append(&mut appender, 50).unwrap());
    appender.close().unwrap();
    let names = |path: &std::path::Path| -> Vec<String> {
        let names = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    };
    let mut segments: Vec<String> =
        names(&path).into_iter().filter(|name| name.starts_with("segment-")).collect();
    segments.sort();
    assert!(segments.len() >= 6, "{segments:?}");
    let (mut refused, mut opened) = (0, 0);
    // The files that prove them may be missing, too.
    let proofs: [&[&str]; 4] =
        [&[], &["index-", "merged-"], &["index-", "merged-", "snapshot-"], &["ended-"]];
    for (first, proofs) in
        (1..segments.len()).flat_map(|first| proofs.map(|proofs| (first, proofs)))
    {
        for gone in [&segments[first..], &segments[first..=first]] {
            let copy = folder.path().join(format!("{first}-{}-{}", gone.len(), proofs.concat()));
            std::fs::create_dir_all(&copy).unwrap();
            let left = |name: &&String| {
                !gone.contains(name) && !proofs.iter().any(|proof| name.starts_with(proof))
            };
            for name in names(&path).iter().filter(left) {
                std::fs::copy(path.join(name), copy.join(name)).unwrap();
            }
            let faults = dump(&FileDisk::read_only(&copy), &mut Vec::new()).unwrap().faults;
            let start = try_open(FileDisk::open(&copy).unwrap(), options());
            let last = start.as_ref().map_or(0, |(_, _, recovered, _)| recovered.last);
            let start = start.err();
            assert_eq!(
                faults.is_empty(),
                start.is_none(),
                "without {gone:?}: {faults:?}, and {start:?}"
            );
            assert!(
                last == 3000 || last == 0 || proofs == ["ended-"],
                "{last} without {gone:?} and {proofs:?}"
            );
            if start.is_some() { refused += 1 } else { opened += 1 }
        }
    }
    assert!(refused >= 40 && opened >= 1, "{refused} refused, {opened} opened");
}

#[test]
fn a_small_journal_needs_little_disk_space() {
    let disk = MemDisk::new();
    let (appender, ..) =
        must_open(disk.clone(), JournalOptions { threads: true, ..JournalOptions::default() });
    drop(appender);
    let bytes: usize = consorcio::journal::Disk::list(&disk)
        .unwrap()
        .iter()
        .map(|name| disk.get(name).len())
        .sum();
    assert!((1 << 20..=3 << 20).contains(&bytes), "{bytes}");
}

#[test]
fn a_folder_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = child("journal::files::child_appends", folder.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines
        .find(|line| line.as_ref().is_ok_and(|line| line.contains("acknowledged")))
        .unwrap()
        .unwrap();
    let error = FileDisk::open(folder.path()).unwrap_err();
    assert!(matches!(error, FolderError::InUse(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(&folder.path().display().to_string()) && text.contains("another servidor"),
        "{text}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    FileDisk::open(folder.path()).unwrap();
}

#[test]
fn a_killed_process_loses_no_acknowledged_record() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=8 {
        let mut child = child("journal::files::child_appends", folder.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        let mut left = round * 40;
        for line in lines {
            let line = line.unwrap();
            let Some((_, number)) = line.split_once("acknowledged ") else { continue };
            acknowledged = number.parse().unwrap();
            left -= 1;
            if left == 0 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(left <= 0, "the child ended after {acknowledged} without a kill");
        let (_, _, recovered, log) =
            must_open(FileDisk::open(folder.path()).unwrap(), child_options());
        assert!(recovered.last >= acknowledged, "{recovered}; {acknowledged} were acknowledged");
        assert_records(&log, recovered.last);
    }
}

fn child_options() -> JournalOptions {
    JournalOptions { sizes: SegmentSizes::all(16 * 1024), threads: true, ..with_snapshots(1) }
}

fn child(test: &str, folder: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// No test by itself: the process that other tests kill.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn child_appends() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let (mut appender, ..) = must_open(FileDisk::open(folder).unwrap(), child_options());
    // A bound, if no test kills it.
    let last = appender.last() + 100_000;
    while appender.last() < last {
        let count = appender.last() % 9 + 1;
        append(&mut appender, count).unwrap();
        println!("acknowledged {}", appender.last());
    }
}

/// A start removes only temporary files of this program.
#[test]
fn other_files_are_not_removed() {
    let disk = MemDisk::new();
    append_up_to(&mut must_open(disk.clone(), small()).0, 20);
    let theirs =
        ["mine.tmp", "segment-1.tmp", "segment-0000000009.tmp.tmp", "notes.txt", "key.tmp"];
    let ours =
        ["segment-0000000009.tmp", "index-0000000001.tmp", "snapshot-00000000000000000007.tmp"];
    for name in theirs.iter().chain(&ours) {
        disk.put(name, b"something".to_vec());
    }
    drop(must_open(disk.clone(), small()));
    let names = consorcio::journal::Disk::list(&disk).unwrap();
    assert!(theirs.iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
    assert!(!ours.iter().any(|name| names.contains(&(*name).to_owned())), "{names:?}");
}

#[test]
fn a_newer_version_is_refused() {
    let disk = MemDisk::new();
    let (mut appender, ..) = must_open(disk.clone(), with_snapshots(1));
    append_up_to(&mut appender, 100);
    appender.close().unwrap();
    let names = consorcio::journal::Disk::list(&disk).unwrap();
    let snapshot = names.iter().rfind(|name| name.starts_with("snapshot-")).unwrap();
    for name in ["segment-0000000001", "segment-0000000003", snapshot] {
        let newer = disk.copy();
        let mut bytes = newer.get(name);
        let version = u32::from(bytes[16]) + 1;
        bytes[16] += 1;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..20]), &bytes[24..64]);
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        newer.put(name, bytes);
        let Err(error) = try_open(newer, small()) else {
            panic!("{name} of a newer version was read")
        };
        assert!(
            matches!(error, JournalError::Newer { version: found, .. } if found == version),
            "{error}"
        );
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_segment_of_another_journal_is_refused() {
    let make = |id: &[u8; 16]| {
        let disk = MemDisk::new();
        let (mut appender, ..) =
            must_open(disk.clone(), JournalOptions { new_id: Some(*id), ..small() });
        append_up_to(&mut appender, 100);
        appender.close().unwrap();
        disk
    };
    let (one, other) = (make(b"one and the same"), make(b"quite another id"));
    one.put("segment-0000000002", other.get("segment-0000000002"));
    let Err(error) = try_open(one, small()) else { panic!("the journal opened") };
    assert!(
        matches!(&error, JournalError::Foreign { file } if file.ends_with("segment-0000000002")),
        "{error}"
    );
}
