//! Files that are rotated, moved, or left with half a line.

use super::file_tests::{Place, drive, lines, wait_for};
use super::*;
use std::collections::BTreeSet;
use std::fs;

#[test]
fn files_are_rotated_and_the_oldest_go() {
    let place = Place::new();
    let log = place.open(Options { bytes_max: 200, keep: 2, ..Options::default() });
    for number in 0..20 {
        log.record(drive(&format!("t{number:02}")));
        assert!(log.flush(Duration::from_secs(20)));
    }
    let shown = |path: &Path| -> BTreeSet<String> {
        lines(path).iter().map(|line| line.split("tx=").nth(1).unwrap()[..3].to_owned()).collect()
    };
    let all: Vec<_> =
        [place.older(2), place.older(1), place.log()].iter().flat_map(|p| shown(p)).collect();
    let newest: Vec<_> = (20 - all.len()..20).map(|number| format!("t{number:02}")).collect();
    assert!(all.len() >= 5);
    assert_eq!(all, newest);
    assert!(!place.older(3).exists());
}

#[test]
fn with_none_kept_only_the_newest_file_stays() {
    let place = Place::new();
    let log = place.open(Options { bytes_max: 100, keep: 0, ..Options::default() });
    log.record(drive("t1"));
    assert!(log.flush(Duration::from_secs(20)));
    log.record(drive("t2"));
    log.close();
    assert_eq!(lines(&place.log()).len(), 1);
    assert!(lines(&place.log())[0].contains("tx=t2"));
    assert!(!place.older(1).exists());
}

#[test]
fn a_moved_file_is_left_when_asked() {
    let place = Place::new();
    let log = place.open(Options::default());
    log.record(drive("t1"));
    assert!(log.flush(Duration::from_secs(20)));
    let moved = place.folder.path().join("moved.log");
    fs::rename(place.log(), &moved).unwrap();
    log.reopen();
    wait_for("the new file", || place.log().exists());
    log.record(drive("t2"));
    log.close();
    assert!(lines(&moved).len() == 1 && lines(&moved)[0].contains("tx=t1"));
    assert!(lines(&place.log()).len() == 1 && lines(&place.log())[0].contains("tx=t2"));
}

#[test]
fn a_half_line_of_a_killed_program_is_ended() {
    let place = Place::new();
    fs::create_dir_all(place.log().parent().unwrap()).unwrap();
    fs::write(place.log(), "whole\nhalf").unwrap();
    let log = place.open(Options::default());
    log.record(drive("t1"));
    log.close();
    let lines = lines(&place.log());
    assert_eq!(lines[..2], ["whole", "half"]);
    assert!(lines[2].contains("tx=t1"));
}
