//! Files that are rotated, moved, numbered, or end with a partial line.

use super::file_tests::{TestLog, drive, lines, wait_for};
use super::*;
use crate::compressed::{FrameList, LogReader, beside, compress, unfinished};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;

/// The lines of a rotated file, which may be compressed.
pub(super) fn rotated(path: &Path) -> Vec<String> {
    let mut text = String::new();
    match LogReader::open(path, 0) {
        Ok(mut reader) => reader.read_to_string(&mut text).map(drop).unwrap(),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
    }
    text.lines().map(str::to_owned).collect()
}

#[test]
fn files_are_rotated_and_the_oldest_removed() {
    let test_log = TestLog::new();
    let log =
        test_log.open(StepLogOptions { bytes_max: 200, keep: 2, ..StepLogOptions::default() });
    for number in 0..20 {
        log.record(drive(&format!("t{number:02}")));
        assert!(log.flush(Duration::from_secs(20)));
    }
    log.close();
    let shown = |path: &Path| -> BTreeSet<String> {
        rotated(path).iter().map(|line| line.split("tx=").nth(1).unwrap()[..3].to_owned()).collect()
    };
    let all: Vec<_> = [test_log.older(2), test_log.older(1), test_log.log()]
        .iter()
        .flat_map(|p| shown(p))
        .collect();
    let newest: Vec<_> = (20 - all.len()..20).map(|number| format!("t{number:02}")).collect();
    assert!(all.len() >= 5);
    assert_eq!(all, newest);
    assert!(!test_log.older(3).exists() && !beside(&test_log.older(3)).exists());
    assert!(beside(&test_log.older(1)).exists() && !test_log.older(1).exists());
}

#[test]
fn with_none_kept_only_the_newest_file_stays() {
    let test_log = TestLog::new();
    let log = test_log.open(StepLogOptions { bytes_max: 60, keep: 0, ..StepLogOptions::default() });
    log.record(drive("t1"));
    assert!(log.flush(Duration::from_secs(20)));
    log.record(drive("t2"));
    log.close();
    assert_eq!(lines(&test_log.log()).len(), 1);
    assert!(lines(&test_log.log())[0].contains("tx=t2"));
    assert!(!test_log.older(1).exists());
}

#[test]
fn reopen_leaves_a_moved_file() {
    let test_log = TestLog::new();
    let log = test_log.open(StepLogOptions::default());
    log.record(drive("t1"));
    assert!(log.flush(Duration::from_secs(20)));
    let moved = test_log.folder.path().join("moved.log");
    fs::rename(test_log.log(), &moved).unwrap();
    log.reopen();
    wait_for("the new file", || test_log.log().exists());
    log.record(drive("t2"));
    log.close();
    assert!(lines(&moved).len() == 1 && lines(&moved)[0].contains("tx=t1"));
    assert!(lines(&test_log.log()).len() == 1 && lines(&test_log.log())[0].contains("tx=t2"));
}

#[test]
fn a_partial_line_of_a_killed_program_is_ended() {
    let test_log = TestLog::new();
    fs::create_dir_all(test_log.log().parent().unwrap()).unwrap();
    fs::write(test_log.log(), "whole\nhalf").unwrap();
    let log = test_log.open(StepLogOptions::default());
    log.record(drive("t1"));
    log.close();
    let lines = lines(&test_log.log());
    assert_eq!(lines[..2], ["whole", "half"]);
    assert!(lines[2].contains("tx=t1"));
}

/// A lock belongs to an open file, so two logs of one process stand for those of two.
#[test]
fn each_process_has_the_lowest_number_that_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let open =
        || StepLog::open_numbered(folder.path(), "cliente", StepLogOptions::default()).unwrap();
    let (first, second, third) = (open(), open(), open());
    assert_eq!([first.1, second.1, third.1], [1, 2, 3]);
    // What the others have rotated is theirs.
    let theirs = folder.path().join("cliente-1.log.1");
    fs::write(&theirs, "line\n").unwrap();
    open().0.close();
    assert!(theirs.exists());
    second.0.record(drive("t2"));
    second.0.close();
    let again = open();
    assert_eq!(again.1, 2, "a log that was closed is free");
    again.0.record(drive("t4"));
    again.0.close();
    let lines = lines(&folder.path().join("cliente-2.log"));
    assert!(lines[0].ends_with("tx=t2") && lines[1].ends_with("tx=t4"), "{lines:?}");
    first.0.close();
    third.0.close();
}

