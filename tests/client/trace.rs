//! `cliente trace` with the logs of real banks and clients: a commit, an abort, a driving bank, a
//! killed driver, and the lists of transactions.

use crate::support::{Cluster, Process, cliente_path, wait_until};
use serde_json::Value;
use std::path::Path;

fn with_accounts() -> Cluster {
    let cluster = Cluster::start(3);
    cluster.open_account(0, "12345-6", "11111111111", "1000");
    cluster.open_account(2, "78910-0", "22222222222", "0");
    cluster
}

fn transfer(cluster: &Cluster, code: i32, amount: &str, more: &[&str]) {
    let from = format!("0/12345-6={amount}");
    let arguments = [&["transfer", "--from", &from, "--to", "2/78910-0"], more].concat();
    cluster.run(&arguments).expect_code(code);
}

/// Traces a transaction once the logs of `banks` are complete. Logs are written asynchronously, and
/// no reply waits for the sync of a commit.
fn traced(cluster: &Cluster, tx: &str, banks: &[usize]) -> Value {
    wait_until("complete logs", || {
        banks.iter().all(|bank| is_complete(&cluster.log(*bank), tx)).then_some(())
    });
    cluster.json(0, &["trace", tx])
}

/// Whether a bank's log has an outcome of `tx`, a reply to each request about it, and the sync of
/// each of its records.
fn is_complete(log: &str, tx: &str) -> bool {
    let mark = format!("tx={tx} ");
    let number = |line: &str, key: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix(key))
            .map(|word| word.parse::<u64>().expect(key))
    };
    let count = |event: &str| {
        log.lines().filter(|line| line.contains(&mark) && line.contains(event)).count()
    };
    let recorded = log
        .lines()
        .filter(|line| line.contains(&mark))
        .filter_map(|line| number(line, "seq="))
        .max();
    let synced = log.lines().filter_map(|line| number(line, "upto=")).max();
    let ended = count(" outcome ") > 0 || count(" NOK ") > 0;
    ended && count(" recv ") <= count(" reply ") && recorded <= synced
}

fn calls<'a>(document: &'a Value, verb: &str) -> Vec<&'a Value> {
    document["calls"]
        .as_array()
        .expect("calls")
        .iter()
        .filter(|call| call["verb"] == verb)
        .collect()
}

/// The steps of each call are in causal order, and their times too.
fn assert_causal(document: &Value) {
    for call in document["calls"].as_array().expect("calls") {
        let ends = ["sent", "received", "replied", "answered"].map(|end| call[end].as_u64());
        let ends: Vec<u64> = ends.into_iter().flatten().collect();
        assert!(ends.is_sorted(), "{call}");
        let at = |end: &u64| {
            document["events"][usize::try_from(*end).expect("a number")]["at_us"].as_i64()
        };
        assert!(ends.iter().map(at).is_sorted(), "{call}");
    }
}

/// Both ends of a connection number its requests alike, so every call is joined by its number, and
/// none by its order.
fn assert_numbered(document: &Value) {
    for call in document["calls"].as_array().expect("calls") {
        assert!(call["n"].as_u64() > Some(0), "{call}");
    }
    let notes = document["notes"].as_array().expect("notes");
    let by_order = |note: &&Value| note.as_str().is_some_and(|note| note.contains("their order"));
    assert_eq!(notes.iter().find(by_order), None);
}

/// Every request was joined with its reception. If the numbers of one end were shifted, there would
/// be calls with one end only.
fn assert_joined(document: &Value) {
    assert_numbered(document);
    for call in document["calls"].as_array().expect("calls") {
        assert!(["sent", "received"].iter().all(|end| call[*end].is_u64()), "{call}");
        assert!(["replied", "answered"].iter().all(|end| call[*end].is_u64()), "{call}");
    }
}

