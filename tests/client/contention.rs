//! `cliente contention` on real banks: without faults, while banks are killed, with a bank that
//! stays down, and with several runs at once. Also `scripts/contention.sh`.

use crate::support::{Cluster, Process, cliente_path, free_ports_in_a_row, wait_until};
use serde_json::Value;
use std::process::Command;

/// Checks a report in which everything must hold.
fn assert_holds(report: &Value) {
    assert!(report["committed"].as_u64().unwrap() > 0, "{report}");
    assert!(report["cuts"].as_u64().unwrap() > 0, "{report}");
    for part in ["conserved", "registers_equal", "all_decided", "as_told"] {
        assert_eq!(report["verdict"][part], true, "{part}: {report}");
    }
    assert!(
        report["error"].is_null() && report["undecided"].as_array().unwrap().is_empty(),
        "{report}"
    );
    let latency = |name: &str| report["latency_us"][name].as_u64().unwrap();
    assert!(
        0 < latency("p50") && latency("p50") <= latency("p99") && latency("p99") <= latency("max")
    );
}

#[test]
fn many_clients_and_few_accounts() {
    let cluster = Cluster::start(3);
    let fixed =
        ["contention", "--clients", "6", "--seconds", "1", "--accounts", "2", "--hot", "80"];
    let report = cluster.json(0, &[&fixed[..], &["--seed", "7"]].concat());
    assert_holds(&report);
    assert_eq!(report["seed"], 7);
    assert!(report["reads"].as_u64().unwrap() > 0, "{report}");
    assert_holds(&cluster.json(0, &[&fixed[..], &["--via-bank"]].concat()));
    let rated = cluster.json(0, &[&fixed[..], &["--rate", "50", "--mix", "transfer:1"]].concat());
    assert_holds(&rated);
    let begun = rated["committed"].as_u64().unwrap()
        + rated["nok"]["insufficient-funds"].as_u64().unwrap_or(0);
    assert!((30..=50).contains(&begun), "about 50 in a second: {rated}");
    let sets = cluster.json(0, &[&fixed[..], &["--mix", "set:1"]].concat());
    assert_holds(&sets);
    assert!(sets["nok"]["locked"].as_u64().unwrap() > 0, "few registers, many clients: {sets}");
    let ran = cluster.run(&fixed).expect_code(0).expect("All of it holds.");
    assert!(ran.stdout.contains("committed after  p50") && ran.stderr.is_empty(), "{ran:?}");
    cluster.run(&["audit"]).expect_code(0);
    cluster.run(&["audit", "--journals", "data"]).expect_code(0);
}

#[test]
fn each_client_can_have_its_own_log() {
    let cluster = Cluster::start(3);
    let line =
        ["--name", "maria", "contention", "--clients", "2", "--seconds", "1", "--client-logs"];
    cluster.run(&line).expect_code(0);
    for client in 1..=2 {
        let path = cluster.path().join(format!("logs/cliente-maria-{client}.log"));
        let log =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert!(log.contains("PREPARE") && log.contains("verdict"), "{log}");
    }
}

/// A page of a run in which bank 1 was killed, in both languages.
#[test]
fn the_page_of_a_run_shows_it_over_time() {
    let mut cluster = Cluster::start(3);
    let line = [
        "--lang",
        "en",
        "contention",
        "--clients",
        "4",
        "--seconds",
        "3",
        "--client-logs",
        "--html",
        "run.html",
        "--json",
    ];
    let mut run = Process::start(&mut cluster.cliente(&line));
    wait_until("it commits", || {
        (cluster.json(0, &["status"])["banks"][1]["info"]["committed"].as_u64()? > 20).then_some(())
    });
    cluster.kill(1);
    cluster.start_bank(1);
    let report: Value = serde_json::from_str(&run.expect_line("verdict")).unwrap();
    assert_eq!(run.wait(), Some(0));
    let page = std::fs::read_to_string(cluster.path().join("run.html")).unwrap();
    let seed = report["seed"].to_string();
    for words in [
        "All of it holds.",
        "Transactions a second",
        "class=\"area\"",
        "class=\"line sync\"",
        "class=\"band\"><title>bank 1</title>",
        "<td>bank 1</td><td>killed</td>",
        "NOK ",
        &seed,
    ] {
        assert!(page.contains(words), "no {words:?} in {page}");
    }
    assert_eq!(page.matches("class=\"trace\"").count(), 3, "the slowest as pictures");
    assert!(page.contains("until the outcome:") && page.contains("class=\"head client\""));
    for elsewhere in ["src=", "<link", "<script", "@import", "url(h"] {
        assert!(!page.contains(elsewhere), "{elsewhere:?} in a page that fetches nothing");
    }
    let short = ["--lang", "pt", "contention", "--clients", "2", "--seconds", "1"];
    cluster.run(&[&short[..], &["--html", "pt.html"]].concat()).expect_code(0);
    let page = std::fs::read_to_string(cluster.path().join("pt.html")).unwrap();
    assert!(page.contains("Tudo confere.") && page.contains("Transações por segundo"), "{page}");
    let ran = cluster.run(&[&short[..], &["--html", "no-such-folder/x.html"]].concat());
    let ran = ran.expect_code(1);
    assert!(ran.stderr.contains("no-such-folder/x.html não pode ser escrito"), "{ran:?}");
}

#[test]
fn concurrent_runs_do_not_conflict() {
    let cluster = Cluster::start(3);
    let line = ["contention", "--clients", "4", "--seconds", "2", "--seed", "1"];
    let mut other = Process::start(&mut cluster.cliente(&line));
    cluster.run(&line).expect_code(0).expect("All of it holds.");
    other.expect_line("All of it holds.");
    assert_eq!(other.wait(), Some(0));
}

