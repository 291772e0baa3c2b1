//! Logs that grow, rotate and appear while they are followed.

use super::*;
use std::fs::{OpenOptions, rename, write};
use std::io::Write;
use std::path::Path;

const LATER: i64 = i64::MAX / 2;

fn line(second: u32, event: &str) -> String {
    format!("2026-11-22T05:38:{second:02}.000000Z {event} tx=t{second} peer=- a b\n")
}

fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

/// The steps of a poll, as node, event and transaction.
fn poll(follower: &mut StepFollower, now_us: i64) -> Vec<String> {
    follower.find_new().unwrap();
    let mut all = Vec::new();
    loop {
        let FollowedBatch { steps, more } = follower.poll(now_us).unwrap();
        let shown = |step: &FollowedStep| {
            format!("{} {} {}", step.node.name, step.event, step.tx.as_deref().unwrap_or("-"))
        };
        all.extend(steps.iter().map(shown));
        if !more {
            return all;
        }
    }
}

#[test]
fn only_what_is_new_and_whole_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("servidor-8886.log");
    append(&path, &line(1, "vote"));
    let mut follower = StepFollower::open(&[folder.path().to_owned()]).unwrap();
    assert_eq!(poll(&mut follower, LATER), Vec::<String>::new());
    let two = line(2, "vote");
    let (begin, end) = two.split_at(40);
    append(&path, begin);
    assert_eq!(poll(&mut follower, LATER), Vec::<String>::new(), "half a line");
    append(&path, &format!("{end}no step\n{}", line(3, "reply")));
    assert_eq!(poll(&mut follower, LATER), ["servidor-8886 vote t2", "servidor-8886 reply t3"]);
}

#[test]
fn steps_of_several_nodes_are_in_order_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("servidor-1.log"), folder.path().join("cliente-1.log"));
    append(&one, "");
    let mut follower = StepFollower::open(&[folder.path().to_owned()]).unwrap();
    append(&one, &(line(2, "recv") + &line(4, "vote")));
    append(&two, &(line(1, "send") + &line(5, "verdict")));
    let second_four = 1_795_325_931_000_000 - 51_000_000 + 4_000_000;
    assert_eq!(
        poll(&mut follower, second_four),
        ["cliente-1 send t1", "servidor-1 recv t2"],
        "those within the hold wait"
    );
    append(&one, &line(3, "late"));
    let rest = ["servidor-1 late t3", "servidor-1 vote t4", "cliente-1 verdict t5"];
    assert_eq!(poll(&mut follower, LATER), rest);
}

#[test]
fn a_rotation_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("servidor-8886.log");
    append(&path, "");
    let mut follower = StepFollower::open(&[folder.path().to_owned()]).unwrap();
    append(&path, &line(1, "recv"));
    assert_eq!(poll(&mut follower, LATER), ["servidor-8886 recv t1"]);
    append(&path, &line(2, "vote"));
    rename(&path, folder.path().join("servidor-8886.log.1")).unwrap();
    append(&path, &line(3, "reply"));
    assert_eq!(poll(&mut follower, LATER), ["servidor-8886 vote t2", "servidor-8886 reply t3"]);
    // A file that is cut and written anew.
    write(&path, "").unwrap();
    assert_eq!(poll(&mut follower, LATER), Vec::<String>::new());
    append(&path, &line(4, "sync"));
    assert_eq!(poll(&mut follower, LATER), ["servidor-8886 sync t4"]);
}

#[test]
fn a_long_backlog_is_read_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("servidor-8886.log");
    append(&path, "");
    let mut follower = StepFollower::open(&[folder.path().to_owned()]).unwrap();
    let count = 3 * consorcio_core::limits::FOLLOW_READ_BYTES_MAX / line(1, "vote").len();
    append(&path, &line(1, "vote").repeat(count));
    append(&path, &format!("{}\n", "x".repeat(consorcio_core::limits::FOLLOW_LINE_BYTES_MAX + 1)));
    append(&path, &line(2, "vote"));
    assert_eq!(poll(&mut follower, LATER).len(), count + 1);
    append(&path, &line(3, "vote").repeat(count));
    follower.skip_to_end();
    append(&path, &line(4, "vote"));
    follower.poll(LATER).unwrap();
    append(&path, &line(5, "vote"));
    assert_eq!(poll(&mut follower, LATER).last().unwrap(), "servidor-8886 vote t5");
}

#[test]
fn objects_are_followed_as_lines_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("servidor-8886.log");
    append(&path, "");
    let mut follower = StepFollower::open(&[folder.path().to_owned()]).unwrap();
    append(&path, &line(1, "vote"));
    let at = "2026-11-22T05:38:02.000000Z";
    append(
        &path,
        &format!("{{\"at\":\"{at}\",\"event\":\"drive\",\"tx\":\"t2\",\"detail\":\"\"}}\n"),
    );
    assert_eq!(poll(&mut follower, LATER), ["servidor-8886 vote t1", "servidor-8886 drive t2"]);
}
