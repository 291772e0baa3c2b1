//! Short runs of `cliente bench` on real banks: it commits, counts, and checks that no money is
//! lost. Also `scripts/demo.sh`, README's first command.

use crate::support::{Cluster, Process, ProgramRun, cliente_path, free_ports_in_a_row, wait_until};
use std::process::Command;

#[test]
fn every_kind_commits_and_conserves_money() {
    let cluster = Cluster::start(3);
    for more in [
        &["--kind", "transfer"][..],
        &["--kind", "transfer", "--via-bank"],
        &["--kind", "transfer", "--hot"],
        &["--kind", "set"],
        &["--kind", "composite", "--depth", "4"],
        &["--kind", "single"],
        &["--kind", "single", "--via-bank", "--depth", "3"],
    ] {
        let fixed = [
            "bench",
            "--yes",
            "--seconds",
            "1",
            "--warmup",
            "0",
            "--clients",
            "4",
            "--accounts",
            "50",
        ];
        let report = cluster.json(0, &[&fixed[..], more].concat());
        assert!(report["committed"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(report["conserved"], true, "{report}");
        assert_eq!(report["without_verdict"], 0, "{report}");
        assert_eq!(report["committed_each_s"], serde_json::json!([report["committed_per_s"]]));
        let time = |name: &str| report[name].as_u64().unwrap();
        assert_eq!(time("to_ms") - time("from_ms"), 1_000, "{report}");
        let latency = |name: &str| report["latency_us"][name].as_u64().unwrap();
        assert!(
            0 < latency("p50")
                && latency("p50") <= latency("p99")
                && latency("p99") <= latency("max")
        );
        assert!(
            latency("p99") <= latency("p99_9") && latency("p99_9") <= latency("p99_99"),
            "{report}"
        );
    }
    let status = cluster.json(0, &["status"]);
    assert_eq!(
        status["cut"]["balance_total"],
        3_u64 * 50 * 100_000_000,
        "later runs reuse the accounts"
    );
    let ran = cluster
        .run(&["bench", "--yes", "--seconds", "1", "--warmup", "0", "--clients", "2"])
        .expect_code(0);
    assert!(
        ran.stdout.contains("/s  p50 ms")
            && ran.stdout.contains("p99.9")
            && ran.stdout.contains("conserved")
    );
    assert_eq!(ran.stderr, "", "progress is for terminals only");
}

#[test]
fn an_open_loop_keeps_its_rate_and_counts_what_falls_behind() {
    let cluster = Cluster::start(2);
    let fixed =
        ["bench", "--yes", "--seconds", "1", "--warmup", "0", "--accounts", "50", "--clients", "2"];
    for more in [&["--rate", "100"][..], &["--rate", "100", "--via-bank"]] {
        let report = cluster.json(0, &[&fixed[..], more].concat());
        // Exactly 100 are due in a second, however fast the banks are.
        let (committed, behind) =
            (report["committed"].as_u64().unwrap(), report["behind"].as_u64().unwrap());
        assert_eq!((committed + behind, &report["rate"]), (100, &100.into()), "{report}");
        assert!(committed > 0 && report["conserved"] == true, "{report}");
    }
    // No machine can do so many, one at a time.
    let report = cluster.json(0, &[&fixed[..], &["--rate", "1000000", "--depth", "1"]].concat());
    let (committed, behind) =
        (report["committed"].as_u64().unwrap(), report["behind"].as_u64().unwrap());
    assert!(behind > committed, "{report}");
    assert_eq!(
        committed + behind + not_committed(&report),
        1_000_000,
        "every due transaction is counted"
    );
    // They are due at even intervals and almost none began, so the median wait is half the run.
    assert!(report["latency_us"]["p50"].as_u64().unwrap() > 400_000, "{report}");
    let ran =
        cluster.run(&[&fixed[..], &["--rate", "1000000", "--depth", "1"]].concat()).expect_code(0);
    assert!(ran.stdout.contains("never begun"), "{ran:?}");
}

fn not_committed(report: &serde_json::Value) -> u64 {
    report["not_committed"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, count)| count.as_u64())
        .sum()
}

#[test]
fn each_run_is_a_row_and_the_medians_are_one_more() {
    let cluster = Cluster::start(2);
    let short =
        ["bench", "--yes", "--seconds", "1", "--warmup", "0", "--accounts", "5", "--clients", "2"];
    let ran = cluster.run(&[&short[..], &["--runs", "3", "--csv"]].concat()).expect_code(0);
    let rows: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split(',').collect()).collect();
    let column = |heading: &str| rows[0].iter().position(|cell| *cell == heading).unwrap();
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{ran:?}");
    assert_eq!(rows[1..].iter().map(|row| row[0]).collect::<Vec<_>>(), ["1", "2", "3", "median"]);
    for heading in ["committed_per_s", "p50_us", "p99_99_us", "max_us"] {
        let number = |row: &Vec<&str>| row[column(heading)].parse::<u64>().unwrap();
        let mut runs: Vec<u64> = rows[1..4].iter().map(number).collect();
        runs.sort_unstable();
        assert_eq!(number(&rows[4]), runs[1], "{heading}: {ran:?}");
    }
    assert!(rows[1..].iter().all(|row| row[column("conserved")] == "true"), "{ran:?}");
    let report = cluster.json(0, &[&short[..], &["--runs", "2"]].concat());
    assert_eq!(report["runs"].as_array().unwrap().len(), 2, "{report}");
}

