//! Timelines from handwritten logs: wrong clocks; torn, missing and unknown lines.

use super::written::{CLIENT, ONE, TestLogs, ZERO, at, committed, said};
use super::*;
use consorcio_words::Lang;
use std::fs;

const HOUR_US: i64 = 3_600_000_000;

/// Asserts that causes precede effects, in the order of events and by their times.
fn assert_causal(timeline: &Timeline) {
    for call in &timeline.calls {
        let ends = [call.sent, call.received, call.replied, call.answered];
        let ends: Vec<usize> = ends.into_iter().flatten().collect();
        assert!(ends.is_sorted(), "{call:?}");
        assert!(ends.iter().map(|end| timeline.events[*end].at_us).is_sorted(), "{call:?}");
    }
    assert!(
        timeline.path.windows(2).all(|pair| pair[0].to_us == pair[1].from_us),
        "{:?}",
        timeline.path
    );
}

fn names(timeline: &Timeline) -> Vec<&str> {
    timeline.lanes.iter().map(|lane| lane.name.as_str()).collect()
}

#[test]
fn a_commit_has_every_leg() {
    let timeline = committed([0, 0, 0]).timeline();
    assert_eq!((timeline.verdict, timeline.commit_time), (TraceVerdict::Committed, Some(7)));
    assert_eq!(names(&timeline), ["cliente-1", "bank 0", "bank 1"]);
    assert_eq!((&timeline.banks[..], &timeline.oks[..]), (&[0, 1][..], &[0, 1][..]));
    assert_eq!((timeline.known_us, timeline.known_everywhere_us), (Some(810), Some(1010)));
    assert_eq!(timeline.last_ok, Some((1, 800)), "bank 1's OK was the last");
    assert_eq!(timeline.notes, []);
    assert_eq!(timeline.calls.len(), 4);
    assert!(
        timeline
            .calls
            .iter()
            .all(|call| call.received.is_some() && call.answered.is_some() && !call.lost)
    );
    let legs: Vec<(LegKind, i64)> =
        timeline.path.iter().map(|leg| (leg.kind, leg.took_us())).collect();
    assert_eq!(
        legs,
        [
            (LegKind::Driver, 1),
            (LegKind::Network, 99),
            (LegKind::Queue, 100),
            (LegKind::Batch, 80),
            (LegKind::Sync, 420),
            (LegKind::Release, 10),
            (LegKind::Network, 90),
            (LegKind::Driver, 10),
        ]
    );
    assert_eq!(timeline.longest_leg().unwrap().label, "sync at bank 1");
    let batch =
        timeline.spans.iter().find(|span| span.kind == SpanKind::Batch && span.lane == 2).unwrap();
    assert_eq!(
        (batch.lane, batch.from_us, batch.to_us),
        (2, 200, 280),
        "it waited for the sync before its own"
    );
    assert_causal(&timeline);
}

