//! `cliente bench` on real banks, briefly: it commits, it counts, and it checks that all money is still there.
//! And `scripts/demo.sh`, which is README's first command.

mod support;

use std::process::Command;
use support::{Cluster, cliente_path, free_ports};

#[test]
fn every_kind_commits_and_conserves() {
    let cluster = Cluster::start(3);
    for more in [
        &["--kind", "transfer"][..],
        &["--kind", "transfer", "--via-bank"],
        &["--kind", "set"],
        &["--kind", "composite", "--depth", "4"],
        &["--kind", "single"],
        &["--kind", "single", "--via-bank", "--depth", "3"],
    ] {
        let fixed = ["bench", "--seconds", "1", "--warmup", "0", "--clients", "4", "--accounts", "50"];
        let report = cluster.json(0, &[&fixed[..], more].concat());
        assert!(report["committed"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(report["conserved"], true, "{report}");
        assert_eq!(report["without_verdict"], 0, "{report}");
        let latency = |name: &str| report["latency_us"][name].as_u64().unwrap();
        assert!(0 < latency("p50") && latency("p50") <= latency("p99") && latency("p99") <= latency("max"));
    }
    let status = cluster.json(0, &["status"]);
    assert_eq!(status["cut"]["balance_total"], 3_u64 * 50 * 100_000_000, "the accounts were opened once");
    let ran = cluster.run(&["bench", "--seconds", "1", "--warmup", "0", "--clients", "2"]).expect_code(0);
    assert!(ran.stdout.contains("/s)") && ran.stdout.contains("p99.9") && ran.stdout.contains("conserved"));
}

#[test]
fn what_needs_more_banks_or_accounts_says_so() {
    let cluster = Cluster::start(1);
    let refused = |arguments: &[&str]| cluster.run(&[&["bench"], arguments].concat()).expect_code(2).stderr;
    assert!(refused(&["--kind", "transfer"]).contains("2 banks"));
    assert!(refused(&["--kind", "composite"]).contains("3 banks"));
    assert!(refused(&["--kind", "single", "--accounts", "1"]).contains("--accounts 2"));
}

#[test]
fn the_demonstration_holds() {
    let first = std::iter::repeat_with(|| free_ports(3))
        .take(1_000)
        .find(|ports| ports[1] == ports[0] + 1 && ports[2] == ports[0] + 2)
        .expect("three free ports in a row");
    let folder = tempfile::TempDir::new().unwrap();
    let programs = std::path::Path::new(cliente_path()).parent().unwrap();
    let output = Command::new("bash")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/demo.sh"))
        .env("CONSORCIO_PORT", first[0].to_string())
        .env("CONSORCIO_PROGRAMS", programs)
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let (shown, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}\n{told}");
    assert!(shown.contains("Every step held."), "{shown}");
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .flat_map(|demo| std::fs::read_dir(demo.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["logs"], "nothing but logs stays");
}
