//! `scripts/compare.sh`: its arguments, and its tables of figures that are made up. To measure, it
//! needs the peers and minutes.

use super::root;
use std::fs;
use std::process::Command;

/// The exit code, standard output and standard error.
fn compare(arguments: &[&str]) -> (Option<i32>, String, String) {
    let run = Command::new(root().join("scripts/compare.sh")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (run.status.code(), text(run.stdout), text(run.stderr))
}

#[test]
fn the_comparison_checks_its_arguments() {
    let (code, output, errors) = compare(&["--help"]);
    assert!(
        code == Some(0)
            && output.contains("scripts/compare.sh --runs 5")
            && output.trim_end().ends_with("docs/BENCHMARKS.md says what is measured.")
            && errors.is_empty(),
        "{output}{errors}"
    );
    for (arguments, named) in [
        (&["--no-such-switch"][..], "unknown: --no-such-switch"),
        (&["--runs"], "--runs needs a value"),
        (&["--record", ""], "--record needs a value"),
        (&["--runs", "0"], "--runs: not a whole number above zero: 0"),
        (&["--seconds", "1.5"], "--seconds: not a whole number above zero: 1.5"),
        (&["--accounts", "9999999"], "--accounts: not a whole number"),
        (&["--rows", "1 cold"], "--rows: no row is named cold"),
        (&["--rows", "in-17"], "--rows: no row is named in-17"),
        (&["--rows", " "], "--rows: no row is named"),
        (&["--peers", "redis mysql"], "--peers: postgres, redis or tigerbeetle: mysql"),
        (&["--from", "no such file"], "--from: there is no such file"),
    ] {
        let (code, output, errors) = compare(arguments);
        assert_eq!((code, output.as_str()), (Some(2), ""), "{arguments:?}: {errors}");
        assert!(errors.starts_with(named), "{arguments:?}: {errors}");
    }
}

/// Three runs of a row across and of one inside, in two pieces as `--record` appends them; one peer
/// was not there.
const FIGURES: &str = "\
about machine: 2 × \"A\"
about Redis is not measured
64 ours 11905 0 4830 13400 37100
64 postgres 3005 1 20500 40700 62200 10200 28300 53200
64 ours 900 0 1 1 1
64 postgres 9000 0 1 1 1 1 1 1
64 ours 20000 3 9990 19900 50000
64 postgres 100 7 30500 40700 99999 10200 28300 53200
about machine: 2 × \"A\"
in-1 ours 2500 0 350 590 5760
in-1 tigerbeetle 2000 0 0 1000 9000
in-batch ours 130000 0 40000 60000 80000
in-batch tigerbeetle 260000 0 31000 65000 80000
hot ours 14077 0 1080 2220 9430
";

const TABLES: &str = "\
machine: 2 × \"A\"
Redis is not measured

| clients | ours, a second | PostgreSQL, a second | ratio | ours: outcome, ms p50 · p99 · max | \
PostgreSQL: committed, ms p50 · p99 · max | PostgreSQL: both prepared, ms p50 · p99 · max | \
not committed, ours · theirs |
| --- | --- | --- | --- | --- | --- | --- | --- |
| 64 | 11,905 | 3,005 | 3.96 | 4.83 · 13.4 · 37.1 | 20.5 · 40.7 · 62.2 | 10.2 · 28.3 · 53.2 \
| 0 · 1 |
| 16, one hot account | 14,077 | – | – | 1.08 · 2.22 · 9.43 | – | – | 0 · – |

| inside one bank or server | system | a second | ours to it | ms p50 · p99 · max | not committed |
| --- | --- | --- | --- | --- | --- |
| 1 client | ours | 2,500 |  | 0.35 · 0.59 · 5.76 | 0 |
|  | TigerBeetle, batches of 1 | 2,000 | 1.25 | <1 · 1 · 9 | 0 |
| 64 clients, 128 under way each | ours | 130,000 |  | 40.0 · 60.0 · 80.0 | 0 |
|  | TigerBeetle, batches of 8,189 | 260,000 | 0.50 | 31 · 65 · 80 | 0 |
";

#[test]
fn the_tables_of_the_comparison_have_medians_and_ratios() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("figures"), FIGURES).unwrap();
    let (code, output, errors) = compare(&["--from", &path("figures"), "--json", &path("json")]);
    assert_eq!((code, output.as_str(), errors.as_str()), (Some(0), TABLES, ""));
    let document = fs::read_to_string(path("json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(
        document["about"],
        serde_json::json!(["machine: 2 × \"A\"", "Redis is not measured"])
    );
    let runs = document["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 11);
    assert_eq!(
        runs[1],
        serde_json::json!({
            "row": "64", "side": "postgres", "per_s": 3005, "not_committed": 1,
            "p50_us": 20500, "p99_us": 40700, "max_us": 62200,
            "prepared_p50_us": 10200, "prepared_p99_us": 28300, "prepared_max_us": 53200,
        })
    );
    assert_eq!(runs[7]["side"], "tigerbeetle");
    assert!(runs[0].get("prepared_p50_us").is_none());
}