#[test]
fn causes_override_clocks_that_are_an_hour_off() {
    let right = committed([0, 0, 0]).timeline();
    for wrong in
        [[0, HOUR_US, 0], [0, 0, -HOUR_US], [HOUR_US, 0, 0], [0, HOUR_US, -HOUR_US], [5, -700, 350]]
    {
        let timeline = committed(wrong).timeline();
        assert_causal(&timeline);
        assert_eq!(timeline.verdict, TraceVerdict::Committed);
        let events = |timeline: &Timeline| {
            timeline
                .events
                .iter()
                .map(|event| (event.lane, event.event.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(events(&timeline).len(), events(&right).len());
        let moved = timeline.lanes.iter().filter(|lane| lane.shift_us != 0).count();
        assert_eq!(timeline.notes.len(), moved, "each shift is noted: {:?}", timeline.notes);
        for lane in &timeline.lanes {
            assert!(lane.shift_us == 0 || lane.shift_us.abs() >= 100, "{lane:?}");
        }
        // The duration is measured by one clock, so it does not depend on the others.
        assert_eq!(timeline.known_us, Some(810), "{wrong:?}");
    }
    let ahead = committed([0, HOUR_US, 0]).timeline();
    assert!(
        said(&ahead.notes[0]).contains("bank 0 is 59 min 59 s ahead")
            || said(&ahead.notes[0]).contains("bank 0 is 1 h 0 min ahead"),
        "{:?}",
        ahead.notes
    );
}

#[test]
fn a_clock_that_is_set_back_in_the_middle_changes_no_order() {
    let mut lines: Vec<String> = ZERO.lines().map(str::to_owned).collect();
    let log = |lines: &[String]| lines.join("\n");
    for line in &mut lines[6..] {
        let (time, rest) = line.trim().split_once(' ').unwrap();
        *line = format!("{} {rest}", time.parse::<i64>().unwrap() - HOUR_US);
    }
    let written = committed([0, 0, 0]).log("servidor-86", 0, &log(&lines));
    let timeline = written.timeline();
    assert_causal(&timeline);
    let own: Vec<&str> = timeline
        .events
        .iter()
        .filter(|event| event.lane == 1)
        .map(|event| event.event.as_str())
        .collect();
    assert_eq!(own, ["recv", "vote", "sync", "reply", "recv", "outcome", "reply", "sync"]);
}

#[test]
fn torn_and_unknown_lines_and_other_files_change_nothing() {
    let right = committed([0, 0, 0]).timeline();
    let written = committed([0, 0, 0])
        .add("servidor-86", b"\xff\xfe tx=t peer=\nnot a line about tx=t at all\n\n")
        .add("servidor-86", at("7000 flies t - a word that is not known yet", 0).as_bytes())
        .add("servidor-87", &at("7000 vote t - NOK limit", 0).as_bytes()[..48])
        .add("notes", b"tx=t is mine\n")
        .log(
            "servidor-88",
            0,
            "0 start - - servidor 0.1.0 bank 2 of a:1,b:2,c:3\n5 vote other - OK time=1 seq=1",
        );
    let timeline = written.timeline();
    assert_eq!((timeline.verdict, timeline.known_us), (right.verdict, right.known_us));
    assert_eq!(timeline.lanes, right.lanes, "a node without a part in it has no lane");
    assert_eq!(
        timeline.events.len(),
        right.events.len() + 1,
        "an event of a later version is shown"
    );
}

#[test]
fn a_node_without_a_log_is_known_from_other_logs() {
    let written = TestLogs::new().log("cliente-1", 0, CLIENT).log("servidor-86", 0, ZERO);
    let timeline = written.timeline();
    assert_eq!(names(&timeline), ["cliente-1", "bank 0", "bank 1"]);
    assert!(
        !timeline.lanes[2].logged && timeline.lanes[2].address.as_deref() == Some("10.0.0.2:87")
    );
    assert_eq!(timeline.verdict, TraceVerdict::Committed);
    assert_eq!(timeline.longest_leg().map(|leg| leg.kind), Some(LegKind::Bank));
    // Without a log of its own, the client is known by its addresses.
    let written = TestLogs::new().log("servidor-86", 0, ZERO).log("servidor-87", 0, ONE);
    let timeline = written.timeline();
    assert_eq!(
        timeline.lanes.iter().filter(|lane| !lane.logged).count(),
        2,
        "{:?}",
        timeline.lanes
    );
    assert_eq!((timeline.verdict, timeline.known_us), (TraceVerdict::Committed, Some(860)));
    assert!(
        timeline
            .notes
            .iter()
            .map(said)
            .any(|note| note.contains("no log of client at 10.0.0.9:1000")),
        "{:?}",
        timeline.notes
    );
}

#[test]
fn a_log_without_its_start_is_still_that_of_a_bank() {
    let without_start = |text: &str| text.lines().skip(2).collect::<Vec<_>>().join("\n");
    let written = committed([0, 0, 0]).log("servidor-86", 0, &without_start(ZERO)).log(
        "servidor-87",
        0,
        &without_start(ONE),
    );
    assert_eq!(written.timeline().lanes, committed([0, 0, 0]).timeline().lanes);
}

#[test]
fn a_rotated_log_is_read_through_its_files() {
    let lines: Vec<&str> = ONE.lines().filter(|line| !line.is_empty()).collect();
    let (older, newer) = lines.split_at(4);
    let written = committed([0, 0, 0]).log("servidor-87", 0, &newer.join("\n"));
    let old: String = older.iter().map(|line| at(line, 0)).collect();
    fs::write(written.0.path().join("servidor-87.log.1"), old).unwrap();
    let timeline = written.timeline();
    assert_eq!(timeline.lanes, committed([0, 0, 0]).timeline().lanes);
    assert_eq!(timeline.path, committed([0, 0, 0]).timeline().path, "its sync is in the next file");
}

#[test]
fn an_ok_that_was_never_synced_is_no_commit() {
    let one = "
        0 start - - servidor 0.1.0 bank 1 of 10.0.0.1:86,10.0.0.2:87
        200 recv t 10.0.0.9:1001 PREPARE ops=2 banks=0,1
        300 vote t - OK time=7 ops=2 banks=0,1 seq=9
        5000 start - - servidor 0.1.0 bank 1 of 10.0.0.1:86,10.0.0.2:87
        5100 sync - - upto=9 records=1 bytes=90 took_us=100";
    let zero: Vec<&str> = ZERO.lines().take(6).collect();
    let written =
        TestLogs::new().log("servidor-86", 0, &zero.join("\n")).log("servidor-87", 0, one);
    let timeline = written.timeline();
    assert_eq!(
        timeline.verdict,
        TraceVerdict::Undecided,
        "a sync after the restart covers other records"
    );
    let holds: Vec<&TracedSpan> =
        timeline.spans.iter().filter(|span| span.kind == SpanKind::Hold).collect();
    assert!(holds.iter().any(|span| span.open), "{holds:?}");
    // With the sync before the restart it is committed.
    let synced =
        one.replace("5000 start", "400 sync - - upto=9 records=1 bytes=90 took_us=50\n 5000 start");
    let written = written.log("servidor-87", 0, &synced);
    assert_eq!(written.timeline().verdict, TraceVerdict::Committed);
}

#[test]
fn contradicting_logs_are_reported() {
    let written = committed([0, 0, 0]).log(
        "servidor-87",
        0,
        &ONE.replace("outcome t - COMMITTED time=7", "outcome t - ABORTED refused by=0"),
    );
    assert_eq!(written.timeline().verdict, TraceVerdict::Contradiction);
}

#[test]
fn the_error_for_an_unknown_id_names_the_searched_logs() {
    let error = committed([0, 0, 0]).logs().timeline("other").unwrap_err().to_string();
    assert!(error.contains("transaction other") && error.contains("3 files in"), "{error}");
    assert!(error.contains("cliente-1, servidor-86, servidor-87"), "{error}");
}

#[test]
fn slow_aborted_and_undecided_transactions_are_found() {
    let mut client = String::new();
    let mut bank = "0 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86\n".to_owned();
    for n in 0..100i64 {
        let (begin, took) = (n * 1_000, 100 + n * 7 % 100);
        let tx = format!("t{n:03}");
        let (vote, end) = if n % 10 == 3 {
            ("NOK limit", "ABORTED limit by=0")
        } else {
            ("OK", "COMMITTED time=1")
        };
        client += &format!("{begin} send {tx} 10.0.0.1:86 bank=0 PREPARE ops=1 banks=0\n");
        bank += &format!("{} recv {tx} 10.0.0.9:5 PREPARE ops=1 banks=0\n", begin + 10);
        bank += &format!("{} vote {tx} - {vote} time=1 seq={n}\n", begin + 20);
        bank += &format!("{} reply {tx} 10.0.0.9:5 {vote} time=1 by=0\n", begin + took - 10);
        client += &format!(
            "{} answer {tx} 10.0.0.1:86 bank=0 PREPARE {vote} time=1 by=0\n",
            begin + took - 5
        );
        client += &format!("{} verdict {tx} - {end} oks=1/1\n", begin + took);
    }
    // Two transactions that are undecided; the client of one of them was killed.
    for tx in ["d1", "d2"] {
        bank += &format!(
            "200000 recv {tx} 10.0.0.9:5 PREPARE ops=2 banks=0,1\n\
             200001 vote {tx} - OK time=1 ops=2 banks=0,1 seq=200\n"
        );
    }
    client += "199000 send d2 10.0.0.1:86 bank=0 PREPARE ops=2 banks=0,1\n";
    let logs = TestLogs::new().log("cliente-1", 0, &client).log("servidor-86", 0, &bank);
    let logs = logs.logs();
    let found = |query| -> Vec<String> {
        logs.find(query).unwrap().timelines.into_iter().map(|timeline| timeline.tx).collect()
    };
    assert_eq!(
        found(TraceQuery::Slowest(3)),
        ["t057", "t014", "t071"],
        "7 n modulo 100 is 99, 98, 97"
    );
    assert_eq!(found(TraceQuery::Aborted(2)), ["t093", "t083"]);
    assert_eq!(found(TraceQuery::Doubtful(10)), ["d2", "d1"]);
}

#[test]
fn a_drawing_is_well_formed_and_bounded() {
    let hostile = committed([0, HOUR_US, 0])
        .add("servidor-86", at("7000 fault t - <b>\"&\u{1}</b>", 0).as_bytes());
    for embedding in [Embedding::File, Embedding::Image, Embedding::Page] {
        let svg = hostile.timeline().svg(embedding, Lang::En);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(
            svg.contains("&lt;b&gt;") && !svg.contains("<b>") && !svg.contains('\u{1}'),
            "{svg}"
        );
        assert_eq!(svg.contains("var(--trace-ok"), embedding == Embedding::Page);
        assert!(!svg.contains("[OK]") && svg.contains("PREPARE of 2 operations"));
        for tag in ["text", "g", "title", "svg", "style", "defs"] {
            let (opened, closed) = (
                svg.matches(&format!("<{tag}")).count(),
                svg.matches(&format!("</{tag}>")).count(),
            );
            let longer = if tag == "g" { svg.matches("<gap").count() } else { 0 };
            assert_eq!(opened - longer, closed, "<{tag}>");
        }
    }
    let many: String =
        (0..5_000).map(|n| format!("{n} ask t 10.0.0.2:87 bank=1 RESOLVE\n")).collect();
    let svg =
        TestLogs::new().log("servidor-86", 0, &many).timeline().svg(Embedding::File, Lang::En);
    assert!(svg.contains("further events are not drawn") && svg.len() < 1_000_000, "{}", svg.len());
}

/// The classes of the chips above the columns.
fn chips(svg: &str) -> Vec<&str> {
    let heads = svg.split("class=\"head ").skip(1);
    heads.filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn a_drawing_has_columns_for_the_driver_and_the_banks_alone() {
    let reader = "
        0 start - - cliente-9 resolve
        10 connect - 10.0.0.1:86 bank=0 from=10.0.0.9:2000
        1400 send t 10.0.0.1:86 bank=0 RESOLVE port=2000 n=1
        1500 answer t 10.0.0.1:86 bank=0 RESOLVE COMMITTED time=7 by=0 port=2000 n=1";
    let asked = "
        1440 recv t 10.0.0.9:2000 RESOLVE n=1
        1450 reply t 10.0.0.9:2000 COMMITTED time=7 by=0 n=1";
    let timeline = committed([0, 0, 0])
        .log("servidor-86", 0, &format!("{ZERO}{asked}"))
        .log("cliente-9", 0, reader)
        .timeline();
    assert_eq!(names(&timeline), ["cliente-1", "cliente-9", "bank 0", "bank 1"]);
    let svg = timeline.svg(Embedding::File, Lang::En);
    assert_eq!(chips(&svg), ["client", "bank", "bank"]);
    assert!(!svg.contains("RESOLVE") && !svg.contains("cliente-9"), "{svg}");
    assert!(svg.contains("1 further clients asked about it"), "{svg}");
    let alone = committed([0, 0, 0]).timeline().svg(Embedding::File, Lang::En);
    assert!(!alone.contains("further clients"), "{alone}");
    // Without its log a driver is known by a connection to each bank, and is one driver.
    let unlogged = TestLogs::new().log("servidor-86", 0, ZERO).log("servidor-87", 0, ONE);
    let timeline = unlogged.timeline();
    assert_eq!(names(&timeline), ["client", "client", "bank 0", "bank 1"]);
    let svg = timeline.svg(Embedding::File, Lang::En);
    assert_eq!(chips(&svg), ["client unknown", "bank", "bank"]);
}

#[test]
fn the_head_says_where_the_time_went_in_both_languages() {
    let timeline = committed([0, 0, 0]).timeline();
    let shares = timeline.shares();
    let percents: Vec<i64> = shares.iter().map(|share| share.percent).collect();
    assert_eq!(shares[0].kind, LegKind::Sync);
    assert_eq!(percents, [52, 23, 12, 10, 1, 1], "of 810 µs: {shares:?}");
    assert_eq!(shares.iter().map(|share| share.took_us).sum::<i64>(), 810);
    let english = timeline.svg(Embedding::File, Lang::En);
    for words in ["810 µs until the outcome:", "sync 52 %", "network 23 %", "queue and vote 12 %"]
    {
        assert!(english.contains(words), "no {words:?} in {english}");
    }
    let portuguese = timeline.svg(Embedding::File, Lang::Pt);
    for words in
        ["810 µs até o resultado:", "disco 52 %", "rede 23 %", "efetivada", "→ banco 1: PREPARE"]
    {
        assert!(portuguese.contains(words), "no {words:?} in {portuguese}");
    }
    // Where the picture is narrow, words go on in the next line.
    let narrow = portuguese.split("narrow\">").skip(1).filter_map(|rest| rest.split('<').next());
    let narrow: Vec<&str> = narrow.collect();
    assert!(!portuguese.contains('…') && !english.contains('…'), "{portuguese}");
    assert_eq!(narrow, ["cliente-1: resultado COMMITTED, OKs", "2/2"]);
    for words in ["until", "bank 0", "votes", "synced", "transaction"] {
        assert!(!portuguese.contains(words), "{words:?} in {portuguese}");
    }
    assert!(english.contains("prefers-color-scheme:dark") && !english.contains("viewBox=\"0 0 3"));
}

#[test]
fn durations_are_in_the_unit_that_fits() {
    let all = [0, 281, 1_649, 2_961_000, 65_000_000, 3_725_000_000, -1_500];
    let all = all.map(|us| duration(us, Lang::En));
    assert_eq!(
        all,
        ["0 µs", "281 µs", "1.649 ms", "2.961 s", "1 min 5 s", "1 h 2 min", "-1.500 ms"]
    );
    assert_eq!(duration(2_961_000, Lang::Pt), "2,961 s");
}
