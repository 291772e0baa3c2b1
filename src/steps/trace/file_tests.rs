//! Timelines from compressed files, files of JSON objects, and files whose beginning is gone.

use super::written::{CLIENT, ONE, TestLogs, ZERO, at, committed, said};
use super::*;
use std::fs;

#[test]
fn compressed_files_give_the_same_timeline() {
    let plain = committed([0, 0, 0]).timeline();
    let logs = committed([0, 0, 0]);
    for name in ["servidor-86", "servidor-87"] {
        let path = logs.0.path().join(format!("{name}.log"));
        let rotated = logs.0.path().join(format!("{name}.log.1"));
        fs::rename(&path, &rotated).unwrap();
        crate::compressed::compress(&rotated).unwrap();
        fs::write(&path, "").unwrap();
    }
    assert_eq!(logs.logs().nodes[1].bank, Some(0), "the start is in the compressed file");
    let compressed = logs.timeline();
    assert_eq!((&compressed.events, &compressed.path), (&plain.events, &plain.path));
}

#[test]
fn a_beginning_that_was_rotated_away_is_reported() {
    let end = ZERO.lines().skip_while(|line| !line.contains("1000 recv")).collect::<Vec<_>>();
    let logs = TestLogs::new()
        .log("cliente-1", 0, CLIENT)
        .log("servidor-86", 0, &end.join("\n"))
        .log("servidor-87", 0, ONE);
    let notes = logs.timeline().notes;
    let expected = "its beginning at bank 0 was rotated away: that log begins 2026-11-22T05:38:51";
    assert!(notes.iter().any(|note| said(note).starts_with(expected)), "{notes:?}");
    let unknown = logs.logs().timeline("gone").unwrap_err().to_string();
    assert!(unknown.contains("lines of servidor-86 before 2026-11-22T05:38:51"), "{unknown}");
    assert!(!unknown.contains("lines of servidor-87"), "{unknown}");
}

#[test]
fn logs_of_json_objects_give_the_same_timeline() {
    let plain = committed([0, 0, 0]).timeline();
    // Logs of both kinds together.
    let logs = committed([0, 0, 0]).in_objects("servidor-86").in_objects("cliente-1");
    let objects = logs.timeline();
    let steps = |timeline: &Timeline| -> Vec<(i64, String)> {
        timeline.events.iter().map(|event| (event.at_us, event.event.clone())).collect()
    };
    assert_eq!(steps(&objects), steps(&plain));
    assert_eq!((&objects.path, objects.verdict), (&plain.path, plain.verdict));
    let slow = logs.logs().find(TraceQuery::Slowest(3)).unwrap().timelines;
    assert_eq!(slow.iter().map(|timeline| timeline.tx.as_str()).collect::<Vec<_>>(), ["t"]);
}

#[test]
fn a_log_that_is_rotated_while_it_is_read_is_found_again() {
    let written = committed([0, 0, 0]);
    let right = written.timeline();
    let logs = written.logs();
    let path = |name: &str| written.0.path().join(name);
    std::fs::rename(path("servidor-86.log"), path("servidor-86.log.1")).unwrap();
    std::fs::write(path("servidor-86.log"), at("9000 stop - - SIGTERM", 0)).unwrap();
    std::fs::rename(path("servidor-87.log"), path("servidor-87.log.1")).unwrap();
    assert_eq!(logs.timeline("t").unwrap().verdict, right.verdict);
    assert_eq!(logs.find(TraceQuery::Slowest(1)).unwrap().timelines.len(), 1);
    std::fs::remove_dir_all(written.0.path()).unwrap();
    assert!(logs.timeline("t").is_err(), "what is gone is reported");
}

#[test]
fn a_damaged_compressed_file_is_skipped_with_a_note() {
    let logs = committed([0, 0, 0]);
    let compressed = |name: &str| logs.0.path().join(format!("{name}.log.1.zst"));
    for name in ["servidor-86", "servidor-87"] {
        let path = logs.0.path().join(format!("{name}.log"));
        let rotated = logs.0.path().join(format!("{name}.log.1"));
        fs::copy(&path, &rotated).unwrap();
        fs::write(&path, "").unwrap();
        crate::compressed::compress(&rotated).unwrap();
    }
    let whole = fs::read(compressed("servidor-87")).unwrap();
    let mut flipped = whole.clone();
    flipped[9..40].fill(0xff);
    for damaged in [&whole[..whole.len() / 2], &whole[..20], &flipped, &[]] {
        fs::write(compressed("servidor-87"), damaged).unwrap();
        let timeline = logs.timeline();
        let expected = Caveat::Damaged(compressed("servidor-87"));
        assert!(timeline.notes.contains(&expected), "{:?}", timeline.notes);
        assert_eq!(timeline.verdict, TraceVerdict::Committed);
        for query in [TraceQuery::Slowest(3), TraceQuery::Doubtful(3)] {
            let found = logs.logs().find(query).unwrap();
            assert_eq!(found.timelines.len(), usize::from(query == TraceQuery::Slowest(3)));
            assert_eq!(found.damaged, [compressed("servidor-87")], "also where nothing is found");
        }
        if damaged == &flipped[..] {
            continue; // its list of transactions is whole, and does not have the other one
        }
        let unknown = logs.logs().timeline("gone").unwrap_err().to_string();
        assert!(unknown.contains("servidor-87.log.1.zst is damaged"), "{unknown}");
    }
}

#[test]
fn the_time_of_a_cut_keeps_its_digits() {
    let logs = TestLogs::new().log("servidor-86", 0, "356780 vote t - OK time=5 seq=3");
    let unknown = logs.logs().timeline("gone").unwrap_err().to_string();
    assert!(unknown.contains("before 2026-11-22T05:38:51.356780Z were"), "{unknown}");
}

#[test]
fn a_log_that_is_there_is_never_called_missing() {
    let notes = |text: &str, is_named: bool| {
        let logs = TestLogs::new().log("cliente-1", 0, CLIENT).log("servidor-86", 0, ZERO);
        let logs = logs.log("servidor-87", 0, text);
        assert_eq!(logs.logs().nodes[2].bank.is_some(), is_named);
        let said: Vec<String> = logs.timeline().notes.iter().map(said).collect();
        assert!(!said.iter().any(|it| it.contains("there is no log")), "{said:?}");
        said.join("; ")
    };
    let places = "servidor 0.1.0 bank 1 of 10.0.0.1:86,10.0.0.2:87";
    let started = notes(&format!("9000 start - - {places}"), true);
    assert!(started.contains("the log of bank 1 has no line of it"), "{started}");
    let gone = "its part at bank 1 was rotated away: that log begins 2026-11-22T05:38:51.009000Z";
    let named = notes(&format!("9000 node - - {places}\n 9001 stop - - SIGTERM"), true);
    assert!(named.contains(gone), "{named}");
    // An older version did not name the node in each file; the file has its port.
    let unnamed = notes("9000 stop - - SIGTERM", false);
    assert!(unnamed.contains(gone), "{unnamed}");
}