#[test]
fn a_kind_that_needs_more_banks_or_accounts_is_refused() {
    let cluster = Cluster::start(1);
    let refused =
        |arguments: &[&str]| cluster.run(&[&["bench"], arguments].concat()).expect_code(2).stderr;
    assert!(refused(&["--kind", "transfer"]).contains("2 banks"));
    assert!(refused(&["--kind", "composite"]).contains("3 banks"));
    assert!(refused(&["--kind", "single", "--accounts", "1"]).contains("--accounts 2"));
    assert!(refused(&["--kind", "set", "--hot"]).contains("--kind transfer"));
    assert!(refused(&["--rate", "0"]).contains("--rate"));
}

#[test]
fn the_demo_succeeds() {
    let first = free_ports_in_a_row(3);
    let folder = tempfile::TempDir::new().unwrap();
    let programs = std::path::Path::new(cliente_path()).parent().unwrap();
    let output = Command::new("bash")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/demo.sh"))
        .env("CONSORCIO_PORT", first.to_string())
        .env("CONSORCIO_PROGRAMS", programs)
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let (shown, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}\n{errors}");
    assert!(shown.contains("Every step held."), "{shown}");
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .flat_map(|demo| std::fs::read_dir(demo.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["logs"], "nothing but logs stays");
}

/// Without `--yes` it only lists the accounts and money that it would leave; `--own` starts banks
/// of its own.
#[test]
fn a_benchmark_needs_consent_to_leave_accounts() {
    let cluster = Cluster::start(3);
    let short = ["bench", "--seconds", "1", "--warmup", "0", "--accounts", "5", "--clients", "2"];
    let ran = cluster.run(&short).expect_code(2);
    for words in ["15 accounts", "R$ 15.000.000,00", "permanently", "--yes", "--own"] {
        assert!(ran.stderr.contains(words), "no {words:?} in {ran:?}");
    }
    let set = cluster.run(&[&short[..], &["--kind", "set"]].concat()).expect_code(2);
    assert!(set.stderr.contains("register"), "{set:?}");

    let temporary = cluster.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut own = cluster.cliente(&[&short[..], &["--own", "--json"]].concat());
    let output = own.env("TMPDIR", &temporary).output().unwrap();
    let ran = ProgramRun::of(&["bench", "--own"], &output).expect_code(0);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["conserved"], true, "{ran:?}");
    assert!(document["committed"].as_u64() > Some(0), "{ran:?}");
    assert_eq!(ran.stderr, "", "what its banks say is for nobody");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "it removes its folder");
    let status = cluster.json(0, &["status"]);
    assert_eq!(status["cut"]["balance_total"], 0, "neither run used these banks: {status}");
}

/// An interrupted benchmark stops the banks that it started, and removes their folder.
#[test]
fn banks_of_its_own_end_with_an_interrupted_benchmark() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut command = Command::new(cliente_path());
    command.current_dir(folder.path()).env("TMPDIR", folder.path());
    command.args(["bench", "--own", "--clients", "2", "--accounts", "5", "--seconds", "600"]);
    let mut bench = Process::start(&mut command);
    let own = || {
        let entries = std::fs::read_dir(folder.path()).unwrap().flatten();
        entries.map(|entry| entry.path()).find(|path| path.join("logs").is_dir())
    };
    let commits = |path: &std::path::Path| {
        let logs = std::fs::read_dir(path.join("logs")).ok()?;
        let commits = logs.flatten().any(|log| {
            std::fs::read_to_string(log.path()).is_ok_and(|log| log.contains("COMMITTED"))
        });
        commits.then_some(())
    };
    let path = wait_until("its banks commit", || own().filter(|path| commits(path).is_some()));
    bench.interrupt();
    assert_eq!(bench.wait(), Some(130));
    assert!(!path.exists(), "{path:?}");
}