#[test]
fn killed_and_restarted_banks_lose_nothing() {
    for more in [&[][..], &["--via-bank"]] {
        let mut cluster = Cluster::start(3);
        let line = [&["contention", "--clients", "4", "--seconds", "6", "--json"], more].concat();
        let mut run = Process::start(&mut cluster.cliente(&line));
        for bank in [1, 0, 2] {
            let committed = |cluster: &Cluster| {
                let status: Value =
                    serde_json::from_str(&cluster.run(&["--json", "status"]).stdout).ok()?;
                status["banks"][bank]["info"]["committed"].as_u64()
            };
            let before = wait_until("the bank replies", || committed(&cluster));
            wait_until("it commits", || committed(&cluster).filter(|now| *now > before + 20));
            cluster.kill(bank);
            cluster.start_bank(bank);
        }
        let report: Value = serde_json::from_str(&run.expect_line("verdict")).unwrap();
        assert_holds(&report);
        assert!(report["connections_lost"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(run.wait(), Some(0));
        cluster.run(&["audit"]).expect_code(0);
        cluster.run(&["audit", "--journals", "data"]).expect_code(0);
    }
}

#[test]
fn with_a_bank_down_nothing_is_claimed() {
    let mut cluster = Cluster::start(3);
    let line = ["contention", "--clients", "2", "--seconds", "3", "--settle", "1s", "--json"];
    let mut run = Process::start(&mut cluster.cliente(&line));
    wait_until("it commits", || {
        (cluster.json(0, &["status"])["banks"][2]["info"]["committed"].as_u64()? > 5).then_some(())
    });
    cluster.kill(2);
    let report: Value = serde_json::from_str(&run.expect_line("verdict")).unwrap();
    assert_eq!(run.wait(), Some(3), "{report}");
    assert_eq!(report["error"]["code"], "no-connection");
    assert_eq!(
        (&report["verdict"]["conserved"], &report["verdict"]["as_told"]),
        (&Value::Null, &Value::Null)
    );
    let ran = cluster.run(&["contention", "--seconds", "1"]).expect_code(3);
    assert!(ran.stderr.contains(&cluster.address(2)), "{ran:?}");
    let ran = cluster.run(&["contention", "--mix", "pay:1"]).expect_code(2);
    assert!(ran.stderr.contains("none of set, transfer, composite and read"), "{ran:?}");
}

/// Runs the script in `folder`, where its journals and logs are, too.
fn script(folder: &std::path::Path, arguments: &[&str]) -> (bool, String, String) {
    let programs = std::path::Path::new(cliente_path()).parent().unwrap();
    let output = Command::new("bash")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/contention.sh"))
        .args(arguments)
        .current_dir(folder)
        .env("CONSORCIO_PROGRAMS", programs)
        .env("LC_ALL", "C")
        .env("TMPDIR", folder)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// A wrong word starts nothing, and leaves nothing behind.
#[test]
fn the_script_refuses_a_wrong_command_line_at_once() {
    let folder = tempfile::TempDir::new().unwrap();
    let (succeeds, shown, errors) = script(folder.path(), &["--bogus"]);
    assert!(!succeeds && errors.contains("--bogus"), "{shown}\n{errors}");
    assert!(!shown.contains("three banks"), "{shown}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{shown}");
}

#[test]
fn the_script_kills_banks_and_clients_and_loses_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let port = free_ports_in_a_row(3).to_string();
    let arguments = [
        "--kill-every",
        "1s",
        "--kill-clients",
        "1s",
        "--clients",
        "4",
        "--seconds",
        "4",
        "--rate=600",
        "--html",
        "run.html",
        "--port",
        &port,
    ];
    let (succeeds, shown, errors) = script(folder.path(), &arguments);
    assert!(succeeds, "{shown}\n{errors}");
    assert!(
        shown.contains("All of it holds.") && shown.contains("Nothing is lost."),
        "{shown}\n{errors}"
    );
    assert!(shown.contains(&format!("three banks on ports {port} ")), "{shown}");
    let left = |path: &std::path::Path| {
        let names = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(left(folder.path()), ["logs", "run.html"], "it removes the journals");
    let logs = folder.path().join("logs");
    let [own] = &left(&logs)[..] else { panic!("one folder of logs") };
    assert!(shown.contains(own), "it says where the logs are: {shown}");
    let names = left(&logs.join(own));
    assert!(names.iter().filter(|name| name.starts_with("servidor-")).count() >= 3, "{names:?}");
    // 600 a second for all clients: 4 of the run, and 4 of each process that is killed.
    for name in ["contention", "killed-0", "killed-1"] {
        let path = logs.join(own).join(format!("cliente-{name}.log"));
        let log = std::fs::read_to_string(&path).unwrap();
        let starts = log.lines().filter(|line| line.contains(" start "));
        let starts: Vec<&str> = starts.collect();
        assert!(!starts.is_empty(), "{name}");
        assert!(starts.iter().all(|line| line.contains("--rate 200")), "{name}: {starts:?}");
    }
    let page = std::fs::read_to_string(folder.path().join("run.html")).unwrap();
    assert!(page.contains("<td>killed</td>") && page.contains("class=\"trace\""));
}

#[test]
fn the_script_names_a_wrong_port_or_one_that_is_taken() {
    let folder = tempfile::TempDir::new().unwrap();
    let (_, _, errors) = script(folder.path(), &["--port", "65534"]);
    assert!(errors.contains("--port takes the first of three ports"), "{errors}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().min(65_533).to_string();
    let (succeeds, _, errors) = script(folder.path(), &["--port", &port]);
    assert!(!succeeds && errors.contains("is taken"), "{errors}");
}