#[test]
fn the_timeline_of_a_commit_is_complete() {
    let cluster = with_accounts();
    transfer(&cluster, 0, "200", &["--tx", "t1"]);
    let document = traced(&cluster, "t1", &[0, 2]);
    assert_eq!(
        (&document["verdict"], &document["oks"]),
        (&"committed".into(), &serde_json::json!([0, 2]))
    );
    let lanes = document["lanes"].as_array().unwrap();
    let names: Vec<&str> = lanes.iter().filter_map(|lane| lane["name"].as_str()).collect();
    assert_eq!(names, ["cliente-1", "bank 0", "bank 2"], "bank 1 is no participant");
    assert_eq!(lanes[1]["address"], cluster.address(0));
    assert!(lanes.iter().all(|lane| lane["shift_us"] == 0), "one machine has one clock: {lanes:?}");
    let prepares = calls(&document, "PREPARE");
    assert_eq!(prepares.len(), 2);
    for call in prepares {
        let ends = ["sent", "received", "replied", "answered"];
        assert!(
            ends.iter().all(|end| call[*end].is_u64()) && call["took_us"].as_i64() > Some(0),
            "{call}"
        );
    }
    for kind in ["sync", "hold", "drive"] {
        let spans = document["spans"].as_array().unwrap();
        assert!(spans.iter().any(|span| span["kind"] == kind), "no {kind}: {spans:?}");
    }
    let (verdict_us, path) =
        (document["told_us"].as_i64().unwrap(), document["path"].as_array().unwrap());
    assert_eq!(
        path.first().and_then(|leg| leg["from_us"].as_i64()),
        Some(0),
        "the path begins with the transaction"
    );
    assert_eq!(
        path.last().and_then(|leg| leg["to_us"].as_i64()),
        Some(verdict_us),
        "the path ends at the verdict"
    );
    assert!(document["last_ok"].is_array());
    assert_causal(&document);
    assert_joined(&document);

    let ran = cluster.run(&["rastrear", "t1", "--svg", "t1.svg"]).expect_code(0);
    for words in [
        "committed",
        "votes OK",
        "PREPARE of 2 operations",
        "the last OK",
        "synced",
        "drawn in t1.svg",
    ] {
        assert!(ran.stdout.contains(words), "no {words:?} in {ran:?}");
    }
    let svg = std::fs::read_to_string(cluster.path().join("t1.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("bank 2") && svg.contains("COMMITTED"));
    let drawn = cluster.run(&["trace", "t1", "--svg", "-"]).expect_code(0);
    assert_eq!(drawn.stdout, svg);
    assert_drawn(&cluster, &svg);
}

/// Checks the picture of `t1`, before and after others have asked about it.
fn assert_drawn(cluster: &Cluster, svg: &str) {
    let columns = |svg: &str| svg.matches("class=\"head ").count();
    assert_eq!(columns(svg), 3, "the driver and two banks: {svg}");
    // All but the head of the picture is at columns, whose place does not depend on its width.
    assert!(!svg.contains("viewBox=\"0 0 1") && svg.contains("prefers-color-scheme:dark"));
    assert!(svg.contains(" until the outcome:") && svg.contains("sync ") && svg.contains(" %"));
    for asks in [&["resolve", "t1"][..], &["--name", "reader", "resolve", "t1"]] {
        cluster.run(asks).expect_code(0);
    }
    let drawn = cluster.run(&["--lang", "pt", "trace", "t1", "--svg", "-"]).expect_code(0).stdout;
    assert!(columns(&drawn) == 3 && !drawn.contains("reader"), "{drawn}");
    assert!(drawn.contains("banco 2: vota OK") && drawn.contains(" até o resultado:"), "{drawn}");
}

#[test]
fn an_abort_a_driving_bank_and_the_lists_that_find_them() {
    let cluster = with_accounts();
    transfer(&cluster, 4, "5000", &["--tx", "too-much"]);
    transfer(&cluster, 0, "1", &["--tx", "driven", "--via", "1"]);
    let document = traced(&cluster, "too-much", &[0, 2]);
    assert_eq!(
        (&document["verdict"], &document["reason"], &document["refused_by"]),
        (&"aborted".into(), &"insufficient-funds".into(), &0.into())
    );
    assert_causal(&document);
    // The bank that drives votes on nothing, so its log has no record whose sync tells that it is
    // complete.
    wait_until("the reply in the log of the bank that drives", || {
        let replies = |line: &str| line.contains("tx=driven ") && line.contains(" reply ");
        cluster.log(1).lines().any(|line| replies(line) && line.contains("COMMITTED")).then_some(())
    });
    let document = traced(&cluster, "driven", &[0, 2]);
    assert_eq!(document["verdict"], "committed");
    assert_eq!(calls(&document, "EXECUTE").len(), 1);
    assert_eq!(calls(&document, "PREPARE").len(), 2);
    assert_joined(&document);
    let drives =
        document["spans"].as_array().unwrap().iter().filter(|span| span["kind"] == "drive").count();
    assert_eq!(drives, 2, "the client that waits, and bank 1 that drives");
    assert_eq!(document["path"][0]["from_us"], 0);
    assert_causal(&document);

    let slow = cluster.json(0, &["trace", "--slowest"]);
    let listed: Vec<&str> =
        slow.as_array().unwrap().iter().filter_map(|one| one["tx"].as_str()).collect();
    assert!(listed.contains(&"driven") && listed.contains(&"too-much"), "{listed:?}");
    let aborted = cluster.json(0, &["trace", "--aborted", "5"]);
    assert_eq!((&aborted[0]["tx"], aborted.as_array().unwrap().len()), (&"too-much".into(), 1));
    cluster.run(&["trace", "--aborted"]).expect_code(0).expect("insufficient-funds by bank 0");
    assert_eq!(cluster.json(0, &["trace", "--doubtful"]), serde_json::json!([]));
    cluster
        .run(&["trace", "--doubtful"])
        .expect_code(0)
        .expect("no transaction without an outcome");
}

#[test]
fn a_killed_driver_and_the_bank_that_resolves() {
    let cluster = with_accounts();
    let from = ["transfer", "--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", "t"];
    let mut client = Process::start(&mut cluster.cliente(&[&from[..], &["--step"]].concat()));
    client.expect_line("Enter sends COMMIT");
    // The log is written asynchronously.
    wait_until("both votes in the client's log", || {
        let log =
            std::fs::read_to_string(cluster.path().join("logs/cliente-1.log")).unwrap_or_default();
        (log.matches("PREPARE OK").count() == 2).then_some(())
    });
    client.kill();
    let document = traced(&cluster, "t", &[0, 2]);
    assert_eq!(document["verdict"], "committed", "every bank holds an OK");
    assert!(!calls(&document, "RESOLVE").is_empty());
    let spans = document["spans"].as_array().unwrap();
    assert!(spans.iter().any(|span| span["kind"] == "doubt" && span["open"] == false), "{spans:?}");
    assert!(
        spans.iter().any(|span| span["kind"] == "drive" && span["open"] == true),
        "the driver never finished: {spans:?}"
    );
    assert_causal(&document);
    assert_numbered(&document);
    cluster.run(&["trace", "t"]).expect_code(0).expect("in doubt: driver-gone");
}

#[test]
fn log_folders_can_be_named_and_missing_logs_are_reported() {
    let cluster = with_accounts();
    transfer(&cluster, 0, "200", &["--tx", "t1"]);
    traced(&cluster, "t1", &[0, 2]);
    // One folder for the logs of each machine.
    let port = |bank| format!("servidor-{}.log", cluster.port(bank));
    for (folder, file) in [("a", port(0)), ("b", port(2)), ("c", "cliente-1.log".to_owned())] {
        std::fs::create_dir(cluster.path().join(folder)).unwrap();
        std::fs::copy(
            cluster.path().join("logs").join(&file),
            cluster.path().join(folder).join(&file),
        )
        .unwrap();
    }
    let all = cluster.json(0, &["trace", "t1", "--logs", "a", "b", "c"]);
    assert!(all["lanes"].as_array().unwrap().iter().all(|lane| lane["logged"] == true), "{all}");
    assert_eq!(
        cluster.json(0, &["trace", "--logs", "a", "b", "c", "t1"]),
        all,
        "the id may come last"
    );
    let some = cluster.json(0, &["trace", "t1", "--logs", "a", "c"]);
    assert_eq!(
        (&some["verdict"], &some["lanes"][2]["logged"]),
        (&"committed".into(), &false.into())
    );
    assert!(some["notes"][0].as_str().unwrap().contains("no log of bank 2"), "{some}");

    let ran = cluster.run(&["trace", "unknown-id"]).expect_code(4);
    assert!(ran.stderr.contains("unknown-id") && ran.stderr.contains("logs"), "{ran:?}");
    assert_eq!(cluster.json(4, &["trace", "unknown-id"])["error"]["code"], "refused");
    let ran = cluster.run(&["trace", "t1", "--logs", "no-such-folder"]).expect_code(1);
    assert!(ran.stderr.contains("no-such-folder"), "{ran:?}");
    let ran = cluster.run(&["trace"]).expect_code(2);
    assert!(ran.stderr.contains("--slowest"), "{ran:?}");
    cluster.run(&["trace", "t1", "--slowest"]).expect_code(2);
    cluster.run(&["trace", "t1", "--svg", "no-such-folder/t.svg"]).expect_code(1);
}

/// `trace` only reads logs, so it writes none.
#[test]
fn a_trace_leaves_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let run = |logs: &Path| {
        let mut command = std::process::Command::new(cliente_path());
        command
            .current_dir(dir.path())
            .arg("--log-dir")
            .arg(logs)
            .args(["trace", "t"])
            .output()
            .unwrap()
    };
    let output = run(Path::new("."));
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("no step log") && stderr.contains("--logs"), "{stderr}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Later requests about a transaction, and other runs of the same client, are not in its timeline.
#[test]
fn later_requests_and_other_runs_are_left_out() {
    let cluster = with_accounts();
    transfer(&cluster, 0, "200", &["--tx", "t1"]);
    let before = traced(&cluster, "t1", &[0, 2]);
    for _ in 0..3 {
        cluster.run(&["resolve", "t1"]).expect_code(0);
        cluster.run(&["get"]).expect_code(0);
    }
    let logged = || {
        let logs = [0, 2].map(|bank| cluster.log(bank));
        let lines = |log: &String| log.lines().filter(|line| line.contains("tx=t1 ")).count();
        let requests = |log: &String| {
            log.lines().filter(|line| line.contains("tx=t1 ") && line.contains("STATUS")).count()
        };
        logs.iter().all(|log| requests(log) == 3 && lines(log) >= 6).then_some(())
    };
    wait_until("the requests in the banks' logs", logged);
    let after = cluster.json(0, &["trace", "t1"]);
    assert_eq!(after["lanes"], before["lanes"], "no new participant");
    let count = |document: &Value| document["events"].as_array().expect("events").len();
    assert_eq!(count(&after), count(&before), "{after:#}");
    assert_eq!(after["calls"], before["calls"]);
    // An id that appears only in STATUS requests has no timeline.
    cluster.run(&["resolve", "never"]).expect_code(4);
    wait_until("the request in the bank's log", || {
        cluster.log(1).contains("tx=never ").then_some(())
    });
    cluster.run(&["trace", "never"]).expect_code(4);
}

/// A bank writes its lines in order of their times.
#[test]
fn the_lines_of_a_bank_are_in_order_of_time() {
    let mut cluster = with_accounts();
    let load =
        ["bench", "--yes", "--seconds", "1", "--warmup", "0", "--clients", "8", "--accounts", "20"];
    cluster.run(&load).expect_code(0);
    for bank in 0..3 {
        cluster.stop(bank);
        let log = cluster.log(bank);
        let times: Vec<&str> =
            log.lines().map(|line| line.split(' ').next().unwrap_or("")).collect();
        let back = times.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(times.len() > 1_000 && back == 0, "{back} of {} lines of bank {bank}", times.len());
    }
}