/// As a process left them that was killed: before the copy was complete, and after it had its name.
#[test]
fn what_a_killed_process_left_plain_is_compressed_without_a_loss() {
    let test_log = TestLog::new();
    fs::create_dir_all(test_log.log().parent().unwrap()).unwrap();
    let text = |number: usize| {
        let line = |line: usize| {
            format!("2026-11-22T05:38:51.123456Z refuse  tx=t{number}-{line} expired seq={line}\n")
        };
        (0..5).map(line).collect::<String>()
    };
    for number in 1..=4 {
        fs::write(test_log.older(number), text(number)).unwrap();
    }
    fs::write(unfinished(&test_log.older(1)), "half a fra").unwrap();
    let (both, plain) = (test_log.older(3), fs::read(test_log.older(3)).unwrap());
    compress(&both).unwrap();
    fs::write(&both, plain).unwrap();
    test_log.open(StepLogOptions { keep: 3, ..StepLogOptions::default() }).close();
    for number in 1..=3 {
        let plain = test_log.older(number);
        assert!(!plain.exists() && !unfinished(&plain).exists(), "{number}");
        assert_eq!(rotated(&plain), text(number).lines().collect::<Vec<_>>());
        let list = FrameList::read(&mut File::open(beside(&plain)).unwrap()).unwrap().unwrap();
        assert_eq!(list.transactions, 5);
    }
    assert_eq!(rotated(&test_log.older(4)).len(), 5, "beyond those that it keeps, nothing changes");
}

/// The file names change while a file is compressed: it gets the name that belongs to it then, or
/// none, if it is too old.
#[test]
fn files_that_are_rotated_on_while_they_are_compressed_lose_no_line() {
    let test_log = TestLog::new();
    let log =
        test_log.open(StepLogOptions { bytes_max: 1_000, keep: 90, ..StepLogOptions::default() });
    for number in 0..1_000 {
        log.record(drive(&format!("t{number}")));
        // A flush a line, and a rotation after some.
        if number % 5 == 0 {
            assert!(log.flush(Duration::from_secs(20)));
        }
    }
    let is_plain = |number: &usize| test_log.older(*number).exists();
    wait_for("an end of the compression", || (1..=90).filter(is_plain).count() == 0);
    log.close();
    let files = (1..=90).rev().map(|number| rotated(&test_log.older(number)));
    let read: Vec<String> = files.chain([lines(&test_log.log())]).flatten().collect();
    let read = read.iter().map(|line| line.rsplit("tx=").next().unwrap().to_owned());
    assert!(read.eq((0..1_000).map(|number| format!("t{number}"))));
    assert!(beside(&test_log.older(40)).exists(), "there were many rotations");
    assert!(!unfinished(&test_log.log()).exists());
}

#[test]
fn files_are_kept_for_a_number_of_transactions() {
    let test_log = TestLog::new();
    fs::create_dir_all(test_log.log().parent().unwrap()).unwrap();
    // Of each transaction two lines; one of them ends it.
    let lines = |tx: usize| {
        let at = "2026-11-22T05:38:51.123456Z";
        format!("{at} vote    tx=t{tx} OK seq=1\n{at} outcome tx=t{tx} COMMITTED seq=2\n")
    };
    for number in 1..=5 {
        let text: String = (0..100).map(|tx| lines(number * 1_000 + tx)).collect();
        fs::write(test_log.older(number), text).unwrap();
    }
    let options = |transactions| StepLogOptions { keep: 9, transactions, ..Default::default() };
    test_log.open(options(201)).close();
    let kept = || (1..=5).filter(|number| beside(&test_log.older(*number)).exists()).count();
    let plain = || (1..=5).filter(|number| test_log.older(*number).exists()).count();
    assert_eq!((kept(), plain()), (3, 0), "the newest 201 are in three files");
    // Those that are compressed already are looked at when one is added.
    fs::rename(test_log.log(), test_log.older(4)).unwrap();
    test_log.open(options(200)).close();
    assert_eq!((kept(), plain()), (2, 0));
}

#[test]
fn a_removed_replaced_or_emptied_file_is_opened_again_and_names_its_node() {
    let test_log = TestLog::new();
    let log = test_log.open(StepLogOptions::default());
    let started = "servidor 0.1.0 bank 1 of 127.0.0.1:8886,127.0.0.1:8887";
    let named = format!(" node    {started}");
    log.record(Step::Start(started.into()));
    assert!(log.flush(Duration::from_secs(20)));
    let remove: fn(&Path) = |path| fs::remove_file(path).unwrap();
    let replace: fn(&Path) = |path| {
        fs::remove_file(path).unwrap();
        fs::write(path, "").unwrap();
    };
    let empty: fn(&Path) =
        |path| File::options().write(true).open(path).unwrap().set_len(0).unwrap();
    for (lose, is_first) in [(remove, true), (replace, true), (empty, false)] {
        lose(&test_log.log());
        wait_for("a file with lines", || {
            log.record(drive("t1"));
            log.flush(Duration::from_secs(20));
            let at = lines(&test_log.log()).iter().position(|line| line.ends_with(&named));
            at.is_some_and(|at| at == 0 || !is_first)
        });
        let logs = crate::trace::Logs::open(&[test_log.log()]).unwrap();
        assert_eq!(logs.nodes[0].bank, Some(1));
        assert_eq!(logs.nodes[0].address.as_deref(), Some("127.0.0.1:8887"));
    }
}

#[test]
fn each_rotated_file_names_its_node_in_the_order_of_times() {
    let test_log = TestLog::new();
    let log = test_log.open(StepLogOptions { bytes_max: 300, ..StepLogOptions::default() });
    log.record(Step::Start("servidor 0.1.0 bank 0 of 127.0.0.1:8886".into()));
    for _ in 0..30 {
        log.record(drive("t1"));
        assert!(log.flush(Duration::from_secs(20)));
    }
    wait_for("an end of the compression", || {
        (1..=64).all(|number| !test_log.older(number).exists())
    });
    log.close();
    let files: Vec<Vec<String>> = (1..=64)
        .rev()
        .map(|number| rotated(&test_log.older(number)))
        .chain([lines(&test_log.log())])
        .filter(|lines| !lines.is_empty())
        .collect();
    assert!(files.len() >= 5, "{files:?}");
    assert!(files[0][0].contains(" start   servidor"), "{files:?}");
    let named = |lines: &Vec<String>| {
        lines.iter().filter(|line| line.contains(" node    servidor 0.1.0 bank 0 of")).count() == 1
            && lines[0].contains(" node ")
    };
    assert!(files[1..].iter().all(named), "{files:?}");
    let times: Vec<&str> = files.iter().flatten().map(|line| &line[..27]).collect();
    assert!(times.is_sorted(), "{times:?}");
}

/// /dev/full takes no byte: the disk is full.
#[cfg(target_os = "linux")]
#[test]
fn lines_after_a_full_disk_are_in_the_order_of_their_times() {
    let test_log = TestLog::new();
    fs::create_dir_all(test_log.log().parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/full", test_log.log()).unwrap();
    let options = StepLogOptions { bytes_max: 0, ..StepLogOptions::default() };
    let Ok(log) = StepLog::open(&test_log.log(), options) else {
        return; // some sandboxes have no such device
    };
    let from = wall_us() - 5_000_000;
    log.record_at(from, drive("lost"));
    assert!(log.flush(Duration::from_secs(20)));
    fs::remove_file(test_log.log()).unwrap();
    log.reopen();
    // More than are written at once.
    let step = |n: i64| Entry { at_us: from + 1 + n, step: Step::Fault("x".repeat(300).into()) };
    let mut steps: Vec<Entry> = (0..2_000).map(step).collect();
    log.append(&mut steps);
    log.close();
    let lines = lines(&test_log.log());
    assert_eq!(lines.len(), 2_001);
    assert_eq!(lines.iter().filter(|line| line.contains("could not be written")).count(), 1);
    assert!(lines.iter().map(|line| &line[..27]).is_sorted(), "a line out of order");
}
